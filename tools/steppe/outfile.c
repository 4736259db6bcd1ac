/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_BYTES (1u << 20)

int outfile_open(struct outfile *f, const char *path, bool force)
{
	*f = (struct outfile){.fd = -1};
	if (strcmp(path, "-") == 0) {
		f->to_stdout = true;
		f->fd = STDOUT_FILENO;
		digest_start(&f->digest);
		return 0;
	}
	if (!force && access(path, F_OK) == 0)
		return -EEXIST;
	f->path = strdup(path);
	if (!f->path || asprintf(&f->part, "%s.part", path) < 0) {
		free(f->path);
		*f = (struct outfile){.fd = -1};
		return -ENOMEM;
	}
	f->fd = open(f->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (f->fd < 0) {
		int error = -errno;
		outfile_drop(f);
		return error;
	}
	digest_start(&f->digest);
	return 0;
}

int outfile_write(struct outfile *f, const void *data, size_t len)
{
	const char *p = data;
	digest_add(&f->digest, data, len);
	f->bytes += len;
	while (len > 0) {
		ssize_t n = write(f->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The directory's entry must be durable too. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(dir);
	if (fd < 0)
		return -errno;
	int error = fsync(fd) && errno != EINVAL ? -errno : 0;
	close(fd);
	return error;
}

int outfile_commit(struct outfile *f)
{
	int error = digest_finish(&f->digest, f->sha256);
	f->digest = (struct digest){NULL};
	if (!error && !f->to_stdout) {
		if (fsync(f->fd) || rename(f->part, f->path))
			error = -errno;
		else
			error = sync_directory(f->path);
	}
	if (!error) {
		free(f->part);
		f->part = NULL;
	}
	outfile_drop(f);
	return error;
}

void outfile_drop(struct outfile *f)
{
	uint8_t unused[32];
	if (f->digest.context)
		(void)digest_finish(&f->digest, unused); /* only to free it */
	f->digest = (struct digest){NULL};
	if (f->path && f->fd >= 0)
		close(f->fd);
	if (f->part)
		unlink(f->part);
	free(f->part);
	free(f->path);
	f->part = f->path = NULL;
	f->fd = -1;
}

char *outfile_numbered(const char *path, unsigned number)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	char *out = NULL;
	if (number == 0)
		return strdup(path);
	if (!dot || (slash && dot < slash))
		dot = path + strlen(path);
	return asprintf(&out, "%.*s.%u%s", (int)(dot - path), path, number, dot) < 0 ? NULL : out;
}

int outfile_hash(const char *path, uint8_t ret_sha256[32], uint64_t *ret_bytes,
	void (*each)(void *user, uint64_t done), void *user)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	char *data = malloc(HASH_BYTES);
	struct digest d;
	uint64_t bytes = 0;
	ssize_t n = -1;
	digest_start(&d);
	while (data && (n = read(fd, data, HASH_BYTES)) > 0) {
		digest_add(&d, data, (size_t)n);
		bytes += (uint64_t)n;
		if (each)
			each(user, bytes);
	}
	int error = !data ? -ENOMEM : n < 0 ? -errno : 0;
	int digest_error = digest_finish(&d, ret_sha256);
	free(data);
	close(fd);
	if (!error && !digest_error)
		*ret_bytes = bytes;
	return error ? error : digest_error;
}
