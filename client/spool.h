/* SPDX-License-Identifier: Apache-2.0 */
/* Where fragments wait on disk while the cluster cannot take them: one folder a stream, a ring of
 * files a lane, and a small state. Survives the end of the program at any instant: what was
 * appended before is there again; a damaged tail is cut off. After a power cut the last ten seconds
 * may be missing (see spool_sync).
 *
 *	DIR/camera@profile/state           sessions; locked while in use
 *	DIR/camera@profile/live.00000001   a segment of the live lane's ring
 *	DIR/camera@profile/backfill.00000001
 *
 * Blocking; used by one thread at a time (a worker's). */
#pragma once

#include <sys/types.h>

#include "client/spool_record.h"

/* --- the folder --- */

struct spool_dir {
	int fd;       /* of the folder */
	int state_fd; /* locked */
	struct spool_state state;
	char stream[STREAM_NAME_MAX + 1];
};

/* Opens or makes the folder of a stream under `dir`, which must exist. -EBUSY: another recorder
 * uses it. `fresh` (two random numbers) are sessions for a new state. */
int spool_dir_open(const char *dir, const char *stream, const uint64_t fresh[LANES],
	struct spool_dir *ret_dir);
/* The process that has the stream's folder open; 0: none, or nobody can tell. */
pid_t spool_dir_holder(const char *dir, const char *stream);
/* Makes the state durable. */
int spool_dir_save(struct spool_dir *d);
/* Harmless on one that was not opened (fd -1). */
void spool_dir_close(struct spool_dir *d);

/* --- a lane's ring --- */

struct spool;

/* Reads what an earlier program left. `segment_bytes`: a segment is closed at this; 0: 16 MiB.
 * Borrows `dir` for the spool's life. */
int spool_open(const struct spool_dir *dir, uint8_t lane, uint64_t segment_bytes,
	struct spool **ret_spool);
void spool_free(struct spool **spool);

/* Undelivered fragments: their count, bytes, and the numbers between which they lie (0, 0: none). */
struct spool_extent {
	uint64_t count, bytes, first, last;
	uint64_t next; /* no number below this may be given to a new fragment */
	uint64_t disk_bytes;
};
struct spool_extent spool_extent(const struct spool *s);

/* Appends a fragment, whose number is above all before. On failure (-ENOSPC, -EIO) the ring is as
 * it was. Not yet synced. */
int spool_append(struct spool *s, const struct item *item);
/* Makes what was appended survive a power cut. */
int spool_sync(struct spool *s);
/* Reads the first fragment numbered `from` or higher. Gives an item. -ENODATA: there is none;
 * ERR_DAMAGED: its bytes are not those that were written, *ret_number says which it was. */
int spool_read(struct spool *s, uint64_t from, struct item **ret_item, uint64_t *ret_number);
/* Everything up to `number` is delivered: files of which nothing is left are removed. */
int spool_drop(struct spool *s, uint64_t number);
