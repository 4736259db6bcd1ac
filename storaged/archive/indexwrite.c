/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/indexwrite.h"

#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/pins.h"
#include "storaged/archive/rules.h"

/*	IDLE --> READING --> LISTING --> WRITING --> IDLE
 *	  |         |  there: ----------->|  |
 *	  |         |  holds the record already -> IDLE
 *	  |         +<-- refused ------------+
 *	  +--> WRITING: the ground is known
 *
 * LISTING: the day's partition does not exist; the days object names the day first. A read that
 * failed, or memory that was short, is tried again from the state it happened in. */
enum indexwrite_state {
	INDEXWRITE_IDLE,
	INDEXWRITE_READING,
	INDEXWRITE_LISTING,
	INDEXWRITE_WRITING
};
static const char *const state_names[] = {"idle", "reading", "listing", "writing"};
static const unsigned may[] = {
	[INDEXWRITE_IDLE] = MACHINE_TO(INDEXWRITE_READING) | MACHINE_TO(INDEXWRITE_WRITING),
	[INDEXWRITE_READING] = MACHINE_TO(INDEXWRITE_IDLE) | MACHINE_TO(INDEXWRITE_LISTING) |
			       MACHINE_TO(INDEXWRITE_WRITING),
	[INDEXWRITE_LISTING] = MACHINE_TO(INDEXWRITE_IDLE) | MACHINE_TO(INDEXWRITE_WRITING),
	[INDEXWRITE_WRITING] = MACHINE_TO(INDEXWRITE_IDLE) | MACHINE_TO(INDEXWRITE_READING),
};
static const struct machine_kind kind = {"indexwrite", state_names, may};

static void step(struct indexwrite *iw);

static void move(struct indexwrite *iw, enum indexwrite_state to)
{
	machine_move(&kind, &iw->state, to, &iw->tenure->trace, iw->tenure->stream);
}

static struct indexwrite_item *first(const struct indexwrite *iw)
{
	return list_entry(iw->queue.next, struct indexwrite_item, node);
}

static void fail(struct indexwrite *iw, int status)
{
	retry_stop(&iw->retry);
	iw->stopped = true;
	move(iw, INDEXWRITE_IDLE);
	iw->failed(iw, status);
}

/* The first item's record is in the partition. */
static void advance(struct indexwrite *iw)
{
	struct indexwrite_item *item = first(iw);
	if (item->record.end.us > iw->end.us)
		iw->end = item->record.end;
	list_remove(&item->node);
	move(iw, INDEXWRITE_IDLE);
	if (!list_empty(&iw->queue))
		retry_soon(&iw->retry, iw->tenure->loop);
	iw->indexed(iw, item);
}

/* --- writing --- */

static void on_written(struct settle *s)
{
	struct indexwrite *iw = container_of(s, struct indexwrite, settle);
	buf_unref(&iw->body);
	buf_unref(&iw->pins);
	switch (s->status) {
	case 0:
		iw->ver = (struct index_version){iw->tenure->epoch, iw->ver.n + 1};
		iw->size += INDEX_RECORD_SIZE;
		iw->known = true;
		advance(iw);
		break;
	case ERR_GUARD:
	case -EEXIST:
	case -ENOENT:
		iw->known = false; /* another wrote between our read and our write: read again */
		move(iw, INDEXWRITE_READING);
		step(iw);
		break;
	default:
		fail(iw, s->status);
	}
}

static void on_trouble(struct settle *s, int error)
{
	struct indexwrite *iw = container_of(s, struct indexwrite, settle);
	iw->trouble(iw, error);
}

/* Adds the first item's record: to a partition that is there (iw->ver.n != 0), or as the first of a
 * new one. */
