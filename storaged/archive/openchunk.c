/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/openchunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/openchunk_write.h"
#include "storaged/archive/rules.h"
#include "storaged/archive/writer_impl.h"

static const char *const state_names[] = {
	"planned", "open", "sealing", "sealed", "indexed", "recovering"};
static const unsigned may[] = {
	[OPENCHUNK_PLANNED] = MACHINE_TO(OPENCHUNK_OPEN),
	[OPENCHUNK_OPEN] = MACHINE_TO(OPENCHUNK_SEALING),
	[OPENCHUNK_SEALING] = MACHINE_TO(OPENCHUNK_SEALED),
	[OPENCHUNK_SEALED] = MACHINE_TO(OPENCHUNK_INDEXED),
	[OPENCHUNK_INDEXED] = 0,
	[OPENCHUNK_RECOVERING] = MACHINE_TO(OPENCHUNK_OPEN) | MACHINE_TO(OPENCHUNK_SEALED),
};
static const struct machine_kind kind = {"chunk", state_names, may};

void openchunk_move(struct openchunk *c, enum openchunk_state to)
{
	char name[STORE_NAME_MAX + 1];
	const struct machine_trace *trace = &c->writer->tenure.trace;
	if (trace->moved)
		chunk_name(name, c->writer->tenure.stream, &c->header.id);
	machine_move(&kind, &c->state, to, trace, name);
}

/* --- life --- */

static void on_batch_timer(struct loop_timer *timer)
{
	openchunk_step(container_of(timer, struct openchunk, batch_timer));
}

static void on_retry(struct retry *r)
{
	openchunk_step(container_of(r, struct openchunk, retry));
}

static struct openchunk *chunk_alloc(struct writer *w)
{
	struct openchunk *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->writer = w;
	list_init(&c->node);
	list_init(&c->item.node);
	list_init(&c->waiting);
	list_init(&c->flying);
	c->batch_timer.fire = on_batch_timer;
	c->retry.again = on_retry;
	memcpy(c->header.cluster, w->cluster, sizeof(c->header.cluster));
	memcpy(c->header.stream, w->tenure.stream, sizeof(c->header.stream));
	openchunk_write_init(c);
	return c;
}

int openchunk_new(struct writer *w, struct lane *lane, const struct fragment_header *h,
	const struct gap *gap_before, struct openchunk **ret_chunk)
{
	struct openchunk *c = chunk_alloc(w);
	if (!c)
		return -ENOMEM;
	c->state = OPENCHUNK_PLANNED;
	c->lane = lane;
	c->day = wall_day(h->capture);
	c->session = lane->session;
	c->header.id = (struct chunk_id){.epoch = w->tenure.epoch, .seq = w->next_seq};
	c->header.lane = lane->lane;
	c->header.gap_before = *gap_before;
	c->init = buf_ref(lane->init);
	c->init_crc = crc32c(0, c->init->data, c->init->len);
	c->head_len = (uint32_t)c->init->len + CHUNK_OWN_BOX;
	c->timeline = lane->scales;
	c->table.track_count = lane->scales.track_count;
	for (unsigned i = 0; i < c->table.track_count; i++)
		c->table.tracks[i].timescale = lane->scales.timescale[i];
	cutter_start(&c->cutter, &w->limits, w->tenure.stream, lane->ordinal, h->capture);
	/* up to a quarter less than a batch may wait, so that streams do not write in step */
	uint64_t spread = (uint64_t)w->limits.batch_ns / 4 + 1;
	c->batch_delay_ns = w->limits.batch_ns - (int64_t)(loop_random(w->tenure.loop) % spread);
	*ret_chunk = c;
	return 0;
}

int openchunk_new_recovering(
	struct writer *w, const struct writer_found *found, struct openchunk **ret_chunk)
{
	const struct head_intent *intent = &found->intent;
	struct openchunk *c = chunk_alloc(w);
	if (!c)
		return -ENOMEM;
	c->state = OPENCHUNK_RECOVERING;
	c->day = intent->day;
	c->session = intent->session;
	c->header.id = intent->chunk;
	c->header.lane = intent->lane;
	c->len = found->len;
	c->was_sealed = found->sealed;
	c->intent_settled = true;
	*ret_chunk = c;
	return 0;
}

