/* SPDX-License-Identifier: Apache-2.0 */
/* Who is dead and who lives again, from what the leader has observed (docs/design/cluster.md). Pure:
 * no clock, no I/O. Private to members. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was observed of one node. Durations are on the observer's own monotonic clock. */
struct members_seen {
	bool alive;        /* the map says so */
	bool leaving;      /* its heartbeat says so */
	bool refused;      /* where it should answer nobody does, or another process */
	unsigned changes;  /* of its heartbeat since it was found dead, or since the watch began */
	int64_t still_ns;  /* since its heartbeat changed last, or since the watch began */
	int64_t silent_ns; /* since something was asked that is not answered; 0: nothing is open */
};

enum members_verdict { VERDICT_STAYS, VERDICT_DEAD, VERDICT_ALIVE };

/* `trusted`: the observer's own reads are answered in time: while they are not, stillness means
 * nothing, and only a refusal tells of a death. */
enum members_verdict members_judge(const struct members_seen *seen, bool trusted, int64_t dead_ns);

/* The median of `count` clocks' offsets (of an even number the lower middle one), which it sorts; 0
 * of none. */
int64_t members_median_us(int64_t *offsets, size_t count);
