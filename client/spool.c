/* SPDX-License-Identifier: Apache-2.0 */
#include "client/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/errors.h"
#include "client/spool_segment.h"

#define SEGMENT_BYTES (UINT64_C(16) << 20)

struct spool {
	const struct spool_dir *dir;
	uint8_t lane;
	uint64_t segment_bytes;
	struct list segments;          /* by id; those of an earlier program are only read */
	struct spool_segment *writing; /* the last one, or NULL: the next append makes it */
	uint64_t last_id;
	uint64_t dropped; /* delivered up to this number */
	struct spool_extent extent;
};

static int name_to_id(const char *name, uint8_t lane, uint64_t *ret_id)
{
	char expected[SEGMENT_NAME_MAX];
	const char *dot = strchr(name, '.');
	if (!dot || strlen(dot + 1) != 8)
		return -EINVAL;
	char *end;
	uint64_t id = strtoull(dot + 1, &end, 16);
	segment_name(expected, lane, id);
	if (*end || id == 0 || strcmp(name, expected) != 0)
		return -EINVAL;
	*ret_id = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* The ids of the lane's files, ascending. */
static int list_ids(const struct spool *s, uint64_t **ret_ids, size_t *ret_count)
{
	/* a descriptor of its own: closedir closes it */
	int fd = openat(s->dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int rc = -errno;
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	uint64_t *ids = NULL;
	size_t count = 0, room = 0;
	int rc = 0;
	struct dirent *e;
	while (rc == 0 && (errno = 0, e = readdir(dir))) {
		uint64_t id;
		if (name_to_id(e->d_name, s->lane, &id) < 0)
			continue;
		if (count == room) {
			room = room ? 2 * room : 16;
			uint64_t *more = realloc(ids, room * sizeof(*ids));
			if (!more) {
				rc = -ENOMEM;
				break;
			}
			ids = more;
		}
		ids[count++] = id;
	}
	if (rc == 0 && errno)
		rc = -errno;
	(void)closedir(dir); /* it was only read */
	if (rc < 0) {
		free(ids);
		return rc;
	}
	if (count)
		qsort(ids, count, sizeof(*ids), compare_ids);
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

static struct spool_segment *segment_of(struct list *node)
{
	return list_entry(node, struct spool_segment, node);
}

/* Counts anew what is not delivered. */
static void measure(struct spool *s)
{
	struct spool_extent x = {.next = s->extent.next};
	list_each (node, &s->segments) {
		const struct spool_segment *g = segment_of(node);
		x.disk_bytes += g->bytes;
		for (uint32_t i = 0; i < g->count; i++) {
			if (g->entries[i].number <= s->dropped)
				continue;
			if (x.count++ == 0)
				x.first = g->entries[i].number;
			x.last = g->entries[i].number;
			x.bytes += segment_entry_bytes(g, i);
		}
	}
	s->extent = x;
}

static void remove_file(struct spool *s, struct spool_segment *g)
{
	char name[SEGMENT_NAME_MAX];
	segment_name(name, s->lane, g->id);
	/* one that stays is delivered once more by the next program, which the daemon sees by its
	 * numbers */
	(void)unlinkat(s->dir->fd, name, 0);
	segment_free(&g);
}

int spool_open(
	const struct spool_dir *dir, uint8_t lane, uint64_t segment_bytes, struct spool **ret_spool)
{
	struct spool *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->dir = dir;
	s->lane = lane;
	s->segment_bytes = segment_bytes ? segment_bytes : SEGMENT_BYTES;
	s->extent.next = 1;
	list_init(&s->segments);
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = list_ids(s, &ids, &count);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct spool_segment *g;
		rc = segment_open(dir, lane, ids[i], &g);
		s->last_id = ids[i];
		if (rc < 0 && rc != -ENOMEM && rc != -EIO) {
			rc = 0; /* not even a header: cut off while it was made */
			continue;
		}
		if (rc < 0)
			break;
		list_append(&s->segments, &g->node);
		uint64_t last = g->count ? g->entries[g->count - 1].number + 1 : g->first;
		if (last > s->extent.next)
			s->extent.next = last;
	}
	free(ids);
	if (rc < 0) {
		spool_free(&s);
		return rc;
	}
	measure(s);
	*ret_spool = s;
	return 0;
}

void spool_free(struct spool **slot)
{
	struct spool *s = *slot;
	*slot = NULL;
	if (!s)
		return;
	while (!list_empty(&s->segments)) {
		struct spool_segment *g = segment_of(s->segments.next);
		segment_free(&g);
	}
	free(s);
}

struct spool_extent spool_extent(const struct spool *s)
{
	return s->extent;
}

int spool_append(struct spool *s, const struct item *item)
{
	if (item->number < s->extent.next)
		return -EINVAL;
	if (s->writing && s->writing->bytes >= s->segment_bytes) {
		int rc = segment_sync(s->writing);
		if (rc < 0)
			return rc;
		s->writing = NULL;
	}
	if (!s->writing) {
		struct spool_segment *g;
		int rc = segment_create(s->dir, s->lane, s->last_id + 1, item->number, &g);
		if (rc < 0)
			return rc;
		s->last_id++;
		list_append(&s->segments, &g->node);
		s->writing = g;
	}
	uint64_t before = s->writing->bytes;
	int rc = segment_append(s->writing, item);
	if (rc < 0)
		return rc;
	struct spool_extent *x = &s->extent;
	if (x->count++ == 0)
		x->first = item->number;
	x->last = item->number;
	x->next = item->number + 1;
	x->bytes += segment_entry_bytes(s->writing, s->writing->count - 1);
	x->disk_bytes += s->writing->bytes - before;
	return 0;
}

int spool_sync(struct spool *s)
{
	return s->writing ? segment_sync(s->writing) : 0;
}

int spool_read(struct spool *s, uint64_t from, struct item **ret_item, uint64_t *ret_number)
{
	if (from <= s->dropped)
		from = s->dropped + 1;
	list_each (node, &s->segments) {
		struct spool_segment *g = segment_of(node);
		if (g->count == 0 || g->entries[g->count - 1].number < from)
			continue;
		uint32_t low = 0, high = g->count - 1;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			if (g->entries[middle].number < from)
				low = middle + 1;
			else
				high = middle;
		}
		*ret_number = g->entries[low].number;
		int rc = segment_read(g, low, ret_item);
		return rc < 0 && rc != -ENOMEM ? ERR_DAMAGED : rc;
	}
	return -ENODATA;
}

/* An empty ring still says by its last file which numbers were given; so that one stays, or is made
 * anew when it is large. */
int spool_drop(struct spool *s, uint64_t number)
{
	if (number <= s->dropped)
		return 0;
	s->dropped = number;
	int rc = 0;
	if (s->writing && s->writing->count &&
		s->writing->entries[s->writing->count - 1].number <= number &&
		s->writing->bytes >= s->segment_bytes / 4) {
		struct spool_segment *g;
		rc = segment_create(s->dir, s->lane, s->last_id + 1, s->extent.next, &g);
		if (rc == 0) {
			s->last_id++;
			list_append(&s->segments, &g->node);
			s->writing = g;
		}
	}
	list_each_safe (node, &s->segments) {
		struct spool_segment *g = segment_of(node);
		bool last = node->next == &s->segments;
		if (last || (g->count && g->entries[g->count - 1].number > number))
			break;
		remove_file(s, g);
	}
	measure(s);
	return rc;
}
