/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way to RADOS: a copy of what was asked for, and what has to be asked of the
 * cluster next. Pure: no threads, no librados (ceph_conn.c sends what a step says, ceph_queue.c
 * decides when).
 *
 * RADOS writes wherever it is told to and fills a hole with zeros; the store promises that there
 * are none. So every object carries its size once more as an attribute of ours (ceph_conn.c),
 * which guards can compare, and a write at an offset is one of two operations, each atomic and
 * each with its guard:
 *
 *	EXTEND  offset <= size <= end    appends, the common case, tried first
 *	INSIDE           end < size
 *
 *	EXTEND ---refused---> JUDGE (reads) ---a guard of the caller's---> ERR_GUARD
 *	   ^                    |  ^       '---offset > size-------------> -EINVAL
 *	   '--size changed------+  '-refused--.
 *	                        '--inside--> INSIDE
 *
 * Whatever else is written is one PLAIN operation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "storaged/store/store_impl.h"

struct ceph_conn;
struct ceph_queue;

enum ceph_step {
	CEPH_PLAIN,  /* a write that cannot make a hole */
	CEPH_EXTEND, /* a write at an offset that ends at the object's end or behind it */
	CEPH_INSIDE, /* one that ends before */
	CEPH_JUDGE,  /* attributes and size, to tell why EXTEND or INSIDE were refused */
	CEPH_READ,   /* a read */
};

struct ceph_op {
	/* Called once, on any thread; the operation is then its maker's again. */
	void (*finished)(struct ceph_op *op, int status);
	enum ceph_step step;
	int pool;
	size_t cost_bytes; /* what it counts for while in flight */
	const char *name;
	const void *owner; /* the store it belongs to */
	union {
		struct store_write *write;
		struct store_read *read;
	} req;
	/* a write: every pointer in here is to memory of this operation; the body's slices hold
	 * references */
	struct store_edits edits;
	size_t body_bytes;
	/* the answer of READ and JUDGE */
	struct store_read_attrs *attrs;
	struct buf *body;
	uint64_t size;
	bool size_is_kept; /* our own attribute is there and says the same size */
	/* private to the queue */
	struct list node;
	struct ceph_queue *queue;
	struct ceph_conn *conn;
	struct mono asked_at;
	/* private */
	unsigned judgements;
};

/* Copies name and edits and takes references to the body's buffers. NULL when memory is short. */
struct ceph_op *ceph_op_write(
	struct store_write *req, int pool, const char *name, const struct store_edits *edits);
struct ceph_op *ceph_op_read(struct store_read *req, int pool, const char *name);
/* Drops what the operation still holds. */
void ceph_op_free(struct ceph_op *op);

static inline bool ceph_op_is_write(const struct ceph_op *op)
{
	return op->step != CEPH_READ;
}
/* The write demands that the object does not exist. */
static inline bool ceph_op_creates(const struct ceph_op *op)
{
	return op->edits.guard_count && op->edits.guards[0].kind == STORE_ABSENT;
}

/* Takes the cluster's answer to the current step. True when that settles the operation, with
 * *ret_status as store.h has it; else `step` says what to ask next. */
bool ceph_op_answered(struct ceph_op *op, int rc, int *ret_status);
