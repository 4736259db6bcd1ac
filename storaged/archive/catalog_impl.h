/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the catalogue share. */
#pragma once

#include "base/list.h"
#include "storaged/archive/catalog.h"
#include "storaged/archive/catalog_shard.h"

/* A shard's bytes as they were at `read_at`, for answers that may be a little old. */
struct catalog_memory {
	struct list age;
	struct buf *body; /* NULL: there was no such object */
	struct mono read_at;
	uint16_t shard;
};

struct catalog {
	struct loop *loop;
	struct store *store;
	struct catalog_memory *memory[CATALOG_SHARDS];
	struct list ages; /* oldest first */
	size_t memory_bytes;
	struct list
		puts; /* struct catalog_put_op: the first is being done, the others wait for it */
	unsigned active;
	bool closing;
	struct loop_task *closed;
};

void catalog_enter(struct catalog *c);
void catalog_leave(struct catalog *c);
/* Remembers a shard; references the body. Short memory is no harm. */
void catalog_remember(struct catalog *c, uint16_t shard, struct buf *body);
