/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder on virtual time against a strict, misbehaving daemon: whatever happens, what was
 * acknowledged is there once and unchanged, and what is not there is a typed hole. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "client/recorder.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/fake_daemon.h"

#define START_US   INT64_C(1795470000000000)
#define LEDGER_MAX 4096
#define PICTURE    2000

static struct sim_world world;
static struct sim_loop loop;
static struct model_net *net;
static struct worker *worker;
static struct core core;
static struct fake_daemon one, two;
static struct steppe_recorder *recorder;
static char spool_dir[64];
static int64_t shown; /* pictures */
static bool closed;
static int closed_status;
static unsigned refused_writes;
static struct steppe_recorder_status last;

static struct ledger_line {
	uint64_t session, seq;
	int64_t capture_us;
	uint8_t digest[DIGEST_SIZE];
} ledger[LEDGER_MAX];
static size_t ledger_count;

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	(void)owner;
	static const struct model_party party = {
		.name = "recorder", .roles = ROLE_RECORDER, .boot_nonce = 5};
	return model_dial(net, &loop.loop, address, &party, user);
}

static void on_log(void *user, int level, const char *line)
{
	(void)user;
	printf("%9.3f [%d] %s\n", (double)(world.wall.us - START_US) / 1e6, level, line);
}

static void begin(uint64_t seed, const char *const *addresses)
{
	static const char *const first[] = {"one:1", NULL};
	sim_world_init(&world, seed);
	world.wall.us = START_US;
	sim_loop_init(&loop, &world);
	net = model_net_new();
	assert_non_null(net);
	fake_start(&one, &world, net, "one");
	fake_start(&two, &world, net, "two");
	assert_int_equal(worker_new(&loop.loop, false, &worker), 0);
	const struct router_ops ops = {.dial = dial};
	assert_int_equal(
		core_init(&core, &loop.loop, &ops, addresses ? addresses : first, worker), 0);
	core.log = getenv("LOG") ? on_log : NULL;
	strcpy(spool_dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/steppe-rec-XXXXXX"
							: "/tmp/steppe-rec-XXXXXX");
	assert_non_null(mkdtemp(spool_dir));
	shown = 0;
	ledger_count = 0;
	refused_writes = 0;
	closed = false;
	last = (struct steppe_recorder_status){0};
}

static void on_core_stopped(struct loop_task *task)
{
	(void)task;
	closed = true;
}

static bool is_closed(void *user)
{
	(void)user;
	return closed;
}

static void finish(void)
{
	char command[128];
	struct loop_task stopped = {.run = on_core_stopped};
	closed = false;
	core_stop(&core, &stopped);
	assert_true(sim_run_until(&world, is_closed, NULL, 60 * NS_PER_SECOND));
	core_fini(&core);
	worker_free(&worker);
	fake_stop(&one);
	fake_stop(&two);
	model_net_free(&net);
	sim_loop_fini(&loop);
	sim_world_fini(&world);
	snprintf(command, sizeof(command), "rm -rf %s", spool_dir);
	assert_int_equal(system(command), 0);
}

static void on_changed(void *user, const struct steppe_recorder_status *status)
{
	(void)user;
	last = *status;
}

static void on_durable(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
	uint32_t duration_us, const uint8_t *digest)
{
	(void)user;
	(void)duration_us;
	assert_true(ledger_count < LEDGER_MAX);
	struct ledger_line *l = &ledger[ledger_count++];
	*l = (struct ledger_line){.session = session, .seq = seq, .capture_us = capture_us};
	memcpy(l->digest, digest, DIGEST_SIZE);
}

static const uint8_t avcc[] = {1, 66, 0, 30, 255, 225, 0, 4, 103, 66, 0, 30, 1, 0, 2, 104, 1};

static struct steppe_track track(unsigned width)
{
	struct steppe_track t = STEPPE_INIT(steppe_track);
	t.codec = STEPPE_H264;
	t.timescale = 1000;
	t.width = (uint16_t)width;
	t.height = 48;
	t.config = avcc;
	t.config_len = sizeof(avcc);
	return t;
}

static int try_record(bool spool, uint64_t memory, uint64_t limit)
{
	struct steppe_track t = track(64);
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	o.stream = "gate-7/main";
	o.tracks = &t;
	o.track_count = 1;
	o.spool_dir = spool ? spool_dir : NULL;
	o.memory_limit = memory;
	o.spool_limit = limit;
	o.changed = on_changed;
	o.durable = on_durable;
	int rc = recorder_new(&core, &o, &recorder);
	if (rc == 0)
		recorder_start(recorder);
	return rc;
}

