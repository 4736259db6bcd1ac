/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the local store makes streams durable, against plain writing of the same bytes into one
 * file with one sync a second, in turns in one run:
 *
 *	bench_store_local DIRECTORY [STREAMS [MIB [ROUNDS [KIB]]]]
 *
 * Each stream writes 1 MiB (or KIB) at a time, each write guarded and with three attributes as an
 * archive's batches are, waits for the answer, and begins a new object every 32 MiB. Prints a line
 * a round and the median ratio. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "base/loop_uv.h"
#include "storaged/store/store.h"

#define OBJECT_BYTES ((uint64_t)32 << 20)

static uint64_t batch_bytes = 1 << 20;

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The bytes of all writes: random, so that nothing on the way can be clever about them. */
static struct buf *payload(void)
{
	struct buf *b = buf_new(batch_bytes);
	CHECK(b);
	uint64_t x = 88172645463325252u;
	for (size_t i = 0; i + 8 <= b->len; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(b->data + i, &x, 8);
	}
	return b;
}

static double plain(const char *dir, const struct buf *b, uint64_t total)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/plain", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	double start = seconds(), synced = start;
	for (uint64_t done = 0; done < total; done += b->len) {
		CHECK(write(fd, b->data, b->len) == (ssize_t)b->len);
		if (seconds() - synced >= 1) {
			CHECK(fdatasync(fd) == 0);
			synced = seconds();
		}
	}
	CHECK(fdatasync(fd) == 0);
	double took = seconds() - start;
	close(fd);
	unlink(path);
	return took;
}

struct bench {
	struct loop_uv uv;
	struct store *store;
	struct buf *payload;
	uint64_t left; /* bytes not yet submitted */
	unsigned running;
	int round;
	struct loop_task closed;
	bool is_closed;
};

struct stream {
	struct store_write req;
	struct bench *bench;
	int number, object;
	uint64_t offset;
	char name[64];
};

static void next_write(struct stream *s)
{
	struct bench *b = s->bench;
	char before[17], after[17];
	if (s->offset >= OBJECT_BYTES) {
		s->object++;
		s->offset = 0;
	}
	(void)snprintf(s->name, sizeof(s->name), "chk/cam-%d/main/%d.%d.0", s->number, b->round,
		s->object);
	(void)snprintf(before, sizeof(before), "%016llx", (unsigned long long)s->offset);
	(void)snprintf(
		after, sizeof(after), "%016llx", (unsigned long long)(s->offset + batch_bytes));
	const struct store_guard absent = {.kind = STORE_ABSENT};
	const struct store_guard same[] = {{STORE_ATTR_EQUAL, "ep", "0000000000000001", 16},
		{STORE_ATTR_EQUAL, "len", before, 16}};
	const struct store_attr attrs[] = {
		{"ep", "0000000000000001", 16}, {"len", after, 16}, {"last", after, 16}};
	struct slice body = {.buf = b->payload, .data = b->payload->data, .len = b->payload->len};
	store_write(b->store, &s->req, STORE_DATA, s->name,
		&(struct store_edits){.guards = s->offset ? same : &absent,
			.guard_count = s->offset ? 2 : 1,
			.attrs = attrs,
			.attr_count = 3,
			.body_kind = STORE_BODY_WRITE_AT,
			.offset = s->offset,
			.body = &body,
			.body_count = 1});
	s->offset += batch_bytes;
}

static void written(struct store_write *req)
{
	struct stream *s = container_of(req, struct stream, req);
	struct bench *b = s->bench;
	if (req->status) {
		fprintf(stderr, "a write failed: %s\n", err_text(req->status));
		exit(1);
	}
	if (b->left >= batch_bytes) {
		b->left -= batch_bytes;
		next_write(s);
	} else if (--b->running == 0) {
		loop_uv_stop(&b->uv);
	}
}

