/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/ceph_op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

/* How often a refused write is looked into before giving up: each time another client must have
 * changed the object in between, which the rule of one writer an object makes rare. */
#define JUDGEMENTS_MAX 4

/* Room for the copies behind the structure; nothing in there is aligned but the arrays, which come
 * first. */
static size_t copies_size(const char *name, const struct store_edits *edits)
{
	size_t size = strlen(name) + 1;
	size += edits->body_count * sizeof(struct slice);
	size += edits->guard_count * sizeof(struct store_guard);
	size += edits->attr_count * sizeof(struct store_attr);
	for (size_t i = 0; i < edits->guard_count; i++)
		if (edits->guards[i].kind >= STORE_ATTR_EQUAL)
			size += strlen(edits->guards[i].attr) + 1 + edits->guards[i].value_len;
	for (size_t i = 0; i < edits->attr_count; i++)
		size += strlen(edits->attrs[i].name) + 1 + edits->attrs[i].len;
	return size;
}

/* Copies `len` bytes to the next free place of the copies. */
static const void *keep(char **at, const void *from, size_t len)
{
	char *to = *at;
	if (len)
		memcpy(to, from, len);
	*at += len;
	return to;
}

static void copy_guards(struct ceph_op *op, const struct store_edits *edits, char **at)
{
	struct store_guard *guards = (struct store_guard *)(void *)*at;
	*at += edits->guard_count * sizeof(*guards);
	for (size_t i = 0; i < edits->guard_count; i++)
		guards[i] = (struct store_guard){.kind = edits->guards[i].kind};
	op->edits.guards = guards;
}

static void copy_attrs(struct ceph_op *op, const struct store_edits *edits, char **at)
{
	struct store_attr *attrs = (struct store_attr *)(void *)*at;
	*at += edits->attr_count * sizeof(*attrs);
	op->edits.attrs = attrs;
	struct store_guard *guards = (struct store_guard *)op->edits.guards;
	for (size_t i = 0; i < edits->guard_count; i++) {
		const struct store_guard *g = &edits->guards[i];
		if (g->kind < STORE_ATTR_EQUAL)
			continue;
		guards[i].attr = keep(at, g->attr, strlen(g->attr) + 1);
		guards[i].value = keep(at, g->value, g->value_len);
		guards[i].value_len = g->value_len;
	}
	for (size_t i = 0; i < edits->attr_count; i++) {
		const struct store_attr *a = &edits->attrs[i];
		attrs[i].name = keep(at, a->name, strlen(a->name) + 1);
		attrs[i].value = keep(at, a->value, a->len);
		attrs[i].len = a->len;
	}
}

static void copy_body(struct ceph_op *op, const struct store_edits *edits, char **at)
{
	struct slice *parts = (struct slice *)(void *)*at;
	*at += edits->body_count * sizeof(*parts);
	for (size_t i = 0; i < edits->body_count; i++) {
		parts[i] = edits->body[i];
		if (parts[i].buf)
			(void)buf_ref(parts[i].buf);
		op->body_bytes += parts[i].len;
	}
	op->edits.body = parts;
}

static enum ceph_step first_step(const struct ceph_op *op)
{
	if (op->edits.body_kind != STORE_BODY_WRITE_AT)
		return CEPH_PLAIN;
	if (!ceph_op_creates(op))
		return CEPH_EXTEND;
	/* behind the start of an object that is not there yet lies a hole: all that is left to
	 * tell is which of the two reasons to refuse it is */
	return op->edits.offset ? CEPH_JUDGE : CEPH_PLAIN;
}

struct ceph_op *ceph_op_write(
	struct store_write *req, int pool, const char *name, const struct store_edits *edits)
{
	struct ceph_op *op = calloc(1, sizeof(*op) + copies_size(name, edits));
	if (!op)
		return NULL;
	char *at = (char *)(op + 1);
	op->req.write = req;
	op->pool = pool;
	op->edits = *edits;
	copy_body(op, edits, &at);
	copy_guards(op, edits, &at);
	copy_attrs(op, edits, &at);
	op->name = keep(&at, name, strlen(name) + 1);
	op->cost_bytes = op->body_bytes;
	op->step = first_step(op);
	return op;
}

struct ceph_op *ceph_op_read(struct store_read *req, int pool, const char *name)
{
	size_t len = strlen(name) + 1;
	struct ceph_op *op = calloc(1, sizeof(*op) + len);
	if (!op)
		return NULL;
	op->req.read = req;
	op->pool = pool;
	op->name = memcpy(op + 1, name, len);
	op->cost_bytes = req->want_body ? req->len : 0;
	op->step = CEPH_READ;
	return op;
}

