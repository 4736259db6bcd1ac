/* SPDX-License-Identifier: Apache-2.0 */
/* Directories below the pools' roots: which are to be synced so that new names in them last, and
 * which are known to last themselves. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storaged/store/store_local_path.h"

/* A power of two; when three quarters are taken all are forgotten, and synced anew. */
#define LOCAL_DIRS_KNOWN 65536

struct local_dir {
	int root;                  /* descriptor of the pool's directory */
	bool synced;               /* by a sync of the whole file system */
	char path[LOCAL_PATH_MAX]; /* "." or below it */
};

struct local_dirs {
	/* private */
	struct local_dir *pending;
	size_t pending_count, pending_size;
	uint64_t *known; /* hashes of root and path; 0: free */
	size_t known_count;
};

void local_dirs_fini(struct local_dirs *dirs);
/* Makes the directories that lead to `path` (those that are not there). */
int local_dirs_make(int root, const char *path);
/* Notes that the name `path` was made or removed: its directory is to be synced, and each directory
 * on the way whose own name is not known to last. -ENOMEM. */
int local_dirs_note(struct local_dirs *dirs, int root, const char *path);
/* How many directories below `root` are noted. */
size_t local_dirs_count(const struct local_dirs *dirs, int root);
/* The file system of `root` has been synced whole since they were noted. */
void local_dirs_synced(struct local_dirs *dirs, int root);
/* Syncs what was noted and is not synced yet. After a failure all of it is still noted. */
int local_dirs_sync(struct local_dirs *dirs);
