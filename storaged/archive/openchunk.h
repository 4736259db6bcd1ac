/* SPDX-License-Identifier: Apache-2.0 */
/* One chunk from its first fragment, or from a takeover, to the clearing of its intent: PROTOCOL
 * Record 2 to 7. Part of a writer, which owns it; what it holds in memory is its tables and what is
 * not durable, never the bytes that are. Private to the room. */
#pragma once

#include "storaged/archive/cutter.h"
#include "storaged/archive/indexwrite.h"
#include "storaged/archive/intake.h"

struct writer;
struct writer_found;
struct lane;

/*	PLANNED ---> OPEN ---> SEALING ---> SEALED ---> INDEXED ---> freed by the head write that
 *	         first       ended, and                              drops its intent
 *	         batch       nothing waits
 *
 *	RECOVERING ---> OPEN      its content is known now; goes on as an ended chunk
 *	           \--> SEALED    it was sealed already */
enum openchunk_state {
	OPENCHUNK_PLANNED, /* in memory: waits for its intent, for the chunk before it to be sealed,
			      and for its first batch to fill */
	OPENCHUNK_OPEN,    /* the object exists under our epoch; takes batches */
	OPENCHUNK_SEALING, /* the seal is on its way */
	OPENCHUNK_SEALED,  /* its record is on its way into the index */
	OPENCHUNK_INDEXED, /* its intent can go */
	OPENCHUNK_RECOVERING, /* of an earlier owner, fenced: its content is final and is being read
			       */
};

struct openchunk {
	struct list node; /* in the writer's chunks, oldest first */
	struct writer *writer;
	struct lane *lane; /* NULL: of an earlier owner */
	unsigned state;
	struct chunk_header header;
	int32_t day;
	uint64_t session;
	struct buf *init;
	uint32_t init_crc, head_len;
	/* content */
	struct chunk_table table;
	struct cutter cutter;
	struct timeline timeline;
	struct chunk_retention retention;
	bool damaged;
	bool was_sealed; /* by an earlier owner */
	/* progress */
	bool intent_composed, intent_settled, clearing; /* in the head write under way; in the head;
							   left out of the one under way */
	bool flush;         /* write what waits without filling a batch */
	uint8_t end_reason; /* 0: goes on */
	uint64_t len;       /* durable bytes of the object */
	uint32_t durable_fragments;
	struct list waiting, flying; /* pieces: to be written; in the batch on its way */
	uint64_t waiting_bytes;
	uint64_t flying_bytes; /* with head and padding */
	struct buf *head_buf, *seal_buf;
	struct slice padding;
	struct slice *parts;
	struct slice seal_part;
	struct chunk_seal seal;
	bool chained; /* seal.previous_digest is known, or known to be lost */
	struct indexwrite_item item;
	int64_t batch_delay_ns;
	unsigned failures; /* of the operation under way */
	struct settle settle;
	struct retry retry;
	struct loop_timer batch_timer;
};

/* A chunk that begins with fragment `h` of `lane`. Not in the writer's list yet. */
int openchunk_new(struct writer *w, struct lane *lane, const struct fragment_header *h,
	const struct gap *gap_before, struct openchunk **ret_chunk);
/* A chunk that an earlier owner's intent names, fenced under our epoch. */
int openchunk_new_recovering(
	struct writer *w, const struct writer_found *found, struct openchunk **ret_chunk);
/* Nothing of it may be under way. */
void openchunk_free(struct openchunk **chunk);

/* Takes a fragment into the chunk; nothing is changed on failure: -ENOMEM; ERR_LIMIT (the chunk's
 * tables are full: begin another); ERR_FORMAT. */
int openchunk_take(struct openchunk *c, const struct fragment_header *h, const struct slice *body,
	struct intake *in, struct wall receipt);
/* No more fragments; what waits is written and the chunk sealed. */
void openchunk_end(struct openchunk *c, enum chunk_end reason);
/* The content of a recovering chunk is in the structure; `sealed`: so is its seal. */
void openchunk_recovered(struct openchunk *c, bool sealed);
/* Does what can be done now. */
void openchunk_step(struct openchunk *c);
void openchunk_indexed(struct openchunk *c);
/* Submits nothing more. */
void openchunk_stop(struct openchunk *c);
bool openchunk_busy(const struct openchunk *c);
size_t openchunk_memory(const struct openchunk *c);
