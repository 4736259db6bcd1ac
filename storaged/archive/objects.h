/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects of a stream there are, as lists of the store tell: for fsck and rebuilds alone. */
#pragma once

#include "storaged/archive/index.h"

/* Days, ascending once sorted, each once. A zeroed one is empty. */
struct object_days {
	int32_t *days;
	size_t count, room;
};
int object_days_add(struct object_days *d, int32_t day);
/* Adds the day of a partition's name; other names are passed over. */
int object_days_add_name(struct object_days *d, const char *stream, const char *name);
void object_days_sort(struct object_days *d);
bool object_days_has(const struct object_days *d, int32_t day); /* sorted */
void object_days_fini(struct object_days *d);
/* The prefix of the names of a stream's partitions (and of its days object). */
void object_days_prefix(char to[STORE_NAME_MAX + 1], const char *stream);

struct object_chunk {
	struct chunk_id id;
	uint8_t pool;
	bool seen;
	uint64_t size;
};
/* Chunks by id and pool, once sorted. */
struct object_chunks {
	struct object_chunk *chunks;
	size_t count, room;
};
/* Adds a chunk of the stream by its name; other names are passed over. */
int object_chunks_add(
	struct object_chunks *c, const char *stream, const char *name, int pool, uint64_t size);
void object_chunks_sort(struct object_chunks *c);
/* Notes that all copies of the chunk have been seen. */
void object_chunks_see(struct object_chunks *c, const struct chunk_id *id);
void object_chunks_fini(struct object_chunks *c);
void object_chunks_prefix(char to[STORE_NAME_MAX + 1], const char *stream);

/* Lists a stream's partitions and chunks. */
struct object_lists {
	/* set by the user, the rest zero */
	struct store *store;
	const char *stream;
	bool want_chunks;
	void (*done)(struct object_lists *lists); /* once, later */
	/* result, sorted; object_lists_fini */
	int status;
	struct object_days days;
	struct object_chunks chunks;
	/* private */
	int pool;
	struct store_list list;
};
void object_lists_start(struct object_lists *lists);
void object_lists_fini(struct object_lists *lists);

/* Lists the names of all streams that have a head, a partition or a chunk. */
struct object_streams {
	/* set by the user, the rest zero */
	struct store *store;
	void (*done)(struct object_streams *s); /* once, later */
	/* result, ascending, each once; object_streams_fini */
	int status;
	char (*names)[STREAM_NAME_MAX + 1];
	size_t count;
	/* private */
	size_t room;
	int pool, stage;
	struct store_list list;
};
void object_streams_start(struct object_streams *s);
void object_streams_fini(struct object_streams *s);
