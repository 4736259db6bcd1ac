/* SPDX-License-Identifier: Apache-2.0 */
/* steppe bench ingest: how much footage the cluster takes in, and how soon it says that it is kept. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/steppe/benchmedia.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/latency.h"
#include "tools/steppe/stop.h"

struct ingest_args {
	const char *prefix;
	uint32_t streams, frames;
	uint64_t rate, fragment, window;
	int64_t seconds_us;
	bool register_cameras;
};

static const struct option ingest_options[] = {
	{"streams", 'n', OPTION_COUNT, "N", "16", NULL, offsetof(struct ingest_args, streams),
		"streams at a time"},
	{"rate", 'r', OPTION_RATE, "BITS", "4M", NULL, offsetof(struct ingest_args, rate),
		"bits a second of each; 0 is as fast as they are kept"},
	{"fragment", 0, OPTION_SIZE, "BYTES", "0", NULL, offsetof(struct ingest_args, fragment),
		"of a fragment; 0 is one second of the rate, or 1M"},
	{"frames", 0, OPTION_COUNT, "N", "25", NULL, offsetof(struct ingest_args, frames),
		"pictures in a fragment"},
	{"duration", 'd', OPTION_DURATION, "TIME", "10s", NULL,
		offsetof(struct ingest_args, seconds_us), "how long"},
	{"window", 0, OPTION_SIZE, "BYTES", "4M", NULL, offsetof(struct ingest_args, window),
		"with --rate 0: not kept yet, of each stream"},
	{"camera", 0, OPTION_STRING, "PREFIX", "bench", NULL, offsetof(struct ingest_args, prefix),
		"record as PREFIX-1, PREFIX-2 and so on"},
	{"register", 0, OPTION_FLAG, NULL, NULL, NULL,
		offsetof(struct ingest_args, register_cameras),
		"register these cameras first (needs the role admin)"},
	{.name = NULL},
};

#define PENDING_MAX  4096         /* fragments of a stream that are not durable yet */
#define MEMORY_MAX   (2ull << 30) /* what is not kept yet, of all streams, about */
#define MEMORY_LEAST (4ull << 20) /* of one stream */

struct stream {
	struct ingest *ingest;
	char name[CLUSTER_STREAM_MAX];
	struct steppe_recorder *recorder;
	int64_t next_ns;              /* when its next fragment is due */
	int64_t ticks;                /* decoding time of its next picture */
	int64_t last_ns;              /* when its last fragment was handed over */
	int64_t pending[PENDING_MAX]; /* when each was, oldest first; under the lock */
	unsigned pending_first, pending_count;
	uint64_t durable; /* fragments; under the lock */
	int refusal;
	char reason[128];
};

struct ingest {
	struct command_call *call;
	const struct ingest_args *args;
	struct cluster cluster;
	struct benchmedia media;
	struct stream *streams;
	uint32_t opened;
	uint64_t fragment_bytes, written;
	uint64_t dropped; /* fragments that found no memory: the cluster is too slow for the rate */
	pthread_mutex_t lock;
	struct latency latency;
	uint64_t durable;
	int64_t start_ns, last_durable_ns;
	int closed;
};

static int64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static int64_t wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

/* --- what is told --- */

static void on_durable(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
	uint32_t duration_us, const uint8_t *digest)
{
	(void)session, (void)seq, (void)capture_us, (void)duration_us, (void)digest;
	struct stream *s = user;
	struct ingest *b = s->ingest;
	int64_t now = mono_ns();
	pthread_mutex_lock(&b->lock);
	b->durable++;
	s->durable++;
	b->last_durable_ns = now;
	if (s->pending_count > 0) {
		latency_add(&b->latency, (now - s->pending[s->pending_first]) / 1000);
		s->pending_first = (s->pending_first + 1) % PENDING_MAX;
		s->pending_count--;
	}
	pthread_mutex_unlock(&b->lock);
	if (b->args->rate == 0)
		stop_ring();
}

