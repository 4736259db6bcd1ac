/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that change files, in the place of the C library's: recorded, or made to fail. */

/* off_t has 64 bits here anyway, and both names of each call are wanted as they are */
#undef _FILE_OFFSET_BITS
#include "tests/lib/crash_disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/lib/crash_log.h"

#define EXPORT __attribute__((visibility("default")))
#define FDS    4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disk_fault *fault;
/* Of each descriptor in the watched directory: its inode + 1, and whether each write is synced. */
static int inode_of[FDS];
static bool is_dsync[FDS];
/* Of a small disk: what its files may take, and take, in whole blocks. */
#define BLOCK 4096u
static uint64_t capacity, used;

void crash_disk_fault(struct disk_fault *f)
{
	pthread_mutex_lock(&lock);
	fault = f;
	pthread_mutex_unlock(&lock);
}

size_t crash_disk_position(void)
{
	pthread_mutex_lock(&lock);
	size_t position = crash_log_length();
	pthread_mutex_unlock(&lock);
	return position;
}

void crash_disk_stop(void)
{
	pthread_mutex_lock(&lock);
	capacity = used = 0;
	crash_log_stop();
	memset(inode_of, 0, sizeof(inode_of));
	pthread_mutex_unlock(&lock);
}

static int inode_at(int fd)
{
	return fd >= 0 && fd < FDS ? inode_of[fd] - 1 : -1;
}

/* True, with errno set, when this call is to fail. Under the lock. */
static bool fails(enum disk_call call, int inode, const char *name)
{
	const char *path = name ? name : crash_log_path(inode);
	if (!fault || inode < 0 || fault->call != call ||
		(fault->part && !strstr(path, fault->part)))
		return false;
	if (fault->skip) {
		fault->skip--;
		return false;
	}
	if (!fault->times)
		return false;
	fault->times--;
	fault->met++;
	errno = fault->error;
	return true;
}

void crash_disk_size(uint64_t bytes)
{
	pthread_mutex_lock(&lock);
	capacity = bytes;
	used = 0;
	pthread_mutex_unlock(&lock);
}

static uint64_t whole_blocks(uint64_t size)
{
	return (size + BLOCK - 1) / BLOCK * BLOCK;
}

static uint64_t size_at(int dir, const char *path)
{
	struct stat st;
	int rc = path ? fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) : fstat(dir, &st);
	return rc || !S_ISREG(st.st_mode) ? 0 : (uint64_t)st.st_size;
}

/* A file was so large and is now another size. Under the lock. */
static void resized(int inode, uint64_t from, uint64_t to)
{
	if (inode >= 0)
		used += whole_blocks(to) - whole_blocks(from);
}

/* Under the lock. */
static bool has_no_room(int inode, uint64_t size, uint64_t end)
{
	return capacity && inode >= 0 && end > size &&
	       used + whole_blocks(end) - whole_blocks(size) > capacity;
}

static int statvfs_any(int fd, struct statvfs *to)
{
	struct statfs real;
	pthread_mutex_lock(&lock);
	bool small = capacity && inode_at(fd) >= 0;
	uint64_t left = capacity > used ? (capacity - used) / BLOCK : 0;
	uint64_t all = capacity / BLOCK;
	pthread_mutex_unlock(&lock);
	int rc = (int)syscall(SYS_fstatfs, fd, &real);
	if (rc)
		return rc;
	*to = (struct statvfs){.f_bsize = (unsigned long)real.f_bsize,
		.f_frsize = (unsigned long)(real.f_frsize ? real.f_frsize : real.f_bsize),
		.f_blocks = (fsblkcnt_t)real.f_blocks,
		.f_bfree = (fsblkcnt_t)real.f_bfree,
		.f_bavail = (fsblkcnt_t)real.f_bavail};
	if (small)
		*to = (struct statvfs){.f_bsize = BLOCK,
			.f_frsize = BLOCK,
			.f_blocks = (fsblkcnt_t)all,
			.f_bfree = (fsblkcnt_t)left,
			.f_bavail = (fsblkcnt_t)left};
	return 0;
}

