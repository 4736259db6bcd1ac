/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/timeline.h"

#include <string.h>

#include "base/errors.h"

#define SECONDS_MAX                                                                                \
	(UINT64_C(1)                                                                               \
		<< 40) /* of decode time: in microseconds it still fits 64 bits               \
			     */

void timeline_init(struct timeline *t, const struct bmff_init *init)
{
	*t = (struct timeline){.track_count = init->track_count};
	for (unsigned i = 0; i < init->track_count; i++)
		t->timescale[i] = init->tracks[i].timescale;
}

static unsigned track_of(const struct bmff_run *run)
{
	return run->track_id - 1;
}

/* `ticks` of one timescale in another, rounded down or up; both stand for less than 2^40 seconds. */
static int64_t rescale(int64_t ticks, uint32_t from, uint32_t to, bool up)
{
	__extension__ typedef __int128 wide;
	wide product = (wide)ticks * to;
	return (int64_t)((product + (up ? (wide)from - 1 : 0)) / from);
}

static int64_t duration(const struct bmff_run *run)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < run->sample_count; i++)
		sum += run->samples[i].duration;
	return sum;
}

/* The run that begins first; runs of one fragment are compared as fractions of seconds. */
static const struct bmff_run *earliest(
	const struct timeline *t, const struct bmff_run *runs, size_t run_count)
{
	const struct bmff_run *least = &runs[0];
	for (size_t i = 1; i < run_count; i++) {
		uint32_t scale = t->timescale[track_of(&runs[i])];
		int64_t limit = rescale(
			(int64_t)least->decode_time, t->timescale[track_of(least)], scale, false);
		if ((int64_t)runs[i].decode_time < limit)
			least = &runs[i];
	}
	return least;
}

/* Shifts all tracks so that the fragment's earliest run begins `at_us` microseconds into the chunk;
 * what lies together stays together. */
static void anchor(struct timeline *t, const struct bmff_run *runs, size_t run_count, int64_t at_us)
{
	const struct bmff_run *first = earliest(t, runs, run_count);
	uint32_t scale = t->timescale[track_of(first)];
	for (unsigned i = 0; i < t->track_count; i++) {
		int64_t ticks = rescale((int64_t)first->decode_time, scale, t->timescale[i], false);
		t->shift[i] = rescale(at_us, 1000000, t->timescale[i], true) - ticks;
	}
}

/* Where a fragment goes whose ticks do not continue: by its capture time, and never before what is
 * there. */
static int64_t resume_us(const struct timeline *t, const struct fragment_header *h)
{
	int64_t at_us = h->capture.us - t->start.us;
	for (unsigned i = 0; i < t->track_count; i++) {
		int64_t end_us = rescale(t->next[i], t->timescale[i], 1000000, true);
		if (end_us > at_us)
			at_us = end_us;
	}
	return at_us > 0 ? at_us : 0;
}

static bool continues(const struct timeline *t, const struct fragment_header *h,
	const struct bmff_run *runs, size_t run_count)
{
	/* the ticks may run away from the capture time by what slewing allows in a chunk, not by a
	 * step */
	const int64_t apart_max_us = 2 * US_PER_SECOND;
	if (h->flags & (FRAGMENT_DISCONTINUITY | FRAGMENT_CLOCK_BACK))
		return false;
	for (size_t i = 0; i < run_count; i++) {
		unsigned track = track_of(&runs[i]);
		int64_t at = (int64_t)runs[i].decode_time + t->shift[track];
		if (at < t->next[track])
			return false;
		int64_t apart = rescale(at, t->timescale[track], 1000000, false) -
				(h->capture.us - t->start.us);
		if (apart > apart_max_us || apart < -apart_max_us)
			return false;
	}
	return true;
}

int timeline_place(struct timeline *t, const struct fragment_header *h, struct bmff_run *runs,
	size_t run_count)
{
	for (size_t i = 0; i < run_count; i++)
		if (!runs[i].track_id || runs[i].track_id > t->track_count ||
			runs[i].decode_time / t->timescale[track_of(&runs[i])] >= SECONDS_MAX)
			return ERR_FORMAT;
	if (!t->started) {
		t->started = true;
		t->start = h->capture;
		anchor(t, runs, run_count, 0);
	} else if (!continues(t, h, runs, run_count)) {
		anchor(t, runs, run_count, resume_us(t, h));
	}
	for (size_t i = 0; i < run_count; i++) {
		unsigned track = track_of(&runs[i]);
		int64_t at = (int64_t)runs[i].decode_time + t->shift[track];
		runs[i].decode_time = (uint64_t)at;
		t->next[track] = at + duration(&runs[i]);
	}
	return 0;
}
