/* SPDX-License-Identifier: Apache-2.0 */
/* Lets footage go that has passed its ceiling: once a period it walks the cameras that this loop of
 * this daemon answers for, asks their policies, and sweeps the days that are due, one stream after
 * the other. What it costs follows what is deleted, and one small read a stream that has a ceiling.
 * Loop thread only. */
#pragma once

#include "base/loop.h"
#include "storaged/archive/catalog.h"
#include "storaged/archive/reader.h"
#include "storaged/ownership/keeper.h"

struct expiry;

/* Of all rounds. */
struct expiry_counts {
	uint64_t rounds, streams; /* looked at */
	uint64_t flagged, removed, removed_bytes;
	uint64_t left;     /* of the last round: dropping, and may not be removed yet */
	uint64_t failures; /* streams given up until the next round */
};

struct expiry_config {
	struct loop *loop;
	struct store *store;
	struct catalog *catalog;
	struct reader *reader;
	struct keeper *keeper;
	/* Whether the camera is to be swept here. */
	bool (*is_mine)(void *owner, const char *camera);
	/* What time it is by the cluster; false: that is not certain, and nothing is deleted. */
	bool (*now)(void *owner, struct wall *ret_now);
	/* A round is over; may be NULL. */
	void (*round)(void *owner, const struct expiry_counts *counts);
	void *owner;
	int64_t every_ns; /* from round to round; 0: an hour */
	int64_t safe_us;  /* 0: RETENTION_SAFE_US */
	unsigned removes_per_second;
};
/* The first round begins after a tenth of the period. 0 or -ENOMEM. */
int expiry_new(const struct expiry_config *config, struct expiry **ret_expiry);
/* Ends after the step under way; then `stopped` runs and *slot, already NULL, is no more. A sweep ends
 * early when the keeper stops, so stop both: the keeper waits for what is held here. */
void expiry_free(struct expiry **slot, struct loop_task *stopped);