static void record(bool spool, uint64_t memory, uint64_t limit)
{
	assert_int_equal(try_record(spool, memory, limit), 0);
}

/* Ten pictures a second, a sync one every two seconds. */
static int show_picture(void)
{
	static uint8_t data[PICTURE];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (size_t)shown * 13);
	struct steppe_sample s = STEPPE_INIT(steppe_sample);
	s.data = data;
	s.len = sizeof(data);
	s.dts = s.pts = shown * 100;
	s.sync = shown % 20 == 0;
	s.wall_us = START_US + shown * 100000;
	s.clock = STEPPE_CLOCK_DECLARED;
	shown++;
	return steppe_recorder_write(recorder, &s);
}

static void show(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		int rc = show_picture();
		refused_writes += rc == -EAGAIN;
		assert_true(rc == 0 || rc == -EAGAIN);
		sim_run_for(&world, 100 * NS_PER_MS);
	}
}

static void on_closed(void *user, int status)
{
	(void)user;
	closed = true;
	closed_status = status;
}

static int end(int timeout_ms)
{
	closed = false;
	steppe_recorder_end(recorder, timeout_ms, on_closed, NULL);
	if (!sim_run_until(&world, is_closed, NULL, 1000 * NS_PER_SECOND))
		fail_msg("the recorder does not end (seed %llu)", (unsigned long long)world.seed);
	recorder = NULL;
	return closed_status;
}

/* What was acknowledged is there once and unchanged. */
static void check_ledger(const struct fake_daemon *d)
{
	for (size_t i = 0; i < ledger_count; i++) {
		const struct fake_fragment *f = fake_find(d, ledger[i].capture_us);
		if (!f)
			fail_msg("seed %llu: acknowledged and not there: %lld",
				(unsigned long long)world.seed,
				(long long)(ledger[i].capture_us - START_US));
		uint8_t digest[DIGEST_SIZE];
		assert_int_equal(fragment_digest(&f->header, digest), 0);
		assert_int_equal(f->header.session, ledger[i].session);
		assert_int_equal(f->header.seq, ledger[i].seq);
		assert_memory_equal(digest, ledger[i].digest, DIGEST_SIZE);
	}
}

/* All seconds up to now are there. */
static void check_all(const struct fake_daemon *d)
{
	fake_check(d);
	check_ledger(d);
	assert_int_equal(ledger_count, (shown + 9) / 10);
	for (int64_t second = 0; second * 10 < shown; second++)
		if (!fake_find(d, START_US + second * 1000000))
			fail_msg("seed %llu: second %lld is missing",
				(unsigned long long)world.seed, (long long)second);
	assert_int_equal(fake_durable(d), (shown + 9) / 10);
}

/* --- good days --- */

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

/* --- bad days --- */

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

/* The program dies: nothing is told to anybody, memory is gone. */
static void kill_recorder(void)
{
	struct steppe_recorder *r = recorder;
	sim_run_for(&world, 1); /* what the worker has in hand is written or not: it is written */
	exchange_stop(&r->exchange, false);
	loop_timer_stop(&r->pause);
	loop_timer_stop(&r->tick);
	loop_timer_stop(&r->deadline);
	call_end(&r->call);
	recorder_free(&r);
	recorder = NULL;
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

/* Everything at random; the seed is in what fails. */
static void chaos(uint64_t seed)
{
	begin(seed, NULL);
	bool spool = seed % 4 != 0;
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
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_the_last_second_is_not_held_back),
		cmocka_unit_test(test_little_credit),
		cmocka_unit_test(test_another_configuration),
		cmocka_unit_test(test_a_camera_that_is_off),
		cmocka_unit_test(test_options_that_make_no_sense),
		cmocka_unit_test(test_broken_at_every_frame),
		cmocka_unit_test(test_refusals_that_pass),
		cmocka_unit_test(test_refused_for_good),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_redirected_in_circles),
		cmocka_unit_test(test_superseded),
		cmocka_unit_test(test_a_checksum_that_is_wrong_on_the_way),
		cmocka_unit_test(test_a_fragment_that_is_refused),
		cmocka_unit_test(test_sessions_forgotten),
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_outage_without_a_spool),
		cmocka_unit_test(test_a_spool_that_is_full),
		cmocka_unit_test(test_killed_in_an_outage),
		cmocka_unit_test(test_killed_while_recording),
		cmocka_unit_test(test_closed_in_an_outage),
		cmocka_unit_test(test_stopped_in_each_state),
		cmocka_unit_test(test_left_open),
		cmocka_unit_test(test_a_daemon_that_hangs),
		cmocka_unit_test(test_damage_in_the_spool),
		cmocka_unit_test(test_chaos),
		cmocka_unit_test(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
