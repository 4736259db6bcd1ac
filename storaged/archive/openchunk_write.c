/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/openchunk_write.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/rules.h"
#include "storaged/archive/writer_impl.h"

#define BATCH_PIECES_MAX 256u
static_assert(
	BATCH_PIECES_MAX * PIECE_PARTS_MAX + 2 <= STORE_BODY_PARTS_MAX, "head, pieces, padding");

/* --- what every operation carries --- */

/* {exists, ep == mine, len == off}: F4. */
static void guard(struct openchunk *c)
{
	char ep[ATTR_U64_SIZE + 1], len[ATTR_U64_SIZE + 1];
	settle_guard_exists(&c->settle);
	attr_u64_format(c->writer->tenure.epoch, ep);
	if (rule_holds(RULE_EPOCH_GUARD))
		settle_guard_equal(&c->settle, ATTR_EP, ep);
	attr_u64_format(c->len, len);
	if (rule_holds(RULE_LENGTH_GUARD))
		settle_guard_equal(&c->settle, ATTR_LEN, len);
}

static void begin(struct openchunk *c)
{
	char name[STORE_NAME_MAX + 1];
	chunk_name(name, c->header.stream, &c->header.id);
	c->failures = 0;
	settle_begin(&c->settle, &c->writer->tenure, STORE_DATA, name, ATTR_EP);
}

static void set_len(struct openchunk *c, uint64_t len)
{
	char value[ATTR_U64_SIZE + 1];
	attr_u64_format(len, value);
	settle_set(&c->settle, ATTR_LEN, value);
}

/* --- batches --- */

static void drop_batch(struct openchunk *c)
{
	free(c->parts);
	c->parts = NULL;
	buf_unref(&c->head_buf);
	slice_drop(&c->padding);
}

static void count_durable(struct openchunk *c, const struct piece *p)
{
	c->durable_fragments = p->index + 1;
	lane_durable(c->lane, p);
}

/* The pieces of the batch on its way are durable. */
static void acknowledge(struct openchunk *c)
{
	for (struct list *node; (node = list_pop(&c->flying));) {
		struct piece *p = list_entry(node, struct piece, node);
		if (rule_holds(RULE_ACK_SETTLED))
			count_durable(c, p);
		piece_free(&p);
	}
}

static void batch_settled(struct openchunk *c)
{
	drop_batch(c);
	c->len += c->flying_bytes;
	c->flying_bytes = 0;
	acknowledge(c);
	c->writer->changed = true;
	c->lane->trouble = 0;
	if (list_empty(&c->waiting))
		c->flush = false;
	if (c->state == OPENCHUNK_PLANNED)
		openchunk_move(c, OPENCHUNK_OPEN);
	openchunk_step(c);
	writer_poke(c->writer);
}

/* The first of the waiting pieces, which make a batch: all that came while the one before was on
 * its way, within bounds. A busy store thus gets fewer and larger writes, which cost it less a byte.
 */
struct choice {
	unsigned pieces;
	uint64_t bytes;
	const struct piece *last;
};

static struct choice choose_pieces(const struct openchunk *c)
{
	struct choice chosen = {0};
	uint64_t most = BATCH_GATHER * (uint64_t)c->writer->limits.batch_bytes;
	list_each (node, &c->waiting) {
		const struct piece *p = list_entry(node, struct piece, node);
		if (chosen.pieces == BATCH_PIECES_MAX ||
			(chosen.pieces && chosen.bytes + p->bytes > most))
			break;
		chosen.bytes += p->bytes;
		chosen.pieces++;
		chosen.last = p;
	}
	return chosen;
}

/* The chunk's head, before the first batch. */
static int make_head(struct openchunk *c)
{
	if (c->state != OPENCHUNK_PLANNED)
		return 0;
	writer_chain_name(c->writer, c);
	return chunk_head_build(&c->header, c->init->data, c->init->len, &c->head_buf);
}

/* Right behind the last piece when there is room, so that a batch of one piece is one piece of
 * memory: the store on RADOS then has nothing to put together. */
static int make_padding(struct openchunk *c, const struct piece *last, uint64_t end)
{
	uint32_t len = chunk_padding(end, store_alignment(c->writer->tenure.store, STORE_DATA));
	if (!len)
		return 0;
	uint8_t *to = piece_room_behind(last, len);
	if (to) {
		c->padding =
			(struct slice){buf_ref(last->parts[last->part_count - 1].buf), to, len};
	} else {
		struct buf *own = buf_new(len);
		if (!own)
			return -ENOMEM;
		to = own->data;
		c->padding = (struct slice){own, to, len};
	}
	memset(to, 0, len);
	chunk_padding_build(to, len);
	return 0;
}

/* Everything of a batch that takes memory. */
static int make_batch(struct openchunk *c, const struct choice *chosen)
{
	int rc = make_head(c);
	uint64_t head = c->head_buf ? c->head_buf->len : 0;
	if (!rc)
		rc = make_padding(c, chosen->last, c->len + head + chosen->bytes);
	if (rc)
		return rc;
	c->parts = calloc((size_t)chosen->pieces * PIECE_PARTS_MAX + 2, sizeof(*c->parts));
	if (!c->parts)
		return -ENOMEM;
	c->flying_bytes = head + chosen->bytes + c->padding.len;
	return 0;
}

/* Moves `pieces` of the waiting into the batch, fixing their places in the table; returns the
 * number of parts. */
