/* SPDX-License-Identifier: Apache-2.0 */
/* The loop on libuv: order and threads. No test here asserts how long something took, only that it
 * was not too early. */
#include "base/loop_uv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static struct loop_uv loop;

static int setup(void **state)
{
	(void)state;
	return loop_uv_init(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_uv_fini(&loop);
	return 0;
}

struct counter {
	struct loop_task task;
	struct loop_timer timer;
	int count, until;
	struct mono fired;
};

static void count(struct counter *c)
{
	if (++c->count == c->until)
		loop_uv_stop(&loop);
}

static void counted_task(struct loop_task *task)
{
	struct counter *c = container_of(task, struct counter, task);
	count(c);
	if (c->count < c->until)
		loop_defer(&loop.loop, task);
}

static void counted_timer(struct loop_timer *timer)
{
	struct counter *c = container_of(timer, struct counter, timer);
	c->fired = loop_now(&loop.loop);
	count(c);
	if (c->count < c->until)
		assert_int_equal(loop_timer_start(&loop.loop, timer, NS_PER_MS), 0);
}

static void a_timer_is_not_early(void **state)
{
	(void)state;
	struct counter c = {.timer = {.fire = counted_timer}, .until = 1};
	struct mono begin = loop_now(&loop.loop);
	assert_int_equal(loop_timer_start(&loop.loop, &c.timer, 7 * NS_PER_MS + 1), 0);
	loop_uv_run(&loop);
	assert_true(c.fired.ns - begin.ns >= 7 * NS_PER_MS + 1);
}

static void tasks_and_timers_take_turns(void **state)
{
	(void)state;
	/* neither an endless task nor timers keep the other from coming */
	struct counter task = {.task = {.run = counted_task}, .until = 1 << 30};
	struct counter timer = {.timer = {.fire = counted_timer}, .until = 5};
	loop_defer(&loop.loop, &task.task);
	assert_int_equal(loop_timer_start(&loop.loop, &timer.timer, 0), 0);
	loop_uv_run(&loop);
	assert_int_equal(timer.count, 5);
	assert_true(task.count > 0);
}

static void a_stopped_timer_stays_quiet(void **state)
{
	(void)state;
	struct counter quiet = {.timer = {.fire = counted_timer}, .until = 1};
	struct counter last = {.timer = {.fire = counted_timer}, .until = 1};
	assert_int_equal(loop_timer_start(&loop.loop, &quiet.timer, NS_PER_MS), 0);
	assert_int_equal(loop_timer_start(&loop.loop, &last.timer, 5 * NS_PER_MS), 0);
	loop_timer_stop(&quiet.timer);
	loop_uv_run(&loop);
	assert_int_equal(quiet.count, 0);
	assert_int_equal(last.count, 1);
}

#define POSTS   2000
#define THREADS 3

static struct posted {
	struct loop_task task;
	int thread, number;
} posted[THREADS][POSTS];
static int arrived[THREADS], arrived_in_all;
static pthread_t loop_thread;

static void arrive(struct loop_task *task)
{
	struct posted *p = container_of(task, struct posted, task);
	assert_true(pthread_equal(pthread_self(), loop_thread));
	/* of one thread in the order of posting */
	assert_int_equal(p->number, arrived[p->thread]++);
	if (++arrived_in_all == THREADS * POSTS)
		loop_uv_stop(&loop);
}

static void *post_many(void *arg)
{
	struct posted *mine = arg;
	for (int i = 0; i < POSTS; i++) {
		mine[i].task.run = arrive;
		mine[i].number = i;
		loop_post(&loop.loop, &mine[i].task);
	}
	return NULL;
}

static void every_post_of_every_thread_arrives(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	loop_thread = pthread_self();
	for (int t = 0; t < THREADS; t++) {
		for (int i = 0; i < POSTS; i++)
			posted[t][i].thread = t;
		assert_int_equal(pthread_create(&threads[t], NULL, post_many, posted[t]), 0);
	}
	loop_uv_run(&loop);
	for (int t = 0; t < THREADS; t++) {
		pthread_join(threads[t], NULL);
		assert_int_equal(arrived[t], POSTS);
	}
}

static void clocks_go_forward(void **state)
{
	(void)state;
	struct mono a = loop_now(&loop.loop), b = loop_now(&loop.loop);
	assert_true(b.ns >= a.ns);
	int64_t seconds = time(NULL), us = loop_wall(&loop.loop).us;
	assert_in_range(us / US_PER_SECOND, seconds - 2, seconds + 2);
	assert_true(loop_random(&loop.loop) != loop_random(&loop.loop));
	struct loop_uv other;
	assert_int_equal(loop_uv_init(&other), 0);
	assert_true(loop_random(&loop.loop) != loop_random(&other.loop));
	loop_uv_fini(&other);
}

static void on_uv_timer(uv_timer_t *timer)
{
	++*(int *)timer->data;
	uv_close((uv_handle_t *)timer, NULL);
	loop_uv_stop(&loop);
}

static void other_handles_live_beside_it(void **state)
{
	(void)state;
	uv_timer_t timer;
	int fired = 0;
	assert_int_equal(uv_timer_init(&loop.uv, &timer), 0);
	timer.data = &fired;
	uv_timer_start(&timer, on_uv_timer, 1, 0);
	loop_uv_run(&loop);
	assert_int_equal(fired, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(a_timer_is_not_early),
		TEST(tasks_and_timers_take_turns), TEST(a_stopped_timer_stays_quiet),
		TEST(every_post_of_every_thread_arrives), TEST(clocks_go_forward),
		TEST(other_handles_live_beside_it)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
