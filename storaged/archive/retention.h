/* SPDX-License-Identifier: Apache-2.0 */
/* How long footage is kept: what must go, and when its object may be removed. Pure; ages count from
 * a record's `retention` instant (chunk.h), never from a clock of the store. */
#pragma once

#include "storaged/archive/index.h"

struct retention_rule {
	int64_t floor_us;   /* least age: nothing younger goes */
	int64_t ceiling_us; /* most age, not below the floor; 0: none, nothing goes by age */
};

/* Why a tombstone is one (index_record.rule). Numbers are for ever. */
enum retention_reason { RETENTION_CEILING = 1 };

#define RETENTION_SAFE_US     (12 * 3600 * US_PER_SECOND) /* PROTOCOL's T_safe, as it is set here */
#define RETENTION_SAFE_MIN_US (3600 * US_PER_SECOND)

/* Whether a live record has passed the rule's ceiling. */
bool retention_is_due(
	const struct index_record *r, const struct retention_rule *rule, struct wall now);
/* Whether footage of `day` can be due: most days need no more than this. */
bool retention_day_is_due(int32_t day, const struct retention_rule *rule, struct wall now);

/* Whether the chunk was certainly sealed at least `safe_us` ago, so that no creation of its name can
 * still be under way (F3). Only of live footage whose capture clock agreed with the receipt's can
 * that be told from the record; of all other the sweeper must have waited as long itself. */
bool retention_is_settled(const struct index_record *r, struct wall now, int64_t safe_us);
