/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storaged/store/ceph_librados.h"
#include "storaged/store/ceph_op.h"

/* Chunks grow to this by appends of about that, and video does not compress. */
#define CHUNK_BYTES_EXPECTED  (32u << 20)
#define APPEND_BYTES_EXPECTED (1u << 20)
#define CHUNK_HINTS                                                                                \
	(LIBRADOS_ALLOC_HINT_FLAG_SEQUENTIAL_WRITE | LIBRADOS_ALLOC_HINT_FLAG_SEQUENTIAL_READ |    \
		LIBRADOS_ALLOC_HINT_FLAG_APPEND_ONLY | LIBRADOS_ALLOC_HINT_FLAG_INCOMPRESSIBLE)

#define GATHER_KEPT_MAX (8u << 20) /* a larger gathering buffer is given back after use */

/* One question to the cluster: what librados writes its answer to. */
struct question {
	/* librados hands the question over to its own thread by means that a race detector cannot
	 * see through; this says the same in a way that it can */
	atomic_bool asked;
	struct ceph_op *op;
	void (*answered)(struct ceph_op *op, int rc);
	rados_completion_t completion;
	rados_write_op_t write;
	rados_read_op_t read;
	rados_xattrs_iter_t attrs;
	int attrs_rc, stat_rc, body_rc;
	size_t body_len;
};

static void question_free(struct question *q)
{
	if (q->attrs)
		rados_getxattrs_end(q->attrs);
	if (q->write)
		rados_release_write_op(q->write);
	if (q->read)
		rados_release_read_op(q->read);
	if (q->completion)
		rados_aio_release(q->completion);
	free(q);
}

/* Copies what the iterator shows and the store's callers may see; it forgets each value when it is
 * asked for the next. An object that this store did not write may have anything: what is too much
 * for us is an error of the object's. */
static int take_attrs(struct question *q)
{
	struct ceph_op *op = q->op;
	struct {
		char name[STORE_ATTR_NAME_MAX + 1];
		size_t len;
		uint8_t value[STORE_ATTR_VALUE_MAX];
	} found[STORE_ATTRS_MAX];
	size_t count = 0, total = 0;
	const char *name, *value;
	size_t len;
	for (;;) {
		int rc = rados_getxattrs_next(q->attrs, &name, &value, &len);
		if (rc)
			return rc;
		if (!name)
			break;
		if (strcmp(name, SIZE_ATTR) == 0) {
			char size[SIZE_DIGITS + 1];
			(void)snprintf(size, sizeof(size), "%08x", (unsigned)op->size);
			op->size_is_kept = len == SIZE_DIGITS && memcmp(value, size, len) == 0;
			continue;
		}
		if (strlen(name) > STORE_ATTR_NAME_MAX || len > STORE_ATTR_VALUE_MAX ||
			count == STORE_ATTRS_MAX)
			return -EIO;
		(void)snprintf(found[count].name, sizeof(found[count].name), "%s", name);
		if (len)
			memcpy(found[count].value, value, len);
		found[count++].len = len;
		total += len;
	}
	op->attrs = store_read_attrs_new(total);
	if (!op->attrs)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		store_read_attrs_add(op->attrs, found[i].name, found[i].value, found[i].len);
	return 0;
}

/* A body that came out much shorter than asked for does not keep the memory of the long one. */
static int take_body(struct question *q)
{
	struct ceph_op *op = q->op;
	if (q->body_rc < 0)
		return q->body_rc;
	if (q->body_len >= op->body->len / 2) {
		op->body->len = q->body_len;
		return 0;
	}
	struct buf *small = buf_copy(op->body->data, q->body_len);
	if (!small)
		return -ENOMEM;
	buf_unref(&op->body);
	op->body = small;
	return 0;
}

