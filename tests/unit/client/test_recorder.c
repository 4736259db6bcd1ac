/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder on virtual time against a strict daemon: good days, and what it is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/recorder_rig.h"

static void test_plain(void **state)
{
	(void)state;
	begin(1, NULL);
	record(false, 0, 0);
	show(30);
	assert_true(last.connected);
	assert_true(last.durable_fragments >= 27);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	assert_int_equal(one.opens, 1);
	assert_int_equal(one.closes, 1);
	assert_int_equal(one.session_count, 1);
	/* the end is told as a hole of a known cause */
	assert_int_equal(one.gap_count, 1);
	assert_int_equal(one.gaps[0].cause, STEPPE_GAP_RECORDER_STOPPED);
	assert_true(one.gaps[0].open);
	assert_int_equal(one.gaps[0].from_us, START_US + 30000000);
	finish();
}

static void test_the_last_second_is_not_held_back(void **state)
{
	(void)state;
	begin(2, NULL);
	record(false, 0, 0);
	show(2);
	sim_run_for(&world, 10 * NS_PER_SECOND);
	assert_int_equal(ledger_count, 2);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	finish();
}

static void test_little_credit(void **state)
{
	(void)state;
	begin(3, NULL);
	one.credit = 50000; /* two fragments */
	one.durable_ns = 700 * NS_PER_MS;
	record(false, 0, 0);
	show(20);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	finish();
}

static void test_another_configuration(void **state)
{
	(void)state;
	begin(4, NULL);
	record(true, 0, 0);
	show(4);
	struct steppe_track t = track(128);
	assert_int_equal(steppe_recorder_tracks(recorder, &t, 1), 0);
	show(4);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	const struct fake_fragment *a = fake_find(&one, START_US + 3000000),
				   *b = fake_find(&one, START_US + 4000000);
	assert_true(a->init->len == b->init->len &&
		    memcmp(a->init->data, b->init->data, a->init->len) != 0);
	finish();
}

static void test_a_camera_that_is_off(void **state)
{
	(void)state;
	begin(5, NULL);
	record(false, 0, 0);
	show(4);
	assert_int_equal(steppe_recorder_gap(recorder, STEPPE_GAP_CAMERA_OFF), 0);
	sim_run_for(&world, 2 * NS_PER_SECOND);
	assert_int_equal(one.gap_count, 1);
	assert_true(one.gaps[0].open);
	assert_int_equal(one.gaps[0].from_us, START_US + 4000000);
	fake_restart(&one); /* told again to a daemon that begins anew */
	one.gap_count = 0;
	sim_run_for(&world, 28 * NS_PER_SECOND);
	assert_int_equal(one.gap_count, 1);
	shown += 300 - 20;
	show(4);
	assert_int_equal(end(-1), 0);
	assert_false(one.gaps[0].open);
	assert_int_equal(one.gaps[0].cause, STEPPE_GAP_CAMERA_OFF);
	assert_int_equal(one.gaps[0].to_us, START_US + 32000000);
	fake_check(&one);
	check_ledger(&one);
	finish();
}

static void test_options_that_make_no_sense(void **state)
{
	(void)state;
	begin(6, NULL);
	struct steppe_track t = track(64);
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	struct steppe_recorder *r;
	o.tracks = &t;
	o.track_count = 1;
	assert_int_equal(recorder_new(&core, &o, &r), -EINVAL);
	o.stream = "no profile";
	assert_int_equal(recorder_new(&core, &o, &r), -EINVAL);
	o.stream = "gate-7/main";
	o.track_count = 0;
	assert_int_equal(recorder_new(&core, &o, &r), -EINVAL);
	o.track_count = 1;
	o.spool_dir = "/nowhere";
	assert_int_equal(recorder_new(&core, &o, &r), -ENOENT);
	o.spool_dir = spool_dir;
	record(true, 0, 0);
	assert_int_equal(recorder_new(&core, &o, &r), -EBUSY);
	assert_int_equal(end(0), 0);
	finish();
}

static void test_redirected(void **state)
{
	(void)state;
	begin(21, NULL);
	one.redirect = "two:1";
	record(false, 0, 0);
	show(10);
	assert_int_equal(one.fragment_count, 0);
	/* and back, by a daemon that went away */
	fake_unlisten(&two);
	model_net_reset(net, "two");
	one.redirect = NULL;
	show(10);
	assert_int_equal(end(-1), 0);
	assert_true(fake_durable(&two) >= 8 && fake_durable(&one) >= 9);
	fake_check(&two);
	finish();
}

static void test_redirected_in_circles(void **state)
{
	(void)state;
	begin(22, NULL);
	one.redirect = "two:1";
	two.redirect = "one:1";
	record(true, 0, 0);
	show(10);
	assert_true(one.opens + two.opens < 2000); /* with pauses between rounds */
	two.redirect = NULL;
	show(10);
	assert_int_equal(end(-1), 0);
	check_all(&two);
	finish();
}

static void test_refusals_that_pass(void **state)
{
	(void)state;
	static const int codes[] = {REFUSAL_BUSY, REFUSAL_TAKING_OVER, REFUSAL_OVERLOAD,
		REFUSAL_FULL, REFUSAL_STORE, REFUSAL_STOPPING, REFUSAL_INTERNAL};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		begin(10 + i, NULL);
		one.refuse_open = codes[i];
		one.refuse_opens = 4;
		one.retry_after_ms = i % 2 ? 700 : 0;
		record(false, 0, 0);
		show(1);
		assert_int_equal(last.refusal, codes[i]);
		assert_false(last.connected);
		show(15);
		assert_int_equal(last.refusal, 0);
		assert_int_equal(end(-1), 0);
		check_all(&one);
		finish();
	}
}

