/* SPDX-License-Identifier: Apache-2.0 */
/* The recording behind crash_disk: a tree of inodes as the program sees it, and the list of changes
 * with the point from which each is safe. Not thread-safe: crash_disk holds a lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The root's inode, or -1 when nothing is watched. */
int crash_log_root(void);
/* The part of an absolute path below the root ("." for the root), or NULL when it is elsewhere or
 * ignored. */
const char *crash_log_below_root(const char *path);
/* The inode of a path below directory `dir`; -1: none. */
int crash_log_find(int dir, const char *path);
/* The path that an inode had first, for faults. */
const char *crash_log_path(int inode);
void crash_log_stop(void);
size_t crash_log_length(void);

/* An ignored name gives -1, and nothing is recorded. */
int crash_log_make(int dir, const char *path, bool is_dir);
void crash_log_unlink(int dir, const char *path);
/* Inside one directory. */
void crash_log_rename(int dir, const char *from, const char *to);
void crash_log_write(int inode, const struct iovec *iov, size_t len, uint64_t offset, bool synced);
void crash_log_truncate(int inode, uint64_t len);
/* What was recorded of the inode (-1: of all) before thing number `before` is safe from now on. */
void crash_log_sync(int inode, size_t before);
