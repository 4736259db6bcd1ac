/* SPDX-License-Identifier: Apache-2.0 */
/* Gives every sample its civil time. A stream's own ticks run on; what they mean is measured from
 * the camera's sender reports, or from the moment the bytes came, and followed slowly (500 ppm), so
 * that durations stay true; a difference over 500 ms is a step and begins a discontinuity. Pure: no
 * clock is read here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "client/steppe.h"

enum clockmap_mode {
	CLOCKMAP_AUTO,     /* the sender's time when there is one that can be, else receipt */
	CLOCKMAP_RECEIPT,  /* receipt alone: the camera's clock is not to be trusted */
	CLOCKMAP_DECLARED, /* the first sample's time is given */
};

struct clockmap {
	enum clockmap_mode mode;
	int64_t declared_us;
	int64_t camera_ahead_us; /* read: the sender's time minus receipt, as last seen; 0 before */
	/* private */
	bool anchored;
	enum steppe_clock source;
	int64_t offset_us; /* civil time minus media time */
	int64_t last_media_us;
	int64_t window_start_us, low_now_us, low_before_us;
	bool has_before;
};

struct clockmap_reading {
	int64_t media_us;   /* the sample's presentation time on the source's time base */
	int64_t receipt_us; /* civil time when it came */
	int64_t sender_us;  /* civil time by the camera's sender reports; -1: none */
};

struct clockmap_result {
	int64_t wall_us;
	enum steppe_clock source;
	uint32_t error_us;
	bool stepped; /* a discontinuity begins */
};

/* `declared_us` counts for CLOCKMAP_DECLARED alone. */
void clockmap_init(struct clockmap *c, enum clockmap_mode mode, int64_t declared_us);
/* A new run of media time begins (reconnected, time base reset): measured anew; the next sample is
 * a step. */
void clockmap_restart(struct clockmap *c);
struct clockmap_result clockmap_take(struct clockmap *c, const struct clockmap_reading *reading);
