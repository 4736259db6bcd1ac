/* SPDX-License-Identifier: Apache-2.0 */
/* Time, randomness and deferred calls as rooms are handed them. What runs a loop is behind `ops`:
 * libuv (loop_uv.h), or virtual time in the simulator. A loop belongs to one thread; only loop_post
 * may be called from others. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"

struct loop;

/* A call that runs once, later, on the loop's thread; embedded in what it is about. */
struct loop_task {
	void (*run)(struct loop_task *task);
	struct list node; /* private */
};

/* A timer that fires once; embedded in what it is about. A zeroed timer is a stopped one. */
struct loop_timer {
	void (*fire)(struct loop_timer *timer);
	/* private */
	struct loop *loop;
	struct mono deadline;
	uint64_t order;
	uint32_t heap_index; /* place in the heap + 1; 0: not armed */
};

struct loop_ops {
	struct mono (*now)(struct loop *loop);
	struct wall (*wall)(struct loop *loop);
	uint64_t (*random)(struct loop *loop);
	void (*rearm)(struct loop *loop); /* the earliest deadline changed or a task became ready */
	void (*post)(struct loop *loop, struct loop_task *task);
};

struct loop {
	const struct loop_ops *ops;
	/* private */
	struct list ready;
	struct loop_timer **heap;
	uint32_t heap_len, heap_size;
	uint64_t order;
};

/* Prepares the part common to all loops; `ops` must outlive it. */
void loop_init(struct loop *loop, const struct loop_ops *ops);
/* Frees it. Tasks still queued are not run, armed timers are forgotten. */
void loop_fini(struct loop *loop);

static inline struct mono loop_now(struct loop *loop)
{
	return loop->ops->now(loop);
}
static inline struct wall loop_wall(struct loop *loop)
{
	return loop->ops->wall(loop);
}
/* 64 random bits, good enough for nonces, not for keys. */
static inline uint64_t loop_random(struct loop *loop)
{
	return loop->ops->random(loop);
}

/* Runs `task` on the loop after the current callback has returned, tasks in the order of deferral.
 * Loop thread only; the task must not be queued already. Borrows it until it runs. */
void loop_defer(struct loop *loop, struct loop_task *task);
/* Whether a zeroed or deferred task is queued. */
static inline bool loop_deferred(const struct loop_task *task)
{
	return task->node.next && task->node.next != &task->node;
}
/* Afterwards a task that was deferred does not run; harmless when it is zeroed or has run. Loop
 * thread only. */
static inline void loop_undefer(struct loop_task *task)
{
	if (loop_deferred(task))
		list_remove(&task->node);
}
/* The same from any thread. */
static inline void loop_post(struct loop *loop, struct loop_task *task)
{
	loop->ops->post(loop, task);
}

/* (Re)arms `timer` to fire `delay_ns` from now. Borrows it until it fires or is stopped. Returns 0
 * or -ENOMEM (only when more timers are armed than ever before). Timers with equal deadlines fire
 * in the order they were armed. */
int loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ns);
/* Afterwards `timer` does not fire; harmless when it is not armed. */
void loop_timer_stop(struct loop_timer *timer);
static inline bool loop_timer_armed(const struct loop_timer *timer)
{
	return timer->heap_index != 0;
}

/* For implementations. The earliest deadline; false when no timer is armed. */
bool loop_next_deadline(const struct loop *loop, struct mono *ret_deadline);
/* Runs the tasks that are ready and the timers that are due now; true when tasks are ready again
 * afterwards. */
bool loop_run_due(struct loop *loop);
