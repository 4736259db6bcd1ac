/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails, to be preloaded: while the file named by $BAD_DISK is there, calls on files whose
 * path holds $BAD_DISK_PART fail with EIO: writes and syncs, or also reads when the file says "read". */
#undef _FILE_OFFSET_BITS /* both names of each call are wanted here */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_bad(int fd, bool reading)
{
	const char *flag = getenv("BAD_DISK"), *part = getenv("BAD_DISK_PART");
	char link[64], path[4096], words[16] = "";
	if (!flag || access(flag, F_OK) != 0)
		return false;
	if (reading) {
		int file = open(flag, O_RDONLY | O_CLOEXEC);
		ssize_t (*real_read)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
		bool fails = file >= 0 && real_read(file, words, sizeof(words) - 1) > 0 &&
			     strncmp(words, "read", 4) == 0;
		if (file >= 0)
			close(file);
		if (!fails)
			return false;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return false;
	path[len] = '\0';
	return !part || strstr(path, part);
}

/* The call of the C library under this name; each is looked up when it is needed, threads may race to
 * the same answer. */
#define SEEN __attribute__((visibility("default")))
#define FAILING(type, name, reading, params, args)                                                 \
	SEEN type name params                                                                      \
	{                                                                                          \
		type(*real) params = (type(*) params)dlsym(RTLD_NEXT, #name);                      \
		if (is_bad(fd, reading)) {                                                         \
			errno = EIO;                                                               \
			return -1;                                                                 \
		}                                                                                  \
		return real args;                                                                  \
	}

FAILING(ssize_t, pwritev, false, (int fd, const struct iovec *iov, int count, off_t offset),
	(fd, iov, count, offset))
FAILING(ssize_t, pwritev64, false, (int fd, const struct iovec *iov, int count, off64_t offset),
	(fd, iov, count, offset))
FAILING(ssize_t, pwrite, false, (int fd, const void *data, size_t len, off_t offset),
	(fd, data, len, offset))
FAILING(ssize_t, pwrite64, false, (int fd, const void *data, size_t len, off64_t offset),
	(fd, data, len, offset))
FAILING(ssize_t, writev, false, (int fd, const struct iovec *iov, int count), (fd, iov, count))
FAILING(int, fdatasync, false, (int fd), (fd))
FAILING(int, fsync, false, (int fd), (fd))
FAILING(int, syncfs, false, (int fd), (fd))
FAILING(ssize_t, pread, true, (int fd, void *to, size_t len, off_t offset), (fd, to, len, offset))
FAILING(ssize_t, pread64, true, (int fd, void *to, size_t len, off64_t offset),
	(fd, to, len, offset))
FAILING(ssize_t, preadv, true, (int fd, const struct iovec *iov, int count, off_t offset),
	(fd, iov, count, offset))
