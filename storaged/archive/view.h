/* SPDX-License-Identifier: Apache-2.0 */
/* How a view is made of what was read: pure. The reader's; others use reader.h. */
#pragma once

#include "storaged/archive/reader.h"

/* What was read of a stream. */
struct view_evidence {
	const char *stream;
	struct wall from, to;
	bool exists;
	const struct index_record *records; /* of all partitions that can matter, in any order */
	size_t record_count;
	size_t damaged;
	struct view_chunk *open; /* chunks not (or not yet) in the index; their init and table are
				    taken over by the view or freed */
	size_t open_count;
	struct gap open_gap; /* cause GAP_NONE: none; `to` is not looked at: it lasts until `now` */
	struct wall now;
};
/* Gives the view, or -ENOMEM. In both cases evidence->open holds nothing any more. */
int view_make(const struct view_evidence *evidence, struct view **ret_view);

/* Frees what one chunk of a view holds. */
void view_chunk_fini(struct view_chunk *c);

/* Fills an open chunk of a view from the first `fragments` fragments of its table, of which it gets
 * a copy. References init. */
struct view_open {
	struct chunk_id id;
	uint8_t lane;
	uint64_t len;
	uint32_t fragments, head_len;
	const struct chunk_table *table;
	struct buf *init;
	struct gap gap_before;
};
int view_chunk_open(const struct view_open *from, struct view_chunk *ret_chunk);
