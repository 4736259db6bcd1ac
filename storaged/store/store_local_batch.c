/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_batch.h"

#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/store/store_local_apply.h"

/* A batch is tried until it comes through; each further attempt has fewer writes, a larger map or
 * more room:
 *
 *	begin -> apply each -> sync files -> commit -> done
 *	  ^        |  |           |            |
 *	  |        |  '- map full, out of room, write failed half way
 *	  '--------'              '- a file could not be synced: its write fails, the others are
 * made again */

enum outcome { DONE, AGAIN };

static void fail_all(struct list *writes, int status)
{
	list_each (node, writes) {
		struct local_write *w = list_entry(node, struct local_write, node);
		if (!w->failed)
			w->status = status;
		w->failed = true;
	}
}

/* What was about to happen did not, or nobody knows. What was refused stays so. */
static void fail_applied(struct list *writes, int status)
{
	list_each (node, writes) {
		struct local_write *w = list_entry(node, struct local_write, node);
		if (!w->status)
			w->status = status;
	}
}

/* Gives up what needs room, so that removals come through. */
static bool fail_all_but_removals(struct list *writes)
{
	bool any = false;
	list_each (node, writes) {
		struct local_write *w = list_entry(node, struct local_write, node);
		if (w->failed || w->edits.body_kind == STORE_BODY_REMOVE)
			continue;
		w->status = -ENOSPC;
		w->failed = true;
		any = true;
	}
	return any;
}

/* The index could not be changed or committed. */
static enum outcome recover(struct local_batch *b, struct list *writes, int error)
{
	if (error == ERR_LIMIT) {
		int rc = local_kv_grow(&b->kv);
		if (!rc)
			return AGAIN;
		fail_all(writes, rc);
	} else if (error == -ENOSPC || error == -EDQUOT) {
		if (local_home_release_reserve(&b->homes[0]) || fail_all_but_removals(writes))
			return AGAIN;
		fail_all(writes, -ENOSPC);
	} else if (error == ERR_UNKNOWN) {
		b->broken = true;
		fail_applied(writes, ERR_UNKNOWN);
	} else {
		fail_all(writes, error);
	}
	return DONE;
}

/* Entries of files that are gone for good leave the list with the next commit. */
static int drop_gone(struct local_batch *b)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < b->gone_count; i++)
		rc = local_kv_garbage_drop(
			&b->kv, b->gone[i].pool, b->gone[i].name, b->gone[i].file);
	return rc;
}

static enum outcome give_up(struct local_batch *b, struct list *writes, int error)
{
	local_kv_abort(&b->kv);
	local_files_synced(&b->files);
	return recover(b, writes, error);
}

/* Writes all that can be written. 0, or what stopped the attempt. */
static int apply_all(struct local_batch *b, struct list *writes, bool *ret_changed)
{
	bool changed = b->gone_count > 0;
	int rc = drop_gone(b);
	for (struct list *node = writes->next; !rc && node != writes; node = node->next) {
		struct local_write *w = list_entry(node, struct local_write, node);
		w->file = NULL;
		if (w->failed)
			continue;
		w->status = 0;
		rc = local_apply(b, w);
		changed |= !rc && !w->status;
	}
	*ret_changed = changed;
	return rc;
}

/* The files' bytes before the index that counts them. False when a write failed by it. */
static bool sync_bodies(struct local_batch *b, struct list *writes)
{
	if (local_files_sync(&b->files) == 0)
		return true;
	list_each (node, writes) {
		struct local_write *w = list_entry(node, struct local_write, node);
		if (w->file && w->file->error) {
			w->status = w->file->error;
			w->failed = true;
		}
	}
	return false;
}

static enum outcome attempt(struct local_batch *b, struct list *writes)
{
	bool changed;
	for (int i = 0; i < b->pool_count; i++)
		if (b->home_of[i] == i)
			b->room[i] = local_home_room(&b->homes[i]);
	int rc = local_kv_begin(&b->kv);
	if (rc) {
		fail_all(writes, rc);
		return DONE;
	}
	rc = apply_all(b, writes, &changed);
	if (rc)
		return give_up(b, writes, rc);
	if (!changed) {
		local_kv_abort(&b->kv);
		local_files_synced(&b->files);
		return DONE;
	}
	if (!sync_bodies(b, writes)) {
		local_kv_abort(&b->kv);
		local_files_synced(&b->files);
		return AGAIN;
	}
	local_files_synced(&b->files);
	rc = local_kv_commit(&b->kv);
	if (rc)
		return recover(b, writes, rc);
	b->gone_count = 0;
	return DONE;
}

void local_batch_run(struct local_batch *b, struct list *writes)
{
	if (b->broken) {
		fail_all(writes, -EIO);
		return;
	}
	if (local_home_room(&b->homes[0]) > 4 * LOCAL_RESERVE)
		local_home_make_reserve(&b->homes[0]);
	while (attempt(b, writes) == AGAIN)
		;
}

struct collector {
	struct local_kv_visit visit;
	struct local_batch *batch;
};

static bool note_garbage(struct local_kv_visit *visit, int pool, const char *name, uint64_t file)
{
	struct local_batch *b = container_of(visit, struct collector, visit)->batch;
	struct local_gone *gone = &b->gone[b->gone_count++];
	gone->pool = pool;
	gone->file = (uint8_t)file;
	memcpy(gone->name, name, strlen(name) + 1);
	return b->gone_count < LOCAL_GONE_MAX;
}

bool local_batch_collect(struct local_batch *b)
{
	struct collector c = {.visit = {.each = note_garbage}, .batch = b};
	struct local_kv_look look;
	if (b->gone_count)
		return true; /* of the last time, whose batch came to nothing */
	if (!b->garbage_waits || b->broken || local_kv_look(&b->kv, &look))
		return false;
	int rc = local_kv_garbage_walk(&b->kv, look.txn, &c.visit);
	local_kv_look_end(&look);
	b->garbage_waits = b->gone_count == LOCAL_GONE_MAX;
	for (size_t i = 0; !rc && i < b->gone_count; i++) {
		const struct local_gone *gone = &b->gone[i];
		if (gone->pool < b->pool_count && b->files.dirs[gone->pool] >= 0)
			rc = local_files_unlink(&b->files,
				&(struct local_place){gone->pool, gone->name, gone->file});
	}
	if (!rc)
		rc = local_files_sync_names(&b->files);
	if (rc) {
		b->gone_count =
			0; /* they stay in the list, to be tried again after a removal or a start */
		b->garbage_waits = false;
	}
	return b->gone_count > 0;
}
