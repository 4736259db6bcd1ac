/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/fsck.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/archive/fsck_judge.h"
#include "storaged/archive/objects.h"

/*	HEAD --> DAYS --> PARTITION_NAMES --> CHUNK_NAMES --> PARTITION --> RECORD <--> AGAIN
 *	                   (lost, or listing)  (listing)          ^           |
 *	                                                          +-----------+ the day's records
 * are done
 *	   ... the last day's: INTENT --> (orphans, chain, done) */
enum fsck_state {
	FSCK_HEAD,
	FSCK_DAYS,
	FSCK_NAMES,
	FSCK_PARTITION,
	FSCK_RECORD,
	FSCK_AGAIN,
	FSCK_INTENT,
};

#define PARTITION_BYTES ((size_t)INDEX_RECORDS_MAX * INDEX_RECORD_SIZE + INDEX_RECORD_SIZE)
#define DAYS_BYTES      (16u << 20)

struct run {
	struct fsck *f;
	enum fsck_state state;
	bool stopped;
	struct store_read read;
	struct head head;
	bool head_known;
	struct object_days days;    /* to be looked at */
	struct object_days named;   /* by the days object */
	struct object_days counted; /* of them, those whose partition was there and had something */
	struct object_lists lists;  /* what there is, when listing */
	size_t next_day;
	struct index_partition partition;
	size_t next_record;
	uint8_t next_intent;
	struct probe probe;
	struct index_record record; /* being looked at */
	const char *suspicion;
	bool looked_again;
	struct fsck_link *links;
	size_t link_count, link_room;
};

static void next_record(struct run *r);
static void next_partition(struct run *r);
static void next_intent(struct run *r);
static void last_things(struct run *r);

static void finish(struct run *r, int status)
{
	struct fsck *f = r->f;
	index_partition_fini(&r->partition);
	object_days_fini(&r->days);
	object_days_fini(&r->named);
	object_days_fini(&r->counted);
	object_lists_fini(&r->lists);
	free(r->links);
	f->impl = NULL;
	f->status = r->stopped ? -ECANCELED : status;
	free(r);
	f->done(f);
}

static void find(
	struct run *r, const char *object, const char *what, struct wall from, struct wall to)
{
	const struct fsck_finding finding = {
		.object = object, .what = what, .from = from, .to = to};
	r->f->findings++;
	r->f->finding(r->f, &finding);
}

static const struct wall never = {0};

static void read_object(
	struct run *r, void (*done)(struct store_read *), const char *name, size_t len)
{
	r->read = (struct store_read){
		.done = done, .want_attrs = true, .want_body = true, .len = len};
	store_read(r->f->store, &r->read, STORE_META, name);
}

/* --- one chunk --- */

static void on_wrong(struct probe *p, const char *what, struct wall from, struct wall to)
{
	find(container_of(p, struct run, probe), p->name, what, from, to);
}

static void look_at(struct run *r, const struct chunk_id *id, int pool,
	const struct index_record *expected, void (*done)(struct probe *))
{
	r->probe = (struct probe){
		.store = r->f->store,
		.stream = r->f->stream,
		.id = *id,
		.pool = pool,
		.level = r->f->level,
		.expected = expected,
		.done = done,
		.wrong = on_wrong,
	};
	probe_start(&r->probe);
}

