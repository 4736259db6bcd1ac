/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a chunk: an ordinary fragmented MP4 with boxes of our own between the fragments.
 * Pure encoding and decoding; docs/format/chunk.md gives every byte.
 *
 *	ftyp moov               init segment
 *	uuid steppe-chunk       who, where, what came before
 *	{ uuid steppe-frag      one a fragment: the recorder's header as sent, receipt time, CRC
 *	  [prft] moof mdat      as sent, tfdt rebased to the chunk
 *	  [free] }*             padding at the end of a batch
 *	uuid steppe-seal        tables, totals, digests, reason
 *	mfra */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "proto/fragment.h"
#include "proto/names.h"
#include "proto/table.h"
#include "storaged/store/store.h"

#define CHUNK_LEVEL      1
#define CHUNK_SEAL_LEVEL 1
#define CHUNK_FRAG_BOX                                                                             \
	184u /* bytes of a steppe-frag box: 24 box and uuid, 144 header, 8 receipt time, 1 cause,  \
		3 zero, 4 CRC */
#define CHUNK_OWN_BOX  188u /* bytes of a steppe-chunk box */
#define CHUNK_HEAD_MAX (FRAGMENT_INIT_MAX + CHUNK_OWN_BOX)
#define CHUNK_LENGTH_MAX_US                                                                        \
	(INT64_C(900) *                                                                            \
		US_PER_SECOND) /* from start to end, but for the last fragment (60 s at most) */

/* Names a chunk within its stream; orders chunks by epoch, then seq. */
struct chunk_id {
	uint64_t epoch;
	uint32_t seq; /* 1, 2, 3 ... in the epoch */
	uint16_t gen; /* rises when another copy is written (thinning, tier move) */
};
/* "chk/<camera>/<profile>/<epoch 16 hex>.<seq 8 hex>.<gen 4 hex>" */
void chunk_name(char to[STORE_NAME_MAX + 1], const char *stream, const struct chunk_id *id);
int chunk_name_parse(
	const char *name, char ret_stream[STREAM_NAME_MAX + 1], struct chunk_id *ret_id);

/* Causes of gaps; values are on disk and on the wire. */
enum gap_cause {
	GAP_NONE = 0,
	GAP_UNKNOWN = 1,
	GAP_CAMERA_OFF = 2,
	GAP_NETWORK = 3,
	GAP_RECORDER_STOPPED = 4,
	GAP_REFUSED = 5,
	GAP_THINNED = 6,
	GAP_EXPIRED = 7,
	GAP_DAMAGED = 8,
	GAP_CAUSES = 9, /* how many there are */
};
struct gap {
	struct wall from, to;
	uint8_t cause; /* enum gap_cause; GAP_NONE: no gap */
};

/* Why a chunk ended; on disk. */
enum chunk_end {
	CHUNK_END_FULL = 1,
	CHUNK_END_CODEC = 2,
	CHUNK_END_OWNER = 3,
	CHUNK_END_SILENCE = 4,
	CHUNK_END_STOP = 5,
	CHUNK_END_RECOVERED = 6,
	CHUNK_END_ERROR = 7,
	CHUNK_END_CLOCK = 8, /* the capture time stepped back: a chunk's footage is in order of time
				but for jitter */
};