static void on_complete(rados_completion_t completion, void *arg)
{
	struct question *q = arg;
	CHECK(atomic_load_explicit(&q->asked, memory_order_acquire));
	struct ceph_op *op = q->op;
	int rc = rados_aio_get_return_value(completion);
	if (q->read && rc >= 0) {
		rc = q->stat_rc;
		if (!rc && q->attrs)
			rc = q->attrs_rc < 0 ? q->attrs_rc : take_attrs(q);
		if (!rc && op->body)
			rc = take_body(q);
	}
	void (*answered)(struct ceph_op *, int) = q->answered;
	question_free(q);
	answered(op, rc < 0 ? rc : 0);
}

static void guard_size(rados_write_op_t w, uint8_t comparison, uint64_t value)
{
	char digits[SIZE_DIGITS + 1];
	(void)snprintf(digits, sizeof(digits), "%08x", (unsigned)value);
	/* the comparison reads "value OP what the object has" */
	rados_write_op_cmpxattr(w, SIZE_ATTR, comparison, digits, SIZE_DIGITS);
}

static void keep_size(rados_write_op_t w, uint64_t size)
{
	char digits[SIZE_DIGITS + 1];
	(void)snprintf(digits, sizeof(digits), "%08x", (unsigned)size);
	rados_write_op_setxattr(w, SIZE_ATTR, digits, SIZE_DIGITS);
}

static void add_guards(rados_write_op_t w, const struct ceph_op *op)
{
	const struct store_edits *e = &op->edits;
	uint64_t end = e->offset + op->body_bytes;
	if (ceph_op_creates(op)) {
		rados_write_op_create(w, LIBRADOS_CREATE_EXCLUSIVE, NULL);
		if (op->pool != STORE_META)
			rados_write_op_set_alloc_hint2(
				w, CHUNK_BYTES_EXPECTED, APPEND_BYTES_EXPECTED, CHUNK_HINTS);
		return;
	}
	rados_write_op_assert_exists(w);
	for (size_t i = 0; i < e->guard_count; i++) {
		const struct store_guard *g = &e->guards[i];
		if (g->kind == STORE_ATTR_EQUAL)
			rados_write_op_cmpxattr(
				w, g->attr, LIBRADOS_CMPXATTR_OP_EQ, g->value, g->value_len);
		else if (g->kind == STORE_ATTR_BELOW)
			rados_write_op_cmpxattr(
				w, g->attr, LIBRADOS_CMPXATTR_OP_GT, g->value, g->value_len);
	}
	if (op->step == CEPH_EXTEND) {
		guard_size(w, LIBRADOS_CMPXATTR_OP_LTE, e->offset);
		if (op->body_bytes)
			guard_size(w, LIBRADOS_CMPXATTR_OP_GTE, end);
	} else if (op->step == CEPH_INSIDE) {
		guard_size(w, LIBRADOS_CMPXATTR_OP_LT, end);
	}
}

/* Whether the parts follow one another in memory. */
static bool is_one_piece(const struct store_edits *e)
{
	for (size_t i = 1; i < e->body_count; i++)
		if (e->body[i].data != e->body[i - 1].data + e->body[i - 1].len)
			return false;
	return true;
}

/* The body as one piece, as an erasure-coded pool demands and OSDs like it. librados copies it
 * once more. */
static int gather_body(struct ceph_conn *conn, const struct ceph_op *op, const char **ret_body)
{
	const struct store_edits *e = &op->edits;
	if (is_one_piece(e)) {
		*ret_body = (const char *)e->body[0].data;
		return 0;
	}
	if (op->body_bytes > conn->gather_size) {
		free(conn->gather);
		conn->gather = malloc(op->body_bytes);
		conn->gather_size = conn->gather ? op->body_bytes : 0;
		if (!conn->gather)
			return -ENOMEM;
	}
	char *at = conn->gather;
	for (size_t i = 0; i < e->body_count; i++) {
		if (e->body[i].len)
			memcpy(at, e->body[i].data, e->body[i].len);
		at += e->body[i].len;
	}
	*ret_body = conn->gather;
	return 0;
}

