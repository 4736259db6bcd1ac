/* SPDX-License-Identifier: Apache-2.0 */
/* steppe bench fetch: how soon footage comes, and how much of it. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/latency.h"
#include "tools/steppe/stop.h"

struct fetch_bench_args {
	const char *prefix, *stream;
	struct wall from, to;
	int64_t window_us;
	uint32_t cameras, count, parallel;
	bool sync_only;
};

static const struct option fetch_bench_options[] = {
	{"from", 'f', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct fetch_bench_args, from),
		"begin of the time the windows are drawn from"},
	{"to", 't', OPTION_TIME, "TIME", "now", NULL, offsetof(struct fetch_bench_args, to),
		"its end"},
	{"window", 'w', OPTION_DURATION, "TIME", "10s", NULL,
		offsetof(struct fetch_bench_args, window_us),
		"length of a window; 0s is all of it"},
	{"count", 'n', OPTION_COUNT, "N", "100", NULL, offsetof(struct fetch_bench_args, count),
		"windows to fetch"},
	{"parallel", 0, OPTION_COUNT, "N", "4", NULL, offsetof(struct fetch_bench_args, parallel),
		"windows at a time"},
	{"camera", 0, OPTION_STRING, "PREFIX", "bench", NULL,
		offsetof(struct fetch_bench_args, prefix), "from PREFIX-1, PREFIX-2 and so on"},
	{"cameras", 0, OPTION_COUNT, "N", "16", NULL, offsetof(struct fetch_bench_args, cameras),
		"so many of them; 0 is the one called PREFIX"},
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL,
		offsetof(struct fetch_bench_args, stream), "the cameras' stream"},
	{"sync-only", 0, OPTION_FLAG, NULL, NULL, NULL,
		offsetof(struct fetch_bench_args, sync_only), "sync pictures alone"},
	{.name = NULL},
};

struct window {
	struct bench *bench;
	char stream[CLUSTER_STREAM_MAX];
	struct steppe_fetch *fetch;
	int64_t start_ns;
	bool has_first, idle;
};

struct bench {
	struct command_call *call;
	const struct fetch_bench_args *args;
	struct cluster cluster;
	struct window *windows; /* `parallel` of them, used again and again */
	pthread_mutex_t lock;
	struct latency first;
	uint64_t bytes, fragments, empty;
	uint32_t started, finished;
	int error, refusal;
	char reason[128];
};

static int64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static bool on_fragment(void *user, const struct steppe_fragment *f)
{
	struct window *w = user;
	pthread_mutex_lock(&w->bench->lock);
	if (!w->has_first)
		latency_add(&w->bench->first, (mono_ns() - w->start_ns) / 1000);
	w->has_first = true;
	w->bench->bytes += f->len;
	w->bench->fragments++;
	pthread_mutex_unlock(&w->bench->lock);
	return true;
}

static void on_done(void *user, int status)
{
	struct window *w = user;
	struct bench *b = w->bench;
	const char *reason = NULL;
	int refusal = status == STEPPE_E_REFUSED ? steppe_last_refusal(&reason) : 0;
	pthread_mutex_lock(&b->lock);
	b->finished++;
	b->empty += status == 0 && !w->has_first;
	if (status && !b->error) {
		b->error = status;
		b->refusal = refusal;
		snprintf(b->reason, sizeof(b->reason), "%s", reason ? reason : "");
	}
	w->idle = true;
	pthread_mutex_unlock(&b->lock);
	stop_ring();
}

/* Windows are drawn evenly; the same run draws the same ones. */
static int start(struct bench *b, struct window *w, uint32_t number)
{
	const struct fetch_bench_args *a = b->args;
	uint64_t draw = hash64(7, &number, sizeof(number));
	char camera[CLUSTER_STREAM_MAX];
	if (a->cameras)
		snprintf(
			camera, sizeof(camera), "%.60s-%" PRIu64, a->prefix, draw % a->cameras + 1);
	else
		snprintf(camera, sizeof(camera), "%.64s", a->prefix);
	if (!cluster_stream(camera, a->stream, w->stream))
		return -EINVAL;
	int64_t room_us = a->to.us - a->from.us - a->window_us;
	bool all = a->window_us == 0 || room_us <= 0;
	const char *streams[] = {w->stream, NULL};
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	o.streams = streams;
	o.from_us = all ? a->from.us
			: a->from.us + (int64_t)(hash64(8, &number, sizeof(number)) %
						 (uint64_t)room_us);
	o.to_us = all ? a->to.us : o.from_us + a->window_us;
	o.sync_only = a->sync_only;
	o.fragment = on_fragment;
	o.done = on_done;
	o.user = w;
	o.purpose = "measuring";
	w->bench = b;
	w->has_first = false;
	w->start_ns = mono_ns();
	return steppe_fetch(b->cluster.steppe, &o, &w->fetch);
}

