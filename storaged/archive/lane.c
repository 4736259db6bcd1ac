/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "storaged/archive/writer_impl.h"

static void on_silence(struct loop_timer *timer)
{
	struct lane *lane = container_of(timer, struct lane, silence);
	struct writer *w = lane->writer;
	int64_t silent_ns = loop_now(w->tenure.loop).ns - lane->active.ns;
	if (!lane->open)
		return;
	/* fragments came since: look again when they are old enough; without memory for that it is
	 * no loss to seal early */
	if (silent_ns < w->limits.silence_ns &&
		!loop_timer_start(w->tenure.loop, &lane->silence, w->limits.silence_ns - silent_ns))
		return;
	lane_end_chunk(lane, CHUNK_END_SILENCE);
}

void lane_free(struct lane **slot)
{
	struct lane *lane = *slot;
	*slot = NULL;
	if (!lane)
		return;
	loop_timer_stop(&lane->silence);
	list_remove(&lane->node);
	lane->writer->lane_count--;
	buf_unref(&lane->init);
	free(lane);
}

struct lane *lane_find(const struct writer *w, uint64_t session)
{
	list_each (node, &w->lanes) {
		struct lane *lane = list_entry(node, struct lane, node);
		if (lane->session == session)
			return lane;
	}
	return NULL;
}

static bool has_chunks(const struct lane *lane)
{
	list_each (node, &lane->writer->chunks) {
		const struct openchunk *c = list_entry(node, struct openchunk, node);
		if (c->lane == lane ||
			(!c->lane && c->session == lane->session && c->state != OPENCHUNK_INDEXED))
			return true;
	}
	return false;
}

/* G4: forgotten is a session that its recorder closed, or that has been silent for T_safe; then
 * nothing of it can still arrive. */
static bool may_forget(const struct lane *lane)
{
	struct wall now = loop_wall(lane->writer->tenure.loop);
	if (lane->user || has_chunks(lane))
		return false;
	return !lane->listed || lane->closed || now.us - lane->last_append.us >= WRITER_T_SAFE_US;
}

static bool forget_one(struct writer *w)
{
	struct lane *oldest = NULL;
	list_each (node, &w->lanes) {
		struct lane *lane = list_entry(node, struct lane, node);
		if (may_forget(lane) && (!oldest || lane->last_append.us < oldest->last_append.us))
			oldest = lane;
	}
	if (!oldest)
		return false;
	lane_free(&oldest);
	return true;
}

int lane_new(struct writer *w, uint64_t session, struct lane **ret_lane)
{
	if (w->lane_count == HEAD_SESSIONS_MAX && !forget_one(w))
		return ERR_LIMIT;
	struct lane *lane = calloc(1, sizeof(*lane));
	if (!lane)
		return -ENOMEM;
	lane->writer = w;
	lane->session = session;
	lane->silence.fire = on_silence;
	list_append(&w->lanes, &lane->node);
	w->lane_count++;
	*ret_lane = lane;
	return 0;
}

void lane_update_user(struct lane *lane)
{
	struct writer_session *s = lane->user;
	if (!s)
		return;
	s->durable = lane->durable;
	s->durable_until = lane->durable_until;
	s->undurable_bytes = lane->undurable_bytes;
}

void lane_durable(struct lane *lane, const struct piece *piece)
{
	lane->durable = piece->seq;
	lane->durable_until = piece->end;
	lane->undurable_bytes -= piece->body_len;
	lane->writer->bytes += piece->body_len;
	lane->writer->fragments++;
	lane_update_user(lane);
	lane_tell(lane, 0);
}

void lane_tell(struct lane *lane, int failed)
{
	lane->changed = true;
	if (failed && !lane->failed)
		lane->failed = failed;
	writer_poke(lane->writer);
}

void lane_end_chunk(struct lane *lane, enum chunk_end reason)
{
	struct openchunk *c = lane->open;
	lane->open = NULL;
	loop_timer_stop(&lane->silence);
	if (c)
		openchunk_end(c, reason);
}

static void tell_one(struct lane *lane)
{
	struct writer_session *s = lane->user;
	int failed = lane->failed;
	lane->changed = false;
	lane->failed = 0;
	if (!s)
		return;
	if (failed) {
		lane->user = NULL;
		s->impl = NULL;
	}
	s->progress(s, failed);
}

static struct lane *next_changed(const struct writer *w)
{
	list_each (node, &w->lanes) {
		struct lane *lane = list_entry(node, struct lane, node);
		if (lane->changed)
			return lane;
	}
	return NULL;
}

void lanes_tell(struct writer *w)
{
	for (struct list *node; (node = list_pop(&w->superseded));) {
		struct writer_session *s = list_entry(node, struct writer_session, node);
		s->progress(s, REFUSAL_SUPERSEDED);
	}
	/* from the beginning each time: a user may open, close and forget sessions */
	for (struct lane *lane; (lane = next_changed(w));)
		tell_one(lane);
}
