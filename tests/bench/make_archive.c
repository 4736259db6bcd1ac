/* SPDX-License-Identifier: Apache-2.0 */
/* make_archive URL CAMERAS DAYS WINDOWS FRAGMENT_BYTES: fills a store with the index of many
 * cameras and days, as their recorders would have left it, for bench_lookup to ask questions of.
 *
 * Heads, days objects and partitions are whole: a chunk a minute, written by the archive's own
 * encoders through the store. Of the chunk objects only those are made that the windows will
 * need: the rest is what a month of footage is too large for on a small machine, and nothing would
 * read it. Prints the windows, one a line: STREAM FROM_US. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/errors.h"
#include "base/hash.h"
#include "base/loop_uv.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/head.h"
#include "tests/lib/footage.h"

#define IN_FLIGHT     24
#define EPOCH         1
#define MINUTES       1440 /* a day */
#define CHUNK_SECONDS 60
#define ALIGNMENT     4096
#define WINDOW_ROOM   50 /* a window begins in the first so many seconds of its chunk */

/* One question that will be asked, and the chunk that answers it. */
struct window {
	uint32_t camera, minute; /* the minute counts from the first day */
	struct wall from;
	struct index_record record;
};

/* One write under way. */
struct job {
	struct store_write write;
	struct fill *fill;
	struct slice body;
	char ver[33], ep[ATTR_U64_SIZE + 1], len[ATTR_U64_SIZE + 1], last[2 * ATTR_U64_SIZE + 1];
};

struct fill {
	uint32_t cameras, days, window_count, picture_bytes;
	int32_t first_day;
	struct loop_uv loop;
	struct store_backend *backend;
	struct store *store;
	struct loop_task closed;
	struct index_record pattern; /* of any chunk but the windows' */
	struct window *windows;
	struct job jobs[IN_FLIGHT];
	uint32_t next_window, next_camera, next_object; /* day, then days object, then head */
	unsigned running;
	int failure;
};

static void stream_name(char to[STREAM_NAME_MAX + 1], uint32_t camera)
{
	(void)snprintf(to, STREAM_NAME_MAX + 1, "bench-%" PRIu32 "/main", camera + 1);
}

static struct wall minute_start(const struct fill *f, uint32_t minute)
{
	return (struct wall){
		f->first_day * US_PER_DAY + (int64_t)minute * CHUNK_SECONDS * US_PER_SECOND};
}

/* --- what is written --- */

static void send_whole(struct job *job, const char *name, struct buf *body,
	const struct store_attr *attrs, size_t attr_count)
{
	static const struct store_guard absent = {.kind = STORE_ABSENT};
	job->body = slice_of(body, 0, body->len);
	buf_unref(&body);
	store_write(job->fill->store, &job->write, STORE_META, name,
		&(struct store_edits){.guards = &absent,
			.guard_count = 1,
			.attrs = attrs,
			.attr_count = attr_count,
			.body_kind = STORE_BODY_WHOLE,
			.body = &job->body,
			.body_count = 1});
}

/* The chunk of a minute, with bytes. */
static void make_chunk(
	const struct fill *f, uint32_t camera, uint32_t minute, struct footage_chunk *ret_chunk)
{
	struct footage footage;
	char stream[STREAM_NAME_MAX + 1];
	stream_name(stream, camera);
	footage_start(&footage, stream, false);
	footage.at = minute_start(f, minute);
	footage.seq = (uint64_t)minute * CHUNK_SECONDS;
	footage.picture_bytes = f->picture_bytes;
	footage_chunk_begin(ret_chunk, &footage, EPOCH, minute + 1);
	ret_chunk->alignment = ALIGNMENT;
	for (unsigned i = 0; i < CHUNK_SECONDS; i++)
		footage_chunk_add(ret_chunk, &footage, GAP_NONE);
	footage_chunk_seal(ret_chunk, CHUNK_END_FULL, NULL);
}

static void write_window(struct job *job, struct window *w)
{
	static const struct store_guard absent = {.kind = STORE_ABSENT};
	struct footage_chunk c;
	char name[STORE_NAME_MAX + 1];
	make_chunk(job->fill, w->camera, w->minute, &c);
	w->record = c.record;
	chunk_name(name, c.header.stream, &c.header.id);
	attr_u64_format(EPOCH, job->ep);
	attr_u64_format(c.len, job->len);
	chunk_last_format(c.table.session, c.last_seq, job->last);
	const struct store_attr attrs[] = {{ATTR_EP, job->ep, ATTR_U64_SIZE},
		{ATTR_LEN, job->len, ATTR_U64_SIZE}, {ATTR_LAST, job->last, 2 * ATTR_U64_SIZE},
		{ATTR_STATE, ATTR_STATE_SEALED, strlen(ATTR_STATE_SEALED)}};
	struct buf *body = buf_copy(c.bytes, c.len);
	footage_chunk_fini(&c);
	CHECK(body);
	job->body = slice_of(body, 0, body->len);
	buf_unref(&body);
	store_write(job->fill->store, &job->write, STORE_DATA, name,
		&(struct store_edits){.guards = &absent,
			.guard_count = 1,
			.attrs = attrs,
			.attr_count = ARRAY_LEN(attrs),
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &job->body,
			.body_count = 1});
}

