/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the rebuild share. */
#pragma once

#include "storaged/archive/objects.h"
#include "storaged/archive/probe.h"
#include "storaged/archive/rebuild.h"
#include "storaged/archive/rebuild_day.h"
#include "storaged/archive/rebuild_head.h"
#include "storaged/archive/settle.h"

struct rebuilding {
	struct rebuild *user;
	bool stopped;
	struct tenure tenure;
	struct object_lists lists;
	/* the head, and whose it was */
	uint64_t epoch_seen, head_ver;
	bool head_exists, attrs_known;
	bool head_known; /* head was read and is kept */
	bool head_made;  /* it was not there: an empty one was made to take the stream */
	struct head head;
	/* chunks, by id */
	struct rebuild_chunk *chunks;
	size_t chunk_count, next_chunk;
	struct rebuild_link *links;
	size_t link_count;
	struct probe probe;
	/* days: all that are to be looked at, and the days object */
	struct object_days all_days;
	size_t next_day;
	struct index_days days;
	struct index_version days_ver; /* n 0: there is none */
	bool days_known, days_changed;
	/* the day at hand, and the day before it */
	struct index_partition left;
	struct index_version ver; /* n 0: there is none */
	struct rebuild_day day, before;
	int32_t before_day;
	/* the operation under way */
	struct buf *body, *pins;
	struct slice part;
	struct store_read read;
	struct settle settle;
	unsigned attempts;
	int gave_up;
};

/* Ends it. */
void rebuild_finish(struct rebuilding *r, int status);
/* Ends it and returns true, if `rc` is an error or it was stopped. */
bool rebuild_ends(struct rebuilding *r, int rc);
void rebuild_find(struct rebuilding *r, const char *object, const struct rebuild_change *change);
void rebuild_find_words(struct rebuilding *r, const char *object, const char *what, bool repaired);
/* Begins a write of an object of META. */
void rebuild_begin(struct rebuilding *r, const char *name, const char *epoch_attr,
	void (*done)(struct settle *));
/* The status of the write that has just ended. */
int rebuild_settled(const struct rebuilding *r);

/* All chunks are known: writes what must be written (rebuild_write.c). */
void rebuild_write(struct rebuilding *r);
