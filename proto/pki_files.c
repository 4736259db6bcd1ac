/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pki_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/timetext.h"
#include "proto/channel.h"

#define SERIALS  "serials.txt"
#define FILE_MAX (1u << 20)
#define ROWS_MAX (64u << 20)

int pki_fail(struct pki_dir *d, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(d->why, d->why_size, format, args);
	va_end(args);
	return code;
}

int pki_dir_open(struct pki_dir *d, const char *path, bool make, char *why, size_t why_size)
{
	*d = (struct pki_dir){.fd = -1, .why = why, .why_size = why_size};
	if (make && mkdir(path, 0755) < 0 && errno != EEXIST)
		return pki_fail(d, -errno, "cannot make %s: %s", path, strerror(errno));
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return pki_fail(d, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(d->fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = pki_fail(d, -errno, "%s: another process is working on it", path);
		pki_dir_close(d);
		return rc;
	}
	return 0;
}

void pki_dir_close(struct pki_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

bool pki_file_exists(struct pki_dir *d, const char *name)
{
	struct stat st;
	return fstatat(d->fd, name, &st, 0) == 0;
}

static int read_whole(struct pki_dir *d, const char *name, size_t max, char **ret_text)
{
	int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
			       ? -ENOENT
			       : pki_fail(d, -errno, "cannot open %s: %s", name, strerror(errno));
	struct stat st;
	char *text = NULL;
	size_t at = 0;
	int rc = fstat(fd, &st) < 0 ? -errno : 0;
	if (!rc && (st.st_size < 0 || (uint64_t)st.st_size > max))
		rc = -EFBIG;
	if (!rc && !(text = malloc((size_t)st.st_size + 1)))
		rc = -ENOMEM;
	while (!rc && at < (size_t)st.st_size) {
		ssize_t n = read(fd, text + at, (size_t)st.st_size - at);
		if (n > 0)
			at += (size_t)n;
		else if (n == 0)
			break; /* cut short meanwhile: what is there is judged by who parses it */
		else if (errno != EINTR)
			rc = -errno;
	}
	close(fd);
	if (rc < 0) {
		free(text);
		return pki_fail(d, rc, "cannot read %s: %s", name, strerror(-rc));
	}
	text[at] = '\0';
	*ret_text = text;
	return 0;
}

int pki_file_read(struct pki_dir *d, const char *name, char **ret_text)
{
	return read_whole(d, name, FILE_MAX, ret_text);
}

static int write_all(int fd, const char *text)
{
	for (size_t len = strlen(text); len;) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int pki_file_write(struct pki_dir *d, const char *name, mode_t mode, const char *text)
{
	char part[96];
	snprintf(part, sizeof(part), ".%s.part", name);
	/* what a crash left is of nobody's use */
	(void)unlinkat(d->fd, part, 0);
	int fd = openat(d->fd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int rc = fd < 0 ? -errno : write_all(fd, text);
	if (fd >= 0 && close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && renameat(d->fd, part, d->fd, name) < 0)
		rc = -errno;
	if (!rc && fsync(d->fd) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)unlinkat(d->fd, part, 0);
		return pki_fail(d, rc, "cannot write %s: %s", name, strerror(-rc));
	}
	return 0;
}

/* --- serials.txt */

static unsigned roles_of(char *text)
{
	unsigned roles = 0;
	char *rest = NULL;
	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
		roles |= channel_role_of(word);
	return roles;
}

static int row_parse(char *line, struct pki_row *ret_row)
{
	char *rest = NULL, *field[6] = {NULL};
	int count = 0;
	for (char *word = strtok_r(line, " ", &rest); word && count < 6;
		word = strtok_r(NULL, " ", &rest))
		field[count++] = word;
	struct pki_row row = {0};
	struct wall to, at;
	if (count < 5 || strlen(field[0]) >= sizeof(row.serial) ||
		strlen(field[1]) >= sizeof(row.name) ||
		timetext_parse(field[3], (struct wall){0}, &to) < 0)
		return ERR_FORMAT;
	memcpy(row.serial, field[0], strlen(field[0]) + 1);
	memcpy(row.name, field[1], strlen(field[1]) + 1);
	row.roles = roles_of(field[2]);
	row.to_s = to.us / US_PER_SECOND;
	row.revoked = strcmp(field[4], "revoked") == 0;
	if (row.revoked) {
		if (count < 6 || timetext_parse(field[5], (struct wall){0}, &at) < 0)
			return ERR_FORMAT;
		row.revoked_at_s = at.us / US_PER_SECOND;
	} else if (strcmp(field[4], "valid") != 0) {
		return ERR_FORMAT;
	}
	*ret_row = row;
	return 0;
}

int pki_rows_add(struct pki_rows *rows, const struct pki_row *row)
{
	if (rows->count == rows->size) {
		size_t size = rows->size ? 2 * rows->size : 16;
		struct pki_row *more = realloc(rows->rows, size * sizeof(*more));
		if (!more)
			return -ENOMEM;
		rows->rows = more;
		rows->size = size;
	}
	rows->rows[rows->count++] = *row;
	return 0;
}

int pki_rows_read(struct pki_dir *d, struct pki_rows *ret_rows)
{
	struct pki_rows rows = {0};
	char *text = NULL, *rest = NULL;
	int rc = read_whole(d, SERIALS, ROWS_MAX, &text), number = 0;
	if (rc == -ENOENT) {
		*ret_rows = rows;
		return 0;
	}
	if (rc < 0)
		return rc;
	for (char *line = strtok_r(text, "\n", &rest); line && !rc;
		line = strtok_r(NULL, "\n", &rest)) {
		struct pki_row row;
		number++;
		if (line[0] == '#')
			continue;
		rc = row_parse(line, &row);
		if (rc < 0)
			pki_fail(d, rc, "%s line %d is not a certificate's", SERIALS, number);
		else if ((rc = pki_rows_add(&rows, &row)) < 0)
			pki_fail(d, rc, "memory is short");
	}
	free(text);
	if (rc < 0)
		pki_rows_fini(&rows);
	else
		*ret_rows = rows;
	return rc;
}

static void row_print(FILE *out, const struct pki_row *row)
{
	char roles[CHANNEL_ROLES_TEXT], to[TIMETEXT_MAX], at[TIMETEXT_MAX];
	channel_roles_text(row->roles, roles);
	timetext_format((struct wall){row->to_s * US_PER_SECOND}, true, to);
	fprintf(out, "%s %s %s %s ", row->serial, row->name, roles, to);
	if (row->revoked) {
		timetext_format((struct wall){row->revoked_at_s * US_PER_SECOND}, true, at);
		fprintf(out, "revoked %s\n", at);
	} else {
		fprintf(out, "valid\n");
	}
}

int pki_rows_write(struct pki_dir *d, const struct pki_rows *rows)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return pki_fail(d, -ENOMEM, "memory is short");
	fprintf(out,
		"# serial name roles not-after state; every certificate this CA ever signed\n");
	for (size_t i = 0; i < rows->count; i++)
		row_print(out, &rows->rows[i]);
	int rc = fclose(out) == 0 ? pki_file_write(d, SERIALS, 0644, text)
				  : pki_fail(d, -ENOMEM, "memory is short");
	free(text);
	return rc;
}

void pki_rows_fini(struct pki_rows *rows)
{
	free(rows->rows);
	*rows = (struct pki_rows){0};
}
