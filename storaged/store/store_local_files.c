/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/hash.h"

#define WHOLE_FROM                                                                                 \
	4 /* files and directories to be synced; measured: docs/design/local-store.md              \
	   */

/* Before 5.8 Linux did not say when a sync of a whole file system had lost bytes. */
static bool syncfs_tells(void)
{
	struct utsname system;
	int major, minor;
	if (uname(&system) || sscanf(system.release, "%d.%d", &major, &minor) != 2)
		return false;
	return major > 5 || (major == 5 && minor >= 8);
}

void local_files_init(struct local_files *files, unsigned open_max)
{
	*files = (struct local_files){
		.open_max = open_max, .whole_from = syncfs_tells() ? WHOLE_FROM : 0};
	for (int i = 0; i < STORE_POOLS_MAX; i++)
		files->dirs[i] = -1;
	for (int i = 0; i < LOCAL_FILES_BUCKETS; i++)
		list_init(&files->buckets[i]);
	list_init(&files->recent);
	list_init(&files->dirty);
}

/* What was written and not synced is lost, as if it had never been. */
static void close_file(struct local_files *files, struct local_file *f)
{
	list_remove(&f->bucket);
	list_remove(&f->recent);
	list_remove(&f->dirty);
	files->open_count--;
	close(f->fd); /* says nothing that a sync has not said */
	free(f);
}

void local_files_fini(struct local_files *files)
{
	if (!files->recent.next)
		return;
	list_each_safe (node, &files->recent)
		close_file(files, list_entry(node, struct local_file, recent));
	local_dirs_fini(&files->names);
}

static struct list *bucket_of(struct local_files *files, const struct local_place *place)
{
	uint64_t seed = (uint64_t)place->pool << 8 | place->file;
	return &files->buckets[hash64(seed, place->name, strlen(place->name)) %
			       LOCAL_FILES_BUCKETS];
}

static struct local_file *find(struct local_files *files, const struct local_place *place)
{
	list_each (node, bucket_of(files, place)) {
		struct local_file *f = list_entry(node, struct local_file, bucket);
		if (f->pool == place->pool && f->file == place->file &&
			strcmp(f->name, place->name) == 0)
			return f;
	}
	return NULL;
}

static void make_room(struct local_files *files)
{
	list_each_safe (node, &files->recent) {
		struct local_file *f = list_entry(node, struct local_file, recent);
		if (files->open_count < files->open_max)
			return;
		if (!f->is_dirty)
			close_file(files, f);
	}
}

static int open_fd(const struct local_files *files, const struct local_place *place,
	const char *path, bool fresh)
{
	int root = files->dirs[place->pool];
	if (!fresh) {
		int fd = openat(root, path, O_RDWR | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	/* what bears the name is a change that came to nothing, or a removed object; a reader may
	 * have it open still */
	if (unlinkat(root, path, 0) && errno != ENOENT)
		return -errno;
	int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = openat(root, path, flags, 0640);
	if (fd < 0 && errno == ENOENT) {
		int rc = local_dirs_make(root, path);
		if (rc)
			return rc;
		fd = openat(root, path, flags, 0640);
	}
	return fd < 0 ? -errno : fd;
}

/* Opens a file, or makes it anew. */
static int open_file(struct local_files *files, const struct local_place *place, bool fresh,
	struct local_file **ret_file)
{
	char path[LOCAL_PATH_MAX];
	struct local_file *f = find(files, place);
	if (f && !fresh) {
		list_remove(&f->recent);
		list_append(&files->recent, &f->recent);
		*ret_file = f;
		return 0;
	}
	if (f)
		close_file(files, f);
	make_room(files);
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	local_path(path, place->name, place->file);
	int fd = open_fd(files, place, path, fresh);
	int rc = fd < 0 ? fd : 0;
	if (!rc && fresh)
		rc = local_dirs_note(&files->names, files->dirs[place->pool], path);
	off_t length = !rc ? lseek(fd, 0, SEEK_END) : 0;
	if (!rc && length < 0)
		rc = -errno;
	if (rc) {
		if (fd >= 0)
			close(fd);
		free(f);
		return rc;
	}
	f->fd = fd;
	f->pool = place->pool;
	f->file = place->file;
	f->length = (uint64_t)length;
	f->is_new = fresh;
	(void)snprintf(f->name, sizeof(f->name), "%s", place->name); /* limited by store.c */
	list_init(&f->dirty);
	list_append(bucket_of(files, place), &f->bucket);
	list_append(&files->recent, &f->recent);
	files->open_count++;
	*ret_file = f;
	return 0;
}

/* Writes all parts from `offset` on, in as few calls as the kernel allows. */
static int write_parts(
	struct local_file *f, uint64_t offset, const struct slice *parts, size_t count)
{
	struct iovec iov[STORE_BODY_PARTS_MAX];
	int n = 0;
	for (size_t i = 0; i < count; i++)
		if (parts[i].len)
			iov[n++] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].len};
	for (struct iovec *at = iov; n;) {
		ssize_t written = pwritev(f->fd, at, n, (off_t)offset);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written ? -errno : -EIO;
		offset += (uint64_t)written;
		for (size_t left = (size_t)written; left;) {
			size_t step = left < at->iov_len ? left : at->iov_len;
			at->iov_base = (uint8_t *)at->iov_base + step;
			at->iov_len -= step;
			left -= step;
			if (!at->iov_len) {
				at++;
				n--;
			}
		}
	}
	if (offset > f->length)
		f->length = offset;
	return 0;
}

