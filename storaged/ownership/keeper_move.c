/* SPDX-License-Identifier: Apache-2.0 */
/* Streams given up for the daemon that should own them. */
#include "base/log.h"
#include "proto/refusal.h"
#include "storaged/ownership/keeper_impl.h"

static void on_answer(struct loop_task *task)
{
	struct keeper_move *req = container_of(task, struct keeper_move, task);
	req->done(req);
}

static void answer(struct keeper *k, struct keeper_move *req)
{
	req->task = (struct loop_task){.run = on_answer};
	loop_defer(k->config.loop, &req->task);
}

void keep_end_moves(struct keep *keep)
{
	for (struct list *node; (node = list_pop(&keep->moves));)
		answer(keep->keeper, list_entry(node, struct keeper_move, node));
}

void keep_yield_to_move(struct keep *keep)
{
	loop_timer_stop(&keep->idle);
	keep_move(keep, KEEP_YIELDING);
	writer_finish(keep->writer, true, REFUSAL_NOT_OWNER);
}

void keep_tell_over(struct keep *keep, int status)
{
	struct list told;
	list_init(&told);
	list_splice(&told, &keep->holders);
	while (!list_empty(&told)) {
		struct keeper_take *req = list_entry(told.next, struct keeper_take, node);
		list_remove(&req->node);
		list_append(&keep->holders, &req->node);
		if (req->over)
			req->over(req, status);
	}
}

void keeper_move(struct keeper *k, struct keeper_move *req, const char *stream)
{
	struct keep *keep = keep_find(k, stream);
	req->keeper = k;
	list_init(&req->node);
	if (!keep || keep->state == KEEP_LENT || k->stopping) {
		answer(k, req);
		return;
	}
	list_append(&keep->moves, &req->node);
	if (keep->state == KEEP_READY)
		keep_yield_to_move(keep);
}

bool keeper_holds(struct keeper *k, const char *stream)
{
	struct keep *keep = keep_find(k, stream);
	return keep && !keep_is_moving(keep);
}
