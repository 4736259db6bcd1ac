/* SPDX-License-Identifier: Apache-2.0 */
/* Timers and tasks, on virtual time; and the virtual time itself (tests/lib/sim_loop). */
#include "base/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/sim_loop.h"

static struct sim_world world;
static struct sim_loop loops[2];
static char story[1000]; /* what happened, a letter each */

static int setup(void **state)
{
	(void)state;
	story[0] = 0;
	sim_world_init(&world, 7);
	sim_loop_init(&loops[0], &world);
	sim_loop_init(&loops[1], &world);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_loop_fini(&loops[0]);
	sim_loop_fini(&loops[1]);
	sim_world_fini(&world);
	return 0;
}

/* A timer and a task that add their letter to the story. */
struct actor {
	struct loop_timer timer;
	struct loop_task task;
	char letter;
	int again; /* how often it starts itself anew */
	int64_t delay_ns;
	struct loop *loop;
	struct actor *stops;
};

static void tell(char letter)
{
	size_t len = strlen(story);
	CHECK(len + 1 < sizeof(story));
	story[len] = letter;
	story[len + 1] = 0;
}

static void fire(struct loop_timer *timer)
{
	struct actor *a = container_of(timer, struct actor, timer);
	tell(a->letter);
	if (a->stops)
		loop_timer_stop(&a->stops->timer);
	if (a->again-- > 0)
		assert_int_equal(loop_timer_start(a->loop, timer, a->delay_ns), 0);
}

static void run(struct loop_task *task)
{
	struct actor *a = container_of(task, struct actor, task);
	tell(a->letter);
	if (a->again-- > 0)
		loop_defer(a->loop, task);
}

static struct actor actor(char letter)
{
	return (struct actor){.timer = {.fire = fire},
		.task = {.run = run},
		.letter = letter,
		.loop = &loops[0].loop};
}

static void start(struct actor *a, int64_t delay_ns)
{
	a->delay_ns = delay_ns;
	assert_int_equal(loop_timer_start(a->loop, &a->timer, delay_ns), 0);
	assert_true(loop_timer_armed(&a->timer));
}

static void timers_fire_in_order(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b'), c = actor('c'), d = actor('d');
	start(&b, 20);
	start(&c, 20); /* the same instant: in the order of starting */
	start(&a, 10);
	start(&d, 30);
	start(&d, 40); /* again: the later deadline counts */
	sim_run_for(&world, 9);
	assert_string_equal(story, "");
	sim_run_for(&world, 1);
	assert_string_equal(story, "a");
	assert_false(loop_timer_armed(&a.timer));
	sim_run_for(&world, 20);
	assert_string_equal(story, "abc");
	loop_timer_stop(&d.timer);
	loop_timer_stop(&d.timer);
	sim_run_for(&world, 100);
	assert_string_equal(story, "abc");
	start(&a, -5); /* the past is now */
	sim_run_for(&world, 0);
	assert_string_equal(story, "abca");
}

static void a_timer_may_stop_and_start_others(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b'), c = actor('c');
	a.stops = &b;
	a.again = 2;
	start(&a, 10);
	start(&b, 10);
	start(&c, 25);
	sim_run_for(&world, 100);
	assert_string_equal(story, "aaca");
}

static void a_timer_of_no_time_does_not_hold_the_loop(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b');
	a.again = 3;
	start(&a, 0);
	b.again = 2;
	loop_defer(&loops[0].loop, &b.task);
	sim_run_for(&world, 0);
	assert_string_equal(story, "babab"
				   "aa");
}

static void tasks_run_later_in_order(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b'), c = actor('c');
	loop_defer(&loops[0].loop, &a.task);
	loop_defer(&loops[0].loop, &b.task);
	loop_post(&loops[0].loop, &c.task);
	assert_string_equal(story, "");
	sim_run_for(&world, 0);
	assert_string_equal(story, "abc");
	/* a task that puts itself off again runs in the next turn */
	story[0] = 0;
	a.again = 2;
	loop_defer(&loops[0].loop, &a.task);
	loop_defer(&loops[0].loop, &b.task);
	sim_run_for(&world, 0);
	assert_string_equal(story, "abaa");
}

static void for_ever_is_not_over_at_once(void **state)
{
	(void)state;
	struct actor a = actor('a');
	start(&a, INT64_MAX);
	sim_run_for(&world, 1000 * NS_PER_SECOND);
	assert_string_equal(story, "");
	loop_timer_stop(&a.timer);
}

/* Many timers against what sorting would say. */
static void many_timers_come_and_go(void **state)
{
	(void)state;
	enum { MANY = 500 };
	struct actor *actors = calloc(MANY, sizeof(*actors));
	int64_t deadline[MANY];
	assert_non_null(actors);
	for (int i = 0; i < MANY; i++) {
		actors[i] = actor('.');
		deadline[i] = INT64_MAX;
	}
	for (int step = 0; step < 5000; step++) {
		struct actor *a = &actors[sim_random_in(&world, 0, MANY - 1)];
		if (sim_random_in(&world, 0, 2) == 0) {
			loop_timer_stop(&a->timer);
			deadline[a - actors] = INT64_MAX;
		} else {
			int64_t delay = (int64_t)sim_random_in(&world, 1, 1000);
			start(a, delay);
			deadline[a - actors] = world.now.ns + delay;
		}
		int64_t first = INT64_MAX;
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(
				loop_timer_armed(&actors[i].timer), deadline[i] != INT64_MAX);
			first = deadline[i] < first ? deadline[i] : first;
		}
		struct mono next = {INT64_MAX};
		assert_int_equal(loop_next_deadline(&loops[0].loop, &next), first != INT64_MAX);
		assert_int_equal(next.ns, first);
		if (step % 50)
			continue;
		story[0] = 0;
		sim_run_for(&world, 20);
		size_t due = 0;
		for (int i = 0; i < MANY; i++) {
			if (deadline[i] > world.now.ns)
				continue;
			deadline[i] = INT64_MAX;
			due++;
		}
		assert_int_equal(strlen(story), due);
	}
	for (int i = 0; i < MANY; i++)
		loop_timer_stop(&actors[i].timer);
	free(actors);
}

