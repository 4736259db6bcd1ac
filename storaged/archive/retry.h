/* SPDX-License-Identifier: Apache-2.0 */
/* One thing to be tried again, after a pause that grows: for steps that failed for want of memory
 * or a read that failed. Never fails itself: without memory for a timer it tries at the next turn
 * of the loop. */
#pragma once

#include "base/loop.h"

struct retry {
	void (*again)(struct retry *r); /* set by the user */
	/* private */
	unsigned failures;
	struct loop_timer timer;
	struct loop_task task;
};

/* Arms it; harmless when it is armed. */
void retry_later(struct retry *r, struct loop *loop);
/* At the next turn of the loop; forgets earlier failures. */
void retry_soon(struct retry *r, struct loop *loop);
/* What was tried has worked. */
static inline void retry_reset(struct retry *r)
{
	r->failures = 0;
}
/* Afterwards again() does not run. */
void retry_stop(struct retry *r);
bool retry_armed(const struct retry *r);
