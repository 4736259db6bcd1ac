/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/recover.h"

#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/openchunk.h"
#include "storaged/archive/writer_impl.h"

/*	IDLE --> WAITING --> READING <--+ the next window, or a larger one
 *	  ^        (gate)       |-------+
 *	  +---------------------+ the whole chunk is known; or it cannot be read now: another's
 *	                          turn */
enum recover_state { RECOVER_IDLE, RECOVER_WAITING, RECOVER_READING };
static const char *const state_names[] = {"idle", "waiting", "reading"};
static const unsigned may[] = {
	[RECOVER_IDLE] = MACHINE_TO(RECOVER_WAITING),
	[RECOVER_WAITING] = MACHINE_TO(RECOVER_IDLE) | MACHINE_TO(RECOVER_READING),
	[RECOVER_READING] = MACHINE_TO(RECOVER_IDLE),
};
static const struct machine_kind kind = {"recover", state_names, may};

#define WINDOW_BYTES (1u << 20)
/* What cannot be parsed in a window that would hold any fragment is damage; only a seal may be
 * larger. */
#define WINDOW_FRAGMENT (FRAGMENT_BODY_MAX + CHUNK_HEAD_MAX + CHUNK_FRAG_BOX)
#define SAMPLES_MAX     65536u

/* --- the gate --- */

void recover_gate_init(struct recover_gate *gate)
{
	*gate = (struct recover_gate){0};
	list_init(&gate->waiting);
}

static void gate_leave(struct recover_gate *gate)
{
	gate->running--;
	struct list *node = list_pop(&gate->waiting);
	if (!node)
		return;
	struct recover *next = list_entry(node, struct recover, node);
	gate->running++;
	loop_defer(next->writer->tenure.loop, &next->granted);
}

/* --- life --- */

static void read_window(struct recover *r);

static void move(struct recover *r, enum recover_state to)
{
	machine_move(&kind, &r->state, to, &r->writer->tenure.trace, r->writer->tenure.stream);
}

static void on_granted(struct loop_task *task)
{
	struct recover *r = container_of(task, struct recover, granted);
	move(r, RECOVER_READING);
	read_window(r);
}

static void on_retry(struct retry *retry)
{
	recover_step(container_of(retry, struct recover, retry));
}

void recover_init(struct recover *r, struct writer *w, struct recover_gate *gate)
{
	r->gate = gate;
	r->writer = w;
	r->granted.run = on_granted;
	r->retry.again = on_retry;
	list_init(&r->node);
}

bool recover_busy(const struct recover *r)
{
	return r->state != RECOVER_IDLE;
}

static void leave(struct recover *r)
{
	move(r, RECOVER_IDLE);
	r->chunk = NULL;
	gate_leave(r->gate);
}

void recover_stop(struct recover *r)
{
	r->stopped = true;
	retry_stop(&r->retry);
	if (r->state == RECOVER_WAITING && !loop_deferred(&r->granted)) {
		list_remove(&r->node);
		move(r, RECOVER_IDLE);
	} else if (r->state == RECOVER_WAITING) {
		loop_undefer(&r->granted);
		leave(r);
	}
}

/* The oldest chunk that is to be recovered, so that digests chain; one that could not be read waits
 * behind the others. */
static struct openchunk *next_chunk(const struct recover *r)
{
	struct openchunk *best = NULL;
	list_each (node, &r->writer->chunks) {
		struct openchunk *c = list_entry(node, struct openchunk, node);
		if (c->state == OPENCHUNK_RECOVERING && (!best || c->failures < best->failures))
			best = c;
	}
	return best;
}

void recover_step(struct recover *r)
{
	if (r->stopped || r->state != RECOVER_IDLE || retry_armed(&r->retry))
		return;
	r->chunk = next_chunk(r);
	if (!r->chunk)
		return;
	r->at = 0;
	r->window = WINDOW_BYTES;
	r->head_known = r->seal_taken = false;
	move(r, RECOVER_WAITING);
	if (r->gate->running == RECOVER_PARALLEL) {
		list_append(&r->gate->waiting, &r->node);
		return;
	}
	r->gate->running++;
	loop_defer(r->writer->tenure.loop, &r->granted);
}

/* --- content --- */

static void start_over(struct openchunk *c)
{
	chunk_table_fini(&c->table);
	buf_unref(&c->init);
	c->retention = (struct chunk_retention){0};
	c->damaged = false;
}

/* Without the init segment fragments can still be told apart; tracks are then as many as there can
 * be. */
