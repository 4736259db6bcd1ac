/* SPDX-License-Identifier: Apache-2.0 */
/* The model store answers as store.h says, and its faults are the ones that are asked for. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/lib/alloc_fail.h"
#include "tests/lib/store_model.h"

#define SECOND NS_PER_SECOND

struct nodes {
	struct sim_world world;
	struct sim_loop loops[2];
	struct store_backend *model;
	struct store *stores[2];
	struct loop_task closed[2];
	int closed_count;
};

static void open_with(struct nodes *n, const struct store_model_options *options)
{
	*n = (struct nodes){0};
	sim_world_init(&n->world, 42);
	n->model = store_model_new(&n->world, options);
	assert_non_null(n->model);
	for (int i = 0; i < 2; i++) {
		sim_loop_init(&n->loops[i], &n->world);
		n->stores[i] = store_new(n->model, &n->loops[i].loop);
		assert_non_null(n->stores[i]);
	}
}

static void ignore(struct loop_task *task)
{
	(void)task;
}

static void close_all(struct nodes *n)
{
	for (int i = 0; i < 2; i++) {
		n->closed[i].run = ignore;
		if (n->stores[i])
			store_free(&n->stores[i], &n->closed[i]);
	}
	sim_run_for(&n->world, 300 * SECOND);
	store_backend_close(&n->model);
	for (int i = 0; i < 2; i++)
		sim_loop_fini(&n->loops[i]);
	sim_world_fini(&n->world);
}

static int setup(void **state)
{
	struct nodes *n = calloc(1, sizeof(*n));
	open_with(n, NULL);
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	close_all(*state);
	free(*state);
	return 0;
}

static bool answered(void *user)
{
	return ((struct asked *)user)->answers > 0;
}

static int status_of(
	struct nodes *n, int store, int pool, const char *name, const struct store_edits *edits)
{
	struct asked a;
	ask_write(n->stores[store], &a, pool, name, edits);
	assert_true(sim_run_until(&n->world, answered, &a, 60 * SECOND));
	return a.write.status;
}

static const struct store_guard absent = {.kind = STORE_ABSENT};

static int put(struct nodes *n, const char *name, const char *ver, const char *body)
{
	struct slice part = text_slice(body);
	int status = status_of(n, 0, STORE_META, name,
		&(struct store_edits){.guards = &absent,
			.guard_count = 1,
			.attrs = &(struct store_attr){"ver", ver, strlen(ver)},
			.attr_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &part,
			.body_count = 1});
	slice_drop(&part);
	return status;
}

static int guarded(
	struct nodes *n, int store, const char *name, struct store_guard guard, const char *body)
{
	struct slice part = text_slice(body);
	int status = status_of(n, store, STORE_META, name,
		&(struct store_edits){.guards = &guard,
			.guard_count = 1,
			.body_kind = STORE_BODY_WHOLE,
			.body = &part,
			.body_count = 1});
	slice_drop(&part);
	return status;
}

static void assert_content(struct nodes *n, int pool, const char *name, const char *body)
{
	size_t len;
	const uint8_t *bytes = store_model_bytes(n->model, pool, name, &len);
	assert_non_null(bytes);
	assert_int_equal(len, strlen(body));
	assert_memory_equal(bytes, body, len);
}

static void guards_hold(void **state)
{
	struct nodes *n = *state;
	assert_int_equal(
		guarded(n, 0, "o", (struct store_guard){.kind = STORE_EXISTS}, "x"), -ENOENT);
	assert_int_equal(
		guarded(n, 0, "o", (struct store_guard){STORE_ATTR_EQUAL, "ver", "", 0}, "x"),
		-ENOENT);
	assert_int_equal(status_of(n, 0, STORE_META, "o", &(struct store_edits){0}), -ENOENT);
	assert_int_equal(put(n, "o", "5", "one"), 0);
	assert_int_equal(put(n, "o", "5", "one"), -EEXIST);
	assert_int_equal(
		guarded(n, 1, "o", (struct store_guard){STORE_ATTR_EQUAL, "ver", "4", 1}, "x"),
		ERR_GUARD);
	assert_int_equal(
		guarded(n, 1, "o", (struct store_guard){STORE_ATTR_BELOW, "ver", "5", 1}, "x"),
		ERR_GUARD);
	assert_int_equal(
		guarded(n, 1, "o", (struct store_guard){STORE_ATTR_BELOW, "ver", "", 0}, "x"),
		ERR_GUARD);
	assert_content(n, STORE_META, "o", "one");
	assert_int_equal(
		guarded(n, 1, "o", (struct store_guard){STORE_ATTR_BELOW, "ver", "50", 2}, "two"),
		0);
	assert_int_equal(
		guarded(n, 1, "o", (struct store_guard){STORE_ATTR_EQUAL, "none", "", 0}, "3"), 0);
	assert_content(n, STORE_META, "o", "3");
	assert_int_equal(status_of(n, 0, STORE_META, "o",
				 &(struct store_edits){.body_kind = STORE_BODY_REMOVE}),
		0);
	assert_int_equal(status_of(n, 0, STORE_META, "o",
				 &(struct store_edits){.body_kind = STORE_BODY_REMOVE}),
		-ENOENT);
}

static void a_read_sees_one_instant(void **state)
{
	struct nodes *n = *state;
	struct asked a;
	size_t len;
	assert_int_equal(put(n, "o", "7", "0123456789"), 0);
	ask_read(n->stores[1], &a, STORE_META, "o");
	a.read.offset = 3;
	a.read.len = 4;
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(a.read.status, 0);
	assert_int_equal(a.read.size, 10);
	assert_int_equal(a.read.body->len, 4);
	assert_memory_equal(a.read.body->data, "3456", 4);
	assert_memory_equal(store_read_attr(&a.read, "ver", &len), "7", 1);
	store_read_release(&a.read);
	ask_read(n->stores[1], &a, STORE_META, "o");
	a.read.offset = 12;
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(a.read.body->len, 0);
	store_read_release(&a.read);
	ask_read(n->stores[1], &a, STORE_DATA, "o");
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(a.read.status, -ENOENT);
}

static int append(struct nodes *n, int pool, const char *name, uint64_t offset, size_t len)
{
	struct buf *b = buf_new(len);
	memset(b->data, 'x', len);
	struct slice part = {.buf = b, .data = b->data, .len = len};
	int status = status_of(n, 0, pool, name,
		&(struct store_edits){.guards = &absent,
			.guard_count = offset == 0,
			.body_kind = STORE_BODY_WRITE_AT,
			.offset = offset,
			.body = &part,
			.body_count = 1});
	slice_drop(&part);
	return status;
}

static void a_full_pool_takes_what_does_not_grow(void **state)
{
	struct nodes *n = *state;
	assert_int_equal(put(n, "o", "7", "0123456789"), 0);
	store_model_options(n->model)->pools[STORE_META].capacity_bytes = 12;
	assert_int_equal(append(n, STORE_META, "o", 10, 3), -ENOSPC);
	assert_int_equal(append(n, STORE_META, "o", 10, 2), 0);
	assert_int_equal(append(n, STORE_META, "new", 0, 0), -ENOSPC);
	assert_int_equal(
		guarded(n, 0, "o", (struct store_guard){.kind = STORE_EXISTS}, "012345678901"), 0);
	assert_int_equal(status_of(n, 0, STORE_META, "o",
				 &(struct store_edits){.attrs = &(struct store_attr){"a", "v", 1},
					 .attr_count = 1}),
		0);
	assert_int_equal(status_of(n, 0, STORE_META, "o",
				 &(struct store_edits){.body_kind = STORE_BODY_REMOVE}),
		0);
	assert_int_equal(append(n, STORE_META, "new", 0, 12), 0);
}

static void an_erasure_coded_pool_takes_aligned_appends(void **state)
{
	struct nodes *n = *state;
	struct store_model_pool *pool = &store_model_options(n->model)->pools[STORE_DATA];
	*pool = (struct store_model_pool){.alignment = 8, .erasure_coded = true};
	assert_int_equal(append(n, STORE_DATA, "c", 0, 16), 0);
	assert_int_equal(append(n, STORE_DATA, "c", 8, 8), -EOPNOTSUPP);
	assert_int_equal(append(n, STORE_DATA, "c", 24, 8), -EINVAL);
	assert_int_equal(append(n, STORE_DATA, "c", 16, 3), 0);
	assert_int_equal(append(n, STORE_DATA, "c", 19, 8), -EOPNOTSUPP);
}

static void attributes_have_limits(void **state)
{
	struct nodes *n = *state;
	assert_int_equal(put(n, "o", "7", ""), 0);
	for (char c = 'a'; c < 'a' + STORE_ATTRS_MAX - 1; c++) {
		char name[] = {c, 0};
		assert_int_equal(
			status_of(n, 0, STORE_META, "o",
				&(struct store_edits){.attrs = &(struct store_attr){name, "v", 1},
					.attr_count = 1}),
			0);
	}
	struct store_attr attrs[] = {{"more", "v", 1}, {"ver", "8", 1}};
	struct store_edits e = {.attrs = attrs, .attr_count = 2};
	assert_int_equal(status_of(n, 0, STORE_META, "o", &e), -EINVAL);
	size_t len;
	assert_memory_equal(store_model_attr(n->model, STORE_META, "o", "ver", &len), "7", 1);
	/* an attribute set to nothing is gone and leaves its place */
	attrs[1] = (struct store_attr){"a", "", 0};
	assert_int_equal(status_of(n, 0, STORE_META, "o",
				 &(struct store_edits){.attrs = &attrs[1], .attr_count = 1}),
		0);
	assert_int_equal(status_of(n, 0, STORE_META, "o",
				 &(struct store_edits){.attrs = attrs, .attr_count = 1}),
		0);
}