static void a_timer_without_memory_is_said(void **state)
{
	(void)state;
	struct actor a = actor('a');
	alloc_fail_after(0, ALLOC_FAIL_ON);
	int rc = loop_timer_start(&loops[1].loop, &a.timer, 10);
	assert_true(alloc_fail_stop());
	assert_int_equal(rc, -ENOMEM);
	assert_false(loop_timer_armed(&a.timer));
	a.loop = &loops[1].loop;
	start(&a, 10);
	/* what is armed anew needs no more */
	alloc_fail_after(0, ALLOC_FAIL_ON);
	rc = loop_timer_start(&loops[1].loop, &a.timer, 20);
	assert_false(alloc_fail_stop());
	assert_int_equal(rc, 0);
	loop_timer_stop(&a.timer);
}

static void loops_share_the_world(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b');
	struct mono before = loop_now(&loops[0].loop);
	b.loop = &loops[1].loop;
	start(&b, 10);
	start(&a, 15);
	b.again = 1;
	sim_run_for(&world, 20);
	assert_string_equal(story, "bab");
	assert_int_equal(loop_now(&loops[1].loop).ns, before.ns + 20);
	/* civil time goes with it, and each loop may be wrong on its own */
	struct wall wall = loop_wall(&loops[0].loop);
	sim_loop_step_wall(&loops[1], -5000000);
	sim_run_for(&world, NS_PER_SECOND);
	assert_int_equal(loop_wall(&loops[0].loop).us, wall.us + 1000000);
	assert_int_equal(loop_wall(&loops[1].loop).us, wall.us - 4000000);
	assert_true(loop_random(&loops[0].loop) != loop_random(&loops[1].loop));
}

static void a_paused_loop_stands_still(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b');
	start(&a, 10);
	sim_loop_pause(&loops[0], true);
	loop_post(&loops[0].loop, &b.task);
	sim_run_for(&world, 100);
	assert_string_equal(story, "");
	sim_loop_pause(&loops[0], false);
	sim_run_for(&world, 0);
	assert_string_equal(story, "ba");
}

static void a_killed_loop_never_runs_again(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b'), c = actor('c');
	start(&a, 10);
	loop_defer(&loops[0].loop, &b.task);
	sim_loop_kill(&loops[0]);
	loop_post(&loops[0].loop, &c.task); /* an answer that comes too late */
	sim_run_for(&world, 100);
	assert_string_equal(story, "");
	assert_false(loop_timer_armed(&a.timer));
}

static bool has_told(void *user)
{
	return strlen(story) >= *(size_t *)user;
}

static void runs_until(void **state)
{
	(void)state;
	struct actor a = actor('a');
	size_t three = 3, four = 4;
	int64_t begin = world.now.ns;
	a.again = 2;
	start(&a, 10);
	assert_true(sim_run_until(&world, has_told, &three, 1000));
	assert_int_equal(world.now.ns, begin + 30);
	assert_false(sim_run_until(&world, has_told, &four, 1000));
	assert_int_equal(world.now.ns, begin + 1030);
	assert_false(sim_step(&world));
}

/* The world's own tasks and timers, as networks and disks use them. */
static void the_world_has_a_loop(void **state)
{
	(void)state;
	struct actor a = actor('a'), b = actor('b');
	a.loop = &world.loop;
	start(&a, 5);
	a.again = 1;
	b.loop = &world.loop;
	b.again = 1;
	loop_post(&world.loop, &b.task);
	sim_run_for(&world, 7);
	assert_string_equal(story, "bba");
	sim_run_for(&world, 7);
	assert_string_equal(story, "bbaa");
}

static void the_same_seed_is_the_same_run(void **state)
{
	(void)state;
	struct sim_world one, two, other;
	sim_world_init(&one, 3);
	sim_world_init(&two, 3);
	sim_world_init(&other, 4);
	bool differs = false;
	for (int i = 0; i < 100; i++) {
		uint64_t x = sim_random(&one);
		assert_true(x == sim_random(&two));
		differs |= x != sim_random(&other);
	}
	assert_true(differs);
	for (int i = 0; i < 1000; i++)
		assert_in_range(sim_random_in(&one, 5, 9), 5, 9);
	(void)sim_random_in(&one, 0, UINT64_MAX);
	sim_world_fini(&one);
	sim_world_fini(&two);
	sim_world_fini(&other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(timers_fire_in_order),
		TEST(a_timer_may_stop_and_start_others),
		TEST(a_timer_of_no_time_does_not_hold_the_loop), TEST(tasks_run_later_in_order),
		TEST(for_ever_is_not_over_at_once), TEST(many_timers_come_and_go),
		TEST(a_timer_without_memory_is_said), TEST(loops_share_the_world),
		TEST(a_paused_loop_stands_still), TEST(a_killed_loop_never_runs_again),
		TEST(runs_until), TEST(the_world_has_a_loop), TEST(the_same_seed_is_the_same_run)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
