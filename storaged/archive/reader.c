/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storaged/archive/reader_impl.h"

#define CACHE_BYTES (64u << 20)
#define DAYS_BYTES  (16u << 20) /* more than INDEX_DAYS_MAX days take */

/* --- life --- */

int reader_new(const struct reader_config *config, struct reader **ret_reader)
{
	struct reader *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->loop = config->loop;
	r->store = config->store;
	list_init(&r->head_reads);
	int rc = cache_init(&r->cache, config->cache_bytes ? config->cache_bytes : CACHE_BYTES);
	if (rc < 0) {
		free(r);
		return rc;
	}
	*ret_reader = r;
	return 0;
}

static void finish(struct reader *r)
{
	struct loop_task *closed = r->closed;
	struct loop *loop = r->loop;
	CHECK(list_empty(&r->head_reads));
	cache_fini(&r->cache);
	free(r);
	loop_defer(loop, closed);
}

void reader_leave(struct reader *r)
{
	CHECK(r->active > 0);
	if (--r->active == 0 && r->closing)
		finish(r);
}

void reader_free(struct reader **reader, struct loop_task *closed)
{
	struct reader *r = *reader;
	*reader = NULL;
	r->closing = true;
	r->closed = closed;
	if (r->active == 0)
		finish(r);
}

/* --- heads --- */

/* The read of a stream's head that is under way, who is served by it, and who came after it had
 * begun. */
struct head_read {
	struct reader *reader;
	char stream[STREAM_NAME_MAX + 1];
	struct store_read read;
	struct list served, later;
	struct list node;
};

static void head_start(struct head_read *h);

static void on_head(struct store_read *read)
{
	struct head_read *h = container_of(read, struct head_read, read);
	struct reader *r = h->reader;
	struct list served;
	list_init(&served);
	list_splice(&served, &h->served);
	/* The next read must not begin before those served have been told, and the last of them may
	 * end the reader. */
	reader_enter(r);
	while (!list_empty(&served)) {
		struct head_wait *wait = list_entry(list_pop(&served), struct head_wait, node);
		wait->done(wait, read);
	}
	store_read_release(read);
	if (list_empty(&h->later)) {
		list_remove(&h->node);
		free(h);
	} else {
		list_splice(&h->served, &h->later);
		head_start(h);
	}
	reader_leave(r);
}

static void head_start(struct head_read *h)
{
	char name[STORE_NAME_MAX + 1];
	head_name(name, h->stream);
	h->read = (struct store_read){
		.done = on_head, .want_attrs = true, .want_body = true, .len = HEAD_SIZE + 1};
	store_read(h->reader->store, &h->read, STORE_META, name);
}

int reader_head(struct reader *r, const char *stream, struct head_wait *wait)
{
	list_each (node, &r->head_reads) {
		struct head_read *h = list_entry(node, struct head_read, node);
		if (strcmp(h->stream, stream) == 0) {
			list_append(&h->later, &wait->node);
			return 0;
		}
	}
	struct head_read *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->reader = r;
	strcpy(h->stream, stream);
	list_init(&h->served);
	list_init(&h->later);
	list_append(&h->served, &wait->node);
	list_append(&r->head_reads, &h->node);
	head_start(h);
	return 0;
}

/* --- days --- */

struct days_op {
	struct reader *reader;
	struct reader_days *req;
	struct store_read read;
};

static void on_days(struct store_read *read)
{
	struct days_op *op = container_of(read, struct days_op, read);
	struct reader_days *req = op->req;
	struct reader *r = op->reader;
	int rc = r->closing ? -ECANCELED : read->status;
	if (rc == 0)
		rc = index_days_decode(read->body->data, read->body->len, &req->days);
	store_read_release(read);
	free(op);
	req->impl = NULL;
	req->status = rc;
	reader_leave(r);
	req->done(req);
}

/* What failed before anything was asked of the store is told later, too. */
static void on_days_failed(struct loop_task *task)
{
	struct reader_days *req = container_of(task, struct reader_days, task);
	struct reader *r = req->impl;
	req->impl = NULL;
	reader_leave(r);
	req->done(req);
}

void reader_days(struct reader *r, struct reader_days *req, const char *stream)
{
	char name[STORE_NAME_MAX + 1];
	struct days_op *op = calloc(1, sizeof(*op));
	reader_enter(r);
	req->days = (struct index_days){0};
	if (!op || r->closing || stream_name_split(stream, NULL, NULL) < 0) {
		req->status = !op ? -ENOMEM : r->closing ? -ECANCELED : -EINVAL;
		free(op);
		req->impl = r;
		req->task.run = on_days_failed;
		loop_defer(r->loop, &req->task);
		return;
	}
	op->reader = r;
	op->req = req;
	req->impl = op;
	op->read = (struct store_read){.done = on_days, .want_body = true, .len = DAYS_BYTES};
	index_days_name(name, stream);
	store_read(r->store, &op->read, STORE_META, name);
}
