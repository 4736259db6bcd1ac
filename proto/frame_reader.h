/* SPDX-License-Identifier: Apache-2.0 */
/* Puts frames together from a conversation that arrives in pieces of any size. Pure: whoever has
 * the bytes asks where the next ones belong and writes them there, so that a body is received in
 * the buffer it stays in. */
#pragma once

#include <stdbool.h>

#include "proto/frame.h"

#define FRAME_READER_META_INLINE 232 /* metas up to here cost no allocation */

struct frame_reader {
	struct frame_header header;
	struct slice body; /* once its length is known; the bytes up to `at` are there when it is
			      being read */
	/* private */
	enum frame_part {
		FRAME_PART_HEADER,
		FRAME_PART_META,
		FRAME_PART_BODY,
		FRAME_PART_DONE
	} part;
	size_t at; /* bytes of the part that are there */
	uint32_t meta_max, body_max;
	uint8_t *meta; /* inline_meta or allocated */
	uint8_t raw_header[FRAME_HEADER_SIZE];
	uint8_t inline_meta[FRAME_READER_META_INLINE];
};

/* Frames of more than these bytes of meta or body are ERR_LIMIT, before anything is allocated for
 * them. */
void frame_reader_init(struct frame_reader *r, uint32_t meta_max, uint32_t body_max);
/* Drops what has come of a frame. Works on a zeroed reader, and twice. */
void frame_reader_fini(struct frame_reader *r);
/* Other limits from the next frame on. */
void frame_reader_limits(struct frame_reader *r, uint32_t meta_max, uint32_t body_max);

/* Where the next bytes of the conversation belong: room for at least one. Not while a frame waits
 * to be taken. */
void frame_reader_space(struct frame_reader *r, uint8_t **ret_space, size_t *ret_len);
/* `len` bytes were written there. 1: a frame is complete; 0: more is needed; ERR_FORMAT,
 * ERR_VERSION, ERR_LIMIT, ERR_CHECKSUM, -ENOMEM: the conversation is over. */
int frame_reader_add(struct frame_reader *r, size_t len);
/* The complete frame; valid until frame_reader_next. */
struct frame frame_reader_frame(const struct frame_reader *r);
/* Done with the complete frame: the next one may come. */
void frame_reader_next(struct frame_reader *r);
/* Whether a part of a frame has come: the conversation must not end here. */
bool frame_reader_inside(const struct frame_reader *r);
