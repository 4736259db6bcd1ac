/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up footage for tests of the archive: fragments that are well formed in every way but for
 * their pictures, which are noise, and whole chunks of them. Everything follows from the arguments,
 * so that golden files can be made of it. */
#pragma once

#include "storaged/archive/chunk.h"
#include "storaged/archive/index.h"

#define FOOTAGE_START_US INT64_C(1795470000000000) /* 2026-11-23T21:40:00Z */
#define FOOTAGE_FRAGMENT_US                                                                        \
	INT64_C(1000000) /* ten pictures; every second fragment begins with a sync */

/* A camera. Change `at` for gaps and steps, the rest as a test pleases. */
struct footage {
	char stream[STREAM_NAME_MAX + 1];
	bool audio; /* a second track, 8 kHz */
	uint8_t lane;
	uint8_t clock_source;
	uint64_t session;
	uint64_t seq;           /* of the last fragment */
	struct wall at;         /* of the next fragment */
	uint32_t picture_bytes; /* about; a sync picture has four times as many */
	uint16_t flags;         /* added to the next fragment's, then cleared */
};
void footage_start(struct footage *f, const char *stream, bool audio);
struct buf *footage_init(const struct footage *f);
/* The next fragment: its header, sealed with digests, and its body. */
struct buf *footage_fragment(struct footage *f, struct fragment_header *ret_header);

/* A chunk as a writer would have made it. */
struct footage_chunk {
	struct chunk_header header;
	uint8_t *bytes;
	size_t len, head_len, init_len;
	uint32_t alignment; /* set it to pad after each fragment; 0: no padding */
	struct chunk_table table;
	struct chunk_seal seal;
	struct wall start;
	uint64_t last_seq;
	struct index_record record; /* once sealed */
	bool sealed;
};
void footage_chunk_begin(
	struct footage_chunk *c, const struct footage *f, uint64_t epoch, uint32_t seq);
void footage_chunk_add(struct footage_chunk *c, struct footage *f, uint8_t gap_cause);
void footage_chunk_seal(struct footage_chunk *c, uint8_t reason, const uint8_t *previous_digest);
void footage_chunk_fini(struct footage_chunk *c);
/* All of that: `fragments` fragments, sealed as full. */
void footage_chunk_make(struct footage_chunk *c, struct footage *f, uint64_t epoch, uint32_t seq,
	uint32_t fragments);
