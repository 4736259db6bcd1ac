/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an archived stream: which chunks hold a window (head, then partitions, then the chunks of
 * intents, as PROTOCOL's "Read" says), their tables, their bytes. Works for streams owned here
 * (from memory, after a fresh head read) and for any other (from the store alone). Loop thread
 * only; nothing here lists anything. */
#pragma once

#include "base/loop.h"
#include "storaged/archive/writer.h"
#include "storaged/store/store.h"

struct reader;
struct reader_config {
	struct loop *loop;
	struct store *store;
	size_t cache_bytes; /* decoded partitions and tables of sealed chunks; 0: 64 MiB */
};
int reader_new(const struct reader_config *config, struct reader **ret_reader);
/* Requests under way end with -ECANCELED; then closed() runs and *reader, already NULL, is no more.
 * Tables must have been released. */
void reader_free(struct reader **reader, struct loop_task *closed);

/* One chunk of a view. */
struct view_chunk {
	struct index_record record; /* of an open chunk: made from what is durable; state
				       INDEX_LIVE, seal_offset 0 */
	bool open;
	struct buf *init; /* open chunks of our own: at hand */
	struct chunk_table
		*table; /* open chunks: a copy of the durable part; else NULL until reader_table */
	/* Of these numbers of its session a chunk of a higher epoch holds the copy that counts: not
	 * to be shown from here. 0: none. */
	uint64_t hidden_first, hidden_last;
};
/* What is recorded of a stream in a window: chunks sorted by start (then epoch, seq), duplicates
 * dropped, with typed gaps. */
struct view {
	char stream[STREAM_NAME_MAX + 1];
	struct wall from, to;
	struct view_chunk *chunks;
	size_t chunk_count;
	struct gap *gaps; /* inside the window, ascending, non-overlapping; causes from records,
			     `expired` from tombstones */
	size_t gap_count;
	bool exists;    /* the stream has a head */
	size_t damaged; /* index records that could not be read: holes of unknown cause are typed
			   GAP_DAMAGED then */
};
struct reader_view {
	void (*done)(struct reader_view *req);
	int status; /* 0, ERR_FENCED (we are not the owner any more: ask again), ERR_DAMAGED (the
		     * head), ERR_LIMIT (too many records), -EINVAL (the window), -ECANCELED (the
		     * reader ends), -EIO ... */
	struct view *view; /* given; freed with view_free */
	/* private */
	struct loop_task task;
	void *impl;
};
/* `writer`: the stream's, when owned here (must stay valid until done), else NULL. Concurrent
 * requests for one owned stream share a head read that began after all of them. */
void reader_view(struct reader *r, struct reader_view *req, const char *stream, struct wall from,
	struct wall to, struct writer *writer);
void view_free(struct view **view);
/* Merges a view into spans: consecutive footage whose holes are below max(2 frame durations, 500
 * ms). */
struct view_span {
	struct wall start, end;
	uint64_t bytes;
	uint32_t fragments;
};
int view_spans(const struct view *view, struct view_span **ret_spans, size_t *ret_count);

/* A sealed chunk's table and init segment, from the cache or by two reads (head part, seal to end).
 * A damaged seal is made up for by reading all of the chunk; the table then lacks the fragments
 * that are damaged. */
struct reader_table {
	void (*done)(struct reader_table *req);
	int status; /* 0, -ENOENT (deleted or moved: read the view once more), ERR_DAMAGED ... */
	struct chunk_table
		*table; /* borrowed from the cache, like init, until reader_table_release */
	struct buf *init;
	struct chunk_seal seal; /* of a chunk whose seal is damaged: made from the table */
	/* private */
	struct loop_task task;
	void *impl;
};
void reader_table(struct reader *r, struct reader_table *req, const char *stream,
	const struct index_record *record);
void reader_table_release(struct reader *r, struct reader_table *req);

/* The days object; -ENOENT when there is none. */
struct reader_days {
	void (*done)(struct reader_days *req);
	int status;
	struct index_days days; /* given: index_days_fini */
	/* private */
	struct loop_task task;
	void *impl;
};
void reader_days(struct reader *r, struct reader_days *req, const char *stream);
