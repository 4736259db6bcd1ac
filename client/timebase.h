/* SPDX-License-Identifier: Apache-2.0 */
/* The relation between a stream's ticks and civil time. Ticks run on; what clocks say about single
 * samples pulls the relation along by at most 500 ppm, and a difference over 500 ms begins a new
 * one. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TIMEBASE_STEP_US  500000 /* a larger difference is a step, not drift */
#define TIMEBASE_SLEW_PPM 500

struct timebase {
	bool set;
	uint32_t timescale;
	int64_t anchor_pts, anchor_us;
	int64_t slew_us;    /* added since the anchor */
	int64_t slewed_pts; /* up to where slewing is paid for */
};

/* From now on tick `pts` is the instant `wall_us`. */
void timebase_anchor(struct timebase *t, uint32_t timescale, int64_t pts, int64_t wall_us);
/* The instant of a tick: the same for the same tick as long as nothing is slewed. */
int64_t timebase_at(const struct timebase *t, int64_t pts);
/* True when a clock that puts `pts` at `wall_us` has stepped. */
bool timebase_stepped(const struct timebase *t, int64_t pts, int64_t wall_us);
/* Draws nearer to such a clock, by what the ticks since the last call allow. */
void timebase_slew(struct timebase *t, int64_t pts, int64_t wall_us);