static void test_refused_for_good(void **state)
{
	(void)state;
	begin(20, NULL);
	one.refuse_open = REFUSAL_UNKNOWN_CAMERA;
	one.refuse_opens = UINT_MAX;
	record(true, 0, 0);
	show(100);
	assert_int_equal(last.refusal, REFUSAL_UNKNOWN_CAMERA);
	assert_true(one.opens <= 5); /* it does not hammer */
	one.refuse_opens = 0;        /* somebody registered it */
	show(60);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	finish();
}

/* Whoever ends it then does not wait for what will not come; with a spool nothing is lost. */
static void test_refused_for_good_at_the_end(void **state)
{
	(void)state;
	static const int codes[] = {REFUSAL_UNKNOWN_CAMERA, REFUSAL_ROLE, REFUSAL_NAME,
		REFUSAL_CERTIFICATE, REFUSAL_VERSION};
	for (unsigned i = 0; i < 4 * ARRAY_LEN(codes); i++) {
		begin(800 + i, NULL);
		one.refuse_open = codes[i / 4];
		one.refuse_opens = UINT_MAX;
		record(i % 2, 0, 0);
		if (i % 4 < 2) { /* refused before it ends, or only then */
			show(6);
			assert_true(last.refused_for_good);
		}
		int64_t now_ns = world.now.ns;
		for (int picture = 0; picture < 20; picture++)
			assert_int_equal(show_picture(), 0);
		assert_int_equal(end(-1), ERR_REFUSED);
		assert_true(world.now.ns - now_ns < NS_PER_SECOND);
		one.refuse_opens = 0;
		if (i % 2) {
			record(true, 0, 0);
			show(4);
			assert_int_equal(end(-1), 0);
			check_all(&one);
		}
		finish();
	}
}

static void test_superseded(void **state)
{
	(void)state;
	begin(23, NULL);
	record(false, 0, 0);
	show(5);
	unsigned opens = one.opens;
	struct steppe_recorder *first = recorder;
	int64_t at = shown;
	record(false, 0, 0); /* the same certificate from another program */
	for (int i = 0; i < 20; i++) {
		int64_t n = shown;
		assert_int_equal(show_picture(), 0);
		shown = n; /* the same pictures to nobody */
		sim_run_for(&world, 100 * NS_PER_MS);
		shown++;
	}
	(void)at;
	assert_int_equal(one.opens, opens + 1); /* the first does not fight for it */
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	steppe_recorder_status(first, &status);
	assert_int_equal(status.refusal, REFUSAL_SUPERSEDED);
	assert_true(end(0) <= 0);
	recorder = first;
	assert_true(end(0) <= 0);
	finish();
}

static void test_a_checksum_that_is_wrong_on_the_way(void **state)
{
	(void)state;
	begin(24, NULL);
	one.refuse_append = REFUSAL_CHECKSUM;
	one.refuse_capture = START_US + 5000000;
	one.refuse_appends = 1;
	record(false, 0, 0);
	show(12);
	assert_int_equal(end(-1), 0);
	check_all(&one);
	finish();
}

/* A fragment that the daemon will never have: it and what depends on it are given up, all others
 * are there. */
static void test_a_fragment_that_is_refused(void **state)
{
	(void)state;
	for (unsigned spool = 0; spool < 2; spool++) {
		begin(25 + spool, NULL);
		one.refuse_append = REFUSAL_MALFORMED_MEDIA;
		one.refuse_capture = START_US + 6000000;
		one.refuse_appends = UINT_MAX;
		record(spool, 0, 0);
		show(20);
		assert_int_equal(end(-1), 0);
		fake_check(&one);
		check_ledger(&one);
		assert_int_equal(
			ledger_count, 18); /* of twenty: the refused one and its second half */
		assert_null(fake_find(&one, START_US + 6000000));
		assert_null(fake_find(&one, START_US + 7000000));
		finish();
	}
}

static void test_sessions_forgotten(void **state)
{
	(void)state;
	begin(27, NULL);
	record(true, 0, 0);
	show(6);
	fake_forget(&one);
	fake_restart(&one);
	show(6);
	assert_int_equal(end(-1), 0);
	fake_check(&one);
	check_ledger(&one);
	/* the half of a group of pictures that was under way is lost with the session it hung on */
	assert_true(ledger_count >= 11);
	assert_int_equal(ledger_count + last.dropped_fragments, 12);
	assert_true(one.session_count >= 1);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_the_last_second_is_not_held_back),
		cmocka_unit_test(test_little_credit),
		cmocka_unit_test(test_another_configuration),
		cmocka_unit_test(test_a_camera_that_is_off),
		cmocka_unit_test(test_options_that_make_no_sense),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_redirected_in_circles),
		cmocka_unit_test(test_refusals_that_pass),
		cmocka_unit_test(test_refused_for_good),
		cmocka_unit_test(test_refused_for_good_at_the_end),
		cmocka_unit_test(test_superseded),
		cmocka_unit_test(test_a_checksum_that_is_wrong_on_the_way),
		cmocka_unit_test(test_a_fragment_that_is_refused),
		cmocka_unit_test(test_sessions_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
