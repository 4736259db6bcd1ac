/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of the store, on virtual time: that it does not answer, is full, fails, and that it
 * does again. */
#include "storaged/health.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/metrics.h"
#include "tests/lib/sim_loop.h"
#include "tests/lib/store_model.h"

static struct sim_world world;
static struct sim_loop loop;
static struct store_backend *model;
static struct health health;
static struct store_counters counted[2];
static bool closed;
static unsigned written;

static void begin(uint64_t capacity_bytes)
{
	struct store_model_options options = {.pools[STORE_DATA].capacity_bytes = capacity_bytes};
	sim_world_init(&world, 1);
	sim_loop_init(&loop, &world);
	model = store_model_new(&world, &options);
	assert_non_null(model);
	health = (struct health){.loop = &loop.loop};
	health.store = store_new(model, &loop.loop);
	assert_non_null(health.store);
	memset(counted, 0, sizeof(counted));
	written = 0;
	health_start(&health);
}

static void on_closed(struct loop_task *task)
{
	(void)task;
	closed = true;
}

static bool is_closed(void *user)
{
	(void)user;
	return closed;
}

static void end(void)
{
	struct loop_task task = {.run = on_closed};
	health_stop(&health);
	closed = false;
	store_free(&health.store, &task);
	assert_true(sim_run_until(&world, is_closed, NULL, 100 * NS_PER_SECOND));
	store_backend_close(&model);
	sim_loop_fini(&loop);
	sim_world_fini(&world);
}

/* As a loop of the daemon does each second. */
static void count(void)
{
	for (int pool = 0; pool < 2; pool++) {
		const struct store_counters *now = store_counters(health.store, pool);
		metrics_store_add(pool, STORE_METRIC_DONE, now->done - counted[pool].done);
		metrics_store_add(
			pool, STORE_METRIC_NO_SPACE, now->no_space - counted[pool].no_space);
		metrics_store_add(pool, STORE_METRIC_FAILED, now->failed - counted[pool].failed);
		counted[pool] = *now;
	}
}

static void passes(unsigned seconds)
{
	for (unsigned i = 0; i < 2 * seconds; i++) {
		sim_run_for(&world, NS_PER_SECOND / 2);
		count();
	}
}

static void on_write(struct store_write *req)
{
	(void)req;
}

/* Writes an object of its own once a second and says how it went the last time. */
static int writes(unsigned seconds, size_t len)
{
	static struct store_write req[64];
	static const struct store_guard absent = {.kind = STORE_ABSENT};
	for (unsigned i = 0; i < seconds; i++) {
		char name[32];
		struct buf *b = buf_new(len);
		memset(b->data, 7, len);
		struct slice body = slice_of(b, 0, len);
		(void)snprintf(name, sizeof(name), "x/%u", written);
		struct store_edits edits = {.guards = &absent,
			.guard_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &body,
			.body_count = 1};
		req[written % 64] = (struct store_write){.done = on_write};
		store_write(health.store, &req[written % 64], STORE_DATA, name, &edits);
		slice_drop(&body);
		buf_unref(&b);
		passes(1);
		written++;
	}
	return req[(written - 1) % 64].status;
}

static void expect(enum health_state state)
{
	if (health_now() != state)
		fail_msg("it says '%s'", health_text(health_now()));
	assert_int_equal(metrics_get(METRIC_STORE_HEALTHY), state == HEALTH_OK);
	assert_int_equal(metrics_get(METRIC_STORE_FULL), state == HEALTH_FULL);
	assert_int_equal(metrics_get(METRIC_STORE_ANSWERS), state != HEALTH_SILENT);
}

static void test_well(void **state)
{
	(void)state;
	uint64_t total, used;
	begin(0);
	expect(HEALTH_OK);
	assert_int_equal(writes(30, 4096), 0);
	expect(HEALTH_OK);
	passes(100);
	expect(HEALTH_OK);
	health_space(&health, STORE_DATA, &total, &used);
	assert_int_equal(used, 30 * 4096);
	assert_int_equal(metrics_get(METRIC_STORE_USED), used);
	end();
}

/* A store that does not answer: within a quarter of a minute it is said, and that it answers again. */
static void test_silent(void **state)
{
	(void)state;
	begin(0);
	passes(10);
	store_model_stall(model, NULL, true);
	passes(30);
	expect(HEALTH_SILENT);
	passes(100);
	expect(HEALTH_SILENT);
	store_model_stall(model, NULL, false);
	passes(10);
	expect(HEALTH_OK);
	end();
}

/* Full by its own account, whether somebody writes or not. */
static void test_full(void **state)
{
	(void)state;
	begin(10 * 4096);
	assert_int_equal(writes(10, 4096), 0);
	passes(10);
	expect(HEALTH_FULL);
	passes(200);
	expect(HEALTH_FULL);
	store_model_put(model, STORE_DATA, "x/0", NULL, 0);
	passes(10);
	expect(HEALTH_OK);
	end();
}

/* Nearly full: it takes what is small and refuses what is not. That is full, until it takes what is
 * written. */
static void test_nearly_full(void **state)
{
	(void)state;
	begin(10 * 4096);
	assert_int_equal(writes(9, 4096), 0);
	assert_int_equal(writes(1, 8192), -ENOSPC);
	passes(1);
	expect(HEALTH_FULL);
	for (unsigned i = 0; i < 100; i++)
		(void)writes(1, 8192);
	expect(HEALTH_FULL);
	store_model_put(model, STORE_DATA, "x/0", NULL, 0);
	store_model_put(model, STORE_DATA, "x/1", NULL, 0);
	assert_int_equal(writes(1, 8192), 0);
	passes(3);
	expect(HEALTH_OK);
	end();
}

/* Nobody writes any more after a refusal: after a while nothing is known against it. */
static void test_a_refusal_is_forgotten(void **state)
{
	(void)state;
	begin(10 * 4096);
	assert_int_equal(writes(9, 4096), 0);
	assert_int_equal(writes(1, 8192), -ENOSPC);
	passes(30);
	expect(HEALTH_FULL);
	passes(60);
	expect(HEALTH_OK);
	end();
}

static void test_failing(void **state)
{
	(void)state;
	begin(0);
	assert_int_equal(writes(5, 4096), 0);
	store_model_options(model)->write_eio = 10000;
	assert_int_equal(writes(3, 4096), -EIO);
	expect(HEALTH_FAILING);
	store_model_options(model)->write_eio = 0;
	assert_int_equal(writes(2, 4096), 0);
	passes(1);
	expect(HEALTH_OK);
	end();
}

/* One write that fails among many that do not is counted; recordings go on. */
static void test_one_fails(void **state)
{
	(void)state;
	begin(0);
	for (unsigned i = 0; i < 20; i++) {
		struct store_model_fault fault = {.fate = STORE_MODEL_EIO, .times = 1};
		uint64_t failed = metrics_store_get(STORE_DATA, STORE_METRIC_FAILED);
		store_model_plan(model, &fault);
		static struct store_write other;
		static const struct store_guard absent = {.kind = STORE_ABSENT};
		char name[16];
		(void)snprintf(name, sizeof(name), "y/%u", i);
		other = (struct store_write){.done = on_write};
		store_write(health.store, &other, STORE_DATA, name,
			&(struct store_edits){.guards = &absent, .guard_count = 1});
		assert_int_equal(writes(1, 4096), 0);
		store_model_withdraw(&fault);
		assert_int_equal(metrics_store_get(STORE_DATA, STORE_METRIC_FAILED), failed + 1);
		expect(HEALTH_OK);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_nearly_full),
		cmocka_unit_test(test_a_refusal_is_forgotten),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_one_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