static void assume_tracks(struct openchunk *c)
{
	c->damaged = true;
	c->table.track_count = FRAGMENT_TRACKS_MAX;
	for (unsigned i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		c->table.tracks[i].timescale = 1000000;
}

/* Init segment and steppe-chunk box, in the first window. */
static int take_head(struct openchunk *c, const uint8_t *data, size_t len, uint64_t *at)
{
	struct chunk_header header;
	struct bmff_init init;
	size_t init_len, head_len;
	int rc = chunk_head_parse(data, len, &header, &init_len, &head_len);
	if (!rc)
		rc = bmff_init_parse(data, init_len, &init);
	if (rc == -ENOMEM)
		return rc;
	if (rc || header.id.epoch != c->header.id.epoch || header.id.seq != c->header.id.seq) {
		assume_tracks(c);
		return 0;
	}
	c->init = buf_copy(data, init_len);
	if (!c->init)
		return -ENOMEM;
	c->header = header;
	c->init_crc = crc32c(0, data, init_len);
	c->head_len = (uint32_t)head_len;
	chunk_table_init(&c->table, &init);
	*at = head_len;
	return 0;
}

static int take_fragment(
	struct openchunk *c, const uint8_t *body, uint64_t offset, const struct chunk_item *item)
{
	struct slice slice = {.data = body, .len = item->header.body_len};
	struct intake in;
	int rc = intake_read(&in, &item->header, &slice);
	if (rc == -ENOMEM)
		return rc;
	if (!rc) {
		rc = chunk_table_add(
			&c->table, &item->header, (uint32_t)offset, in.runs, in.run_count);
		intake_fini(&in);
	}
	if (rc == -ENOMEM)
		return rc;
	if (rc) {
		c->damaged = true; /* its checksum holds, but it is not what a writer of ours puts
				      there */
		return 0;
	}
	c->table.fragments[c->table.fragment_count - 1].gap_cause = item->gap_cause;
	chunk_retention_add(&c->retention, &item->header, item->receipt);
	return 0;
}

/* The seal of a chunk that was sealed says all that the fragments did. */
static int take_seal(struct openchunk *c, const uint8_t *box, size_t len)
{
	struct chunk_table table = {0};
	struct chunk_seal seal;
	int rc = chunk_seal_parse(box, len, &seal, &table);
	if (rc)
		return rc;
	chunk_table_fini(&c->table);
	c->table = table;
	c->seal = seal;
	c->retention = seal.retention;
	c->damaged = seal.damaged;
	c->chained = true;
	return 0;
}

/* --- windows --- */

/* What a window gave. */
enum window_end {
	WINDOW_MORE, /* go on at r->at */
	WINDOW_GROW, /* something begins here that needs a larger window */
	WINDOW_DONE,
};

/* Damage that reaches the window's end may only be cut by it. */
static int cut_item(
	struct recover *r, const struct chunk_item *item, size_t len, enum window_end *ret_end)
{
	size_t room = r->chunk->was_sealed ? (size_t)(r->chunk->len - r->at) : WINDOW_FRAGMENT;
	if (item->offset > 0) {
		r->at += item->offset; /* look at it from its beginning */
		*ret_end = WINDOW_MORE;
	} else if (len < room) {
		*ret_end = WINDOW_GROW;
	} else {
		r->chunk->damaged = true;
		r->at += len - CHUNK_FRAG_BOX; /* a box may begin just before the end */
		*ret_end = WINDOW_MORE;
	}
	return 0;
}

static int scan_window(struct recover *r, const uint8_t *data, size_t len, enum window_end *ret_end)
{
	struct openchunk *c = r->chunk;
	bool last = r->at + len == c->len;
	uint64_t at = 0;
	if (!r->head_known) {
		int rc = take_head(c, data, len, &at);
		if (rc)
			return rc;
		r->head_known = true;
	}
	for (;;) {
		struct chunk_item item;
		int rc = 0;
		chunk_scan(data, len, &at, true, &item);
		switch (item.kind) {
		case CHUNK_ITEM_FRAGMENT:
			rc = take_fragment(c, data + item.offset, r->at + item.offset, &item);
			break;
		case CHUNK_ITEM_DAMAGE:
			if (!last && item.offset + item.len == len)
				return cut_item(r, &item, len, ret_end);
			c->damaged = true;
			break;
		case CHUNK_ITEM_SEAL:
			rc = take_seal(c, data + item.offset, len - item.offset);
			*ret_end = WINDOW_DONE;
			r->seal_taken = !rc;
			return rc == -ENOMEM ? rc : 0;
		case CHUNK_ITEM_END:
			r->at += len;
			*ret_end = last ? WINDOW_DONE : WINDOW_MORE;
			return 0;
		}
		if (rc)
			return rc;
	}
}

static void chunk_known(struct recover *r)
{
	struct openchunk *c = r->chunk;
	leave(r);
	retry_reset(&r->retry);
	openchunk_recovered(c, c->was_sealed && r->seal_taken);
	writer_poke(c->writer);
}

static void on_window(struct store_read *read)
{
	struct recover *r = container_of(read, struct recover, read);
	enum window_end end = WINDOW_DONE;
	int rc = read->status;
	if (!rc && read->body->len < r->read.len)
		rc = ERR_TRUNCATED; /* the object is shorter than its attribute says */
	if (!rc)
		rc = scan_window(r, read->body->data, read->body->len, &end);
	store_read_release(read);
	if (r->stopped || rc == -ECANCELED) {
		leave(r);
		writer_poke(r->writer);
		return;
	}
	if (rc) {
		/* also bytes that the store cannot give: the chunk keeps its intent, and is read
		 * again */
		r->chunk->failures++;
		leave(r);
		retry_later(&r->retry, r->writer->tenure.loop);
		return;
	}
	if (end == WINDOW_DONE) {
		chunk_known(r);
		return;
	}
	r->window = end == WINDOW_GROW ? 2 * r->window : WINDOW_BYTES;
	read_window(r);
}

static void read_window(struct recover *r)
{
	struct openchunk *c = r->chunk;
	char name[STORE_NAME_MAX + 1];
	if (r->at == 0 && !r->head_known)
		start_over(c);
	if (c->len == 0) {
		chunk_known(r); /* a husk */
		return;
	}
	uint64_t left = c->len - r->at;
	chunk_name(name, c->header.stream, &c->header.id);
	r->read = (struct store_read){.done = on_window,
		.want_body = true,
		.offset = r->at,
		.len = left < r->window ? left : r->window};
	store_read(r->writer->tenure.store, &r->read, STORE_DATA, name);
}
