/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/archive/pins.h"
#include "storaged/archive/rebuild_impl.h"

/* As every owner: the days object names a day before its partition is made; each write is guarded
 * by the version read. */

#define PARTITION_BYTES ((size_t)INDEX_RECORDS_MAX * INDEX_RECORD_SIZE + INDEX_RECORD_SIZE)
#define DAYS_BYTES      (16u << 20)

static void next_day(struct rebuilding *r);
static void read_partition(struct rebuilding *r);

static void read_object(
	struct rebuilding *r, void (*done)(struct store_read *), const char *name, size_t len)
{
	r->read = (struct store_read){
		.done = done, .want_attrs = true, .want_body = true, .len = len};
	store_read(r->user->store, &r->read, STORE_META, name);
}

/* The version of what was read; n 0 and no error when it is not there. A version that cannot be
 * read is none of anybody's: ERR_DAMAGED. */
static int version_of(const struct store_read *read, struct index_version *ret_version)
{
	size_t len;
	*ret_version = (struct index_version){0};
	if (read->status == -ENOENT)
		return 0;
	if (read->status < 0)
		return read->status;
	const void *ver = store_read_attr(read, ATTR_VER, &len);
	return index_version_parse(ver, len, ret_version) < 0 ? ERR_DAMAGED : 0;
}

/* Adds the guard and the next version. */
static void guard_version(struct rebuilding *r, const struct index_version *v)
{
	char before[33], after[33];
	index_version_format(v, before);
	index_version_format(&(struct index_version){r->tenure.epoch, v->n + 1}, after);
	if (v->n) {
		settle_guard_exists(&r->settle);
		settle_guard_equal(&r->settle, ATTR_VER, before);
	} else {
		settle_guard_absent(&r->settle);
	}
	settle_set(&r->settle, ATTR_VER, after);
}

static void submit_body(struct rebuilding *r)
{
	r->part = (struct slice){r->body, r->body->data, r->body->len};
	settle_body_whole(&r->settle, &r->part, 1);
	settle_submit(&r->settle);
}

/* --- the end: the head --- */

static void on_yielded(struct settle *s)
{
	struct rebuilding *r = container_of(s, struct rebuilding, settle);
	rebuild_finish(r, r->stopped ? -ECANCELED : rebuild_settled(r));
}

static void make_head(struct rebuilding *r)
{
	char name[STORE_NAME_MAX + 1];
	r->head = (struct head){0};
	for (size_t i = 0; i < r->link_count; i++) {
		if (rebuild_head_add(&r->head, &r->links[i]) == 0)
			continue;
		/* more than a writer ever leaves; the next rebuild finds it, once the others are
		 * recovered */
		chunk_name(name, r->user->stream, &r->links[i].id);
		rebuild_find_words(
			r, name, "open chunk is not named by the head: rebuild again later", false);
	}
}

static void write_head(struct rebuilding *r)
{
	char name[STORE_NAME_MAX + 1], epoch[ATTR_U64_SIZE + 1], ver[ATTR_U64_SIZE + 1],
		next[ATTR_U64_SIZE + 1];
	if (!r->head_known)
		make_head(r);
	if (rebuild_ends(r, head_encode(&r->head, &r->body)))
		return;
	head_name(name, r->user->stream);
	attr_u64_format(r->tenure.epoch, epoch);
	attr_u64_format(r->head_ver, ver);
	attr_u64_format(r->head_ver + 1, next);
	rebuild_begin(r, name, ATTR_EPOCH, on_yielded);
	settle_guard_exists(&r->settle);
	settle_guard_equal(&r->settle, ATTR_EPOCH, epoch);
	settle_guard_equal(&r->settle, ATTR_VER, ver);
	settle_set(&r->settle, ATTR_VER, next);
	settle_set(&r->settle, ATTR_OWNER, "");
	submit_body(r);
}

/* --- the days object, twice --- */

static void on_totals(struct settle *s)
{
	struct rebuilding *r = container_of(s, struct rebuilding, settle);
	buf_unref(&r->body);
	if (!rebuild_ends(r, rebuild_settled(r)))
		write_head(r);
}

static void on_names(struct settle *s)
{
	struct rebuilding *r = container_of(s, struct rebuilding, settle);
	char name[STORE_NAME_MAX + 1];
	buf_unref(&r->body);
	if (rebuild_ends(r, rebuild_settled(r)))
		return;
	index_days_name(name, r->user->stream);
	rebuild_find_words(
		r, name, r->days_known ? "days object lacked a day" : "days object was lost", true);
	r->days_ver = (struct index_version){r->tenure.epoch, r->days_ver.n + 1};
	r->days_changed = false;
	next_day(r);
}

