/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/made.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/bmff.h"

static struct buf *make_init(unsigned config)
{
	static const uint8_t avcc[] = {
		1, 66, 0, 30, 255, 225, 0, 4, 103, 66, 0, 30, 1, 0, 2, 104, 1};
	struct bmff_init init = {.track_count = 1};
	init.tracks[0] = (struct bmff_track){
		.id = 1,
		.media = BMFF_VIDEO,
		.codec = BMFF_H264,
		.timescale = 1000,
		.width = (uint16_t)(64 + config),
		.height = 48,
		.config = avcc,
		.config_len = sizeof(avcc),
	};
	struct buf *buf = NULL;
	return bmff_init_build(&init, &buf) < 0 ? NULL : buf;
}

static void fill(uint8_t *to, size_t len, unsigned n)
{
	uint32_t x = n * 2654435761u + 1;
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		to[i] = (uint8_t)x;
	}
}

struct item *made_item_of(unsigned n, size_t bytes, unsigned config)
{
	struct buf *init = make_init(config), *payload = buf_new(bytes), *body = NULL;
	struct item *item = NULL;
	if (init && payload) {
		fill(payload->data, bytes, n);
		struct bmff_sample samples[2] = {
			{.size = (uint32_t)bytes / 2, .duration = 500, .sync = n % 2 == 0},
			{.size = (uint32_t)(bytes - bytes / 2), .duration = 500},
		};
		struct slice slice = {.buf = payload, .data = payload->data, .len = bytes};
		struct bmff_run run = {
			.track_id = 1,
			.decode_time = n * UINT64_C(1000),
			.sample_count = 2,
			.samples = samples,
			.payload = &slice,
			.payload_count = 1,
		};
		struct fragment_header h = {
			.clock_source = CLOCK_DECLARED,
			.flags = n % 2 == 0 ? FRAGMENT_SYNC : 0,
			.seq = n + 1,
			.capture = {MADE_START_US + n * US_PER_SECOND},
			.duration_us = US_PER_SECOND,
		};
		if (bmff_fragment_build(&run, 1, &h, &body) == 0)
			item = item_new(&h, init, body);
	}
	buf_unref(&init);
	buf_unref(&payload);
	buf_unref(&body);
	return item;
}

struct item *made_item(unsigned n, size_t bytes)
{
	return made_item_of(n, bytes, 0);
}

bool made_is(const struct item *item, unsigned n)
{
	struct item *expected = made_item(n, 0);
	CHECK(expected);
	size_t head = expected->body->len; /* moof and the header of mdat */
	item_free(&expected);
	size_t len = item->body->len - head;
	uint8_t *bytes = malloc(len ? len : 1);
	CHECK(bytes);
	fill(bytes, len, n);
	bool same = memcmp(bytes, item->body->data + head, len) == 0;
	free(bytes);
	return same;
}
