/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a chunk: its fragments and, for each track, its samples. They end every sealed chunk (LZ4-compressed), live in
 * the owner's memory while a chunk is open, and travel to clients that build clips. About 2-4 bytes a frame. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "proto/bmff.h"
#include "proto/fragment.h"

struct table_fragment {
	uint32_t offset;      /* in the chunk, of the body ([prft] moof mdat); the steppe-frag box lies before it */
	uint32_t body_len;
	uint32_t prefix_len;
	uint16_t flags;       /* enum fragment_flags */
	uint8_t clock_source;
	uint8_t gap_cause;    /* of the hole before it inside the chunk (enum gap_cause); set after chunk_table_add */
	uint32_t clock_error_us;
	uint64_t seq;
	struct wall capture;
	uint32_t duration_us;
	uint8_t digest[DIGEST_SIZE]; /* fragment_digest */
	struct {
		uint64_t decode_time;  /* chunk ticks of the first sample */
		uint32_t first_sample; /* index in the track's samples */
		uint32_t sample_count; /* 0: the track has none here */
		uint32_t data_offset;  /* in the body, of the first sample's bytes; samples of a run are contiguous */
	} run[FRAGMENT_TRACKS_MAX];
};

struct table_track {
	uint32_t timescale;
	uint32_t sample_count, sample_room;
	struct bmff_sample *samples;
};

/* Growable; a zeroed one is empty. */
struct chunk_table {
	uint64_t session;
	uint8_t track_count;
	uint32_t fragment_count, fragment_room;
	struct table_fragment *fragments; /* in order of seq */
	struct table_track tracks[FRAGMENT_TRACKS_MAX];
};

/* Adds a fragment whose body lies at `offset` of the chunk, from its header and its parsed runs, whose decode times are those in
 * the chunk. 0, -ENOMEM, ERR_LIMIT (65,536 fragments or 4,194,304 samples a chunk). */
int chunk_table_add(struct chunk_table *t, const struct fragment_header *h, uint32_t offset, const struct bmff_run *runs,
	size_t run_count);
/* Frees what it holds and leaves it empty; harmless twice. */
void chunk_table_fini(struct chunk_table *t);
/* Bytes of memory it holds. */
size_t chunk_table_memory(const struct chunk_table *t);

/* Encodes (LZ4 block inside a small frame with raw length and CRC; docs/format/chunk.md). Gives the buffer. */
int chunk_table_encode(const struct chunk_table *t, struct buf **ret_buf);
/* Decodes into an empty table; refuses what is malformed, beyond limits or inconsistent (offsets not ascending, counts that do
 * not add up): ERR_FORMAT, ERR_TRUNCATED, ERR_CHECKSUM, ERR_LIMIT, ERR_VERSION, -ENOMEM. */
int chunk_table_decode(struct chunk_table *t, const void *data, size_t len);
