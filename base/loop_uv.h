/* SPDX-License-Identifier: Apache-2.0 */
/* The loop that runs on libuv: real clocks, one uv_loop_t, usable beside other libuv handles on
 * that uv_loop_t. */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "base/loop.h"

struct loop_uv {
	struct loop loop; /* what rooms are handed */
	uv_loop_t uv;     /* for handles of the caller's own */
	/* private */
	uv_timer_t timer;
	uv_idle_t idle;
	uv_async_t doorbell;
	pthread_mutex_t lock;
	struct list mailbox;
	uint64_t random_state;
};

/* Prepares `l` in place; 0 or a negative code. */
int loop_uv_init(struct loop_uv *l);
/* Runs until loop_uv_stop, on the calling thread, which owns the loop from then on. */
void loop_uv_run(struct loop_uv *l);
/* Makes loop_uv_run return after the current turn. Loop thread only; from another thread post a
 * task that calls it. */
void loop_uv_stop(struct loop_uv *l);
/* Frees it; every handle of the caller's own must be closed (uv_close called) before. */
void loop_uv_fini(struct loop_uv *l);