/* Starts windows while others run, until all are done or one failed. */
static int fetch_all(struct bench *b)
{
	const struct fetch_bench_args *a = b->args;
	for (uint32_t i = 0; i < a->parallel; i++)
		b->windows[i].idle = true;
	for (;;) {
		int error = 0;
		pthread_mutex_lock(&b->lock);
		bool over = b->error || stop_asked() || b->started == a->count;
		bool done = over && b->finished == b->started;
		pthread_mutex_unlock(&b->lock);
		if (done)
			return b->error;
		for (uint32_t i = 0; i < a->parallel && !over && b->started < a->count && !error;
			i++) {
			pthread_mutex_lock(&b->lock);
			bool idle = b->windows[i].idle;
			b->windows[i].idle = false;
			pthread_mutex_unlock(&b->lock);
			if (!idle)
				continue;
			error = start(b, &b->windows[i], b->started);
			b->started += !error;
		}
		if (error) {
			pthread_mutex_lock(&b->lock);
			b->error = b->error ? b->error : error;
			pthread_mutex_unlock(&b->lock);
		}
		stop_wait(100);
	}
}

static void report(struct bench *b, double seconds)
{
	uint32_t p50 = latency_percentile(&b->first, 50), p95 = latency_percentile(&b->first, 95),
		 p99 = latency_percentile(&b->first, 99);
	double rate = seconds > 0 ? (double)b->bytes / seconds / 1e6 : 0;
	if (b->call->json) {
		struct json j = {.to = stdout};
		json_open(&j, '{');
		json_member_uint(&j, "windows", b->finished);
		json_member_uint(&j, "empty", b->empty);
		json_member_uint(&j, "fragments", b->fragments);
		json_member_uint(&j, "bytes", b->bytes);
		json_member_double(&j, "seconds", seconds);
		json_member_double(&j, "mb_per_second", rate);
		json_member_uint(&j, "first_p50_us", p50);
		json_member_uint(&j, "first_p95_us", p95);
		json_member_uint(&j, "first_p99_us", p99);
		json_close(&j, '}');
		json_end(&j);
		return;
	}
	char bytes[HUMAN_MAX];
	human_bytes(b->bytes, bytes);
	printf("%" PRIu32 " windows, %s in %" PRIu64 " fragments in %.1f s\n", b->finished, bytes,
		b->fragments, seconds);
	printf("  %.1f MB/s\n", rate);
	printf("  first fragment after  p50 %.1f ms  p95 %.1f ms  p99 %.1f ms\n", p50 / 1e3,
		p95 / 1e3, p99 / 1e3);
	if (b->empty > 0)
		printf("  %" PRIu64 " windows held nothing\n", b->empty);
}

static enum exit_code run(struct bench *b)
{
	int64_t start_ns = mono_ns();
	int error = fetch_all(b);
	double seconds = (double)(mono_ns() - start_ns) / 1e9;
	if (error == STEPPE_E_REFUSED)
		return complain_refusal(b->call, b->refusal, b->reason, "bench fetch");
	if (error)
		return complain_of(b->call, error, "bench fetch");
	report(b, seconds);
	return ENDED_OK;
}

static enum exit_code fetch_bench_run(struct command_call *call, const void *args)
{
	const struct fetch_bench_args *a = args;
	struct bench b = {.call = call, .args = a};
	if (a->from.us < 0 || a->from.us >= a->to.us || a->parallel == 0 || a->parallel > 1000) {
		complain(call,
			"it needs --from TIME before --to TIME, and 1 to 1,000 windows at a time",
			NULL);
		return ENDED_USAGE;
	}
	pthread_mutex_init(&b.lock, NULL);
	enum exit_code code = cluster_open(&b.cluster, call);
	if (!code) {
		b.windows = calloc(a->parallel, sizeof(*b.windows));
		int error = b.windows ? stop_catch() : -ENOMEM;
		code = error ? complain_of(call, error, "bench fetch") : run(&b);
		cluster_close(&b.cluster);
	}
	latency_fini(&b.first);
	free(b.windows);
	pthread_mutex_destroy(&b.lock);
	return code;
}

const struct command command_bench_fetch = {
	.name = "bench fetch",
	.words = "",
	.brief = "how soon footage comes, and how much of it",
	.about = "Fetches random windows of what steppe bench ingest, or anything else, has "
		 "recorded; tells the bytes a second and the time from "
		 "asking to the first fragment.",
	.examples = "steppe bench fetch --from -10m --window 10s --count 1000\n# one long "
		    "window\nsteppe bench fetch --camera gate-7 --cameras 0 --from -1d --window 0s "
		    "--count 1",
	.options = fetch_bench_options,
	.args_size = sizeof(struct fetch_bench_args),
	.uses = USES_CLUSTER | USES_JSON,
	.run = fetch_bench_run,
};
