/* SPDX-License-Identifier: Apache-2.0 */
/* What the chunks of a writer have to do with one another: which one follows which, by name and by
 * digest, and which must be sealed before another begins. */
#include <string.h>

#include "storaged/archive/openchunk_write.h"
#include "storaged/archive/rules.h"
#include "storaged/archive/writer_impl.h"

static struct openchunk *chunk_of(struct list *node)
{
	return list_entry(node, struct openchunk, node);
}

bool writer_id_before(const struct chunk_id *a, const struct chunk_id *b)
{
	return a->epoch != b->epoch ? a->epoch < b->epoch : a->seq < b->seq;
}

static bool same(const struct chunk_id *a, const struct chunk_id *b)
{
	return a->epoch == b->epoch && a->seq == b->seq;
}

static bool is_sealed(const struct openchunk *c)
{
	return c->state == OPENCHUNK_SEALED || c->state == OPENCHUNK_INDEXED;
}

bool writer_must_wait(const struct writer *w, const struct openchunk *c)
{
	list_each (node, &w->chunks) {
		const struct openchunk *other = chunk_of(node);
		if (other == c)
			return false;
		if (other->lane == c->lane && !is_sealed(other))
			return true;
	}
	return false;
}

/* Not one that goes on: its digest will not be known when it is needed. Not a husk: it has nothing
 * to be followed. */
static bool may_be_followed(const struct openchunk *c)
{
	if (is_sealed(c))
		return c->seal.fragments > 0;
	return c->len > 0 && (c->end_reason || c->state == OPENCHUNK_RECOVERING);
}

void writer_chain_name(const struct writer *w, struct openchunk *c)
{
	struct chunk_id newest = w->head.last_chunk;
	if (c->header.lane != LANE_LIVE)
		return;
	list_each (node, &w->chunks) {
		const struct openchunk *other = chunk_of(node);
		if (other->header.lane == LANE_LIVE && may_be_followed(other) &&
			writer_id_before(&other->header.id, &c->header.id) &&
			writer_id_before(&newest, &other->header.id))
			newest = other->header.id;
	}
	c->header.has_previous = newest.epoch != 0;
	c->header.previous = newest;
}

static void set_chain(struct openchunk *c, const uint8_t digest[DIGEST_SIZE])
{
	memcpy(c->seal.previous_digest, digest, DIGEST_SIZE);
	c->chained = true;
}

bool writer_chain(struct writer *w, struct openchunk *c)
{
	if (c->chained || !c->header.has_previous)
		return true;
	list_each (node, &w->chunks) {
		const struct openchunk *other = chunk_of(node);
		if (!same(&other->header.id, &c->header.previous))
			continue;
		if (is_sealed(other))
			set_chain(c, other->seal.digest);
		/* a chunk that cannot be read must not hold up those after it */
		return is_sealed(other) || other->failures > 3;
	}
	if (same(&w->head.last_chunk, &c->header.previous))
		set_chain(c, w->head.last_digest);
	return true;
}

void writer_sealed(struct writer *w, struct openchunk *c)
{
	list_each (node, &w->chunks) {
		struct openchunk *other = chunk_of(node);
		if (!other->chained && other->header.has_previous &&
			same(&other->header.previous, &c->header.id))
			set_chain(other, c->seal.digest);
	}
	bool counts = c->header.lane == LANE_LIVE && c->table.fragment_count;
	if (counts && writer_id_before(&w->head.last_chunk, &c->header.id)) {
		w->head.last_chunk = c->header.id;
		memcpy(w->head.last_digest, c->seal.digest, DIGEST_SIZE);
		w->head.last_end = c->seal.end;
	}
	if (counts && c->seal.end.us > w->live_end.us)
		w->live_end = c->seal.end;
	if (rule_holds(RULE_SEAL_FIRST))
		indexwrite_put(&w->indexwrite, &c->item);
	else
		openchunk_indexed(c);
	writer_poke(w);
}