static void write_record(struct indexwrite *iw)
{
	struct indexwrite_item *item = first(iw);
	bool create = !iw->ver.n;
	char name[STORE_NAME_MAX + 1], before[33], after[33];
	index_partition_name(name, iw->tenure->stream, item->day);
	index_record_encode(&item->record, iw->record);
	iw->body = buf_copy(iw->record, INDEX_RECORD_SIZE);
	int rc = iw->body ? 0 : -ENOMEM;
	if (!rc && create)
		rc = pins_add_holds(NULL, 0, iw->head, item->day, &iw->pins);
	if (rc) {
		buf_unref(&iw->body);
		retry_later(&iw->retry, iw->tenure->loop);
		return;
	}
	retry_reset(&iw->retry);
	iw->part = (struct slice){.buf = iw->body, .data = iw->body->data, .len = iw->body->len};
	index_version_format(&iw->ver, before);
	index_version_format(&(struct index_version){iw->tenure->epoch, iw->ver.n + 1}, after);
	settle_begin(&iw->settle, iw->tenure, STORE_META, name, ATTR_VER);
	if (create) {
		settle_guard_absent(&iw->settle);
		if (iw->pins->len)
			settle_set_bytes(&iw->settle, ATTR_PINS, iw->pins->data, iw->pins->len);
	} else {
		settle_guard_exists(&iw->settle);
		if (rule_holds(RULE_PARTITION_EPOCH))
			settle_guard_equal(&iw->settle, ATTR_VER, before);
	}
	settle_set(&iw->settle, ATTR_VER, after);
	settle_body_at(&iw->settle, iw->size, &iw->part, 1);
	settle_submit(&iw->settle);
}

/* --- reading --- */

/* Whether the partition holds the chunk's record; notes the ends of others, and overlaps. */
static bool holds_record(
	struct indexwrite *iw, const struct index_partition *p, struct index_record *record)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct index_record *r = &p->records[i];
		if (r->chunk.epoch == record->chunk.epoch && r->chunk.seq == record->chunk.seq)
			return true;
		if (r->flags & INDEX_EMPTY)
			continue;
		if (r->end.us > iw->end.us)
			iw->end = r->end;
		if (record->start.us < r->end.us && record->end.us > r->start.us)
			record->flags |= INDEX_OVERLAP;
	}
	return false;
}

/* Looks at a partition that was read: 1 when the record is there, 0 when it is to be written, or an
 * error. */
static int judge(struct indexwrite *iw)
{
	size_t len;
	const void *ver = store_read_attr(&iw->read, ATTR_VER, &len);
	struct index_partition p;
	int rc = index_version_parse(ver, len, &iw->ver);
	if (rc)
		return rc;
	if (rule_holds(RULE_PARTITION_EPOCH) && iw->ver.epoch > iw->tenure->epoch)
		return ERR_FENCED;
	rc = index_partition_decode(iw->read.body->data, iw->read.body->len, &p);
	if (rc)
		return rc;
	iw->day = first(iw)->day;
	iw->end = (struct wall){0};
	iw->size = iw->read.body->len - iw->read.body->len % INDEX_RECORD_SIZE;
	rc = holds_record(iw, &p, &first(iw)->record);
	if (!rc && iw->size / INDEX_RECORD_SIZE >= INDEX_RECORDS_MAX)
		rc = ERR_LIMIT;
	index_partition_fini(&p);
	return rc;
}

static void on_read(struct store_read *read)
{
	struct indexwrite *iw = container_of(read, struct indexwrite, read);
	int rc = read->status ? read->status : judge(iw);
	store_read_release(read);
	if (iw->stopped) {
		fail(iw, -ECANCELED);
		return;
	}
	switch (rc) {
	case 1:
		/* an unsettled write of ours may still be on its way; its guard no longer holds */
		iw->known = iw->ver.epoch == iw->tenure->epoch;
		advance(iw);
		break;
	case 0:
		move(iw, INDEXWRITE_WRITING);
		step(iw);
		break;
	case -ENOENT:
		iw->day = first(iw)->day;
		iw->ver = (struct index_version){0};
		iw->size = 0;
		iw->end = (struct wall){0};
		move(iw, INDEXWRITE_LISTING);
		iw->list_day(iw, iw->day);
		break;
	case ERR_FENCED:
	case -ECANCELED:
		fail(iw, rc);
		break;
	default:
		/* also a partition that cannot be read or is full: the chunk keeps its intent, the
		 * operator is told */
		retry_later(&iw->retry, iw->tenure->loop);
		iw->trouble(iw, rc);
	}
}

