/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/chunk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/chunk_boxes.h"

const uint8_t chunk_uuid_own[CHUNK_UUID_SIZE] = {0xb1, 0xe5, 0xd5, 0xa7, 0x00, 0x76, 0x44, 0xa3,
	0x8b, 0x0c, 0x51, 0x9c, 0x4f, 0x2b, 0x33, 0x0b};
const uint8_t chunk_uuid_frag[CHUNK_UUID_SIZE] = {0x23, 0x8f, 0x92, 0x09, 0x15, 0x05, 0x46, 0x42,
	0x87, 0xf6, 0x6e, 0xae, 0x0b, 0x95, 0x62, 0x10};
const uint8_t chunk_uuid_seal[CHUNK_UUID_SIZE] = {0xc0, 0x6b, 0x89, 0x43, 0xf8, 0xcb, 0x4f, 0x5a,
	0xb1, 0x59, 0x56, 0x39, 0xbf, 0x28, 0x70, 0x6a};

void chunk_box_put(struct bytes *b, const uint8_t uuid[CHUNK_UUID_SIZE], uint32_t size)
{
	bytes_put_u32(b, size);
	bytes_put_u32(b, BMFF_FOURCC('u', 'u', 'i', 'd'));
	bytes_put(b, uuid, CHUNK_UUID_SIZE);
}

int chunk_box_get(struct bytes *b, const uint8_t uuid[CHUNK_UUID_SIZE], uint64_t *ret_size)
{
	struct bmff_box box;
	int rc = bmff_box_read(b, &box);
	if (rc < 0)
		return rc;
	if (!box.uuid || memcmp(box.uuid, uuid, CHUNK_UUID_SIZE) != 0 ||
		box.header != CHUNK_BOX_HEADER)
		return ERR_FORMAT;
	*ret_size = box.size;
	return 0;
}

/* --- names --- */

#define NAME_PREFIX "chk/"
#define ID_DIGITS   30 /* "<16>.<8>.<4>" */

void chunk_name(char to[STORE_NAME_MAX + 1], const char *stream, const struct chunk_id *id)
{
	CHECK(strlen(stream) <= STREAM_NAME_MAX);
	snprintf(to, STORE_NAME_MAX + 1, NAME_PREFIX "%s/%016" PRIx64 ".%08" PRIx32 ".%04x", stream,
		id->epoch, id->seq, id->gen);
}

