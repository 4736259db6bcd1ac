/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader keeps in memory: decoded partitions, each good for as long as the store's `ver`
 * of it is the one it was read with, and tables of sealed chunks, which never change. The least
 * recently used go when the bytes pass the limit; what is borrowed stays alive. */
#pragma once

#include "base/list.h"
#include "storaged/archive/index.h"

struct cache_entry {
	char name[STORE_NAME_MAX + 1]; /* of the object */
	/* of a partition */
	struct index_version version;
	struct index_partition partition;
	/* of a chunk */
	struct chunk_table table;
	struct chunk_seal seal;
	struct buf *init;
	/* private */
	struct list bucket, age;
	size_t bytes;
	unsigned refs;
};

struct cache {
	struct list *buckets;
	struct list ages; /* least recently used first */
	size_t bytes, limit;
};

int cache_init(struct cache *c, size_t limit);
/* Everything borrowed must have been returned. */
void cache_fini(struct cache *c);

/* Gives an empty entry, not in the cache yet; NULL when memory is short. */
struct cache_entry *cache_entry_new(const char *name);
/* Takes the entry that was filled: later finds get it, in place of an older one of that name. The
 * caller keeps a reference. */
void cache_put(struct cache *c, struct cache_entry *e);
/* A reference to the entry of that name, or NULL. */
struct cache_entry *cache_find(struct cache *c, const char *name);
/* Drops a reference; sets *e to NULL. */
void cache_unref(struct cache_entry **e);
/* Forgets the entry of that name. */
void cache_drop(struct cache *c, const char *name);
