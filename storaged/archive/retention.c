/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/retention.h"

/* A believed capture clock differs from the receipt's by a day at most (chunk_retention_add), and a
 * chunk is sealed a quarter-hour after its footage or, with its owner gone, by the next. */
#define SEAL_LAG_US (US_PER_DAY + 3600 * US_PER_SECOND)

bool retention_is_due(
	const struct index_record *r, const struct retention_rule *rule, struct wall now)
{
	return r->state == INDEX_LIVE && rule->ceiling_us > 0 &&
	       now.us - rule->ceiling_us >= r->retention.us;
}

bool retention_day_is_due(int32_t day, const struct retention_rule *rule, struct wall now)
{
	return rule->ceiling_us > 0 && now.us - rule->ceiling_us >= day * US_PER_DAY;
}

bool retention_is_settled(const struct index_record *r, struct wall now, int64_t safe_us)
{
	const uint16_t uncertain = INDEX_DOUBTFUL | INDEX_BACKFILL | INDEX_RECOVERED;
	return !(r->flags & uncertain) && now.us - safe_us - SEAL_LAG_US >= r->end.us;
}
