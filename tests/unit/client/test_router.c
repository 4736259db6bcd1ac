/* SPDX-License-Identifier: Apache-2.0 */
/* Which daemon is asked: spread over those that were named, redirects followed, remembered and
 * limited, and who is left when daemons go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/routing_rig.h"

static struct channel *never(void *owner, const char *address, struct channel_user *user)
{
	(void)owner;
	(void)address;
	(void)user;
	return NULL;
}

static void test_addresses_that_make_no_sense(void **state)
{
	(void)state;
	const struct router_ops ops = {.dial = never};
	struct sim_world w;
	struct sim_loop l;
	struct router r;
	sim_world_init(&w, 1);
	sim_loop_init(&l, &w);
	const char *many[ROUTER_PEERS_MAX + 1];
	static char text[ROUTER_PEERS_MAX][16];
	for (unsigned i = 0; i < ROUTER_PEERS_MAX; i++) {
		snprintf(text[i], sizeof(text[i]), "n%u:1", i);
		many[i] = text[i];
	}
	many[ROUTER_PEERS_MAX] = NULL;
	assert_int_equal(router_init(&r, &l.loop, &ops, NULL), -EINVAL);
	assert_int_equal(router_init(&r, &l.loop, &ops, (const char *[]){NULL}), -EINVAL);
	assert_int_equal(
		router_init(&r, &l.loop, &ops, (const char *[]){"a:1", "b", NULL}), -EINVAL);
	assert_int_equal(router_init(&r, &l.loop, &ops, many), -EINVAL);
	assert_int_equal(router_init(&r, &l.loop, &ops, (const char *[]){"a:1", "a:1", NULL}), 0);
	router_fini(&r);
	router_fini(&r);
	sim_loop_fini(&l);
	sim_world_fini(&w);
}

/* A camera is asked about at one desk; cameras are spread over all of them. */
static void test_spread_by_camera(void **state)
{
	(void)state;
	unsigned share[DESKS] = {0};
	routing_begin(1, 4);
	for (unsigned i = 0; i < 200; i++) {
		char camera[16];
		unsigned which[2];
		snprintf(camera, sizeof(camera), "cam-%u", i);
		for (unsigned n = 0; n < 2; n++) {
			struct caller c = {0};
			desks_clear();
			caller_start(&c, camera);
			caller_waits_frames(&c, 1);
			exchange_stop(&c.x, false);
			which[n] = the_desk_that_heard();
		}
		assert_int_equal(which[0], which[1]);
		share[which[0]]++;
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(share[i], 25, 75);
	assert_int_equal(dial_count, 4); /* a channel a desk, however much is asked */
	routing_finish();
}

/* Without a camera: whoever is connected already. */
static void test_anyone_will_do(void **state)
{
	(void)state;
	routing_begin(2, 4);
	for (unsigned i = 0; i < 20; i++) {
		struct caller c = {0};
		caller_start(&c, NULL);
		caller_waits_frames(&c, 1);
		exchange_stop(&c.x, false);
	}
	assert_int_equal(dial_count, 1);
	routing_finish();
}

/* The first desk asked is gone: the question goes to the others, at once and not to it again while
 * it is gone. */
static void test_one_is_gone(void **state)
{
	(void)state;
	for (unsigned gone = 0; gone < 3; gone++) {
		routing_begin(3 + gone, 3);
		desk_unlisten(&desks[gone]);
		for (unsigned i = 0; i < 30; i++) {
			char camera[16];
			struct caller c = {.again = true};
			snprintf(camera, sizeof(camera), "cam-%u", i);
			int64_t began = world.now.ns;
			caller_start(&c, camera);
			caller_waits_frames(&c, 1);
			assert_true(c.lost <= 1);
			assert_true(world.now.ns - began < NS_PER_SECOND / 10);
			exchange_stop(&c.x, false);
		}
		routing_finish();
	}
}

/* All are gone: it tries for as long as it takes, each with its own pauses, and finds the one that
 * comes back. */
static void test_all_are_gone(void **state)
{
	(void)state;
	routing_begin(6, 3);
	for (unsigned i = 0; i < 3; i++)
		desk_unlisten(&desks[i]);
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	sim_run_for(&world, 60 * NS_PER_SECOND);
	assert_int_equal(c.frames, 0);
	assert_int_equal(c.status, -ECONNREFUSED);
	assert_true(dial_count < 100);
	unsigned tried[3] = {0};
	for (size_t i = 0; i < dial_count; i++)
		tried[dials[i].desk]++;
	for (unsigned i = 0; i < 3; i++)
		assert_true(tried[i] >= 3);
	desk_listen(&desks[1]);
	caller_waits_frames(&c, 1);
	assert_int_equal(the_desk_that_heard(), 1);
	exchange_stop(&c.x, false);
	routing_finish();
}

static const char *const to_five[] = {"d5:1", NULL};

/* A redirect is followed to a desk nobody named, and remembered: the next question goes there. */
static void test_redirected_and_remembered(void **state)
{
	(void)state;
	routing_begin(7, 2);
	desks[0].redirect = desks[1].redirect = to_five;
	struct caller c = {0};
	caller_start(&c, "gate-7");
	caller_waits_frames(&c, 1);
	exchange_stop(&c.x, false);
	assert_int_equal(desks[0].heard + desks[1].heard, 1);
	assert_int_equal(desks[5].heard, 1);
	for (unsigned i = 0; i < 5; i++) {
		struct caller again = {0};
		desks_clear();
		caller_start(&again, "gate-7");
		caller_waits_frames(&again, 1);
		exchange_stop(&again.x, false);
		assert_int_equal(the_desk_that_heard(), 5);
	}
	/* of another camera it knows nothing */
	struct caller other = {0};
	desks_clear();
	caller_start(&other, "gate-8");
	caller_waits_frames(&other, 1);
	exchange_stop(&other.x, false);
	assert_int_equal(desks[0].heard + desks[1].heard, 1);
	routing_finish();
}

/* The desk it was sent to dies: those that were named are asked again, who know better now. */
static void test_what_was_remembered_is_gone(void **state)
{
	(void)state;
	routing_begin(8, 2);
	desks[0].redirect = desks[1].redirect = to_five;
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	caller_waits_frames(&c, 1);
	static const char *const to_six[] = {"d6:1", NULL};
	desks[0].redirect = desks[1].redirect = to_six;
	desk_unlisten(&desks[5]);
	desk_reset(&desks[5]);
	caller_waits_frames(&c, 1);
	assert_int_equal(desks[6].heard, 1);
	assert_int_equal(c.lost, 1);
	exchange_stop(&c.x, false);
	routing_finish();
}

/* Several addresses: the first that is not known to be gone. */
static void test_redirected_to_several(void **state)
{
	(void)state;
	static const char *const several[] = {"nonsense", "d5:1", "d6:1", NULL};
	routing_begin(9, 1);
	desks[0].redirect = several;
	desk_unlisten(&desks[5]);
	struct caller c = {.again = true};
	caller_start(&c, "gate-7");
	caller_waits_frames(&c, 1);
	assert_int_equal(desks[6].heard, 1);
	exchange_stop(&c.x, false);
	routing_finish();
}

static void test_redirected_to_nobody(void **state)
{
	(void)state;
	static const char *const bad[][3] = {
		{NULL}, {"d0:1", NULL}, {"nonsense", NULL}, {"", "d0", NULL}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		routing_begin(10 + i, 1);
		desks[0].redirect = bad[i];
		struct caller c = {0};
		caller_start(&c, "gate-7");
		caller_waits_lost(&c, 1);
		assert_int_equal(c.status, -EHOSTUNREACH);
		assert_int_equal(desks[0].heard, 1);
		routing_finish();
	}
}

/* Desks that send one another what neither wants: so many hops, then it is lost. */
static void test_redirected_in_circles(void **state)
{
	(void)state;
	static const char *const next[][2] = {{"d1:1"}, {"d2:1"}, {"d0:1"}};
	routing_begin(14, 1);
	for (unsigned i = 0; i < 3; i++)
		desks[i].redirect = next[i];
	struct caller c = {0};
	caller_start(&c, "gate-7");
	caller_waits_lost(&c, 1);
	assert_int_equal(c.status, -ELOOP);
	assert_int_equal(desks[0].heard + desks[1].heard + desks[2].heard, ROUTER_HOPS_MAX + 1);
	assert_int_equal(c.frames, 0);
	routing_finish();
}

/* An answer begins the count anew: a long conversation may be sent on more often than that. */
static void test_hops_are_counted_in_a_row(void **state)
{
	(void)state;
	static const char *const over[][2] = {{"d1:1"}, {"d0:1"}};
	routing_begin(15, 1);
	struct caller c = {0};
	caller_start(&c, "gate-7");
	caller_waits_frames(&c, 1);
	for (unsigned i = 0; i < 3 * ROUTER_HOPS_MAX; i++) {
		unsigned at = i % 2;
		desks[at].redirect = over[at];
		desks[!at].redirect = NULL;
		assert_int_equal(exchange_send(&c.x, FRAME_DAYS, NULL, NULL), 0);
		caller_waits_frames(&c, 1);
	}
	assert_int_equal(c.lost, 0);
	exchange_stop(&c.x, false);
	routing_finish();
}

/* More addresses than it keeps: those past the limit are nobody, and it goes on. */
static void test_redirected_to_ever_others(void **state)
{
	(void)state;
	routing_begin(16, 1);
	for (unsigned i = 0; i < 2 * ROUTER_PEERS_MAX; i++) {
		char address[16];
		const char *const to[] = {address, NULL};
		snprintf(address, sizeof(address), "x%u:1", i);
		desks[0].redirect = to;
		struct caller c = {0};
		caller_start(&c, NULL);
		caller_waits_lost(&c, 1);
		assert_true(c.status == -EHOSTUNREACH || c.status == -ECONNREFUSED);
	}
	desks[0].redirect = NULL;
	struct caller c = {0};
	caller_start(&c, NULL);
	caller_waits_frames(&c, 1);
	exchange_stop(&c.x, false);
	routing_finish();
}

/* Stopped at any moment: every exchange is lost with -ECANCELED, and what begins later too. */
static void test_stopped_in_each_state(void **state)
{
	(void)state;
	for (unsigned us = 0; us < 8000; us += 500)
		for (unsigned kind = 0; kind < 5; kind++) {
			routing_begin(us + kind, 2);
			desks[0].mute = desks[1].mute = kind == 1;
			if (kind == 2)
				desk_unlisten(&desks[0]), desk_unlisten(&desks[1]);
			if (kind == 3)
				model_net_hang(net, "d0", true), model_net_hang(net, "d1", true);
			if (kind == 4)
				desks[0].redirect = desks[1].redirect = to_five;
			struct caller c[6] = {0};
			for (unsigned i = 0; i < 6; i++) {
				char camera[16];
				snprintf(camera, sizeof(camera), "cam-%u", i);
				c[i].again = true;
				caller_start(&c[i], i ? camera : NULL);
				c[i].x.camera = NULL; /* the name is gone with the block */
			}
			sim_run_for(&world, us * 1000);
			routing_finish();
			for (unsigned i = 0; i < 6; i++) {
				assert_true(c[i].lost >= 1);
				assert_int_equal(c[i].status, -ECANCELED);
				assert_true(exchange_is_idle(&c[i].x));
			}
		}
}

static void test_started_while_stopping(void **state)
{
	(void)state;
	routing_begin(17, 1);
	struct caller c = {0};
	router.stopping = true;
	caller_start(&c, "gate-7");
	assert_int_equal(c.lost, 0); /* never inside of the call */
	routing_finish();
	assert_int_equal(c.lost, 1);
	assert_int_equal(c.status, -ECANCELED);
}

/* Whatever allocation fails, the question is answered in the end or lost with a reason. */
static void asking(void *user)
{
	(void)user;
	alloc_fail_suspend(true);
	routing_begin(18, 2);
	desks[0].redirect = to_five;
	desks[1].redirect = to_five;
	struct caller c = {0};
	alloc_fail_suspend(false);
	caller_start(&c, "gate-7");
	sim_run_for(&world, 10 * NS_PER_SECOND);
	alloc_fail_suspend(true);
	assert_int_equal(c.frames + c.lost, 1);
	exchange_stop(&c.x, false);
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
		cmocka_unit_test(test_addresses_that_make_no_sense),
		cmocka_unit_test(test_spread_by_camera),
		cmocka_unit_test(test_anyone_will_do),
		cmocka_unit_test(test_one_is_gone),
		cmocka_unit_test(test_all_are_gone),
		cmocka_unit_test(test_redirected_and_remembered),
		cmocka_unit_test(test_what_was_remembered_is_gone),
		cmocka_unit_test(test_redirected_to_several),
		cmocka_unit_test(test_redirected_to_nobody),
		cmocka_unit_test(test_redirected_in_circles),
		cmocka_unit_test(test_hops_are_counted_in_a_row),
		cmocka_unit_test(test_redirected_to_ever_others),
		cmocka_unit_test(test_stopped_in_each_state),
		cmocka_unit_test(test_started_while_stopping),
		cmocka_unit_test(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
