/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "proto/refusal.h"

#define REFUSAL_NUMBERS 64

static atomic_uint_fast64_t values[METRIC_COUNT];
static atomic_uint_fast64_t refusals[REFUSAL_NUMBERS];
static atomic_uint_fast64_t store_values[METRIC_POOLS][STORE_METRIC_COUNT];
static atomic_int store_pools;

/* Upper bounds of the histogram of waits, in milliseconds; one more bucket for all above. */
static const int64_t wait_bounds_ms[] = {
	5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000};
static atomic_uint_fast64_t wait_buckets[ARRAY_LEN(wait_bounds_ms) + 1];
static atomic_uint_fast64_t wait_sum_ns;

static const struct {
	const char *name, *kind, *help;
} table[] = {
#define COUNTER                          "counter"
#define GAUGE                            "gauge"
#define METRIC_ROW(id, name, kind, help) [METRIC_##id] = {name, kind, help},
	METRICS(METRIC_ROW)
#undef METRIC_ROW
};

void metrics_add(enum metric metric, uint64_t count)
{
	atomic_fetch_add_explicit(&values[metric], count, memory_order_relaxed);
}

void metrics_gauge_add(enum metric metric, int64_t delta)
{
	atomic_fetch_add_explicit(&values[metric], (uint_fast64_t)delta, memory_order_relaxed);
}

void metrics_gauge_set(enum metric metric, uint64_t value)
{
	atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

uint64_t metrics_get(enum metric metric)
{
	return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void metrics_store_pools(int count)
{
	CHECK(count >= 0 && count <= METRIC_POOLS);
	atomic_store(&store_pools, count);
}

void metrics_store_add(int pool, enum store_metric metric, uint64_t count)
{
	atomic_fetch_add_explicit(&store_values[pool][metric], count, memory_order_relaxed);
}

uint64_t metrics_store_get(int pool, enum store_metric metric)
{
	return atomic_load_explicit(&store_values[pool][metric], memory_order_relaxed);
}

void metrics_refusal(int refusal)
{
	size_t slot = refusal > 0 && refusal < REFUSAL_NUMBERS ? (size_t)refusal : 0;
	atomic_fetch_add_explicit(&refusals[slot], 1, memory_order_relaxed);
}

uint64_t metrics_refusals(int refusal)
{
	return refusal > 0 && refusal < REFUSAL_NUMBERS
		       ? atomic_load_explicit(&refusals[refusal], memory_order_relaxed)
		       : 0;
}

void metrics_durable_wait(int64_t wait_ns)
{
	size_t slot = 0;
	while (slot < ARRAY_LEN(wait_bounds_ms) && wait_ns > wait_bounds_ms[slot] * NS_PER_MS)
		slot++;
	atomic_fetch_add_explicit(&wait_buckets[slot], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&wait_sum_ns, (uint_fast64_t)wait_ns, memory_order_relaxed);
}

/* Text that goes on counting its length when the space is used up. */
struct text {
	char *to;
	size_t size, len;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	size_t room = t->len < t->size ? t->size - t->len : 0;
	int n = vsnprintf(room ? t->to + t->len : NULL, room, format, args);
	va_end(args);
	t->len += n > 0 ? (size_t)n : 0;
}

static void add_store(struct text *t)
{
	static const char *const pools[METRIC_POOLS] = {
		"meta", "data", "cold", "3", "4", "5", "6", "7"};
	static const struct {
		const char *name, *help;
	} rows[] = {
#define STORE_METRIC_ROW(id, name, help) [STORE_METRIC_##id] = {name, help},
		STORE_METRICS(STORE_METRIC_ROW)
#undef STORE_METRIC_ROW
	};
	int count = atomic_load(&store_pools);
	for (size_t i = 0; i < STORE_METRIC_COUNT; i++) {
		add(t, "# HELP %s %s\n# TYPE %s counter\n", rows[i].name, rows[i].help,
			rows[i].name);
		for (int pool = 0; pool < count; pool++)
			add(t, "%s{pool=\"%s\"} %" PRIu64 "\n", rows[i].name, pools[pool],
				metrics_store_get(pool, (enum store_metric)i));
	}
}

static void add_refusals(struct text *t)
{
	add(t, "# HELP steppe_refusals_total Requests refused, by reason.\n# TYPE "
	       "steppe_refusals_total counter\n");
#define REFUSAL_ROW(id, number, word, retry, text)                                                 \
	add(t, "steppe_refusals_total{reason=\"%s\"} %" PRIu64 "\n", word,                         \
		metrics_refusals(number));
	REFUSALS(REFUSAL_ROW)
#undef REFUSAL_ROW
}

static void add_waits(struct text *t)
{
	const char *name = "steppe_durable_wait_seconds";
	uint64_t total = 0;
	add(t,
		"# HELP %s From taking a batch's last fragment to its being durable.\n# TYPE %s "
		"histogram\n",
		name, name);
	for (size_t i = 0; i < ARRAY_LEN(wait_bounds_ms); i++) {
		total += atomic_load_explicit(&wait_buckets[i], memory_order_relaxed);
		add(t, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)wait_bounds_ms[i] / 1000,
			total);
	}
	total += atomic_load_explicit(
		&wait_buckets[ARRAY_LEN(wait_bounds_ms)], memory_order_relaxed);
	double sum = (double)atomic_load_explicit(&wait_sum_ns, memory_order_relaxed) /
		     (double)NS_PER_SECOND;
	add(t, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %g\n%s_count %" PRIu64 "\n", name, total,
		name, sum, name, total);
}

size_t metrics_format(char *to, size_t size)
{
	struct text t = {.to = to, .size = size};
	for (size_t i = 0; i < METRIC_COUNT; i++)
		add(&t, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", table[i].name,
			table[i].help, table[i].name, table[i].kind, table[i].name,
			metrics_get((enum metric)i));
	add_store(&t);
	add_refusals(&t);
	add_waits(&t);
	return t.len;
}