static struct store_model_fault fault(enum store_model_fate fate)
{
	return (struct store_model_fault){.fate = fate, .prefix = "o", .times = 1};
}

static void unknown_outcomes(void **state)
{
	struct nodes *n = *state;
	struct store_guard exists = {.kind = STORE_EXISTS};
	assert_int_equal(put(n, "o", "7", "one"), 0);
	struct store_model_fault f = fault(STORE_MODEL_UNKNOWN_APPLIED);
	store_model_plan(n->model, &f);
	assert_int_equal(guarded(n, 0, "o", exists, "two"), ERR_UNKNOWN);
	assert_content(n, STORE_META, "o", "two");
	f = fault(STORE_MODEL_UNKNOWN_LOST);
	store_model_plan(n->model, &f);
	assert_int_equal(guarded(n, 0, "o", exists, "three"), ERR_UNKNOWN);
	assert_content(n, STORE_META, "o", "two");
	f = fault(STORE_MODEL_UNKNOWN_LATE);
	f.late_ns = 10 * SECOND;
	store_model_plan(n->model, &f);
	assert_int_equal(guarded(n, 0, "o", exists, "late"), ERR_UNKNOWN);
	assert_int_equal(guarded(n, 0, "o", exists, "four"), 0);
	assert_content(n, STORE_META, "o", "four");
	sim_run_for(&n->world, 11 * SECOND);
	assert_content(n, STORE_META, "o", "late");
	/* and its guards are judged when it applies */
	f = fault(STORE_MODEL_UNKNOWN_LATE);
	f.late_ns = 1000 * SECOND;
	store_model_plan(n->model, &f);
	assert_int_equal(
		guarded(n, 0, "o", (struct store_guard){STORE_ATTR_EQUAL, "ver", "7", 1}, "old"),
		ERR_UNKNOWN);
	assert_int_equal(status_of(n, 1, STORE_META, "o",
				 &(struct store_edits){.attrs = &(struct store_attr){"ver", "8", 1},
					 .attr_count = 1}),
		0);
	assert_int_equal(store_model_counters(n->model).parked, 1);
	store_model_apply_parked(n->model);
	assert_int_equal(store_model_counters(n->model).parked, 0);
	assert_content(n, STORE_META, "o", "late");
}

