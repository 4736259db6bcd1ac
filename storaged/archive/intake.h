/* SPDX-License-Identifier: Apache-2.0 */
/* A fragment on its way into a chunk: its bytes as they will lie there, without copying media. Pure
 * but for memory. */
#pragma once

#include "base/list.h"
#include "storaged/archive/chunk.h"
#include "storaged/archive/timeline.h"

#define PIECE_PARTS_MAX 2

/* A fragment taken and not yet durable. */
struct piece {
	struct list node;
	uint64_t seq;
	struct wall end; /* of its footage */
	struct mono taken;
	uint32_t body_len;
	uint32_t bytes; /* in the object: box and body */
	uint32_t index; /* in the chunk's table */
	uint8_t part_count;
	struct slice parts[PIECE_PARTS_MAX]; /* steppe-frag box (and moof, when it had to be
						copied), then the body (or its rest) */
	/* private: what piece_commit still has to do */
	uint32_t copied; /* bytes of the body that follow the box in its buffer; 0: changed in place
			  */
	uint8_t run_count;
	uint32_t tfdt_offset[FRAGMENT_TRACKS_MAX];
	uint64_t decode_time[FRAGMENT_TRACKS_MAX];
};

/* What a fragment's moof says, read once. */
struct intake {
	size_t run_count;
	struct bmff_run runs[FRAGMENT_TRACKS_MAX]; /* decode times as sent until they are placed */
	struct bmff_sample *samples;               /* runs point in here */
	struct bmff_sample few[512];
};
/* Reads the moof of a body. 0; ERR_FORMAT and others for what is malformed or does not agree with
 * its header; -ENOMEM. intake_fini is needed after success alone. */
int intake_read(struct intake *in, const struct fragment_header *h, const struct slice *body);
void intake_fini(struct intake *in);

/* Makes the piece of a fragment whose runs carry the chunk's decode times. References the body.
 * Nothing of the body is changed before piece_commit. -ENOMEM. */
int piece_new(const struct fragment_header *h, const struct slice *body, const struct intake *in,
	struct wall receipt, uint8_t gap_cause, struct piece **ret_piece);
/* The piece is in the chunk: writes the decode times, in place when nobody else holds the body,
 * else into a copy of its moof. */
void piece_commit(struct piece *p);
/* `len` bytes of memory right behind the piece that are its own to write to, or NULL. */
uint8_t *piece_room_behind(const struct piece *p, size_t len);
void piece_free(struct piece **piece);
