/* SPDX-License-Identifier: Apache-2.0 */
/* Decode times inside a chunk: they count from the chunk's first sample, run on with the recorder's
 * ticks, and follow the capture time where the ticks jump. Pure. */
#pragma once

#include "base/clock.h"
#include "proto/bmff.h"

struct timeline {
	bool started;
	uint8_t track_count;
	uint32_t timescale[FRAGMENT_TRACKS_MAX];
	struct wall start;                  /* capture time of the chunk's first fragment */
	int64_t shift[FRAGMENT_TRACKS_MAX]; /* from the recorder's ticks to the chunk's */
	int64_t next[FRAGMENT_TRACKS_MAX]; /* chunk ticks at which the track's next sample may begin
					    */
};

/* Takes timescales from an init segment. */
void timeline_init(struct timeline *t, const struct bmff_init *init);
/* Puts the decode times of a fragment's runs into chunk ticks. `t` is what holds after the
 * fragment: work on a copy while the fragment may still be refused. 0; ERR_FORMAT for a track the
 * init segment does not have or times that no chunk can hold. */
int timeline_place(struct timeline *t, const struct fragment_header *h, struct bmff_run *runs,
	size_t run_count);
