/* SPDX-License-Identifier: Apache-2.0 */
/* Puts together the NAL units that RTP delivers one by one: what has the same presentation time is
 * one access unit. It is complete when the next one begins. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gather {
	uint8_t *data;
	size_t len, room;
	int64_t pts; /* of what is held */
	int64_t sender_us, receipt_us;
	int64_t tolerance; /* ticks within which two times are the same (sender reports may shift
			      them in mid-picture) */
};

void gather_fini(struct gather *g);
/* Whether a unit at `pts` begins another access unit than the one held; `continues`: it begins with
 * a later slice of a picture. */
bool gather_ends(const struct gather *g, int64_t pts, bool continues);
/* Appends to what is held, or begins anew when nothing is. -ENOMEM; ERR_LIMIT past 4 MiB. */
int gather_add(struct gather *g, const void *data, size_t len);
/* Nothing is held any more. */
static inline void gather_clear(struct gather *g)
{
	g->len = 0;
}
