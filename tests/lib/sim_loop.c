/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/sim_loop.h"

#include <stdlib.h>

#include "base/check.h"

#define START_NS (1000 * NS_PER_SECOND)    /* so that zero is no valid instant */
#define TIMERS   16384                     /* armed at once before the heap must grow */
#define START_US INT64_C(1795470000000000) /* 2026-11-23T21:40:00Z */
#define EVENTS_AT_ONE_INSTANT_MAX                                                                  \
	UINT64_C(5000000) /* more is a machine that spins without waiting */

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct sim_world *world_of(struct loop *loop)
{
	return container_of(loop, struct sim_world, loop);
}

static struct mono world_now(struct loop *loop)
{
	return world_of(loop)->now;
}

static struct wall world_wall(struct loop *loop)
{
	return world_of(loop)->wall;
}

static uint64_t world_random(struct loop *loop)
{
	return sim_random(world_of(loop));
}

/* Runs all tasks that were ready; sim_step fires timers itself, one an event. */
static void world_turn(struct loop_timer *timer)
{
	struct sim_world *world = container_of(timer, struct sim_world, turn);
	struct list batch;
	list_init(&batch);
	list_splice(&batch, &world->loop.ready);
	for (struct list *node; (node = list_pop(&batch));) {
		struct loop_task *task = list_entry(node, struct loop_task, node);
		task->run(task);
	}
}

static void world_rearm(struct loop *loop)
{
	struct sim_world *world = world_of(loop);
	if (!list_empty(&loop->ready) && !loop_timer_armed(&world->turn))
		CHECK(loop_timer_start(loop, &world->turn, 0) == 0);
}

static void world_post(struct loop *loop, struct loop_task *task)
{
	loop_defer(loop, task);
}

void sim_world_init(struct sim_world *world, uint64_t seed)
{
	static const struct loop_ops ops = {.now = world_now,
		.wall = world_wall,
		.random = world_random,
		.rearm = world_rearm,
		.post = world_post};
	*world = (struct sim_world){.now = {START_NS},
		.wall = {START_US},
		.seed = seed,
		.random_state = seed,
		.turn = {.fire = world_turn}};
	loop_init(&world->loop, &ops);
	/* a test that makes allocations fail means those of the rooms, not the world's */
	world->loop.heap = malloc(TIMERS * sizeof(*world->loop.heap));
	CHECK(world->loop.heap);
	world->loop.heap_size = TIMERS;
}

void sim_world_fini(struct sim_world *world)
{
	loop_fini(&world->loop);
}

uint64_t sim_random(struct sim_world *world)
{
	return next_random(&world->random_state);
}

uint64_t sim_random_in(struct sim_world *world, uint64_t from, uint64_t to)
{
	CHECK(from <= to);
	uint64_t span = to - from + 1;
	return span ? from + sim_random(world) % span : sim_random(world);
}

static struct sim_loop *self(struct loop *loop)
{
	return container_of(loop, struct sim_loop, loop);
}

static struct mono now(struct loop *loop)
{
	return self(loop)->world->now;
}

static struct wall wall(struct loop *loop)
{
	struct sim_loop *l = self(loop);
	return (struct wall){l->world->wall.us + l->wall_offset_us};
}

static uint64_t random64(struct loop *loop)
{
	return next_random(&self(loop)->random_state);
}

/* Plans the loop's next turn: at once when tasks are ready, else when its first timer is due. */
static void rearm(struct loop *loop)
{
	struct sim_loop *l = self(loop);
	struct mono deadline = now(loop);
	bool needed = !list_empty(&loop->ready) || loop_next_deadline(loop, &deadline);
	if (!needed || l->paused || l->killed) {
		loop_timer_stop(&l->turn);
		return;
	}
	/* a turn that is planned early enough keeps its place among the events of its instant */
	if (loop_timer_armed(&l->turn) && l->turn.deadline.ns <= deadline.ns)
		return;
	CHECK(loop_timer_start(&l->world->loop, &l->turn, deadline.ns - l->world->now.ns) == 0);
}

static void turn(struct loop_timer *timer)
{
	struct sim_loop *l = container_of(timer, struct sim_loop, turn);
	loop_run_due(&l->loop);
	rearm(&l->loop);
}

static void post(struct loop *loop, struct loop_task *task)
{
	if (!self(loop)->killed)
		loop_defer(loop, task);
}

void sim_loop_init(struct sim_loop *l, struct sim_world *world)
{
	static const struct loop_ops ops = {
		.now = now, .wall = wall, .random = random64, .rearm = rearm, .post = post};
	*l = (struct sim_loop){
		.world = world, .turn = {.fire = turn}, .random_state = sim_random(world)};
	loop_init(&l->loop, &ops);
}

void sim_loop_fini(struct sim_loop *l)
{
	if (!l->world)
		return;
	CHECK(list_empty(&l->loop.ready));
	CHECK(l->loop.heap_len == 0);
	loop_timer_stop(&l->turn);
	loop_fini(&l->loop);
	l->world = NULL;
}

void sim_loop_pause(struct sim_loop *l, bool paused)
{
	l->paused = paused;
	rearm(&l->loop);
}

void sim_loop_kill(struct sim_loop *l)
{
	l->killed = true;
	list_init(&l->loop.ready);
	loop_fini(&l->loop);
	rearm(&l->loop);
}

void sim_loop_step_wall(struct sim_loop *l, int64_t by_us)
{
	l->wall_offset_us += by_us;
}

static void move_clock(struct sim_world *world, struct mono to)
{
	if (to.ns == world->now.ns)
		return;
	world->now = to;
	world->wall.us = START_US + (to.ns - START_NS) / 1000;
	world->events_at_now = 0;
}

bool sim_step(struct sim_world *world)
{
	struct mono deadline;
	if (!loop_next_deadline(&world->loop, &deadline))
		return false;
	move_clock(world, deadline);
	world->events++;
	CHECK(++world->events_at_now < EVENTS_AT_ONE_INSTANT_MAX);
	struct loop_timer *timer = world->loop.heap[0];
	loop_timer_stop(timer);
	timer->fire(timer);
	return true;
}

static bool never(void *user)
{
	(void)user;
	return false;
}

void sim_run_for(struct sim_world *world, int64_t ns)
{
	(void)sim_run_until(world, never, NULL, ns); /* false by construction */
}

bool sim_run_until(
	struct sim_world *world, bool (*condition)(void *user), void *user, int64_t limit_ns)
{
	struct mono limit = mono_add_ns(world->now, limit_ns), deadline;
	for (;;) {
		if (condition(user))
			return true;
		if (!loop_next_deadline(&world->loop, &deadline) || deadline.ns > limit.ns)
			break;
		sim_step(world);
	}
	move_clock(world, limit);
	return false;
}
