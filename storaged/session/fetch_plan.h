/* SPDX-License-Identifier: Apache-2.0 */
/* Which fragments a fetch sends, and in which order. Pure.
 *
 * A unit is a run of fragments of one chunk from a sync to the next: what decodes by itself. Units
 * go by the time they begin, forward or backward; fragments inside a unit always forward. A unit
 * that reaches into the window comes whole up to the window's end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "proto/table.h"
#include "storaged/archive/chunk.h"

#define PLAN_CHUNKS_MAX 32

/* One chunk to choose from. Borrowed. */
struct plan_chunk {
	const struct chunk_table *table;
	uint32_t fragments; /* of the table that are durable */
	struct chunk_id id;
	uint8_t lane;
};

struct plan_item {
	uint8_t chunk;     /* index in the plan's chunks */
	uint8_t gap_cause; /* of the hole before it inside the chunk */
	bool prefix_only;
	bool first_of_chunk;
	uint32_t fragment;
	struct wall unit; /* when its unit begins */
};

struct plan_window {
	struct wall from, to; /* wanted */
	struct wall slice_from,
		slice_to; /* units that begin here; those before go with the first slice */
	bool first_slice; /* the earliest in time */
	bool backward, sync_only;
	int64_t sync_every_us;
};

/* Where a fetch stands: what lies before it has been sent. */
struct plan_cursor {
	bool any, live;
	struct wall unit, capture; /* any: of the last one sent */
	struct chunk_id chunk;     /* live: of the last one of the live lane sent */
	uint32_t fragment;
};

/* Gives the items of a window in order (free), those up to the cursor left out. Of one fragment in
 * two chunks the higher epoch's is shown. 0 or -ENOMEM. */
int plan_window(const struct plan_chunk *chunks, size_t count, const struct plan_window *w,
	const struct plan_cursor *cursor, struct plan_item **ret_items, size_t *ret_count);
/* Gives what follows the cursor on the live lane in the order of recording, whatever the clock
 * does. */
int plan_tail(const struct plan_chunk *chunks, size_t count, const struct plan_cursor *cursor,
	struct plan_item **ret_items, size_t *ret_count);
