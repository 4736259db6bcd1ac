/* SPDX-License-Identifier: Apache-2.0 */
/* Which fragments of a snapshot's chunks a window needs, in the order in which they are decoded.
 * Pure.
 *
 * A run is a fragment that starts with a sync sample and those that follow it by number up to the
 * next such; it may pass from one chunk into the next. A window needs each run in which it shows
 * something, from the run's start. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/table.h"

/* One chunk of a snapshot; borrowed. */
struct clip_source {
	const char *name;
	uint64_t epoch;
	const uint8_t *init;
	size_t init_len;
	const struct chunk_table *table;
};

struct clip_window {
	int64_t from_us, to_us; /* from <= presentation time < to */
	bool close_gaps;
};

/* A fragment to be decoded. */
struct clip_step {
	uint32_t source, fragment;
	uint32_t master_count; /* samples of the master track: the rest, at the end of a window, is
				  not needed */
	bool continues;        /* its ticks follow from those of the step before */
	bool new_file;         /* its codec configuration is not that of the step before */
};

/* The track that decides what a window shows: the first video track, or the first. */
unsigned clip_master_track(const struct bmff_init *init);

/* Turns a fragment's ticks into instants: its capture time is that of its earliest picture. */
struct clip_clock {
	int64_t capture_us, first_pts;
	uint32_t timescale;
};
struct clip_clock clip_clock_of(
	const struct clip_source *source, uint32_t fragment, unsigned master);
/* `pts` counts from the decoding time of the fragment's first sample of the master track. */
int64_t clip_clock_wall(const struct clip_clock *clock, int64_t pts);
/* The fragment's samples of a track. */
const struct bmff_sample *clip_samples(
	const struct clip_source *source, uint32_t fragment, unsigned track, uint32_t *ret_count);

static inline bool clip_window_shows(const struct clip_window *w, int64_t wall_us)
{
	return wall_us >= w->from_us && wall_us < w->to_us;
}

/* Chooses and orders. `masters` has the master track of each source. Gives an array, freed with
 * free(); none: *ret_count 0 and NULL. Of two copies of a fragment the one of the higher epoch is
 * taken. 0, -ENOMEM, ERR_LIMIT. */
int clip_steps_choose(const struct clip_source *sources, const unsigned *masters, size_t count,
	const struct clip_window *window, struct clip_step **ret_steps, size_t *ret_count);
