/* SPDX-License-Identifier: Apache-2.0 */
/* Rule S: every outcome of a write is settled, and nothing old is sent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/head.h"
#include "storaged/archive/settle.h"
#include "tests/lib/store_model.h"

#define OBJECT "chk/gate-7/main/x"
#define MINE   7

struct bench {
	struct sim_world world;
	struct sim_loop loop;
	struct store_backend *model;
	struct store *store;
	struct tenure tenure;
	struct settle settle;
	struct buf *body;
	struct slice part;
	struct loop_task closed;
	unsigned done, troubles;
	int status, last_trouble;
	bool store_gone;
};

static void on_done(struct settle *s)
{
	struct bench *b = container_of(s, struct bench, settle);
	b->done++;
	b->status = s->status;
}

static void on_trouble(struct settle *s, int error)
{
	struct bench *b = container_of(s, struct bench, settle);
	b->troubles++;
	b->last_trouble = error;
}

static void hex(uint64_t v, char to[17])
{
	snprintf(to, 17, "%016llx", (unsigned long long)v);
}

static void put_object(struct bench *b, uint64_t ep, uint64_t len)
{
	char text[17];
	store_model_put(b->model, STORE_DATA, OBJECT, "0123456789", (size_t)len);
	hex(ep, text);
	store_model_put_attr(b->model, STORE_DATA, OBJECT, ATTR_EP, text);
	hex(len, text);
	store_model_put_attr(b->model, STORE_DATA, OBJECT, ATTR_LEN, text);
}

static void put_head(struct bench *b, uint64_t epoch, const char *owner)
{
	char name[STORE_NAME_MAX + 1], text[17];
	head_name(name, b->tenure.stream);
	store_model_put(b->model, STORE_META, name, "head", 4);
	hex(epoch, text);
	store_model_put_attr(b->model, STORE_META, name, ATTR_EPOCH, text);
	store_model_put_attr(b->model, STORE_META, name, ATTR_OWNER, owner);
	hex(3, text);
	store_model_put_attr(b->model, STORE_META, name, ATTR_VER, text);
}

static void bench_start(struct bench *b)
{
	*b = (struct bench){.tenure = {.stream = "gate-7/main", .owner = "node:1", .epoch = MINE}};
	struct store_model_options options = {.unknown_after_ns = 2 * NS_PER_SECOND};
	sim_world_init(&b->world, 1);
	sim_loop_init(&b->loop, &b->world);
	b->model = store_model_new(&b->world, &options);
	b->store = store_new(b->model, &b->loop.loop);
	assert_non_null(b->store);
	b->tenure.loop = &b->loop.loop;
	b->tenure.store = b->store;
	b->body = buf_copy("abcd", 4);
	b->part = slice_of(b->body, 0, 4);
	b->settle.done = on_done;
	b->settle.trouble = on_trouble;
	put_object(b, MINE, 4);
	put_head(b, MINE, "node:1");
}

static void on_closed(struct loop_task *task)
{
	container_of(task, struct bench, closed)->store_gone = true;
}

static bool is_gone(void *user)
{
	return ((struct bench *)user)->store_gone;
}

static void bench_end(struct bench *b)
{
	slice_drop(&b->part);
	buf_unref(&b->body);
	b->closed.run = on_closed;
	store_free(&b->store, &b->closed);
	assert_true(sim_run_until(&b->world, is_gone, b, 600 * NS_PER_SECOND));
	sim_loop_fini(&b->loop);
	store_backend_close(&b->model);
	sim_world_fini(&b->world);
}

/* Appends "abcd" at 4. */
static void append(struct bench *b)
{
	char text[17];
	settle_begin(&b->settle, &b->tenure, STORE_DATA, OBJECT, ATTR_EP);
	settle_guard_exists(&b->settle);
	hex(MINE, text);
	settle_guard_equal(&b->settle, ATTR_EP, text);
	hex(4, text);
	settle_guard_equal(&b->settle, ATTR_LEN, text);
	hex(8, text);
	settle_set(&b->settle, ATTR_LEN, text);
	settle_body_at(&b->settle, 4, &b->part, 1);
	settle_submit(&b->settle);
	assert_int_equal(b->done, 0); /* never inside the call */
}

static bool is_done(void *user)
{
	return ((struct bench *)user)->done > 0;
}

static void wait_done(struct bench *b)
{
	assert_true(sim_run_until(&b->world, is_done, b, 600 * NS_PER_SECOND));
	assert_int_equal(b->done, 1);
	assert_false(settle_busy(&b->settle));
}

