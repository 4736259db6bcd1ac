/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/rebuild.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/archive/rebuild_impl.h"

/*	LISTS --> HEAD --> [EPOCHS] --> TAKE --> CONFIRM --> PROBE --> NAMES --> (a day after the
 * other) --> TOTALS --> YIELD head lost                        (each chunk)  (the days object,
 * before partitions and after them)
 *
 * This file takes the stream and looks at its chunks; rebuild_write.c writes. */

#define ATTEMPTS_MAX 12 /* of one write; then the store is given up */

void rebuild_finish(struct rebuilding *r, int status)
{
	struct rebuild *user = r->user;
	object_lists_fini(&r->lists);
	index_partition_fini(&r->left);
	rebuild_day_fini(&r->day);
	rebuild_day_fini(&r->before);
	index_days_fini(&r->days);
	object_days_fini(&r->all_days);
	buf_unref(&r->body);
	buf_unref(&r->pins);
	free(r->chunks);
	free(r->links);
	free(r);
	user->impl = NULL;
	user->status = status;
	user->done(user);
}

void rebuild_find(struct rebuilding *r, const char *object, const struct rebuild_change *change)
{
	const struct fsck_finding f = {
		object, change->what, change->from, change->to, change->repaired};
	r->user->findings++;
	r->user->finding(r->user, &f);
}

void rebuild_find_words(struct rebuilding *r, const char *object, const char *what, bool repaired)
{
	const struct rebuild_change change = {.what = what, .repaired = repaired};
	rebuild_find(r, object, &change);
}

bool rebuild_ends(struct rebuilding *r, int rc)
{
	if (r->stopped && rc == 0)
		rc = -ECANCELED;
	if (rc == 0)
		return false;
	rebuild_finish(r, rc);
	return true;
}

/* Writes are repeated as long as nobody knows what became of them, but not for ever. */
static void on_trouble(struct settle *s, int error)
{
	struct rebuilding *r = container_of(s, struct rebuilding, settle);
	if (++r->attempts < ATTEMPTS_MAX)
		return;
	r->gave_up = error;
	settle_cancel(s);
}

void rebuild_begin(struct rebuilding *r, const char *name, const char *epoch_attr,
	void (*done)(struct settle *))
{
	r->attempts = 0;
	r->gave_up = 0;
	r->settle.done = done;
	r->settle.trouble = on_trouble;
	settle_begin(&r->settle, &r->tenure, STORE_META, name, epoch_attr);
}

int rebuild_settled(const struct rebuilding *r)
{
	return r->settle.status == -ECANCELED && r->gave_up ? r->gave_up : r->settle.status;
}

/* --- chunks --- */

static void probe_next(struct rebuilding *r);

static void on_wrong(struct probe *p, const char *what, struct wall from, struct wall to)
{
	const struct rebuild_change change = {.what = what, .from = from, .to = to};
	rebuild_find(container_of(p, struct rebuilding, probe), p->name, &change);
}

static void take_chunk(struct rebuilding *r, const struct probe *p)
{
	struct rebuild_chunk *c = &r->chunks[r->chunk_count++];
	*c = (struct rebuild_chunk){.record = p->record, .present = true, .made = p->record_known};
	c->record.chunk = p->id;
	c->whole = p->sealed && p->head_known;
	c->day = wall_day(c->record.start);
	struct rebuild_link *l = &r->links[r->link_count++];
	/* a chunk without footage is looked for where the one before it is */
	int32_t day = p->seal.start.us || r->link_count == 1 ? wall_day(p->seal.start) : l[-1].day;
	*l = (struct rebuild_link){
		.id = p->id,
		.sealed = p->record_known,
		.lane = p->head_known ? p->header.lane : LANE_LIVE,
		.day = day,
		.session = p->session ? p->session : p->attrs.last_session,
		.last_seq = p->last_seq,
		.end = p->seal.end,
	};
	if (p->attrs_known && p->attrs.last_session == l->session &&
		p->attrs.last_seq > l->last_seq)
		l->last_seq = p->attrs.last_seq;
	memcpy(l->digest, p->seal.digest, DIGEST_SIZE);
}

static void on_probed(struct probe *p)
{
	struct rebuilding *r = container_of(p, struct rebuilding, probe);
	int rc = p->status;
	if (rc == -EIO || rc == ERR_CHECKSUM) {
		rebuild_find_words(r, p->name, "object cannot be read", false);
		/* it is there all the same: a record that is left of it stays */
		r->chunks[r->chunk_count++] =
			(struct rebuild_chunk){.record.chunk = p->id, .present = true};
		rc = 0;
	} else if (rc == 0) {
		take_chunk(r, p);
		r->user->bytes += p->size;
	} else if (rc == -ENOENT) {
		rc = 0;
	}
	if (rebuild_ends(r, rc))
		return;
	r->user->chunks++;
	if (r->user->progress)
		r->user->progress(r->user);
	probe_next(r);
}

