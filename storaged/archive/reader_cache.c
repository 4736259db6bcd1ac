/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/reader_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"

#define BUCKETS 4096

static struct list *bucket_of(struct cache *c, const char *name)
{
	return &c->buckets[hash64(0, name, strlen(name)) % BUCKETS];
}

int cache_init(struct cache *c, size_t limit)
{
	*c = (struct cache){.limit = limit};
	list_init(&c->ages);
	c->buckets = malloc(BUCKETS * sizeof(*c->buckets));
	if (!c->buckets)
		return -ENOMEM;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&c->buckets[i]);
	return 0;
}

/* Takes the entry out of the cache; it lives on where it is borrowed. */
static void forget(struct cache *c, struct cache_entry *e)
{
	list_remove(&e->bucket);
	list_remove(&e->age);
	c->bytes -= e->bytes;
	cache_unref(&e);
}

void cache_fini(struct cache *c)
{
	if (!c->buckets)
		return;
	while (!list_empty(&c->ages)) {
		struct cache_entry *e = list_entry(c->ages.next, struct cache_entry, age);
		CHECK(e->refs == 1);
		forget(c, e);
	}
	free(c->buckets);
	c->buckets = NULL;
}

struct cache_entry *cache_entry_new(const char *name)
{
	struct cache_entry *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	CHECK(strlen(name) <= STORE_NAME_MAX);
	strcpy(e->name, name);
	list_init(&e->bucket);
	list_init(&e->age);
	e->refs = 1;
	return e;
}

static struct cache_entry *find(struct cache *c, const char *name)
{
	list_each (node, bucket_of(c, name)) {
		struct cache_entry *e = list_entry(node, struct cache_entry, bucket);
		if (strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

void cache_drop(struct cache *c, const char *name)
{
	struct cache_entry *e = find(c, name);
	if (e)
		forget(c, e);
}

void cache_put(struct cache *c, struct cache_entry *e)
{
	cache_drop(c, e->name);
	e->bytes = sizeof(*e) + e->partition.count * sizeof(*e->partition.records) +
		   chunk_table_memory(&e->table) + (e->init ? e->init->len : 0);
	e->refs++;
	list_append(bucket_of(c, e->name), &e->bucket);
	list_append(&c->ages, &e->age);
	c->bytes += e->bytes;
	/* the newest stays, though it be larger than the limit: somebody has just asked for it */
	while (c->bytes > c->limit && c->ages.next != &e->age)
		forget(c, list_entry(c->ages.next, struct cache_entry, age));
}

struct cache_entry *cache_find(struct cache *c, const char *name)
{
	struct cache_entry *e = find(c, name);
	if (!e)
		return NULL;
	list_remove(&e->age);
	list_append(&c->ages, &e->age);
	e->refs++;
	return e;
}

void cache_unref(struct cache_entry **slot)
{
	struct cache_entry *e = *slot;
	*slot = NULL;
	if (!e || --e->refs > 0)
		return;
	index_partition_fini(&e->partition);
	chunk_table_fini(&e->table);
	buf_unref(&e->init);
	free(e);
}