static void refusals_change_nothing(void **state)
{
	struct nodes *n = *state;
	struct store_guard exists = {.kind = STORE_EXISTS};
	assert_int_equal(put(n, "o", "7", "one"), 0);
	struct store_model_fault f = fault(STORE_MODEL_EIO);
	f.skip = 1;
	f.times = 2;
	store_model_plan(n->model, &f);
	assert_int_equal(guarded(n, 0, "o", exists, "two"), 0);
	assert_int_equal(guarded(n, 0, "o", exists, "three"), -EIO);
	assert_int_equal(guarded(n, 1, "o", exists, "three"), -EIO);
	assert_content(n, STORE_META, "o", "two");
	f = fault(STORE_MODEL_ENOSPC);
	store_model_plan(n->model, &f);
	assert_int_equal(guarded(n, 0, "o", exists, "three"), -ENOSPC);
	assert_content(n, STORE_META, "o", "two");
	f = fault(STORE_MODEL_CHECKSUM);
	f.reads = true;
	store_model_plan(n->model, &f);
	struct asked a;
	ask_read(n->stores[0], &a, STORE_META, "o");
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(a.read.status, ERR_CHECKSUM);
}

struct seen {
	unsigned changes, origin, late;
};

static void see(void *user, const struct store_model_change *change)
{
	struct seen *seen = user;
	assert_string_equal(change->name, "o");
	assert_int_equal(change->pool, STORE_META);
	seen->changes++;
	seen->origin = change->origin;
	seen->late += change->late;
}