/* A husk has no time of its own: it goes where the chunk before it is, or the one after. */
static void place_husks(struct rebuilding *r)
{
	struct wall end = {0};
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t k = 0; k < r->chunk_count; k++) {
			struct rebuild_chunk *c = &r->chunks[pass ? r->chunk_count - 1 - k : k];
			if (!c->made)
				continue;
			if (!(c->record.flags & INDEX_EMPTY)) {
				end = pass ? c->record.start : c->record.end;
			} else if (c->record.start.us == 0 && end.us != 0) {
				c->record.start = c->record.end = c->record.retention = end;
				c->day = wall_day(end);
			}
		}
		end = (struct wall){0};
	}
	/* alone with other husks there is nothing to be shown */
	for (size_t i = 0; i < r->chunk_count; i++)
		if ((r->chunks[i].record.flags & INDEX_EMPTY) && r->chunks[i].record.start.us == 0)
			r->chunks[i].made = false;
}

static void probe_next(struct rebuilding *r)
{
	const struct object_chunks *all = &r->lists.chunks;
	while (r->next_chunk < all->count) {
		const struct object_chunk *c = &all->chunks[r->next_chunk++];
		const struct object_chunk *after = r->next_chunk < all->count ? c + 1 : NULL;
		/* of several copies the last one counts */
		if (after && after->id.epoch == c->id.epoch && after->id.seq == c->id.seq)
			continue;
		r->probe = (struct probe){
			.store = r->user->store,
			.stream = r->user->stream,
			.id = c->id,
			.pool = c->pool,
			.level = PROBE_TABLES,
			.done = on_probed,
			.wrong = on_wrong,
		};
		probe_start(&r->probe);
		return;
	}
	place_husks(r);
	rebuild_write(r);
}

/* --- taking the stream --- */

static void read_head(struct rebuilding *r, void (*done)(struct store_read *))
{
	char name[STORE_NAME_MAX + 1];
	head_name(name, r->user->stream);
	r->read = (struct store_read){
		.done = done, .want_attrs = true, .want_body = true, .len = HEAD_SIZE + 1};
	store_read(r->user->store, &r->read, STORE_META, name);
}

static void on_confirmed(struct store_read *read)
{
	struct rebuilding *r = container_of(read, struct rebuilding, read);
	struct head_attrs attrs;
	int rc = read->status;
	if (rc == 0)
		rc = head_attrs_read(read, &attrs);
	if (rc == 0 &&
		(attrs.epoch != r->tenure.epoch || strcmp(attrs.owner, r->tenure.owner) != 0))
		rc = ERR_FENCED;
	if (rc == 0) {
		r->head_ver = attrs.ver;
		r->head_known = !r->head_made &&
				head_decode(read->body->data, read->body->len, &r->head) == 0;
	}
	store_read_release(read);
	if (rebuild_ends(r, rc))
		return;
	size_t room = r->lists.chunks.count + 1;
	r->chunks = calloc(room, sizeof(*r->chunks));
	r->links = calloc(room, sizeof(*r->links));
	if (!r->chunks || !r->links) {
		rebuild_finish(r, -ENOMEM);
		return;
	}
	r->user->chunks_total = r->lists.chunks.count;
	probe_next(r);
}

static void on_taken(struct settle *s)
{
	struct rebuilding *r = container_of(s, struct rebuilding, settle);
	int rc = rebuild_settled(r);
	buf_unref(&r->body);
	/* another took it between our read and our write: so it is not for us */
	if (rc == ERR_GUARD || rc == -EEXIST || rc == -ENOENT)
		rc = ERR_FENCED;
	if (!rebuild_ends(r, rc))
		read_head(r, on_confirmed);
}

static void take(struct rebuilding *r, bool exists)
{
	char name[STORE_NAME_MAX + 1], epoch[ATTR_U64_SIZE + 1], ver[ATTR_U64_SIZE + 1];
	const struct head none = {0};
	r->tenure.epoch = r->epoch_seen + 1;
	attr_u64_format(r->tenure.epoch, epoch);
	attr_u64_format(0, ver);
	head_name(name, r->user->stream);
	rebuild_begin(r, name, ATTR_EPOCH, on_taken);
	settle_set(&r->settle, ATTR_EPOCH, epoch);
	settle_set(&r->settle, ATTR_OWNER, r->tenure.owner);
	if (exists) {
		settle_guard_exists(&r->settle);
		settle_guard_below(&r->settle, ATTR_EPOCH, epoch);
		/* a version that cannot be read is replaced: its owner, if there is one, cannot
		 * write either */
		if (!r->attrs_known)
			settle_set(&r->settle, ATTR_VER, ver);
	} else {
		int rc = head_encode(&none, &r->body);
		if (rc < 0) {
			rebuild_finish(r, rc);
			return;
		}
		r->head_made = true;
		r->part = (struct slice){r->body, r->body->data, r->body->len};
		settle_guard_absent(&r->settle);
		settle_set(&r->settle, ATTR_VER, ver);
		settle_body_whole(&r->settle, &r->part, 1);
	}
	settle_submit(&r->settle);
}

