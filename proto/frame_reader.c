/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame_reader.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/errors.h"

void frame_reader_init(struct frame_reader *r, uint32_t meta_max, uint32_t body_max)
{
	*r = (struct frame_reader){.meta_max = meta_max, .body_max = body_max};
}

static void drop_meta(struct frame_reader *r)
{
	if (r->meta != r->inline_meta)
		free(r->meta);
	r->meta = NULL;
}

void frame_reader_fini(struct frame_reader *r)
{
	drop_meta(r);
	slice_drop(&r->body);
	r->part = FRAME_PART_HEADER;
	r->at = 0;
}

void frame_reader_limits(struct frame_reader *r, uint32_t meta_max, uint32_t body_max)
{
	r->meta_max = meta_max;
	r->body_max = body_max;
}

void frame_reader_space(struct frame_reader *r, uint8_t **ret_space, size_t *ret_len)
{
	uint8_t *part = r->raw_header;
	size_t len = FRAME_HEADER_SIZE;
	if (r->part == FRAME_PART_META) {
		part = r->meta;
		len = r->header.meta_len;
	} else if (r->part == FRAME_PART_BODY) {
		part = r->body.buf->data + (r->body.data - r->body.buf->data);
		len = r->header.body_len;
	}
	CHECK(r->part != FRAME_PART_DONE && r->at < len);
	*ret_space = part + r->at;
	*ret_len = len - r->at;
}

/* The header is there: judges it and makes room for the meta. */
static int header_done(struct frame_reader *r)
{
	int rc = frame_header_decode(r->raw_header, &r->header);
	if (rc < 0)
		return rc;
	if (r->header.meta_len > r->meta_max || r->header.body_len > r->body_max)
		return ERR_LIMIT;
	r->meta = r->header.meta_len <= sizeof(r->inline_meta) ? r->inline_meta
							       : malloc(r->header.meta_len);
	return r->meta ? 0 : -ENOMEM;
}

/* Header and meta are there and their checksum can be judged; only a length that it covers makes
 * room for a body. */
static int meta_done(struct frame_reader *r)
{
	int rc = frame_check(r->raw_header, r->meta);
	if (rc < 0 || !r->header.body_len)
		return rc;
	bool room = r->header.body_len >= FRAME_ROOM_FROM;
	size_t before = room ? FRAME_ROOM_BEFORE : 0, behind = room ? FRAME_ROOM_BEHIND : 0;
	r->body.buf = buf_new(before + r->header.body_len + behind);
	if (!r->body.buf)
		return -ENOMEM;
	r->body.data = r->body.buf->data + before;
	r->body.len = r->header.body_len;
	return 0;
}

int frame_reader_add(struct frame_reader *r, size_t len)
{
	r->at += len;
	if (r->part == FRAME_PART_HEADER) {
		CHECK(r->at <= FRAME_HEADER_SIZE);
		if (r->at < FRAME_HEADER_SIZE)
			return 0;
		int rc = header_done(r);
		if (rc < 0)
			return rc;
		r->part = FRAME_PART_META;
		r->at = 0;
	}
	if (r->part == FRAME_PART_META) {
		CHECK(r->at <= r->header.meta_len);
		if (r->at < r->header.meta_len)
			return 0;
		int rc = meta_done(r);
		if (rc < 0)
			return rc;
		r->part = FRAME_PART_BODY;
		r->at = 0;
	}
	CHECK(r->part == FRAME_PART_BODY && r->at <= r->header.body_len);
	if (r->at < r->header.body_len)
		return 0;
	r->part = FRAME_PART_DONE;
	return 1;
}

struct frame frame_reader_frame(const struct frame_reader *r)
{
	CHECK(r->part == FRAME_PART_DONE);
	return (struct frame){.header = r->header, .meta = r->meta, .body = r->body};
}

void frame_reader_next(struct frame_reader *r)
{
	CHECK(r->part == FRAME_PART_DONE);
	frame_reader_fini(r);
}

bool frame_reader_inside(const struct frame_reader *r)
{
	return r->part != FRAME_PART_HEADER || r->at > 0;
}
