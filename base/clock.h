/* SPDX-License-Identifier: Apache-2.0 */
/* Instants as types: civil time and monotonic time cannot be mixed by mistake. Durations are plain
 * integers whose names carry their unit. Reading a clock is the business of a loop, so that a
 * simulator can hand out another. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct wall {
	int64_t us; /* microseconds since 1970-01-01T00:00:00Z, leap seconds not counted */
};

struct mono {
	int64_t ns; /* nanoseconds of a clock that never steps; meaningful inside one process only
		     */
};

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY    (INT64_C(86400) * US_PER_SECOND)
#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)

/* The last instant that formats may carry: 9999-12-31T23:59:59.999999Z. */
#define WALL_MAX_US INT64_C(253402300799999999)

static inline bool wall_is_valid(struct wall t)
{
	return t.us >= 0 && t.us <= WALL_MAX_US;
}

static inline struct mono mono_add_ns(struct mono t, int64_t ns)
{
	return (struct mono){t.ns + ns};
}

/* The UTC day of `t` as days since 1970-01-01; `t` must be valid. */
static inline int32_t wall_day(struct wall t)
{
	return (int32_t)(t.us / US_PER_DAY);
}
