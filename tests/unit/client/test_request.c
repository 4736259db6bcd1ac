/* SPDX-License-Identifier: Apache-2.0 */
/* A question and its answer: over lost channels, refusals that pass and refusals that do not, until
 * patience ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "client/request.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/routing_rig.h"

struct question {
	struct request r;
	unsigned answers, last_at; /* how many came; which is the last */
	int bad_answer;            /* what to say of an answer instead */
	unsigned done;
	int status;
	int64_t done_ns;
	bool stop_inside;
};

static int on_answer(struct request *r, const struct frame *frame)
{
	struct question *q = container_of(r, struct question, r);
	assert_int_equal(frame->header.type, FRAME_DAYS_REPLY);
	q->answers++;
	if (q->stop_inside) {
		request_stop(r);
		return 0;
	}
	return q->bad_answer ? q->bad_answer : q->answers == q->last_at;
}

static void on_done(struct request *r, int status)
{
	struct question *q = container_of(r, struct question, r);
	q->done++;
	q->status = status;
	q->done_ns = world.now.ns;
}

static void ask(struct question *q)
{
	q->r.type = FRAME_DAYS;
	q->r.camera = "gate-7";
	q->r.answer = on_answer;
	q->r.done = on_done;
	q->last_at = q->last_at ? q->last_at : 1;
	request_start(&router, &q->r);
	assert_int_equal(q->done, 0);
}

static bool is_done(void *user)
{
	return ((struct question *)user)->done;
}

/* What it says in the end. */
static int status_of(struct question *q)
{
	if (!sim_run_until(&world, is_done, q, 1000 * NS_PER_SECOND))
		fail_msg("the request does not end");
	sim_run_for(&world, 60 * NS_PER_SECOND); /* nor does anything come after it */
	assert_int_equal(q->done, 1);
	return q->status;
}

static void test_answered(void **state)
{
	(void)state;
	for (unsigned answers = 1; answers < 5; answers++) {
		routing_begin(answers, 2);
		desks[0].answers = desks[1].answers = answers;
		struct question q = {.last_at = answers};
		ask(&q);
		assert_int_equal(status_of(&q), 0);
		assert_int_equal(q.answers, answers);
		assert_int_equal(desks[0].heard + desks[1].heard, 1);
		assert_int_equal(
			desks[0].stops + desks[1].stops, 0); /* it is over: nothing to stop */
		routing_finish();
	}
}

/* An answer that makes no sense ends it with what was said of it, and the desk is told to stop. */
static void test_an_answer_that_makes_no_sense(void **state)
{
	(void)state;
	routing_begin(5, 1);
	desks[0].answers = 3;
	struct question q = {.bad_answer = ERR_FORMAT};
	ask(&q);
	assert_int_equal(status_of(&q), ERR_FORMAT);
	assert_int_equal(q.answers, 1);
	assert_int_equal(desks[0].stops, 1);
	routing_finish();
}

/* What passes is asked again when the desk says, or soon when it does not. */
static void test_refusals_that_pass(void **state)
{
	(void)state;
	static const int codes[] = {REFUSAL_BUSY, REFUSAL_TAKING_OVER, REFUSAL_OVERLOAD,
		REFUSAL_STORE, REFUSAL_STOPPING, REFUSAL_CONFLICT};
	for (unsigned i = 0; i < ARRAY_LEN(codes); i++)
		for (unsigned ms = 0; ms < 2000; ms += 900) {
			routing_begin(6, 1);
			desks[0].refuse = codes[i];
			desks[0].refusals = 3;
			desks[0].retry_after_ms = ms;
			struct question q = {0};
			ask(&q);
			int64_t began = world.now.ns;
			assert_int_equal(status_of(&q), 0);
			assert_int_equal(desks[0].heard, 4);
			assert_true(q.done_ns - began >= 3 * (int64_t)ms * NS_PER_MS);
			assert_true(
				q.done_ns - began < 3 * (int64_t)ms * NS_PER_MS + NS_PER_SECOND);
			routing_finish();
		}
}

static void test_refused_for_good(void **state)
{
	(void)state;
	static const int codes[] = {
		REFUSAL_UNKNOWN_CAMERA, REFUSAL_ROLE, REFUSAL_GONE, REFUSAL_PROTOCOL, 999};
	for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
		routing_begin(7, 1);
		desks[0].refuse = codes[i];
		desks[0].refusals = UINT_MAX;
		struct question q = {0};
		ask(&q);
		assert_int_equal(status_of(&q), ERR_REFUSED);
		assert_int_equal(q.r.refused.code, codes[i]);
		assert_string_equal(q.r.refused.reason, "as told");
		assert_int_equal(desks[0].heard, 1);
		routing_finish();
	}
}

/* A refusal that does not pass within its patience: it says what it was refused for, and asked no
 * more often than it was told to. */
static void test_patience(void **state)
{
	(void)state;
	for (unsigned seconds = 0; seconds < 8; seconds += 2) {
		routing_begin(8 + seconds, 1);
		desks[0].refuse = REFUSAL_BUSY;
		desks[0].refusals = UINT_MAX;
		desks[0].retry_after_ms = 500;
		struct question q = {.r.patience_ns = seconds * NS_PER_SECOND};
		ask(&q);
		int64_t began = world.now.ns;
		assert_int_equal(status_of(&q), ERR_REFUSED);
		assert_int_equal(q.r.refused.code, REFUSAL_BUSY);
		int64_t waited = seconds ? seconds * NS_PER_SECOND : REQUEST_PATIENCE_NS;
		assert_int_equal(q.done_ns - began, waited);
		assert_in_range(
			desks[0].heard, waited / NS_PER_SECOND, 2 * waited / NS_PER_SECOND + 1);
		routing_finish();
	}
}

