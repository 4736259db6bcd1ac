/* SPDX-License-Identifier: Apache-2.0 */
/* Streams let go of for a rebuild, and taken again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "proto/refusal.h"
#include "storaged/archive/rebuild.h"
#include "storaged/ownership/keeper.h"
#include "tests/lib/footage_store.h"

#define STREAM "gate-7/main"

struct fixture {
	struct footage_store s;
	struct keeper *keeper;
	struct loop_task stopped;
	bool is_stopped;
};

struct asker {
	struct keeper_take req;
	bool told;
};

struct lender {
	struct keeper_lend req;
	bool told;
};

static void on_take(struct keeper_take *req)
{
	container_of(req, struct asker, req)->told = true;
}

static void on_lend(struct keeper_lend *req)
{
	container_of(req, struct lender, req)->told = true;
}

static void on_stopped(struct loop_task *task)
{
	container_of(task, struct fixture, stopped)->is_stopped = true;
}

/* A stream with a chunk, taken by nobody. */
static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct footage f;
	struct footage_chunk c;
	log_set_level(LOG_ERROR);
	footage_store_open(&x->s, STREAM);
	footage_start(&f, STREAM, false);
	footage_chunk_make(&c, &f, 3, 1, 4);
	footage_store_chunk(&x->s, &c);
	footage_chunk_fini(&c);
	footage_store_head(&x->s);
	const struct keeper_config config = {.loop = &x->s.loop.loop,
		.store = x->s.store,
		.node = "one",
		.boot_nonce = 7,
		.limits = cutter_defaults};
	assert_int_equal(keeper_new(&config, &x->keeper), 0);
	*state = x;
	return 0;
}

static void stop(struct fixture *x)
{
	x->stopped.run = on_stopped;
	keeper_free(&x->keeper, 10 * NS_PER_SECOND, &x->stopped);
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	if (x->keeper)
		stop(x);
	footage_store_wait(&x->s, &x->is_stopped);
	footage_store_close(&x->s);
	free(x);
	return 0;
}

static void take(struct fixture *x, struct asker *a)
{
	*a = (struct asker){.req.done = on_take};
	keeper_take(x->keeper, &a->req, STREAM);
}

static void lend(struct fixture *x, struct lender *l)
{
	*l = (struct lender){.req.done = on_lend};
	keeper_lend(x->keeper, &l->req, STREAM);
	assert_false(l->told);
}

/* --- tests --- */

static void who_asks_meanwhile_waits(void **state)
{
	struct fixture *x = *state;
	struct lender l, second;
	struct asker a;
	lend(x, &l);
	footage_store_wait(&x->s, &l.told);
	assert_int_equal(l.req.status, 0);
	lend(x, &second);
	footage_store_wait(&x->s, &second.told);
	assert_int_equal(second.req.status, -REFUSAL_CONFLICT);
	take(x, &a);
	sim_run_for(&x->s.world, 20 * NS_PER_SECOND);
	assert_false(a.told);
	assert_null(keeper_find(x->keeper, STREAM));
	keeper_return(&l.req);
	footage_store_wait(&x->s, &a.told);
	assert_int_equal(a.req.status, 0);
	assert_int_equal(writer_epoch(a.req.writer), 4);
	keeper_release(&a.req);
}

static void a_stream_that_is_held_is_yielded(void **state)
{
	struct fixture *x = *state;
	struct lender l;
	struct asker a, after;
	take(x, &a);
	footage_store_wait(&x->s, &a.told);
	assert_int_equal(a.req.status, 0);
	lend(x, &l);
	footage_store_wait(&x->s, &l.told);
	assert_int_equal(l.req.status, 0);
	take(x, &after);
	sim_run_for(&x->s.world, 20 * NS_PER_SECOND);
	assert_false(after.told);
	keeper_release(&a.req); /* its writer has ended; harmless */
	keeper_return(&l.req);
	footage_store_wait(&x->s, &after.told);
	assert_int_equal(after.req.status, 0);
	assert_int_equal(writer_epoch(after.req.writer), 5);
	keeper_release(&after.req);
}

static void while_it_is_being_taken(void **state)
{
	struct fixture *x = *state;
	struct lender l;
	struct asker a;
	take(x, &a);
	lend(x, &l);
	footage_store_wait(&x->s, &a.told);
	assert_int_equal(a.req.status, 0);
	footage_store_wait(&x->s, &l.told);
	assert_int_equal(l.req.status, 0);
	keeper_release(&a.req);
	keeper_return(&l.req);
}

static bool rebuilt;

static void on_finding(struct rebuild *r, const struct fsck_finding *finding)
{
	(void)r;
	assert_true(finding->repaired);
}

static void on_rebuilt(struct rebuild *r)
{
	(void)r;
	rebuilt = true;
}

/* What it is for: a head that nobody can take is made anew, and taken. */
static void a_damaged_head_is_rebuilt(void **state)
{
	struct fixture *x = *state;
	struct lender l;
	struct asker a;
	char name[STORE_NAME_MAX + 1];
	size_t len;
	head_name(name, STREAM);
	store_model_bytes(x->s.model, STORE_META, name, &len)[50] ^= 1;
	take(x, &a);
	footage_store_wait(&x->s, &a.told);
	assert_int_equal(a.req.status, -REFUSAL_STORE);
	lend(x, &l);
	footage_store_wait(&x->s, &l.told);
	assert_int_equal(l.req.status, 0);
	struct rebuild r = {
		.loop = &x->s.loop.loop,
		.store = x->s.store,
		.stream = STREAM,
		.owner = "one:7",
		.finding = on_finding,
		.done = on_rebuilt,
	};
	rebuilt = false;
	rebuild_start(&r);
	take(x, &a);
	footage_store_wait(&x->s, &rebuilt);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.findings, 2); /* the head, and a days object that never was */
	keeper_return(&l.req);
	footage_store_wait(&x->s, &a.told);
	assert_int_equal(a.req.status, 0);
	keeper_release(&a.req);
}

static void a_keeper_that_stops(void **state)
{
	struct fixture *x = *state;
	struct lender l, late;
	struct asker a;
	lend(x, &l);
	footage_store_wait(&x->s, &l.told);
	take(x, &a);
	struct keeper *keeper = x->keeper;
	stop(x);
	late = (struct lender){.req.done = on_lend};
	keeper_lend(keeper, &late.req, "other/main");
	footage_store_wait(&x->s, &late.told);
	assert_int_equal(late.req.status, -REFUSAL_STOPPING);
	sim_run_for(&x->s.world, 30 * NS_PER_SECOND);
	assert_false(x->is_stopped); /* it is still another's */
	keeper_return(&l.req);
	footage_store_wait(&x->s, &a.told);
	assert_int_equal(a.req.status, -REFUSAL_STOPPING);
}

static void stopped_while_one_waits(void **state)
{
	struct fixture *x = *state;
	struct lender l;
	struct asker a;
	take(x, &a);
	footage_store_wait(&x->s, &a.told);
	lend(x, &l);
	stop(x);
	footage_store_wait(&x->s, &l.told);
	assert_int_equal(l.req.status, -REFUSAL_STOPPING);
	keeper_release(&a.req);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_asks_meanwhile_waits),
		TEST(a_stream_that_is_held_is_yielded),
		TEST(while_it_is_being_taken),
		TEST(a_damaged_head_is_rebuilt),
		TEST(a_keeper_that_stops),
		TEST(stopped_while_one_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
