/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"

#define MARK         "steppe-store"
#define MARK_TMP     "steppe-store.new"
#define MARK_MAX     256
#define MARGIN_LEAST ((uint64_t)1 << 20)
#define MARGIN_MOST  ((uint64_t)64 << 20)

/* What a store that was not finished may have left in a directory, or a file system may have put
 * there. */
static const char *const harmless[] = {
	".", "..", "lost+found", "lock", "kv.mdb", "kv.mdb-lock", "reserve", "data", MARK_TMP};

static int is_ours_to_take(const struct local_home *home, char *why, size_t why_size)
{
	int fd = openat(home->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		(void)snprintf(why, why_size, "cannot read %s: %s", home->path, err_text(rc));
		return rc;
	}
	const struct dirent *entry;
	const char *stranger = NULL;
	char name[256];
	while (!stranger && (entry = readdir(dir))) {
		size_t i = 0;
		while (i < ARRAY_LEN(harmless) && strcmp(entry->d_name, harmless[i]) != 0)
			i++;
		if (i == ARRAY_LEN(harmless)) {
			(void)snprintf(name, sizeof(name), "%s", entry->d_name);
			stranger = name;
		}
	}
	closedir(dir);
	if (!stranger)
		return 0;
	(void)snprintf(why, why_size,
		"%s is no Steppe store and not empty (it has \"%s\"): name an empty or a new "
		"directory",
		home->path, stranger);
	return ERR_CONFIG;
}

