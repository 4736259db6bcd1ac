/* SPDX-License-Identifier: Apache-2.0 */
/* What others may see of a writer. */
#include "storaged/archive/writer_impl.h"

static const struct openchunk *chunk_of(const struct list *node)
{
	return list_entry(node, struct openchunk, node);
}

size_t writer_open_chunks(const struct writer *w, struct writer_open_chunk chunks[HEAD_INTENTS_MAX])
{
	size_t count = 0;
	list_each (node, &w->chunks) {
		const struct openchunk *c = chunk_of(node);
		/* as many as there are intents: what has no intent has nothing durable */
		if (c->state == OPENCHUNK_INDEXED || !c->len)
			continue;
		CHECK(count < HEAD_INTENTS_MAX);
		bool known = c->state != OPENCHUNK_RECOVERING;
		chunks[count++] = (struct writer_open_chunk){.id = c->header.id,
			.lane = c->header.lane,
			.durable_len = c->len,
			.durable_fragments = c->durable_fragments,
			.table = known ? &c->table : NULL,
			.init = known ? c->init : NULL,
			.head_len = c->head_len,
			.gap_before = c->header.gap_before,
			.day = c->day};
	}
	return count;
}

struct gap writer_open_gap(const struct writer *w)
{
	return w->head.open_gap;
}

const char *writer_stream(const struct writer *w)
{
	return w->tenure.stream;
}

uint64_t writer_epoch(const struct writer *w)
{
	return w->tenure.epoch;
}

void writer_watch_start(struct writer *w, struct writer_watch *watch)
{
	list_append(&w->watches, &watch->node);
	if (w->state != WRITER_RECORDING)
		writer_poke(w); /* gone() follows */
}

void writer_watch_stop(struct writer_watch *watch)
{
	list_remove(&watch->node);
}

bool writer_is_idle(const struct writer *w)
{
	list_each (node, &w->lanes)
		if (list_entry(node, struct lane, node)->user)
			return false;
	list_each (node, &w->chunks)
		if (!list_empty(&chunk_of(node)->waiting) || !list_empty(&chunk_of(node)->flying))
			return false;
	return list_empty(&w->watches);
}

void writer_stats(const struct writer *w, struct writer_stats *ret_stats)
{
	struct writer_stats stats = {
		.epoch = w->tenure.epoch, .bytes = w->bytes, .fragments = w->fragments};
	stats.memory_bytes = sizeof(*w) + w->lane_count * sizeof(struct lane);
	list_each (node, &w->chunks) {
		const struct openchunk *c = chunk_of(node);
		stats.memory_bytes += openchunk_memory(c);
		if (c->lane && !c->end_reason)
			stats.open_chunk_bytes += c->len;
	}
	list_each (node, &w->lanes) {
		const struct lane *lane = list_entry(node, struct lane, node);
		stats.recording |= lane->open != NULL;
		if (lane->durable_until.us > stats.durable_until.us)
			stats.durable_until = lane->durable_until;
	}
	*ret_stats = stats;
}
