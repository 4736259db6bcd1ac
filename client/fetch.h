/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch: fragments of one or more streams, pulled by credit, merged by capture time, carried on
 * over lost channels without doubles or holes. fetch_stream.c has one stream's conversation,
 * fetch.c the merge and what the program calls. */
#pragma once

#include <stdatomic.h>

#include "client/cluster.h"
#include "client/delivered.h"
#include "proto/fragment.h"

#define FETCH_STREAMS_MAX 64

/* A fragment that came and was not shown yet. */
struct fetched {
	struct list node;
	struct fragment_header header;
	struct buf *init;
	struct slice body;
	int64_t run_us; /* capture of the fragment that began its run */
	struct mono came;
	uint8_t gap_cause;
	bool prefix_only, damaged;
};

struct fetch_stream {
	struct steppe_fetch *fetch;
	unsigned index;
	char name[STREAM_NAME_MAX + 1], camera[CAMERA_ID_MAX + 1];
	struct exchange exchange;
	struct loop_timer pause, patience;
	struct list queue; /* struct fetched */
	struct buf *init;
	struct delivered had;
	int64_t shown_bytes;   /* bodies since FETCH that are gone from the queue, less what was
				  queued then */
	int64_t credit;        /* told to the daemon */
	int64_t run_us;        /* capture of the start of the run that is coming in; -1: none yet */
	int64_t run_before_us; /* of the one before it */
	int64_t reached_us;    /* until where its footage came in */
	unsigned losses;
	int last_status;
	bool ended;
};

struct steppe_fetch {
	struct core *core;
	struct call call;
	bool (*fragment)(void *user, const struct steppe_fragment *fragment);
	void (*done)(void *user, int status);
	void *user;
	int64_t from_us, to_us, sync_every_us;
	bool sync_only, backward, follow;
	char *purpose, *case_id;
	uint64_t window; /* a stream's share */
	unsigned stream_count;
	struct fetch_stream *streams;

	struct loop_task start, resume, stop, turn;
	struct loop_timer wait; /* for streams at the live edge that have nothing */
	atomic_bool stopping;   /* set by any thread: nothing more is shown */
	atomic_bool resume_posted;
	atomic_int refs; /* life, and each task under way */
	bool paused, turning, ended;
	int status;
	struct refused refused;
};

/* Makes one; any thread. */
int fetch_new(struct core *core, const struct steppe_fetch_options *options,
	struct steppe_fetch **ret_fetch);
/* Loop thread: begins, in a later turn. */
void fetch_start(struct steppe_fetch *f);
void fetch_unref(struct steppe_fetch *f);
/* Something came or ended: looks what can be shown, in a later turn. */
void fetch_turn_soon(struct steppe_fetch *f);
/* Ends it with a status. */
void fetch_fail(struct steppe_fetch *f, int status);

/* --- fetch_stream.c --- */
void fetch_stream_start(struct fetch_stream *s);
void fetch_stream_stop(struct fetch_stream *s);
/* The first of the queue was shown. */
void fetch_stream_shown(struct fetch_stream *s);
static inline struct fetched *fetch_stream_head(const struct fetch_stream *s)
{
	return list_empty(&s->queue) ? NULL : list_entry(s->queue.next, struct fetched, node);
}