static void write_days(struct rebuilding *r, void (*done)(struct settle *))
{
	char name[STORE_NAME_MAX + 1];
	if (rebuild_ends(r, index_days_encode(&r->days, &r->body)))
		return;
	index_days_name(name, r->user->stream);
	rebuild_begin(r, name, ATTR_VER, done);
	guard_version(r, &r->days_ver);
	submit_body(r);
}

static bool same_totals(const struct index_day *a, const struct index_day *b)
{
	return a->bytes == b->bytes && memcmp(a->seconds, b->seconds, sizeof(a->seconds)) == 0 &&
	       memcmp(a->gap_seconds, b->gap_seconds, sizeof(a->gap_seconds)) == 0;
}

/* Notes the totals of the day at hand. */
static int count_day(struct rebuilding *r, int32_t day)
{
	struct index_day made;
	bool follows = r->before.records && r->before_day == day - 1;
	size_t before = follows ? r->before.count : 0, count = before + r->day.count;
	struct index_record *records = calloc(count + 1, sizeof(*records));
	if (!records)
		return -ENOMEM;
	if (before)
		memcpy(records, r->before.records, before * sizeof(*records));
	if (r->day.count)
		memcpy(records + before, r->day.records, r->day.count * sizeof(*records));
	int rc = index_day_make(records, count, day, &made);
	free(records);
	struct index_day *known = rc == 0 ? index_days_put(&r->days, day) : NULL;
	if (rc == 0 && !known)
		rc = r->days.count == INDEX_DAYS_MAX ? ERR_LIMIT : -ENOMEM;
	if (rc == 0) {
		/* totals are up to a quarter-hour old by design: no finding */
		r->days_changed |= !same_totals(known, &made);
		*known = made;
	}
	return rc;
}

/* --- partitions --- */

static void tell_changes(struct rebuilding *r, int32_t day)
{
	char name[STORE_NAME_MAX + 1];
	for (size_t i = 0; i < r->day.change_count; i++) {
		const struct rebuild_change *c = &r->day.changes[i];
		if (c->chunk.epoch)
			chunk_name(name, r->user->stream, &c->chunk);
		else
			index_partition_name(name, r->user->stream, day);
		rebuild_find(r, name, c);
	}
}

static void day_done(struct rebuilding *r)
{
	int32_t day = r->all_days.days[r->next_day - 1];
	tell_changes(r, day);
	index_partition_fini(&r->left);
	int rc = count_day(r, day);
	rebuild_day_fini(&r->before);
	r->before = r->day;
	r->before_day = day;
	r->day = (struct rebuild_day){0};
	if (!rebuild_ends(r, rc))
		next_day(r);
}

static void on_partition_written(struct settle *s)
{
	struct rebuilding *r = container_of(s, struct rebuilding, settle);
	int rc = rebuild_settled(r);
	buf_unref(&r->body);
	buf_unref(&r->pins);
	if (rc == ERR_GUARD || rc == -EEXIST || rc == -ENOENT) {
		/* a write of an earlier owner arrived: what it left is looked at again */
		rebuild_day_fini(&r->day);
		index_partition_fini(&r->left);
		if (!rebuild_ends(r, 0))
			read_partition(r);
		return;
	}
	if (!rebuild_ends(r, rc))
		day_done(r);
}

static void write_partition(struct rebuilding *r)
{
	char name[STORE_NAME_MAX + 1];
	int32_t day = r->all_days.days[r->next_day - 1];
	int rc = rebuild_day_encode(&r->day, &r->body);
	if (rc == 0 && r->ver.n == 0)
		rc = pins_add_holds(NULL, 0, &r->head, day, &r->pins);
	if (rebuild_ends(r, rc))
		return;
	index_partition_name(name, r->user->stream, day);
	rebuild_begin(r, name, ATTR_VER, on_partition_written);
	guard_version(r, &r->ver);
	if (r->pins && r->pins->len)
		settle_set_bytes(&r->settle, ATTR_PINS, r->pins->data, r->pins->len);
	submit_body(r);
}

static void on_partition(struct store_read *read);

static void read_partition_part(struct rebuilding *r, bool body)
{
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, r->user->stream, r->all_days.days[r->next_day - 1]);
	r->read = (struct store_read){.done = on_partition,
		.want_attrs = true,
		.want_body = body,
		.len = PARTITION_BYTES};
	store_read(r->user->store, &r->read, STORE_META, name);
}

static void read_partition(struct rebuilding *r)
{
	read_partition_part(r, true);
}

/* What is left of the partition at hand. */
static int take_partition(struct rebuilding *r, const struct store_read *read)
{
	int rc = version_of(read, &r->ver);
	if (rc == 0 && r->ver.epoch > r->tenure.epoch)
		return ERR_FENCED;
	if (rc < 0 || read->status < 0)
		return rc;
	if (!read->want_body) {
		r->left.damaged = 1; /* all of it */
		return 0;
	}
	return index_partition_decode(read->body->data, read->body->len, &r->left);
}

