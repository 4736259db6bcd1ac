/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <string.h>

#include "base/check.h"
#include "base/errors.h"

/* Where cursors over no bytes at all stand: NULL, such as the view of a failed read, is no place to
 * count from. */
static uint8_t nowhere[1];

struct bytes bytes_reader(const void *data, size_t len)
{
	return (struct bytes){.in = data ? data : nowhere, .len = data ? len : 0};
}

struct bytes bytes_writer(void *data, size_t len)
{
	return (struct bytes){.out = data ? data : nowhere, .len = data ? len : 0};
}

const uint8_t *bytes_get_view(struct bytes *b, size_t len)
{
	CHECK(!b->out);
	if (!b->error && len > b->len - b->at)
		b->error = ERR_TRUNCATED;
	if (b->error)
		return NULL;
	const uint8_t *view = b->in + b->at;
	b->at += len;
	return view;
}

static uint64_t get_be(struct bytes *b, size_t width)
{
	const uint8_t *p = bytes_get_view(b, width);
	uint64_t v = 0;
	for (size_t i = 0; p && i < width; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t bytes_get_u8(struct bytes *b)
{
	return (uint8_t)get_be(b, 1);
}

uint16_t bytes_get_u16(struct bytes *b)
{
	return (uint16_t)get_be(b, 2);
}

uint32_t bytes_get_u24(struct bytes *b)
{
	return (uint32_t)get_be(b, 3);
}

uint32_t bytes_get_u32(struct bytes *b)
{
	return (uint32_t)get_be(b, 4);
}

uint64_t bytes_get_u64(struct bytes *b)
{
	return get_be(b, 8);
}

uint64_t bytes_get_varint(struct bytes *b)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = bytes_get_u8(b);
		if (b->error)
			return 0;
		/* the tenth byte has room for one bit only */
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	bytes_fail(b, ERR_FORMAT);
	return 0;
}

void bytes_get_copy(struct bytes *b, void *to, size_t len)
{
	const uint8_t *p = bytes_get_view(b, len);
	if (p)
		memcpy(to, p, len);
	else
		memset(to, 0, len);
}

void bytes_get_string8(struct bytes *b, char *to, size_t size)
{
	size_t len = bytes_get_u8(b);
	const uint8_t *p = bytes_get_view(b, len);
	if (p && (len >= size || memchr(p, 0, len)))
		bytes_fail(b, ERR_FORMAT);
	if (b->error)
		len = 0;
	if (len)
		memcpy(to, p, len);
	to[len] = 0;
}

void bytes_skip(struct bytes *b, size_t len)
{
	(void)bytes_get_view(b, len); /* the error sticks in the cursor */
}

/* The next `len` bytes of space, or NULL when they are not there. */
static uint8_t *space(struct bytes *b, size_t len)
{
	CHECK(!b->in);
	if (!b->error && len > b->len - b->at)
		b->error = ERR_LIMIT;
	if (b->error)
		return NULL;
	uint8_t *p = b->out + b->at;
	b->at += len;
	return p;
}

static void put_be(struct bytes *b, uint64_t v, size_t width)
{
	uint8_t *p = space(b, width);
	for (size_t i = 0; p && i < width; i++)
		p[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void bytes_put_u8(struct bytes *b, uint8_t v)
{
	put_be(b, v, 1);
}

void bytes_put_u16(struct bytes *b, uint16_t v)
{
	put_be(b, v, 2);
}

void bytes_put_u24(struct bytes *b, uint32_t v)
{
	put_be(b, v, 3);
}

void bytes_put_u32(struct bytes *b, uint32_t v)
{
	put_be(b, v, 4);
}

void bytes_put_u64(struct bytes *b, uint64_t v)
{
	put_be(b, v, 8);
}

void bytes_put_varint(struct bytes *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		bytes_put_u8(b, (uint8_t)(v | 0x80));
	bytes_put_u8(b, (uint8_t)v);
}

void bytes_put(struct bytes *b, const void *from, size_t len)
{
	uint8_t *p = space(b, len);
	if (p && len)
		memcpy(p, from, len);
}

void bytes_put_zero(struct bytes *b, size_t len)
{
	uint8_t *p = space(b, len);
	if (p)
		memset(p, 0, len);
}

void bytes_put_string8(struct bytes *b, const char *s)
{
	size_t len = strlen(s);
	if (len > UINT8_MAX) {
		bytes_fail(b, ERR_LIMIT);
		return;
	}
	bytes_put_u8(b, (uint8_t)len);
	bytes_put(b, s, len);
}