/* `digits` lower-case hexadecimal digits, the only spelling that chunk_name writes. */
static bool hex_read(const char *text, size_t digits, uint64_t *ret_value)
{
	uint64_t v = 0;
	for (size_t i = 0; i < digits; i++) {
		char c = text[i];
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret_value = v;
	return true;
}

int chunk_name_parse(
	const char *name, char ret_stream[STREAM_NAME_MAX + 1], struct chunk_id *ret_id)
{
	const size_t prefix = strlen(NAME_PREFIX);
	const char *slash = strrchr(name, '/');
	if (strncmp(name, NAME_PREFIX, prefix) != 0 || !slash || slash < name + prefix)
		return -EINVAL;
	char stream[STREAM_NAME_MAX + 1];
	size_t len = (size_t)(slash - name) - prefix;
	if (len > STREAM_NAME_MAX)
		return -EINVAL;
	memcpy(stream, name + prefix, len);
	stream[len] = 0;
	const char *id = slash + 1;
	uint64_t epoch, seq, gen;
	if (strlen(id) != ID_DIGITS || id[16] != '.' || id[25] != '.' ||
		!hex_read(id, 16, &epoch) || !hex_read(id + 17, 8, &seq) ||
		!hex_read(id + 26, 4, &gen) || epoch == 0 || seq == 0 ||
		stream_name_split(stream, NULL, NULL) < 0)
		return -EINVAL;
	memcpy(ret_stream, stream, len + 1);
	*ret_id = (struct chunk_id){.epoch = epoch, .seq = (uint32_t)seq, .gen = (uint16_t)gen};
	return 0;
}

/* --- the head: init segment and steppe-chunk --- */

/* The steppe-chunk box:
 *
 *	  0 size, 'uuid', uuid           24 level u8   25 lane u8   26 has previous u8   27 cause of
 * the gap before u8 28 cluster                      44 epoch u64  52 seq u32   56 gen u16   58 zero
 * u16 60 previous: epoch u64          68 seq u32    72 gen u16   74 zero u16 76 gap from i64 84 gap
 * to i64 92 init length u32              96 init CRC u32 100 length of the stream's name u8   101
 * name, zero-filled to 80   181 zero, 3 bytes   184 CRC of bytes 0..183 */
#define OWN_CRC_AT (CHUNK_OWN_BOX - 4)
static_assert(100 + 1 + STREAM_NAME_MAX + 3 == OWN_CRC_AT, "the name's room ends before the CRC");

static void put_id(struct bytes *b, const struct chunk_id *id)
{
	bytes_put_u64(b, id->epoch);
	bytes_put_u32(b, id->seq);
	bytes_put_u16(b, id->gen);
	bytes_put_u16(b, 0);
}

static struct chunk_id get_id(struct bytes *b)
{
	struct chunk_id id = {
		.epoch = bytes_get_u64(b), .seq = bytes_get_u32(b), .gen = bytes_get_u16(b)};
	if (bytes_get_u16(b) != 0)
		bytes_fail(b, ERR_FORMAT);
	return id;
}

int chunk_head_build(
	const struct chunk_header *h, const void *init, size_t init_len, struct buf **ret_buf)
{
	size_t name_len = strlen(h->stream);
	bool gap = h->gap_before.cause != GAP_NONE;
	CHECK(name_len <= STREAM_NAME_MAX);
	if (init_len > FRAGMENT_INIT_MAX)
		return ERR_LIMIT;
	struct buf *buf = buf_new(init_len + CHUNK_OWN_BOX);
	if (!buf)
		return -ENOMEM;
	memcpy(buf->data, init, init_len);
	uint8_t *own = buf->data + init_len;
	struct bytes b = bytes_writer(own, CHUNK_OWN_BOX);
	chunk_box_put(&b, chunk_uuid_own, CHUNK_OWN_BOX);
	bytes_put_u8(&b, CHUNK_LEVEL);
	bytes_put_u8(&b, h->lane);
	bytes_put_u8(&b, h->has_previous);
	bytes_put_u8(&b, h->gap_before.cause);
	bytes_put(&b, h->cluster, sizeof(h->cluster));
	put_id(&b, &h->id);
	put_id(&b, &h->previous);
	bytes_put_u64(&b, gap ? (uint64_t)h->gap_before.from.us : 0);
	bytes_put_u64(&b, gap ? (uint64_t)h->gap_before.to.us : 0);
	bytes_put_u32(&b, (uint32_t)init_len);
	bytes_put_u32(&b, crc32c(0, init, init_len));
	bytes_put_u8(&b, (uint8_t)name_len);
	bytes_put(&b, h->stream, name_len);
	bytes_put_zero(&b, STREAM_NAME_MAX - name_len + 3);
	bytes_put_u32(&b, crc32c(0, own, OWN_CRC_AT));
	CHECK(!b.error && bytes_left(&b) == 0);
	*ret_buf = buf;
	return 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return !data || len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* The box's fields; the CRC has been judged. */
static int own_fields(const uint8_t *own, struct chunk_header *ret_header, uint32_t *ret_init_len,
	uint32_t *ret_init_crc)
{
	struct bytes b = bytes_reader(own, OWN_CRC_AT);
	bytes_skip(&b, CHUNK_BOX_HEADER);
	if (bytes_get_u8(&b) != CHUNK_LEVEL)
		return ERR_VERSION;
	struct chunk_header h = {.lane = bytes_get_u8(&b)};
	uint8_t has_previous = bytes_get_u8(&b);
	h.has_previous = has_previous == 1;
	h.gap_before.cause = bytes_get_u8(&b);
	bytes_get_copy(&b, h.cluster, sizeof(h.cluster));
	h.id = get_id(&b);
	h.previous = get_id(&b);
	h.gap_before.from.us = (int64_t)bytes_get_u64(&b);
	h.gap_before.to.us = (int64_t)bytes_get_u64(&b);
	*ret_init_len = bytes_get_u32(&b);
	*ret_init_crc = bytes_get_u32(&b);
	bytes_get_string8(&b, h.stream, sizeof(h.stream));
	size_t rest = bytes_left(&b);
	if (!is_zero(bytes_get_view(&b, rest), rest) || b.error || has_previous > 1 ||
		h.lane >= LANES || h.gap_before.cause >= GAP_CAUSES || h.id.epoch == 0 ||
		h.id.seq == 0 || stream_name_split(h.stream, NULL, NULL) < 0 ||
		!wall_is_valid(h.gap_before.from) || !wall_is_valid(h.gap_before.to) ||
		h.gap_before.from.us > h.gap_before.to.us)
		return ERR_FORMAT;
	*ret_header = h;
	return 0;
}

/* Finds the steppe-chunk box by walking the boxes before it. */
static int own_find(const void *data, size_t len, size_t *ret_at)
{
	struct bytes b = bytes_reader(data, len);
	for (;;) {
		size_t at = b.at;
		if (at > FRAGMENT_INIT_MAX)
			return ERR_FORMAT;
		struct bmff_box box;
		int rc = bmff_box_read(&b, &box);
		if (rc < 0)
			return rc;
		if (box.uuid && memcmp(box.uuid, chunk_uuid_own, CHUNK_UUID_SIZE) == 0) {
			if (box.header != CHUNK_BOX_HEADER || box.size != CHUNK_OWN_BOX)
				return ERR_FORMAT;
			*ret_at = at;
			return len - at < CHUNK_OWN_BOX ? ERR_TRUNCATED : 0;
		}
		if (box.size > FRAGMENT_INIT_MAX || box.size < box.header)
			return ERR_FORMAT;
		bytes_skip(&b, (size_t)box.size - box.header);
		if (b.error)
			return b.error;
	}
}

int chunk_head_parse(const void *data, size_t len, struct chunk_header *ret_header,
	size_t *ret_init_len, size_t *ret_len)
{
	size_t at = 0;
	int rc = own_find(data, len, &at);
	if (rc < 0)
		return rc;
	const uint8_t *own = (const uint8_t *)data + at;
	struct bytes b = bytes_reader(own + OWN_CRC_AT, 4);
	if (bytes_get_u32(&b) != crc32c(0, own, OWN_CRC_AT))
		return ERR_CHECKSUM;
	struct chunk_header h;
	uint32_t init_len, init_crc;
	rc = own_fields(own, &h, &init_len, &init_crc);
	if (rc < 0)
		return rc;
	if (init_len != at)
		return ERR_FORMAT;
	if (init_crc != crc32c(0, data, at))
		return ERR_CHECKSUM;
	*ret_header = h;
	*ret_init_len = at;
	*ret_len = at + CHUNK_OWN_BOX;
	return 0;
}

/* --- steppe-frag and padding --- */

/* The steppe-frag box:
 *
 *	0 size, 'uuid', uuid   24 the recorder's header, 144 bytes   168 receipt i64   176 cause of
 * the gap before u8 177 zero, 3 bytes      180 CRC of bytes 0..179 */
#define FRAG_CRC_AT (CHUNK_FRAG_BOX - 4)
static_assert(
	CHUNK_BOX_HEADER + FRAGMENT_HEADER_SIZE + 8 + 4 == FRAG_CRC_AT, "the CRC ends the box");

void chunk_frag_build(const struct fragment_header *h, struct wall receipt, uint8_t gap_cause,
	uint8_t to[CHUNK_FRAG_BOX])
{
	uint8_t header[FRAGMENT_HEADER_SIZE];
	fragment_header_encode(h, header);
	struct bytes b = bytes_writer(to, CHUNK_FRAG_BOX);
	chunk_box_put(&b, chunk_uuid_frag, CHUNK_FRAG_BOX);
	bytes_put(&b, header, sizeof(header));
	bytes_put_u64(&b, (uint64_t)receipt.us);
	bytes_put_u8(&b, gap_cause);
	bytes_put_u24(&b, 0);
	bytes_put_u32(&b, crc32c(0, to, FRAG_CRC_AT));
	CHECK(!b.error && bytes_left(&b) == 0);
}

int chunk_frag_parse(const void *data, size_t len, struct fragment_header *ret_header,
	struct wall *ret_receipt, uint8_t *ret_gap_cause)
{
	struct bytes b = bytes_reader(data, len);
	uint64_t size;
	int rc = chunk_box_get(&b, chunk_uuid_frag, &size);
	if (rc < 0)
		return rc;
	if (size != CHUNK_FRAG_BOX)
		return ERR_FORMAT;
	const uint8_t *header = bytes_get_view(&b, FRAGMENT_HEADER_SIZE);
	struct wall receipt = {(int64_t)bytes_get_u64(&b)};
	uint8_t cause = bytes_get_u8(&b);
	uint32_t zero = bytes_get_u24(&b);
	uint32_t crc = bytes_get_u32(&b);
	if (b.error)
		return b.error;
	if (crc != crc32c(0, data, FRAG_CRC_AT))
		return ERR_CHECKSUM;
	if (zero || cause >= GAP_CAUSES || !wall_is_valid(receipt))
		return ERR_FORMAT;
	rc = fragment_header_decode(header, FRAGMENT_HEADER_SIZE, ret_header);
	if (rc < 0)
		return rc;
	*ret_receipt = receipt;
	*ret_gap_cause = cause;
	return 0;
}

uint32_t chunk_padding(uint64_t at, uint32_t alignment)
{
	uint32_t over = (uint32_t)(at % alignment);
	uint32_t padding = over ? alignment - over : 0;
	/* a box has at least its header; the next boundary that leaves room for one */
	while (padding && padding < 8)
		padding += alignment;
	return padding;
}

void chunk_padding_build(uint8_t to[8], uint32_t padding)
{
	struct bytes b = bytes_writer(to, 8);
	bytes_put_u32(&b, padding);
	bytes_put_u32(&b, BMFF_FOURCC('f', 'r', 'e', 'e'));
}
