/* SPDX-License-Identifier: Apache-2.0 */
/* One file of a spool's ring, and where its fragments lie. Blocking. Private to the spool. */
#pragma once

#include "base/list.h"
#include "client/spool.h"

struct spool_entry {
	uint64_t number;
	uint32_t offset; /* of the record */
	uint32_t init;   /* offset of the record of its codec configuration */
};

struct spool_segment {
	struct list node;
	int fd;
	uint64_t id, first;
	uint64_t bytes; /* up to the end of the last whole record */
	struct spool_entry *entries;
	uint32_t count, room;
	uint32_t init_offset; /* of the last INIT record; 0: none */
	struct buf *init;     /* what it holds, while segments are written */
	bool unsynced;
};

/* "live.0000002a" */
#define SEGMENT_NAME_MAX 24
void segment_name(char to[SEGMENT_NAME_MAX], uint8_t lane, uint64_t id);

/* Makes an empty one, durably. */
int segment_create(const struct spool_dir *dir, uint8_t lane, uint64_t id, uint64_t first,
	struct spool_segment **ret_segment);
/* Opens one for reading and notes its fragments, up to the first record that is not whole.
 * ERR_FORMAT, ERR_CHECKSUM ... when not even its header is one, or is another stream's. */
int segment_open(
	const struct spool_dir *dir, uint8_t lane, uint64_t id, struct spool_segment **ret_segment);
/* Closes and forgets; the file stays. */
void segment_free(struct spool_segment **segment);

/* Bytes that appending would add. */
uint64_t segment_cost(const struct spool_segment *g, const struct item *item);
/* As spool_append, spool_sync, spool_read of the entry `index`. */
int segment_append(struct spool_segment *g, const struct item *item);
int segment_sync(struct spool_segment *g);
int segment_read(struct spool_segment *g, uint32_t index, struct item **ret_item);
/* Bytes of the fragment's record. */
uint64_t segment_entry_bytes(const struct spool_segment *g, uint32_t index);
