/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding times for sources that only tell presentation times (RTP): the n-th picture is decoded
 * at the n-th smallest presentation time, brought forward by as many pictures as the stream
 * reorders. Pure. */
#pragma once

#include <stdint.h>

#define REORDER_MAX 16

struct reorder {
	unsigned depth; /* pictures that may be decoded before and shown after another */
	/* private */
	unsigned held;
	uint64_t taken;
	int64_t sorted[REORDER_MAX + 1];
	int64_t first_pts, step;
};

/* `depth` as the parameter sets say, -1: not said (taken as none until pictures show otherwise).
 * `step`: a picture's usual duration in ticks, for the first decoding times. */
void reorder_init(struct reorder *r, int depth, int64_t step);
/* The decoding time of the next picture in decoding order. Pictures come from one run of continuous
 * time. */
int64_t reorder_next(struct reorder *r, int64_t pts);