static int add_link(struct run *r)
{
	const struct probe *p = &r->probe;
	if (!p->sealed || !p->head_known)
		return 0;
	if (r->link_count == r->link_room) {
		size_t room = r->link_room ? 2 * r->link_room : 64;
		struct fsck_link *grown = realloc(r->links, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->links = grown;
		r->link_room = room;
	}
	struct fsck_link *link = &r->links[r->link_count++];
	*link = (struct fsck_link){
		.id = p->header.id,
		.previous = p->header.previous,
		.has_previous = p->header.has_previous,
		.start = p->seal.start,
		.end = p->seal.end,
	};
	memcpy(link->digest, p->seal.digest, DIGEST_SIZE);
	memcpy(link->previous_digest, p->seal.previous_digest, DIGEST_SIZE);
	return 0;
}

static void look_done(struct run *r)
{
	r->f->chunks++;
	r->f->bytes += r->probe.size;
	object_chunks_see(&r->lists.chunks, &r->record.chunk);
	if (r->f->progress)
		r->f->progress(r->f);
	next_record(r);
}

/* --- looking again: it may have been deleted or moved meanwhile --- */

static void on_record_probed(struct probe *p);

static const struct index_record *find_record(
	const struct index_partition *p, const struct chunk_id *id)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->records[i].chunk.epoch == id->epoch && p->records[i].chunk.seq == id->seq)
			return &p->records[i];
	return NULL;
}

static void on_partition_again(struct store_read *read)
{
	struct run *r = container_of(read, struct run, read);
	struct index_partition now = {0};
	int rc = read->status == -ENOENT ? 0 : read->status;
	if (rc == 0 && read->status == 0)
		rc = index_partition_decode(read->body->data, read->body->len, &now);
	store_read_release(read);
	if (rc < 0 || r->stopped) {
		finish(r, rc);
		return;
	}
	const struct index_record *found = find_record(&now, &r->record.chunk);
	bool live = found && found->state == INDEX_LIVE;
	bool moved =
		live && (found->chunk.gen != r->record.chunk.gen || found->pool != r->record.pool ||
				!fsck_same_media(found, &r->record));
	if (live && !moved)
		find(r, r->probe.name, r->suspicion, r->record.start, r->record.end);
	if (moved)
		r->record = *found;
	index_partition_fini(&now);
	r->state = FSCK_RECORD;
	if (moved && !r->looked_again) {
		r->looked_again = true;
		look_at(r, &r->record.chunk, r->record.pool, &r->record, on_record_probed);
		return;
	}
	look_done(r);
}

static void look_again(struct run *r, const char *suspicion)
{
	char name[STORE_NAME_MAX + 1];
	r->suspicion = suspicion;
	r->state = FSCK_AGAIN;
	index_partition_name(name, r->f->stream, r->days.days[r->next_day - 1]);
	read_object(r, on_partition_again, name, PARTITION_BYTES);
}

/* --- the records of a partition --- */

static void on_record_probed(struct probe *p)
{
	struct run *r = container_of(p, struct run, probe);
	int rc = p->status;
	if (r->stopped || (rc < 0 && rc != -ENOENT && rc != -EIO && rc != ERR_CHECKSUM)) {
		finish(r, rc);
		return;
	}
	const char *suspicion = rc == -ENOENT ? "chunk is missing"
				: rc < 0      ? "object cannot be read"
					      : fsck_judge_record(&r->record, p);
	if (rc == 0) {
		rc = add_link(r);
		if (rc < 0) {
			finish(r, rc);
			return;
		}
	}
	if (suspicion)
		look_again(r, suspicion);
	else
		look_done(r);
}

static void next_record(struct run *r)
{
	if (r->stopped) {
		finish(r, -ECANCELED);
		return;
	}
	while (r->next_record < r->partition.count) {
		r->record = r->partition.records[r->next_record++];
		r->looked_again = false;
		if (r->record.state == INDEX_LIVE) {
			look_at(r, &r->record.chunk, r->record.pool, &r->record, on_record_probed);
			return;
		}
		object_chunks_see(&r->lists.chunks, &r->record.chunk);
	}
	next_partition(r);
}