static void on_partition(struct store_read *read)
{
	struct rebuilding *r = container_of(read, struct rebuilding, read);
	bool rotten = read->want_body && (read->status == -EIO || read->status == ERR_CHECKSUM);
	int32_t day = r->all_days.days[r->next_day - 1];
	int rc = rotten ? 0 : take_partition(r, read);
	store_read_release(read);
	if (rotten && !r->stopped) {
		/* attributes lie elsewhere: if they can be read, the body can be made anew */
		read_partition_part(r, false);
		return;
	}
	if (rc == ERR_DAMAGED) {
		char name[STORE_NAME_MAX + 1];
		index_partition_name(name, r->user->stream, day);
		rebuild_find_words(r, name, "version of the partition is damaged", false);
		if (!rebuild_ends(r, 0))
			next_day(r);
		return;
	}
	if (rc == 0)
		rc = rebuild_day_make(&r->day, day, &r->left, r->chunks, r->chunk_count);
	if (rebuild_ends(r, rc))
		return;
	if (r->day.changed)
		write_partition(r);
	else
		day_done(r);
}

static void next_day(struct rebuilding *r)
{
	if (r->next_day < r->all_days.count) {
		r->next_day++;
		read_partition(r);
	} else if (r->days_changed) {
		write_days(r, on_totals);
	} else {
		write_head(r);
	}
}

/* --- names first --- */

static void on_days(struct store_read *read)
{
	struct rebuilding *r = container_of(read, struct rebuilding, read);
	int rc = version_of(read, &r->days_ver);
	if (rc == 0 && r->days_ver.epoch > r->tenure.epoch)
		rc = ERR_FENCED;
	if (rc == 0 && read->status == 0) {
		rc = index_days_decode(read->body->data, read->body->len, &r->days);
		r->days_known = rc == 0;
		if (rc == ERR_CHECKSUM || rc == ERR_FORMAT || rc == ERR_TRUNCATED)
			rc = 0;
	}
	store_read_release(read);
	size_t known = r->days.count;
	for (size_t i = 0; rc == 0 && i < r->all_days.count; i++)
		if (!index_days_put(&r->days, r->all_days.days[i]))
			rc = r->days.count == INDEX_DAYS_MAX ? ERR_LIMIT : -ENOMEM;
	if (rebuild_ends(r, rc))
		return;
	if (r->days.count != known || (!r->days_known && r->days_ver.n))
		write_days(r, on_names);
	else
		next_day(r);
}

static void read_days(struct rebuilding *r)
{
	char name[STORE_NAME_MAX + 1];
	r->next_day = 0;
	index_days_name(name, r->user->stream);
	read_object(r, on_days, name, DAYS_BYTES);
}

/* --- where chunks are recorded already
 * ------------------------------------------------------------- */

static void scan_next(struct rebuilding *r);

/* A record that is left says on which day a chunk is looked for, though by its own times it might
 * be the next. */
static void on_scanned(struct store_read *read)
{
	struct rebuilding *r = container_of(read, struct rebuilding, read);
	struct index_partition p = {0};
	int rc = read->status;
	if (rc == 0)
		rc = index_partition_decode(read->body->data, read->body->len, &p);
	store_read_release(read);
	for (size_t i = 0; rc == 0 && i < p.count; i++) {
		struct rebuild_chunk *c =
			rebuild_chunk_find(r->chunks, r->chunk_count, &p.records[i].chunk);
		if (c)
			c->day = r->lists.days.days[r->next_day - 1];
	}
	index_partition_fini(&p);
	if (rc == -ENOENT || rc == -EIO || rc == ERR_CHECKSUM)
		rc = 0;
	if (!rebuild_ends(r, rc))
		scan_next(r);
}

static int choose_days(struct rebuilding *r)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->lists.days.count; i++)
		rc = object_days_add(&r->all_days, r->lists.days.days[i]);
	for (size_t i = 0; rc == 0 && i < r->chunk_count; i++)
		if (r->chunks[i].made)
			rc = object_days_add(&r->all_days, r->chunks[i].day);
	object_days_sort(&r->all_days);
	return rc;
}

static void scan_next(struct rebuilding *r)
{
	char name[STORE_NAME_MAX + 1];
	if (r->next_day == r->lists.days.count) {
		if (!rebuild_ends(r, choose_days(r)))
			read_days(r);
		return;
	}
	index_partition_name(name, r->user->stream, r->lists.days.days[r->next_day++]);
	read_object(r, on_scanned, name, PARTITION_BYTES);
}

void rebuild_write(struct rebuilding *r)
{
	r->next_day = 0;
	scan_next(r);
}
