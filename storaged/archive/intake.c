/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/errors.h"

#define SAMPLES_MAX 65536u /* a fragment: 60 s of anything have fewer */

int intake_read(struct intake *in, const struct fragment_header *h, const struct slice *body)
{
	if (body->len != h->body_len)
		return ERR_FORMAT;
	struct bmff_sample *more = NULL;
	in->samples = in->few;
	int rc = bmff_fragment_parse(body->data, body->len, h->body_len, in->runs, &in->run_count,
		in->few, ARRAY_LEN(in->few));
	if (rc == ERR_LIMIT) {
		more = malloc(SAMPLES_MAX * sizeof(*more));
		if (!more)
			return -ENOMEM;
		in->samples = more;
		rc = bmff_fragment_parse(body->data, body->len, h->body_len, in->runs,
			&in->run_count, more, SAMPLES_MAX);
	}
	if (!rc)
		rc = bmff_fragment_agrees(h, in->runs, in->run_count);
	if (!rc && !in->run_count)
		rc = ERR_FORMAT;
	if (rc)
		free(more);
	return rc;
}

void intake_fini(struct intake *in)
{
	if (in->samples != in->few)
		free(in->samples);
	in->samples = in->few;
}

/* The bytes of the body that must be copied when it is shared: up to the end of the last tfdt. */
static uint32_t moof_part(const struct intake *in)
{
	uint32_t end = 0;
	for (size_t i = 0; i < in->run_count; i++)
		if (in->runs[i].tfdt_offset + 8 > end)
			end = in->runs[i].tfdt_offset + 8;
	return end;
}

static bool is_shared(const struct slice *body)
{
	return atomic_load_explicit(&body->buf->refs, memory_order_acquire) != 1;
}

/* A buffer's bytes before a slice of it. */
static size_t offset_in_buf(const struct slice *s)
{
	return (size_t)(s->data - s->buf->data);
}

/* Where the box goes: before the body, when its buffer has room there (FRAME_ROOM_BEFORE), so that
 * both are one piece of memory; else into a buffer of its own, with the part of the body that will
 * be changed and must be copied. */
static int place_box(struct piece *p, const struct slice *body, const struct intake *in)
{
	size_t before = offset_in_buf(body);
	bool shared = is_shared(body);
	if (!shared && before >= CHUNK_FRAG_BOX) {
		p->parts[p->part_count++] =
			slice_of(body->buf, before - CHUNK_FRAG_BOX, CHUNK_FRAG_BOX);
	} else {
		uint32_t copied = shared ? moof_part(in) : 0;
		struct buf *box = buf_new(CHUNK_FRAG_BOX + copied);
		if (!box)
			return -ENOMEM;
		memcpy(box->data + CHUNK_FRAG_BOX, body->data, copied);
		p->copied = copied;
		p->parts[p->part_count++] =
			(struct slice){.buf = box, .data = box->data, .len = box->len};
	}
	p->parts[p->part_count++] = slice_of(body->buf, before + p->copied, body->len - p->copied);
	return 0;
}

int piece_new(const struct fragment_header *h, const struct slice *body, const struct intake *in,
	struct wall receipt, uint8_t gap_cause, struct piece **ret_piece)
{
	struct piece *p = calloc(1, sizeof(*p));
	if (!p || place_box(p, body, in)) {
		free(p);
		return -ENOMEM;
	}
	const struct slice *box = &p->parts[0];
	chunk_frag_build(h, receipt, gap_cause, box->buf->data + offset_in_buf(box));
	list_init(&p->node);
	p->seq = h->seq;
	p->end = fragment_end(h);
	p->body_len = h->body_len;
	p->bytes = CHUNK_FRAG_BOX + h->body_len;
	p->run_count = (uint8_t)in->run_count;
	for (size_t i = 0; i < in->run_count; i++) {
		p->tfdt_offset[i] = in->runs[i].tfdt_offset;
		p->decode_time[i] = in->runs[i].decode_time;
	}
	*ret_piece = p;
	return 0;
}

void piece_commit(struct piece *p)
{
	/* the copy follows the box; a body that was not copied is the second part */
	const struct slice *part = &p->parts[p->copied ? 0 : 1];
	size_t body = offset_in_buf(part) + (p->copied ? CHUNK_FRAG_BOX : 0);
	for (unsigned i = 0; i < p->run_count; i++) {
		struct bytes b = bytes_writer(part->buf->data + body + p->tfdt_offset[i], 8);
		bytes_put_u64(&b, p->decode_time[i]);
	}
}

uint8_t *piece_room_behind(const struct piece *p, size_t len)
{
	const struct slice *last = &p->parts[p->part_count - 1];
	size_t end = offset_in_buf(last) + last->len;
	return !p->copied && last->buf->len - end >= len ? last->buf->data + end : NULL;
}

void piece_free(struct piece **slot)
{
	struct piece *p = *slot;
	*slot = NULL;
	if (!p)
		return;
	for (unsigned i = 0; i < p->part_count; i++)
		slice_drop(&p->parts[i]);
	free(p);
}