static void demand_object(struct bench *b, const char *bytes)
{
	size_t len;
	const uint8_t *data = store_model_bytes(b->model, STORE_DATA, OBJECT, &len);
	assert_int_equal(len, strlen(bytes));
	assert_memory_equal(data, bytes, len);
}

static void plan(
	struct bench *b, struct store_model_fault *f, enum store_model_fate fate, unsigned times)
{
	*f = (struct store_model_fault){.fate = fate, .times = times};
	store_model_plan(b->model, f);
}

static void test_applied(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	append(&b);
	wait_done(&b);
	assert_int_equal(b.status, 0);
	assert_int_equal(b.troubles, 0);
	demand_object(&b, "0123abcd");
	bench_end(&b);
}

/* Each way an outcome can be unknown ends as applied, once. */
static void test_unknown_is_settled_by_sending_again(void **state)
{
	(void)state;
	static const enum store_model_fate fates[] = {
		STORE_MODEL_UNKNOWN_APPLIED, STORE_MODEL_UNKNOWN_LOST, STORE_MODEL_UNKNOWN_LATE};
	for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
		struct bench b;
		struct store_model_fault fault;
		bench_start(&b);
		plan(&b, &fault, fates[i], 3);
		append(&b);
		wait_done(&b);
		assert_int_equal(b.status, 0);
		assert_int_equal(b.troubles, 3);
		sim_run_for(&b.world,
			120 * NS_PER_SECOND); /* what was parked comes, and changes nothing */
		demand_object(&b, "0123abcd");
		bench_end(&b);
	}
}

static void test_errors_that_change_nothing_are_told_and_repeated(void **state)
{
	(void)state;
	static const struct {
		enum store_model_fate fate;
		int error;
	} cases[] = {{STORE_MODEL_EIO, -EIO}, {STORE_MODEL_ENOSPC, -ENOSPC}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		struct store_model_fault fault;
		bench_start(&b);
		plan(&b, &fault, cases[i].fate, 5);
		append(&b);
		wait_done(&b);
		assert_int_equal(b.status, 0);
		assert_int_equal(b.troubles, 5);
		assert_int_equal(b.last_trouble, cases[i].error);
		demand_object(&b, "0123abcd");
		bench_end(&b);
	}
}

static void test_refused_by_a_higher_epoch(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	put_object(&b, MINE + 1, 4);
	append(&b);
	wait_done(&b);
	assert_int_equal(b.status, ERR_FENCED);
	demand_object(&b, "0123");
	bench_end(&b);
}

static void test_refused_at_another_length(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	put_object(&b, MINE, 6);
	append(&b);
	wait_done(&b);
	assert_int_equal(b.status, ERR_GUARD);
	demand_object(&b, "012345");
	bench_end(&b);
}

static void test_refused_since_it_was_done_already(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	put_object(&b, MINE, 8); /* what the append leaves behind */
	append(&b);
	wait_done(&b);
	assert_int_equal(b.status, 0);
	bench_end(&b);
}

static void test_no_such_object(void **state)
{
	(void)state;
	struct bench b;
	bench_start(&b);
	store_model_put(b.model, STORE_DATA, OBJECT, NULL, 0);
	append(&b);
	wait_done(&b);
	assert_int_equal(b.status, -ENOENT);
	bench_end(&b);
}

static void test_refusal_is_read_until_it_can_be(void **state)
{
	(void)state;
	struct bench b;
	struct store_model_fault fault = {.fate = STORE_MODEL_EIO, .reads = true, .times = 4};
	bench_start(&b);
	put_object(&b, MINE + 1, 4);
	store_model_plan(b.model, &fault);
	append(&b);
	wait_done(&b);
	assert_int_equal(b.status, ERR_FENCED);
	assert_int_equal(b.troubles, 4);
	bench_end(&b);
}

/* F3: after a minute the decision is too old; the head is asked before anything is sent. */
static void make_old(struct bench *b, struct store_model_fault *fault)
{
	plan(b, fault, STORE_MODEL_UNKNOWN_LOST, 1);
	store_model_options(b->model)->unknown_after_ns = 70 * NS_PER_SECOND;
	append(b);
}

static void test_old_operation_of_the_owner_goes_on(void **state)
{
	(void)state;
	struct bench b;
	struct store_model_fault fault;
	bench_start(&b);
	make_old(&b, &fault);
	wait_done(&b);
	assert_int_equal(b.status, 0);
	demand_object(&b, "0123abcd");
	bench_end(&b);
}

