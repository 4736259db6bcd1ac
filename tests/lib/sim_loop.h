/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time for tests: a world with one monotonic clock and one ordered queue of events, and
 * loops on it that rooms take for real ones. The same seed gives the same run, event by event. Code
 * takes no virtual time; only waiting does.
 *
 * One thread. A world outlives its loops. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

/* What happens between nodes (disks, networks, operators) is a timer or a task on the world's own
 * `loop`. */
struct sim_world {
	struct loop loop;
	struct mono now;
	struct wall wall; /* true civil time; a loop sees it with an offset of its own */
	uint64_t seed;    /* to be printed by a test that fails */
	uint64_t events;  /* run so far */
	/* private */
	struct loop_timer turn; /* runs the world's own deferred tasks */
	uint64_t random_state;
	uint64_t events_at_now;
};

/* A loop of one simulated node. */
struct sim_loop {
	struct loop loop; /* what rooms are handed */
	struct sim_world *world;
	int64_t wall_offset_us; /* its civil clock is so far ahead of the world's */
	bool paused, killed;
	/* private */
	struct loop_timer turn; /* the next turn, on the world's loop */
	uint64_t random_state;
};

void sim_world_init(struct sim_world *world, uint64_t seed);
/* Events still queued are forgotten. */
void sim_world_fini(struct sim_world *world);
/* 64 random bits of the world's own sequence, which no loop draws from. */
uint64_t sim_random(struct sim_world *world);
/* A number in [from, to], evenly. */
uint64_t sim_random_in(struct sim_world *world, uint64_t from, uint64_t to);

void sim_loop_init(struct sim_loop *l, struct sim_world *world);
/* CHECKs that no task is queued and no timer armed, unless the loop was killed: what is left behind
 * was not stopped. */
void sim_loop_fini(struct sim_loop *l);
/* SIGSTOP and SIGCONT: a paused loop runs nothing; what was posted and what fell due meanwhile runs
 * when it goes on. */
void sim_loop_pause(struct sim_loop *l, bool paused);
/* kill -9: its tasks and timers are forgotten, and nothing will ever run on it again. */
void sim_loop_kill(struct sim_loop *l);
/* Moves the loop's civil clock by `by_us`, forwards or backwards, at once. */
void sim_loop_step_wall(struct sim_loop *l, int64_t by_us);

/* Runs the next event, at its time; false when there is none. */
bool sim_step(struct sim_world *world);
/* Runs what falls due in the next `ns` nanoseconds and moves the clock to their end. */
void sim_run_for(struct sim_world *world, int64_t ns);
/* Runs event by event until condition(user) is true; false when `limit_ns` have passed first (or
 * nothing is left to happen; the clock then stands at the limit). */
bool sim_run_until(
	struct sim_world *world, bool (*condition)(void *user), void *user, int64_t limit_ns);
