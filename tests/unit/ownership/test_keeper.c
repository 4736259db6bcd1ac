/* SPDX-License-Identifier: Apache-2.0 */
/* Streams taken, shared, held, yielded and lost. */
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
#include "storaged/ownership/keeper.h"
#include "tests/lib/footage.h"
#include "tests/lib/store_model.h"

#define STREAM "gate-7/main"

struct asker {
	struct keeper_take take;
	unsigned done;
};

struct daemon {
	struct sim_loop loop;
	struct store *store;
	struct keeper *keeper;
	struct loop_task stopped, closed;
	bool is_stopped, is_closed;
};

struct place {
	struct sim_world world;
	struct store_backend *model;
	struct daemon daemons[2];
};

static void daemon_start(struct place *p, struct daemon *d, uint32_t streams_max)
{
	memset(d, 0, sizeof(*d));
	sim_loop_init(&d->loop, &p->world);
	d->store = store_new(p->model, &d->loop.loop);
	assert_non_null(d->store);
	const struct keeper_config config = {.loop = &d->loop.loop,
		.store = d->store,
		.node = d == &p->daemons[0] ? "one" : "two",
		.boot_nonce = sim_random(&p->world),
		.limits = cutter_defaults,
		.streams_max = streams_max,
		.idle_yield_ns = 100 * NS_PER_SECOND};
	assert_int_equal(keeper_new(&config, &d->keeper), 0);
}

static void place_start(struct place *p, uint32_t streams_max)
{
	memset(p, 0, sizeof(*p));
	log_set_level(LOG_ERROR);
	sim_world_init(&p->world, 1);
	p->model = store_model_new(&p->world, NULL);
	daemon_start(p, &p->daemons[0], streams_max);
	daemon_start(p, &p->daemons[1], streams_max);
}

static void on_closed(struct loop_task *task)
{
	container_of(task, struct daemon, closed)->is_closed = true;
}

static void on_stopped(struct loop_task *task)
{
	struct daemon *d = container_of(task, struct daemon, stopped);
	d->is_stopped = true;
	d->closed.run = on_closed;
	store_free(&d->store, &d->closed);
}

static void daemon_stop_begin(struct daemon *d)
{
	d->stopped.run = on_stopped;
	keeper_free(&d->keeper, 20 * NS_PER_SECOND, &d->stopped);
	assert_null(d->keeper);
	assert_false(d->is_stopped); /* never inside the call */
}

static bool is_closed(void *user)
{
	return ((struct daemon *)user)->is_closed;
}

static void daemon_stop(struct place *p, struct daemon *d)
{
	if (d->keeper)
		daemon_stop_begin(d);
	assert_true(sim_run_until(&p->world, is_closed, d, 300 * NS_PER_SECOND));
	sim_loop_fini(&d->loop);
}

static void place_end(struct place *p)
{
	daemon_stop(p, &p->daemons[0]);
	daemon_stop(p, &p->daemons[1]);
	store_backend_close(&p->model);
	sim_world_fini(&p->world);
}

static void on_done(struct keeper_take *take)
{
	container_of(take, struct asker, take)->done++;
}

static void ask(struct daemon *d, struct asker *a, const char *stream, bool create)
{
	*a = (struct asker){.take = {.done = on_done, .create = create}};
	keeper_take(d->keeper, &a->take, stream);
	assert_int_equal(a->done, 0); /* never inside the call */
}

static void run_s(struct place *p, int64_t seconds)
{
	sim_run_for(&p->world, seconds * NS_PER_SECOND);
}

static void answered(const struct asker *a, int status)
{
	assert_int_equal(a->done, 1);
	assert_int_equal(a->take.status, status);
	assert_true(!status == (a->take.writer != NULL));
}

