/* SPDX-License-Identifier: Apache-2.0 */
/* A clip's media bytes: read from the daemon in blocks of whole fragments, each checked against its
 * checksum and its table, a few blocks ahead of a reader that goes on in order. */
#pragma once

#include <pthread.h>

#include "client/request.h"
#include "client/snapshot.h"

#define CLIP_BLOCK_BYTES (UINT32_C(1) << 20)
#define CLIP_BLOCKS      8

/* Consecutive parts of a file that lie one after the other in one chunk. */
struct clip_block {
	struct clip_reader *reader;
	enum { BLOCK_FREE, BLOCK_READING, BLOCK_READY, BLOCK_FAILED } state;
	unsigned file;
	size_t first_part, part_count;
	uint64_t at;     /* in the file's media */
	uint64_t offset; /* in the chunk */
	uint32_t source;
	uint8_t *bytes;
	uint32_t len, done;
	int status;
	uint64_t used; /* when it was last wanted */
	/* loop thread */
	struct loop_task start;
	struct request request;
	Steppe__Wire__Read read;
};

struct clip_reader {
	struct core *core;
	const char *camera;
	const struct snapshot *snapshot; /* the one the layout was made of */
	const struct clip_layout *layout;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct clip_block blocks[CLIP_BLOCKS];
	uint64_t clock;
	struct refused refused;
	/* where the daemon has it: replaced when the daemon has lost the snapshot */
	uint8_t id[32];
	size_t id_len;
	char daemon[CLUSTER_NODE_ADDRESS_MAX + 1];
	uint32_t *places; /* of the snapshot's chunks */
};

/* Borrows camera, snapshot and layout for its life. */
int clip_reader_init(struct clip_reader *r, struct core *core, const char *camera,
	const struct snapshot *snapshot, const struct clip_layout *layout);
/* Blocking: waits for reads that are under way. */
void clip_reader_fini(struct clip_reader *r);
/* Blocking: bytes of a file's media, which must lie inside; 0, ERR_REFUSED (ERR_GONE when the
 * snapshot is lost: see clip_reader_move), ERR_DAMAGED, -EIO ... One thread at a time. */
int clip_reader_read(struct clip_reader *r, unsigned file, uint64_t at, void *to, size_t len);
/* Another snapshot of the same window: 0, or ERR_GONE when it has not the bytes of all fragments
 * the layout uses. */
int clip_reader_move(struct clip_reader *r, const struct snapshot *snapshot);
