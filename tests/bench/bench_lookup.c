/* SPDX-License-Identifier: Apache-2.0 */
/* bench_lookup PKI NAME HOST:PORT < WINDOWS: how soon a viewer's questions are answered, one at a
 * time. Each line of the windows is STREAM FROM_US (make_archive prints them). For each the time
 * from asking for two seconds of footage to their first fragment; then, for each stream, the time a
 * timeline of one of the days takes. Prints one JSON object. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "client/steppe.h"
#include "tools/steppe/latency.h"

#define WINDOW_US   (2 * US_PER_SECOND)
#define WINDOWS_MAX 100000

struct window {
	char stream[128];
	int64_t from_us;
};

/* One fetch being waited for. */
struct asking {
	pthread_mutex_t lock;
	pthread_cond_t bell;
	int64_t first_ns; /* when the first fragment came; 0: not yet */
	uint64_t fragments;
	bool done;
	int status;
};

static int64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static bool on_fragment(void *user, const struct steppe_fragment *fragment)
{
	struct asking *a = user;
	pthread_mutex_lock(&a->lock);
	if (a->fragments++ == 0)
		a->first_ns = mono_ns();
	if (fragment->damaged)
		a->status = STEPPE_E_DAMAGED;
	pthread_mutex_unlock(&a->lock);
	return true;
}

static void on_done(void *user, int status)
{
	struct asking *a = user;
	pthread_mutex_lock(&a->lock);
	a->done = true;
	a->status = status ? status : a->status;
	pthread_cond_signal(&a->bell);
	pthread_mutex_unlock(&a->lock);
}

static int ask_window(struct steppe *cluster, const struct window *w, struct latency *first)
{
	struct asking a = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER};
	const char *streams[] = {w->stream, NULL};
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	struct steppe_fetch *fetch;
	o.streams = streams;
	o.from_us = w->from_us;
	o.to_us = w->from_us + WINDOW_US;
	o.fragment = on_fragment;
	o.done = on_done;
	o.user = &a;
	int64_t began_ns = mono_ns();
	int rc = steppe_fetch(cluster, &o, &fetch);
	if (rc)
		return rc;
	pthread_mutex_lock(&a.lock);
	while (!a.done)
		pthread_cond_wait(&a.bell, &a.lock);
	pthread_mutex_unlock(&a.lock);
	if (a.status)
		return a.status;
	if (!a.fragments)
		return -ENODATA;
	latency_add(first, (a.first_ns - began_ns) / 1000);
	return 0;
}

static int ask_timeline(
	struct steppe *cluster, const char *stream, int64_t within_us, struct latency *whole)
{
	struct steppe_timeline *timeline;
	int64_t day_us = within_us / US_PER_DAY * US_PER_DAY, began_ns = mono_ns();
	int rc = steppe_timeline_get(cluster, stream, day_us, day_us + US_PER_DAY, &timeline);
	if (rc)
		return rc;
	if (whole)
		latency_add(whole, (mono_ns() - began_ns) / 1000);
	rc = timeline->span_count ? 0 : -ENODATA;
	steppe_free(timeline);
	return rc;
}

static size_t read_windows(struct window *windows)
{
	size_t count = 0;
	while (count < WINDOWS_MAX &&
		scanf("%127s %" SCNd64, windows[count].stream, &windows[count].from_us) == 2)
		count++;
	return count;
}

static int ask_all(struct steppe *cluster, const struct window *windows, size_t count)
{
	struct latency first = {.count = 0}, timelines = {.count = 0};
	/* not counted: the connection */
	int rc = ask_timeline(cluster, windows[0].stream, windows[0].from_us + US_PER_DAY, NULL);
	rc = rc == -ENODATA ? 0 : rc;
	for (size_t i = 0; i < count && !rc; i++)
		rc = ask_window(cluster, &windows[i], &first);
	/* another stream's day, so that nothing of it was looked at before */
	for (size_t i = 0; i < count && !rc; i++)
		rc = ask_timeline(
			cluster, windows[i].stream, windows[(i + 1) % count].from_us, &timelines);
	if (!rc)
		printf("{\"windows\": %zu, \"first_p50_ms\": %.3f, \"first_p95_ms\": %.3f, "
		       "\"first_p99_ms\": %.3f, \"timeline_p50_ms\": %.3f, "
		       "\"timeline_p95_ms\": %.3f, \"timeline_p99_ms\": %.3f}\n",
			count, latency_percentile(&first, 50) / 1e3,
			latency_percentile(&first, 95) / 1e3, latency_percentile(&first, 99) / 1e3,
			latency_percentile(&timelines, 50) / 1e3,
			latency_percentile(&timelines, 95) / 1e3,
			latency_percentile(&timelines, 99) / 1e3);
	latency_fini(&first);
	latency_fini(&timelines);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: bench_lookup PKI NAME HOST:PORT < WINDOWS\n");
		return 2;
	}
	char ca[512], cert[512], key[512], why[200] = "";
	(void)snprintf(ca, sizeof(ca), "%.400s/ca.crt", argv[1]);
	(void)snprintf(cert, sizeof(cert), "%.400s/%.100s.crt", argv[1], argv[2]);
	(void)snprintf(key, sizeof(key), "%.400s/%.100s.key", argv[1], argv[2]);
	const char *addresses[] = {argv[3], NULL};
	struct steppe_options options = STEPPE_INIT(steppe_options);
	options.addresses = addresses;
	options.ca = ca;
	options.cert = cert;
	options.key = key;
	options.name = "bench_lookup";
	struct steppe *cluster;
	struct window *windows = calloc(WINDOWS_MAX, sizeof(*windows));
	CHECK(windows);
	size_t count = read_windows(windows);
	if (count == 0 || steppe_open(&options, &cluster, why, sizeof(why))) {
		fprintf(stderr, "bench_lookup: %s\n", count ? why : "no windows to ask for");
		return 1;
	}
	int rc = ask_all(cluster, windows, count);
	steppe_close(&cluster);
	free(windows);
	if (rc)
		fprintf(stderr, "bench_lookup: %s\n", steppe_error_text(rc));
	return rc ? 1 : 0;
}
