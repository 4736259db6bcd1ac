/* SPDX-License-Identifier: Apache-2.0 */
/* One track of a clip's file while its tables are being made: samples at decoding times, pieces,
 * edits. Pure. */
#pragma once

#include <stdbool.h>

#include "proto/bmff_progressive.h"

/* A zeroed one is empty. */
struct clip_track {
	struct bmff_sample *samples;
	struct bmff_piece *pieces;
	struct bmff_edit *edits;
	uint32_t sample_count, piece_count, edit_count;
	int64_t first_dts, last_dts; /* of its samples; ticks of the track's media */
	/* private */
	uint32_t sample_room, piece_room, edit_room;
};

void clip_track_fini(struct clip_track *t);

/* Adds a sample decoded at `dts`, which is where the one before it ends: durations follow from
 * decoding times. A time before the last one's counts as that. 0, -ENOMEM, ERR_LIMIT. */
int clip_track_add(struct clip_track *t, int64_t dts, const struct bmff_sample *sample);
/* The last `count` samples are contiguous in the file, from `offset`. */
int clip_track_piece(struct clip_track *t, uint64_t offset, uint32_t count);
int clip_track_edit(struct clip_track *t, uint64_t duration, int64_t media_time);

/* Where the last sample ends; 0 when there is none. */
int64_t clip_track_end(const struct clip_track *t);

/* Makes the edits of `t` (timescale `scale`) show what those of the master (timescale
 * `master_scale`, the movie's) show, for media whose decoding times are the master's in its own
 * ticks. */
int clip_track_follow(struct clip_track *t, uint32_t scale, const struct clip_track *master,
	uint32_t master_scale);

/* `ticks` of one timescale in another, rounded to the nearest. */
int64_t clip_rescale(int64_t ticks, uint32_t from, uint32_t to);
