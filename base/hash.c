/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

/* The finaliser of splitmix64: a bijection in which each input bit reaches all output bits. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t hash64(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = mix(seed + UINT64_C(0x9e3779b97f4a7c15) * (len + 1));
	while (len) {
		uint64_t word = 0;
		size_t n = len < 8 ? len : 8;
		for (size_t i = 0; i < n; i++)
			word |= (uint64_t)p[i] << (8 * i);
		h = mix(h ^ word) + UINT64_C(0x9e3779b97f4a7c15);
		p += n;
		len -= n;
	}
	return mix(h);
}
