/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of PROTOCOL that the tests switch off, to show that breaking them is noticed. In every
 * build but that of those tests a rule is the constant true. */
#pragma once

#include <stdbool.h>

enum archive_rule {
	RULE_EPOCH_GUARD = 1 << 0,   /* F8, W: what is written carries my epoch as its guard */
	RULE_LENGTH_GUARD = 1 << 1,  /* F4: an append carries the length it was decided at */
	RULE_ACK_SETTLED = 1 << 2,   /* Record 3: acknowledged when settled, never before */
	RULE_FENCE_INTENTS = 1 << 3, /* F1, F2: every intent's chunk is fenced before READY */
	RULE_SEAL_FIRST = 1 << 4,    /* Record 5, 6: the record follows the settled seal */
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
