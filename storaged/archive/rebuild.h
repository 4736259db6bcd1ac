/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a stream's index anew from its chunks: partitions and days object, and the head if it is
 * lost or damaged. What is left is kept: tombstones, pins, the good records. A record made here
 * equals the lost one in all that derives from media; what does not (holds, pins of a lost
 * partition, tombstones of damaged records) is what a backup of the meta pool is for.
 *
 * A rebuild owns the stream while it works, as any owner does: it takes an epoch above every one
 * seen, writes under guards, and yields at its end. Whoever owned the stream is fenced; whoever
 * takes it meanwhile ends the rebuild with ERR_FENCED, and nothing is lost by that: run it again.
 * In the daemon the keeper must have let go of the stream before. Open chunks are left to the next
 * owner, who recovers them.
 *
 * Lists the stream's objects and reads the header and seal of every chunk; memory: about 500 bytes
 * a chunk. Loop thread only. */
#pragma once

#include "storaged/archive/fsck.h"

struct rebuild {
	/* set by the user, the rest zero */
	struct loop *loop;
	struct store *store;
	const char *stream;
	const char *owner; /* "node:nonce" of this process */
	void (*finding)(
		struct rebuild *r, const struct fsck_finding *finding); /* valid during the call */
	void (*progress)(struct rebuild *r);                            /* may be NULL */
	void (*done)(struct rebuild *r);                                /* once, later */
	/* result */
	int status; /* 0; -ENOENT: nothing of the stream is there; ERR_FENCED; -ECANCELED; -EIO,
		       -ENOSPC, -ENOMEM ... */
	uint64_t chunks, chunks_total, bytes;
	uint32_t findings;
	/* private */
	void *impl;
	struct loop_task task;
};
void rebuild_start(struct rebuild *r);
/* done() comes soon, with -ECANCELED; what was written so far is good. */
void rebuild_stop(struct rebuild *r);
