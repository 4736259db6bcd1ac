/* SPDX-License-Identifier: Apache-2.0 */
/* A file that appears whole or not at all: written beside its name, hashed on the way, then
 * renamed. Or standard output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/digest.h"

struct outfile {
	uint64_t bytes;
	uint8_t sha256[32]; /* after outfile_commit */
	/* private */
	int fd;
	bool to_stdout;
	char *path, *part;
	struct digest digest;
};

/* "-": standard output. 0; -EEXIST when the file is there and not `force`; other -errno. */
int outfile_open(struct outfile *f, const char *path, bool force);
int outfile_write(struct outfile *f, const void *data, size_t len);
/* Makes it durable and gives it its name. 0 or -errno: then nothing is left. */
int outfile_commit(struct outfile *f);
/* Throws away what was not committed; harmless after that and on a zeroed one. */
void outfile_drop(struct outfile *f);

/* "case.mp4" and 2 give "case.2.mp4"; number 0 leaves it. Gives a string to be freed, NULL when
 * memory is short. */
char *outfile_numbered(const char *path, unsigned number);
/* The SHA-256 and length of a file that is there; 0 or -errno. `each` (may be NULL) is told how far
 * it is. */
int outfile_hash(const char *path, uint8_t ret_sha256[32], uint64_t *ret_bytes,
	void (*each)(void *user, uint64_t done), void *user);