/* --- which epochs there were, when no head says so --- */

static void next_epoch(struct rebuilding *r);

static void on_epoch(struct store_read *read)
{
	struct rebuilding *r = container_of(read, struct rebuilding, read);
	struct index_version v;
	size_t len = 0;
	int rc = read->status == -ENOENT ? 0 : read->status;
	const void *ver = read->status == 0 ? store_read_attr(read, ATTR_VER, &len) : NULL;
	if (ver && index_version_parse(ver, len, &v) == 0 && v.epoch > r->epoch_seen)
		r->epoch_seen = v.epoch;
	store_read_release(read);
	if (!rebuild_ends(r, rc))
		next_epoch(r);
}

static void next_epoch(struct rebuilding *r)
{
	char name[STORE_NAME_MAX + 1];
	if (r->next_day > r->lists.days.count) {
		r->next_day = 0;
		take(r, r->head_exists);
		return;
	}
	if (r->next_day == r->lists.days.count)
		index_days_name(name, r->user->stream);
	else
		index_partition_name(name, r->user->stream, r->lists.days.days[r->next_day]);
	r->next_day++;
	r->read = (struct store_read){.done = on_epoch, .want_attrs = true};
	store_read(r->user->store, &r->read, STORE_META, name);
}

static void on_head(struct store_read *read)
{
	struct rebuilding *r = container_of(read, struct rebuilding, read);
	struct head_attrs attrs;
	struct head head;
	char name[STORE_NAME_MAX + 1];
	int rc = read->status;
	head_name(name, r->user->stream);
	r->head_exists = rc == 0;
	if (rc == 0) {
		r->attrs_known = head_attrs_read(read, &attrs) == 0;
		if (r->attrs_known && attrs.epoch > r->epoch_seen)
			r->epoch_seen = attrs.epoch;
		/* a head of a newer program is not damaged, and not for us */
		rc = head_decode(read->body->data, read->body->len, &head);
		if (rc != ERR_VERSION) {
			if (rc < 0 || !r->attrs_known)
				rebuild_find_words(r, name, "head was damaged", true);
			rc = 0;
		}
	} else if (rc == -ENOENT && (r->lists.days.count || r->lists.chunks.count)) {
		rebuild_find_words(r, name, "head was missing", true);
		rc = 0;
	}
	store_read_release(read);
	if (rebuild_ends(r, rc))
		return;
	for (size_t i = 0; i < r->lists.chunks.count; i++)
		if (r->lists.chunks.chunks[i].id.epoch > r->epoch_seen)
			r->epoch_seen = r->lists.chunks.chunks[i].id.epoch;
	if (r->head_exists && r->attrs_known)
		take(r, true);
	else
		next_epoch(r);
}

static void on_listed(struct object_lists *lists)
{
	struct rebuilding *r = container_of(lists, struct rebuilding, lists);
	if (!rebuild_ends(r, lists->status))
		read_head(r, on_head);
}

/* --- asking --- */

static void on_refused(struct loop_task *task)
{
	struct rebuild *user = container_of(task, struct rebuild, task);
	user->done(user);
}

void rebuild_start(struct rebuild *user)
{
	struct rebuilding *r = calloc(1, sizeof(*r));
	bool valid = stream_name_split(user->stream, NULL, NULL) == 0 &&
		     strlen(user->owner) <= ATTR_OWNER_MAX;
	user->status = 0;
	user->chunks = user->chunks_total = user->bytes = 0;
	user->findings = 0;
	if (!r || !valid) {
		free(r);
		user->impl = NULL;
		user->status = valid ? -ENOMEM : -EINVAL;
		user->task.run = on_refused;
		loop_defer(user->loop, &user->task);
		return;
	}
	r->user = user;
	r->tenure = (struct tenure){.loop = user->loop, .store = user->store};
	strcpy(r->tenure.stream, user->stream);
	strcpy(r->tenure.owner, user->owner);
	user->impl = r;
	r->lists = (struct object_lists){.store = user->store,
		.stream = user->stream,
		.want_chunks = true,
		.done = on_listed};
	object_lists_start(&r->lists);
}

void rebuild_stop(struct rebuild *user)
{
	struct rebuilding *r = user->impl;
	if (!r)
		return;
	r->stopped = true;
	settle_cancel(&r->settle);
}