static const struct index_record *window_record(
	const struct fill *f, uint32_t camera, uint32_t minute)
{
	for (uint32_t i = 0; i < f->window_count; i++)
		if (f->windows[i].camera == camera && f->windows[i].minute == minute)
			return &f->windows[i].record;
	return NULL;
}

static void make_record(
	const struct fill *f, uint32_t camera, uint32_t minute, struct index_record *ret_record)
{
	struct wall start = minute_start(f, minute);
	int64_t shift_us = start.us - f->pattern.start.us;
	*ret_record = f->pattern;
	ret_record->start.us += shift_us;
	ret_record->end.us += shift_us;
	ret_record->retention.us += shift_us;
	ret_record->gap_before.to = start;
	ret_record->chunk.seq = minute + 1;
	ret_record->first_seq = (uint64_t)minute * CHUNK_SECONDS + 1;
	uint64_t digest[2] = {
		hash64(1, &minute, sizeof(minute)), hash64(2, &camera, sizeof(camera))};
	memcpy(ret_record->digest, digest, sizeof(ret_record->digest));
}

static void write_partition(struct job *job, uint32_t camera, uint32_t day)
{
	const struct fill *f = job->fill;
	char stream[STREAM_NAME_MAX + 1], name[STORE_NAME_MAX + 1];
	bool special = false;
	for (uint32_t i = 0; i < f->window_count && !special; i++)
		special = f->windows[i].camera == camera && f->windows[i].minute / MINUTES == day;
	struct buf *body = buf_new(MINUTES * INDEX_RECORD_SIZE);
	CHECK(body);
	for (uint32_t i = 0; i < MINUTES; i++) {
		uint32_t minute = day * MINUTES + i;
		const struct index_record *real = special ? window_record(f, camera, minute) : NULL;
		struct index_record r;
		make_record(f, camera, minute, &r);
		index_record_encode(real ? real : &r, body->data + i * INDEX_RECORD_SIZE);
	}
	stream_name(stream, camera);
	index_partition_name(name, stream, f->first_day + (int32_t)day);
	index_version_format(&(struct index_version){EPOCH, MINUTES}, job->ver);
	const struct store_attr ver = {ATTR_VER, job->ver, 32};
	send_whole(job, name, body, &ver, 1);
}

static void write_days(struct job *job, uint32_t camera)
{
	const struct fill *f = job->fill;
	char stream[STREAM_NAME_MAX + 1], name[STORE_NAME_MAX + 1];
	struct index_days days = {0};
	struct buf *body = NULL;
	for (uint32_t i = 0; i < f->days; i++) {
		struct index_day *day = index_days_put(&days, f->first_day + (int32_t)i);
		CHECK(day);
		day->bytes = f->pattern.bytes * MINUTES;
		for (size_t quarter = 0; quarter < ARRAY_LEN(day->seconds); quarter++)
			day->seconds[quarter] = 900;
	}
	CHECK(index_days_encode(&days, &body) == 0);
	index_days_fini(&days);
	stream_name(stream, camera);
	index_days_name(name, stream);
	index_version_format(&(struct index_version){EPOCH, f->days}, job->ver);
	const struct store_attr ver = {ATTR_VER, job->ver, 32};
	send_whole(job, name, body, &ver, 1);
}

static void write_head(struct job *job, uint32_t camera)
{
	const struct fill *f = job->fill;
	char stream[STREAM_NAME_MAX + 1], name[STORE_NAME_MAX + 1];
	uint32_t minutes = f->days * MINUTES;
	struct head head = {
		.sessions = {{.session = f->pattern.session,
			.last_seq = (uint64_t)minutes * CHUNK_SECONDS,
			.last_append = minute_start(f, minutes),
			.closed = true}},
		.session_count = 1,
		.last_chunk = {EPOCH, minutes, 0},
		.last_end = minute_start(f, minutes),
	};
	struct buf *body = NULL;
	CHECK(head_encode(&head, &body) == 0);
	stream_name(stream, camera);
	head_name(name, stream);
	attr_u64_format(EPOCH, job->ep);
	attr_u64_format(minutes, job->ver);
	const struct store_attr attrs[] = {{ATTR_EPOCH, job->ep, ATTR_U64_SIZE},
		{ATTR_VER, job->ver, ATTR_U64_SIZE}, {ATTR_OWNER, "", 0}};
	send_whole(job, name, body, attrs, ARRAY_LEN(attrs));
}

