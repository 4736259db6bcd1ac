/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch's reads and its sending: consecutive items of one chunk are read together, sent as the
 * viewer's credit allows, while the next read is under way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/metrics.h"
#include "storaged/session/retrieve.h"

/* Reads grow with what a viewer takes: whoever wants a glance waits for little, and a long window
 * comes in pieces that cost an OSD least a byte. */
#define READ_FIRST (512u << 10)
#define READ_MOST  (4u << 20)
#define READ_HOLE  (64u << 10) /* bytes not wanted that are cheaper to read than to skip */

static const struct retrieve_chunk *chunk_of(const struct retrieve *r, size_t item)
{
	return &r->chunks[r->items[item].chunk];
}

static const struct chunk_table *table_of(const struct retrieve_chunk *c)
{
	return c->loaded ? c->table.table : c->view->table;
}

static const struct table_fragment *fragment_of(const struct retrieve *r, size_t item)
{
	return &table_of(chunk_of(r, item))->fragments[r->items[item].fragment];
}

static uint32_t wanted_len(const struct retrieve *r, size_t item)
{
	const struct table_fragment *f = fragment_of(r, item);
	return r->items[item].prefix_only ? f->prefix_len : f->body_len;
}

void retrieve_drop_plan(struct retrieve *r)
{
	for (size_t i = 0; i < RETRIEVE_READS; i++) {
		if (r->reads[i].came)
			store_read_release(&r->reads[i].read);
		r->reads[i] = (struct retrieve_read){0};
	}
	free(r->items);
	r->items = NULL;
	r->item_count = r->next_read = r->next_send = 0;
	r->read_head = 0;
}

static void on_read(struct store_read *read)
{
	struct retrieve_read *slot = container_of(read, struct retrieve_read, read);
	struct retrieve *r = slot->retrieve;
	slot->busy = false;
	slot->came = true;
	if (!retrieve_operation_ended(r))
		retrieve_send(r);
}

/* Reads items from `first` on that lie close together in one chunk. */
static void start_read(struct retrieve *r, struct retrieve_read *slot)
{
	size_t first = r->next_read, next = first + 1;
	uint32_t most = r->read_bytes ? r->read_bytes : READ_FIRST;
	const struct retrieve_chunk *c = chunk_of(r, first);
	uint64_t begin = fragment_of(r, first)->offset - CHUNK_FRAG_BOX;
	uint64_t end = fragment_of(r, first)->offset + wanted_len(r, first);
	for (; next < r->item_count && chunk_of(r, next) == c; next++) {
		uint64_t at = fragment_of(r, next)->offset;
		uint64_t next_end = at + wanted_len(r, next);
		if (at < end || at - end > READ_HOLE || next_end - begin > most)
			break;
		end = next_end;
	}
	char name[STORE_NAME_MAX + 1];
	chunk_name(name, r->stream, &c->view->record.chunk);
	*slot = (struct retrieve_read){.retrieve = r,
		.first = first,
		.count = next - first,
		.offset = begin,
		.busy = true};
	slot->read = (struct store_read){
		.done = on_read, .want_body = true, .offset = begin, .len = end - begin};
	r->next_read = next;
	r->read_bytes = most < READ_MOST ? most * 2 : most;
	r->operations++;
	store_read(r->service->config.store, &slot->read, c->view->record.pool, name);
}

/* The cause of the hole before an item: inside the chunk its table says, before the chunk the view. */
static uint8_t cause_before(struct retrieve *r, size_t item)
{
	uint8_t cause = r->items[item].gap_cause;
	if (r->pending_cause)
		cause = r->pending_cause;
	r->pending_cause = GAP_NONE;
	if (cause || !r->items[item].first_of_chunk)
		return cause;
	int64_t start_us = fragment_of(r, item)->capture.us;
	size_t low = 0, high = r->view->gap_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (r->view->gaps[middle].to.us < start_us - 1000)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->view->gap_count && r->view->gaps[low].to.us <= start_us + 1000
		       ? r->view->gaps[low].cause
		       : GAP_NONE;
}

static void send_init(struct retrieve *r, struct buf *init)
{
	if (!init || r->init == init)
		return;
	bool same = r->init && r->init->len == init->len &&
		    memcmp(r->init->data, init->data, init->len) == 0;
	buf_unref(&r->init);
	r->init = buf_ref(init);
	if (same)
		return;
	Steppe__Wire__FetchInit message = STEPPE__WIRE__FETCH_INIT__INIT;
	struct slice body = slice_of(init, 0, init->len);
	request_send(&r->request, FRAME_FETCH_INIT, &message.base, &body, 1);
	slice_drop(&body);
}

/* What a whole steppe-frag box would have said, from the table, for a fragment whose own is
 * damaged. */
