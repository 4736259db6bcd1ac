/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of PROTOCOL that the tests switch off, to show that breaking them is noticed. In every
 * build but that of those tests a rule is the constant true. */
#pragma once

#include <stdbool.h>

enum archive_rule {
	RULE_EPOCH_GUARD = 1 << 0,   /* W, Record: what is written carries my epoch as its guard */
	RULE_LENGTH_GUARD = 1 << 1,  /* F4: an append carries the length it was decided at */
	RULE_ACK_SETTLED = 1 << 2,   /* Record 3: acknowledged when settled, never before */
	RULE_FENCE_INTENTS = 1 << 3, /* F1: every intent's chunk is fenced before READY */
	RULE_SEAL_FIRST = 1 << 4,    /* Record 5, 6: the record follows the settled seal */
	RULE_PARTITION_EPOCH = 1 << 5, /* F8: a partition changes under its (epoch, n) */
	RULE_HUSK = 1 << 6,            /* F2: an intent without a chunk gets a husk */
	RULE_SETTLED = 1 << 7,         /* F5: nothing goes on before its outcome is known */
	RULE_TAKE_CONFIRMED = 1 << 8,  /* F7: body and epoch come of one read, and are mine */
	RULE_OWNER_READS = 1 << 9,     /* F9: who answers from memory reads the head first */
	RULE_OPEN_READS = 1 << 10,     /* F1, F9: so does who tells a recorder its next number */
	RULE_INTENT_FIRST = 1 << 11,   /* Record 1, 2: a chunk is made once the head names it */
	RULE_PREFIX = 1 << 12,         /* F6: a session's next chunk waits for the seal before it */
};

#ifdef ARCHIVE_RULES_SWITCHABLE
extern unsigned archive_rules_broken;
static inline bool rule_holds(enum archive_rule rule)
{
	return !(archive_rules_broken & rule);
}
#else
static inline bool rule_holds(enum archive_rule rule)
{
	(void)rule;
	return true;
}
#endif
