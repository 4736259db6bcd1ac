/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a chunk: its fragments and, for each track, its samples. They end every sealed
 * chunk (LZ4-compressed), live in the owner's memory while a chunk is open, and travel to clients
 * that build clips. About 2-4 bytes a frame. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "proto/bmff.h"
#include "proto/fragment.h"

struct table_fragment {
	uint32_t offset; /* in the chunk, of the body ([prft] moof mdat); the steppe-frag box lies
			    before it */
	uint32_t body_len;
	uint32_t prefix_len;
	uint16_t flags; /* enum fragment_flags */
	uint8_t clock_source;
	uint8_t gap_cause; /* of the hole before it inside the chunk (enum gap_cause); set after
			      chunk_table_add */
	uint32_t clock_error_us;
	uint64_t seq;
	struct wall capture;
	uint32_t duration_us;
	uint8_t digest[DIGEST_SIZE]; /* fragment_digest */
	struct {
		uint64_t decode_time;  /* chunk ticks of the first sample; 0 when there is none */
		uint32_t first_sample; /* index in the track's samples */
		uint32_t sample_count; /* 0: the track has none here */
		uint32_t data_offset;  /* in the body, of the first sample's bytes; samples of a run
					  are contiguous; 0 when there is none */
	} run[FRAGMENT_TRACKS_MAX];    /* by track: its number less one */
};

struct table_track {
	uint32_t timescale;
	uint32_t sample_count, sample_room;
	struct bmff_sample *samples;
};

#define TABLE_FRAGMENTS_MAX 65536u
#define TABLE_SAMPLES_MAX   4194304u /* of all tracks together */

/* Growable; a zeroed one is empty and has no tracks. */
struct chunk_table {
	uint64_t session; /* of its fragments; 0 while there are none */
	uint8_t track_count;
	uint32_t fragment_count, fragment_room;
	struct table_fragment *fragments;               /* in order of seq */
	struct table_track tracks[FRAGMENT_TRACKS_MAX]; /* by track: its number less one */
};

/* An empty table for the tracks of an init segment. */
void chunk_table_init(struct chunk_table *t, const struct bmff_init *init);

/* Adds a fragment whose body lies at `offset` of the chunk, from its header and its parsed runs,
 * whose decode times are those in the chunk. Copies. 0, -ENOMEM, ERR_LIMIT (too many fragments or
 * samples a chunk), -EINVAL (a track the table lacks, or not behind the last fragment in session,
 * seq and offset); the table is unchanged then. */
int chunk_table_add(struct chunk_table *t, const struct fragment_header *h, uint32_t offset,
	const struct bmff_run *runs, size_t run_count);
/* Frees what it holds and leaves it empty; harmless twice. */
void chunk_table_fini(struct chunk_table *t);
/* Bytes of memory it holds. */
size_t chunk_table_memory(const struct chunk_table *t);

/* Encodes (an LZ4 block in a small frame with raw length and CRC; docs/format/table.md). Gives the
 * buffer. -ENOMEM, ERR_LIMIT, -EINVAL for a table that decoding would refuse. */
int chunk_table_encode(const struct chunk_table *t, struct buf **ret_buf);
/* Decodes into an empty table; `len` is exactly the encoded table's. Refuses what is malformed,
 * beyond limits or inconsistent (runs outside of their bodies, counts that do not add up, sequence
 * numbers or offsets that do not ascend): ERR_FORMAT, ERR_TRUNCATED, ERR_CHECKSUM, ERR_LIMIT,
 * ERR_VERSION, -ENOMEM; the table stays empty then. */
int chunk_table_decode(struct chunk_table *t, const void *data, size_t len);