static void test_askers_share_one_take(void **state)
{
	(void)state;
	struct place p;
	struct asker askers[10];
	place_start(&p, 0);
	struct daemon *d = &p.daemons[0];
	for (unsigned i = 0; i < 5; i++)
		ask(d, &askers[i], STREAM, true);
	sim_run_for(&p.world, 2 * NS_PER_MS);
	for (unsigned i = 5; i < 10; i++)
		ask(d, &askers[i], STREAM, true);
	assert_null(keeper_find(d->keeper, STREAM)); /* not READY */
	run_s(&p, 1);
	for (unsigned i = 0; i < 10; i++) {
		answered(&askers[i], 0);
		assert_ptr_equal(askers[i].take.writer, keeper_find(d->keeper, STREAM));
	}
	assert_int_equal(
		store_counters(d->store, STORE_META)->writes, 1); /* the head was made once */
	assert_string_equal(writer_stream(askers[0].take.writer), STREAM);
	for (unsigned i = 0; i < 10; i++)
		keeper_release(&askers[i].take);
	place_end(&p);
}

static void test_no_such_stream(void **state)
{
	(void)state;
	struct place p;
	struct asker looks, makes, again;
	place_start(&p, 0);
	ask(&p.daemons[0], &looks, STREAM, false);
	run_s(&p, 1);
	answered(&looks, -ENOENT);
	/* one who looks and one who makes, together */
	ask(&p.daemons[0], &looks, STREAM, false);
	ask(&p.daemons[0], &makes, STREAM, true);
	run_s(&p, 1);
	assert_int_equal(looks.done, 1);
	answered(&makes, 0);
	if (!looks.take.status)
		keeper_release(&looks.take);
	ask(&p.daemons[0], &again, STREAM, false);
	run_s(&p, 1);
	answered(&again, 0);
	keeper_release(&again.take);
	keeper_release(&makes.take);
	place_end(&p);
}

static void test_idle_streams_are_forgotten(void **state)
{
	(void)state;
	struct place p;
	struct asker a, b;
	place_start(&p, 0);
	struct daemon *d = &p.daemons[0];
	ask(d, &a, STREAM, true);
	run_s(&p, 1);
	run_s(&p, 200);
	assert_non_null(keeper_find(d->keeper, STREAM)); /* held: not idle */
	keeper_release(&a.take);
	run_s(&p, 90);
	assert_non_null(keeper_find(d->keeper, STREAM));
	run_s(&p, 20);
	assert_null(keeper_find(d->keeper, STREAM));
	ask(d, &b, STREAM, false);
	run_s(&p, 1);
	answered(&b, 0);
	assert_true(writer_epoch(b.take.writer) == 2);
	keeper_release(&b.take);
	/* asked for again at the very moment it is being forgotten */
	for (int ms = 99990; ms < 100020; ms++) {
		struct asker c;
		ask(d, &b, STREAM, false);
		run_s(&p, 1);
		answered(&b, 0);
		keeper_release(&b.take);
		sim_run_for(&p.world, ms * NS_PER_MS);
		ask(d, &c, STREAM, false);
		run_s(&p, 1);
		answered(&c, 0);
		keeper_release(&c.take);
	}
	place_end(&p);
}

static void test_as_many_streams_as_it_may(void **state)
{
	(void)state;
	struct place p;
	struct asker a[3];
	place_start(&p, 2);
	ask(&p.daemons[0], &a[0], "a/main", true);
	ask(&p.daemons[0], &a[1], "b/main", true);
	ask(&p.daemons[0], &a[2], "c/main", true);
	run_s(&p, 1);
	answered(&a[0], 0);
	answered(&a[1], 0);
	answered(&a[2], -REFUSAL_STREAMS);
	keeper_release(&a[0].take);
	keeper_release(&a[1].take);
	place_end(&p);
}

static void confirm(struct daemon *d, struct asker *a)
{
	*a = (struct asker){.take = {.done = on_done, .confirm = true}};
	keeper_take(d->keeper, &a->take, STREAM);
	assert_int_equal(a->done, 0);
}

static uint64_t epoch_of(const struct asker *a)
{
	answered(a, 0);
	return writer_epoch(a->take.writer);
}

/* A stream that another has taken is READY here until something is refused; who must know asks the
 * head. */
