/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies what is stored of one stream: its head, its days object, its partitions, and each chunk
 * that a record or an intent names. Reads only, so that it may run beside the owner; what looks
 * wrong is looked at again before it is told, since footage may be deleted or moved meanwhile.
 * docs/operate/fsck.md says what each finding means and what to do.
 *
 *	level 1   the index against the objects' attributes: a stat a chunk
 *	level 2   and headers, seals, tables, the chain of digests: two small reads a chunk more
 *	level 3   and every byte: checksums and SHA-256
 *
 * Offline, on a store that nobody else has open, and in the daemon alike; one stream at a time.
 * Loop thread only. */
#pragma once

#include "storaged/archive/head.h"
#include "storaged/archive/probe.h"

struct fsck_finding {
	const char *object;   /* name */
	const char *what;     /* static words */
	struct wall from, to; /* of the footage in question; 0, 0: not known */
	bool repaired;
};

struct fsck_chain; /* chunks met and their digests */

struct fsck {
	/* set by the user, the rest zero */
	struct loop *loop;
	struct store *store;
	const char *stream;
	enum probe_level level;
	bool list; /* also list the pools, for objects that nothing names: offline */
	void (*finding)(
		struct fsck *f, const struct fsck_finding *finding); /* valid during the call */
	void (*progress)(struct fsck *f); /* the counters moved; may be NULL */
	void (*done)(struct fsck *f);     /* once, later; then f is yours again */
	/* result */
	int status; /* 0: all was looked at; -ENOENT: no such stream; -ECANCELED; -EIO, -ENOMEM ...:
		       ended early */
	uint64_t chunks, chunks_total,
		bytes; /* looked at; named by the partitions read so far; of the chunks looked at */
	uint32_t findings;
	/* private */
	void *impl;
	struct loop_task task;
};
void fsck_start(struct fsck *f);
/* done() comes soon, with -ECANCELED. */
void fsck_stop(struct fsck *f);
