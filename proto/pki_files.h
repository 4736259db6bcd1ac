/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a certificate authority: whole files written so that a crash leaves the old or
 * the new one, and the list of serial numbers. One process at a time works on it. Blocking. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/pki_x509.h"

struct pki_dir {
	int fd;    /* the directory, locked */
	char *why; /* words for a person go here */
	size_t why_size;
};

/* Opens and locks `path` (makes it when `make`); 0 or a negative code with words. */
int pki_dir_open(struct pki_dir *d, const char *path, bool make, char *why, size_t why_size);
void pki_dir_close(struct pki_dir *d);

/* Writes words and gives `code` back, so that a failure is one line. */
int pki_fail(struct pki_dir *d, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool pki_file_exists(struct pki_dir *d, const char *name);
/* The whole text of a file, at most 1 MiB; -ENOENT without words, others with. The caller's to
 * free(). */
int pki_file_read(struct pki_dir *d, const char *name, char **ret_text);
/* Replaces it whole, durably. */
int pki_file_write(struct pki_dir *d, const char *name, mode_t mode, const char *text);

/* One line of serials.txt: "serial name roles not-after valid|revoked [revoked-at]". */
struct pki_row {
	char serial[X509_SERIAL_MAX];
	char name[65];
	unsigned roles;
	int64_t to_s;
	bool revoked;
	int64_t revoked_at_s;
};
struct pki_rows {
	struct pki_row *rows;
	size_t count, size;
};
/* All rows; none when the file is not there. */
int pki_rows_read(struct pki_dir *d, struct pki_rows *ret_rows);
int pki_rows_add(struct pki_rows *rows, const struct pki_row *row);
int pki_rows_write(struct pki_dir *d, const struct pki_rows *rows);
void pki_rows_fini(struct pki_rows *rows);
