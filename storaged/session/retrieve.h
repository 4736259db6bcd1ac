/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch: its life (retrieve.c), its reads and sending (retrieve_send.c), the live edge (tail.c).
 * Private to the session room.
 *
 *	      +------ next slice ------------------------+
 *	      v                                          |
 *	VIEWING --chunks--> LOADING --tables--> SENDING -+- next group of chunks --> LOADING
 *	      ^                                          |
 *	      +-- more is durable -- WAITING <-- follow -+--> ended
 *
 * A window is walked in slices: a day of which there is an index, or what lies between two such
 * days (where at most an open chunk can be). Which days there are is read once, for windows of more
 * than a few. A slice is walked in groups of chunks that overlap in time, a group by its plan.
 * Memory is a day's records, a group's tables and two reads, whatever the window's length. */
#pragma once

#include "storaged/session/fetch_plan.h"
#include "storaged/session/machines.h"
#include "storaged/session/owned_view.h"

#define RETRIEVE_READS 2 /* one being sent, one under way */

enum retrieve_state {
	RETRIEVE_VIEWING,
	RETRIEVE_LOADING,
	RETRIEVE_SENDING,
	RETRIEVE_WAITING,
	RETRIEVE_ENDED
};

/* One read of consecutive items of a chunk. */
struct retrieve_read {
	struct store_read read;
	struct retrieve *retrieve;
	size_t first, count; /* items of the plan */
	uint64_t offset;     /* of the read, in the object */
	bool busy, came;
};

struct retrieve_chunk {
	struct view_chunk *view;
	struct reader_table table;
	struct retrieve *retrieve;
	bool loading, loaded, lost; /* lost: gone or damaged beyond reading */
};

struct retrieve {
	struct request request;
	struct service *service;
	enum retrieve_state state;
	unsigned operations; /* under way: callbacks to come */
	char stream[STREAM_NAME_MAX + 1];
	struct plan_window window;
	bool follow;
	struct plan_cursor cursor;

	struct reader_days days_request;
	struct index_days days; /* long windows: which there are */
	bool has_days;
	struct owned_view view_request;
	struct view *view;
	size_t next_chunk; /* forward: first not in a group yet; backward: one past it */
	struct retrieve_chunk chunks[PLAN_CHUNKS_MAX];
	size_t chunk_count;
	struct plan_item *items;
	size_t item_count, next_read, next_send;
	struct retrieve_read reads[RETRIEVE_READS]; /* in order from read_head */
	unsigned read_head;
	uint32_t read_bytes;   /* of the next read, about; 0: of the first */
	uint8_t pending_cause; /* of the hole that what is lost leaves */
	bool reviewed;         /* the slice was looked at again after a chunk had gone */

	uint64_t credit, sent_bytes, sent_fragments;
	struct buf *init; /* the one the viewer has */

	struct keeper_take take; /* following: keeps the stream's writer */
	struct writer_watch watch;
	bool watching, woken;
	bool at_edge; /* everything visible was sent once */
};

/* Begins to walk the window, once it is known which days there are. */
void retrieve_start(struct retrieve *r);
/* Looks at the slice again from the cursor. */
void retrieve_view(struct retrieve *r);
/* Ends with FETCH_END (code 0) or with the refusal. */
void retrieve_finish(struct retrieve *r, int refusal);
/* The group's items are all sent, or were lost. */
void retrieve_group_done(struct retrieve *r);
/* One operation fewer; true when the machine has ended, and then it may be no more. */
bool retrieve_operation_ended(struct retrieve *r);

/* Starts reads and sends what came, as far as credit and queue allow. */
void retrieve_send(struct retrieve *r);
/* Drops the plan and what was read for it; reads under way must have ended. */
void retrieve_drop_plan(struct retrieve *r);

/* Takes the stream to watch its writer, then goes on with the first view. */
void tail_begin(struct retrieve *r);
/* Everything visible was sent: looks again when more is durable. */
void tail_wait(struct retrieve *r);
/* The window of the next look at the live edge: back to where a clock may have stepped, up to what
 * can have been recorded. */
void tail_window(const struct retrieve *r, struct wall *ret_from, struct wall *ret_to);
void tail_end(struct retrieve *r);