static void test_confirmed_by_the_head(void **state)
{
	(void)state;
	struct place p;
	struct asker a, b, c, others;
	place_start(&p, 0);
	struct daemon *one = &p.daemons[0], *two = &p.daemons[1];
	ask(one, &a, STREAM, true);
	run_s(&p, 1);
	keeper_release(&a.take);
	/* ours: a read, no write; those who come while it is under way share the next */
	uint64_t writes = store_counters(one->store, STORE_META)->writes;
	uint64_t reads = store_counters(one->store, STORE_META)->reads;
	confirm(one, &a);
	confirm(one, &b);
	confirm(one, &c);
	run_s(&p, 1);
	assert_true(epoch_of(&a) == 1 && epoch_of(&b) == 1 && epoch_of(&c) == 1);
	assert_int_equal(store_counters(one->store, STORE_META)->writes, writes);
	assert_int_equal(store_counters(one->store, STORE_META)->reads, reads + 2);
	keeper_release(&a.take);
	keeper_release(&b.take);
	/* another's meanwhile: taken anew, once nobody holds what has ended */
	ask(two, &others, STREAM, false);
	run_s(&p, 1);
	assert_true(epoch_of(&others) == 2);
	ask(one, &a, STREAM, false);
	run_s(&p, 1);
	assert_true(epoch_of(&a) == 1);
	keeper_release(&a.take);
	confirm(one, &a);
	confirm(one, &b);
	run_s(&p, 1);
	answered(&a, -REFUSAL_TAKING_OVER);
	answered(&b, -REFUSAL_TAKING_OVER);
	keeper_release(&c.take);
	confirm(one, &a);
	run_s(&p, 1);
	assert_true(epoch_of(&a) == 3);
	keeper_release(&a.take);
	confirm(two, &b);
	keeper_release(&others.take);
	run_s(&p, 1);
	assert_true(epoch_of(&b) == 4);
	confirm(one, &a);
	run_s(&p, 1);
	assert_true(epoch_of(&a) == 5);
	keeper_release(&a.take);
	keeper_release(&b.take);
	place_end(&p);
}

static void test_confirming_fails_and_is_stopped(void **state)
{
	(void)state;
	struct place p;
	struct asker a, b;
	place_start(&p, 0);
	struct daemon *one = &p.daemons[0];
	ask(one, &a, STREAM, true);
	run_s(&p, 1);
	keeper_release(&a.take);
	struct store_model_fault fault = {.fate = STORE_MODEL_EIO, .reads = true, .times = 1};
	store_model_plan(p.model, &fault);
	confirm(one, &a);
	confirm(one, &b);
	run_s(&p, 1);
	answered(&a, -REFUSAL_STORE);
	assert_true(epoch_of(&b) == 1);
	keeper_release(&b.take);
	/* stopped at every moment of it */
	for (int us = 0; us < 12000; us += 250) {
		confirm(one, &a);
		confirm(one, &b);
		sim_run_for(&p.world, us * 1000);
		daemon_stop_begin(one);
		run_s(&p, 1);
		assert_int_equal(a.done, 1);
		assert_int_equal(b.done, 1);
		if (!a.take.status)
			keeper_release(&a.take);
		if (!b.take.status)
			keeper_release(&b.take);
		daemon_stop(&p, one);
		daemon_start(&p, one, 0);
		ask(one, &a, STREAM, false);
		run_s(&p, 1);
		keeper_release(&a.take);
	}
	place_end(&p);
}

static void count_one(void *user, struct writer *w)
{
	assert_non_null(w);
	++*(unsigned *)user;
}

static void test_each(void **state)
{
	(void)state;
	struct place p;
	struct asker a[3];
	unsigned count = 0;
	place_start(&p, 0);
	ask(&p.daemons[0], &a[0], "a/main", true);
	ask(&p.daemons[0], &a[1], "b/main", true);
	ask(&p.daemons[0], &a[2], "c/main", false);
	run_s(&p, 1);
	keeper_each(p.daemons[0].keeper, count_one, &count);
	assert_int_equal(count, 2);
	keeper_release(&a[0].take);
	keeper_release(&a[1].take);
	place_end(&p);
}

