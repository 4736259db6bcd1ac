/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/indexedit.h"

#include <errno.h>

#include "base/errors.h"
#include "storaged/archive/rules.h"

/*	IDLE --> READING --> IDLE         nothing to change
 *	            |  ^
 *	            v  |  refused: another wrote in between
 *	          WRITING --> IDLE */
enum indexedit_state { INDEXEDIT_IDLE, INDEXEDIT_READING, INDEXEDIT_WRITING };
static const char *const state_names[] = {"idle", "reading", "writing"};
static const unsigned may[] = {
	[INDEXEDIT_IDLE] = MACHINE_TO(INDEXEDIT_READING),
	[INDEXEDIT_READING] = MACHINE_TO(INDEXEDIT_WRITING) | MACHINE_TO(INDEXEDIT_IDLE),
	[INDEXEDIT_WRITING] = MACHINE_TO(INDEXEDIT_READING) | MACHINE_TO(INDEXEDIT_IDLE),
};
static const struct machine_kind kind = {"indexedit", state_names, may};

static void read_partition(struct indexedit *ie);

static void move(struct indexedit *ie, enum indexedit_state to)
{
	machine_move(&kind, &ie->state, to, &ie->tenure->trace, ie->tenure->stream);
}

static void finish(struct indexedit *ie, int status)
{
	retry_stop(&ie->retry);
	buf_unref(&ie->body);
	ie->status = status;
	move(ie, INDEXEDIT_IDLE);
	ie->done(ie);
}

/* --- writing --- */

static void on_written(struct settle *s)
{
	struct indexedit *ie = container_of(s, struct indexedit, settle);
	bool refused = s->status == ERR_GUARD || s->status == -EEXIST;
	if (!refused || ie->cancelled) {
		finish(ie, refused ? -ECANCELED : s->status);
		return;
	}
	buf_unref(&ie->body);
	move(ie, INDEXEDIT_READING);
	read_partition(ie);
}

static void write_back(struct indexedit *ie)
{
	char name[STORE_NAME_MAX + 1], before[33], after[33];
	index_partition_name(name, ie->tenure->stream, ie->day);
	index_version_format(&ie->ver, before);
	index_version_format(&(struct index_version){ie->tenure->epoch, ie->ver.n + 1}, after);
	settle_begin(&ie->settle, ie->tenure, STORE_META, name, ATTR_VER);
	settle_guard_exists(&ie->settle);
	settle_guard_equal(&ie->settle, ATTR_VER, before);
	settle_set(&ie->settle, ATTR_VER, after);
	settle_body_at(&ie->settle, (uint64_t)(ie->part.data - ie->body->data), &ie->part, 1);
	settle_submit(&ie->settle);
}

/* --- reading --- */

/* Shows every record to the user; the changed stretch becomes what is written. Records that are
 * damaged are left as they are. */
static void edit(struct indexedit *ie)
{
	uint8_t *bytes = ie->body->data, *first = NULL, *end = NULL;
	for (size_t at = 0; at + INDEX_RECORD_SIZE <= ie->body->len; at += INDEX_RECORD_SIZE) {
		struct index_record r;
		if (index_record_decode(bytes + at, &r) || !ie->record(ie, &r))
			continue;
		index_record_encode(&r, bytes + at);
		first = first ? first : bytes + at;
		end = bytes + at + INDEX_RECORD_SIZE;
	}
	if (first)
		ie->part = (struct slice){
			.buf = ie->body, .data = first, .len = (size_t)(end - first)};
	ie->changed = first != NULL;
}

static int judge(struct indexedit *ie)
{
	size_t len, pins_len;
	const void *ver = store_read_attr(&ie->read, ATTR_VER, &len);
	int rc = index_version_parse(ver, len, &ie->ver);
	if (rc)
		return rc;
	if (rule_holds(RULE_PARTITION_EPOCH) && ie->ver.epoch > ie->tenure->epoch)
		return ERR_FENCED;
	const void *pins = store_read_attr(&ie->read, ATTR_PINS, &pins_len);
	ie->body = buf_copy(ie->read.body->data, ie->read.body->len);
	if (!ie->body)
		return -ENOMEM;
	ie->begin(ie, pins, pins_len);
	edit(ie);
	return 0;
}

static void on_read(struct store_read *read)
{
	struct indexedit *ie = container_of(read, struct indexedit, read);
	int rc = ie->cancelled ? -ECANCELED : read->status ? read->status : judge(ie);
	store_read_release(read);
	switch (rc) {
	case 0:
		if (!ie->changed) {
			finish(ie, 0);
			return;
		}
		retry_reset(&ie->retry);
		move(ie, INDEXEDIT_WRITING);
		write_back(ie);
		return;
	case -ENOENT:
	case -ECANCELED:
	case ERR_FENCED:
	case ERR_FORMAT:
	case ERR_VERSION:
		finish(ie, rc);
		return;
	default:
		retry_later(&ie->retry, ie->tenure->loop);
	}
}

static void read_partition(struct indexedit *ie)
{
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, ie->tenure->stream, ie->day);
	ie->read = (struct store_read){.done = on_read,
		.want_attrs = true,
		.want_body = true,
		.len = (size_t)INDEX_RECORDS_MAX * INDEX_RECORD_SIZE};
	store_read(ie->tenure->store, &ie->read, STORE_META, name);
}

/* --- life --- */

static void again(struct retry *r)
{
	struct indexedit *ie = container_of(r, struct indexedit, retry);
	if (ie->cancelled)
		finish(ie, -ECANCELED);
	else
		read_partition(ie);
}

void indexedit_init(struct indexedit *ie, const struct tenure *tenure)
{
	ie->tenure = tenure;
	ie->settle.done = on_written;
	ie->retry.again = again;
}

void indexedit_start(struct indexedit *ie, int32_t day)
{
	ie->day = day;
	ie->cancelled = ie->changed = false;
	move(ie, INDEXEDIT_READING);
	read_partition(ie);
}

void indexedit_cancel(struct indexedit *ie)
{
	if (ie->state == INDEXEDIT_IDLE || ie->cancelled)
		return;
	ie->cancelled = true;
	settle_cancel(&ie->settle);
	if (retry_armed(&ie->retry))
		retry_soon(&ie->retry, ie->tenure->loop);
}

bool indexedit_busy(const struct indexedit *ie)
{
	return ie->state != INDEXEDIT_IDLE;
}

void indexedit_fini(struct indexedit *ie)
{
	CHECK(ie->state == INDEXEDIT_IDLE && !retry_armed(&ie->retry));
}
