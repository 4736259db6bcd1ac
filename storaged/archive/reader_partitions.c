/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/reader_partitions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"

#define RECORDS_MAX     (1u << 20) /* of one request: about 200 MB, three years of a stream */
#define PARTITION_BYTES ((size_t)INDEX_RECORDS_MAX * INDEX_RECORD_SIZE + 1)

static void step(struct partitions *p);

static bool is_over(struct partitions *p)
{
	if (p->reader->closing && p->status == 0)
		p->status = -ECANCELED;
	return p->status < 0;
}

static int add_records(struct partitions *p, const struct index_partition *from)
{
	if (from->count > RECORDS_MAX - p->record_count)
		return ERR_LIMIT;
	if (from->count > p->record_room - p->record_count) {
		size_t room = p->record_room ? p->record_room : 256;
		while (room < p->record_count + from->count)
			room *= 2;
		struct index_record *grown = realloc(p->records, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->records = grown;
		p->record_room = room;
	}
	if (from->count)
		memcpy(&p->records[p->record_count], from->records,
			from->count * sizeof(*from->records));
	p->record_count += from->count;
	p->damaged += from->damaged;
	return 0;
}

static int version_of(const struct store_read *read, struct index_version *ret_version)
{
	size_t len;
	const void *value = store_read_attr(read, ATTR_VER, &len);
	return index_version_parse(value, len, ret_version);
}

static int take(struct partition_read *one)
{
	struct cache *cache = &one->all->reader->cache;
	struct index_version version;
	int rc = one->read.status;
	if (rc == -ENOENT) {
		cache_drop(cache, one->name);
		return 0;
	}
	if (rc == 0)
		rc = version_of(&one->read, &version);
	if (rc < 0)
		return rc == ERR_FORMAT ? ERR_DAMAGED : rc;
	if (one->cached)
		return add_records(one->all, &one->cached->partition);
	struct cache_entry *e = cache_entry_new(one->name);
	if (!e)
		return -ENOMEM;
	e->version = version;
	rc = index_partition_decode(one->read.body->data, one->read.body->len, &e->partition);
	if (rc == 0)
		rc = add_records(one->all, &e->partition);
	if (rc == 0)
		cache_put(cache, e);
	cache_unref(&e);
	return rc;
}

static void on_read(struct store_read *read);

/* Reads attributes alone where memory may still be good, else the whole. */
static void start(struct partition_read *one)
{
	one->read = (struct store_read){.done = on_read,
		.want_attrs = true,
		.want_body = !one->cached,
		.len = PARTITION_BYTES};
	one->all->reading++;
	store_read(one->all->reader->store, &one->read, STORE_META, one->name);
}

static bool has_changed(const struct partition_read *one)
{
	struct index_version now;
	const struct index_version *then = &one->cached->version;
	return version_of(&one->read, &now) < 0 || now.epoch != then->epoch || now.n != then->n;
}

static void on_read(struct store_read *read)
{
	struct partition_read *one = container_of(read, struct partition_read, read);
	struct partitions *p = one->all;
	p->reading--;
	if (!is_over(p)) {
		if (one->cached && read->status == 0 && has_changed(one)) {
			store_read_release(read);
			cache_unref(&one->cached);
			start(one);
			return;
		}
		p->status = take(one);
	}
	store_read_release(read);
	cache_unref(&one->cached);
	one->all = NULL;
	step(p);
}

static void step(struct partitions *p)
{
	for (size_t i = 0; i < PARTITIONS_AT_ONCE && p->next_day < p->day_count && !is_over(p);
		i++) {
		struct partition_read *one = &p->reads[i];
		if (one->all)
			continue;
		one->all = p;
		index_partition_name(one->name, p->stream, p->days[p->next_day++]);
		one->cached = cache_find(&p->reader->cache, one->name);
		start(one);
	}
	if (p->reading == 0)
		p->done(p);
}

void partitions_read(struct partitions *p)
{
	step(p);
}

void partitions_fini(struct partitions *p)
{
	free(p->days);
	free(p->records);
	p->days = NULL;
	p->records = NULL;
}
