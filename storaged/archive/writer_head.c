/* SPDX-License-Identifier: Apache-2.0 */
/* What a writer's head holds, and when it is due. */
#include <string.h>

#include "storaged/archive/writer_impl.h"

static struct openchunk *chunk_of(struct list *node)
{
	return list_entry(node, struct openchunk, node);
}

static void put_intent(struct head *head, struct openchunk *c)
{
	head->intents[head->intent_count++] = (struct head_intent){.chunk = c->header.id,
		.day = c->day,
		.session = c->session,
		.lane = c->header.lane};
	c->intent_composed = true;
}

/* Totals are made up to a quarter-hour after the records. What a crash leaves undone the next owner
 * finds by the head: it makes anew the day of last_end, the day before, and the days of intents. So
 * intents of other days, backfill's mostly, stay until the totals are made; and last_end does not
 * move away from a day before that. */
static bool may_move_end(const struct writer *w)
{
	int32_t to = wall_day(w->head.last_end);
	for (unsigned i = 0; i < w->dayswrite.dirty_count; i++)
		if (w->dayswrite.dirty[i] != to && w->dayswrite.dirty[i] != to - 1)
			return false;
	return true;
}

static bool totals_are_safe(const struct writer *w, int32_t day)
{
	return day == wall_day(w->kept_end) || !dayswrite_is_dirty(&w->dayswrite, day);
}

bool writer_may_clear(const struct writer *w, const struct openchunk *c)
{
	return c->state == OPENCHUNK_INDEXED && totals_are_safe(w, c->day) &&
	       totals_are_safe(w, wall_day(c->item.record.end));
}

/* Intents of chunks that are in the head already come first: they must stay until their records are
 * settled. */
static void compose_intents(struct writer *w, struct head *head)
{
	list_each (node, &w->chunks) {
		struct openchunk *c = chunk_of(node);
		c->clearing = writer_may_clear(w, c);
		c->intent_composed = false;
		if (c->intent_settled && !c->clearing)
			put_intent(head, c);
	}
	list_each (node, &w->chunks) {
		struct openchunk *c = chunk_of(node);
		if (!c->intent_settled && head->intent_count < HEAD_INTENTS_MAX)
			put_intent(head, c);
	}
}

/* Record 1 and G3: intents come and go, and sessions' last numbers rise, in one write. */
void writer_compose_head(struct headwrite *hw, struct head *ret_head)
{
	struct writer *w = container_of(hw, struct writer, headwrite);
	struct head *head = ret_head;
	*head = w->head;
	head->intent_count = head->session_count = 0;
	memset(head->intents, 0, sizeof(head->intents));
	memset(head->sessions, 0, sizeof(head->sessions));
	if (may_move_end(w))
		w->kept_end = w->head.last_end;
	head->last_end = w->kept_end;
	compose_intents(w, head);
	list_each (node, &w->lanes) {
		const struct lane *lane = list_entry(node, struct lane, node);
		if (lane->listed)
			head->sessions[head->session_count++] =
				(struct head_session){.session = lane->session,
					.last_seq = lane->durable,
					.last_append = lane->last_append,
					.closed = lane->closed};
	}
	sweep_head_composed(&w->sweep);
	w->head_stale = false;
}

void writer_head_written(struct headwrite *hw)
{
	struct writer *w = container_of(hw, struct writer, headwrite);
	list_each_safe (node, &w->chunks) {
		struct openchunk *c = chunk_of(node);
		if (c->clearing) {
			openchunk_free(&c);
		} else if (c->intent_composed) {
			c->intent_settled = true;
			c->intent_composed = false;
		}
	}
	sweep_head_written(&w->sweep);
	writer_poke(w);
}

/* Whether a head write would get something done. One that only clears waits for the next chunk's
 * intent to ride along with, unless none is in sight. */
bool writer_head_is_due(const struct writer *w)
{
	unsigned kept = 0, planned = 0, cleared = 0, open = 0;
	list_each (node, &w->chunks) {
		const struct openchunk *c = chunk_of(node);
		bool clear = writer_may_clear(w, c);
		cleared += clear;
		kept += c->intent_settled && !clear;
		planned += !c->intent_settled && !c->intent_composed;
		open += c->state != OPENCHUNK_INDEXED;
	}
	if (planned && kept < HEAD_INTENTS_MAX)
		return true;
	return (cleared && !open) || (w->head_stale && !open);
}
