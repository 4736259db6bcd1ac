/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of all loops on their way to one Ceph cluster: a thread that submits them (librados
 * may block, loops may not), limits on what is in flight, and a new connection when the cluster
 * has shut the old one out.
 *
 * META has a lane of its own, so that heads and heartbeats do not wait behind footage. Each lane
 * is first in, first out. What waits for a place is the callers' memory: requests are theirs, and
 * bodies are references. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "storaged/store/ceph_conn.h"
#include "storaged/store/ceph_op.h"

/* An operation that could not be sent for so long is answered -ETIMEDOUT: what was decided long
 * ago is not to be done any more (PROTOCOL F3). */
#define CEPH_QUEUE_AGE_MAX_NS (INT64_C(30) * NS_PER_SECOND)

struct ceph_queue;

/* Connects (blocking) and starts the thread. Borrows `settings` until it is closed. */
int ceph_queue_open(const struct ceph_settings *settings, struct ceph_queue **ret_queue, char *why,
	size_t why_size);
/* Waits for what is in flight, disconnects and ends the thread. Nothing may be queued. NULL is
 * fine. */
void ceph_queue_close(struct ceph_queue **queue);

/* Takes `op` and gives it back through finished(), on another thread. From any thread; asked_at
 * must be set. */
void ceph_queue_submit(struct ceph_queue *queue, struct ceph_op *op);
/* Takes out what belongs to `owner` and was never sent, and appends it to `ret_ops`. */
void ceph_queue_withdraw(struct ceph_queue *queue, const void *owner, struct list *ret_ops);

/* The present connection for use beside the queue, or NULL while there is none; to be given back. */
struct ceph_conn *ceph_queue_borrow(struct ceph_queue *queue);
void ceph_queue_return(struct ceph_queue *queue, struct ceph_conn *conn);
/* Alignments of the pools, which do not change. */
uint32_t ceph_queue_alignment(const struct ceph_queue *queue, int pool);
/* 0, or a negative code with words for a person when there is no connection. From any thread. */
int ceph_queue_health(struct ceph_queue *queue, char *why, size_t why_size);
