/* SPDX-License-Identifier: Apache-2.0 */
/* Reads bits and Exp-Golomb codes from the payload of a NAL unit, leaving out the emulation
 * prevention bytes on the way. Errors stick, as with `bytes`: after the first one every read gives
 * zero. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bits {
	const uint8_t *in;
	size_t len, at;
	unsigned bit;   /* bits of in[at] already read */
	unsigned zeros; /* zero bytes just before in[at] */
	int error;      /* 0 or ERR_TRUNCATED, ERR_FORMAT */
};

/* Borrows `data`, which begins after the NAL unit's header. */
struct bits bits_reader(const void *data, size_t len);
/* The next `n` bits, at most 32. */
uint32_t bits_get(struct bits *b, unsigned n);
void bits_skip(struct bits *b, unsigned n);
/* Unsigned and signed Exp-Golomb codes; ERR_FORMAT beyond 32 bits. */
uint32_t bits_get_ue(struct bits *b);
int32_t bits_get_se(struct bits *b);
