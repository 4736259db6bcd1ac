/* SPDX-License-Identifier: Apache-2.0 */
#include "client/spool_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/errors.h"

void segment_name(char to[SEGMENT_NAME_MAX], uint8_t lane, uint64_t id)
{
	snprintf(to, SEGMENT_NAME_MAX, "%s.%08llx", lane == LANE_LIVE ? "live" : "backfill",
		(unsigned long long)id & 0xffffffff);
}

void segment_free(struct spool_segment **slot)
{
	struct spool_segment *g = *slot;
	*slot = NULL;
	if (!g)
		return;
	list_remove(&g->node);
	if (g->fd >= 0)
		(void)close(g->fd); /* what had to be durable was synced */
	buf_unref(&g->init);
	free(g->entries);
	free(g);
}

static struct spool_segment *segment_new(uint64_t id)
{
	struct spool_segment *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	list_init(&g->node);
	g->fd = -1;
	g->id = id;
	return g;
}

/* Writes all of it at the end of the whole records, or leaves the file as it was. */
static int write_all(struct spool_segment *g, struct iovec *iov, int count)
{
	off_t at = (off_t)g->bytes;
	while (count > 0) {
		ssize_t n = pwritev(g->fd, iov, count, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int rc = n < 0 ? -errno : -EIO;
			/* what is beyond the last whole record is no harm: the next write covers
			 * it, a reader stops before it */
			(void)ftruncate(g->fd, (off_t)g->bytes);
			return rc;
		}
		at += n;
		for (; count > 0 && (size_t)n >= iov->iov_len; iov++, count--)
			n -= (ssize_t)iov->iov_len;
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	g->bytes = (uint64_t)at;
	g->unsynced = true;
	return 0;
}

int segment_create(const struct spool_dir *dir, uint8_t lane, uint64_t id, uint64_t first,
	struct spool_segment **ret_segment)
{
	struct spool_segment *g = segment_new(id);
	if (!g)
		return -ENOMEM;
	char name[SEGMENT_NAME_MAX];
	segment_name(name, lane, id);
	int rc = 0;
	g->first = first;
	g->fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (g->fd < 0) {
		rc = -errno;
		goto fail;
	}
	struct spool_header h = {.lane = lane, .id = id, .first = first};
	memcpy(h.stream, dir->stream, sizeof(h.stream));
	uint8_t bytes[SPOOL_HEADER_SIZE];
	spool_header_encode(&h, bytes);
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	rc = write_all(g, &iov, 1);
	if (rc == 0)
		rc = segment_sync(g);
	if (rc == 0 && fsync(dir->fd) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)unlinkat(dir->fd, name, 0); /* an empty file is no harm either */
		goto fail;
	}
	*ret_segment = g;
	return 0;
fail:
	segment_free(&g);
	return rc;
}

