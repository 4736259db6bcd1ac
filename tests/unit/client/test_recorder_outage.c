/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder without its daemon: memory, then the spool, then both are full; and the program
 * dies meanwhile. What is acknowledged in the end is there once, and was told of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/recorder_rig.h"

/* An outage with a spool: what was recorded meanwhile comes later, what is recorded now does not
 * wait for it. */
static void test_outage(void **state)
{
	(void)state;
	for (unsigned seconds = 1; seconds < 40; seconds += 6) {
		begin(30 + seconds, NULL);
		one.credit = 30000;
		record(true, 0, 0);
		show(5);
		fake_unlisten(&one);
		model_net_reset(net, "one");
		show(seconds);
		if (seconds > 10)
			assert_true(last.memory_bytes < 1 << 20);
		fake_listen(&one);
		show(15);
		assert_int_equal(end(-1), 0);
		check_all(&one);
		assert_int_equal(last.dropped_fragments, 0);
		/* a long one is backfilled */
		if (seconds > 10)
			assert_int_equal(one.session_count, 2);
		finish();
	}
}

/* What went out of the spool is durable, but the connection broke before that was said: the next
 * one's OPENED says it, and the program is told as of any other. */
static void test_acknowledged_when_opened_again(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 12; n++) {
		begin(70 + n, NULL);
		one.credit = 70000 + n * 30000;
		one.keep_undurable = true;
		record(true, 0, 0);
		show(5);
		fake_unlisten(&one);
		model_net_reset(net, "one");
		show(20 + n);
		one.durable_ns = 60 * NS_PER_SECOND;
		fake_listen(&one);
		show(12);
		model_net_reset(net, "one");
		one.durable_ns = 100 * NS_PER_MS;
		one.keep_undurable = n % 2;
		show(20);
		assert_int_equal(end(-1), 0);
		check_all(&one);
		assert_int_equal(last.durable_fragments, ledger_count);
		finish();
	}
}

static void test_outage_without_a_spool(void **state)
{
	(void)state;
	begin(90, NULL);
	record(false, 200000, 0); /* ten seconds */
	show(4);
	fake_unlisten(&one);
	model_net_reset(net, "one");
	show(40);
	assert_true(refused_writes > 200);
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	steppe_recorder_status(recorder, &status);
	assert_true(status.memory_bytes <= 200000);
	assert_in_range(status.dropped_fragments, 20, 40);
	fake_listen(&one);
	show(20);
	assert_int_equal(end(-1), 0);
	fake_check(&one);
	check_ledger(&one);
	/* the hole is typed */
	assert_true(one.gap_count >= 2);
	const struct fake_gap *hole = &one.gaps[0];
	assert_int_equal(hole->cause, STEPPE_GAP_NETWORK);
	assert_false(hole->open);
	assert_non_null(fake_find(&one, hole->to_us));
	bool ends_there = false;
	for (size_t i = 0; i < one.fragment_count; i++)
		ends_there =
			ends_there || fragment_end(&one.fragments[i].header).us == hole->from_us;
	assert_true(ends_there);
	assert_null(fake_find(&one, hole->from_us));
	finish();
}

static void test_a_spool_that_is_full(void **state)
{
	(void)state;
	begin(91, NULL);
	record(true, 100000, 400000);
	show(4);
	fake_unlisten(&one);
	model_net_reset(net, "one");
	show(60);
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	steppe_recorder_status(recorder, &status);
	assert_true(status.spool_bytes > 200000 && status.spool_bytes <= 400000);
	assert_true(status.dropped_fragments > 20);
	fake_listen(&one);
	show(40);
	assert_int_equal(end(-1), 0);
	fake_check(&one);
	check_ledger(&one);
	assert_true(ledger_count > 45); /* how much more depends on when it looks again */
	bool typed = false;
	for (size_t i = 0; i < one.gap_count; i++)
		typed = typed || (one.gaps[i].cause == STEPPE_GAP_NETWORK && !one.gaps[i].open);
	assert_true(typed);
	finish();
}

/* Killed in the middle of an outage and started again: the spool is not forgotten. */
static void test_killed_in_an_outage(void **state)
{
	(void)state;
	for (unsigned seconds = 6; seconds < 30; seconds += 5) {
		begin(100 + seconds, NULL);
		record(true, 0, 0);
		show(5);
		fake_unlisten(&one);
		model_net_reset(net, "one");
		show(seconds);
		kill_recorder();
		size_t before = ledger_count;
		shown += 50 + (20 - shown % 20); /* five seconds or so until it is back */
		record(true, 0, 0);
		show(6);
		fake_listen(&one);
		show(10);
		assert_int_equal(end(-1), 0);
		fake_check(&one);
		check_ledger(&one);
		assert_true(ledger_count > before);
		/* what was in memory for the last moments is lost, all else is there */
		int64_t until = 5 + seconds - 3;
		for (int64_t second = 0; second < until; second++)
			if (!fake_find(&one, START_US + second * 1000000))
				fail_msg(
					"second %lld of %u is missing", (long long)second, seconds);
		bool typed = false;
		for (size_t i = 0; i < one.gap_count; i++)
			typed = typed || one.gaps[i].cause == STEPPE_GAP_RECORDER_STOPPED;
		assert_true(typed);
		finish();
	}
}

/* Killed while all is well, and the daemon had more than the recorder knew. */
static void test_killed_while_recording(void **state)
{
	(void)state;
	begin(130, NULL);
	record(true, 0, 0);
	show(7);
	kill_recorder();
	one.keep_undurable = true;
	record(true, 0, 0);
	shown += 20 - shown % 20;
	show(7);
	assert_int_equal(end(-1), 0);
	fake_check(&one);
	check_ledger(&one);
	finish();
}

/* Closed before all is durable: what is in the spool goes out next time. */
static void test_closed_in_an_outage(void **state)
{
	(void)state;
	begin(131, NULL);
	record(true, 0, 0);
	show(5);
	fake_unlisten(&one);
	model_net_reset(net, "one");
	show(13); /* so that the next one begins with a sync picture */
	assert_int_equal(end(2000), -ETIMEDOUT);
	fake_listen(&one);
	record(true, 0, 0);
	show(6);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	/* and once closed in order it is over: another session next time */
	size_t sessions = one.session_count;
	record(true, 0, 0);
	show(5);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	assert_true(one.session_count > sessions);
	finish();
}

static void test_damage_in_the_spool(void **state)
{
	(void)state;
	begin(602, NULL);
	record(true, 0, 0);
	show(4);
	fake_unlisten(&one);
	model_net_reset(net, "one");
	show(20);
	char command[256];
	/* in the body of a fragment in the middle */
	snprintf(command, sizeof(command),
		"printf X | dd of=%s/gate-7@main/backfill.00000001 bs=1 seek=150000 conv=notrunc "
		"status=none",
		spool_dir);
	assert_int_equal(system(command), 0);
	fake_listen(&one);
	show(10);
	assert_int_equal(end(-1), 0);
	fake_check(&one);
	check_ledger(&one);
	struct steppe_recorder_status status = last;
	assert_in_range(status.dropped_fragments, 1, 2);
	assert_int_equal(ledger_count, 34 - status.dropped_fragments);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_acknowledged_when_opened_again),
		cmocka_unit_test(test_outage_without_a_spool),
		cmocka_unit_test(test_a_spool_that_is_full),
		cmocka_unit_test(test_killed_in_an_outage),
		cmocka_unit_test(test_killed_while_recording),
		cmocka_unit_test(test_closed_in_an_outage),
		cmocka_unit_test(test_damage_in_the_spool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
