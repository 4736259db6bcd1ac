/* SPDX-License-Identifier: Apache-2.0 */
/* The floor under ingest: durable guarded appends through the store alone, as the archive makes
 * them, and what they cost this process. Prints one JSON object. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/loop_uv.h"
#include "storaged/store/store.h"

struct settings {
	const char *url;
	size_t batch_bytes, chunk_bytes;
	unsigned in_flight, parts;
	double seconds;
};

/* One object that grows; when it is full, the next one. */
struct stream {
	struct store_write write;
	struct bench *bench;
	unsigned number, chunk;
	uint64_t offset;
	char name[64], at[17], next[17];
};

struct bench {
	struct settings settings;
	struct loop_uv loop;
	struct store_backend *backend;
	struct store *store;
	struct stream *streams;
	struct slice *parts;
	struct mono began, ends;
	uint64_t bytes;
	unsigned running, writes;
	int failure;
	struct loop_task closed;
};

static void chunk_name(char *to, size_t size, unsigned stream, unsigned chunk)
{
	(void)snprintf(to, size, "bench/%d/%u.%u", getpid(), stream, chunk);
}

static void append(struct stream *s)
{
	struct bench *b = s->bench;
	chunk_name(s->name, sizeof(s->name), s->number, s->chunk);
	(void)snprintf(s->at, sizeof(s->at), "%016llx", (unsigned long long)s->offset);
	(void)snprintf(s->next, sizeof(s->next), "%016llx",
		(unsigned long long)(s->offset + b->settings.batch_bytes));
	const struct store_guard absent[] = {{.kind = STORE_ABSENT}};
	const struct store_guard mine[] = {{.kind = STORE_EXISTS},
		{.kind = STORE_ATTR_EQUAL, .attr = "ep", .value = "00000001", .value_len = 8},
		{.kind = STORE_ATTR_EQUAL, .attr = "len", .value = s->at, .value_len = 16}};
	const struct store_attr attrs[] = {
		{"len", s->next, 16}, {"last", s->next, 16}, {"ep", "00000001", 8}};
	store_write(b->store, &s->write, STORE_DATA, s->name,
		&(struct store_edits){.guards = s->offset ? mine : absent,
			.guard_count = s->offset ? ARRAY_LEN(mine) : 1,
			.attrs = attrs,
			.attr_count = s->offset ? 2 : 3,
			.body_kind = STORE_BODY_WRITE_AT,
			.offset = s->offset,
			.body = b->parts,
			.body_count = b->settings.parts});
}

static void stop_when_idle(struct bench *b)
{
	if (--b->running == 0)
		loop_uv_stop(&b->loop);
}

static void on_appended(struct store_write *req)
{
	struct stream *s = container_of(req, struct stream, write);
	struct bench *b = s->bench;
	if (req->status)
		b->failure = req->status;
	s->offset += b->settings.batch_bytes;
	b->bytes += b->settings.batch_bytes;
	b->writes++;
	if (b->failure || loop_now(&b->loop.loop).ns >= b->ends.ns) {
		stop_when_idle(b);
		return;
	}
	if (s->offset + b->settings.batch_bytes > b->settings.chunk_bytes) {
		s->chunk++;
		s->offset = 0;
	}
	append(s);
}

static void on_removed(struct store_write *req)
{
	struct stream *s = container_of(req, struct stream, write);
	if (req->status && !s->bench->failure)
		s->bench->failure = req->status;
	if (s->chunk == 0) {
		stop_when_idle(s->bench);
		return;
	}
	s->chunk--;
	chunk_name(s->name, sizeof(s->name), s->number, s->chunk);
	store_write(s->bench->store, &s->write, STORE_DATA, s->name,
		&(struct store_edits){.body_kind = STORE_BODY_REMOVE});
}

static void remove_all(struct bench *b)
{
	b->running = b->settings.in_flight;
	for (unsigned i = 0; i < b->settings.in_flight; i++) {
		struct stream *s = &b->streams[i];
		s->write.done = on_removed;
		chunk_name(s->name, sizeof(s->name), s->number, s->chunk);
		store_write(b->store, &s->write, STORE_DATA, s->name,
			&(struct store_edits){.body_kind = STORE_BODY_REMOVE});
	}
	loop_uv_run(&b->loop);
}

