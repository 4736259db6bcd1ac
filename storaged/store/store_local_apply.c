/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_apply.h"

#include <errno.h>

#include "base/errors.h"

static bool guard_holds(const struct store_guard *g, const struct local_record *r)
{
	if (g->kind == STORE_EXISTS)
		return true;
	const struct store_read_attr *attr = local_record_attr(r, g->attr);
	int order = store_attr_compare(
		attr ? attr->value : NULL, attr ? attr->len : 0, g->value, g->value_len);
	return g->kind == STORE_ATTR_EQUAL ? order == 0 : order < 0;
}

static int judge(const struct store_edits *edits, const struct local_record *r)
{
	if (edits->guard_count && edits->guards[0].kind == STORE_ABSENT)
		return r ? -EEXIST : 0;
	if (!r)
		return -ENOENT;
	for (size_t i = 0; i < edits->guard_count; i++)
		if (!guard_holds(&edits->guards[i], r))
			return ERR_GUARD;
	return 0;
}

static uint64_t body_len(const struct store_edits *edits)
{
	uint64_t len = 0;
	for (size_t i = 0; i < edits->body_count; i++)
		len += edits->body[i].len;
	return len;
}

/* Where the body will end. */
static uint64_t end_of(const struct store_edits *edits, uint64_t size)
{
	uint64_t end = edits->offset + body_len(edits);
	switch (edits->body_kind) {
	case STORE_BODY_WRITE_AT:
		return end > size ? end : size;
	case STORE_BODY_WHOLE:
		return end;
	default:
		return size;
	}
}

/* A full pool takes what does not grow it. */
static int admit(struct local_batch *b, int pool, const struct local_record *before, uint64_t end)
{
	uint64_t size = before ? before->size : 0, used = b->kv.now.pools[pool].bytes;
	uint64_t *room = &b->room[b->home_of[pool]];
	uint64_t left = *room;
	if (b->quota_bytes)
		left = used >= b->quota_bytes         ? 0
		       : b->quota_bytes - used < left ? b->quota_bytes - used
						      : left;
	if ((!before && !left) || (end > size && end - size > left))
		return -ENOSPC;
	if (end > size)
		*room -= end - size;
	return 0;
}

/* The body into its file. Nothing that the index knows is touched: a file is written at its end, or
 * another is made. */
static int write_file(struct local_batch *b, struct local_write *w, struct local_record *r)
{
	const struct store_edits *e = &w->edits;
	struct local_place place = {w->pool, w->name, r->flags & LOCAL_OTHER_FILE};
	if (body_len(e) == 0)
		return 0;
	if (e->offset == r->size)
		return local_files_append(
			&b->files, &place, r->size, e->body, e->body_count, &w->file);
	struct local_overwrite what = {r->size, e->offset, e->body, e->body_count};
	int rc = local_files_overwrite(&b->files, &place, &what, &w->file);
	if (!rc) {
		r->flags ^= LOCAL_OTHER_FILE;
		r->id = 0; /* another body: it gets an id of its own */
	}
	return rc;
}

/* The body into the index. */
static int write_blocks(
	struct local_batch *b, struct local_write *w, const struct local_record *r, uint64_t end)
{
	const struct store_edits *e = &w->edits;
	struct local_record old = *r;
	if (e->body_kind == STORE_BODY_WHOLE) {
		int rc = local_kv_cut_body(&b->kv, r, end);
		if (rc)
			return rc;
		old.size = 0;
	}
	return local_kv_put_body(&b->kv, &old, e->offset, e->body, e->body_count);
}

/* From here on an error leaves the index's write half done: it is given up, and this write has
 * failed unless the map or the room is to blame. */
static int given_up(struct local_write *w, int error)
{
	if (error && error != ERR_LIMIT && error != -ENOSPC && error != -EDQUOT) {
		w->status = error;
		w->failed = true;
	}
	return error;
}

static int add_garbage(struct local_batch *b, const struct local_write *w, uint8_t file)
{
	b->garbage_waits = true;
	return local_kv_garbage_add(&b->kv, w->pool, w->name, file);
}

static int remove_object(struct local_batch *b, struct local_write *w, const struct local_record *r)
{
	struct local_record old = *r;
	int rc = local_kv_remove(&b->kv, w->pool, w->name, old.size);
	if (!rc && w->pool == STORE_META)
		rc = local_kv_cut_body(&b->kv, &old, 0);
	else if (!rc)
		rc = add_garbage(b, w, old.flags & LOCAL_OTHER_FILE);
	return given_up(w, rc);
}

/* A file that is in use again is no garbage; one that was left is. */
static int mind_garbage(struct local_batch *b, struct local_write *w,
	const struct local_record *before, const struct local_record *r)
{
	uint8_t file = r->flags & LOCAL_OTHER_FILE;
	int rc = 0;
	if (!before->size || before->flags != r->flags)
		rc = local_kv_garbage_drop(&b->kv, w->pool, w->name, file);
	if (!rc && before->flags != r->flags)
		rc = add_garbage(b, w, !file);
	return rc;
}

static int change_object(
	struct local_batch *b, struct local_write *w, const struct local_record *before)
{
	static const struct local_record nothing;
	const struct store_edits *e = &w->edits;
	struct local_record old = before ? *before : nothing, r = old;
	uint64_t end = end_of(e, old.size);
	if (e->body_kind == STORE_BODY_WRITE_AT && e->offset > old.size)
		w->status = -EINVAL;
	if (!w->status)
		w->status = admit(b, w->pool, before, end);
	if (!w->status)
		w->status = local_record_set_attrs(&r, e->attrs, e->attr_count);
	if (!w->status && w->pool != STORE_META)
		w->status = write_file(b, w, &r);
	if (w->status == -EDQUOT)
		w->status = -ENOSPC;
	if (w->status)
		return 0; /* the index is as it was */
	if (!r.id)
		r.id = b->kv.now.next_id++;
	struct local_record body = r;
	r.size = end;
	/* the record first: what it borrowed from the old one is gone with the next change */
	int rc = local_kv_put(&b->kv, w->pool, w->name, before ? &old.size : NULL, &r);
	if (!rc && w->pool != STORE_META)
		rc = mind_garbage(b, w, &old, &r);
	else if (!rc && e->body_kind != STORE_BODY_NONE)
		rc = write_blocks(b, w, &body, end);
	return given_up(w, rc);
}

int local_apply(struct local_batch *b, struct local_write *w)
{
	struct local_record r;
	int rc = local_kv_get(&b->kv, b->kv.txn, w->pool, w->name, &r);
	if (rc && rc != -ENOENT) {
		w->status = rc == -ENOMEM ? rc : -EIO; /* a record that cannot be read is damage */
		return 0;
	}
	bool exists = rc == 0;
	w->status = judge(&w->edits, exists ? &r : NULL);
	if (w->status)
		return 0;
	if (w->edits.body_kind == STORE_BODY_REMOVE)
		return remove_object(b, w, &r);
	return change_object(b, w, exists ? &r : NULL);
}
