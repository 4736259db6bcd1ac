/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/retry.h"

#include "storaged/archive/settle.h"

static void on_timer(struct loop_timer *timer)
{
	struct retry *r = container_of(timer, struct retry, timer);
	r->again(r);
}

static void on_task(struct loop_task *task)
{
	struct retry *r = container_of(task, struct retry, task);
	r->again(r);
}

bool retry_armed(const struct retry *r)
{
	return loop_timer_armed(&r->timer) || loop_deferred(&r->task);
}

void retry_later(struct retry *r, struct loop *loop)
{
	if (retry_armed(r))
		return;
	r->failures++;
	r->timer.fire = on_timer;
	r->task.run = on_task;
	if (loop_timer_start(loop, &r->timer, settle_pause_ns(loop, r->failures)))
		loop_defer(loop, &r->task);
}

void retry_soon(struct retry *r, struct loop *loop)
{
	r->failures = 0;
	loop_timer_stop(&r->timer);
	r->task.run = on_task;
	if (!loop_deferred(&r->task))
		loop_defer(loop, &r->task);
}

void retry_stop(struct retry *r)
{
	loop_timer_stop(&r->timer);
	loop_undefer(&r->task);
}
