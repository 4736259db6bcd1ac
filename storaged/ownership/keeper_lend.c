/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/log.h"
#include "proto/refusal.h"
#include "storaged/ownership/keeper_impl.h"

static void on_lend_answer(struct loop_task *task)
{
	struct keeper_lend *req = container_of(task, struct keeper_lend, task);
	req->done(req);
}

static void answer_lend(struct keeper *k, struct keeper_lend *req, struct keep *keep, int status)
{
	req->status = status;
	req->keep = keep;
	req->task = (struct loop_task){.run = on_lend_answer};
	loop_defer(k->config.loop, &req->task);
}

/* Nobody here touches the stream any more. */
void keep_lend(struct keep *keep)
{
	keep_move(keep, KEEP_LENT);
	log_info("stream lent to a rebuild stream=%s", keep->stream);
	answer_lend(keep->keeper, keep->lend, keep, 0);
}

void keep_refuse_lend(struct keep *keep, int status)
{
	if (keep->lend)
		answer_lend(keep->keeper, keep->lend, NULL, status);
	keep->lend = NULL;
}

void keep_yield_to_lend(struct keep *keep)
{
	loop_timer_stop(&keep->idle);
	keep_move(keep, KEEP_YIELDING);
	writer_finish(keep->writer, true, REFUSAL_TAKING_OVER);
}

/* Those who hold the writer that ended keep it until they release it; the stream itself is lent. */
void keep_lend_anew(struct keep *keep)
{
	struct keep *lent = keep_new(keep->keeper, keep->stream);
	if (!lent) {
		keep_refuse_lend(keep, -REFUSAL_OVERLOAD);
		return;
	}
	lent->lend = keep->lend;
	keep->lend = NULL;
	keep_lend(lent);
}

void keeper_lend(struct keeper *k, struct keeper_lend *req, const char *stream)
{
	req->keeper = k;
	req->keep = NULL;
	struct keep *keep = keep_find(k, stream);
	if (k->stopping || (keep && keep->lend)) {
		answer_lend(k, req, NULL, k->stopping ? -REFUSAL_STOPPING : -REFUSAL_CONFLICT);
		return;
	}
	if (keep) {
		keep->lend = req;
		if (keep->state == KEEP_READY)
			keep_yield_to_lend(keep);
		return; /* the end of the take or of the writer goes on */
	}
	keep = k->count < k->streams_max ? keep_new(k, stream) : NULL;
	if (!keep) {
		answer_lend(k, req, NULL,
			k->count < k->streams_max ? -REFUSAL_OVERLOAD : -REFUSAL_STREAMS);
		return;
	}
	keep->lend = req;
	keep_lend(keep);
}

void keeper_return(struct keeper_lend *req)
{
	struct keep *keep = req->keep;
	CHECK(keep && keep->state == KEEP_LENT && keep->lend == req);
	req->keep = NULL;
	keep->lend = NULL;
	if (keep->keeper->stopping)
		keep_refuse_askers(keep, -REFUSAL_STOPPING);
	if (list_empty(&keep->askers)) {
		keep_free(keep);
		return;
	}
	keep_move(keep, KEEP_TAKING);
	keep_start_take(keep);
}