static void read_partition(struct indexwrite *iw)
{
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, iw->tenure->stream, first(iw)->day);
	iw->read = (struct store_read){.done = on_read,
		.want_attrs = true,
		.want_body = true,
		.len = (size_t)INDEX_RECORDS_MAX * INDEX_RECORD_SIZE + INDEX_RECORD_SIZE - 1};
	store_read(iw->tenure->store, &iw->read, STORE_META, name);
}

/* --- the machine --- */

static bool ground_is_known(const struct indexwrite *iw, const struct indexwrite_item *item)
{
	/* A chunk of an earlier owner may have been indexed by that one. One that begins before the
	 * latest end may overlap. */
	return iw->known && iw->day == item->day && item->record.chunk.epoch == iw->tenure->epoch &&
	       item->record.start.us >= iw->end.us &&
	       iw->size / INDEX_RECORD_SIZE < INDEX_RECORDS_MAX;
}

static void step(struct indexwrite *iw)
{
	switch ((enum indexwrite_state)iw->state) {
	case INDEXWRITE_IDLE:
		if (list_empty(&iw->queue) || iw->paused)
			return;
		if (ground_is_known(iw, first(iw))) {
			move(iw, INDEXWRITE_WRITING);
			write_record(iw);
			return;
		}
		iw->known = false;
		move(iw, INDEXWRITE_READING);
		read_partition(iw);
		return;
	case INDEXWRITE_READING:
		read_partition(iw);
		return;
	case INDEXWRITE_LISTING:
		return;
	case INDEXWRITE_WRITING:
		write_record(iw);
		return;
	}
}

static void again(struct retry *r)
{
	step(container_of(r, struct indexwrite, retry));
}

void indexwrite_init(struct indexwrite *iw, const struct tenure *tenure, const struct head *head)
{
	iw->tenure = tenure;
	iw->head = head;
	list_init(&iw->queue);
	iw->settle.done = on_written;
	iw->settle.trouble = on_trouble;
	iw->retry.again = again;
}

void indexwrite_put(struct indexwrite *iw, struct indexwrite_item *item)
{
	list_append(&iw->queue, &item->node);
	if (iw->state == INDEXWRITE_IDLE)
		retry_soon(&iw->retry, iw->tenure->loop);
}

void indexwrite_day_listed(struct indexwrite *iw)
{
	if (iw->stopped || iw->state != INDEXWRITE_LISTING)
		return;
	move(iw, INDEXWRITE_WRITING);
	step(iw);
}

uint64_t indexwrite_records(const struct indexwrite *iw, int32_t day)
{
	return iw->known && iw->day == day ? iw->size / INDEX_RECORD_SIZE : 0;
}

bool indexwrite_busy(const struct indexwrite *iw)
{
	return iw->state != INDEXWRITE_IDLE || (!iw->stopped && !list_empty(&iw->queue));
}

bool indexwrite_pause(struct indexwrite *iw)
{
	if (iw->stopped || iw->state != INDEXWRITE_IDLE)
		return false;
	iw->paused = true;
	iw->known = false; /* the other machine changes what is there */
	return true;
}

void indexwrite_resume(struct indexwrite *iw)
{
	iw->paused = false;
	if (!iw->stopped && !list_empty(&iw->queue))
		retry_soon(&iw->retry, iw->tenure->loop);
}

void indexwrite_stop(struct indexwrite *iw)
{
	if (iw->stopped)
		return;
	iw->stopped = true;
	bool waits = retry_armed(&iw->retry) || iw->state == INDEXWRITE_LISTING;
	retry_stop(&iw->retry);
	while (list_pop(&iw->queue))
		;
	if (settle_busy(&iw->settle))
		settle_cancel(&iw->settle);
	else if (waits && iw->state != INDEXWRITE_IDLE)
		move(iw, INDEXWRITE_IDLE); /* nothing is in flight */
}

void indexwrite_fini(struct indexwrite *iw)
{
	CHECK(iw->state == INDEXWRITE_IDLE && !retry_armed(&iw->retry));
	buf_unref(&iw->body);
	buf_unref(&iw->pins);
}