static int add_body(struct ceph_conn *conn, rados_write_op_t w, const struct ceph_op *op)
{
	const struct store_edits *e = &op->edits;
	const char *body = "";
	int rc = op->body_bytes ? gather_body(conn, op, &body) : 0;
	if (rc)
		return rc;
	switch (e->body_kind) {
	case STORE_BODY_NONE:
		break;
	case STORE_BODY_WRITE_AT:
		/* an empty one too: the pool judges the offset */
		rados_write_op_write(w, body, op->body_bytes, e->offset);
		break;
	case STORE_BODY_WHOLE:
		rados_write_op_write_full(w, body, op->body_bytes);
		break;
	case STORE_BODY_REMOVE:
		rados_write_op_remove(w);
		return 0;
	}
	if (ceph_op_creates(op) || e->body_kind == STORE_BODY_WHOLE)
		keep_size(w, op->body_bytes);
	else if (op->step == CEPH_EXTEND && op->body_bytes)
		keep_size(w, e->offset + op->body_bytes);
	if (conn->gather_size > GATHER_KEPT_MAX) {
		free(conn->gather);
		conn->gather = NULL;
		conn->gather_size = 0;
	}
	return 0;
}

/* The empty value and no attribute are the same thing, and taking away what is not there is no
 * error. */
static void add_attrs(rados_write_op_t w, const struct ceph_op *op)
{
	const struct store_edits *e = &op->edits;
	for (size_t i = 0; i < e->attr_count; i++) {
		if (e->attrs[i].len)
			rados_write_op_setxattr(
				w, e->attrs[i].name, e->attrs[i].value, e->attrs[i].len);
		else
			rados_write_op_rmxattr(w, e->attrs[i].name);
	}
}

static int ask_write(struct ceph_conn *conn, struct question *q)
{
	struct ceph_op *op = q->op;
	q->write = rados_create_write_op();
	if (!q->write)
		return -ENOMEM;
	add_guards(q->write, op);
	int rc = add_body(conn, q->write, op);
	if (rc)
		return rc;
	add_attrs(q->write, op);
	atomic_store_explicit(&q->asked, true, memory_order_release);
	/* a write operation is used up by this, and sent empty the second time */
	return rados_aio_write_op_operate(
		q->write, conn->pools[op->pool], q->completion, op->name, NULL, 0);
}

/* All that is wanted in one operation, so that it is of one instant. */
static int ask_read(struct ceph_conn *conn, struct question *q)
{
	struct ceph_op *op = q->op;
	const struct store_read *req = op->step == CEPH_READ ? op->req.read : NULL;
	q->read = rados_create_read_op();
	if (!q->read)
		return -ENOMEM;
	rados_read_op_stat(q->read, &op->size, NULL, &q->stat_rc);
	if (!req || req->want_attrs)
		rados_read_op_getxattrs(q->read, &q->attrs, &q->attrs_rc);
	if (req && req->want_body) {
		op->body = buf_new(req->len);
		if (!op->body)
			return -ENOMEM;
		/* a length of 0 would mean the whole object */
		if (req->len)
			rados_read_op_read(q->read, req->offset, req->len, (char *)op->body->data,
				&q->body_len, &q->body_rc);
	}
	atomic_store_explicit(&q->asked, true, memory_order_release);
	return rados_aio_read_op_operate(
		q->read, conn->pools[op->pool], q->completion, op->name, 0);
}

int ceph_conn_ask(
	struct ceph_conn *conn, struct ceph_op *op, void (*answered)(struct ceph_op *op, int rc))
{
	struct question *q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->op = op;
	q->answered = answered;
	int rc = rados_aio_create_completion2(q, on_complete, &q->completion);
	if (!rc)
		rc = op->step == CEPH_READ || op->step == CEPH_JUDGE ? ask_read(conn, q)
								     : ask_write(conn, q);
	if (rc)
		question_free(q);
	return rc;
}