static void free_pieces(struct list *pieces)
{
	for (struct list *node; (node = list_pop(pieces));) {
		struct piece *p = list_entry(node, struct piece, node);
		piece_free(&p);
	}
}

void openchunk_free(struct openchunk **slot)
{
	struct openchunk *c = *slot;
	*slot = NULL;
	if (!c)
		return;
	CHECK(!settle_busy(&c->settle));
	list_remove(&c->node);
	list_remove(&c->item.node);
	loop_timer_stop(&c->batch_timer);
	retry_stop(&c->retry);
	free_pieces(&c->waiting);
	free_pieces(&c->flying);
	openchunk_write_fini(c);
	chunk_table_fini(&c->table);
	buf_unref(&c->init);
	free(c);
}

size_t openchunk_memory(const struct openchunk *c)
{
	/* each piece: itself, its box, its body */
	size_t boxes = (c->table.fragment_count - c->durable_fragments) *
		       (sizeof(struct piece) + CHUNK_FRAG_BOX);
	return sizeof(*c) + chunk_table_memory(&c->table) + c->waiting_bytes + c->flying_bytes +
	       boxes + (c->init ? c->init->len : 0);
}

/* --- fragments --- */

/* Where the next body would lie if nothing had to be padded; set right when its batch is made. */
static uint32_t offset_after(const struct openchunk *c)
{
	if (!c->table.fragment_count)
		return c->head_len + CHUNK_FRAG_BOX;
	const struct table_fragment *last = &c->table.fragments[c->table.fragment_count - 1];
	return last->offset + last->body_len + CHUNK_FRAG_BOX;
}

static uint8_t cause_before(const struct openchunk *c, const struct fragment_header *h)
{
	if (!cutter_gap_before(&c->cutter, h))
		return GAP_NONE;
	return c->lane->gap.cause ? c->lane->gap.cause : GAP_UNKNOWN;
}

int openchunk_take(struct openchunk *c, const struct fragment_header *h, const struct slice *body,
	struct intake *in, struct wall receipt)
{
	struct timeline timeline = c->timeline;
	struct piece *piece = NULL;
	uint8_t cause = cause_before(c, h);
	int rc = timeline_place(&timeline, h, in->runs, in->run_count);
	if (!rc)
		rc = piece_new(h, body, in, receipt, cause, &piece);
	if (!rc && list_empty(&c->waiting))
		rc = loop_timer_start(c->writer->tenure.loop, &c->batch_timer, c->batch_delay_ns);
	if (!rc)
		rc = chunk_table_add(&c->table, h, offset_after(c), in->runs, in->run_count);
	if (rc) {
		piece_free(&piece);
		return rc;
	}
	/* nothing fails from here on */
	piece->index = c->table.fragment_count - 1;
	piece->taken = loop_now(c->writer->tenure.loop);
	c->table.fragments[piece->index].gap_cause = cause;
	piece_commit(piece);
	c->timeline = timeline;
	list_append(&c->waiting, &piece->node);
	c->waiting_bytes += piece->bytes;
	cutter_add(&c->cutter, h, piece->bytes, in->runs[0].sample_count);
	chunk_retention_add(&c->retention, h, receipt);
	if (c->waiting_bytes >= c->writer->limits.batch_bytes)
		writer_poke(c->writer);
	return 0;
}

void openchunk_end(struct openchunk *c, enum chunk_end reason)
{
	if (!c->end_reason)
		c->end_reason = (uint8_t)reason;
	writer_poke(c->writer);
}

void openchunk_recovered(struct openchunk *c, bool sealed)
{
	c->durable_fragments = c->table.fragment_count;
	if (sealed) {
		c->end_reason = c->seal.end_reason;
		openchunk_move(c, OPENCHUNK_SEALED);
		openchunk_make_record(c);
		writer_sealed(c->writer, c);
		return;
	}
	c->end_reason = CHUNK_END_RECOVERED;
	openchunk_move(c, OPENCHUNK_OPEN);
}

/* --- the machine --- */

/* On erasure-coded pools padding is dear and appends must be aligned: a batch there fills sixteen
 * alignments or waits ten times as long. */
static uint64_t fill_bytes(const struct openchunk *c)
{
	uint32_t alignment = store_alignment(c->writer->tenure.store, STORE_DATA);
	return alignment > 4096 ? 16u * (uint64_t)alignment : 0;
}

