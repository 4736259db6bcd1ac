/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/errors.h"
#include "proto/bmff.h"

#define UUID_SIZE 16

int bmff_box_read(struct bytes *b, struct bmff_box *ret_box)
{
	size_t start = b->at;
	struct bmff_box box = {.size = bytes_get_u32(b)};
	box.type = bytes_get_u32(b);
	/* 1 announces a 64-bit size; 0, "to the end of the file", has no meaning where more may be
	 * appended */
	if (box.size == 1)
		box.size = bytes_get_u64(b);
	if (box.type == BMFF_FOURCC('u', 'u', 'i', 'd'))
		box.uuid = bytes_get_view(b, UUID_SIZE);
	box.header = (uint32_t)(b->at - start);
	if (!b->error && box.size < box.header)
		bytes_fail(b, ERR_FORMAT);
	if (b->error)
		return b->error;
	*ret_box = box;
	return 0;
}

int bmff_box_next(struct bytes *parent, struct bmff_box *ret_box, struct bytes *ret_payload)
{
	if (parent->error)
		return parent->error;
	if (bytes_left(parent) == 0)
		return 0;
	struct bmff_box box;
	/* the parent is whole: what does not fit was never right */
	if (bmff_box_read(parent, &box) < 0 || box.size - box.header > bytes_left(parent)) {
		parent->error = ERR_FORMAT;
		return ERR_FORMAT;
	}
	size_t len = (size_t)(box.size - box.header);
	*ret_payload = bytes_reader(bytes_get_view(parent, len), len);
	*ret_box = box;
	return 1;
}

size_t bmff_box_begin(struct bytes *b, uint32_t type)
{
	size_t start = b->at;
	bytes_put_u32(b, 0);
	bytes_put_u32(b, type);
	return start;
}

size_t bmff_full_box_begin(struct bytes *b, uint32_t type, uint8_t version, uint32_t flags)
{
	size_t start = bmff_box_begin(b, type);
	bytes_put_u8(b, version);
	bytes_put_u24(b, flags);
	return start;
}

void bmff_box_end(struct bytes *b, size_t start)
{
	if (b->error)
		return;
	CHECK(start + 8 <= b->at && b->at - start <= UINT32_MAX);
	struct bytes size = bytes_writer(b->out + start, sizeof(uint32_t));
	bytes_put_u32(&size, (uint32_t)(b->at - start));
}