static void on_changed(void *user, const struct steppe_recorder_status *status)
{
	struct stream *s = user;
	const char *reason = NULL;
	if (!status->refusal || status->connected)
		return;
	(void)steppe_last_refusal(&reason);
	pthread_mutex_lock(&s->ingest->lock);
	s->refusal = status->refusal;
	snprintf(s->reason, sizeof(s->reason), "%s", reason ? reason : "");
	pthread_mutex_unlock(&s->ingest->lock);
}

static void on_closed(void *user, int status)
{
	struct stream *s = user;
	(void)status; /* what is not durable is not counted */
	pthread_mutex_lock(&s->ingest->lock);
	s->ingest->closed++;
	pthread_mutex_unlock(&s->ingest->lock);
	stop_ring();
}

/* --- writing --- */

/* Of a fragment of which nothing was taken. */
static void forget_newest(struct stream *s)
{
	pthread_mutex_lock(&s->ingest->lock);
	s->pending_count -= s->pending_count > 0;
	pthread_mutex_unlock(&s->ingest->lock);
}

/* So that a rate the cluster cannot follow ends in dropped fragments, not in a machine without
 * memory. */
static uint64_t memory_limit(const struct ingest_args *a, uint64_t fragment_bytes)
{
	uint64_t share = MEMORY_MAX / a->streams;
	uint64_t least = a->rate ? MEMORY_LEAST : a->window + 2 * fragment_bytes;
	return share > least ? share : least;
}

static int write_fragment(struct ingest *b, struct stream *s, int64_t now_ns)
{
	/* its pictures share the time since the one before: their times are true whatever the pace */
	int64_t span_us = b->args->rate
				  ? (int64_t)(b->fragment_bytes * 8 * US_PER_SECOND / b->args->rate)
				  : (now_ns - s->last_ns) / 1000;
	span_us = span_us < 1000 ? 1000 : span_us > US_PER_SECOND ? US_PER_SECOND : span_us;
	int64_t step = span_us * 9 / 100 / b->args->frames;
	step = step < 1 ? 1 : step;
	pthread_mutex_lock(&b->lock);
	if (s->pending_count < PENDING_MAX) {
		s->pending[(s->pending_first + s->pending_count) % PENDING_MAX] = now_ns;
		s->pending_count++;
	}
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < b->args->frames; i++) {
		size_t len;
		const uint8_t *data = benchmedia_frame(
			&b->media, i == 0, b->fragment_bytes / b->args->frames, &len);
		if (!data)
			return -ENOMEM;
		struct steppe_sample sample = STEPPE_INIT(steppe_sample);
		sample.data = data;
		sample.len = len;
		sample.dts = sample.pts = s->ticks;
		sample.duration = step;
		sample.sync = i == 0;
		sample.wall_us = i == 0 ? wall_us() - span_us : -1;
		sample.clock = STEPPE_CLOCK_DECLARED;
		s->ticks += step;
		int error = steppe_recorder_write(s->recorder, &sample);
		if (error == -EAGAIN) {
			b->dropped++;
			if (i == 0)
				forget_newest(s);
			break;
		}
		if (error)
			return error;
		b->written += len;
	}
	s->last_ns = now_ns;
	return steppe_recorder_flush(s->recorder);
}

/* Counted here: the recorder's own status is as old as its loop's last turn. */
static bool may_write(struct ingest *b, struct stream *s, int64_t now_ns)
{
	if (b->args->rate)
		return now_ns >= s->next_ns;
	pthread_mutex_lock(&b->lock);
	uint64_t pending = s->pending_count * b->fragment_bytes;
	pthread_mutex_unlock(&b->lock);
	return pending == 0 || pending + b->fragment_bytes <= b->args->window;
}

static int refused(struct ingest *b)
{
	int index = -1;
	pthread_mutex_lock(&b->lock);
	for (uint32_t i = 0; i < b->opened && index < 0; i++)
		if (b->streams[i].refusal)
			index = (int)i;
	pthread_mutex_unlock(&b->lock);
	return index;
}