EXPORT int fstatvfs(int fd, struct statvfs *to)
{
	return statvfs_any(fd, to);
}

EXPORT int fstatvfs64(int fd, struct statvfs64 *to)
{
	static_assert(sizeof(*to) == sizeof(struct statvfs), "one and the same on 64-bit machines");
	return statvfs_any(fd, (struct statvfs *)(void *)to);
}

static int real_open(int dir, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
	pthread_mutex_lock(&lock);
	int parent = dir == AT_FDCWD ? crash_log_root() : inode_at(dir);
	const char *below = dir == AT_FDCWD ? crash_log_below_root(path) : path;
	if (parent < 0 || !below) {
		pthread_mutex_unlock(&lock);
		return real_open(dir, path, flags, mode);
	}
	int inode = crash_log_find(parent, below);
	bool makes = inode < 0 && flags & O_CREAT;
	uint64_t size = inode >= 0 && flags & O_TRUNC ? size_at(dir, path) : 0;
	int fd = makes && fails(DISK_MAKE, parent, below) ? -1 : real_open(dir, path, flags, mode);
	int saved = errno;
	if (fd >= 0 && fd < FDS) {
		if (makes)
			inode = crash_log_make(parent, below, false);
		else if (inode >= 0 && flags & O_TRUNC) {
			crash_log_truncate(inode, 0);
			resized(inode, size, 0);
		}
		inode_of[fd] = inode + 1;
		is_dsync[fd] = (flags & O_DSYNC) != 0;
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return fd;
}

#define OPEN_MODE(flags, last)                                                                     \
	mode_t mode = 0;                                                                           \
	if ((flags)&O_CREAT) {                                                                     \
		va_list args;                                                                      \
		va_start(args, last);                                                              \
		mode = va_arg(args, mode_t);                                                       \
		va_end(args);                                                                      \
	}

EXPORT int open(const char *path, int flags, ...)
{
	OPEN_MODE(flags, flags)
	return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
	OPEN_MODE(flags, flags)
	return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags, flags)
	return open_any(dir, path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags, flags)
	return open_any(dir, path, flags, mode);
}

EXPORT int close(int fd)
{
	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < FDS)
		inode_of[fd] = 0;
	pthread_mutex_unlock(&lock);
	return (int)syscall(SYS_close, fd);
}

