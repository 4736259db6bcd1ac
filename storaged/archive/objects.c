/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* --- days --- */

int object_days_add(struct object_days *d, int32_t day)
{
	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		int32_t *grown = realloc(d->days, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		d->days = grown;
		d->room = room;
	}
	d->days[d->count++] = day;
	return 0;
}

int object_days_add_name(struct object_days *d, const char *stream, const char *name)
{
	char of[STREAM_NAME_MAX + 1];
	int32_t day;
	if (index_partition_name_parse(name, of, &day) < 0 || strcmp(of, stream) != 0)
		return 0;
	return object_days_add(d, day);
}

static int compare_days(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

void object_days_sort(struct object_days *d)
{
	size_t kept = 0;
	if (d->count)
		qsort(d->days, d->count, sizeof(*d->days), compare_days);
	for (size_t i = 0; i < d->count; i++)
		if (kept == 0 || d->days[kept - 1] != d->days[i])
			d->days[kept++] = d->days[i];
	d->count = kept;
}

bool object_days_has(const struct object_days *d, int32_t day)
{
	return d->count && bsearch(&day, d->days, d->count, sizeof(*d->days), compare_days) != NULL;
}

void object_days_fini(struct object_days *d)
{
	free(d->days);
	*d = (struct object_days){0};
}

void object_days_prefix(char to[STORE_NAME_MAX + 1], const char *stream)
{
	CHECK(strlen(stream) <= STREAM_NAME_MAX);
	snprintf(to, STORE_NAME_MAX + 1, "idx/%s/", stream);
}

/* --- chunks --- */

int object_chunks_add(
	struct object_chunks *c, const char *stream, const char *name, int pool, uint64_t size)
{
	char of[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	if (chunk_name_parse(name, of, &id) < 0 || strcmp(of, stream) != 0)
		return 0;
	if (c->count == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct object_chunk *grown = realloc(c->chunks, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		c->chunks = grown;
		c->room = room;
	}
	c->chunks[c->count++] =
		(struct object_chunk){.id = id, .pool = (uint8_t)pool, .size = size};
	return 0;
}

static int compare_ids(const struct chunk_id *a, const struct chunk_id *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

/* Of one chunk the copy written last comes last: copies get higher numbers, moves go to higher
 * pools. */
static int compare_chunks(const void *a, const void *b)
{
	const struct object_chunk *x = a, *y = b;
	int order = compare_ids(&x->id, &y->id);
	if (order == 0)
		order = (x->id.gen > y->id.gen) - (x->id.gen < y->id.gen);
	return order ? order : (x->pool > y->pool) - (x->pool < y->pool);
}

void object_chunks_sort(struct object_chunks *c)
{
	if (c->count)
		qsort(c->chunks, c->count, sizeof(*c->chunks), compare_chunks);
}

void object_chunks_see(struct object_chunks *c, const struct chunk_id *id)
{
	size_t low = 0, high = c->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_ids(&c->chunks[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < c->count && compare_ids(&c->chunks[low].id, id) == 0; low++)
		c->chunks[low].seen = true;
}

void object_chunks_fini(struct object_chunks *c)
{
	free(c->chunks);
	*c = (struct object_chunks){0};
}

void object_chunks_prefix(char to[STORE_NAME_MAX + 1], const char *stream)
{
	CHECK(strlen(stream) <= STREAM_NAME_MAX);
	snprintf(to, STORE_NAME_MAX + 1, "chk/%s/", stream);
}