static void on_partition(struct store_read *read)
{
	struct run *r = container_of(read, struct run, read);
	char name[STORE_NAME_MAX + 1];
	int32_t day = r->days.days[r->next_day - 1];
	int rc = read->status;
	index_partition_name(name, r->f->stream, day);
	if (rc == 0)
		rc = index_partition_decode(read->body->data, read->body->len, &r->partition);
	size_t len = 0;
	struct index_version version;
	const void *ver = read->status == 0 ? store_read_attr(read, ATTR_VER, &len) : NULL;
	bool versioned = ver && index_version_parse(ver, len, &version) == 0;
	store_read_release(read);
	struct wall from = {day * US_PER_DAY}, to = {(day + 1) * US_PER_DAY};
	if (rc == -ENOENT) {
		/* a day is named before its partition is made, and may be so for a while; its
		 * totals come from it */
		if (object_days_has(&r->counted, day))
			find(r, name, "partition is missing", from, to);
		rc = 0;
	} else if (rc == -EIO || rc == ERR_CHECKSUM || rc == ERR_LIMIT || rc == ERR_VERSION) {
		find(r, name,
			rc == ERR_VERSION ? "partition is of a newer format"
					  : "partition cannot be read",
			from, to);
		rc = 0;
	} else if (rc == 0) {
		if (!versioned)
			find(r, name, "version of the partition is damaged", never, never);
		for (size_t i = 0; i < r->partition.damaged; i++)
			find(r, name, "record is damaged", from, to);
		if (!object_days_has(&r->named, day))
			find(r, name, "day is not named in the days object", never, never);
		for (size_t i = 0; i < r->partition.count; i++)
			r->f->chunks_total += r->partition.records[i].state == INDEX_LIVE;
	}
	if (rc < 0 || r->stopped) {
		finish(r, rc);
		return;
	}
	r->state = FSCK_RECORD;
	r->next_record = 0;
	next_record(r);
}

static void next_partition(struct run *r)
{
	char name[STORE_NAME_MAX + 1];
	index_partition_fini(&r->partition);
	if (r->next_day == r->days.count) {
		r->state = FSCK_INTENT;
		next_intent(r);
		return;
	}
	r->state = FSCK_PARTITION;
	index_partition_name(name, r->f->stream, r->days.days[r->next_day++]);
	read_object(r, on_partition, name, PARTITION_BYTES);
}

/* --- intents, and what is left --- */

static void on_intent_probed(struct probe *p)
{
	struct run *r = container_of(p, struct run, probe);
	int rc = p->status;
	/* it may not be made yet */
	if (rc == -EIO || rc == ERR_CHECKSUM)
		find(r, p->name, "object cannot be read", never, never);
	else if (rc < 0 && rc != -ENOENT) {
		finish(r, rc);
		return;
	}
	object_chunks_see(&r->lists.chunks, &p->id);
	if (rc == 0) {
		r->f->chunks++;
		r->f->bytes += p->size;
		if (r->f->progress)
			r->f->progress(r->f);
	}
	next_intent(r);
}

static void next_intent(struct run *r)
{
	if (!r->stopped && r->next_intent < r->head.intent_count) {
		const struct head_intent *intent = &r->head.intents[r->next_intent++];
		look_at(r, &intent->chunk, STORE_DATA, NULL, on_intent_probed);
		return;
	}
	last_things(r);
}

static void last_things(struct run *r)
{
	char name[STORE_NAME_MAX + 1];
	for (size_t i = 0; !r->stopped && r->f->list && i < r->lists.chunks.count; i++) {
		const struct object_chunk *c = &r->lists.chunks.chunks[i];
		if (c->seen)
			continue;
		chunk_name(name, r->f->stream, &c->id);
		find(r, name, "chunk is in no partition", never, never);
	}
	fsck_links_sort(r->links, r->link_count);
	for (size_t i = 0; !r->stopped && i < r->link_count; i++) {
		if (!fsck_link_is_broken(r->links, r->link_count, i))
			continue;
		chunk_name(name, r->f->stream, &r->links[i].id);
		find(r, name, "chain of digests is broken", r->links[i].start, r->links[i].end);
	}
	finish(r, 0);
}

/* --- names --- */

static void on_listed(struct object_lists *lists)
{
	struct run *r = container_of(lists, struct run, lists);
	int rc = lists->status;
	for (size_t i = 0; rc == 0 && i < lists->days.count; i++)
		rc = object_days_add(&r->days, lists->days.days[i]);
	object_days_sort(&r->days);
	if (rc < 0 || r->stopped)
		finish(r, rc);
	else
		next_partition(r);
}

