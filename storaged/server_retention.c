/* SPDX-License-Identifier: Apache-2.0 */
/* What retention is told of the daemon: which cameras are its loop's, and what time it is. */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "storaged/metrics.h"
#include "storaged/server_impl.h"
#include "storaged/session/route.h"

/* A clock that is so far ahead of the cluster's, or moved so far since it was first looked at, is not
 * believed: what is deleted stays deleted. */
#define STEP_MAX_US (3600 * US_PER_SECOND)

static bool is_mine(void *owner, const char *camera)
{
	struct server_loop *l = owner;
	char stream[STREAM_NAME_MAX + 1];
	if (route_of_camera(camera, l->server->loop_count) != l->index)
		return false;
	/* a camera's streams stay together */
	snprintf(stream, sizeof(stream), "%s/main", camera);
	return moves_is_ours(l->moves, stream);
}

static bool now(void *owner, struct wall *ret_now)
{
	struct server_loop *l = owner;
	struct loop *loop = &l->uv.loop;
	int64_t passed_us = (loop_now(loop).ns - l->clock_began.ns) / 1000;
	struct wall wall = loop_wall(loop);
	int64_t ahead_us = wall.us - l->clock_then.us - passed_us;
	int64_t cluster_us = atomic_load(&l->server->clock_ahead_us);
	if (cluster_us > STEP_MAX_US) {
		log_error("this clock is %" PRId64
			  " s ahead of the cluster's: nothing is deleted; put it right",
			cluster_us / US_PER_SECOND);
		return false;
	}
	if (ahead_us > STEP_MAX_US) {
		log_error("the clock stepped ahead by %" PRId64
			  " s: nothing is deleted; if it is right now, restart this daemon",
			ahead_us / US_PER_SECOND);
		return false;
	}
	*ret_now = (struct wall){wall.us - cluster_us};
	return true;
}

static void on_round(void *owner, const struct expiry_counts *counts)
{
	struct server_loop *l = owner;
	metrics_add(METRIC_EXPIRY_ROUNDS, counts->rounds - l->expired.rounds);
	metrics_add(METRIC_EXPIRED_CHUNKS, counts->removed - l->expired.removed);
	metrics_add(METRIC_EXPIRED_BYTES, counts->removed_bytes - l->expired.removed_bytes);
	metrics_add(METRIC_EXPIRY_FAILURES, counts->failures - l->expired.failures);
	metrics_gauge_add(METRIC_EXPIRY_LEFT, (int64_t)(counts->left - l->expired.left));
	l->expired = *counts;
}

int server_retention_start(struct server_loop *l)
{
	const struct config *c = l->server->config;
	l->clock_began = loop_now(&l->uv.loop);
	l->clock_then = loop_wall(&l->uv.loop);
	const struct expiry_config expiry = {
		.loop = &l->uv.loop,
		.store = l->store,
		.catalog = l->catalog,
		.reader = l->reader,
		.keeper = l->keeper,
		.is_mine = is_mine,
		.now = now,
		.round = on_round,
		.owner = l,
		.every_ns = c->retention_every_us * 1000,
		.safe_us = c->retention_safe_us,
		.removes_per_second = (unsigned)c->retention_removes,
	};
	return expiry_new(&expiry, &l->expiry);
}
