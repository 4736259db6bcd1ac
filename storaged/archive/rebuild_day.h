/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition must hold, given what is left of it and what its chunks say themselves. Pure but
 * for memory. */
#pragma once

#include "storaged/archive/index.h"

/* A chunk that was found. */
struct rebuild_chunk {
	struct index_record record; /* as made from it */
	int32_t day;
	bool whole; /* header and seal were read as they were written; else a record that is left of
		       it knows better */
	bool present; /* the object is there, though perhaps nothing could be made of it: then no
			 `made` */
	bool made;
};

/* Something that was put right, or cannot be. */
struct rebuild_change {
	const char *what;
	struct chunk_id chunk; /* epoch 0: the partition itself */
	struct wall from, to;
	bool repaired;
};

struct rebuild_day {
	struct index_record *records; /* that the partition must hold */
	size_t count;
	bool changed; /* it does not */
	struct rebuild_change *changes;
	size_t change_count;
};
/* `left`: what could be read of the partition. `chunks`: all of the stream, by id. Records of what
 * was deleted stay; live ones are made to match their chunks; missing ones are added, in order of
 * id; those that are damaged go. 0, -ENOMEM, ERR_LIMIT. */
int rebuild_day_make(struct rebuild_day *d, int32_t day, const struct index_partition *left,
	struct rebuild_chunk *chunks, size_t chunk_count);
void rebuild_day_fini(struct rebuild_day *d);
/* The partition's bytes. */
int rebuild_day_encode(const struct rebuild_day *d, struct buf **ret_buf);

/* The chunk of that id among chunks ordered by id; NULL when there is none. */
struct rebuild_chunk *rebuild_chunk_find(
	struct rebuild_chunk *chunks, size_t count, const struct chunk_id *id);