static size_t load_batch(struct openchunk *c, unsigned pieces)
{
	uint64_t at = c->len + (c->head_buf ? c->head_buf->len : 0);
	size_t count = 0;
	if (c->head_buf)
		c->parts[count++] =
			(struct slice){c->head_buf, c->head_buf->data, c->head_buf->len};
	while (pieces--) {
		struct piece *p = list_entry(list_pop(&c->waiting), struct piece, node);
		c->table.fragments[p->index].offset = (uint32_t)at + CHUNK_FRAG_BOX;
		at += p->bytes;
		c->waiting_bytes -= p->bytes;
		for (unsigned i = 0; i < p->part_count; i++)
			c->parts[count++] = p->parts[i];
		list_append(&c->flying, &p->node);
		if (!rule_holds(RULE_ACK_SETTLED))
			count_durable(c, p);
	}
	if (c->padding.len)
		c->parts[count++] = c->padding;
	return count;
}

void openchunk_write_batch(struct openchunk *c)
{
	char ep[ATTR_U64_SIZE + 1], last[2 * ATTR_U64_SIZE + 1];
	bool create = c->state == OPENCHUNK_PLANNED;
	struct choice chosen = choose_pieces(c);
	if (make_batch(c, &chosen)) {
		drop_batch(c);
		retry_later(&c->retry, c->writer->tenure.loop);
		return;
	}
	retry_reset(&c->retry);
	loop_timer_stop(&c->batch_timer);
	size_t parts = load_batch(c, chosen.pieces);
	begin(c);
	if (create) {
		settle_guard_absent(&c->settle);
		attr_u64_format(c->writer->tenure.epoch, ep);
		settle_set(&c->settle, ATTR_EP, ep);
		settle_set(&c->settle, ATTR_STATE, ATTR_STATE_OPEN);
	} else {
		guard(c);
	}
	set_len(c, c->len + c->flying_bytes);
	const struct piece *newest = list_entry(c->flying.prev, struct piece, node);
	chunk_last_format(c->session, newest->seq, last);
	settle_set(&c->settle, ATTR_LAST, last);
	settle_body_at(&c->settle, c->len, c->parts, parts);
	settle_submit(&c->settle);
}

/* --- the seal --- */

void openchunk_make_record(struct openchunk *c)
{
	const struct index_source source = {.header = &c->header,
		.seal = &c->seal,
		.table = &c->table,
		.pool = STORE_DATA,
		.bytes = c->len,
		.head_len = c->head_len,
		.init_crc = c->init_crc};
	index_record_make(&source, &c->item.record);
	c->item.day = c->day;
}

static void seal_settled(struct openchunk *c)
{
	c->len += c->seal_buf->len;
	buf_unref(&c->seal_buf);
	if (c->lane)
		c->lane->trouble = 0;
	openchunk_move(c, OPENCHUNK_SEALED);
	openchunk_make_record(c);
	writer_sealed(c->writer, c);
}

static void describe(struct openchunk *c)
{
	c->seal.end_reason = c->end_reason;
	c->seal.damaged = c->damaged;
	c->seal.seal_offset = c->len;
	c->seal.retention = c->retention;
}

void openchunk_skip_seal(struct openchunk *c)
{
	c->damaged = true;
	describe(c);
	if (chunk_seal_fill(&c->seal, &c->table)) {
		retry_later(&c->retry, c->writer->tenure.loop);
		return;
	}
	openchunk_move(c, OPENCHUNK_SEALING);
	openchunk_move(c, OPENCHUNK_SEALED);
	openchunk_make_record(c);
	writer_sealed(c->writer, c);
}

void openchunk_write_seal(struct openchunk *c)
{
	describe(c);
	if (chunk_seal_build(&c->seal, &c->table, &c->seal_buf)) {
		retry_later(&c->retry, c->writer->tenure.loop);
		return;
	}
	retry_reset(&c->retry);
	openchunk_move(c, OPENCHUNK_SEALING);
	if (rule_holds(RULE_SEAL_FIRST)) {
		openchunk_submit_seal(c);
		return;
	}
	c->len += c->seal_buf->len;
	openchunk_make_record(c);
	c->len -= c->seal_buf->len;
	indexwrite_put(&c->writer->indexwrite, &c->item);
}

void openchunk_submit_seal(struct openchunk *c)
{
	c->seal_part = (struct slice){
		.buf = c->seal_buf, .data = c->seal_buf->data, .len = c->seal_buf->len};
	begin(c);
	guard(c);
	set_len(c, c->len + c->seal_buf->len);
	settle_set(&c->settle, ATTR_STATE, ATTR_STATE_SEALED);
	settle_body_at(&c->settle, c->len, &c->seal_part, 1);
	settle_submit(&c->settle);
}

/* --- outcomes --- */

static void on_settled(struct settle *s)
{
	struct openchunk *c = container_of(s, struct openchunk, settle);
	if (s->status)
		writer_lost(c->writer, s->status);
	else if (c->state == OPENCHUNK_SEALING)
		seal_settled(c);
	else
		batch_settled(c);
}

static void on_trouble(struct settle *s, int error)
{
	struct openchunk *c = container_of(s, struct openchunk, settle);
	writer_trouble(c->writer, c->lane, error, ++c->failures);
}

void openchunk_write_init(struct openchunk *c)
{
	c->settle.done = on_settled;
	c->settle.trouble = on_trouble;
}

void openchunk_write_fini(struct openchunk *c)
{
	drop_batch(c);
	buf_unref(&c->seal_buf);
}
