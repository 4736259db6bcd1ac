/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/score.h"

#define FRACTION 40

/* The binary logarithm of a mantissa in [1, 2), bit by bit: squaring doubles the logarithm, and
 * whether the square reaches 2 is its next bit (Knuth, TAOCP 1.2.2, exercise 25). Integers alone,
 * so it is the same on every machine; called a handful of times a look-up, not once a node. */
static uint64_t log2_fraction(uint64_t mantissa) /* 1.63 */
{
	uint64_t result = 0;
	for (int bit = FRACTION - 1; bit >= 0; bit--) {
		__extension__ unsigned __int128 square =
			(unsigned __int128)mantissa * mantissa; /* 2.126 */
		if (square >> 127) {
			result |= UINT64_C(1) << bit;
			mantissa = (uint64_t)(square >> 64);
		} else {
			mantissa = (uint64_t)(square >> 63);
		}
	}
	return result;
}

uint64_t score_distance(uint64_t h)
{
	if (h == 0)
		return UINT64_C(65) << FRACTION;
	int zeros = __builtin_clzll(h);
	/* log2(h) = 63 - zeros + log2(mantissa) */
	uint64_t log2 = ((uint64_t)(63 - zeros) << FRACTION) + log2_fraction(h << zeros);
	return (UINT64_C(64) << FRACTION) - log2;
}