static void list_names(struct run *r)
{
	r->state = FSCK_NAMES;
	r->lists = (struct object_lists){
		.store = r->f->store,
		.stream = r->f->stream,
		.want_chunks = r->f->list,
		.done = on_listed,
	};
	object_lists_start(&r->lists);
}

/* --- days and head --- */

static void on_days(struct store_read *read)
{
	struct run *r = container_of(read, struct run, read);
	char name[STORE_NAME_MAX + 1];
	struct index_days days = {0};
	int rc = read->status;
	index_days_name(name, r->f->stream);
	if (rc == 0)
		rc = index_days_decode(read->body->data, read->body->len, &days);
	store_read_release(read);
	bool known = rc == 0;
	if (rc == -ENOENT) {
		if (r->head_known && fsck_was_indexed(&r->head))
			find(r, name, "days object is missing", never, never);
		rc = 0; /* nothing was indexed yet, or it is lost: the list will tell more */
	} else if (rc == -EIO || rc == ERR_CHECKSUM || rc == ERR_FORMAT || rc == ERR_TRUNCATED) {
		find(r, name, "days object is damaged", never, never);
		rc = 0;
	}
	for (size_t i = 0; rc == 0 && i < days.count; i++) {
		rc = object_days_add(&r->named, days.days[i].day);
		if (rc == 0 && days.days[i].bytes > 0)
			rc = object_days_add(&r->counted, days.days[i].day);
		if (rc == 0)
			rc = object_days_add(&r->days, days.days[i].day);
	}
	index_days_fini(&days);
	if (rc < 0 || r->stopped) {
		finish(r, rc);
		return;
	}
	if (known && !r->f->list) {
		next_partition(r);
		return;
	}
	list_names(r);
}

static void on_head(struct store_read *read)
{
	struct run *r = container_of(read, struct run, read);
	char name[STORE_NAME_MAX + 1];
	struct head_attrs attrs;
	int rc = read->status;
	head_name(name, r->f->stream);
	if (rc == 0) {
		if (head_attrs_read(read, &attrs) < 0)
			find(r, name, "attributes are damaged", never, never);
		if (head_decode(read->body->data, read->body->len, &r->head) < 0)
			find(r, name, "head is damaged", never, never);
		else
			r->head_known = true;
	} else if (rc == -ENOENT && r->f->list) {
		find(r, name, "head is missing", never, never);
		rc = 0;
	} else if (rc == -EIO || rc == ERR_CHECKSUM) {
		find(r, name, "head cannot be read", never, never);
		rc = 0;
	}
	store_read_release(read);
	if (rc < 0 || r->stopped) {
		finish(r, rc);
		return;
	}
	r->state = FSCK_DAYS;
	index_days_name(name, r->f->stream);
	read_object(r, on_days, name, DAYS_BYTES);
}

/* --- asking --- */

static void on_refused(struct loop_task *task)
{
	struct fsck *f = container_of(task, struct fsck, task);
	f->done(f);
}

void fsck_start(struct fsck *f)
{
	struct run *r = calloc(1, sizeof(*r));
	bool valid = stream_name_split(f->stream, NULL, NULL) == 0;
	f->status = 0;
	f->chunks = f->chunks_total = f->bytes = 0;
	f->findings = 0;
	if (!r || !valid) {
		free(r);
		f->impl = NULL;
		f->status = valid ? -ENOMEM : -EINVAL;
		f->task.run = on_refused;
		loop_defer(f->loop, &f->task);
		return;
	}
	r->f = f;
	f->impl = r;
	char name[STORE_NAME_MAX + 1];
	head_name(name, f->stream);
	read_object(r, on_head, name, HEAD_SIZE + 1);
}

void fsck_stop(struct fsck *f)
{
	struct run *r = f->impl;
	if (r)
		r->stopped = true;
}
