/* SPDX-License-Identifier: Apache-2.0 */
/* Clips as programs see them: a snapshot, laid out, read at any offset. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "client/clip_reader.h"
#include "proto/digest.h"
#include "proto/refusal.h"

#define ETAG_BYTES 16
#define RENEWALS   4 /* of the snapshot for one read: daemons may die one after the other */

struct steppe_clip {
	struct core *core;
	char stream[STREAM_NAME_MAX + 1], camera[CAMERA_ID_MAX + 1];
	char *purpose, *case_id;
	struct clip_window window;
	int64_t lead_us; /* before the window, so that what it decodes from is there */
	struct snapshot snapshot;
	struct clip_source *sources;
	struct clip_layout layout;
	struct clip_reader reader;
	char (*etags)[2 * ETAG_BYTES + 1];
	struct steppe_gap_span *gaps; /* inside the window */
	size_t gap_count;
	struct steppe_clip_fragment shown; /* the one handed out last */
};

/* --- opening --- */

/* A window may begin in the middle of a group of pictures that began in a chunk before: usually not
 * far, in streams that have hardly a sync picture far indeed. */
static const int64_t leads_us[] = {
	20 * US_PER_SECOND, 15 * 60 * US_PER_SECOND, 2 * 3600 * US_PER_SECOND};

static int take_snapshot(struct steppe_clip *c, struct snapshot *ret_snapshot)
{
	int64_t from_us = c->window.from_us > c->lead_us ? c->window.from_us - c->lead_us : 0;
	const struct snapshot_query query = {
		.stream = c->stream,
		.camera = c->camera,
		.from_us = from_us,
		.to_us = c->window.to_us,
		.purpose = c->purpose,
		.case_id = c->case_id,
	};
	return snapshot_take(c->core, &query, ret_snapshot);
}

static bool has_number(const struct snapshot *s, uint64_t session, uint64_t seq)
{
	for (size_t i = 0; i < s->chunk_count; i++) {
		const struct chunk_table *t = &s->chunks[i].table;
		if (t->session == session && t->fragment_count && t->fragments[0].seq <= seq &&
			t->fragments[t->fragment_count - 1].seq >= seq)
			return true;
	}
	return false;
}

/* Whether a chunk shows something in the window before its first sync sample, and what it hangs on
 * is not in the snapshot. */
static bool begins_too_late(const struct snapshot *s, const struct clip_window *w)
{
	for (size_t i = 0; i < s->chunk_count; i++) {
		const struct chunk_table *t = &s->chunks[i].table;
		for (uint32_t j = 0;
			j < t->fragment_count && !(t->fragments[j].flags & FRAGMENT_SYNC); j++) {
			const struct table_fragment *f = &t->fragments[j];
			if (f->capture.us + f->duration_us > w->from_us && f->capture.us < w->to_us)
				return !has_number(s, t->session, t->fragments[0].seq - 1);
		}
	}
	return false;
}

static int gather(struct steppe_clip *c)
{
	for (size_t i = 0; i < ARRAY_LEN(leads_us); i++) {
		snapshot_fini(&c->snapshot);
		c->lead_us = leads_us[i];
		int rc = take_snapshot(c, &c->snapshot);
		if (rc == ERR_REFUSED && steppe_last_refusal(NULL) == REFUSAL_GONE)
			return -ENODATA;
		if (rc < 0)
			return rc;
		if (!begins_too_late(&c->snapshot, &c->window))
			break;
	}
	return 0;
}

static int lay_out(struct steppe_clip *c)
{
	size_t count = c->snapshot.chunk_count;
	c->sources = calloc(count ? count : 1, sizeof(*c->sources));
	if (!c->sources)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct snapshot_chunk *chunk = &c->snapshot.chunks[i];
		c->sources[i] = (struct clip_source){
			.name = chunk->name,
			.epoch = chunk->epoch,
			.init = chunk->init->data,
			.init_len = chunk->init->len,
			.table = &chunk->table,
		};
	}
	return clip_layout_build(c->sources, count, &c->window, &c->layout);
}

