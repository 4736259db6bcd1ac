/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/rebuild_day.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/fsck_judge.h"

static int compare_ids(const struct chunk_id *a, const struct chunk_id *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

struct rebuild_chunk *rebuild_chunk_find(
	struct rebuild_chunk *chunks, size_t count, const struct chunk_id *id)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_ids(&chunks[middle].record.chunk, id);
		if (order == 0)
			return &chunks[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void note(
	struct rebuild_day *d, const char *what, const struct index_record *r, bool repaired)
{
	struct rebuild_change *c = &d->changes[d->change_count++];
	*c = (struct rebuild_change){.what = what, .repaired = repaired};
	if (r) {
		c->chunk = r->chunk;
		c->from = r->start;
		c->to = r->end;
	}
	d->changed |= repaired;
}

/* A record that is left: kept, or made to match its chunk. */
static void keep(
	struct rebuild_day *d, const struct index_record *left, const struct rebuild_chunk *found)
{
	struct index_record *r = &d->records[d->count++];
	*r = *left;
	if (left->state != INDEX_LIVE)
		return;
	if (!found || !found->present) {
		note(d, "chunk is missing", left, false);
		return;
	}
	if (!found->made || !found->whole || (left->flags & INDEX_EMPTY))
		return;
	bool same_copy =
		left->chunk.gen == found->record.chunk.gen && left->pool == found->record.pool;
	if (same_copy && fsck_same_media(left, &found->record))
		return;
	*r = found->record;
	r->flags |= left->flags & (INDEX_OVERLAP | INDEX_THINNED);
	note(d, same_copy ? "record did not match its chunk" : "record named another copy", r,
		true);
}

static bool is_listed(const struct index_partition *left, const struct chunk_id *id)
{
	for (size_t i = 0; i < left->count; i++)
		if (compare_ids(&left->records[i].chunk, id) == 0)
			return true;
	return false;
}

static bool overlaps(const struct rebuild_day *d, const struct index_record *r)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct index_record *other = &d->records[i];
		if (!(other->flags & INDEX_EMPTY) && r->start.us < other->end.us &&
			r->end.us > other->start.us)
			return true;
	}
	return false;
}

static int add_missing(struct rebuild_day *d, const struct index_partition *left,
	const struct rebuild_chunk *chunk)
{
	if (is_listed(left, &chunk->record.chunk))
		return 0;
	if (d->count == INDEX_RECORDS_MAX)
		return ERR_LIMIT;
	struct index_record r = chunk->record;
	if (!(r.flags & INDEX_EMPTY) && overlaps(d, &r))
		r.flags |= INDEX_OVERLAP;
	d->records[d->count++] = r;
	note(d, "record was missing", &r, true);
	return 0;
}

int rebuild_day_make(struct rebuild_day *d, int32_t day, const struct index_partition *left,
	struct rebuild_chunk *chunks, size_t chunk_count)
{
	size_t room = left->count + 1;
	for (size_t i = 0; i < chunk_count; i++)
		room += chunks[i].made && chunks[i].day == day;
	*d = (struct rebuild_day){.records = calloc(room, sizeof(*d->records))};
	d->changes = calloc(room + 1, sizeof(*d->changes));
	int rc = d->records && d->changes ? 0 : -ENOMEM;
	if (rc == 0 && left->damaged)
		note(d, "damaged records were dropped", NULL, true);
	for (size_t i = 0; rc == 0 && i < left->count; i++)
		keep(d, &left->records[i],
			rebuild_chunk_find(chunks, chunk_count, &left->records[i].chunk));
	for (size_t i = 0; rc == 0 && i < chunk_count; i++)
		if (chunks[i].made && chunks[i].day == day)
			rc = add_missing(d, left, &chunks[i]);
	if (rc < 0)
		rebuild_day_fini(d);
	return rc;
}

void rebuild_day_fini(struct rebuild_day *d)
{
	free(d->records);
	free(d->changes);
	*d = (struct rebuild_day){0};
}

int rebuild_day_encode(const struct rebuild_day *d, struct buf **ret_buf)
{
	struct buf *buf = buf_new(d->count * INDEX_RECORD_SIZE);
	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++)
		index_record_encode(&d->records[i], buf->data + i * INDEX_RECORD_SIZE);
	*ret_buf = buf;
	return 0;
}