static void removed(struct store_write *req)
{
	struct bench *b = container_of(req, struct stream, req)->bench;
	CHECK(req->status == 0);
	if (--b->running == 0)
		loop_uv_stop(&b->uv);
}

/* Takes the objects of this round away again. */
static void clean(struct bench *b, struct stream *streams, int count)
{
	for (bool any = true; any;) {
		any = false;
		for (int i = 0; i < count; i++) {
			struct stream *s = &streams[i];
			if (s->object < 0)
				continue;
			any = true;
			(void)snprintf(s->name, sizeof(s->name), "chk/cam-%d/main/%d.%d.0",
				s->number, b->round, s->object--);
			s->req.done = removed;
			b->running++;
			store_write(b->store, &s->req, STORE_DATA, s->name,
				&(struct store_edits){.body_kind = STORE_BODY_REMOVE});
		}
		if (any)
			loop_uv_run(&b->uv);
	}
}

static double stored(struct bench *b, struct stream *streams, int count, uint64_t total)
{
	memset(streams, 0, (size_t)count * sizeof(*streams));
	double start = seconds();
	b->left = total;
	for (int i = 0; i < count && b->left >= batch_bytes; i++) {
		streams[i] = (struct stream){.req = {.done = written}, .bench = b, .number = i};
		b->left -= batch_bytes;
		b->running++;
		next_write(&streams[i]);
	}
	loop_uv_run(&b->uv);
	return seconds() - start;
}

static void on_closed(struct loop_task *task)
{
	struct bench *b = container_of(task, struct bench, closed);
	loop_uv_stop(&b->uv);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	char url[4200], why[300];
	struct store_backend *backend;
	static struct bench b;
	if (argc < 2) {
		fprintf(stderr,
			"usage: bench_store_local DIRECTORY [STREAMS [MIB [ROUNDS [KIB]]]]\n");
		return 2;
	}
	int count = argc > 2 ? atoi(argv[2]) : 64, rounds = argc > 4 ? atoi(argv[4]) : 5;
	uint64_t total = (uint64_t)(argc > 3 ? atoi(argv[3]) : 2048) << 20;
	batch_bytes = argc > 5 ? (uint64_t)atoi(argv[5]) << 10 : batch_bytes;
	struct stream *streams = calloc((size_t)count, sizeof(*streams));
	double *ratios = calloc((size_t)rounds, sizeof(*ratios));
	CHECK(streams && ratios && loop_uv_init(&b.uv) == 0);
	b.payload = payload();
	(void)snprintf(url, sizeof(url), "file://%s/store", argv[1]);
	if (store_backend_open(url, &backend, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	b.store = store_new(backend, &b.uv.loop);
	CHECK(b.store);
	for (b.round = 0; b.round < rounds; b.round++) {
		double mib = (double)total / 1048576, cpu0 = cpu_seconds();
		double p = plain(argv[1], b.payload, total), cpu1 = cpu_seconds();
		double s = stored(&b, streams, count, total), cpu2 = cpu_seconds();
		clean(&b, streams, count);
		ratios[b.round] = p / s;
		printf("plain %6.0f MiB/s (%.2f cpu s/GiB)   store %6.0f MiB/s (%.2f cpu s/GiB)   "
		       "ratio %.2f\n",
			mib / p, (cpu1 - cpu0) * 1024 / mib, mib / s, (cpu2 - cpu1) * 1024 / mib,
			p / s);
		fflush(stdout);
	}
	qsort(ratios, (size_t)rounds, sizeof(*ratios), by_value);
	printf("%d streams of %llu KiB: median ratio %.2f\n", count,
		(unsigned long long)batch_bytes >> 10, ratios[rounds / 2]);
	b.closed.run = on_closed;
	store_free(&b.store, &b.closed);
	loop_uv_run(&b.uv);
	store_backend_close(&backend);
	buf_unref(&b.payload);
	loop_uv_fini(&b.uv);
	free(streams);
	free(ratios);
	return 0;
}
