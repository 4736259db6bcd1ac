/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder on bad days, at every instant: whatever happens, what was acknowledged is there once
 * and unchanged, and what is not there is a typed hole. */
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

/* The connection breaks after every number of frames, with and without what was received. */
static void test_broken_at_every_frame(void **state)
{
	(void)state;
	for (unsigned k = 1; k < 24; k++)
		for (unsigned kept = 0; kept < 2; kept++) {
			begin(k * 2 + kept, NULL);
			one.reset_after = k;
			one.keep_undurable = kept;
			one.durable_ns = 1500 * NS_PER_MS;
			record(k % 3 == 0, 0, 0);
			show(18);
			assert_int_equal(end(-1), 0);
			check_all(&one);
			assert_true(one.opens >= 1 && one.opens <= 2);
			finish();
		}
}

/* Closed at any moment, with no time or little. */
static void test_stopped_in_each_state(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 60; ms++)
		for (unsigned kind = 0; kind < 6; kind++) {
			begin(200 + ms * 6 + kind, NULL);
			if (kind == 1)
				one.mute = true;
			if (kind == 2)
				fake_unlisten(&one);
			if (kind == 3)
				one.refuse_opens = UINT_MAX, one.refuse_open = REFUSAL_OVERLOAD;
			record(kind % 2, 0, 0);
			for (unsigned i = 0; i < 25; i++)
				assert_int_equal(show_picture(), 0);
			sim_run_for(&world, ms * (kind == 4 ? 100 : 1) * NS_PER_MS);
			int rc = end(kind == 5 ? 50 : 0);
			assert_true(rc == 0 || rc == -ETIMEDOUT);
			fake_check(&one);
			check_ledger(&one);
			finish();
		}
}

/* The handle is closed and the recorder was not. */
static void test_left_open(void **state)
{
	(void)state;
	begin(600, NULL);
	record(true, 0, 0);
	show(3);
	recorder = NULL;
	finish();
}

/* A daemon that takes connections and says nothing. */
static void test_a_daemon_that_hangs(void **state)
{
	(void)state;
	begin(601, NULL);
	record(true, 0, 0);
	show(5);
	model_net_hang(net, "one", true);
	show(40);
	model_net_hang(net, "one", false);
	show(20);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	finish();
}

/* Everything at random; the seed is in what fails. */
static void chaos(uint64_t seed)
{
	begin(seed, NULL);
	bool spool = seed % 4 != 0, killed = false;
	record(spool, spool ? 0 : 400000, 0);
	for (int i = 0; i < 60; i++) {
		switch (sim_random_in(&world, 0, 14)) {
		case 0:
			model_net_reset(net, "one");
			break;
		case 1:
			fake_restart(&one);
			break;
		case 2:
			model_net_cut(net, "one", "recorder", true);
			break;
		case 3:
			model_net_cut(net, "one", "recorder", false);
			break;
		case 4:
			one.refuse_opens = (unsigned)sim_random_in(&world, 1, 4);
			one.refuse_open =
				sim_random_in(&world, 0, 1) ? REFUSAL_STORE : REFUSAL_BUSY;
			break;
		case 5:
			one.keep_undurable = sim_random_in(&world, 0, 1);
			break;
		case 6:
			one.credit = sim_random_in(&world, 25000, 500000);
			break;
		case 7:
			one.durable_ns = (int64_t)sim_random_in(&world, 1, 3000) * NS_PER_MS;
			break;
		case 8:
			if (one.listener)
				fake_unlisten(&one);
			else
				fake_listen(&one);
			break;
		case 9:
			if (sim_random_in(&world, 0, 2) == 0 && spool) {
				kill_recorder();
				killed = true;
				shown += 20 + (20 - shown % 20);
				record(spool, 0, 0);
			}
			break;
		default:
			break;
		}
		show((unsigned)sim_random_in(&world, 1, 4));
		fake_check(&one);
	}
	model_net_cut(net, "one", "recorder", false);
	if (!one.listener)
		fake_listen(&one);
	one.refuse_opens = 0;
	one.credit = 0;
	one.durable_ns = 100 * NS_PER_MS;
	show(10);
	assert_int_equal(end(-1), 0);
	fake_check(&one);
	check_ledger(&one);
	if (!killed)
		check_told(&one);
	finish();
}

static void test_chaos(void **state)
{
	(void)state;
	const char *only = getenv("SEED");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1000, count = only ? 1 : 60;
	for (uint64_t seed = first; seed < first + count; seed++)
		chaos(seed);
}

/* Memory that is short may lose fragments and say so; it never loses what was acknowledged. */
static void short_of_memory(void *user)
{
	(void)user;
	bool begun = try_record(true, 0, 0) == 0;
	for (unsigned i = 0; begun && i < 12; i++) {
		int rc = show_picture();
		assert_true(rc == 0 || rc == -ENOMEM);
	}
	sim_run_for(&world, 400 * NS_PER_MS);
	if (!begun)
		return;
	int rc = end(3000);
	assert_true(rc == 0 || rc == -ETIMEDOUT);
}

static void sweep_one(void *user)
{
	unsigned *failures = user;
	(*failures)++;
	short_of_memory(NULL);
}

static void test_short_of_memory(void **state)
{
	(void)state;
	/* the world's own allocations must not fail: only those of the recorder's life are swept,
	 * each in a world of its own */
	for (unsigned mode = 0; mode < 1; mode++)
		for (unsigned k = 0;; k++) {
			begin(700, NULL);
			unsigned runs = 0;
			alloc_fail_after(k, ALLOC_FAIL_ONCE);
			sweep_one(&runs);
			bool failed = alloc_fail_stop();
			check_ledger(&one);
			finish();
			if (!failed)
				break;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken_at_every_frame),
		cmocka_unit_test(test_stopped_in_each_state),
		cmocka_unit_test(test_left_open),
		cmocka_unit_test(test_a_daemon_that_hangs),
		cmocka_unit_test(test_chaos),
		cmocka_unit_test(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