struct chunk_header {
	uint8_t cluster[16];
	char stream[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	uint8_t lane;
	bool has_previous;
	struct chunk_id previous;
	struct gap gap_before;
};
/* Builds init segment and steppe-chunk box. */
int chunk_head_build(
	const struct chunk_header *h, const void *init, size_t init_len, struct buf **ret_buf);
/* Reads both from the start of a chunk; *ret_init_len is the init segment's length, *ret_len that
 * of both. ERR_TRUNCATED when `len` is too little, ERR_FORMAT, ERR_CHECKSUM, ERR_VERSION. */
int chunk_head_parse(const void *data, size_t len, struct chunk_header *ret_header,
	size_t *ret_init_len, size_t *ret_len);

/* Writes the steppe-frag box that goes before a body. `gap_cause`: of the hole before the fragment
 * inside the chunk (enum gap_cause; GAP_NONE for a chunk's first, whose hole is the header's
 * gap_before). */
void chunk_frag_build(const struct fragment_header *h, struct wall receipt, uint8_t gap_cause,
	uint8_t to[CHUNK_FRAG_BOX]);
/* Reads one: 0, ERR_TRUNCATED, ERR_FORMAT, ERR_CHECKSUM, and what fragment_header_decode says. */
int chunk_frag_parse(const void *data, size_t len, struct fragment_header *ret_header,
	struct wall *ret_receipt, uint8_t *ret_gap_cause);

/* Bytes of padding (a `free` box: 0 or at least 8) after `at` so that the next write starts on
 * `alignment`. */
uint32_t chunk_padding(uint64_t at, uint32_t alignment);
void chunk_padding_build(uint8_t to[8], uint32_t padding); /* the box header; the rest is zeroes */

/* The instant retention counts from, gathered fragment by fragment: the end of the footage where
 * its clock can be believed (it agrees with the receipt within its error and a day, or it is
 * backfill of a synchronised recorder), else the receipt, and then doubtful. */
struct chunk_retention {
	struct wall from;
	bool doubtful;
};
void chunk_retention_add(
	struct chunk_retention *r, const struct fragment_header *h, struct wall receipt);

struct chunk_seal {
	/* set by whoever seals */
	uint8_t end_reason;   /* enum chunk_end */
	bool damaged;         /* fragments were found damaged and are not in the table */
	uint64_t seal_offset; /* of the steppe-seal box */
	struct chunk_retention retention;
	uint8_t previous_digest[DIGEST_SIZE]; /* zeroes when there is none */
	/* filled from the table */
	struct wall start, end; /* least capture time, greatest end; zero without fragments */
	uint64_t media_bytes;   /* of fragment bodies */
	uint32_t fragments;
	uint8_t digest[DIGEST_SIZE]; /* SHA-256 over the previous chunk's digest and all fragment
					digests in order */
};
/* Fills the second half of the seal from the table. 0 or -ENOMEM. */
int chunk_seal_fill(struct chunk_seal *seal, const struct chunk_table *table);
/* Fills, then builds steppe-seal and mfra. The table may be empty (a husk). */
int chunk_seal_build(
	struct chunk_seal *seal, const struct chunk_table *table, struct buf **ret_buf);
/* Reads a steppe-seal box and its table (which may be NULL: not wanted). ERR_TRUNCATED, ERR_FORMAT,
 * ERR_CHECKSUM, ERR_VERSION, -ENOMEM. */
int chunk_seal_parse(
	const void *data, size_t len, struct chunk_seal *ret_seal, struct chunk_table *ret_table);

/* Steps through a chunk's bytes held in memory, hopping over damage by our own framing and
 * checksums. */
enum chunk_item_kind { CHUNK_ITEM_FRAGMENT, CHUNK_ITEM_DAMAGE, CHUNK_ITEM_SEAL, CHUNK_ITEM_END };
struct chunk_item {
	enum chunk_item_kind kind;
	uint64_t offset, len; /* fragment: of its body; damage: the range hopped over; seal: the
				 box; end: where it is */
	/* Of a fragment; of damage too when its steppe-frag box is whole: then this fragment is
	 * lost. Else header.seq is 0. */
	struct fragment_header header;
	struct wall receipt;
	uint8_t gap_cause;
};
/* The next item at or after *at (start with the length of the head), which moves past it.
 * `check_bodies`: verify CRCs of bodies too. A fragment or seal cut by `len` gives DAMAGE to the
 * end, then END. END comes after a seal too. */
void chunk_scan(
	const void *data, size_t len, uint64_t *at, bool check_bodies, struct chunk_item *ret_item);
