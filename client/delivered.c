/* SPDX-License-Identifier: Apache-2.0 */
#include "client/delivered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void delivered_fini(struct delivered *d)
{
	free(d->ranges);
	*d = (struct delivered){0};
}

/* Looks from the newest range on: that is where it nearly always is. */
static bool extend(struct delivered *d, uint64_t session, uint64_t seq, bool *ret_was_there)
{
	for (size_t i = d->count; i > 0; i--) {
		struct delivered_range *r = &d->ranges[i - 1];
		if (r->session != session || seq + 1 < r->first || seq > r->last + 1)
			continue;
		*ret_was_there = seq >= r->first && seq <= r->last;
		if (*ret_was_there)
			return true;
		/* it may lie between two ranges and so be noted in one of them only: the other
		 * still says all of its own */
		for (size_t j = 0; j < i - 1; j++) {
			const struct delivered_range *o = &d->ranges[j];
			if (o->session == session && seq >= o->first && seq <= o->last)
				*ret_was_there = true;
		}
		if (seq < r->first)
			r->first = seq;
		if (seq > r->last)
			r->last = seq;
		return true;
	}
	return false;
}

int delivered_add(struct delivered *d, uint64_t session, uint64_t seq, bool *ret_was_there)
{
	if (extend(d, session, seq, ret_was_there))
		return 0;
	if (d->count == DELIVERED_RANGES_MAX) {
		d->count /= 2;
		memmove(d->ranges, d->ranges + d->count, d->count * sizeof(*d->ranges));
	}
	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 8;
		struct delivered_range *ranges = realloc(d->ranges, room * sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		d->ranges = ranges;
		d->room = room;
	}
	d->ranges[d->count++] =
		(struct delivered_range){.session = session, .first = seq, .last = seq};
	*ret_was_there = false;
	return 0;
}
