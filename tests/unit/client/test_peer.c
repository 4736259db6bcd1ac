/* SPDX-License-Identifier: Apache-2.0 */
/* One daemon as the router sees it: dialled by many with one channel, dialled again with growing,
 * jittered pauses, its numbers, and how many share a channel that is full. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "client/peer.h"
#include "proto/refusal.h"
#include "tests/unit/client/routing_rig.h"

/* Asked by many before it answers: one dial, and all are served. */
static void test_one_channel_for_all(void **state)
{
	(void)state;
	routing_begin(1, 1);
	struct caller c[20] = {0};
	for (unsigned i = 0; i < 20; i++)
		caller_start(&c[i], "gate-7");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(c[i].ready, 0); /* not inside of the call */
	sim_run_for(&world, NS_PER_SECOND);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(c[i].frames, 1);
		exchange_stop(&c[i].x, false);
	}
	assert_int_equal(dial_count, 1);
	for (unsigned i = 0; i < 20; i++)
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(desks[0].numbers[i], desks[0].numbers[j]);
	routing_finish();
}

/* Dials of a desk that is not there, for a while: their times. */
static size_t pauses(uint64_t seed, int64_t for_ns, int64_t *ret_ns)
{
	routing_begin(seed, 1);
	desk_unlisten(&desks[0]);
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	sim_run_for(&world, for_ns);
	exchange_stop(&c.x, false);
	size_t count = dial_count - 1;
	for (size_t i = 0; i < count && i < 16; i++)
		ret_ns[i] = dials[i + 1].ns - dials[i].ns;
	routing_finish();
	return count;
}

/* From a tenth of a second on, twice as long each time up to ten seconds, half as long or half as
 * long again: a thousand clients of a desk that comes back do not come at once. */
static void test_pauses_grow_and_are_spread(void **state)
{
	(void)state;
	int64_t first_min = INT64_MAX, first_max = 0;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		int64_t ns[16];
		size_t count = pauses(seed, 120 * NS_PER_SECOND, ns);
		assert_in_range(count, 10, 40);
		int64_t middle = NS_PER_SECOND / 10;
		for (size_t i = 0; i < count && i < 16; i++) {
			assert_true(ns[i] >= middle / 2);
			assert_true(ns[i] <= middle + middle / 2 + 10 * NS_PER_MS);
			middle = middle * 2 < 10 * NS_PER_SECOND ? middle * 2 : 10 * NS_PER_SECOND;
		}
		first_min = ns[5] < first_min ? ns[5] : first_min;
		first_max = ns[5] > first_max ? ns[5] : first_max;
	}
	assert_true(first_max > 2 * first_min);
}

/* A desk that takes the channel and drops it at once is backed off from like one that is not there;
 * one that held for a while is dialled again soon. */
static void test_a_flapping_desk(void **state)
{
	(void)state;
	routing_begin(41, 1);
	desks[0].hang_up = UINT32_MAX;
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	sim_run_for(&world, 120 * NS_PER_SECOND);
	assert_in_range(dial_count, 10, 40);
	desks[0].hang_up = 0;
	caller_waits_frames(&c, 1);
	sim_run_for(&world, 20 * NS_PER_SECOND);
	int64_t now = world.now.ns;
	desk_reset(&desks[0]);
	caller_waits_frames(&c, 1);
	assert_true(world.now.ns - now < NS_PER_SECOND);
	exchange_stop(&c.x, false);
	routing_finish();
}

/* Nobody asks any more: it is not dialled for nothing. */
static void test_nobody_waits(void **state)
{
	(void)state;
	routing_begin(42, 1);
	desk_unlisten(&desks[0]);
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	sim_run_for(&world, NS_PER_SECOND);
	exchange_stop(&c.x, false);
	size_t before = dial_count;
	sim_run_for(&world, 60 * NS_PER_SECOND);
	assert_int_equal(dial_count, before);
	routing_finish();
}

/* A channel that is lost: all who talked or waited learn why, once. */
static void test_all_learn_of_a_loss(void **state)
{
	(void)state;
	routing_begin(43, 1);
	desks[0].mute = true;
	struct caller c[5] = {0};
	for (unsigned i = 0; i < 5; i++)
		caller_start(&c[i], "gate-7");
	sim_run_for(&world, NS_PER_SECOND);
	struct caller late = {0};
	caller_start(&late, "gate-7");
	desk_reset(&desks[0]);
	sim_run_for(&world, NS_PER_SECOND);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(c[i].lost, 1);
		assert_int_equal(c[i].status, -ECONNRESET);
	}
	assert_int_equal(late.lost, 1);
	routing_finish();
}

static void test_a_half_open_connection(void **state)
{
	(void)state;
	routing_begin(44, 1);
	desks[0].mute = true;
	struct caller c = {0};
	caller_start(&c, "gate-7");
	sim_run_for(&world, NS_PER_SECOND);
	model_net_cut_way(net, "d0", "client", true);
	caller_waits_lost(&c, 1); /* the channel notices the silence */
	assert_int_equal(c.status, -ETIMEDOUT);
	model_net_cut_way(net, "d0", "client", false);
	routing_finish();
}