static int take_lock(struct local_home *home, char *why, size_t why_size)
{
	char pid[32] = "";
	home->lock = openat(home->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (home->lock < 0) {
		int rc = -errno;
		(void)snprintf(why, why_size, "cannot write in %s: %s", home->path, err_text(rc));
		return rc;
	}
	if (flock(home->lock, LOCK_EX | LOCK_NB)) {
		int rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		ssize_t n = pread(home->lock, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? strcspn(pid, "\n") : 0] = 0;
		(void)snprintf(why, why_size,
			"%s is in use by process %s: a local store belongs to one daemon",
			home->path, pid[0] ? pid : "(unknown)");
		return rc;
	}
	int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* the number is for people; the lock holds without it */
	if (ftruncate(home->lock, 0) == 0)
		(void)!pwrite(home->lock, pid, (size_t)len, 0);
	return 0;
}

static int open_dir(struct local_home *home, char *why, size_t why_size)
{
	if (home->path[0] != '/') {
		(void)snprintf(why, why_size,
			"the store's directory should begin with a slash: file:///srv/video, not "
			"\"%s\"",
			home->path);
		return ERR_CONFIG;
	}
	bool made = mkdir(home->path, 0750) == 0;
	home->dir =
		made || errno == EEXIST ? open(home->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (home->dir >= 0)
		return 0;
	int rc = -errno;
	(void)snprintf(why, why_size, "cannot open %s: %s", home->path,
		rc == -ENOENT ? "the directory above it does not exist" : err_text(rc));
	return rc;
}

static int open_data(struct local_home *home, char *why, size_t why_size)
{
	if (mkdirat(home->dir, "data", 0750) && errno != EEXIST)
		goto fail;
	home->data = openat(home->dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* both names must last before anything below them does */
	if (home->data >= 0 && fsync(home->data) == 0 && fsync(home->dir) == 0)
		return 0;
fail:;
	int rc = -errno;
	(void)snprintf(why, why_size, "cannot use %s/data: %s", home->path, err_text(rc));
	return rc;
}

int local_home_open(struct local_home *home, const char *path, int pool, char *why, size_t why_size)
{
	*home = (struct local_home){.path = path, .dir = -1, .data = -1, .lock = -1, .pool = pool};
	int rc = open_dir(home, why, why_size);
	if (!rc) {
		home->is_new = faccessat(home->dir, MARK, F_OK, 0) != 0;
		if (home->is_new)
			rc = is_ours_to_take(home, why, why_size);
	}
	if (!rc)
		rc = take_lock(home, why, why_size);
	if (!rc)
		rc = open_data(home, why, why_size);
	if (rc)
		local_home_close(home);
	return rc;
}

void local_home_close(struct local_home *home)
{
	int *const fds[] = {&home->data, &home->lock, &home->dir};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int mark_text(const struct local_home *home, const uint8_t id[16], char text[MARK_MAX])
{
	char hex[33];
	for (int i = 0; i < 16; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", id[i]);
	return snprintf(text, MARK_MAX, "steppe local store\nlevel 1\nstore %s\npool %d\n", hex,
		home->pool);
}

static int write_mark(struct local_home *home, const char *text, size_t len)
{
	int fd = openat(home->dir, MARK_TMP, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, len);
	int rc = n == (ssize_t)len && fsync(fd) == 0 ? 0
		 : n < 0 || n == (ssize_t)len        ? -errno
						     : -ENOSPC;
	close(fd);
	if (!rc && (renameat(home->dir, MARK_TMP, home->dir, MARK) || fsync(home->dir)))
		rc = -errno;
	return rc;
}

int local_home_claim(struct local_home *home, const uint8_t id[16], char *why, size_t why_size)
{
	char mine[MARK_MAX], found[MARK_MAX] = "";
	int len = mark_text(home, id, mine);
	if (home->is_new) {
		int rc = write_mark(home, mine, (size_t)len);
		if (rc)
			(void)snprintf(
				why, why_size, "cannot mark %s: %s", home->path, err_text(rc));
		return rc;
	}
	int fd = openat(home->dir, MARK, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);
	if (fd >= 0)
		close(fd);
	if (n == len && strcmp(found, mine) == 0)
		return 0;
	bool known = strncmp(found, "steppe local store\nlevel 1\n", 27) == 0;
	(void)snprintf(why, why_size,
		known ? "%s belongs to another store or another pool: see its file " MARK
		      : "%s has a file " MARK " that this program does not understand",
		home->path);
	return known ? ERR_CONFIG : ERR_VERSION;
}

int local_home_space(const struct local_home *home, uint64_t *ret_total, uint64_t *ret_free)
{
	struct statvfs fs;
	if (fstatvfs(home->dir, &fs))
		return -errno;
	*ret_total = (uint64_t)fs.f_blocks * fs.f_frsize;
	*ret_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

uint64_t local_home_room(const struct local_home *home)
{
	uint64_t total = 0, available = 0;
	if (local_home_space(home, &total, &available))
		return UINT64_MAX; /* the writes themselves will tell */
	uint64_t margin = total / 64;
	if (margin < MARGIN_LEAST)
		margin = MARGIN_LEAST;
	if (margin > MARGIN_MOST)
		margin = MARGIN_MOST;
	return available > margin ? available - margin : 0;
}

bool local_home_release_reserve(struct local_home *home)
{
	struct stat st;
	if (fstatat(home->dir, "reserve", &st, 0) || st.st_size == 0)
		return false;
	return unlinkat(home->dir, "reserve", 0) == 0 && fsync(home->dir) == 0;
}

/* Written out, with bytes that no file system compresses or leaves out. */
static bool fill(int fd)
{
	uint64_t block[8192], x = UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = 0; i < ARRAY_LEN(block); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		block[i] = x;
	}
	for (uint64_t at = 0; at < LOCAL_RESERVE; at += sizeof(block)) {
		block[0] = at;
		if (pwrite(fd, block, sizeof(block), (off_t)at) != (ssize_t)sizeof(block))
			return false;
	}
	return true;
}

void local_home_make_reserve(struct local_home *home)
{
	struct stat st;
	if (fstatat(home->dir, "reserve", &st, 0) == 0 && (uint64_t)st.st_size == LOCAL_RESERVE)
		return;
	int fd = openat(home->dir, "reserve", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return;
	bool filled = fill(fd);
	close(fd);
	if (!filled)
		(void)unlinkat(
			home->dir, "reserve", 0); /* half of it would be taken for the whole */
}
