/* SPDX-License-Identifier: Apache-2.0 */
/* When a chunk ends and when a batch goes out: pure decisions over (state, event, limits). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "proto/fragment.h"
#include "storaged/archive/chunk.h"

/* Times `batch_bytes` that a batch may have when so much waits: librados' costs and the OSDs' a byte
 * hardly fall any more from there on. */
#define BATCH_GATHER 4

/* A batch that is due waits this long for what comes right behind: 1 MiB at a gigabit takes 8 ms. */
#define BATCH_LINGER_NS (25 * NS_PER_MS)

struct cutter_limits {
	int64_t min_us;       /* a chunk ends at a sync after this ... (60 s) */
	uint64_t min_bytes;   /* ... and this many bytes (4 MiB) */
	int64_t max_us;       /* at this at any fragment (15 min) */
	uint64_t max_bytes;   /* it never grows past this (32 MiB) */
	int64_t silence_ns;   /* without an append (60 s) */
	uint32_t batch_bytes; /* a batch is due at this ... (1 MiB) */
	int64_t batch_ns;     /* ... or this long after its first fragment (1 s) */
};
extern const struct cutter_limits cutter_defaults;

struct cutter {
	struct wall start;
	uint64_t bytes;
	uint32_t fragments;
	uint32_t gaps;      /* inside the chunk; a record can name INDEX_GAPS_MAX */
	struct wall end;    /* of the last fragment */
	int64_t frame_us;   /* of the last fragment: how long a picture lasts */
	int64_t min_us;     /* of this chunk: a stream's first is spread by hash */
	uint64_t min_bytes; /* likewise */
};

/* Starts a chunk: `ordinal` 0 is a stream's first since it was taken and gets a length spread by
 * the stream's hash. */
void cutter_start(struct cutter *c, const struct cutter_limits *l, const char *stream,
	uint32_t ordinal, struct wall start);
/* Whether the chunk must end before `next`; 0 or the reason (enum chunk_end). */
int cutter_end_before(
	const struct cutter *c, const struct cutter_limits *l, const struct fragment_header *next);
/* Takes note of a fragment that goes into the chunk; `bytes` it adds to the object, `pictures`
 * samples of its first track. */
void cutter_add(
	struct cutter *c, const struct fragment_header *h, uint64_t bytes, uint32_t pictures);
/* Whether there is a gap between the last fragment of the chunk and `next`: its cause must be known
 * then. */
bool cutter_gap_before(const struct cutter *c, const struct fragment_header *next);
