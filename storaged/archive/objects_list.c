/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storaged/archive/objects.h"

/* --- of a stream --- */

static void on_chunk(struct store_list *list, const char *name, uint64_t size)
{
	struct object_lists *l = container_of(list, struct object_lists, list);
	int rc = object_chunks_add(&l->chunks, l->stream, name, l->pool, size);
	if (rc < 0)
		l->status = rc;
}

static void on_chunks(struct store_list *list);

static void list_chunks(struct object_lists *l, int pool)
{
	char prefix[STORE_NAME_MAX + 1];
	l->pool = pool;
	object_chunks_prefix(prefix, l->stream);
	l->list = (struct store_list){.each = on_chunk, .done = on_chunks};
	store_list(l->store, &l->list, pool, prefix);
}

static void finish(struct object_lists *l)
{
	object_days_sort(&l->days);
	object_chunks_sort(&l->chunks);
	l->done(l);
}

static void on_chunks(struct store_list *list)
{
	struct object_lists *l = container_of(list, struct object_lists, list);
	if (list->status < 0)
		l->status = list->status;
	if (l->status == 0 && l->pool + 1 < store_pool_count(l->store))
		list_chunks(l, l->pool + 1);
	else
		finish(l);
}

static void on_partition(struct store_list *list, const char *name, uint64_t size)
{
	struct object_lists *l = container_of(list, struct object_lists, list);
	(void)size;
	int rc = object_days_add_name(&l->days, l->stream, name);
	if (rc < 0)
		l->status = rc;
}

static void on_partitions(struct store_list *list)
{
	struct object_lists *l = container_of(list, struct object_lists, list);
	if (list->status < 0)
		l->status = list->status;
	if (l->status == 0 && l->want_chunks)
		list_chunks(l, STORE_DATA);
	else
		finish(l);
}

void object_lists_start(struct object_lists *l)
{
	char prefix[STORE_NAME_MAX + 1];
	object_days_prefix(prefix, l->stream);
	l->list = (struct store_list){.each = on_partition, .done = on_partitions};
	store_list(l->store, &l->list, STORE_META, prefix);
}

void object_lists_fini(struct object_lists *l)
{
	object_days_fini(&l->days);
	object_chunks_fini(&l->chunks);
}

/* --- of all streams --- */

/* Heads and partitions lie in META, chunks in every other pool. */
static const char *const prefixes[] = {"head/", "idx/", "chk/"};
enum { STAGE_HEADS, STAGE_PARTITIONS, STAGE_CHUNKS };

static int add_name(struct object_streams *s, const char *stream)
{
	/* names of one stream mostly come one after the other */
	if (s->count && strcmp(s->names[s->count - 1], stream) == 0)
		return 0;
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		char(*grown)[STREAM_NAME_MAX + 1] = realloc(s->names, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->names = grown;
		s->room = room;
	}
	strcpy(s->names[s->count++], stream);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void on_object(struct store_list *list, const char *name, uint64_t size)
{
	struct object_streams *s = container_of(list, struct object_streams, list);
	const char *begin = name + strlen(prefixes[s->stage]);
	(void)size;
	/* the stream is what lies between the prefix and, but for heads, the last component */
	const char *end = s->stage == STAGE_HEADS ? name + strlen(name) : strrchr(name, '/');
	char stream[STREAM_NAME_MAX + 1];
	if (!end || end <= begin || (size_t)(end - begin) > STREAM_NAME_MAX)
		return;
	memcpy(stream, begin, (size_t)(end - begin));
	stream[end - begin] = 0;
	if (stream_name_split(stream, NULL, NULL) < 0)
		return;
	int rc = add_name(s, stream);
	if (rc < 0)
		s->status = rc;
}

static void sort_names(struct object_streams *s)
{
	size_t kept = 0;
	if (s->count)
		qsort(s->names, s->count, sizeof(*s->names), compare_names);
	for (size_t i = 0; i < s->count; i++) {
		if (kept && strcmp(s->names[kept - 1], s->names[i]) == 0)
			continue;
		if (kept != i)
			memcpy(s->names[kept], s->names[i], sizeof(s->names[i]));
		kept++;
	}
	s->count = kept;
}

static void on_objects(struct store_list *list)
{
	struct object_streams *s = container_of(list, struct object_streams, list);
	if (list->status < 0)
		s->status = list->status;
	if (s->stage < STAGE_CHUNKS)
		s->stage++;
	else
		s->pool++;
	if (s->stage == STAGE_CHUNKS && s->pool == STORE_META)
		s->pool = STORE_DATA;
	sort_names(s);
	if (s->status < 0 || s->pool >= store_pool_count(s->store)) {
		s->done(s);
		return;
	}
	s->list = (struct store_list){.each = on_object, .done = on_objects};
	store_list(s->store, &s->list, s->pool, prefixes[s->stage]);
}

void object_streams_start(struct object_streams *s)
{
	s->stage = STAGE_HEADS;
	s->pool = STORE_META;
	s->list = (struct store_list){.each = on_object, .done = on_objects};
	store_list(s->store, &s->list, STORE_META, prefixes[STAGE_HEADS]);
}

void object_streams_fini(struct object_streams *s)
{
	free(s->names);
	s->names = NULL;
	s->count = 0;
}
