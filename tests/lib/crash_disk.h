/* SPDX-License-Identifier: Apache-2.0 */
/* What a power cut may leave of a directory. While it is watched, the calls of this program and of
 * its shared libraries that change files below it are recorded; then the directory can be built as
 * it may look after a cut at any point: what was not synced lost, kept, torn at sectors of 512
 * bytes, or reordered. A file's bytes are only safe after its own sync, a name after its
 * directory's.
 *
 * The same calls can be made to fail. One watched directory at a time; any thread may write. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Watches the directory `root` (absolute, made by the caller and empty). Files whose name is
 * `ignored` are not recorded. */
void crash_disk_watch(const char *root, const char *const *ignored);
/* Ends the recording; what was recorded stays until the next watch or crash_disk_forget. */
void crash_disk_stop(void);
void crash_disk_forget(void);
/* Things recorded so far; a position between two of them is a point where power may be cut. */
size_t crash_disk_position(void);

enum crash_mode {
	CRASH_LOSE,   /* nothing that was not synced is left */
	CRASH_KEEP,   /* everything is left */
	CRASH_REORDER /* of each thing not synced the seed says: lost, kept, or torn */
};
/* Builds in the empty directory `to` what a cut before thing number `position` may leave. */
void crash_disk_build(size_t position, enum crash_mode mode, uint64_t seed, const char *to);

/* The watched directory is from now on a file system of so many bytes (0: without a limit), empty as
 * it is: what would grow it further meets ENOSPC, and fstatvfs tells. */
void crash_disk_size(uint64_t bytes);

enum disk_call { DISK_WRITE, DISK_SYNC, DISK_MAKE, DISK_UNLINK, DISK_TRUNCATE };

/* Calls that fail, in the watched directory. */
struct disk_fault {
	enum disk_call call;
	const char *part;   /* that the path below the root contains; NULL: any */
	unsigned skip;      /* calls that pass before */
	unsigned times;     /* calls that then fail */
	int error;          /* errno */
	size_t short_bytes; /* a write first takes so many, then fails; 0: none */
	/* counted */
	unsigned met;
};
/* Sets the fault to be used, or with NULL none. Borrows it. */
void crash_disk_fault(struct disk_fault *fault);
