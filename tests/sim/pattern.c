/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/pattern.h"

#include <string.h>

#include "base/errors.h"
#include "proto/bmff.h"

#define HEADER      14 /* length, NAL header, camera, number */
#define SAMPLES_MAX 64 /* of a fragment */

/* xorshift (Marsaglia 2003), seeded by what the picture is. */
static void fill(uint8_t *to, size_t len, unsigned camera, uint64_t number)
{
	uint64_t x = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (camera + 1);
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = (uint8_t)x;
	}
}

void pattern_make(uint8_t *to, size_t len, unsigned camera, uint64_t number)
{
	uint32_t nal = (uint32_t)len - 4;
	for (unsigned i = 0; i < 4; i++)
		to[i] = (uint8_t)(nal >> (24 - 8 * i));
	to[4] = 0x65;
	to[5] = (uint8_t)camera;
	for (unsigned i = 0; i < 8; i++)
		to[6 + i] = (uint8_t)(number >> (56 - 8 * i));
	fill(to + HEADER, len - HEADER, camera, number);
}

int pattern_read(const uint8_t *data, size_t len, unsigned *ret_camera, uint64_t *ret_number)
{
	uint8_t expected[4096];
	uint64_t number = 0;
	if (len < PATTERN_SIZE_MIN || len > sizeof(expected))
		return ERR_DAMAGED;
	for (unsigned i = 0; i < 8; i++)
		number = number << 8 | data[6 + i];
	pattern_make(expected, len, data[5], number);
	if (memcmp(expected, data, len) != 0)
		return ERR_DAMAGED;
	*ret_camera = data[5];
	*ret_number = number;
	return 0;
}

int pattern_read_fragment(const uint8_t *body, size_t len, struct pattern_run *ret_run)
{
	struct bmff_sample samples[SAMPLES_MAX];
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count;
	if (bmff_fragment_parse(body, len, (uint32_t)len, runs, &count, samples, SAMPLES_MAX) ||
		count != 1 || !runs[0].sample_count)
		return ERR_DAMAGED;
	size_t at = runs[0].data_offset;
	for (unsigned i = 0; i < runs[0].sample_count; i++) {
		unsigned camera;
		uint64_t number;
		if (samples[i].size > len - at ||
			pattern_read(body + at, samples[i].size, &camera, &number))
			return ERR_DAMAGED;
		if (i == 0)
			*ret_run = (struct pattern_run){.camera = camera, .first = number};
		if (camera != ret_run->camera || number != ret_run->first + i)
			return ERR_DAMAGED;
		ret_run->count++;
		at += samples[i].size;
	}
	return 0;
}