/* Of a file: what its bytes follow from. */
static int make_etag(
	const struct steppe_clip *c, const struct clip_file *file, char to[2 * ETAG_BYTES + 1])
{
	struct digest d;
	uint8_t sum[DIGEST_SIZE];
	digest_start(&d);
	digest_add(&d, file->head->data, file->head->len);
	for (size_t i = 0; i < file->part_count; i++) {
		const struct clip_part *p = &file->parts[i];
		const struct snapshot_chunk *chunk = &c->snapshot.chunks[p->source];
		uint8_t place[12];
		struct bytes b = bytes_writer(place, sizeof(place));
		bytes_put_u64(&b, p->offset);
		bytes_put_u32(&b, p->len);
		digest_add(&d, chunk->name, strlen(chunk->name) + 1);
		digest_add(&d, place, sizeof(place));
		digest_add(&d, chunk->table.fragments[p->fragment].digest, DIGEST_SIZE);
	}
	int rc = digest_finish(&d, sum);
	for (size_t i = 0; i < ETAG_BYTES; i++)
		snprintf(to + 2 * i, 3, "%02x", sum[i]);
	return rc;
}

static int make_etags(struct steppe_clip *c)
{
	c->etags = calloc(c->layout.file_count, sizeof(*c->etags));
	if (!c->etags)
		return -ENOMEM;
	for (size_t i = 0; i < c->layout.file_count; i++) {
		int rc = make_etag(c, &c->layout.files[i], c->etags[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int make_gaps(struct steppe_clip *c)
{
	c->gaps = calloc(c->snapshot.gap_count + 1, sizeof(*c->gaps));
	if (!c->gaps)
		return -ENOMEM;
	for (size_t i = 0; i < c->snapshot.gap_count; i++) {
		struct steppe_gap_span gap = c->snapshot.gaps[i];
		if (gap.start_us < c->window.from_us)
			gap.start_us = c->window.from_us;
		if (gap.end_us > c->window.to_us)
			gap.end_us = c->window.to_us;
		if (gap.start_us < gap.end_us)
			c->gaps[c->gap_count++] = gap;
	}
	return 0;
}

static int set_options(struct steppe_clip *c, const struct steppe_clip_options *from)
{
	struct steppe_clip_options o = {0};
	if (from->size < offsetof(struct steppe_clip_options, purpose))
		return -EINVAL;
	memcpy(&o, from, from->size < sizeof(o) ? from->size : sizeof(o));
	if (!o.stream || stream_name_split(o.stream, c->camera, NULL) < 0 || o.from_us >= o.to_us ||
		o.from_us < 0)
		return -EINVAL;
	memcpy(c->stream, o.stream, strlen(o.stream) + 1);
	c->window = (struct clip_window){
		.from_us = o.from_us, .to_us = o.to_us, .close_gaps = o.close_gaps};
	c->purpose = strdup(o.purpose ? o.purpose : "");
	c->case_id = strdup(o.case_id ? o.case_id : "");
	return c->purpose && c->case_id ? 0 : -ENOMEM;
}

int steppe_clip_open(
	struct steppe *s, const struct steppe_clip_options *options, struct steppe_clip **ret_clip)
{
	struct steppe_clip *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->core = cluster_core(s);
	int rc = set_options(c, options);
	if (rc == 0)
		rc = gather(c);
	if (rc == 0)
		rc = lay_out(c);
	if (rc == 0)
		rc = make_etags(c);
	if (rc == 0)
		rc = make_gaps(c);
	if (rc == 0)
		rc = clip_reader_init(&c->reader, c->core, c->camera, &c->snapshot, &c->layout);
	if (rc < 0) {
		steppe_clip_close(&c);
		return rc;
	}
	*ret_clip = c;
	return 0;
}

void steppe_clip_close(struct steppe_clip **slot)
{
	struct steppe_clip *c = *slot;
	*slot = NULL;
	if (!c)
		return;
	clip_reader_fini(&c->reader);
	clip_layout_fini(&c->layout);
	snapshot_fini(&c->snapshot);
	free(c->sources);
	free(c->etags);
	free(c->gaps);
	free(c->purpose);
	free(c->case_id);
	free(c);
}

/* --- looking at it --- */

void steppe_clip_info(struct steppe_clip *c, struct steppe_clip_info *info)
{
	const struct steppe_clip_info full = {
		.size = info->size,
		.files = (unsigned)c->layout.file_count,
		.start_us = c->layout.start_us,
		.end_us = c->layout.end_us,
		.frames = c->layout.frames,
		.gap_count = c->gap_count,
		.gaps = c->gaps,
		.expires_us = c->snapshot.expires_us,
	};
	memcpy(info, &full, info->size < sizeof(full) ? info->size : sizeof(full));
}

uint64_t steppe_clip_length(struct steppe_clip *c, unsigned file)
{
	if (file >= c->layout.file_count)
		return 0;
	const struct clip_file *f = &c->layout.files[file];
	return f->head->len + f->media_bytes;
}

const char *steppe_clip_etag(struct steppe_clip *c, unsigned file)
{
	return file < c->layout.file_count ? c->etags[file] : NULL;
}

const struct steppe_clip_fragment *steppe_clip_fragment(struct steppe_clip *c, size_t index)
{
	const struct clip_file *file = c->layout.files;
	const struct clip_file *end = file + c->layout.file_count;
	for (; file < end && index >= file->part_count; file++)
		index -= file->part_count;
	if (file == end)
		return NULL;
	const struct clip_part *p = &file->parts[index];
	const struct snapshot_chunk *chunk = &c->snapshot.chunks[p->source];
	const struct table_fragment *f = &chunk->table.fragments[p->fragment];
	c->shown = (struct steppe_clip_fragment){
		.chunk = chunk->name,
		.session = chunk->table.session,
		.seq = f->seq,
		.capture_us = f->capture.us,
		.duration_us = f->duration_us,
		.clock_error_us = f->clock_error_us,
		.clock = (enum steppe_clock)f->clock_source,
	};
	memcpy(c->shown.digest, f->digest, sizeof(c->shown.digest));
	return &c->shown;
}

/* --- reading --- */

/* The daemon has lost the snapshot (it died, was started again, or the ten minutes are over): another
 * one, of whichever daemon, will do if it has the same bytes. */
static int renew_snapshot(struct steppe_clip *c)
{
	struct snapshot again = {0};
	int rc = take_snapshot(c, &again);
	if (rc == ERR_REFUSED && steppe_last_refusal(NULL) == REFUSAL_GONE)
		rc = ERR_GONE;
	if (rc == 0)
		rc = clip_reader_move(&c->reader, &again);
	if (rc == 0)
		c->snapshot.expires_us = again.expires_us;
	snapshot_fini(&again);
	return rc;
}

static int read_media(struct steppe_clip *c, unsigned file, uint64_t at, void *to, size_t len)
{
	int rc = clip_reader_read(&c->reader, file, at, to, len);
	for (unsigned i = 0; i < RENEWALS; i++) {
		if (rc != ERR_GONE || steppe_last_refusal(NULL) != REFUSAL_SNAPSHOT)
			break;
		rc = renew_snapshot(c);
		if (rc == 0)
			rc = clip_reader_read(&c->reader, file, at, to, len);
	}
	return rc;
}

int64_t steppe_clip_read(
	struct steppe_clip *c, unsigned file, uint64_t offset, void *to, size_t len)
{
	uint64_t length = steppe_clip_length(c, file);
	if (file >= c->layout.file_count)
		return -EINVAL;
	if (!cluster_may_block(c->core))
		return -EDEADLK;
	if (offset >= length)
		return 0;
	if (len > length - offset)
		len = (size_t)(length - offset);
	const struct buf *head = c->layout.files[file].head;
	size_t from_head = 0;
	if (offset < head->len) {
		from_head = head->len - (size_t)offset < len ? head->len - (size_t)offset : len;
		memcpy(to, head->data + offset, from_head);
	}
	if (from_head == len)
		return (int64_t)len;
	int rc = read_media(
		c, file, offset + from_head - head->len, (char *)to + from_head, len - from_head);
	return rc < 0 ? rc : (int64_t)len;
}
