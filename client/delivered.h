/* SPDX-License-Identifier: Apache-2.0 */
/* Which fragments of a stream a fetch has had already: sets of numbers, a session each. Pure.
 * Numbers mostly come in order, so that a set is a few ranges; past a limit the oldest are
 * forgotten, which can only bring something twice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELIVERED_RANGES_MAX 65536

struct delivered_range {
	uint64_t session, first, last;
};

/* A zeroed one is empty. */
struct delivered {
	struct delivered_range *ranges; /* in the order in which they were begun */
	size_t count, room;
};

/* Notes one; true when it was there already. -ENOMEM. */
int delivered_add(struct delivered *d, uint64_t session, uint64_t seq, bool *ret_was_there);
void delivered_fini(struct delivered *d);