/* One buffer for all: what is measured is the store, not the making of bytes. */
static int make_body(struct bench *b)
{
	struct settings *s = &b->settings;
	struct buf *body = buf_new(s->batch_bytes);
	b->parts = calloc(s->parts, sizeof(*b->parts));
	if (!body || !b->parts)
		return -1;
	for (size_t i = 0; i < s->batch_bytes; i++)
		body->data[i] = (uint8_t)(i * 2654435761u >> 13);
	size_t each = s->batch_bytes / s->parts, at = 0;
	for (unsigned i = 0; i < s->parts; i++) {
		size_t len = i + 1 < s->parts ? each : s->batch_bytes - at;
		b->parts[i] = slice_of(body, at, len);
		at += len;
	}
	buf_unref(&body);
	return 0;
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void run_streams(struct bench *b)
{
	b->began = loop_now(&b->loop.loop);
	b->ends = mono_add_ns(b->began, (int64_t)(b->settings.seconds * 1e9));
	b->running = b->settings.in_flight;
	for (unsigned i = 0; i < b->settings.in_flight; i++) {
		b->streams[i] = (struct stream){.write.done = on_appended, .bench = b, .number = i};
		append(&b->streams[i]);
	}
	loop_uv_run(&b->loop);
}

static void on_closed(struct loop_task *task)
{
	loop_uv_stop(&container_of(task, struct bench, closed)->loop);
}

static int measure(struct bench *b)
{
	double cpu = cpu_seconds();
	run_streams(b);
	double seconds = (double)(loop_now(&b->loop.loop).ns - b->began.ns) / 1e9;
	cpu = cpu_seconds() - cpu;
	if (!b->failure)
		printf("{\"store\": \"%s\", \"batch_bytes\": %zu, \"parts\": %u, \"in_flight\": "
		       "%u, "
		       "\"seconds\": %.3f, \"writes\": %u, \"mb_per_s\": %.1f, "
		       "\"cpu_s_per_gb\": %.3f}\n",
			store_kind(b->store), b->settings.batch_bytes, b->settings.parts,
			b->settings.in_flight, seconds, b->writes, (double)b->bytes / 1e6 / seconds,
			cpu / ((double)b->bytes / 1e9));
	remove_all(b);
	b->closed.run = on_closed;
	store_free(&b->store, &b->closed);
	loop_uv_run(&b->loop);
	if (b->failure)
		fprintf(stderr, "bench_store: a write failed: %s\n", err_text(b->failure));
	return b->failure ? 1 : 0;
}

static int run_bench(struct bench *b)
{
	char why[300] = "";
	if (loop_uv_init(&b->loop))
		return 1;
	int rc = 1;
	b->streams = calloc(b->settings.in_flight, sizeof(*b->streams));
	if (!b->streams || make_body(b))
		fprintf(stderr, "bench_store: out of memory\n");
	else if (store_backend_open(b->settings.url, &b->backend, why, sizeof(why)))
		fprintf(stderr, "bench_store: %s\n", why);
	else if (!(b->store = store_new(b->backend, &b->loop.loop)))
		fprintf(stderr, "bench_store: out of memory\n");
	else
		rc = measure(b);
	store_backend_close(&b->backend);
	loop_uv_fini(&b->loop);
	for (unsigned i = 0; b->parts && i < b->settings.parts; i++)
		slice_drop(&b->parts[i]);
	free(b->parts);
	free(b->streams);
	return rc;
}

static void usage(void)
{
	fprintf(stderr, "usage: bench_store URL [--seconds 10] [--in-flight 64] [--batch-kib 1024] "
			"[--chunk-mib 32] [--parts 1]\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
		{"in-flight", required_argument, NULL, 'n'},
		{"batch-kib", required_argument, NULL, 'b'},
		{"chunk-mib", required_argument, NULL, 'c'},
		{"parts", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	struct bench b = {.settings = {.batch_bytes = 1 << 20,
				  .chunk_bytes = 32 << 20,
				  .in_flight = 64,
				  .parts = 1,
				  .seconds = 10}};
	struct settings *s = &b.settings;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		double value = optarg ? atof(optarg) : 0;
		if (option == '?' || value <= 0) {
			usage();
			return 2;
		}
		if (option == 's')
			s->seconds = value;
		else if (option == 'n')
			s->in_flight = (unsigned)value;
		else if (option == 'b')
			s->batch_bytes = (size_t)(value * 1024);
		else if (option == 'c')
			s->chunk_bytes = (size_t)(value * 1048576);
		else
			s->parts = (unsigned)value;
	}
	if (optind + 1 != argc || !s->in_flight || !s->parts || s->parts > STORE_BODY_PARTS_MAX ||
		s->batch_bytes < s->parts || s->chunk_bytes < s->batch_bytes ||
		s->chunk_bytes > STORE_OBJECT_MAX) {
		usage();
		return 2;
	}
	s->url = argv[optind];
	return run_bench(&b);
}
