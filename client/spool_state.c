/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/errors.h"
#include "client/spool.h"

/* Opens DIR/camera@profile, which '@' keeps apart from any other stream's. */
static int open_folder(const char *dir, const char *stream, int *ret_fd)
{
	char name[STREAM_NAME_MAX + 1];
	snprintf(name, sizeof(name), "%s", stream);
	char *slash = strchr(name, '/');
	if (!slash)
		return -EINVAL;
	*slash = '@';
	int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return -errno;
	int rc = mkdirat(top, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
	int fd = rc ? -1 : openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!rc && fd < 0)
		rc = -errno;
	if (!rc && fsync(top) < 0)
		rc = -errno;
	(void)close(top); /* it was only read */
	if (rc) {
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static int open_state(struct spool_dir *d)
{
	d->state_fd = openat(d->fd, "state", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->state_fd < 0)
		return -errno;
	if (flock(d->state_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

/* The newer of the two slots; a state that cannot be read is a new one: its sessions are then new
 * to the daemon as well. */
static int read_state(struct spool_dir *d, const uint64_t fresh[LANES])
{
	uint8_t bytes[2 * SPOOL_STATE_SLOT];
	ssize_t n = pread(d->state_fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		return -errno;
	bool found = false;
	for (size_t i = 0; i < 2; i++) {
		struct spool_state s;
		size_t at = i * SPOOL_STATE_SLOT;
		size_t len = (size_t)n > at ? (size_t)n - at : 0;
		int rc = spool_state_decode(bytes + at, len, &s);
		if (rc == ERR_VERSION)
			return rc; /* a newer program's: not to be overwritten */
		if (rc == 0 && (!found || s.generation > d->state.generation)) {
			d->state = s;
			found = true;
		}
	}
	if (found)
		return 0;
	d->state = (struct spool_state){.captured_until_us = -1};
	for (size_t i = 0; i < LANES; i++)
		d->state.lane[i].session = fresh[i];
	return spool_dir_save(d);
}

int spool_dir_open(
	const char *dir, const char *stream, const uint64_t fresh[LANES], struct spool_dir *ret_dir)
{
	struct spool_dir d = {.fd = -1, .state_fd = -1};
	snprintf(d.stream, sizeof(d.stream), "%s", stream);
	int rc = open_folder(dir, stream, &d.fd);
	if (rc == 0)
		rc = open_state(&d);
	if (rc == 0)
		rc = read_state(&d, fresh);
	if (rc == 0 && fsync(d.fd) < 0)
		rc = -errno;
	if (rc < 0) {
		spool_dir_close(&d);
		return rc;
	}
	*ret_dir = d;
	return 0;
}

/* The kernel's list of locks, a line each:
 *	1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF */
static pid_t lock_holder(const struct stat *file)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	pid_t holder = 0;
	while (locks && !holder && fgets(line, sizeof(line), locks)) {
		long pid;
		unsigned major, minor;
		unsigned long long inode;
		if (sscanf(line, "%*d: FLOCK %*s WRITE %ld %x:%x:%llu", &pid, &major, &minor,
			    &inode) == 4 &&
			pid > 0 && makedev(major, minor) == file->st_dev && inode == file->st_ino)
			holder = (pid_t)pid;
	}
	if (locks)
		(void)fclose(locks); /* it was only read */
	return holder;
}

pid_t spool_dir_holder(const char *dir, const char *stream)
{
	struct stat file;
	int fd;
	if (open_folder(dir, stream, &fd) < 0)
		return 0;
	bool found = fstatat(fd, "state", &file, 0) == 0;
	(void)close(fd); /* it was only read */
	return found ? lock_holder(&file) : 0;
}

int spool_dir_save(struct spool_dir *d)
{
	uint8_t bytes[SPOOL_STATE_SIZE];
	d->state.generation++;
	spool_state_encode(&d->state, bytes);
	off_t at = d->state.generation % 2 ? SPOOL_STATE_SLOT : 0;
	ssize_t n = pwrite(d->state_fd, bytes, sizeof(bytes), at);
	if (n != (ssize_t)sizeof(bytes))
		return n < 0 ? -errno : -EIO;
	return fdatasync(d->state_fd) < 0 ? -errno : 0;
}

void spool_dir_close(struct spool_dir *d)
{
	/* read only, or synced already: closing loses nothing; the lock goes with the descriptor */
	if (d->state_fd >= 0)
		(void)close(d->state_fd);
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = d->state_fd = -1;
}
