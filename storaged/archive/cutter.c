/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/cutter.h"

#include <string.h>

#include "base/hash.h"
#include "storaged/archive/gaps.h"
#include "storaged/archive/index.h"

const struct cutter_limits cutter_defaults = {
	.min_us = 60 * US_PER_SECOND,
	.min_bytes = 4u << 20,
	.max_us = CHUNK_LENGTH_MAX_US,
	.max_bytes = 32u << 20,
	.silence_ns = 60 * NS_PER_SECOND,
	.batch_bytes = 1u << 20,
	.batch_ns = NS_PER_SECOND,
};

/* Of a whole length: where a stream's first chunk may end at the earliest, so that none is tiny. */
#define LEAST_EIGHTHS 1
#define JITTER_SEED   0x7374657070650001u

/* 1/8 .. 9/8 of `whole`, spread evenly over one whole length: streams taken at one moment then seal
 * evenly over time. */
static uint64_t spread(uint64_t whole, uint64_t hash)
{
	uint64_t share = hash >> 44; /* of 2^20 */
	return whole / 8 * LEAST_EIGHTHS + (uint64_t)(((unsigned __int128)whole * share) >> 20);
}

void cutter_start(struct cutter *c, const struct cutter_limits *l, const char *stream,
	uint32_t ordinal, struct wall start)
{
	*c = (struct cutter){
		.start = start, .end = start, .min_us = l->min_us, .min_bytes = l->min_bytes};
	if (ordinal > 0)
		return;
	uint64_t hash = hash64(JITTER_SEED, stream, strlen(stream));
	c->min_us = (int64_t)spread((uint64_t)l->min_us, hash);
	c->min_bytes = spread(l->min_bytes, hash);
}

bool cutter_gap_before(const struct cutter *c, const struct fragment_header *next)
{
	return c->fragments > 0 && next->capture.us - c->end.us > gap_slack_us(c->frame_us);
}

int cutter_end_before(
	const struct cutter *c, const struct cutter_limits *l, const struct fragment_header *next)
{
	if (c->fragments == 0)
		return 0;
	if (next->capture.us < c->start.us ||
		next->capture.us < c->end.us - gap_slack_us(c->frame_us))
		return CHUNK_END_CLOCK;
	int64_t length_us = next->capture.us - c->start.us;
	uint64_t bytes = c->bytes + CHUNK_FRAG_BOX + next->body_len;
	if (length_us >= l->max_us || bytes > l->max_bytes)
		return CHUNK_END_FULL;
	if (c->gaps == INDEX_GAPS_MAX && cutter_gap_before(c, next))
		return CHUNK_END_FULL;
	if ((next->flags & FRAGMENT_SYNC) && length_us >= c->min_us && c->bytes >= c->min_bytes)
		return CHUNK_END_FULL;
	return 0;
}

void cutter_add(
	struct cutter *c, const struct fragment_header *h, uint64_t bytes, uint32_t pictures)
{
	if (cutter_gap_before(c, h))
		c->gaps++;
	if (fragment_end(h).us > c->end.us)
		c->end = fragment_end(h);
	c->frame_us = gap_frame_us(h, pictures);
	c->bytes += bytes;
	c->fragments++;
}
