/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/bmff.h"
#include "storaged/archive/chunk_survey.h"
#include "storaged/archive/reader_impl.h"

/*	PARTS ---> (done)          the init segment and the seal, side by side; or found in the
 * cache
 *	  |
 *	  +------> WHOLE ---> (done)   the seal is damaged: all of the chunk; or it cannot be read:
 *	                               all that is before it */
struct table_op {
	struct reader *reader;
	struct reader_table *req;
	struct index_record record;
	struct cache_entry *entry; /* being filled */
	struct store_read head, seal;
	unsigned reading;
	int status;
};

/* The table goes with the request, which holds the entry until it is released. */
static void finish(struct table_op *op, int status)
{
	struct reader_table *req = op->req;
	struct reader *r = op->reader;
	store_read_release(&op->head);
	store_read_release(&op->seal);
	if (r->closing && status == 0)
		status = -ECANCELED;
	if (status < 0)
		cache_unref(&op->entry);
	req->status = status;
	req->impl = op->entry;
	if (op->entry) {
		req->table = &op->entry->table;
		req->init = op->entry->init;
		req->seal = op->entry->seal;
	}
	free(op);
	reader_leave(r);
	req->done(req);
}

static int make_init(struct table_op *op, const uint8_t *data, size_t len)
{
	size_t init_len = op->record.head_len - CHUNK_OWN_BOX;
	if (len < init_len || crc32c(0, data, init_len) != op->record.init_crc)
		return ERR_DAMAGED;
	op->entry->init = buf_copy(data, init_len);
	return op->entry->init ? 0 : -ENOMEM;
}

/* --- when the seal is damaged --- */

static int survey(struct table_op *op, const struct buf *body)
{
	struct chunk_survey s = {0};
	int rc = chunk_survey(&s, body->data, body->len);
	if (rc == 0 && s.table.fragment_count == 0 && op->record.fragments > 0)
		rc = ERR_DAMAGED;
	if (rc == 0) {
		op->entry->table = s.table;
		op->entry->seal = s.seal;
		s.table = (struct chunk_table){0};
	}
	chunk_survey_fini(&s);
	return rc;
}

static void on_whole(struct store_read *read)
{
	struct table_op *op = container_of(read, struct table_op, seal);
	int rc = read->status;
	if (rc == 0)
		rc = survey(op, read->body);
	if (rc == 0)
		cache_put(&op->reader->cache, op->entry);
	finish(op, rc);
}

static void read_whole(struct table_op *op, size_t len)
{
	char name[STORE_NAME_MAX + 1];
	strcpy(name, op->entry->name);
	store_read_release(&op->seal);
	op->seal = (struct store_read){.done = on_whole, .want_body = true, .len = len};
	store_read(op->reader->store, &op->seal, op->record.pool, name);
}

/* --- the two parts --- */

static void parts_step(struct table_op *op)
{
	if (--op->reading > 0)
		return;
	bool rotten = op->seal.status == -EIO || op->seal.status == ERR_CHECKSUM;
	int rc = op->head.status < 0 || rotten ? op->head.status : op->seal.status;
	if (rc < 0 || op->reader->closing) {
		finish(op, rc);
		return;
	}
	struct cache_entry *e = op->entry;
	rc = make_init(op, op->head.body->data, op->head.body->len);
	if (rc == 0 && rotten) {
		read_whole(op, op->record.seal_offset);
		return;
	}
	if (rc == 0) {
		rc = chunk_seal_parse(op->seal.body->data, op->seal.body->len, &e->seal, &e->table);
		if (rc < 0 && rc != -ENOMEM && rc != ERR_VERSION) {
			read_whole(op, (size_t)op->record.bytes);
			return;
		}
	}
	if (rc == 0)
		cache_put(&op->reader->cache, e);
	finish(op, rc);
}

static void on_head(struct store_read *read)
{
	parts_step(container_of(read, struct table_op, head));
}

static void on_seal(struct store_read *read)
{
	parts_step(container_of(read, struct table_op, seal));
}

static void read_parts(struct table_op *op)
{
	const struct index_record *r = &op->record;
	struct store *store = op->reader->store;
	char name[STORE_NAME_MAX + 1];
	strcpy(name, op->entry->name);
	op->reading = 2;
	op->head = (struct store_read){
		.done = on_head, .want_body = true, .len = r->head_len - CHUNK_OWN_BOX};
	op->seal = (struct store_read){.done = on_seal,
		.want_body = true,
		.offset = r->seal_offset,
		.len = (size_t)(r->bytes - r->seal_offset)};
	store_read(store, &op->head, r->pool, name);
	store_read(store, &op->seal, r->pool, name);
}

/* --- asking --- */

static void on_known(struct loop_task *task)
{
	struct reader_table *req = container_of(task, struct reader_table, task);
	struct table_op *op = req->impl;
	finish(op, op->status);
}

static void on_no_memory(struct loop_task *task)
{
	struct reader_table *req = container_of(task, struct reader_table, task);
	struct reader *r = req->impl;
	req->impl = NULL;
	reader_leave(r);
	req->done(req);
}

static void tell_later(struct table_op *op, int status)
{
	op->status = status;
	op->req->task.run = on_known;
	loop_defer(op->reader->loop, &op->req->task);
}

void reader_table(struct reader *r, struct reader_table *req, const char *stream,
	const struct index_record *record)
{
	char name[STORE_NAME_MAX + 1];
	struct table_op *op = calloc(1, sizeof(*op));
	reader_enter(r);
	req->table = NULL;
	req->init = NULL;
	req->seal = (struct chunk_seal){0};
	if (!op) {
		req->status = -ENOMEM;
		req->impl = r;
		req->task.run = on_no_memory;
		loop_defer(r->loop, &req->task);
		return;
	}
	*op = (struct table_op){.reader = r, .req = req, .record = *record};
	req->impl = op;
	if (record->state == INDEX_TOMBSTONE || record->head_len <= CHUNK_OWN_BOX ||
		record->seal_offset == 0 || record->seal_offset >= record->bytes ||
		stream_name_split(stream, NULL, NULL) < 0) {
		tell_later(op, record->state == INDEX_TOMBSTONE ? -ENOENT : -EINVAL);
		return;
	}
	chunk_name(name, stream, &record->chunk);
	op->entry = cache_find(&r->cache, name);
	if (op->entry) {
		tell_later(op, 0);
		return;
	}
	op->entry = cache_entry_new(name);
	if (!op->entry) {
		tell_later(op, -ENOMEM);
		return;
	}
	read_parts(op);
}

void reader_table_release(struct reader *r, struct reader_table *req)
{
	struct cache_entry *e = req->impl;
	(void)r;
	cache_unref(&e);
	req->impl = NULL;
	req->table = NULL;
	req->init = NULL;
}