static int note_entry(struct spool_segment *g, uint64_t number, uint64_t offset)
{
	if (g->count == g->room) {
		uint32_t room = g->room ? 2 * g->room : 32;
		struct spool_entry *entries = realloc(g->entries, room * sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		g->entries = entries;
		g->room = room;
	}
	g->entries[g->count++] = (struct spool_entry){
		.number = number, .offset = (uint32_t)offset, .init = g->init_offset};
	return 0;
}

/* --- reading --- */

/* Exactly `len` bytes, or ERR_TRUNCATED. */
static int read_at(const struct spool_segment *g, uint64_t offset, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(g->fd, (char *)to + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return ERR_TRUNCATED;
		done += (size_t)n;
	}
	return 0;
}

static int read_record(
	const struct spool_segment *g, uint64_t offset, struct spool_record *ret_record)
{
	uint8_t bytes[SPOOL_RECORD_SIZE];
	int rc = read_at(g, offset, bytes, sizeof(bytes));
	return rc < 0 ? rc : spool_record_decode(bytes, sizeof(bytes), ret_record);
}

/* The header of a fragment's payload. */
static int read_header(const struct spool_segment *g, uint64_t offset, const struct spool_record *r,
	struct fragment_header *ret_header)
{
	uint8_t bytes[FRAGMENT_HEADER_SIZE];
	int rc = read_at(g, offset + SPOOL_RECORD_SIZE, bytes, sizeof(bytes));
	if (rc < 0)
		return rc;
	if (crc32c(0, bytes, sizeof(bytes)) != r->crc)
		return ERR_CHECKSUM;
	rc = fragment_header_decode(bytes, sizeof(bytes), ret_header);
	return rc == 0 && ret_header->body_len + FRAGMENT_HEADER_SIZE != r->len ? ERR_FORMAT : rc;
}

static int read_init(const struct spool_segment *g, uint64_t offset, struct buf **ret_init)
{
	struct spool_record r;
	int rc = offset ? read_record(g, offset, &r) : ERR_FORMAT;
	if (rc < 0)
		return rc;
	if (r.kind != SPOOL_INIT)
		return ERR_FORMAT;
	struct buf *init = buf_new(r.len);
	if (!init)
		return -ENOMEM;
	rc = read_at(g, offset + SPOOL_RECORD_SIZE, init->data, init->len);
	if (rc == 0 && crc32c(0, init->data, init->len) != r.crc)
		rc = ERR_CHECKSUM;
	if (rc < 0) {
		buf_unref(&init);
		return rc;
	}
	*ret_init = init;
	return 0;
}

/* Notes the record at the end of what is known; 1 when there is no whole one. */
static int scan_record(struct spool_segment *g, uint64_t size)
{
	struct spool_record r;
	int rc = read_record(g, g->bytes, &r);
	if (rc < 0)
		return rc == -EIO || rc == -ENOMEM ? rc : 1;
	if (g->bytes + SPOOL_RECORD_SIZE + r.len > size)
		return 1;
	if (r.kind == SPOOL_INIT) {
		g->init_offset = (uint32_t)g->bytes;
	} else {
		struct fragment_header h;
		uint64_t above = g->count ? g->entries[g->count - 1].number : g->first - 1;
		rc = r.number > above && g->init_offset ? read_header(g, g->bytes, &r, &h) : 1;
		if (rc)
			return rc == -EIO ? rc : 1;
		rc = note_entry(g, r.number, g->bytes);
		if (rc < 0)
			return rc;
	}
	g->bytes += SPOOL_RECORD_SIZE + r.len;
	return 0;
}

int segment_open(
	const struct spool_dir *dir, uint8_t lane, uint64_t id, struct spool_segment **ret_segment)
{
	struct spool_segment *g = segment_new(id);
	if (!g)
		return -ENOMEM;
	char name[SEGMENT_NAME_MAX];
	segment_name(name, lane, id);
	struct stat st;
	struct spool_header h;
	uint8_t bytes[SPOOL_HEADER_SIZE];
	int rc = 0;
	g->fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
	if (g->fd < 0 || fstat(g->fd, &st) < 0)
		rc = -errno;
	if (rc == 0)
		rc = read_at(g, 0, bytes, sizeof(bytes));
	if (rc == 0)
		rc = spool_header_decode(bytes, sizeof(bytes), &h);
	if (rc == 0 && (h.lane != lane || h.id != id || strcmp(h.stream, dir->stream) != 0))
		rc = ERR_FORMAT;
	if (rc == 0 && st.st_size > UINT32_MAX)
		rc = ERR_LIMIT;
	if (rc < 0)
		goto fail;
	g->first = h.first;
	g->bytes = SPOOL_HEADER_SIZE;
	while ((rc = scan_record(g, (uint64_t)st.st_size)) == 0)
		;
	if (rc < 0)
		goto fail;
	*ret_segment = g;
	return 0;
fail:
	segment_free(&g);
	return rc;
}

int segment_read(struct spool_segment *g, uint32_t index, struct item **ret_item)
{
	const struct spool_entry *e = &g->entries[index];
	struct spool_record r;
	struct fragment_header h;
	struct buf *init = NULL, *body = NULL;
	int rc = read_record(g, e->offset, &r);
	if (rc == 0 && (r.kind != SPOOL_FRAGMENT || r.number != e->number))
		rc = ERR_FORMAT;
	if (rc == 0)
		rc = read_header(g, e->offset, &r, &h);
	if (rc == 0)
		rc = read_init(g, e->init, &init);
	if (rc == 0 && !(body = buf_new(h.body_len)))
		rc = -ENOMEM;
	if (rc == 0)
		rc = read_at(g, e->offset + (uint64_t)SPOOL_RECORD_SIZE + FRAGMENT_HEADER_SIZE,
			body->data, body->len);
	if (rc == 0)
		rc = fragment_check_crc(&h, body->data);
	struct item *item = rc == 0 ? item_new(&h, init, body) : NULL;
	if (rc == 0 && !item)
		rc = -ENOMEM;
	if (item) {
		item->number = e->number;
		item->gap_cause = r.gap_cause;
		item->gap_from_us = r.gap_from_us;
		item->sealed = item->in_spool = true;
		*ret_item = item;
	}
	buf_unref(&init);
	buf_unref(&body);
	return rc;
}

uint64_t segment_entry_bytes(const struct spool_segment *g, uint32_t index)
{
	uint64_t end = index + 1 < g->count ? g->entries[index + 1].offset : g->bytes;
	return end - g->entries[index].offset;
}

/* --- writing --- */

static bool needs_init(const struct spool_segment *g, const struct item *item)
{
	return !g->init || (g->init != item->init &&
				   (g->init->len != item->init->len ||
					   memcmp(g->init->data, item->init->data, g->init->len)));
}

uint64_t segment_cost(const struct spool_segment *g, const struct item *item)
{
	uint64_t init = needs_init(g, item) ? SPOOL_RECORD_SIZE + item->init->len : 0;
	return init + SPOOL_RECORD_SIZE + FRAGMENT_HEADER_SIZE + item->body->len;
}

static int append_init(struct spool_segment *g, struct buf *init)
{
	struct spool_record r = {
		.kind = SPOOL_INIT,
		.len = (uint32_t)init->len,
		.crc = crc32c(0, init->data, init->len),
	};
	uint8_t record[SPOOL_RECORD_SIZE];
	spool_record_encode(&r, record);
	struct iovec iov[] = {{record, sizeof(record)}, {init->data, init->len}};
	uint64_t offset = g->bytes;
	int rc = write_all(g, iov, 2);
	if (rc < 0)
		return rc;
	g->init_offset = (uint32_t)offset;
	buf_unref(&g->init);
	g->init = buf_ref(init);
	return 0;
}

int segment_append(struct spool_segment *g, const struct item *item)
{
	int rc = needs_init(g, item) ? append_init(g, item->init) : 0;
	if (rc < 0)
		return rc;
	uint8_t header[FRAGMENT_HEADER_SIZE], record[SPOOL_RECORD_SIZE];
	fragment_header_encode(&item->header, header);
	struct spool_record r = {
		.kind = SPOOL_FRAGMENT,
		.gap_cause = item->gap_cause,
		.number = item->number,
		.gap_from_us = item->gap_from_us,
		.len = (uint32_t)(FRAGMENT_HEADER_SIZE + item->body->len),
		.crc = crc32c(0, header, sizeof(header)),
	};
	spool_record_encode(&r, record);
	uint64_t offset = g->bytes;
	rc = note_entry(g, item->number, offset);
	if (rc < 0)
		return rc;
	struct iovec iov[] = {{record, sizeof(record)}, {header, sizeof(header)},
		{item->body->data, item->body->len}};
	rc = write_all(g, iov, 3);
	if (rc < 0)
		g->count--;
	return rc;
}

int segment_sync(struct spool_segment *g)
{
	if (!g->unsynced)
		return 0;
	if (fdatasync(g->fd) < 0)
		return -errno;
	g->unsynced = false;
	return 0;
}
