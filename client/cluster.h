/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind a `struct steppe`: a core on a libuv loop, with a thread of its own or driven by
 * the caller; calls from other threads come as tasks. */
#pragma once

#include "client/core.h"
#include "client/refused.h"
#include "client/steppe.h"

/* The core of a handle; for the loop thread. */
struct core *cluster_core(struct steppe *s);

/* Runs the task on the loop. Any thread; never inside of this call. Borrows it until it runs. */
void cluster_post(struct steppe *s, struct loop_task *task);

/* Whether a function may block on this thread: not in a callback, nor with own_loop. `core` is a
 * handle's. */
bool cluster_may_block(struct core *core);

/* A blocking function's wait for its answer. */
struct waiter;
/* NULL: blocking is not allowed here (a callback, own_loop), *ret_why -EDEADLK, or memory is short. */
struct waiter *waiter_new(struct core *core, int *ret_why);
/* Loop thread: lets the waiting thread go on, with a refusal to remember if there was one (may be
 * NULL). */
void waiter_wake(struct waiter *w, int status, const struct refused *refused);
/* Waits for that, frees the waiter, gives the status. */
int waiter_wait(struct waiter **w);
