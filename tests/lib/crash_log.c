/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/crash_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/lib/crash_disk.h"

#define SECTOR 512
#define NEVER  SIZE_MAX

enum kind { WRITE, TRUNCATE, LINK, UNLINK, SYNC };

/* One recorded change. */
struct thing {
	enum kind kind;
	int inode; /* of the file written, or the directory whose names change, or what was synced
		    */
	size_t safe_at; /* number of the sync after which it cannot be lost */
	uint64_t offset, len;
	uint8_t *data;  /* WRITE */
	char name[256]; /* LINK, UNLINK */
	int target;     /* LINK */
};

struct inode {
	bool is_dir;
	char path[512];
};

/* A name in a directory. */
struct name {
	int dir, target;
	char text[256];
};

static struct {
	bool watching;
	char root[512];
	const char *const *ignored;
	struct thing *things;
	size_t length, size;
	struct inode *inodes;
	int inode_count, inode_size;
	struct name *names; /* as the program sees them */
	int name_count, name_size;
} recorded;

static int inode_new(bool is_dir, const char *path)
{
	if (recorded.inode_count == recorded.inode_size) {
		recorded.inode_size = recorded.inode_size ? 2 * recorded.inode_size : 64;
		recorded.inodes = realloc(
			recorded.inodes, (size_t)recorded.inode_size * sizeof(*recorded.inodes));
		CHECK(recorded.inodes);
	}
	struct inode *inode = &recorded.inodes[recorded.inode_count];
	inode->is_dir = is_dir;
	(void)snprintf(inode->path, sizeof(inode->path), "%s", path);
	return recorded.inode_count++;
}

static struct thing *record(enum kind kind, int inode)
{
	if (recorded.length == recorded.size) {
		recorded.size = recorded.size ? 2 * recorded.size : 1024;
		recorded.things =
			realloc(recorded.things, recorded.size * sizeof(*recorded.things));
		CHECK(recorded.things);
	}
	struct thing *t = &recorded.things[recorded.length++];
	*t = (struct thing){.kind = kind, .inode = inode, .safe_at = NEVER};
	return t;
}

void crash_disk_forget(void)
{
	for (size_t i = 0; i < recorded.length; i++)
		free(recorded.things[i].data);
	free(recorded.things);
	free(recorded.inodes);
	free(recorded.names);
	memset(&recorded, 0, sizeof(recorded));
}

void crash_disk_watch(const char *root, const char *const *ignored)
{
	crash_disk_forget();
	(void)snprintf(recorded.root, sizeof(recorded.root), "%s", root);
	recorded.ignored = ignored;
	(void)inode_new(true, ".");
	recorded.watching = true;
}

void crash_log_stop(void)
{
	recorded.watching = false;
}

int crash_log_root(void)
{
	return recorded.watching ? 0 : -1;
}

size_t crash_log_length(void)
{
	return recorded.length;
}

const char *crash_log_path(int inode)
{
	return inode < 0 ? "" : recorded.inodes[inode].path;
}

static bool is_ignored(const char *name)
{
	for (size_t i = 0; recorded.ignored && recorded.ignored[i]; i++)
		if (strcmp(recorded.ignored[i], name) == 0)
			return true;
	return false;
}

const char *crash_log_below_root(const char *path)
{
	size_t len = strlen(recorded.root);
	if (!recorded.watching || strncmp(path, recorded.root, len) != 0)
		return NULL;
	if (path[len] == 0)
		return ".";
	return path[len] == '/' ? path + len + 1 : NULL;
}

static struct name *find_name(int dir, const char *text, size_t len)
{
	for (int i = 0; i < recorded.name_count; i++) {
		struct name *n = &recorded.names[i];
		if (n->dir == dir && strlen(n->text) == len && memcmp(n->text, text, len) == 0)
			return n;
	}
	return NULL;
}

/* The directory in which the last component of *path is a name; *path becomes that name. */
static int parent_of(int dir, const char **path)
{
	for (const char *slash; (slash = strchr(*path, '/')); *path = slash + 1) {
		const struct name *n = find_name(dir, *path, (size_t)(slash - *path));
		if (!n)
			return -1;
		dir = n->target;
	}
	return dir;
}

int crash_log_find(int dir, const char *path)
{
	if (strcmp(path, ".") == 0)
		return dir;
	dir = parent_of(dir, &path);
	const struct name *n = dir < 0 ? NULL : find_name(dir, path, strlen(path));
	return n ? n->target : -1;
}

static void set_name(int dir, const char *text, int target)
{
	struct name *n = find_name(dir, text, strlen(text));
	if (!n) {
		if (recorded.name_count == recorded.name_size) {
			recorded.name_size = recorded.name_size ? 2 * recorded.name_size : 64;
			recorded.names = realloc(recorded.names,
				(size_t)recorded.name_size * sizeof(*recorded.names));
			CHECK(recorded.names);
		}
		n = &recorded.names[recorded.name_count++];
		n->dir = dir;
		(void)snprintf(n->text, sizeof(n->text), "%s", text);
	}
	n->target = target;
}

static void record_name(enum kind kind, int dir, const char *text, int target)
{
	struct thing *t = record(kind, dir);
	(void)snprintf(t->name, sizeof(t->name), "%s", text);
	t->target = target;
}

int crash_log_make(int dir, const char *path, bool is_dir)
{
	const char *name = path;
	dir = parent_of(dir, &name);
	if (dir < 0 || is_ignored(name))
		return -1;
	int inode = inode_new(is_dir, path);
	set_name(dir, name, inode);
	record_name(LINK, dir, name, inode);
	return inode;
}