static void header_from_table(
	const struct retrieve *r, size_t item, struct fragment_header *ret_header)
{
	const struct retrieve_chunk *c = chunk_of(r, item);
	const struct chunk_table *t = table_of(c);
	const struct table_fragment *f = fragment_of(r, item);
	*ret_header = (struct fragment_header){
		.lane = c->view->record.lane,
		.clock_source = f->clock_source,
		.flags = f->flags,
		.session = t->session,
		.seq = f->seq,
		.capture = f->capture,
		.duration_us = f->duration_us,
		.clock_error_us = f->clock_error_us,
		.body_len = f->body_len,
		.prefix_len = f->prefix_len,
		.track_count = t->track_count,
	};
	/* where the times stood nobody knows any more, and without a body it does not matter: any
	 * places a header may name */
	for (uint32_t i = 0; i < t->track_count; i++)
		ret_header->tfdt_offset[i] = 8 * (i + 1);
}

/* Judges an item's bytes in a read that came: whole and unchanged, or not. */
static bool judge(const struct retrieve *r, const struct retrieve_read *slot, size_t item,
	struct fragment_header *ret_header)
{
	const struct table_fragment *f = fragment_of(r, item);
	uint64_t box = f->offset - CHUNK_FRAG_BOX - slot->offset;
	struct wall receipt;
	uint8_t cause;
	if (slot->read.status || box + CHUNK_FRAG_BOX + wanted_len(r, item) > slot->read.body->len)
		return false;
	const uint8_t *at = slot->read.body->data + box;
	if (chunk_frag_parse(at, CHUNK_FRAG_BOX, ret_header, &receipt, &cause))
		return false;
	if (ret_header->seq != f->seq || ret_header->body_len != f->body_len ||
		ret_header->prefix_len != f->prefix_len)
		return false;
	at += CHUNK_FRAG_BOX;
	return !(r->items[item].prefix_only ? fragment_check_prefix_crc(ret_header, at)
					    : fragment_check_crc(ret_header, at));
}

static void send_item(struct retrieve *r, struct retrieve_read *slot, size_t item)
{
	struct fragment_header h;
	bool whole = judge(r, slot, item, &h);
	if (!whole)
		header_from_table(r, item, &h);
	uint8_t header[FRAGMENT_HEADER_SIZE];
	fragment_header_encode(&h, header);
	const struct retrieve_chunk *c = chunk_of(r, item);
	send_init(r, c->loaded ? c->table.init : c->view->init);
	Steppe__Wire__Fragment message = STEPPE__WIRE__FRAGMENT__INIT;
	message.header.data = header;
	message.header.len = sizeof(header);
	message.prefix_only = r->items[item].prefix_only;
	message.gap_cause = cause_before(r, item);
	message.damaged = !whole;
	struct slice body = {0};
	if (whole) {
		body = slice_of(slot->read.body, fragment_of(r, item)->offset - slot->offset,
			wanted_len(r, item));
	} else {
		metrics_add(METRIC_DAMAGED_FRAGMENTS, 1);
	}
	request_send(&r->request, FRAME_FRAGMENT, &message.base, &body, whole ? 1 : 0);
	r->sent_fragments++;
	r->sent_bytes += body.len;
	metrics_add(METRIC_FETCHED_FRAGMENTS, 1);
	metrics_add(METRIC_FETCHED_BYTES, body.len);
	slice_drop(&body);
	r->cursor.any = true;
	r->cursor.unit = r->items[item].unit;
	r->cursor.capture = fragment_of(r, item)->capture;
	if (c->view->record.lane == LANE_LIVE) {
		r->cursor.live = true;
		r->cursor.chunk = c->view->record.chunk;
		r->cursor.fragment = r->items[item].fragment;
	}
}

/* The chunk has gone since the view was made: the index says what became of it. Looked at once;
 * then what is gone is gone. */
static bool look_again(struct retrieve *r, const struct retrieve_read *slot)
{
	if (slot->read.status != -ENOENT || r->reviewed)
		return false;
	for (size_t i = 0; i < RETRIEVE_READS; i++) {
		if (r->reads[i].busy)
			return true; /* the last one to come brings us here again */
	}
	r->reviewed = true;
	retrieve_view(r);
	return true;
}

static bool may_send(const struct retrieve *r)
{
	return r->request.conn && r->sent_bytes < r->credit &&
	       !channel_is_full(r->request.conn->ch);
}

void retrieve_send(struct retrieve *r)
{
	for (;;) {
		for (unsigned i = 0; i < RETRIEVE_READS; i++) {
			struct retrieve_read *slot = &r->reads[(r->read_head + i) % RETRIEVE_READS];
			if (!slot->busy && !slot->came && r->next_read < r->item_count)
				start_read(r, slot);
		}
		struct retrieve_read *slot = &r->reads[r->read_head];
		if (!slot->came)
			break;
		if (look_again(r, slot))
			return;
		if (slot->read.status && slot->read.status != -ENOENT &&
			slot->read.status != ERR_CHECKSUM) {
			retrieve_finish(r, refusal_of_error(slot->read.status));
			return;
		}
		for (; r->next_send < slot->first + slot->count; r->next_send++) {
			if (!may_send(r))
				return;
			if (slot->read.status == -ENOENT)
				r->pending_cause = GAP_EXPIRED;
			else
				send_item(r, slot, r->next_send);
		}
		store_read_release(&slot->read);
		*slot = (struct retrieve_read){0};
		r->read_head = (r->read_head + 1) % RETRIEVE_READS;
	}
	if (r->next_send == r->item_count)
		retrieve_group_done(r);
}
