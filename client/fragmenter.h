/* SPDX-License-Identifier: Apache-2.0 */
/* Makes fragments out of samples: of at most 1 s or 1 MiB, cut where decoding can start, with
 * capture times that follow the ticks. No I/O, no clock; not thread-safe (a recorder's inlet
 * locks).
 *
 * The master track (the first video track, or the first) decides: a fragment begins at its sync
 * samples, and the last sample waits for the next to know its duration. Samples that cannot be
 * decoded because there was no sync sample yet are left out. Pictures out of order (B) are cut
 * where everything shown so far precedes everything to come, if such a place comes within the
 * second. */
#pragma once

#include "client/item.h"
#include "client/payload.h"
#include "client/steppe.h"
#include "client/timebase.h"
#include "proto/bmff.h"

#define FRAGMENTER_SAMPLES_MAX 4096 /* of a track in a fragment */

struct fragmenter_sample {
	int64_t dts, pts, duration; /* ticks; duration 0: not known */
	uint32_t len;
	bool sync, sync_open;
};

struct fragmenter_track {
	enum bmff_media media;
	uint32_t timescale;
	struct fragmenter_sample *pending; /* in decoding order */
	uint32_t count, room;
	struct payload payload; /* their bytes */
	int64_t last_dts;       /* of the last sample taken */
	int64_t last_duration;  /* between samples, typically; 0: not known */
	int64_t out_offset;     /* tfdt = dts + this */
	int64_t out_end;        /* tfdt at which the last fragment ended */
	bool running;           /* last_dts is valid */
};

struct fragmenter {
	struct list made;  /* items that are ready, oldest first */
	size_t made_bytes; /* of their bodies */
	size_t pending_bytes;
	uint64_t skipped; /* samples left out for want of a sync sample or for going backwards */
	/* private */
	struct buf *init;
	unsigned track_count, master;
	struct fragmenter_track tracks[FRAGMENT_TRACKS_MAX];
	struct timebase time;
	enum clock_source clock_source;
	uint32_t clock_error_us;
	bool wait_sync;     /* nothing can be decoded until the next sync sample */
	bool discontinuous; /* the next fragment does not follow from the last */
	bool reordered;     /* pictures are not in the order of decoding */
	uint8_t gap_cause;  /* of the hole before the next fragment */
	int64_t end_us;     /* end of the last fragment; -1: none yet */
	int64_t last_capture_us;
	uint32_t serial;
};

/* -EINVAL for tracks that make no sense, -ENOMEM. */
int fragmenter_init(struct fragmenter *f, const struct steppe_track *tracks, unsigned count);
void fragmenter_fini(struct fragmenter *f);
/* Another codec configuration from the next sample on, which must be a sync sample. What is pending
 * becomes a fragment. */
int fragmenter_tracks(struct fragmenter *f, const struct steppe_track *tracks, unsigned count);

/* Takes a sample, copying its data. `now` stands in for its capture time when nothing better is
 * known. 0; -EINVAL; ERR_LIMIT: larger than a fragment may be (the pictures that depend on it are
 * left out with it); -ENOMEM: it is lost, with those that depend on it. */
int fragmenter_write(struct fragmenter *f, const struct steppe_sample *sample, struct wall now);
/* Makes a fragment of what is pending; the last duration is a guess. */
int fragmenter_flush(struct fragmenter *f);
/* Nothing followed, for this reason: flushes; the next fragment tells of the hole before it. */
int fragmenter_gap(struct fragmenter *f, enum steppe_gap cause);
/* Gives the oldest item that is ready, or NULL. */
struct item *fragmenter_take(struct fragmenter *f);