void crash_log_unlink(int dir, const char *path)
{
	dir = parent_of(dir, &path);
	struct name *n = dir < 0 ? NULL : find_name(dir, path, strlen(path));
	if (!n)
		return;
	record_name(UNLINK, dir, path, -1);
	*n = recorded.names[--recorded.name_count];
}

void crash_log_rename(int dir, const char *from, const char *to)
{
	int inode = crash_log_find(dir, from);
	CHECK(inode >= 0);
	struct name *n = find_name(dir, from, strlen(from));
	*n = recorded.names[--recorded.name_count];
	set_name(dir, to, inode);
	/* a file system does both at once or nothing: the old name is only missed by what reads it */
	record_name(LINK, dir, to, inode);
}

void crash_log_write(int inode, const struct iovec *iov, size_t len, uint64_t offset, bool synced)
{
	if (!recorded.watching)
		return;
	struct thing *t = record(WRITE, inode);
	t->offset = offset;
	t->len = len;
	t->data = malloc(len);
	CHECK(t->data);
	for (size_t done = 0; done < len; iov++) {
		size_t n = iov->iov_len < len - done ? iov->iov_len : len - done;
		memcpy(t->data + done, iov->iov_base, n);
		done += n;
	}
	if (synced)
		t->safe_at = recorded.length - 1;
}

void crash_log_truncate(int inode, uint64_t len)
{
	if (recorded.watching)
		record(TRUNCATE, inode)->len = len;
}

void crash_log_sync(int inode, size_t before)
{
	if (!recorded.watching)
		return;
	size_t number = recorded.length;
	(void)record(SYNC, inode);
	for (size_t i = 0; i < before; i++) {
		struct thing *t = &recorded.things[i];
		if ((inode < 0 || t->inode == inode) && t->safe_at == NEVER)
			t->safe_at = number;
	}
}

/* Building: the same tree again, from what is left. */

struct built {
	uint8_t *data;
	uint64_t len, room;
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void set_length(struct built *f, uint64_t len)
{
	if (len > f->room) {
		f->room = len + len / 2;
		f->data = realloc(f->data, f->room);
		CHECK(f->data);
	}
	if (len > f->len)
		memset(f->data + f->len, 0, len - f->len);
	f->len = len;
}

static void put(struct built *f, const struct thing *t, uint64_t from, uint64_t len)
{
	if (f->len < from + len)
		set_length(f, from + len);
	if (len)
		memcpy(f->data + from, t->data + (from - t->offset), len);
}

/* Some sectors of a write; those missing have what was there, or behind the old end nothing or
 * junk. */
static void put_torn(struct built *f, const struct thing *t, uint64_t *random)
{
	uint64_t end = t->offset + t->len, old = f->len;
	for (uint64_t at = t->offset; at < end;) {
		uint64_t next = (at / SECTOR + 1) * SECTOR;
		uint64_t len = (next < end ? next : end) - at;
		uint64_t dice = next_random(random) % 4;
		if (dice < 2) {
			put(f, t, at, len);
		} else if (dice == 2 && at >= old) {
			if (f->len < at + len)
				set_length(f, at + len);
			memset(f->data + at, (int)(next_random(random) & 0xff), len);
		}
		at += len;
	}
}

static void apply(struct built *files, const struct thing *t, bool torn, uint64_t *random)
{
	switch (t->kind) {
	case WRITE:
		if (torn)
			put_torn(&files[t->inode], t, random);
		else
			put(&files[t->inode], t, t->offset, t->len);
		break;
	case TRUNCATE:
		set_length(&files[t->inode], t->len);
		break;
	case LINK:
		set_name(t->inode, t->name, t->target);
		break;
	case UNLINK: {
		struct name *n = find_name(t->inode, t->name, strlen(t->name));
		if (n)
			*n = recorded.names[--recorded.name_count];
		break;
	}
	case SYNC:
		break;
	}
}

static void put_file(int to, const char *name, const struct built *f)
{
	int fd = openat(to, name, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	CHECK(fd >= 0);
	for (uint64_t done = 0; done < f->len;) {
		ssize_t n = pwrite(fd, f->data + done, f->len - done, (off_t)done);
		CHECK(n > 0);
		done += (uint64_t)n;
	}
	close(fd);
}

static void put_dir(int to, int dir, const struct built *files)
{
	for (int i = 0; i < recorded.name_count; i++) {
		const struct name *n = &recorded.names[i];
		if (n->dir != dir)
			continue;
		if (!recorded.inodes[n->target].is_dir) {
			put_file(to, n->text, &files[n->target]);
			continue;
		}
		CHECK(mkdirat(to, n->text, 0750) == 0);
		int fd = openat(to, n->text, O_RDONLY | O_DIRECTORY);
		CHECK(fd >= 0);
		put_dir(fd, n->target, files);
		close(fd);
	}
}

void crash_disk_build(size_t position, enum crash_mode mode, uint64_t seed, const char *to)
{
	CHECK(!recorded.watching && position <= recorded.length);
	struct built *files = calloc((size_t)recorded.inode_count, sizeof(*files));
	uint64_t random = seed;
	CHECK(files);
	recorded.name_count = 0;
	for (size_t i = 0; i < position; i++) {
		const struct thing *t = &recorded.things[i];
		uint64_t dice = next_random(&random) % 3;
		bool safe = t->safe_at < position;
		if (safe || mode == CRASH_KEEP || (mode == CRASH_REORDER && dice))
			apply(files, t, !safe && mode == CRASH_REORDER && dice == 2, &random);
	}
	int fd = open(to, O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	put_dir(fd, 0, files);
	close(fd);
	for (int i = 0; i < recorded.inode_count; i++)
		free(files[i].data);
	free(files);
}