/* --- the order of it: the windows' chunks, whose records the partitions need, then all cameras --- */

static bool start_next(struct fill *f, struct job *job)
{
	if (f->failure)
		return false;
	if (f->next_window < f->window_count) {
		write_window(job, &f->windows[f->next_window++]);
		return true;
	}
	if (f->next_camera == f->cameras)
		return false;
	uint32_t object = f->next_object++;
	if (object < f->days) {
		write_partition(job, f->next_camera, object);
	} else if (object == f->days) {
		write_days(job, f->next_camera);
	} else {
		write_head(job, f->next_camera++);
		f->next_object = 0;
	}
	return true;
}

static void on_written(struct store_write *req)
{
	struct job *job = container_of(req, struct job, write);
	struct fill *f = job->fill;
	slice_drop(&job->body);
	if (req->status && !f->failure)
		f->failure = req->status;
	if (!start_next(f, job) && --f->running == 0)
		loop_uv_stop(&f->loop);
}

static void write_all(struct fill *f)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		struct job *job = &f->jobs[i];
		job->fill = f;
		job->write.done = on_written;
		f->running += start_next(f, job);
	}
	if (f->running)
		loop_uv_run(&f->loop);
}

/* --- windows, drawn evenly; no two in one chunk --- */

static void draw(struct fill *f)
{
	for (uint32_t i = 0, number = 0; i < f->window_count; number++) {
		struct window *w = &f->windows[i];
		uint64_t draws[3];
		for (uint64_t n = 0; n < 3; n++)
			draws[n] = hash64(n + 1, &number, sizeof(number));
		w->camera = (uint32_t)(draws[0] % f->cameras);
		w->minute = (uint32_t)(draws[1] % ((uint64_t)f->days * MINUTES));
		w->from.us = minute_start(f, w->minute).us +
			     (int64_t)(draws[2] % (WINDOW_ROOM * US_PER_SECOND));
		bool taken = false;
		for (uint32_t j = 0; j < i && !taken; j++)
			taken = f->windows[j].camera == w->camera &&
				f->windows[j].minute == w->minute;
		i += !taken;
	}
}

static void on_closed(struct loop_task *task)
{
	loop_uv_stop(&container_of(task, struct fill, closed)->loop);
}

static int run(struct fill *f, const char *url)
{
	struct footage_chunk pattern;
	char why[300] = "";
	make_chunk(f, 0, 0, &pattern);
	f->pattern = pattern.record;
	footage_chunk_fini(&pattern);
	draw(f);
	CHECK(loop_uv_init(&f->loop) == 0);
	if (store_backend_open(url, &f->backend, why, sizeof(why))) {
		fprintf(stderr, "make_archive: %s\n", why);
		return 1;
	}
	f->store = store_new(f->backend, &f->loop.loop);
	CHECK(f->store);
	write_all(f);
	f->closed.run = on_closed;
	store_free(&f->store, &f->closed);
	loop_uv_run(&f->loop);
	store_backend_close(&f->backend);
	loop_uv_fini(&f->loop);
	if (f->failure)
		fprintf(stderr, "make_archive: a write failed: %s\n", err_text(f->failure));
	for (uint32_t i = 0; i < f->window_count && !f->failure; i++)
		printf("bench-%" PRIu32 "/main %" PRId64 "\n", f->windows[i].camera + 1,
			f->windows[i].from.us);
	return f->failure ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct fill f;
	if (argc == 6) {
		f.cameras = (uint32_t)atoi(argv[2]);
		f.days = (uint32_t)atoi(argv[3]);
		f.window_count = (uint32_t)atoi(argv[4]);
		/* a fragment of footage is ten pictures, every second one begins with one of four
		 * times the size, and sizes vary by a half */
		f.picture_bytes = (uint32_t)atoi(argv[5]) * 4 / 5 / 12;
	}
	if (!f.cameras || !f.days || !f.window_count || !f.picture_bytes ||
		f.window_count > f.cameras * f.days * 100) {
		fprintf(stderr, "usage: make_archive URL CAMERAS DAYS WINDOWS FRAGMENT_BYTES\n");
		return 2;
	}
	f.first_day = (int32_t)(time(NULL) / 86400) - (int32_t)f.days;
	f.windows = calloc(f.window_count, sizeof(*f.windows));
	int rc = f.windows ? run(&f, argv[1]) : 1;
	free(f.windows);
	return rc;
}
