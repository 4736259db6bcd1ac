/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the chunks that an earlier owner left (PROTOCOL Take 7): in bounded pieces, by their
 * framing and checksums, into the tables that a seal is made of. Their content is final: they were
 * fenced before. One chunk a writer at a time, a few on the whole loop. */
#pragma once

#include "storaged/archive/retry.h"
#include "storaged/store/store.h"

struct openchunk;
struct writer;

#define RECOVER_PARALLEL 4

/* How many chunks are read at a time on a loop, since each takes a few megabytes. A zeroed one is
 * ready after recover_gate_init. */
struct recover_gate {
	unsigned running;
	struct list waiting;
};
void recover_gate_init(struct recover_gate *gate);

struct recover {
	struct recover_gate *gate;
	struct writer *writer;
	/* private */
	unsigned state;
	bool stopped;
	struct list node;
	struct loop_task granted;
	struct openchunk *chunk; /* being read */
	uint64_t at;             /* in the object: where the window begins */
	size_t window;           /* bytes of it */
	bool head_known, seal_taken;
	struct store_read read;
	struct retry retry;
};
void recover_init(struct recover *r, struct writer *w, struct recover_gate *gate);
/* Goes on to the next chunk that needs it, if none is being read. */
void recover_step(struct recover *r);
bool recover_busy(const struct recover *r);
void recover_stop(struct recover *r);