/* --- a recorder's session on it --- */

static struct {
	struct writer_session session;
	struct footage footage;
	unsigned told;
	int failed;
} recorder;

static void on_progress(struct writer_session *s, int failed)
{
	(void)s;
	recorder.told++;
	if (failed)
		recorder.failed = failed;
}

static void recorder_open(struct writer *w)
{
	memset(&recorder, 0, sizeof(recorder));
	footage_start(&recorder.footage, STREAM, false);
	recorder.session = (struct writer_session){
		.session = recorder.footage.session, .from_seq = 1, .progress = on_progress};
	struct buf *init = footage_init(&recorder.footage);
	assert_int_equal(writer_session_open(w, &recorder.session, init), 0);
	buf_unref(&init);
}

static int recorder_send(void)
{
	struct fragment_header h;
	struct buf *body = footage_fragment(&recorder.footage, &h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	int rc = writer_append(&recorder.session, &h, &slice, h.capture);
	slice_drop(&slice);
	return rc;
}

static void test_lost_to_another_daemon(void **state)
{
	(void)state;
	struct place p;
	struct asker old, new_here, thief;
	place_start(&p, 0);
	ask(&p.daemons[0], &old, STREAM, true);
	run_s(&p, 1);
	recorder_open(old.take.writer);
	assert_int_equal(recorder_send(), 0);
	run_s(&p, 2);
	ask(&p.daemons[1], &thief, STREAM, false);
	run_s(&p, 1);
	answered(&thief, 0);
	assert_int_equal(recorder_send(), 0); /* it does not know yet */
	run_s(&p, 3);
	assert_int_equal(recorder.failed, REFUSAL_NOT_OWNER);
	assert_int_equal(recorder_send(), -REFUSAL_NOT_OWNER);
	assert_null(keeper_find(p.daemons[0].keeper, STREAM));
	/* whoever asks now gets a new tenure, while the old one is still held */
	ask(&p.daemons[0], &new_here, STREAM, false);
	run_s(&p, 1);
	answered(&new_here, 0);
	assert_ptr_not_equal(new_here.take.writer, old.take.writer);
	assert_true(writer_epoch(new_here.take.writer) == 3);
	struct writer_stats stats;
	writer_stats(old.take.writer, &stats); /* harmless */
	keeper_release(&old.take);
	keeper_release(&new_here.take);
	keeper_release(&thief.take);
	place_end(&p);
}

static void test_a_store_that_fails_is_told(void **state)
{
	(void)state;
	struct place p;
	struct asker a;
	place_start(&p, 0);
	struct store_model_fault fault = {
		.fate = STORE_MODEL_EIO, .reads = true, .prefix = "head/", .times = 100000};
	store_model_plan(p.model, &fault);
	ask(&p.daemons[0], &a, STREAM, true);
	run_s(&p, 20);
	assert_int_equal(a.done, 0);
	run_s(&p, 20);
	answered(&a, -REFUSAL_STORE);
	store_model_withdraw(&fault);
	ask(&p.daemons[0], &a, STREAM, true);
	run_s(&p, 1);
	answered(&a, 0);
	keeper_release(&a.take);
	place_end(&p);
}

/* --- stopping --- */

static void test_stop_yields_everything(void **state)
{
	(void)state;
	struct place p;
	struct asker a;
	size_t len;
	place_start(&p, 0);
	ask(&p.daemons[0], &a, STREAM, true);
	run_s(&p, 1);
	recorder_open(a.take.writer);
	for (int i = 0; i < 5; i++)
		assert_int_equal(recorder_send(), 0);
	daemon_stop_begin(&p.daemons[0]);
	run_s(&p, 3);
	assert_int_equal(recorder.failed, REFUSAL_STOPPING);
	assert_false(p.daemons[0].is_stopped); /* its asker still holds the writer */
	keeper_release(&a.take);
	daemon_stop(&p, &p.daemons[0]);
	(void)store_model_attr(p.model, STORE_META, "head/" STREAM, "owner", &len);
	assert_int_equal(len, 0);
	/* what was taken is durable: the next owner knows it */
	ask(&p.daemons[1], &a, STREAM, false);
	run_s(&p, 1);
	answered(&a, 0);
	struct writer_open_chunk chunks[HEAD_INTENTS_MAX];
	assert_int_equal(writer_open_chunks(a.take.writer, chunks), 0); /* nothing to recover */
	recorder.failed = 0;
	struct buf *init = footage_init(&recorder.footage);
	recorder.session = (struct writer_session){
		.session = recorder.footage.session, .from_seq = 6, .progress = on_progress};
	assert_int_equal(writer_session_open(a.take.writer, &recorder.session, init), 0);
	assert_int_equal(recorder.session.durable, 5);
	buf_unref(&init);
	writer_session_close(&recorder.session, true);
	keeper_release(&a.take);
	daemon_start(&p, &p.daemons[0], 0);
	place_end(&p);
}

static void test_stop_at_every_moment(void **state)
{
	(void)state;
	for (int64_t at = 0; at < 60; at++) {
		struct place p;
		struct asker a, b;
		place_start(&p, 0);
		ask(&p.daemons[0], &a, STREAM, true);
		ask(&p.daemons[0], &b, "other/main", true);
		sim_run_for(&p.world, at * NS_PER_MS / 2);
		if (a.done && !a.take.status) {
			recorder_open(a.take.writer);
			assert_int_equal(recorder_send(), 0);
			writer_flush(&recorder.session);
			sim_run_for(&p.world, (at % 7) * NS_PER_MS);
		}
		daemon_stop_begin(&p.daemons[0]);
		run_s(&p, 40);
		assert_int_equal(a.done, 1);
		assert_int_equal(b.done, 1);
		if (!a.take.status)
			keeper_release(&a.take);
		if (!b.take.status)
			keeper_release(&b.take);
		place_end(&p);
	}
}

static void test_stop_has_a_deadline(void **state)
{
	(void)state;
	struct place p;
	struct asker a;
	place_start(&p, 0);
	ask(&p.daemons[0], &a, STREAM, true);
	run_s(&p, 1);
	recorder_open(a.take.writer);
	assert_int_equal(recorder_send(), 0);
	struct store_model_fault fault = {.fate = STORE_MODEL_EIO, .times = 100000};
	store_model_plan(p.model, &fault);
	keeper_release(&a.take);
	daemon_stop_begin(&p.daemons[0]);
	run_s(&p, 15);
	assert_false(p.daemons[0].is_stopped);
	run_s(&p, 10);
	assert_true(p.daemons[0].is_stopped);
	store_model_withdraw(&fault);
	place_end(&p);
}

static void test_bad_configuration(void **state)
{
	(void)state;
	struct place p;
	struct keeper *k = NULL;
	char name[200];
	place_start(&p, 0);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	const struct keeper_config config = {
		.loop = &p.daemons[0].loop.loop, .store = p.daemons[0].store, .node = name};
	assert_int_equal(keeper_new(&config, &k), -EINVAL);
	assert_null(k);
	place_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_askers_share_one_take),
		cmocka_unit_test(test_no_such_stream),
		cmocka_unit_test(test_idle_streams_are_forgotten),
		cmocka_unit_test(test_as_many_streams_as_it_may),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_confirmed_by_the_head),
		cmocka_unit_test(test_confirming_fails_and_is_stopped),
		cmocka_unit_test(test_lost_to_another_daemon),
		cmocka_unit_test(test_a_store_that_fails_is_told),
		cmocka_unit_test(test_stop_yields_everything),
		cmocka_unit_test(test_stop_at_every_moment),
		cmocka_unit_test(test_stop_has_a_deadline),
		cmocka_unit_test(test_bad_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
