/* SPDX-License-Identifier: Apache-2.0 */
/* The days object: named first, counted later, never by a former owner. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/dayswrite.h"
#include "tests/lib/store_model.h"

#define STREAM "gate-7/main"
#define DAY    20780

struct bench {
	struct sim_world world;
	struct sim_loop loop;
	struct store_backend *model;
	struct store *store;
	struct tenure tenure;
	struct dayswrite days;
	struct loop_task closed;
	unsigned listed, settled, failed;
	int status;
	bool store_gone;
};

static void on_listed(struct dayswrite *dw)
{
	container_of(dw, struct bench, days)->listed++;
}

static void on_settled(struct dayswrite *dw)
{
	container_of(dw, struct bench, days)->settled++;
}

static void on_failed(struct dayswrite *dw, int status)
{
	struct bench *b = container_of(dw, struct bench, days);
	b->failed++;
	b->status = status;
}

static void bench_start(struct bench *b)
{
	*b = (struct bench){.tenure = {.stream = STREAM, .owner = "node:1", .epoch = 3}};
	sim_world_init(&b->world, 1);
	sim_loop_init(&b->loop, &b->world);
	b->model = store_model_new(&b->world, NULL);
	b->store = store_new(b->model, &b->loop.loop);
	assert_non_null(b->store);
	b->tenure.loop = &b->loop.loop;
	b->tenure.store = b->store;
	b->days.listed = on_listed;
	b->days.settled = on_settled;
	b->days.failed = on_failed;
	dayswrite_init(&b->days, &b->tenure);
}

static void on_closed(struct loop_task *task)
{
	container_of(task, struct bench, closed)->store_gone = true;
}

static bool is_gone(void *user)
{
	return ((struct bench *)user)->store_gone;
}

/* The loop's own check finds a timer that was left armed. */
static void bench_end(struct bench *b)
{
	dayswrite_stop(&b->days);
	sim_run_for(&b->world, 60 * NS_PER_SECOND);
	assert_false(dayswrite_busy(&b->days));
	dayswrite_fini(&b->days);
	b->closed.run = on_closed;
	store_free(&b->store, &b->closed);
	assert_true(sim_run_until(&b->world, is_gone, b, 60 * NS_PER_SECOND));
	sim_loop_fini(&b->loop);
	store_backend_close(&b->model);
	sim_world_fini(&b->world);
}

static void run_ms(struct bench *b, int64_t ms)
{
	sim_run_for(&b->world, ms * NS_PER_MS);
}

/* How many days the object names; -1: there is none. */
static int named(struct bench *b)
{
	char name[STORE_NAME_MAX + 1];
	struct index_days days;
	size_t len;
	index_days_name(name, STREAM);
	const uint8_t *bytes = store_model_bytes(b->model, STORE_META, name, &len);
	if (!bytes)
		return -1;
	assert_int_equal(index_days_decode(bytes, len, &days), 0);
	int count = (int)days.count;
	index_days_fini(&days);
	return count;
}

static void put_days_of_epoch(struct bench *b, uint64_t epoch)
{
	char name[STORE_NAME_MAX + 1], ver[33];
	const struct index_days none = {0};
	struct buf *body = NULL;
	index_days_name(name, STREAM);
	assert_int_equal(index_days_encode(&none, &body), 0);
	store_model_put(b->model, STORE_META, name, body->data, body->len);
	index_version_format(&(struct index_version){epoch, 1}, ver);
	store_model_put_attr(b->model, STORE_META, name, ATTR_VER, ver);
	buf_unref(&body);
}

static void test_a_day_is_named_once(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	for (int i = 0; i < 3; i++) {
		dayswrite_list(&b.days, DAY);
		run_ms(&b, 100);
		assert_int_equal(b.listed, i + 1);
		assert_int_equal(named(&b), 1);
	}
	dayswrite_list(&b.days, DAY - 5);
	run_ms(&b, 100);
	assert_int_equal(named(&b), 2);
	assert_int_equal(store_counters(b.store, STORE_META)->writes, 2);
	bench_end(&b);
}

static void test_totals_wait_a_quarter_hour(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	dayswrite_touch(&b.days, DAY);
	assert_true(dayswrite_is_dirty(&b.days, DAY));
	run_ms(&b, 800 * 1000);
	assert_int_equal(b.settled, 0);
	run_ms(&b, 101 * 1000);
	assert_int_equal(b.settled, 1);
	assert_false(dayswrite_is_dirty(&b.days, DAY));
	dayswrite_touch(&b.days, DAY);
	dayswrite_flush(&b.days);
	run_ms(&b, 100);
	assert_int_equal(b.settled, 2);
	bench_end(&b);
}

static void test_errors_are_repeated(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	struct store_model_fault reads = {.fate = STORE_MODEL_EIO, .reads = true, .times = 3};
	struct store_model_fault writes = {.fate = STORE_MODEL_EIO, .times = 3};
	store_model_plan(b.model, &reads);
	store_model_plan(b.model, &writes);
	dayswrite_list(&b.days, DAY);
	run_ms(&b, 30 * 1000);
	assert_int_equal(b.listed, 1);
	assert_int_equal(named(&b), 1);
	bench_end(&b);
}

/* Fenced in the middle of a round, while the next quarter-hour already runs. */
static void test_a_former_owner_stops_for_good(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	put_days_of_epoch(&b, 4);
	dayswrite_touch(&b.days, DAY);
	dayswrite_flush(&b.days);
	sim_run_for(&b.world, 100000); /* the read is on its way */
	dayswrite_touch(&b.days, DAY + 1);
	run_ms(&b, 100);
	assert_int_equal(b.failed, 1);
	assert_int_equal(b.status, ERR_FENCED);
	assert_false(loop_timer_armed(&b.days.period));
	dayswrite_touch(&b.days, DAY + 2);
	assert_false(dayswrite_busy(&b.days));
	run_ms(&b, 2000 * 1000);
	assert_int_equal(named(&b), 0);
	bench_end(&b);
}

static void test_stop_at_every_moment(void **state)
{
	(void)state;
	for (int64_t at = 0; at < 100; at++) {
		struct bench b;
		bench_start(&b);
		struct store_model_fault fault = {
			.fate = STORE_MODEL_EIO, .skip = (unsigned)(at % 3), .times = 5};
		store_model_plan(b.model, &fault);
		dayswrite_touch(&b.days, DAY);
		dayswrite_flush(&b.days);
		dayswrite_list(&b.days, DAY + 1);
		sim_run_for(&b.world, at * NS_PER_MS / 3);
		dayswrite_touch(&b.days, DAY + 2);
		dayswrite_stop(&b.days);
		bench_end(&b);
		assert_true(b.failed <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day_is_named_once),
		cmocka_unit_test(test_totals_wait_a_quarter_hour),
		cmocka_unit_test(test_errors_are_repeated),
		cmocka_unit_test(test_a_former_owner_stops_for_good),
		cmocka_unit_test(test_stop_at_every_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