static void a_cut_ends_with_unknown(void **state)
{
	struct nodes *n = *state;
	struct asked a, b;
	struct seen seen = {0};
	store_model_options(n->model)->unknown_after_ns = 2 * SECOND;
	assert_int_equal(put(n, "o", "7", "one"), 0);
	store_model_observe(n->model, see, &seen);
	/* answers do not come back: the write happens all the same */
	store_model_cut(n->stores[1], false, true);
	ask_write(n->stores[1], &a, STORE_META, "o", &(struct store_edits){0});
	assert_false(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(seen.changes, 1);
	assert_int_equal(seen.origin, store_model_number(n->stores[1]));
	ask_read(n->stores[1], &b, STORE_META, "o");
	assert_true(sim_run_until(&n->world, answered, &b, 3 * SECOND));
	assert_int_equal(a.write.status, ERR_UNKNOWN);
	assert_int_equal(b.read.status, -ETIMEDOUT);
	/* requests do not get there: some arrive later, some never; none twice */
	store_model_cut(n->stores[1], true, false);
	unsigned asked = 20;
	for (unsigned i = 0; i < asked; i++) {
		ask_write(n->stores[1], &a, STORE_META, "o", &(struct store_edits){0});
		assert_true(sim_run_until(&n->world, answered, &a, 3 * SECOND));
		assert_int_equal(a.write.status, ERR_UNKNOWN);
	}
	sim_run_for(&n->world, 100 * SECOND);
	assert_in_range(seen.late, 1, asked - 1);
	assert_int_equal(seen.changes, 1 + seen.late);
	/* opened again, what waits goes on */
	ask_write(n->stores[1], &a, STORE_META, "o", &(struct store_edits){0});
	assert_false(sim_run_until(&n->world, answered, &a, SECOND));
	store_model_cut(n->stores[1], false, false);
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(a.write.status, 0);
	store_model_observe(n->model, NULL, NULL);
}

static void a_stalled_store_waits(void **state)
{
	struct nodes *n = *state;
	struct asked a, b;
	assert_int_equal(put(n, "o", "7", "one"), 0);
	store_model_stall(n->model, n->stores[0], true);
	ask_read(n->stores[0], &a, STORE_META, "o");
	ask_read(n->stores[1], &b, STORE_META, "o");
	assert_false(sim_run_until(&n->world, answered, &a, 100 * SECOND));
	assert_int_equal(b.answers, 1);
	store_model_stall(n->model, n->stores[0], false);
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	store_read_release(&a.read);
	store_read_release(&b.read);
	struct store_model_fault f = fault(STORE_MODEL_STUCK);
	store_model_plan(n->model, &f);
	ask_write(n->stores[0], &a, STORE_META, "o", &(struct store_edits){0});
	assert_false(sim_run_until(&n->world, answered, &a, 100 * SECOND));
	store_model_release(n->model);
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
}

static void a_paused_loop_hears_later(void **state)
{
	struct nodes *n = *state;
	struct asked a;
	assert_int_equal(put(n, "o", "7", "one"), 0);
	ask_write(n->stores[0], &a, STORE_META, "o",
		&(struct store_edits){.body_kind = STORE_BODY_REMOVE});
	sim_loop_pause(&n->loops[0], true);
	assert_false(sim_run_until(&n->world, answered, &a, 100 * SECOND));
	assert_false(store_model_exists(n->model, STORE_META, "o"));
	sim_loop_pause(&n->loops[0], false);
	assert_true(sim_run_until(&n->world, answered, &a, SECOND));
	assert_int_equal(a.write.status, 0);
}

/* Over the seeds a killed node's writes are seen both applied and dropped, and never answered. */
static void a_killed_node_is_silent(void **state)
{
	(void)state;
	int applied = 0, dropped = 0;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct nodes n;
		struct asked a, r;
		open_with(&n, NULL);
		n.world.random_state = seed;
		ask_write(n.stores[0], &a, STORE_META, "o",
			&(struct store_edits){.guards = &absent, .guard_count = 1});
		ask_read(n.stores[0], &r, STORE_META, "o");
		sim_run_for(&n.world, (int64_t)(seed % 4) * NS_PER_MS / 2);
		sim_loop_kill(&n.loops[0]);
		bool was_answered = a.answers;
		store_model_kill(&n.stores[0]);
		sim_run_for(&n.world, 200 * SECOND);
		if (store_model_exists(n.model, STORE_META, "o"))
			applied++;
		else
			dropped++;
		assert_int_equal(a.answers, was_answered);
		store_read_release(&r.read);
		close_all(&n);
	}
	assert_true(applied > 0 && dropped > 0);
}

