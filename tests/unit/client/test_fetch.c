/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches on virtual time: each fragment once, in order, over connections that break anywhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "client/fetch.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/client/made.h"

#define SHOWN_MAX 1000

static struct sim_world world;
static struct sim_loop loop;
static struct model_net *net;
static struct worker *worker;
static struct core core;
static struct fake_daemon one, two;

static struct {
	int64_t capture_us;
	unsigned stream;
	bool damaged, prefix_only;
} shown[SHOWN_MAX];
static size_t shown_count;
static size_t pause_every; /* 0: never */
static bool done, core_stopped;
static int done_status;
static struct steppe_fetch *fetch;

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	(void)owner;
	static const struct model_party party = {
		.name = "viewer", .roles = ROLE_INVESTIGATOR, .boot_nonce = 5};
	return model_dial(net, &loop.loop, address, &party, user);
}

static void begin(uint64_t seed)
{
	static const char *const addresses[] = {"one:1", NULL};
	sim_world_init(&world, seed);
	sim_loop_init(&loop, &world);
	net = model_net_new();
	fake_start(&one, &world, net, "one");
	fake_start(&two, &world, net, "two");
	assert_int_equal(worker_new(&loop.loop, false, &worker), 0);
	const struct router_ops ops = {.dial = dial};
	assert_int_equal(core_init(&core, &loop.loop, &ops, addresses, worker), 0);
	shown_count = pause_every = 0;
	done = core_stopped = false;
}

static void on_core_stopped(struct loop_task *task)
{
	(void)task;
	core_stopped = true;
}

static bool is_true(void *user)
{
	return *(bool *)user;
}

static void finish(void)
{
	struct loop_task stopped = {.run = on_core_stopped};
	core_stop(&core, &stopped);
	assert_true(sim_run_until(&world, is_true, &core_stopped, 60 * NS_PER_SECOND));
	core_fini(&core);
	worker_free(&worker);
	fake_stop(&one);
	fake_stop(&two);
	model_net_free(&net);
	sim_loop_fini(&loop);
	sim_world_fini(&world);
}

static bool on_fragment(void *user, const struct steppe_fragment *f)
{
	(void)user;
	assert_false(done);
	assert_true(shown_count < SHOWN_MAX);
	shown[shown_count].capture_us = f->capture_us;
	shown[shown_count].stream = f->stream;
	shown[shown_count].damaged = f->damaged;
	shown[shown_count].prefix_only = f->prefix_only;
	assert_true(f->damaged || (f->init_len && f->len));
	shown_count++;
	return !pause_every || shown_count % pause_every != 0;
}

static void on_done(void *user, int status)
{
	(void)user;
	assert_false(done);
	done = true;
	done_status = status;
}

static struct steppe_fetch_options options(int64_t from_s, int64_t to_s)
{
	static const char *const streams[] = {"gate-7/main", NULL};
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	o.streams = streams;
	o.from_us = MADE_START_US + from_s * US_PER_SECOND;
	o.to_us = MADE_START_US + to_s * US_PER_SECOND;
	o.fragment = on_fragment;
	o.done = on_done;
	o.window_bytes = 64 << 10;
	return o;
}

static int ask(const struct steppe_fetch_options *o)
{
	int rc = fetch_new(&core, o, &fetch);
	if (rc == 0)
		fetch_start(fetch);
	return rc;
}

static void run(const struct steppe_fetch_options *o)
{
	shown_count = 0;
	done = false;
	struct mono asked_at = world.now;
	assert_int_equal(ask(o), 0);
	while (!done) {
		sim_run_for(&world, 100 * NS_PER_MS);
		if (pause_every && shown_count % pause_every == 0 && !done)
			steppe_fetch_resume(fetch);
		assert_true(world.now.ns - asked_at.ns < 1000 * NS_PER_SECOND);
	}
}

static void expect(size_t i, int64_t second)
{
	if (shown[i].capture_us != MADE_START_US + second * US_PER_SECOND)
		fail_msg("number %zu is of second %lld instead of %lld", i,
			(long long)((shown[i].capture_us - MADE_START_US) / US_PER_SECOND),
			(long long)second);
	assert_false(shown[i].damaged);
}

static void expect_forward(int64_t first, int64_t end)
{
	assert_int_equal(done_status, 0);
	assert_int_equal(shown_count, end - first);
	for (int64_t s = first; s < end; s++)
		expect((size_t)(s - first), s);
}

/* Runs of two, the last one first. */
static void expect_backward(int64_t first, int64_t end)
{
	assert_int_equal(done_status, 0);
	assert_int_equal(shown_count, end - first);
	size_t i = 0;
	for (int64_t s = end - 2; s >= first; s -= 2) {
		expect(i++, s);
		expect(i++, s + 1);
	}
}

