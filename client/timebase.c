/* SPDX-License-Identifier: Apache-2.0 */
#include "client/timebase.h"

#include "base/clock.h"

/* Rounded to the nearest. */
static int64_t ticks_to_us(int64_t ticks, uint32_t timescale)
{
	int64_t whole = ticks / timescale, rest = ticks % timescale;
	if (rest < 0) {
		whole--;
		rest += timescale;
	}
	return whole * US_PER_SECOND + (rest * US_PER_SECOND + timescale / 2) / timescale;
}

void timebase_anchor(struct timebase *t, uint32_t timescale, int64_t pts, int64_t wall_us)
{
	*t = (struct timebase){
		.set = true,
		.timescale = timescale,
		.anchor_pts = pts,
		.anchor_us = wall_us,
		.slewed_pts = pts,
	};
}

int64_t timebase_at(const struct timebase *t, int64_t pts)
{
	return t->anchor_us + t->slew_us + ticks_to_us(pts - t->anchor_pts, t->timescale);
}

bool timebase_stepped(const struct timebase *t, int64_t pts, int64_t wall_us)
{
	int64_t difference = wall_us - timebase_at(t, pts);
	return difference > TIMEBASE_STEP_US || difference < -TIMEBASE_STEP_US;
}

void timebase_slew(struct timebase *t, int64_t pts, int64_t wall_us)
{
	if (pts <= t->slewed_pts)
		return;
	int64_t allowed =
		ticks_to_us(pts - t->slewed_pts, t->timescale) * TIMEBASE_SLEW_PPM / 1000000;
	int64_t difference = wall_us - timebase_at(t, pts);
	if (difference > allowed)
		difference = allowed;
	else if (difference < -allowed)
		difference = -allowed;
	t->slew_us += difference;
	t->slewed_pts = pts;
}