static void test_old_operation_of_a_former_owner_is_not_sent(void **state)
{
	(void)state;
	struct bench b;
	struct store_model_fault fault;
	bench_start(&b);
	make_old(&b, &fault);
	sim_run_for(&b.world, 10 * NS_PER_SECOND);
	put_head(&b, MINE + 1, "other:1"); /* the object is not fenced yet: only the head tells */
	wait_done(&b);
	assert_int_equal(b.status, ERR_FENCED);
	demand_object(&b, "0123");
	bench_end(&b);
}

static void test_old_operation_without_tenure_is_dropped(void **state)
{
	(void)state;
	struct bench b;
	struct store_model_fault fault;
	bench_start(&b);
	b.tenure.epoch = 0;
	make_old(&b, &fault);
	wait_done(&b);
	assert_int_equal(b.status, -ETIMEDOUT);
	bench_end(&b);
}

/* A body is compared too: a head of the same version and other bytes is not ours. */
static void write_head(struct bench *b)
{
	char name[STORE_NAME_MAX + 1], text[17];
	head_name(name, b->tenure.stream);
	settle_begin(&b->settle, &b->tenure, STORE_META, name, ATTR_EPOCH);
	hex(2, text);
	settle_guard_equal(&b->settle, ATTR_VER, text);
	hex(3, text);
	settle_set(&b->settle, ATTR_VER, text);
	settle_body_whole(&b->settle, &b->part, 1);
	settle_submit(&b->settle);
	wait_done(b);
}

static void test_whole_bodies_are_compared(void **state)
{
	(void)state;
	struct bench b;
	char name[STORE_NAME_MAX + 1];
	size_t len;
	bench_start(&b);
	write_head(&b);
	assert_int_equal(b.status, ERR_GUARD); /* "head" is not "abcd" */
	b.done = 0;
	head_name(name, b.tenure.stream);
	memcpy(store_model_bytes(b.model, STORE_META, name, &len), "abcd", 4);
	write_head(&b);
	assert_int_equal(b.status, 0);
	bench_end(&b);
}

/* Given up in every state: done() comes once, and nothing is sent afterwards. */
static void cancel_at(int64_t after_ns, enum store_model_fate fate, bool fenced)
{
	struct bench b;
	struct store_model_fault fault;
	bench_start(&b);
	plan(&b, &fault, fate, 1000);
	if (fenced)
		put_object(&b, MINE + 1, 4);
	append(&b);
	sim_run_for(&b.world, after_ns);
	unsigned before = b.done;
	settle_cancel(&b.settle);
	settle_cancel(&b.settle);
	assert_int_equal(b.done, before); /* never inside the call */
	sim_run_for(&b.world, 600 * NS_PER_SECOND);
	assert_int_equal(b.done, 1);
	if (!before)
		assert_int_equal(b.status, -ECANCELED);
	assert_false(settle_busy(&b.settle));
	store_model_withdraw(&fault);
	bench_end(&b);
}

static void test_cancel_in_each_state(void **state)
{
	(void)state;
	for (int64_t at = 0; at < 40; at++) {
		cancel_at(at * NS_PER_MS / 2, STORE_MODEL_NORMAL, false);
		cancel_at(at * NS_PER_MS / 2, STORE_MODEL_NORMAL, true);
		cancel_at(at * NS_PER_MS * 20, STORE_MODEL_EIO, false);
		cancel_at(at * NS_PER_MS * 200, STORE_MODEL_UNKNOWN_LOST, false);
	}
	struct bench b;
	bench_start(&b);
	settle_cancel(&b.settle); /* idle: harmless */
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_applied),
		cmocka_unit_test(test_unknown_is_settled_by_sending_again),
		cmocka_unit_test(test_errors_that_change_nothing_are_told_and_repeated),
		cmocka_unit_test(test_refused_by_a_higher_epoch),
		cmocka_unit_test(test_refused_at_another_length),
		cmocka_unit_test(test_refused_since_it_was_done_already),
		cmocka_unit_test(test_no_such_object),
		cmocka_unit_test(test_refusal_is_read_until_it_can_be),
		cmocka_unit_test(test_old_operation_of_the_owner_goes_on),
		cmocka_unit_test(test_old_operation_of_a_former_owner_is_not_sent),
		cmocka_unit_test(test_old_operation_without_tenure_is_dropped),
		cmocka_unit_test(test_whole_bodies_are_compared),
		cmocka_unit_test(test_cancel_in_each_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