static void test_windows(void **state)
{
	(void)state;
	begin(1);
	fake_fill(&one, 0, 60, 5000);
	struct steppe_fetch_options o = options(0, 60);
	run(&o);
	expect_forward(0, 60);
	o = options(-100, 1000);
	run(&o);
	expect_forward(0, 60);
	o = options(21, 31); /* with what second 21 hangs on */
	run(&o);
	expect_forward(20, 31);
	o = options(20, 30);
	o.backward = true;
	run(&o);
	expect_backward(20, 30);
	o = options(10, 30);
	o.sync_only = true;
	run(&o);
	assert_int_equal(shown_count, 10);
	for (size_t i = 0; i < 10; i++) {
		expect(i, 10 + 2 * (int64_t)i);
		assert_true(shown[i].prefix_only);
	}
	o = options(100, 200);
	run(&o);
	expect_forward(0, 0);
	finish();
}

static void test_broken_after_every_fragment(void **state)
{
	(void)state;
	for (unsigned k = 1; k < 42; k++)
		for (unsigned kind = 0; kind < 3; kind++) {
			begin(k * 3 + kind);
			fake_fill(&one, 0, 40, 5000);
			one.fetch_reset_after = k;
			struct steppe_fetch_options o = options(0, 40);
			o.backward = kind == 1;
			o.sync_only = kind == 2;
			o.window_bytes = k % 2 ? 64 << 10 : 1 << 20;
			run(&o);
			if (kind == 0)
				expect_forward(0, 40);
			else if (kind == 1)
				expect_backward(0, 40);
			else
				assert_int_equal(shown_count, 20);
			assert_int_equal(one.fetches, k <= (kind == 2 ? 20u : 40u) ? 2 : 1);
			finish();
		}
}

static void test_paused(void **state)
{
	(void)state;
	begin(2);
	fake_fill(&one, 0, 60, 20000);
	struct steppe_fetch_options o = options(0, 60);
	for (pause_every = 1; pause_every < 9; pause_every += 3) {
		run(&o);
		expect_forward(0, 60);
	}
	/* while it is paused no more comes than the window */
	pause_every = 1;
	shown_count = 0;
	done = false;
	uint64_t before = model_net_counts(net).bytes;
	assert_int_equal(ask(&o), 0);
	sim_run_for(&world, 10 * NS_PER_SECOND);
	assert_int_equal(shown_count, 1);
	assert_true(model_net_counts(net).bytes - before < (64 << 10) + 60000);
	steppe_fetch_resume(fetch);
	steppe_fetch_resume(fetch); /* twice is once */
	sim_run_for(&world, NS_PER_SECOND);
	assert_int_equal(shown_count, 2);
	steppe_fetch_stop(fetch);
	steppe_fetch_stop(fetch);
	sim_run_for(&world, NS_PER_SECOND);
	assert_true(done);
	assert_int_equal(done_status, -ECANCELED);
	assert_int_equal(shown_count, 2);
	finish();
}

static void test_stopped_at_any_moment(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 30; ms++)
		for (unsigned kind = 0; kind < 3; kind++) {
			begin(100 + ms);
			fake_fill(&one, 0, 20, 5000);
			if (kind == 1)
				one.mute = true;
			if (kind == 2)
				fake_unlisten(&one);
			struct steppe_fetch_options o = options(0, 20);
			assert_int_equal(ask(&o), 0);
			sim_run_for(&world, ms * NS_PER_MS);
			if (!done) {
				steppe_fetch_stop(fetch);
				assert_true(sim_run_until(&world, is_true, &done, NS_PER_SECOND));
				assert_int_equal(done_status, -ECANCELED);
			}
			finish();
		}
	/* and by the end of everything */
	begin(200);
	one.mute = true;
	struct steppe_fetch_options o = options(0, 20);
	assert_int_equal(ask(&o), 0);
	sim_run_for(&world, NS_PER_SECOND);
	finish();
	assert_true(done);
	assert_int_equal(done_status, -ECANCELED);
}

/* At the live edge nobody waits for a stream whose footage has already reached as far. */
static void test_followed_together(void **state)
{
	(void)state;
	static const char *const streams[] = {"gate-7/main", "gate-8/main", NULL};
	begin(4);
	fake_fill(&one, 0, 10, 5000); /* the fake has the same of every stream */
	struct steppe_fetch_options o = options(0, 0);
	o.streams = streams;
	o.follow = true;
	o.to_us = 0;
	assert_int_equal(ask(&o), 0);
	sim_run_for(&world, 300 * NS_PER_MS);
	assert_int_equal(shown_count, 20);
	for (size_t i = 0; i < shown_count; i++)
		expect(i, (int64_t)i / 2);
	steppe_fetch_stop(fetch);
	assert_true(sim_run_until(&world, is_true, &done, NS_PER_SECOND));
	finish();
}