/* An answer to a question that was stopped meets nobody, though others were asked since. */
static void test_answers_that_come_too_late(void **state)
{
	(void)state;
	routing_begin(45, 1);
	for (unsigned i = 0; i < 50; i++) {
		struct caller gone = {0}, c = {0};
		desks[0].answers = 3;
		caller_start(&gone, "gate-7");
		while (!gone.ready)
			assert_true(sim_step(&world));
		exchange_stop(&gone.x, i % 2);
		desks[0].answers = 1;
		caller_start(&c, "gate-7");
		caller_waits_frames(&c, 1);
		sim_run_for(&world, NS_PER_SECOND);
		assert_int_equal(gone.frames, 0);
		assert_int_equal(c.frames, 1);
		exchange_stop(&c.x, false);
	}
	assert_int_equal(desks[0].stops, 25); /* it was told where that was wished */
	routing_finish();
}

static void test_stopped_before_it_was_ready(void **state)
{
	(void)state;
	for (unsigned us = 0; us < 6000; us += 250) {
		routing_begin(46 + us, 1);
		struct caller c = {0};
		caller_start(&c, "gate-7");
		sim_run_for(&world, us * 1000);
		exchange_stop(&c.x, true);
		assert_true(exchange_is_idle(&c.x));
		exchange_stop(&c.x, true);
		unsigned ready = c.ready, frames = c.frames;
		sim_run_for(&world, 10 * NS_PER_SECOND);
		assert_int_equal(c.ready, ready);
		assert_int_equal(c.frames, frames);
		assert_int_equal(c.lost, 0);
		routing_finish();
	}
}

/* What is sent before ready() or after the loss is refused, never lost in silence. */
static void test_sending_out_of_turn(void **state)
{
	(void)state;
	routing_begin(47, 1);
	struct caller c = {0};
	caller_start(&c, "gate-7");
	assert_int_equal(exchange_send(&c.x, FRAME_DAYS, NULL, NULL), ERR_CLOSED);
	assert_true(exchange_must_wait(&c.x));
	caller_waits_frames(&c, 1);
	assert_false(exchange_must_wait(&c.x));
	desk_reset(&desks[0]);
	caller_waits_lost(&c, 1);
	assert_int_equal(exchange_send(&c.x, FRAME_DAYS, NULL, NULL), ERR_CLOSED);
	routing_finish();
}

/* Many have more to send than the channel takes: they have their turns, also when some have no end
 * of it, and who is stopped gives its turn away. */
static void test_turns_of_bulk(void **state)
{
	(void)state;
	enum { CALLERS = 5, ROUNDS = 20 };
	routing_begin(49, 1);
	struct caller c[CALLERS] = {0};
	for (unsigned i = 0; i < CALLERS; i++) {
		caller_start(&c[i], "gate-7");
		caller_waits_frames(&c[i], 1);
	}
	c[0].x.peer->channel->queue_limit = 3 * CALLER_BULK;
	for (unsigned i = 0; i < CALLERS; i++) {
		c[i].bulk = i == 1 ? 2 : 1000;
		caller_pushes(&c[i]);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		sim_run_for(&world, 2 * NS_PER_MS);
		/* one that would jump the queue */
		caller_pushes(&c[0]);
		if (round == 10)
			exchange_stop(&c[3].x, false);
	}
	assert_int_equal(c[1].pushed, 2);
	assert_true(c[3].pushed > 3);
	for (unsigned i = 0; i < CALLERS; i += 2) {
		assert_true(c[i].pushed >= 3 * c[3].pushed / 2);
		assert_true(c[i].pushed <= c[2].pushed + 6 && c[2].pushed <= c[i].pushed + 6);
	}
	for (unsigned i = 0; i < CALLERS; i++)
		exchange_stop(&c[i].x, false);
	routing_finish();
}

/* Memory is short where channels are made: it waits and tries again. */
static void test_no_channel_to_be_had(void **state)
{
	(void)state;
	routing_begin(48, 1);
	dial_fails = true;
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	sim_run_for(&world, 5 * NS_PER_SECOND);
	assert_int_equal(c.status, -ENOMEM);
	assert_in_range(dial_count, 3, 12);
	dial_fails = false;
	caller_waits_frames(&c, 1);
	exchange_stop(&c.x, false);
	routing_finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_channel_for_all),
		cmocka_unit_test(test_pauses_grow_and_are_spread),
		cmocka_unit_test(test_a_flapping_desk),
		cmocka_unit_test(test_nobody_waits),
		cmocka_unit_test(test_all_learn_of_a_loss),
		cmocka_unit_test(test_a_half_open_connection),
		cmocka_unit_test(test_answers_that_come_too_late),
		cmocka_unit_test(test_stopped_before_it_was_ready),
		cmocka_unit_test(test_sending_out_of_turn),
		cmocka_unit_test(test_turns_of_bulk),
		cmocka_unit_test(test_no_channel_to_be_had),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
