/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies gathered and asked for percentiles. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct latency {
	uint32_t *us;
	size_t count, room;
	uint64_t lost; /* for want of memory */
};

void latency_add(struct latency *l, int64_t us);
/* The percentile 0..100, microseconds; 0 when there are none. Sorts what is there. */
uint32_t latency_percentile(struct latency *l, double percentile);
void latency_fini(struct latency *l);
