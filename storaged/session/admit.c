/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/admit.h"

#include "proto/fragment.h"

const struct admit_limits admit_defaults = {
	.streams = 10000,
	.ingest_bytes = UINT64_C(2) << 30,
	.lane_window = UINT64_C(8) << 20,
	.fetches = 1000,
};

void admit_init(struct admit *a, const struct admit_limits *limits)
{
	a->limits = *limits;
	atomic_init(&a->streams, 0);
	atomic_init(&a->fetches, 0);
	atomic_init(&a->ingest_bytes, 0);
}

/* Counts one up unless `limit` is reached. */
static bool count_up(atomic_uint *count, uint32_t limit)
{
	unsigned seen = atomic_load_explicit(count, memory_order_relaxed);
	do {
		if (seen >= limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		count, &seen, seen + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool admit_stream(struct admit *a)
{
	return count_up(&a->streams, a->limits.streams);
}

void admit_stream_end(struct admit *a)
{
	atomic_fetch_sub_explicit(&a->streams, 1, memory_order_relaxed);
}

bool admit_fetch(struct admit *a)
{
	return count_up(&a->fetches, a->limits.fetches);
}

void admit_fetch_end(struct admit *a)
{
	atomic_fetch_sub_explicit(&a->fetches, 1, memory_order_relaxed);
}

void admit_ingest(struct admit *a, int64_t delta)
{
	atomic_fetch_add_explicit(&a->ingest_bytes, (uint_fast64_t)delta, memory_order_relaxed);
}

uint64_t admit_window(const struct admit *a)
{
	uint64_t used = atomic_load_explicit(&a->ingest_bytes, memory_order_relaxed);
	uint64_t streams = atomic_load_explicit(&a->streams, memory_order_relaxed);
	uint64_t left = used < a->limits.ingest_bytes ? a->limits.ingest_bytes - used : 0;
	/* while there is plenty a lane gets its whole window; as it runs out the rest is shared
	 * evenly */
	uint64_t share = left / (streams ? streams : 1);
	return share < a->limits.lane_window ? share : a->limits.lane_window;
}
