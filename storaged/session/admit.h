/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: how much this process takes on at once. Shared by all loops; any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admit_limits {
	uint32_t streams;      /* being recorded at once */
	uint64_t ingest_bytes; /* taken from recorders and not durable yet, all streams together */
	uint64_t lane_window;  /* of these, most a lane may have */
	uint32_t fetches;      /* retrievals under way */
};
extern const struct admit_limits admit_defaults;

struct admit {
	struct admit_limits limits;
	/* private */
	atomic_uint streams, fetches;
	atomic_uint_fast64_t ingest_bytes;
};

void admit_init(struct admit *a, const struct admit_limits *limits);

/* True: one more stream is recorded until admit_stream_end. */
bool admit_stream(struct admit *a);
void admit_stream_end(struct admit *a);
bool admit_fetch(struct admit *a);
void admit_fetch_end(struct admit *a);

/* Accounts for `delta` bytes taken (positive) or made durable or dropped (negative). */
void admit_ingest(struct admit *a, int64_t delta);
/* Bytes a lane may have undurable now: its share of what is left, never under one fragment's worth
 * when nothing is. */
uint64_t admit_window(const struct admit *a);