static void drop_answer(struct ceph_op *op)
{
	free(op->attrs);
	op->attrs = NULL;
	buf_unref(&op->body);
}

void ceph_op_free(struct ceph_op *op)
{
	if (!op)
		return;
	drop_answer(op);
	for (size_t i = 0; i < op->edits.body_count; i++)
		slice_drop((struct slice *)&op->edits.body[i]);
	free(op);
}

/* What the answer to a write says of it. Only answers that an OSD gives before it changes anything
 * may be called refusals; what we do not know is unknown. */
static int write_status(int rc)
{
	switch (rc) {
	case -ECANCELED:
		return ERR_GUARD;
	case -ENOSPC:
	case -EDQUOT:
		return -ENOSPC;
	case 0:
	case -EEXIST:
	case -ENOENT:
	case -ENOMEM:
	case -EINVAL:
	case -EOPNOTSUPP: /* an erasure-coded pool takes nothing but aligned appends */
	case -EPERM:
	case -EACCES:
	case -EROFS:
	case -EFBIG:
	case -EMSGSIZE:
	case -ENAMETOOLONG:
	case -EIO: /* a guard could not be read: OSDs that cannot write stop instead of answering */
		return rc;
	default:
		/* -ETIMEDOUT may still be applied; -ESHUTDOWN (blocklisted) may be the answer to a
		 * re-sent operation whose first copy was */
		return ERR_UNKNOWN;
	}
}

static int read_status(int rc)
{
	switch (rc) {
	case 0:
	case -ENOENT:
	case -ETIMEDOUT:
	case -ENOMEM:
	case -EPERM:
	case -EACCES:
		return rc;
	default:
		return -EIO;
	}
}

static bool guards_hold(const struct ceph_op *op)
{
	const struct store_read answer = {.attrs = op->attrs};
	for (size_t i = 0; i < op->edits.guard_count; i++) {
		const struct store_guard *g = &op->edits.guards[i];
		if (g->kind < STORE_ATTR_EQUAL)
			continue;
		size_t len;
		const void *value = store_read_attr(&answer, g->attr, &len);
		int order = store_attr_compare(value, len, g->value, g->value_len);
		if (g->kind == STORE_ATTR_EQUAL ? order != 0 : order >= 0)
			return false;
	}
	return true;
}

/* The write was refused, nothing has changed: tells why, or what to try now. True when there is
 * nothing to try. */
static bool judge(struct ceph_op *op, int rc, int *ret_status)
{
	uint64_t end = op->edits.offset + op->body_bytes;
	if (rc == -ENOENT)
		*ret_status = ceph_op_creates(op) ? -EINVAL : -ENOENT;
	else if (rc)
		*ret_status = read_status(rc);
	else if (ceph_op_creates(op))
		*ret_status = -EEXIST;
	else if (!guards_hold(op))
		*ret_status = ERR_GUARD;
	else if (op->edits.offset > op->size)
		*ret_status = -EINVAL;
	else if (!op->size_is_kept || op->judgements++ == JUDGEMENTS_MAX)
		*ret_status =
			-EIO; /* another program wrote this object, or is writing it all the time */
	else {
		op->step = end < op->size ? CEPH_INSIDE : CEPH_EXTEND;
		return false;
	}
	return true;
}

bool ceph_op_answered(struct ceph_op *op, int rc, int *ret_status)
{
	bool settled = true;
	switch (op->step) {
	case CEPH_PLAIN:
		*ret_status = write_status(rc);
		if (rc == -ENOENT && ceph_op_creates(op))
			*ret_status = -EIO; /* it is the pool that is gone */
		break;
	case CEPH_EXTEND:
	case CEPH_INSIDE:
		settled = rc != -ECANCELED;
		if (settled)
			*ret_status = write_status(rc);
		else
			op->step = CEPH_JUDGE;
		break;
	case CEPH_JUDGE:
		/* reading is harmless: after a lost connection it is done again on the next one */
		settled = rc != -ESHUTDOWN && judge(op, rc, ret_status);
		drop_answer(op);
		break;
	case CEPH_READ:
		settled = rc != -ESHUTDOWN;
		if (settled)
			*ret_status = read_status(rc);
		if (rc)
			drop_answer(op);
		break;
	}
	return settled;
}
