/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/probe.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/chunk_boxes.h"

/*	ATTRS --> TAIL --> HEAD --> (done)
 *	  |        |        |
 *	  |        +--------+--> WHOLE --> (done)     what a seal or a header should say must be
 * found out
 *	  +--> (done) */

#define TAIL_BYTES (256u << 10) /* where the seal is looked for when nobody says where it is */

static void read_whole(struct probe *p);

static void finish(struct probe *p, int status)
{
	buf_unref(&p->tail);
	p->status = status;
	p->done(p);
}

static void wrong(struct probe *p, const char *what, struct wall from, struct wall to)
{
	if (p->wrong)
		p->wrong(p, what, from, to);
}

static const struct wall never = {0};

static void start_read(
	struct probe *p, void (*done)(struct store_read *), uint64_t offset, uint64_t len)
{
	p->read = (struct store_read){
		.done = done, .want_body = true, .offset = offset, .len = (size_t)len};
	store_read(p->store, &p->read, p->pool, p->name);
}

/* --- what a chunk with all its tables comes to --- */

static void note_sequence(struct probe *p, const struct chunk_table *t)
{
	p->session = t->session;
	p->last_seq = t->fragment_count ? t->fragments[t->fragment_count - 1].seq : 0;
}

static void make_record(
	struct probe *p, const struct chunk_table *table, size_t head_len, uint32_t init_crc)
{
	const struct index_source source = {
		.header = &p->header,
		.seal = &p->seal,
		.table = table,
		.pool = (uint8_t)p->pool,
		.bytes = p->size,
		.head_len = (uint32_t)head_len,
		.init_crc = init_crc,
	};
	index_record_make(&source, &p->record);
	/* the name says which copy it is; a header says which chunk it was made for */
	p->record.chunk = p->id;
	p->record_known = true;
}

static bool is_of_this_chunk(const struct probe *p, const struct chunk_header *h)
{
	return h->id.epoch == p->id.epoch && h->id.seq == p->id.seq &&
	       strcmp(h->stream, p->stream) == 0;
}

/* --- all of it --- */

struct deep {
	struct chunk_survey survey;
	struct probe *probe;
};

static void on_damage(struct chunk_survey *s, const struct chunk_item *item)
{
	struct probe *p = container_of(s, struct deep, survey)->probe;
	if (item->header.seq)
		wrong(p, "fragment is damaged", item->header.capture, fragment_end(&item->header));
	else if (item->kind == CHUNK_ITEM_SEAL)
		wrong(p, "seal is damaged", never, never);
	else if (item->offset > 0 || s->head_known)
		wrong(p, "bytes between fragments are damaged", never, never);
}

/* SHA-256 of each fragment against its header, and of each header against the table that the seal
 * vouches for. */
static void check_digests(struct probe *p, const struct chunk_survey *s, const struct buf *body)
{
	uint64_t at = s->head_known ? s->head_len : 0;
	uint32_t next = 0;
	for (struct chunk_item item;;) {
		chunk_scan(body->data, body->len, &at, false, &item);
		if (item.kind == CHUNK_ITEM_END)
			return;
		if (item.kind != CHUNK_ITEM_FRAGMENT ||
			fragment_check_crc(&item.header, body->data + item.offset) < 0)
			continue;
		uint8_t digest[DIGEST_SIZE];
		int rc = fragment_check_digest(&item.header, body->data + item.offset);
		if (rc == -ENODATA)
			continue; /* its recorder computed none */
		while (next < s->table.fragment_count &&
			s->table.fragments[next].seq < item.header.seq)
			next++;
		bool listed = next < s->table.fragment_count &&
			      s->table.fragments[next].seq == item.header.seq;
		if (rc == 0)
			rc = fragment_digest(&item.header, digest);
		if (rc == ERR_CHECKSUM ||
			(rc == 0 && listed &&
				memcmp(digest, s->table.fragments[next].digest, DIGEST_SIZE) != 0))
			wrong(p, "digest does not match", item.header.capture,
				fragment_end(&item.header));
	}
}

static int take_whole(struct probe *p, const struct buf *body)
{
	struct deep d = {.survey.damage = on_damage, .probe = p};
	struct chunk_survey *s = &d.survey;
	int rc = chunk_survey(s, body->data, body->len);
	bool damaged = rc == ERR_DAMAGED;
	if (damaged)
		rc = 0;
	bool husk = rc == 0 && s->sealed &&
		    s->table.fragment_count == 0; /* has a seal and nothing else */
	if (rc == 0 && (damaged || (!s->head_known && !husk)))
		wrong(p, "header is damaged", never, never);
	if (rc == 0 && !s->sealed && p->attrs_known && p->attrs.sealed)
		wrong(p, "seal is damaged", never, never);
	if (rc == 0 && p->level == PROBE_DEEP)
		check_digests(p, s, body);
	if (rc == 0) {
		p->head_known = s->head_known && is_of_this_chunk(p, &s->header);
		p->header = s->header;
		p->seal = s->seal;
		p->sealed = s->sealed;
		note_sequence(p, &s->table);
		if (!p->head_known)
			p->header = (struct chunk_header){.id = p->id};
		if (s->head_known && !p->head_known)
			wrong(p, "header names another chunk", never, never);
		bool sealed = s->sealed || (p->attrs_known && p->attrs.sealed);
		if (sealed && !damaged)
			make_record(p, &s->table, s->head_len, s->init_crc);
	}
	chunk_survey_fini(s);
	return rc;
}