static int write_all(struct ingest *b)
{
	int64_t period_ns =
		b->args->rate
			? (int64_t)(b->fragment_bytes * 8 * (uint64_t)NS_PER_SECOND / b->args->rate)
			: 0;
	b->start_ns = mono_ns();
	int64_t end_ns = b->start_ns + b->args->seconds_us * 1000;
	for (uint32_t i = 0; i < b->opened; i++) {
		/* spread over the period, as cameras are */
		b->streams[i].next_ns = b->start_ns + period_ns * i / b->opened;
		b->streams[i].last_ns = b->start_ns;
	}
	while (mono_ns() < end_ns && !stop_asked() && refused(b) < 0) {
		bool any = false;
		for (uint32_t i = 0; i < b->opened; i++) {
			struct stream *s = &b->streams[i];
			int64_t now_ns = mono_ns();
			if (!may_write(b, s, now_ns))
				continue;
			any = true;
			s->next_ns += period_ns;
			int error = write_fragment(b, s, now_ns);
			if (error)
				return error;
		}
		if (!any)
			stop_wait(b->args->rate ? 2 : 20);
	}
	return 0;
}

/* --- opening and closing --- */

static int open_stream(struct ingest *b, uint32_t index)
{
	struct stream *s = &b->streams[index];
	char camera[CLUSTER_STREAM_MAX];
	struct steppe_track track = benchmedia_track(&b->media);
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	s->ingest = b;
	snprintf(camera, sizeof(camera), "%.60s-%" PRIu32, b->args->prefix, index + 1);
	if (!cluster_stream(camera, "main", s->name))
		return -EINVAL;
	if (b->args->register_cameras) {
		struct steppe_camera c = STEPPE_INIT(steppe_camera);
		c.id = camera;
		c.name = "steppe bench";
		c.division = c.site = c.source = "";
		int error = steppe_camera_put(b->cluster.steppe, &c);
		if (error)
			return error;
	}
	o.stream = s->name;
	o.tracks = &track;
	o.track_count = 1;
	o.memory_limit = memory_limit(b->args, b->fragment_bytes);
	o.changed = on_changed;
	o.durable = on_durable;
	o.user = s;
	return steppe_record(b->cluster.steppe, &o, &s->recorder);
}

static void close_all(struct ingest *b)
{
	for (uint32_t i = 0; i < b->opened; i++)
		steppe_recorder_end(b->streams[i].recorder, 30000, on_closed, &b->streams[i]);
	for (;;) {
		pthread_mutex_lock(&b->lock);
		bool done = b->closed == (int)b->opened;
		pthread_mutex_unlock(&b->lock);
		if (done)
			return;
		stop_wait(100);
	}
}

/* How even the streams were served: fragments kept of the one with the fewest and the most. */
static void spread(const struct ingest *b, uint64_t *ret_least, uint64_t *ret_most)
{
	*ret_least = UINT64_MAX;
	*ret_most = 0;
	for (uint32_t i = 0; i < b->opened; i++) {
		uint64_t kept = b->streams[i].durable;
		*ret_least = kept < *ret_least ? kept : *ret_least;
		*ret_most = kept > *ret_most ? kept : *ret_most;
	}
}

