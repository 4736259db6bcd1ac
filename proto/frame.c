/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/errors.h"

#define FRAME_MAGIC UINT32_C(0x53545045) /* "STPE" */
#define META_LEN_AT 12
#define CRC_AT      20

static uint32_t frame_crc(const uint8_t header[FRAME_HEADER_SIZE], const void *meta, size_t len)
{
	uint32_t crc = crc32c(0, header, CRC_AT);
	return len ? crc32c(crc, meta, len) : crc;
}

int frame_header_decode(const uint8_t from[FRAME_HEADER_SIZE], struct frame_header *ret_header)
{
	struct bytes b = bytes_reader(from, FRAME_HEADER_SIZE);
	uint32_t magic = bytes_get_u32(&b);
	uint8_t version = bytes_get_u8(&b);
	struct frame_header h;
	h.type = bytes_get_u8(&b);
	h.flags = bytes_get_u16(&b);
	h.stream = bytes_get_u32(&b);
	h.meta_len = bytes_get_u32(&b);
	h.body_len = bytes_get_u32(&b);
	h.crc = bytes_get_u32(&b);
	if (magic != FRAME_MAGIC)
		return ERR_FORMAT;
	if (version != FRAME_VERSION)
		return ERR_VERSION;
	if (h.meta_len > FRAME_META_MAX || h.body_len > FRAME_BODY_MAX)
		return ERR_LIMIT;
	*ret_header = h;
	return 0;
}

int frame_check(const uint8_t header[FRAME_HEADER_SIZE], const void *meta)
{
	struct bytes b = bytes_reader(header, FRAME_HEADER_SIZE);
	bytes_skip(&b, META_LEN_AT);
	uint32_t meta_len = bytes_get_u32(&b);
	bytes_skip(&b, sizeof(uint32_t)); /* body length */
	return frame_crc(header, meta, meta_len) == bytes_get_u32(&b) ? 0 : ERR_CHECKSUM;
}

void frame_header_encode(struct frame_header *h, const void *meta, uint8_t to[FRAME_HEADER_SIZE])
{
	struct bytes b = bytes_writer(to, FRAME_HEADER_SIZE);
	bytes_put_u32(&b, FRAME_MAGIC);
	bytes_put_u8(&b, FRAME_VERSION);
	bytes_put_u8(&b, h->type);
	bytes_put_u16(&b, h->flags);
	bytes_put_u32(&b, h->stream);
	bytes_put_u32(&b, h->meta_len);
	bytes_put_u32(&b, h->body_len);
	h->crc = frame_crc(to, meta, h->meta_len);
	bytes_put_u32(&b, h->crc);
}