static ssize_t write_any(int fd, const struct iovec *iov, int count, off_t offset)
{
	pthread_mutex_lock(&lock);
	int inode = inode_at(fd);
	ssize_t n;
	if (inode >= 0 && offset < 0)
		offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
	struct iovec first = iov[0];
	uint64_t size = inode >= 0 ? size_at(fd, NULL) : 0, len = 0;
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	bool cut = inode >= 0 && fails(DISK_WRITE, inode, NULL);
	int error = errno;
	if (cut && fault->short_bytes) {
		/* the next call meets the rest of the fault */
		if (first.iov_len > fault->short_bytes)
			first.iov_len = fault->short_bytes;
		fault->short_bytes = 0;
		fault->times++;
		n = syscall(SYS_pwritev, fd, &first, 1, (long)offset, 0);
		count = 1;
		iov = &first;
	} else if (cut) {
		n = -1;
	} else if (has_no_room(inode, size, (uint64_t)offset + len)) {
		n = -1;
		error = ENOSPC;
	} else if (offset >= 0) {
		n = syscall(SYS_pwritev, fd, iov, count, (long)offset, 0);
		error = errno;
	} else {
		n = syscall(SYS_writev, fd, iov, count);
		error = errno;
	}
	if (inode >= 0 && n > 0 && (uint64_t)(offset + n) > size)
		resized(inode, size, (uint64_t)(offset + n));
	if (inode >= 0 && n > 0)
		crash_log_write(inode, iov, (size_t)n, (uint64_t)offset, is_dsync[fd]);
	pthread_mutex_unlock(&lock);
	errno = error;
	return n;
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return write_any(fd, &(struct iovec){(void *)(uintptr_t)data, len}, 1, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	return write_any(fd, &(struct iovec){(void *)(uintptr_t)data, len}, 1, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return write_any(fd, iov, count, offset);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
	return write_any(fd, iov, count, offset);
}

/* Plain writes go on at the descriptor's place; LMDB seeks before each. */
static ssize_t write_on(int fd, const struct iovec *iov, int count)
{
	pthread_mutex_lock(&lock);
	bool watched = inode_at(fd) >= 0;
	pthread_mutex_unlock(&lock);
	if (!watched)
		return syscall(SYS_writev, fd, iov, count);
	off_t at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
	ssize_t n = write_any(fd, iov, count, at);
	if (n > 0)
		(void)syscall(SYS_lseek, fd, (long)at + n, SEEK_SET);
	return n;
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	return write_on(fd, &(struct iovec){(void *)(uintptr_t)data, len}, 1);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	return write_on(fd, iov, count);
}

static int sync_any(int fd, long number, bool whole)
{
	pthread_mutex_lock(&lock);
	int inode = inode_at(fd);
	bool failed = inode >= 0 && fails(DISK_SYNC, inode, NULL);
	int saved = errno;
	size_t before = crash_log_length();
	pthread_mutex_unlock(&lock);
	if (failed) {
		errno = saved;
		return -1;
	}
	int rc = (int)syscall(number, fd);
	saved = errno;
	pthread_mutex_lock(&lock);
	/* what was written while it ran may or may not be safe: it is not counted as such */
	if (inode >= 0 && rc == 0)
		crash_log_sync(whole ? -1 : inode, before);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int syncfs(int fd)
{
	return sync_any(fd, SYS_syncfs, true);
}

EXPORT int fsync(int fd)
{
	return sync_any(fd, SYS_fsync, false);
}

EXPORT int fdatasync(int fd)
{
	return sync_any(fd, SYS_fdatasync, false);
}

static int truncate_any(int fd, off_t len)
{
	pthread_mutex_lock(&lock);
	int inode = inode_at(fd);
	uint64_t size = inode >= 0 ? size_at(fd, NULL) : 0;
	int rc = inode >= 0 && fails(DISK_TRUNCATE, inode, NULL)
			 ? -1
			 : (int)syscall(SYS_ftruncate, fd, (long)len);
	int saved = errno;
	if (inode >= 0 && rc == 0) {
		crash_log_truncate(inode, (uint64_t)len);
		resized(inode, size, (uint64_t)len);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int ftruncate(int fd, off_t len)
{
	return truncate_any(fd, len);
}

EXPORT int ftruncate64(int fd, off64_t len)
{
	return truncate_any(fd, len);
}

EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
	pthread_mutex_lock(&lock);
	int parent = inode_at(dir);
	int rc = parent >= 0 && fails(DISK_MAKE, parent, path)
			 ? -1
			 : (int)syscall(SYS_mkdirat, dir, path, mode);
	int saved = errno;
	if (parent >= 0 && rc == 0)
		(void)crash_log_make(parent, path, true);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
	pthread_mutex_lock(&lock);
	int parent = inode_at(dir);
	uint64_t size = parent >= 0 ? size_at(dir, path) : 0;
	int rc = parent >= 0 && fails(DISK_UNLINK, parent, path)
			 ? -1
			 : (int)syscall(SYS_unlinkat, dir, path, flags);
	int saved = errno;
	if (parent >= 0 && rc == 0) {
		crash_log_unlink(parent, path);
		resized(parent, size, 0);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	pthread_mutex_lock(&lock);
	int parent = inode_at(from_dir);
	uint64_t size = parent >= 0 ? size_at(to_dir, to) : 0;
	int rc = (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
	int saved = errno;
	if (parent >= 0 && rc == 0) {
		crash_log_rename(parent, from, to);
		resized(parent, size, 0);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}