/* A desk that takes the question and says nothing. */
static void test_no_answer(void **state)
{
	(void)state;
	routing_begin(20, 1);
	desks[0].mute = true;
	struct question q = {0};
	ask(&q);
	int64_t began = world.now.ns;
	assert_int_equal(status_of(&q), -ETIMEDOUT);
	assert_int_equal(q.done_ns - began, REQUEST_PATIENCE_NS);
	assert_int_equal(desks[0].stops, 1);
	routing_finish();
}

/* Channels that break are had again a few times; nobody there at all ends it with the reason. */
static void test_losses(void **state)
{
	(void)state;
	for (unsigned times = 1; times < 8; times++) {
		routing_begin(20 + times, 1);
		desks[0].hang_up = times;
		struct question q = {.r.patience_ns = 100 * NS_PER_SECOND};
		ask(&q);
		int status = status_of(&q);
		assert_int_equal(status, times < 6 ? 0 : ERR_CLOSED);
		assert_int_equal(desks[0].heard, times < 6 ? times + 1 : 6);
		routing_finish();
	}
	routing_begin(29, 2);
	desk_unlisten(&desks[0]);
	desk_unlisten(&desks[1]);
	struct question q = {.r.patience_ns = 100 * NS_PER_SECOND};
	ask(&q);
	assert_int_equal(status_of(&q), -ECONNREFUSED);
	routing_finish();
}

/* Once its first answer has come, what must not be done twice is not asked again. */
static void test_once(void **state)
{
	(void)state;
	for (unsigned once = 0; once < 2; once++) {
		routing_begin(30 + once, 1);
		desks[0].answers = 2;
		struct question q = {.last_at = 3, .r.once = once};
		ask(&q);
		sim_run_for(&world, NS_PER_SECOND);
		assert_int_equal(q.answers, 2);
		desk_reset(&desks[0]);
		int status = status_of(&q);
		assert_int_equal(status, once ? -ECONNRESET : 0);
		assert_int_equal(desks[0].heard, once ? 1 : 2);
		routing_finish();
	}
	/* before that it is asked again as any other */
	routing_begin(32, 1);
	desks[0].hang_up = 1;
	struct question q = {.r.once = true};
	ask(&q);
	assert_int_equal(status_of(&q), 0);
	routing_finish();
}

static void test_stopped_at_any_moment(void **state)
{
	(void)state;
	for (unsigned us = 0; us < 8000; us += 250)
		for (unsigned kind = 0; kind < 4; kind++) {
			routing_begin(40 + us + kind, 1);
			desks[0].mute = kind == 1;
			desks[0].refuse = REFUSAL_BUSY;
			desks[0].refusals = kind == 2 ? UINT_MAX : 0;
			if (kind == 3)
				desk_unlisten(&desks[0]);
			struct question q = {0};
			ask(&q);
			sim_run_for(&world, us * 1000);
			unsigned done = q.done;
			request_stop(&q.r);
			request_stop(&q.r);
			sim_run_for(&world, 30 * NS_PER_SECOND);
			assert_int_equal(q.done, done);
			routing_finish();
		}
}

static void test_stopped_inside_of_its_answer(void **state)
{
	(void)state;
	routing_begin(50, 1);
	desks[0].answers = 3;
	struct question q = {.last_at = 3, .stop_inside = true};
	ask(&q);
	sim_run_for(&world, 30 * NS_PER_SECOND);
	assert_int_equal(q.answers, 1);
	assert_int_equal(q.done, 0);
	routing_finish();
}

static void test_the_router_stops(void **state)
{
	(void)state;
	routing_begin(51, 1);
	desks[0].mute = true;
	struct question q = {0};
	ask(&q);
	sim_run_for(&world, NS_PER_SECOND);
	routing_finish();
	assert_int_equal(q.done, 1);
	assert_int_equal(q.status, -ECANCELED);
}

static void asking(void *user)
{
	(void)user;
	alloc_fail_suspend(true);
	routing_begin(52, 2);
	for (unsigned i = 0; i < 2; i++) {
		desks[i].refuse = REFUSAL_BUSY;
		desks[i].refusals = 1;
	}
	struct question q = {0};
	alloc_fail_suspend(false);
	ask(&q);
	sim_run_for(&world, 30 * NS_PER_SECOND);
	alloc_fail_suspend(true);
	assert_int_equal(q.done, 1);
	assert_true(q.status == 0 || q.status == -ENOMEM || q.status == ERR_REFUSED ||
		    q.status == -ECONNREFUSED || q.status == ERR_CLOSED || q.status == -ETIMEDOUT);
	request_stop(&q.r);
	routing_finish();
	alloc_fail_suspend(false);
}

static void test_short_of_memory(void **state)
{
	(void)state;
	alloc_fail_sweep(asking, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_an_answer_that_makes_no_sense),
		cmocka_unit_test(test_refusals_that_pass),
		cmocka_unit_test(test_refused_for_good),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_stopped_at_any_moment),
		cmocka_unit_test(test_stopped_inside_of_its_answer),
		cmocka_unit_test(test_the_router_stops),
		cmocka_unit_test(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