static void report(struct ingest *b)
{
	double seconds = (double)(b->last_durable_ns - b->start_ns) / 1e9;
	uint64_t bytes = b->durable * b->fragment_bytes;
	double per_second = seconds > 0 ? (double)bytes / seconds : 0;
	uint64_t least, most;
	spread(b, &least, &most);
	uint32_t p50 = latency_percentile(&b->latency, 50),
		 p95 = latency_percentile(&b->latency, 95),
		 p99 = latency_percentile(&b->latency, 99);
	if (b->call->json) {
		struct json j = {.to = stdout};
		json_open(&j, '{');
		json_member_uint(&j, "streams", b->opened);
		json_member_uint(&j, "fragment_bytes", b->fragment_bytes);
		json_member_uint(&j, "fragments", b->durable);
		json_member_uint(&j, "dropped", b->dropped);
		json_member_uint(&j, "bytes", bytes);
		json_member_uint(&j, "least_fragments", least);
		json_member_uint(&j, "most_fragments", most);
		json_member_double(&j, "seconds", seconds);
		json_member_double(&j, "mb_per_second", per_second / 1e6);
		json_member_uint(&j, "ack_p50_us", p50);
		json_member_uint(&j, "ack_p95_us", p95);
		json_member_uint(&j, "ack_p99_us", p99);
		json_close(&j, '}');
		json_end(&j);
		return;
	}
	char total[HUMAN_MAX], fragment[HUMAN_MAX];
	human_bytes(bytes, total);
	human_bytes(b->fragment_bytes, fragment);
	printf("%" PRIu32 " streams, fragments of %s: %s kept in %.1f s\n", b->opened, fragment,
		total, seconds);
	printf("  %.1f MB/s  (%.0f Mb/s)\n", per_second / 1e6, per_second * 8 / 1e6);
	printf("  %" PRIu64 " to %" PRIu64 " fragments a stream\n", least, most);
	if (b->dropped > 0)
		printf("  %" PRIu64
		       " fragments were dropped: the cluster cannot follow this rate\n",
			b->dropped);
	printf("  kept after  p50 %.1f ms  p95 %.1f ms  p99 %.1f ms\n", p50 / 1e3, p95 / 1e3,
		p99 / 1e3);
}

static enum exit_code run(struct ingest *b)
{
	int error = 0;
	for (uint32_t i = 0; i < b->args->streams && !error; i++) {
		error = open_stream(b, i);
		b->opened += !error;
	}
	if (!error)
		error = write_all(b);
	close_all(b);
	int index = refused(b);
	if (index >= 0)
		return complain_refusal(b->call, b->streams[index].refusal,
			b->streams[index].reason, b->streams[index].name);
	if (error)
		return complain_of(b->call, error, "bench ingest");
	report(b);
	return ENDED_OK;
}

static enum exit_code ingest_run(struct command_call *call, const void *args)
{
	const struct ingest_args *a = args;
	struct ingest b = {.call = call, .args = a};
	b.fragment_bytes = a->fragment ? a->fragment : a->rate ? a->rate / 8 : 1000000;
	if (a->streams == 0 || a->streams > 10000 || a->frames == 0 || a->frames > 1000 ||
		b.fragment_bytes < 1000 || b.fragment_bytes > 4000000) {
		complain(call,
			"1 to 10,000 streams, 1 to 1,000 pictures and 1,000 to 4,000,000 bytes a "
			"fragment",
			NULL);
		return ENDED_USAGE;
	}
	pthread_mutex_init(&b.lock, NULL);
	enum exit_code code = cluster_open(&b.cluster, call);
	if (!code) {
		b.streams = calloc(a->streams, sizeof(*b.streams));
		int error = b.streams ? stop_catch() : -ENOMEM;
		if (!error)
			error = benchmedia_init(&b.media, (uint64_t)call->now.us);
		code = error ? complain_of(call, error, "bench ingest") : run(&b);
		cluster_close(&b.cluster);
		benchmedia_fini(&b.media);
	}
	latency_fini(&b.latency);
	free(b.streams);
	pthread_mutex_destroy(&b.lock);
	return code;
}

const struct command command_bench_ingest = {
	.name = "bench ingest",
	.words = "",
	.brief = "how much footage the cluster takes in, and how soon it is kept",
	.about = "Records synthetic, valid H.264 of random bytes on many streams, and tells the "
		 "bytes that became durable a second and the time "
		 "from handing a fragment over to its acknowledgement. The footage stays: remove "
		 "the cameras, or let retention take it.",
	.examples = "# sixty-four cameras of 4 Mb/s\nsteppe bench ingest --streams 64 --duration "
		    "60s --register\n"
		    "# as fast as it goes\nsteppe bench ingest --streams 64 --rate 0 --fragment "
		    "1000000",
	.options = ingest_options,
	.args_size = sizeof(struct ingest_args),
	.uses = USES_CLUSTER | USES_JSON,
	.run = ingest_run,
};
