/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a progressive MP4 file: everything before its media bytes, which follow in one
 * `mdat`. Tables have one entry a sample (and one a run of contiguous samples), so that a file's
 * length follows from counts alone. Pure. */
#pragma once

#include "proto/bmff.h"

#define BMFF_PROGRESSIVE_SAMPLES_MAX (UINT32_C(1) << 24) /* a track */

/* One entry of an edit list, which says what of a track's media is shown when. */
struct bmff_edit {
	uint64_t duration;  /* ticks of the movie */
	int64_t media_time; /* ticks of the track; -1: nothing is shown */
};

/* Contiguous samples of one track. */
struct bmff_piece {
	uint64_t offset; /* from the first media byte */
	uint32_t sample_count;
};

struct bmff_progressive_track {
	const struct bmff_track *track; /* what it is; its id counts from 1 in the file */
	const struct bmff_sample
		*samples; /* in decoding order; durations are decoding time to the next */
	const struct bmff_piece *pieces; /* all samples, in order */
	const struct bmff_edit *edits;
	uint32_t sample_count, piece_count, edit_count; /* none of them 0 */
};

struct bmff_progressive {
	uint32_t timescale; /* of the movie */
	uint8_t track_count;
	struct bmff_progressive_track tracks[FRAGMENT_TRACKS_MAX];
	uint64_t media_bytes;
};

/* Builds `ftyp moov` and the header of `mdat`. -EINVAL for tables that do not add up, ERR_LIMIT,
 * -ENOMEM. Borrows all, gives the buffer: the file is its bytes and then media_bytes of media. */
int bmff_progressive_build(const struct bmff_progressive *p, struct buf **ret_head);