static void note_closed(struct loop_task *task)
{
	int *order = &container_of(task, struct asked, write.task)->order;
	*order = ++answers_so_far;
}

static void closing_answers_everything_first(void **state)
{
	(void)state;
	int cancelled = 0;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct nodes n;
		struct asked a[10], closed = {.write = {.task = {.run = note_closed}}};
		open_with(&n, NULL);
		n.world.random_state = seed;
		for (int i = 0; i < 10; i++) {
			char name[] = {(char)('0' + i), 0};
			ask_write(n.stores[0], &a[i], STORE_META, name,
				&(struct store_edits){.guards = &absent, .guard_count = 1});
		}
		store_free(&n.stores[0], &closed.write.task);
		assert_null(n.stores[0]);
		sim_run_for(&n.world, SECOND);
		for (int i = 0; i < 10; i++) {
			char name[] = {(char)('0' + i), 0};
			assert_int_equal(a[i].answers, 1);
			assert_true(a[i].order < closed.order);
			cancelled += a[i].write.status == -ECANCELED;
			assert_int_equal(a[i].write.status == 0,
				store_model_exists(n.model, STORE_META, name));
		}
		close_all(&n);
	}
	assert_true(cancelled > 0);
}

static void note_name(struct store_list *req, const char *name, uint64_t size)
{
	(void)req;
	assert_true(strncmp(name, "a/", 2) == 0);
	answers_so_far += (int)size;
}

static void done_listing(struct store_list *req)
{
	req->status += 1000;
}

static void done_measuring(struct store_space *req)
{
	req->status += 1000;
}

static void lists_and_measures(void **state)
{
	struct nodes *n = *state;
	store_model_put(n->model, STORE_META, "a/1", "x", 1);
	store_model_put(n->model, STORE_META, "a/2", "yy", 2);
	store_model_put(n->model, STORE_META, "b/2", "zzz", 3);
	store_model_put(n->model, STORE_DATA, "a/3", "zzzz", 4);
	answers_so_far = 0;
	struct store_list list = {.each = note_name, .done = done_listing};
	struct store_space space = {.done = done_measuring};
	store_list(n->stores[0], &list, STORE_META, "a/");
	store_space(n->stores[0], &space, STORE_META);
	sim_run_for(&n->world, SECOND);
	assert_int_equal(list.status, 1000);
	assert_int_equal(answers_so_far, 3);
	assert_int_equal(space.status, 1000);
	assert_int_equal(space.used_bytes, 6);
}

static void short_of_memory(void *user)
{
	struct nodes *n = user;
	struct asked w, r;
	struct buf *b = buf_new(3);
	if (!b)
		return;
	memcpy(b->data, "abc", 3);
	struct slice part = {.buf = b, .data = b->data, .len = 3};
	store_model_put(n->model, STORE_META, "m", NULL, 0);
	ask_write(n->stores[0], &w, STORE_META, "m",
		&(struct store_edits){.guards = &absent,
			.guard_count = 1,
			.attrs = &(struct store_attr){"a", "b", 1},
			.attr_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &part,
			.body_count = 1});
	slice_drop(&part);
	assert_true(sim_run_until(&n->world, answered, &w, SECOND));
	assert_true(w.write.status == 0 || w.write.status == -ENOMEM);
	assert_int_equal(store_model_exists(n->model, STORE_META, "m"), w.write.status == 0);
	ask_read(n->stores[0], &r, STORE_META, "m");
	assert_true(sim_run_until(&n->world, answered, &r, SECOND));
	assert_true(r.read.status == 0 || r.read.status == -ENOMEM || w.write.status);
	store_read_release(&r.read);
}

static void memory_runs_out_at_each_point(void **state)
{
	alloc_fail_sweep(short_of_memory, *state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(guards_hold), TEST(a_read_sees_one_instant),
		TEST(a_full_pool_takes_what_does_not_grow),
		TEST(an_erasure_coded_pool_takes_aligned_appends), TEST(attributes_have_limits),
		TEST(unknown_outcomes), TEST(refusals_change_nothing), TEST(a_stalled_store_waits),
		TEST(a_cut_ends_with_unknown), TEST(a_paused_loop_hears_later),
		cmocka_unit_test(a_killed_node_is_silent),
		cmocka_unit_test(closing_answers_everything_first), TEST(lists_and_measures),
		TEST(memory_runs_out_at_each_point)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
