/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL Delete, for one day of an owned stream at a time: names the day in the head, flags what
 * is due as dropping (there is no way back), reads that again, removes the chunks, and buries them:
 * their records become tombstones in place. No step makes an object grow. A crash at any point
 * leaves the day in the head, and the next owner's sweep of it goes on.
 *
 * Two small index writes and one remove a chunk; the head's part rides on its other writes. */
#pragma once

#include "storaged/archive/indexedit.h"
#include "storaged/archive/retention.h"
#include "storaged/archive/writer.h"

#define SWEEP_REMOVES_AT_ONCE 8

struct sweep_chunk {
	struct chunk_id id;
	uint8_t pool;
	bool removed;
};

struct sweep_remove {
	struct sweep *sweep; /* NULL: not in use */
	struct sweep_chunk *chunk;
	struct store_write write;
};

/* Since when this owner knows that chunks of a day are dropping (F3). */
struct sweep_seen {
	int32_t day;
	struct mono since;
};

struct sweep {
	/* private */
	struct writer *writer;
	unsigned state;
	bool stopped, intent_settled, intent_composed;
	struct writer_sweep *req;   /* NULL: idle */
	struct sweep_chunk *chunks; /* read as dropping, and may be removed */
	size_t count, room, next;
	unsigned flagging; /* by the edit under way */
	unsigned removing, paced;
	const void *pins;
	size_t pins_len;
	struct wall reach; /* the end of what was buried */
	struct indexedit edit;
	struct sweep_remove removes[SWEEP_REMOVES_AT_ONCE];
	struct sweep_seen seen[HEAD_SWEEPS_MAX];
	unsigned seen_count;
	struct loop_timer pace;
};

void sweep_init(struct sweep *s, struct writer *w);
/* Goes on as far as it can: the writer's step. */
void sweep_step(struct sweep *s);
/* The head as it will be written holds the intent; it has been written. */
void sweep_head_composed(struct sweep *s);
void sweep_head_written(struct sweep *s);
bool sweep_busy(const struct sweep *s);
/* Ends as soon as nothing is in flight; the request is told -ECANCELED. */
void sweep_stop(struct sweep *s);
void sweep_fini(struct sweep *s);
