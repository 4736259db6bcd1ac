/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/health.h"

#include <errno.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/metrics.h"

#define LOOK_EVERY_NS (1 * NS_PER_SECOND)
#define ASK_EVERY_NS  (5 * NS_PER_SECOND)  /* how full the pools are */
#define LATE_NS       (15 * NS_PER_SECOND) /* a store that has not answered for so long is ill */
#define FORGET_NS                                                                                  \
	(60 * NS_PER_SECOND) /* a trouble of which nothing is seen any more, though no write       \
				succeeded: nobody tries */

static _Atomic enum health_state current = HEALTH_OK;

static const struct {
	const char *word, *text;
} states[] = {
#define HEALTH_ROW(name, word, text) [HEALTH_##name] = {word, text},
	HEALTH_STATES(HEALTH_ROW)
#undef HEALTH_ROW
};

enum health_state health_now(void)
{
	return atomic_load(&current);
}

const char *health_text(enum health_state state)
{
	return states[state].text;
}

void health_space(const struct health *h, int pool, uint64_t *ret_total, uint64_t *ret_used)
{
	*ret_total = atomic_load(&h->total[pool]);
	*ret_used = atomic_load(&h->used[pool]);
}

/* --- judging --- */

/* One that `may_mix` lasts though other writes succeed: a pool that is nearly full takes small
 * batches. */
static void look_for(
	struct health_trouble *t, uint64_t signs, bool succeeded, bool may_mix, struct mono now)
{
	if (signs > t->signs && (may_mix || !succeeded)) {
		t->lasts = true;
		t->last = now;
	} else if (succeeded || now.ns - t->last.ns > FORGET_NS) {
		t->lasts = false;
	}
	t->signs = signs;
}

static void look_at_writes(struct health *h, struct mono now)
{
	uint64_t no_space = 0, failed = 0, done = metrics_store_get(STORE_DATA, STORE_METRIC_DONE);
	for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
		no_space += metrics_store_get(pool, STORE_METRIC_NO_SPACE);
		failed += metrics_store_get(pool, STORE_METRIC_FAILED);
	}
	bool succeeded = done > h->done;
	h->done = done;
	look_for(&h->full, no_space, succeeded, true, now);
	look_for(&h->failing, failed, succeeded, false, now);
}

/* Why the store is out of reach; 0 while it is not. */
static int reach(struct health *h, struct mono now, char *why, size_t why_size)
{
	int rc = h->backend ? store_backend_health(h->backend, why, why_size) : 0;
	if (rc)
		return rc;
	if (h->asking && now.ns - h->asked.ns > LATE_NS)
		rc = -ETIMEDOUT;
	else if (!h->asking)
		rc = h->space_status;
	(void)snprintf(why, why_size, "%s", err_text(rc));
	return rc;
}

static bool has_no_room(const struct health *h, char *why, size_t why_size)
{
	for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
		uint64_t total, used;
		health_space(h, pool, &total, &used);
		if (!total || used < total)
			continue;
		(void)snprintf(why, why_size, "pool %d has %llu of %llu bytes used", pool,
			(unsigned long long)used, (unsigned long long)total);
		return true;
	}
	if (h->full.lasts)
		(void)snprintf(why, why_size, "writes were refused for want of room");
	return h->full.lasts;
}

static enum health_state judge(struct health *h, struct mono now, char *why, size_t why_size)
{
	look_at_writes(h, now);
	if (reach(h, now, why, why_size))
		return HEALTH_SILENT;
	if (has_no_room(h, why, why_size))
		return HEALTH_FULL;
	(void)snprintf(why, why_size, "%s", h->failing.lasts ? "writes fail" : "");
	return h->failing.lasts ? HEALTH_FAILING : HEALTH_OK;
}

static void become(enum health_state state, const char *why)
{
	enum health_state was = atomic_exchange(&current, state);
	metrics_gauge_set(METRIC_STORE_HEALTHY, state == HEALTH_OK);
	metrics_gauge_set(METRIC_STORE_FULL, state == HEALTH_FULL);
	metrics_gauge_set(METRIC_STORE_ANSWERS, state != HEALTH_SILENT);
	if (state == was)
		return;
	if (state == HEALTH_OK)
		log_info("recordings can be taken again health=ok was=%s", states[was].word);
	else
		log_error("%s health=%s was=%s why=\"%s\"", states[state].text, states[state].word,
			states[was].word, why);
	(void)sd_notifyf(0, "STATUS=%s", states[state].text); /* nobody may be listening */
}

/* --- asking --- */

static void ask(struct health *h);

static void on_space(struct store_space *space)
{
	struct health *h = container_of(space, struct health, space);
	h->asking = false;
	h->space_status = space->status;
	if (space->status)
		return;
	atomic_store(&h->total[h->pool], space->total_bytes);
	atomic_store(&h->used[h->pool], space->used_bytes);
	if (h->pool == STORE_DATA) {
		metrics_gauge_set(METRIC_STORE_TOTAL, space->total_bytes);
		metrics_gauge_set(METRIC_STORE_USED, space->used_bytes);
	}
	h->pool = (h->pool + 1) % h->pool_count;
	if (h->pool && !h->stopped)
		ask(h);
}

static void ask(struct health *h)
{
	h->asking = true;
	h->asked = loop_now(h->loop);
	h->space = (struct store_space){.done = on_space};
	store_space(h->store, &h->space, h->pool);
}

static void on_timer(struct loop_timer *timer)
{
	struct health *h = container_of(timer, struct health, timer);
	struct mono now = loop_now(h->loop);
	char why[256];
	if (!h->asking && now.ns >= h->ask_next.ns) {
		h->ask_next = mono_add_ns(now, ASK_EVERY_NS);
		ask(h);
	}
	enum health_state state = judge(h, now, why, sizeof(why));
	become(state, why);
	(void)loop_timer_start(h->loop, timer, LOOK_EVERY_NS); /* armed before: needs no memory */
}

void health_start(struct health *h)
{
	h->timer.fire = on_timer;
	h->pool_count = store_pool_count(h->store);
	look_at_writes(h, loop_now(h->loop)); /* what was counted before is nothing to it */
	h->full.lasts = h->failing.lasts = false;
	become(HEALTH_OK, "");
	on_timer(&h->timer);
}

void health_stop(struct health *h)
{
	h->stopped = true;
	if (h->timer.fire)
		loop_timer_stop(&h->timer);
}