static void test_refused(void **state)
{
	(void)state;
	begin(3);
	fake_fill(&one, 0, 20, 5000);
	struct steppe_fetch_options o = options(0, 20);
	one.refuse_opens = UINT_MAX;
	one.refuse_open = REFUSAL_ROLE;
	run(&o);
	assert_int_equal(done_status, ERR_REFUSED);
	one.refuse_opens = 3;
	one.refuse_open = REFUSAL_OVERLOAD;
	one.retry_after_ms = 500;
	run(&o);
	expect_forward(0, 20);
	/* a refusal that passes but does not: patience ends */
	one.refuse_opens = UINT_MAX;
	run(&o);
	assert_int_equal(done_status, ERR_REFUSED);
	one.refuse_opens = 0;
	one.redirect = "two:1";
	fake_fill(&two, 0, 10, 5000);
	run(&o);
	expect_forward(0, 10);
	finish();
}

static void test_nobody_there(void **state)
{
	(void)state;
	begin(4);
	fake_unlisten(&one);
	struct steppe_fetch_options o = options(0, 20);
	run(&o);
	assert_int_equal(done_status, -ECONNREFUSED);
	/* gone in the middle, for good */
	fake_listen(&one);
	fake_fill(&one, 0, 20, 5000);
	one.fetch_reset_after = 5;
	pause_every = 0;
	shown_count = 0;
	done = false;
	assert_int_equal(ask(&o), 0);
	while (shown_count < 5)
		assert_true(sim_step(&world));
	fake_unlisten(&one);
	assert_true(sim_run_until(&world, is_true, &done, 200 * NS_PER_SECOND));
	assert_int_equal(done_status, -ECONNREFUSED);
	finish();
}

static void test_damaged_on_the_way(void **state)
{
	(void)state;
	begin(5);
	fake_fill(&one, 0, 10, 5000);
	struct buf *body = one.fragments[4].body;
	body->data[body->len - 1] ^= 1;
	struct steppe_fetch_options o = options(0, 10);
	run(&o);
	assert_int_equal(done_status, 0);
	assert_int_equal(shown_count, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(shown[i].damaged, i == 4);
	finish();
}

static void test_two_streams_on_one_clock(void **state)
{
	(void)state;
	static const char *const streams[] = {"gate-7/main", "gate-7/sub", NULL};
	for (unsigned k = 0; k < 30; k += 7) {
		begin(6 + k);
		fake_fill(&one, 0, 20, 5000);
		one.fetch_reset_after = k;
		struct steppe_fetch_options o = options(0, 20);
		o.streams = streams;
		run(&o);
		assert_int_equal(done_status, 0);
		assert_int_equal(shown_count, 40);
		for (size_t i = 0; i < 40; i++) {
			expect(i, (int64_t)i / 2);
			assert_int_equal(shown[i].stream, i % 2);
		}
		o.backward = true;
		run(&o);
		assert_int_equal(shown_count, 40);
		for (size_t i = 4; i < 40; i++)
			assert_true(shown[i].capture_us <= shown[i - 4].capture_us);
		finish();
	}
}

static void test_options_that_make_no_sense(void **state)
{
	(void)state;
	begin(7);
	static const char *const none[] = {NULL}, *const wrong[] = {"gate 7", NULL};
	struct steppe_fetch_options o = options(20, 20);
	assert_int_equal(ask(&o), -EINVAL);
	o = options(0, 20);
	o.streams = none;
	assert_int_equal(ask(&o), -EINVAL);
	o.streams = wrong;
	assert_int_equal(ask(&o), -EINVAL);
	o = options(0, 20);
	o.follow = o.backward = true;
	assert_int_equal(ask(&o), -EINVAL);
	o = options(0, 20);
	o.done = NULL;
	assert_int_equal(ask(&o), -EINVAL);
	finish();
}

static void test_short_of_memory(void **state)
{
	(void)state;
	for (unsigned k = 0;; k++) {
		begin(300 + k);
		fake_fill(&one, 0, 6, 500);
		struct steppe_fetch_options o = options(0, 6);
		alloc_fail_after(k, ALLOC_FAIL_ONCE);
		if (ask(&o) == 0) {
			assert_true(sim_run_until(&world, is_true, &done, 200 * NS_PER_SECOND));
			assert_true(done_status == 0 || done_status == -ENOMEM ||
				    done_status == ERR_FORMAT);
			if (done_status == 0)
				assert_int_equal(shown_count, 6);
		}
		bool failed = alloc_fail_stop();
		finish();
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_broken_after_every_fragment),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_stopped_at_any_moment),
		cmocka_unit_test(test_followed_together),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_damaged_on_the_way),
		cmocka_unit_test(test_two_streams_on_one_clock),
		cmocka_unit_test(test_options_that_make_no_sense),
		cmocka_unit_test(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
