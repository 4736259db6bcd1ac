/* SPDX-License-Identifier: Apache-2.0 */
/* The local store's large bodies: files below a pool's directory, named after their objects. A file
 * holds at least the bytes that the index says; what it has beyond them never happened. Bytes and
 * names are durable after local_files_sync.
 *
 * The writer's thread calls everything; other threads local_files_open_read alone. */
#pragma once

#include "base/list.h"
#include "storaged/store/store_impl.h"
#include "storaged/store/store_local_dirs.h"
#include "storaged/store/store_local_path.h"

/* One of the two files of an object. */
struct local_place {
	int pool;
	const char *name;
	uint8_t file;
};

/* A file open for writing, in the cache. */
struct local_file {
	int error; /* of its last sync, when it is one of those that were to be synced */
	/* private */
	struct list bucket, recent, dirty;
	bool is_dirty, is_synced, is_new;
	int fd, pool;
	uint8_t file;
	uint64_t length; /* of the file, which may be more than the body's size */
	char name[STORE_NAME_MAX + 1];
};

#define LOCAL_FILES_BUCKETS 1024

struct local_files {
	int dirs[STORE_POOLS_MAX]; /* of the pools; -1: bodies are in the index */
	/* private */
	struct list buckets[LOCAL_FILES_BUCKETS];
	struct list recent; /* all open files, the one used longest ago first */
	struct list dirty;  /* those to be synced */
	unsigned open_count, open_max;
	size_t whole_from; /* so many at once are synced by a sync of their file system; 0: never */
	struct local_dirs names; /* directories with new names */
};

/* At most `open_max` files stay open for writing, and no more may be written between two syncs. */
void local_files_init(struct local_files *files, unsigned open_max);
/* Closes the files; the directories' descriptors are the caller's. */
void local_files_fini(struct local_files *files);

/* Writes `parts` at the end of a body of `size` bytes, 0 making a new file. The file must be synced
 * before the index says so; on failure, and when the change comes to nothing, it is cut by the next
 * write. -EIO: the file is shorter than the body. */
int local_files_append(struct local_files *files, const struct local_place *place, uint64_t size,
	const struct slice *parts, size_t count, struct local_file **ret_file);
/* Makes the object's other file: a copy of the body of `size` bytes in `place` with `parts` written
 * over it at `offset`. */
struct local_overwrite {
	uint64_t size, offset;
	const struct slice *parts;
	size_t count;
};
int local_files_overwrite(struct local_files *files, const struct local_place *place,
	const struct local_overwrite *what, struct local_file **ret_file);
/* Makes durable what was written and made since; 0, or the first error. Each file that failed has
 * its `error`. */
int local_files_sync(struct local_files *files);
/* Ends the round of writes, synced or given up: files that failed are closed, `file->error` is no
 * longer looked at. */
void local_files_synced(struct local_files *files);
/* Closes and removes a file, if it is there; for good after local_files_sync_names. */
int local_files_unlink(struct local_files *files, const struct local_place *place);
int local_files_sync_names(struct local_files *files);

/* A descriptor for reading, or a negative code. Any thread. */
int local_files_open_read(const struct local_files *files, const struct local_place *place);
