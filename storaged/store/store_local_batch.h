/* SPDX-License-Identifier: Apache-2.0 */
/* Many writes made durable together: bodies into files, the files synced, one commit of the index.
 * The commit is the instant at which all of them happen. Runs on the writer's thread and blocks. */
#pragma once

#include "base/list.h"
#include "storaged/store/store_local_files.h"
#include "storaged/store/store_local_home.h"
#include "storaged/store/store_local_kv.h"

struct local_store;

/* A write that waits for its batch; owns references to the body's buffers. */
struct local_write {
	struct list node;
	struct local_store *owner;
	struct store_write *req;
	int pool, status;
	struct store_edits edits; /* what it points at follows in the same allocation */
	char name[STORE_NAME_MAX + 1];
	/* the batch's */
	bool failed;             /* status is final whatever the guards say */
	struct local_file *file; /* written in this attempt */
};

#define LOCAL_GONE_MAX 64

/* A file that was removed and is still in the index's list. */
struct local_gone {
	int pool;
	uint8_t file;
	char name[STORE_NAME_MAX + 1];
};

struct local_batch {
	struct local_kv kv;
	struct local_files files;
	struct local_home homes[STORE_POOLS_MAX]; /* [0]: the main one; [n]: of pool n */
	int pool_count;
	int home_of[STORE_POOLS_MAX];
	uint64_t quota_bytes; /* of each pool; 0: none */
	bool broken;          /* the index cannot be written any more */
	bool garbage_waits;   /* files are to be removed */
	size_t gone_count;    /* files removed; the next batch drops their entries */
	/* private */
	struct local_gone gone[LOCAL_GONE_MAX];
	uint64_t room[STORE_POOLS_MAX]; /* of each home, for this attempt */
};

/* Makes the writes, no two of which may be of one object, and leaves the outcome in each one's
 * status. */
void local_batch_run(struct local_batch *b, struct list *writes);
/* Removes some files that no object has any more; true when their entries in the index wait to be
 * dropped by a batch. */
bool local_batch_collect(struct local_batch *b);
