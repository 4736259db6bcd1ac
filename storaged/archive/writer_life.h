/* SPDX-License-Identifier: Apache-2.0 */
/* How writers come and go: the keeper's side of writer.h. Loop thread only. */
#pragma once

#include "storaged/archive/head.h"
#include "storaged/archive/settle.h"
#include "storaged/archive/writer.h"

struct recover_gate;

struct writer_config {
	struct loop *loop;
	struct store *store;
	uint8_t cluster[16];
	struct cutter_limits limits;
	struct recover_gate *gate; /* shared by the writers of a loop; outlives them */
	struct machine_trace trace;
};

/* Told of a writer's end; embedded by the keeper. */
struct writer_life {
	/* The writer touches the store no more: 0 after writer_finish, ERR_FENCED, or an error. Its
	 * calls are harmless until writer_free. */
	void (*ended)(struct writer_life *life, int status);
};

/* A chunk that a take found: an intent of the head, fenced (PROTOCOL Take 4). */
struct writer_found {
	struct head_intent intent;
	uint64_t len;
	bool sealed;
	uint64_t last_session, last_seq;
};
/* What a take found; READY. */
struct writer_start {
	const struct tenure *tenure;
	const struct head *head;
	uint64_t ver; /* of the head */
	const struct writer_found *found;
	size_t found_count;
};
/* Makes the writer of a stream that was taken; recovery of what was found begins. 0 or -ENOMEM.
 * `life` must outlive it. */
int writer_new(const struct writer_config *config, const struct writer_start *start,
	struct writer_life *life, struct writer **ret_writer);
/* Tells sessions `refusal`, makes durable what was taken, seals, indexes and clears all; `yield`:
 * then gives the stream up (PROTOCOL Yield). ended(0) follows. */
void writer_finish(struct writer *w, bool yield, int refusal);
/* Stops at once, leaving the rest to the next owner; ended() follows when nothing is in flight. */
void writer_drop(struct writer *w, int refusal);
/* A read of the head showed that another has taken the stream: as after a write that was refused for
 * it, all is dropped; ended(ERR_FENCED) follows. */
void writer_fenced(struct writer *w);
/* After ended() alone. */
void writer_free(struct writer **writer);
/* No session is attached, nobody watches, and nothing waits to be written. */
bool writer_is_idle(const struct writer *w);
