/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded cursor over bytes: the only way this project reads or writes binary formats. Errors
 * stick: after the first one every call does nothing and reads give zero, so a parser is a list of
 * field reads and one check at its end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *in; /* reading: the bytes; writing: NULL */
	uint8_t *out;      /* writing: the space */
	size_t len;        /* of the whole range */
	size_t at;         /* next byte */
	int error; /* 0, ERR_TRUNCATED (read past the end), ERR_LIMIT (space used up), ERR_FORMAT */
};

/* Both borrow `data` for as long as the cursor is used; NULL has no bytes, whatever `len` says. */
struct bytes bytes_reader(const void *data, size_t len);
struct bytes bytes_writer(void *data, size_t len);

static inline size_t bytes_left(const struct bytes *b)
{
	return b->error ? 0 : b->len - b->at;
}

/* Records `error` unless an earlier one is there. */
static inline void bytes_fail(struct bytes *b, int error)
{
	if (!b->error)
		b->error = error;
}

/* Big-endian integers, as ISO base media files and all our formats have them. */
uint8_t bytes_get_u8(struct bytes *b);
uint16_t bytes_get_u16(struct bytes *b);
uint32_t bytes_get_u24(struct bytes *b);
uint32_t bytes_get_u32(struct bytes *b);
uint64_t bytes_get_u64(struct bytes *b);
/* Unsigned LEB128, at most 64 bits; ERR_FORMAT for more. */
uint64_t bytes_get_varint(struct bytes *b);
/* Copies `len` bytes to `to` (zeroes on error). */
void bytes_get_copy(struct bytes *b, void *to, size_t len);
/* The next `len` bytes in place, valid as long as the input; NULL on error. */
const uint8_t *bytes_get_view(struct bytes *b, size_t len);
/* A length byte and as many characters into `to` with a final NUL; ERR_FORMAT when it has a NUL or
 * does not fit `size`. */
void bytes_get_string8(struct bytes *b, char *to, size_t size);
void bytes_skip(struct bytes *b, size_t len);

void bytes_put_u8(struct bytes *b, uint8_t v);
void bytes_put_u16(struct bytes *b, uint16_t v);
void bytes_put_u24(struct bytes *b, uint32_t v);
void bytes_put_u32(struct bytes *b, uint32_t v);
void bytes_put_u64(struct bytes *b, uint64_t v);
void bytes_put_varint(struct bytes *b, uint64_t v);
void bytes_put(struct bytes *b, const void *from, size_t len);
void bytes_put_zero(struct bytes *b, size_t len);
/* A length byte and the characters of `s`; ERR_LIMIT past 255. */
void bytes_put_string8(struct bytes *b, const char *s);

/* Signed values as varints whose small magnitudes stay small. */
static inline uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
