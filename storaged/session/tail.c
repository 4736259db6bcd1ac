/* SPDX-License-Identifier: Apache-2.0 */
/* The live edge: a fetch that follows keeps the stream's writer and looks again whenever more
 * became durable. */
#include "storaged/session/retrieve.h"

#include <errno.h>

static void on_changed(struct writer_watch *watch)
{
	struct retrieve *r = container_of(watch, struct retrieve, watch);
	if (r->state == RETRIEVE_WAITING)
		retrieve_view(r);
	else
		r->woken = true;
}

/* The stream is another's now, or this daemon stops: the viewer asks again, and is told where. */
static void on_writer_gone(struct writer_watch *watch)
{
	struct retrieve *r = container_of(watch, struct retrieve, watch);
	retrieve_finish(r, REFUSAL_NOT_OWNER);
}

static void on_taken(struct keeper_take *take)
{
	struct retrieve *r = container_of(take, struct retrieve, take);
	bool taken = !take->status;
	if (r->state == RETRIEVE_ENDED && taken)
		keeper_release(take);
	if (retrieve_operation_ended(r))
		return;
	if (!taken) {
		retrieve_finish(
			r, take->status == -ENOENT ? REFUSAL_UNKNOWN_STREAM : -take->status);
		return;
	}
	if (r->service->config.moves)
		moves_check(r->service->config.moves, r->stream);
	r->watching = true;
	r->watch = (struct writer_watch){.changed = on_changed, .gone = on_writer_gone};
	writer_watch_start(take->writer, &r->watch);
	retrieve_start(r);
}

void tail_begin(struct retrieve *r)
{
	r->state = RETRIEVE_VIEWING;
	r->operations++;
	r->take.done = on_taken;
	r->take.create = false;
	r->take.confirm = true; /* a writer that has ended elsewhere would never tell of anything */
	keeper_take(r->service->config.keeper, &r->take, r->stream);
}

void tail_wait(struct retrieve *r)
{
	r->state = RETRIEVE_WAITING;
	r->at_edge = true;
	/* until something was sent all of the window is wanted, whichever days had nothing */
	r->window.slice_from = r->window.from;
	r->window.slice_to = r->window.to;
	r->window.first_slice = true;
	if (!r->woken)
		return;
	r->woken = false;
	retrieve_view(r);
}

void tail_window(const struct retrieve *r, struct wall *ret_from, struct wall *ret_to)
{
	struct writer_open_chunk open[HEAD_INTENTS_MAX];
	size_t count = writer_open_chunks(r->take.writer, open);
	struct wall from = r->cursor.any ? r->cursor.capture : r->window.from;
	struct wall to = {loop_wall(r->service->config.loop).us + US_PER_DAY};
	for (size_t i = 0; i < count; i++) {
		if (!open[i].table || !open[i].durable_fragments)
			continue;
		const struct table_fragment *first = &open[i].table->fragments[0];
		const struct table_fragment *last =
			&open[i].table->fragments[open[i].durable_fragments - 1];
		/* a clock that stepped back has put what is new before what was sent; one that runs
		 * ahead, after tomorrow */
		if (r->cursor.any && first->capture.us < from.us)
			from = first->capture;
		if (last->capture.us + last->duration_us >= to.us)
			to.us = last->capture.us + last->duration_us + 1;
	}
	*ret_from = from;
	*ret_to = to;
}

void tail_end(struct retrieve *r)
{
	if (!r->watching)
		return;
	r->watching = false;
	writer_watch_stop(&r->watch);
	keeper_release(&r->take);
}
