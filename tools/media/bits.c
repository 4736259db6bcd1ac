/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/bits.h"

#include "base/errors.h"

struct bits bits_reader(const void *data, size_t len)
{
	return (struct bits){.in = data, .len = len};
}

static unsigned next_bit(struct bits *b)
{
	/* 00 00 03 stands for 00 00: the 03 is no data */
	if (b->bit == 0 && b->zeros >= 2 && b->at < b->len && b->in[b->at] == 3) {
		b->at++;
		b->zeros = 0;
	}
	if (b->at >= b->len) {
		b->error = ERR_TRUNCATED;
		return 0;
	}
	unsigned v = b->in[b->at] >> (7 - b->bit) & 1;
	if (++b->bit == 8) {
		b->zeros = b->in[b->at] == 0 ? b->zeros + 1 : 0;
		b->bit = 0;
		b->at++;
	}
	return v;
}

uint32_t bits_get(struct bits *b, unsigned n)
{
	uint32_t v = 0;
	for (; n > 0 && !b->error; n--)
		v = v << 1 | next_bit(b);
	return b->error ? 0 : v;
}

void bits_skip(struct bits *b, unsigned n)
{
	for (; n > 0 && !b->error; n--)
		(void)next_bit(b);
}

uint32_t bits_get_ue(struct bits *b)
{
	unsigned zeros = 0;
	while (!b->error && next_bit(b) == 0)
		zeros++;
	if (zeros > 31) {
		if (!b->error)
			b->error = ERR_FORMAT;
		return 0;
	}
	uint32_t rest = bits_get(b, zeros);
	return b->error ? 0 : (UINT32_C(1) << zeros) - 1 + rest;
}

int32_t bits_get_se(struct bits *b)
{
	uint32_t v = bits_get_ue(b);
	return v & 1 ? (int32_t)(v / 2 + 1) : -(int32_t)(v / 2);
}
