/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/ownership/members_judge.h"

#include <stdlib.h>

#define CHANGES_OF_LIFE 2 /* one may have been on its way since before the death */

enum members_verdict members_judge(const struct members_seen *seen, bool trusted, int64_t dead_ns)
{
	if (!seen->alive) {
		bool lives = seen->changes >= CHANGES_OF_LIFE && !seen->leaving && !seen->refused;
		return lives && trusted ? VERDICT_ALIVE : VERDICT_STAYS;
	}
	if (seen->refused)
		return VERDICT_DEAD;
	/* its heartbeat stands still, and what was asked when that began to show has no answer */
	bool still = seen->still_ns >= dead_ns && seen->silent_ns >= dead_ns / 3;
	return still && trusted ? VERDICT_DEAD : VERDICT_STAYS;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

int64_t members_median_us(int64_t *offsets, size_t count)
{
	if (!count)
		return 0;
	qsort(offsets, count, sizeof(*offsets), by_value);
	return offsets[(count - 1) / 2];
}