static void mark_dirty(struct local_files *files, struct local_file *f)
{
	f->error = 0;
	if (!f->is_dirty)
		list_append(&files->dirty, &f->dirty);
	f->is_dirty = true;
}

/* A file that could not be written is as good as not opened; a new one goes away again. */
static void drop_file(struct local_files *files, struct local_file *f)
{
	struct local_place place = {f->pool, f->name, f->file};
	char path[LOCAL_PATH_MAX];
	local_path(path, place.name, place.file);
	if (f->is_new)
		(void)unlinkat(files->dirs[f->pool], path,
			0); /* if it stays it is nobody's, and overwritten */
	close_file(files, f);
}

static size_t length_of(const struct slice *parts, size_t count)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	return len;
}

int local_files_append(struct local_files *files, const struct local_place *place, uint64_t size,
	const struct slice *parts, size_t count, struct local_file **ret_file)
{
	struct local_file *f;
	int rc = open_file(files, place, size == 0, &f);
	if (rc)
		return rc == -ENOENT ? -EIO : rc;
	if (f->length < size)
		rc = -EIO;
	if (!rc && f->length > size) {
		/* left by a change that came to nothing; cut, lest its end show behind a shorter
		 * one */
		rc = ftruncate(f->fd, (off_t)size) ? -errno : 0;
		if (!rc)
			f->length = size;
	}
	if (!rc)
		rc = write_parts(f, size, parts, count);
	if (rc) {
		drop_file(files, f);
		return rc;
	}
	/* the disk begins now, while the next streams' bytes are copied */
	(void)sync_file_range(
		f->fd, (off_t)size, (off_t)length_of(parts, count), SYNC_FILE_RANGE_WRITE);
	mark_dirty(files, f);
	*ret_file = f;
	return 0;
}

/* Copies `len` bytes from the beginning. */
static int copy_bytes(int from, struct local_file *to, uint64_t len)
{
	uint8_t block[65536];
	for (uint64_t at = 0; at < len;) {
		size_t want = len - at < sizeof(block) ? (size_t)(len - at) : sizeof(block);
		ssize_t got = pread(from, block, want, (off_t)at);
		if (got <= 0)
			return got ? -errno : -EIO;
		struct slice part = {.data = block, .len = (size_t)got};
		int rc = write_parts(to, at, &part, 1);
		if (rc)
			return rc;
		at += (uint64_t)got;
	}
	return 0;
}

int local_files_overwrite(struct local_files *files, const struct local_place *place,
	const struct local_overwrite *what, struct local_file **ret_file)
{
	struct local_place other = {place->pool, place->name, (uint8_t)!place->file};
	struct local_file *f;
	int from = local_files_open_read(files, place);
	if (from < 0)
		return from == -ENOENT ? -EIO : from;
	int rc = open_file(files, &other, true, &f);
	if (!rc) {
		rc = copy_bytes(from, f, what->size);
		if (!rc)
			rc = write_parts(f, what->offset, what->parts, what->count);
		if (rc)
			drop_file(files, f);
	}
	close(from);
	if (rc)
		return rc;
	mark_dirty(files, f);
	*ret_file = f;
	return 0;
}

/* One sync of a file system instead of many of files: each of those flushes the disk's cache once
 * more. */
static void sync_whole(struct local_files *files, int pool)
{
	int root = files->dirs[pool];
	size_t count = root < 0 ? 0 : local_dirs_count(&files->names, root);
	list_each (node, &files->dirty)
		count += list_entry(node, struct local_file, dirty)->pool == pool;
	/* a failure does not say of what: then one by one */
	if (!files->whole_from || count < files->whole_from || syncfs(root))
		return;
	local_dirs_synced(&files->names, root);
	list_each (dirty, &files->dirty) {
		struct local_file *f = list_entry(dirty, struct local_file, dirty);
		f->is_synced |= f->pool == pool;
	}
}

int local_files_sync(struct local_files *files)
{
	for (int pool = 0; pool < STORE_POOLS_MAX; pool++)
		sync_whole(files, pool);
	int names = local_dirs_sync(&files->names), first = 0;
	list_each (node, &files->dirty) {
		struct local_file *f = list_entry(node, struct local_file, dirty);
		f->error = f->is_synced || fdatasync(f->fd) == 0 ? 0 : -errno;
		if (f->is_new && !f->error)
			f->error = names; /* which of the new names are lost nobody knows */
		if (!first)
			first = f->error;
	}
	return first;
}

int local_files_sync_names(struct local_files *files)
{
	return local_dirs_sync(&files->names);
}

void local_files_synced(struct local_files *files)
{
	list_each_safe (node, &files->dirty) {
		struct local_file *f = list_entry(node, struct local_file, dirty);
		list_remove(&f->dirty);
		f->is_dirty = f->is_synced = false;
		/* after a failed sync the kernel's copy of the bytes is not to be trusted */
		if (f->error)
			drop_file(files, f);
		else
			f->is_new = false;
	}
}

int local_files_unlink(struct local_files *files, const struct local_place *place)
{
	char path[LOCAL_PATH_MAX];
	struct local_file *f = find(files, place);
	if (f)
		close_file(files, f);
	local_path(path, place->name, place->file);
	int rc = local_dirs_note(&files->names, files->dirs[place->pool], path);
	if (!rc && unlinkat(files->dirs[place->pool], path, 0))
		rc = errno == ENOENT ? 0 : -errno;
	return rc;
}

int local_files_open_read(const struct local_files *files, const struct local_place *place)
{
	char path[LOCAL_PATH_MAX];
	local_path(path, place->name, place->file);
	int fd = openat(files->dirs[place->pool], path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