static void on_whole(struct store_read *read)
{
	struct probe *p = container_of(read, struct probe, read);
	int rc = read->status;
	if (rc == 0) {
		p->bytes_read += read->body->len;
		rc = take_whole(p, read->body);
	}
	store_read_release(read);
	finish(p, rc);
}

static void read_whole(struct probe *p)
{
	/* what lies beyond `len` was never acknowledged */
	uint64_t len = p->attrs_known && p->attrs.len < p->size ? p->attrs.len : p->size;
	buf_unref(&p->tail);
	start_read(p, on_whole, 0, len < STORE_OBJECT_MAX ? len : STORE_OBJECT_MAX);
}

/* --- header, init segment, seal --- */

static void on_head(struct store_read *read)
{
	struct probe *p = container_of(read, struct probe, read);
	struct chunk_table table = {0};
	size_t init_len = 0, head_len = 0;
	int rc = read->status;
	if (rc < 0) {
		store_read_release(read);
		finish(p, rc);
		return;
	}
	p->bytes_read += read->body->len;
	rc = chunk_head_parse(read->body->data, read->body->len, &p->header, &init_len, &head_len);
	uint32_t init_crc = rc == 0 ? crc32c(0, read->body->data, init_len) : 0;
	store_read_release(read);
	if (rc == 0 && !is_of_this_chunk(p, &p->header))
		rc = ERR_FORMAT;
	if (rc == 0)
		rc = chunk_seal_parse(p->tail->data, p->tail->len, &p->seal, &table);
	if (rc == 0) {
		struct chunk_seal again = p->seal;
		rc = chunk_seal_fill(&again, &table);
		if (rc == 0 && memcmp(again.digest, p->seal.digest, DIGEST_SIZE) != 0)
			wrong(p, "digest of the seal does not match", p->seal.start, p->seal.end);
	}
	if (rc == -ENOMEM) {
		chunk_table_fini(&table);
		finish(p, rc);
		return;
	}
	if (rc < 0) {
		read_whole(p);
		return;
	}
	p->head_known = p->sealed = true;
	note_sequence(p, &table);
	make_record(p, &table, head_len, init_crc);
	chunk_table_fini(&table);
	finish(p, 0);
}

/* The seal at the end of a chunk, of which the last bytes are at hand, which begin at `at`. */
static bool find_seal(struct probe *p, const struct buf *bytes, uint64_t at)
{
	struct chunk_seal seal;
	for (size_t from = 0; from < bytes->len;) {
		const uint8_t *hit = memmem(
			bytes->data + from, bytes->len - from, chunk_uuid_seal, CHUNK_UUID_SIZE);
		if (!hit)
			return false;
		size_t uuid = (size_t)(hit - bytes->data);
		size_t box = uuid - (CHUNK_BOX_HEADER - CHUNK_UUID_SIZE);
		from = uuid + 1;
		if (uuid < CHUNK_BOX_HEADER - CHUNK_UUID_SIZE ||
			chunk_seal_parse(bytes->data + box, bytes->len - box, &seal, NULL) < 0 ||
			seal.seal_offset != at + box)
			continue;
		p->tail = buf_copy(bytes->data + box, bytes->len - box);
		return p->tail != NULL;
	}
	return false;
}

static void on_tail(struct store_read *read)
{
	struct probe *p = container_of(read, struct probe, read);
	int rc = read->status;
	if (rc == 0)
		p->bytes_read += read->body->len;
	bool found = rc == 0 && find_seal(p, read->body, p->tail_at);
	store_read_release(read);
	if (rc < 0) {
		finish(p, rc);
		return;
	}
	if (!found) {
		read_whole(p);
		return;
	}
	uint64_t len = p->expected ? p->expected->head_len : CHUNK_HEAD_MAX;
	start_read(p, on_head, 0, len < p->size ? len : p->size);
}

static void read_tail(struct probe *p)
{
	p->tail_at = p->size > TAIL_BYTES ? p->size - TAIL_BYTES : 0;
	if (p->expected && p->expected->seal_offset > 0 && p->expected->seal_offset < p->size)
		p->tail_at = p->expected->seal_offset;
	start_read(p, on_tail, p->tail_at, p->size - p->tail_at);
}

/* --- attributes --- */

static void on_attrs(struct store_read *read)
{
	struct probe *p = container_of(read, struct probe, read);
	int rc = read->status;
	if (rc == 0) {
		p->size = read->size;
		p->attrs_known = chunk_attrs_read(read, &p->attrs) == 0;
	}
	store_read_release(read);
	if (rc < 0) {
		finish(p, rc);
		return;
	}
	if (!p->attrs_known)
		wrong(p, "attributes are damaged", never, never);
	else if (p->attrs.len > p->size)
		wrong(p, "object is shorter than its attribute says", never, never);
	if (p->level == PROBE_ATTRS || p->size == 0)
		finish(p, 0);
	else if (p->level == PROBE_DEEP || (p->attrs_known && !p->attrs.sealed))
		read_whole(p);
	else
		read_tail(p);
}

void probe_start(struct probe *p)
{
	chunk_name(p->name, p->stream, &p->id);
	p->read = (struct store_read){.done = on_attrs, .want_attrs = true};
	store_read(p->store, &p->read, p->pool, p->name);
}