static int64_t since_ns(const struct openchunk *c, struct list *piece)
{
	return loop_now(c->writer->tenure.loop).ns -
	       list_entry(piece, struct piece, node)->taken.ns;
}

static bool has_enough(const struct openchunk *c)
{
	return c->waiting_bytes >= c->writer->limits.batch_bytes &&
	       c->waiting_bytes >= fill_bytes(c);
}

/* Fragments come in bursts, above all from recorders that catch up: those that follow one another at
 * once go together. */
static bool batch_is_due(const struct openchunk *c)
{
	uint64_t most = BATCH_GATHER * (uint64_t)c->writer->limits.batch_bytes;
	if (list_empty(&c->waiting))
		return false;
	if (c->end_reason || c->flush)
		return true;
	const struct piece *newest = list_entry(c->waiting.prev, struct piece, node);
	bool full = c->waiting_bytes + newest->bytes > most; /* another like it has no room */
	if (has_enough(c) && (full || since_ns(c, c->waiting.prev) >= BATCH_LINGER_NS))
		return true;
	int64_t age_ns = since_ns(c, c->waiting.next);
	if (age_ns < c->batch_delay_ns)
		return false;
	return c->waiting_bytes >= fill_bytes(c) || age_ns >= 10 * c->batch_delay_ns;
}

/* Looks again when the batch will be due if nothing more comes. */
static void arm_batch_timer(struct openchunk *c)
{
	int64_t wait_ns = c->batch_delay_ns - since_ns(c, c->waiting.next);
	if (wait_ns <= 0)
		wait_ns = c->batch_delay_ns; /* it waits to be filled */
	int64_t linger_ns = BATCH_LINGER_NS - since_ns(c, c->waiting.prev);
	if (has_enough(c) && linger_ns < wait_ns)
		wait_ns = linger_ns;
	if (loop_timer_start(c->writer->tenure.loop, &c->batch_timer, wait_ns)) {
		c->flush = true; /* no memory for a timer: rather a small batch than none */
		retry_later(&c->retry, c->writer->tenure.loop);
	}
}

/* A damaged seal is followed by a new one, except where an erasure-coded pool takes nothing after
 * an unaligned end. */
static bool may_seal(const struct openchunk *c)
{
	return !c->was_sealed ||
	       c->len % store_alignment(c->writer->tenure.store, STORE_DATA) == 0 ||
	       store_alignment(c->writer->tenure.store, STORE_DATA) <= 4096;
}

static void step_writing(struct openchunk *c)
{
	if (settle_busy(&c->settle))
		return;
	if (batch_is_due(c)) {
		openchunk_write_batch(c);
	} else if (!list_empty(&c->waiting)) {
		arm_batch_timer(c);
	} else if (c->end_reason && c->state == OPENCHUNK_OPEN && writer_chain(c->writer, c)) {
		if (may_seal(c))
			openchunk_write_seal(c);
		else
			openchunk_skip_seal(c);
	}
}

/* The head names it, and what the session has before it is final (F6). */
static bool may_be_made(const struct openchunk *c)
{
	bool named = c->intent_settled || !rule_holds(RULE_INTENT_FIRST);
	bool waits = rule_holds(RULE_PREFIX) && writer_must_wait(c->writer, c);
	return named && !waits;
}

void openchunk_step(struct openchunk *c)
{
	if (c->writer->state >= WRITER_DROPPING)
		return;
	switch ((enum openchunk_state)c->state) {
	case OPENCHUNK_PLANNED:
		if (!may_be_made(c))
			return; /* a poke follows */
		step_writing(c);
		return;
	case OPENCHUNK_OPEN:
		step_writing(c);
		return;
	case OPENCHUNK_SEALING:
	case OPENCHUNK_SEALED:
	case OPENCHUNK_INDEXED:
	case OPENCHUNK_RECOVERING:
		return;
	}
}

void openchunk_indexed(struct openchunk *c)
{
	openchunk_move(c, OPENCHUNK_INDEXED);
	/* readers find it in the index from now on */
	chunk_table_fini(&c->table);
	buf_unref(&c->init);
}

void openchunk_stop(struct openchunk *c)
{
	loop_timer_stop(&c->batch_timer);
	retry_stop(&c->retry);
	settle_cancel(&c->settle);
}

bool openchunk_busy(const struct openchunk *c)
{
	return settle_busy(&c->settle);
}
