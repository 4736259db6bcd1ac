/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <string.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78) /* bit-reversed */

/* Bytes a lane of the three-way hardware loop; three independent chains hide the instruction's
 * latency of three cycles. Long lanes seldom stop to join their chains, short ones serve what is
 * left, and the small pieces of which there are many. */
enum { LANE_LONG = 2048, LANE_SHORT = 128 };

static uint32_t table[8][256];
/* What byte k of a checksum becomes when a lane of zero bytes follows. */
struct shift {
	uint32_t of[4][256];
};
static struct shift shift_long, shift_short;

static uint32_t multiply_x8(uint32_t crc)
{
	return crc >> 8 ^ table[0][crc & 0xff];
}

/* Shifting is linear over bits: each bit is shifted once, then combined. */
static void make_shift(struct shift *shift, int lane)
{
	uint32_t shifted_bit[32];
	for (int bit = 0; bit < 32; bit++) {
		uint32_t crc = UINT32_C(1) << bit;
		for (int i = 0; i < lane; i++)
			crc = multiply_x8(crc);
		shifted_bit[bit] = crc;
	}
	for (int k = 0; k < 4; k++)
		for (uint32_t i = 0; i < 256; i++)
			for (int bit = 0; bit < 8; bit++)
				shift->of[k][i] ^= i >> bit & 1 ? shifted_bit[8 * k + bit] : 0;
}

__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = multiply_x8(table[k - 1][i]);
	make_shift(&shift_long, LANE_LONG);
	make_shift(&shift_short, LANE_SHORT);
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t update_portable(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v = load64(p);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		v = __builtin_bswap64(v);
#endif
		v ^= crc;
		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= table[7 - k][v >> (8 * k) & 0xff];
	}
	for (; len; p++, len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

#if defined(__x86_64__)
static uint32_t shift_lane(const struct shift *shift, uint32_t crc)
{
	return shift->of[0][crc & 0xff] ^ shift->of[1][crc >> 8 & 0xff] ^
	       shift->of[2][crc >> 16 & 0xff] ^ shift->of[3][crc >> 24];
}

/* Three lanes of `lane` bytes. Inlined, so that the length is a constant to the compiler. */
__attribute__((target("sse4.2"), always_inline)) static inline uint32_t update_lanes(
	uint32_t crc, const uint8_t *p, size_t lane, const struct shift *shift)
{
	uint64_t a = crc, b = 0, c = 0;
	for (size_t i = 0; i < lane; i += 8) {
		a = _mm_crc32_u64(a, load64(p + i));
		b = _mm_crc32_u64(b, load64(p + lane + i));
		c = _mm_crc32_u64(c, load64(p + 2 * lane + i));
	}
	return shift_lane(shift, shift_lane(shift, (uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
}

__attribute__((target("sse4.2"))) static uint32_t update_sse42(
	uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len >= 3 * LANE_LONG; p += 3 * LANE_LONG, len -= 3 * LANE_LONG)
		crc = update_lanes(crc, p, LANE_LONG, &shift_long);
	for (; len >= 3 * LANE_SHORT; p += 3 * LANE_SHORT, len -= 3 * LANE_SHORT)
		crc = update_lanes(crc, p, LANE_SHORT, &shift_short);
	for (; len >= 8; p += 8, len -= 8)
		crc = (uint32_t)_mm_crc32_u64(crc, load64(p));
	for (; len; p++, len--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~update_sse42(~crc, data, len);
#endif
	return ~update_portable(~crc, data, len);
}

uint32_t crc32c_zeros(uint32_t crc, size_t len)
{
	static const uint8_t zeros[64];
	for (; len > sizeof(zeros); len -= sizeof(zeros))
		crc = crc32c(crc, zeros, sizeof(zeros));
	return crc32c(crc, zeros, len);
}
