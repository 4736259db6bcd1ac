/* SPDX-License-Identifier: Apache-2.0 */
/* One loop of the daemon: rooms made in layer order, stopped in the reverse.
 *
 *	listener -> recorders told STOPPING -> channels closed -> retention and keeper (batches, seals,
 * yields) -> reader -> catalogue -> store -> loop */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/metrics.h"
#include "storaged/server_impl.h"

#define TICK_NS     (1 * NS_PER_SECOND)
#define LINGER_NS   (6 * NS_PER_SECOND) /* for channels to end by themselves */
#define LINGER_STEP (20 * NS_PER_MS)

static_assert(STORE_POOLS_MAX <= METRIC_POOLS, "every pool is counted");

static struct service **service_slot(struct server_loop *l)
{
	return &l->server->services[l->index];
}

static struct channel_user *on_accepted(
	struct link_listener *listener, void *owner, struct channel *ch)
{
	(void)listener;
	return service_accept(*service_slot(owner), ch);
}

static void on_failed(
	struct link_listener *listener, void *owner, const char *peer, const char *words)
{
	(void)listener;
	(void)owner;
	metrics_add(METRIC_HANDSHAKES_FAILED, 1);
	log_warn("connection refused peer=%s why=\"%s\"", peer, words);
}

/* Carries this loop's own counts into the process-wide metrics. */
static void count(struct server_loop *l)
{
	for (int pool = 0; pool < store_pool_count(l->store); pool++) {
		const struct store_counters *now = store_counters(l->store, pool);
		struct store_counters *was = &l->counted[pool];
		metrics_store_add(pool, STORE_METRIC_WRITES, now->writes - was->writes);
		metrics_store_add(pool, STORE_METRIC_DONE, now->done - was->done);
		metrics_store_add(pool, STORE_METRIC_NO_SPACE, now->no_space - was->no_space);
		metrics_store_add(pool, STORE_METRIC_FAILED, now->failed - was->failed);
		metrics_store_add(pool, STORE_METRIC_REMOVES, now->removes - was->removes);
		metrics_store_add(pool, STORE_METRIC_READS, now->reads - was->reads);
		metrics_store_add(pool, STORE_METRIC_LISTS, now->lists - was->lists);
		metrics_store_add(
			pool, STORE_METRIC_WRITTEN, now->bytes_written - was->bytes_written);
		metrics_store_add(pool, STORE_METRIC_READ, now->bytes_read - was->bytes_read);
		*was = *now;
	}
}

static void count_stream(void *user, struct writer *w)
{
	(void)w;
	++*(uint64_t *)user;
}

static void on_tick(struct loop_timer *timer)
{
	struct server_loop *l = container_of(timer, struct server_loop, tick);
	uint64_t streams = 0;
	count(l);
	keeper_each(l->keeper, count_stream, &streams);
	metrics_gauge_add(METRIC_STREAMS_OWNED, (int64_t)(streams - l->counted_streams));
	l->counted_streams = streams;
	if (loop_timer_start(&l->uv.loop, timer, TICK_NS))
		log_warn("counting stops: not enough memory");
}

int server_loop_init(struct server *server, unsigned index, char *why, size_t why_size)
{
	struct server_loop *l = &server->loops[index];
	l->server = server;
	l->index = (uint8_t)index;
	int rc = loop_uv_init(&l->uv);
	if (rc) {
		snprintf(why, why_size, "cannot make an event loop: %s", err_text(rc));
		return rc;
	}
	server->loop_count = index + 1;
	server->loop_of[index] = &l->uv.loop;
	l->store = store_new(server->backend, &l->uv.loop);
	if (!l->store) {
		snprintf(why, why_size, "not enough memory");
		return -ENOMEM;
	}
	metrics_store_pools(store_pool_count(l->store));
	return 0;
}

static int make_rooms(struct server_loop *l)
{
	struct server *server = l->server;
	const struct config *c = server->config;
	struct keeper_config keeper = {
		.loop = &l->uv.loop,
		.store = l->store,
		.node = c->node,
		.boot_nonce = server->boot_nonce,
		.limits = config_cutter(c),
		.streams_max = (uint32_t)c->streams,
		.idle_yield_ns = c->idle_yield_us * 1000,
	};
	memcpy(keeper.cluster, server->cluster.id, sizeof(keeper.cluster));
	int rc = keeper_new(&keeper, &l->keeper);
	uint64_t rate = c->moves_per_second / server->loop_count;
	struct moves_config moves = {.loop = &l->uv.loop,
		.keeper = l->keeper,
		.node = c->node,
		.per_second = rate ? (uint32_t)rate : 1};
	if (!rc)
		rc = moves_new(&moves, &l->moves);
	struct reader_config reader = {
		.loop = &l->uv.loop, .store = l->store, .cache_bytes = c->cache_memory};
	if (!rc)
		rc = reader_new(&reader, &l->reader);
	if (!rc)
		rc = catalog_new(&l->uv.loop, l->store, &l->catalog);
	if (!rc)
		rc = server_retention_start(l);
	struct service_config service = {
		.loop = &l->uv.loop,
		.store = l->store,
		.keeper = l->keeper,
		.moves = l->moves,
		.cluster = {.heard = server_cluster_heard, .ask = server_cluster_ask},
		.reader = l->reader,
		.catalog = l->catalog,
		.admit = &server->admit,
		.node = c->node,
		.loop_index = l->index,
		.peer_count = server->loop_count,
		.peers = server->services,
		.peer_loops = server->loop_of,
		.any_camera = c->any_camera,
		.status = server_status,
		.owner = server,
	};
	return rc ? rc : service_new(&service, service_slot(l));
}

int server_loop_start(struct server_loop *l, char *why, size_t why_size)
{
	struct server *server = l->server;
	int rc = make_rooms(l);
	if (rc) {
		snprintf(why, why_size, "cannot start: %s", err_text(rc));
		return rc;
	}
	struct link_listener_config listener = {
		.id = server->identity,
		.hello = server->hello,
		.handshakes_max = (unsigned)server->config->handshakes,
		.join = l->index > 0,
		.channels_max = (unsigned)(server->config->connections / server->loop_count + 1),
		.accepted = on_accepted,
		.failed = on_failed,
		.owner = l,
	};
	/* with port 0 the first loop is given one, and the others share it */
	const char *address = l->index ? link_listener_address(server->loops[0].listener)
				       : server->config->listen;
	rc = link_listen(&l->uv, address, &listener, &l->listener, why, why_size);
	if (rc)
		return rc;
	l->tick.fire = on_tick;
	return loop_timer_start(&l->uv.loop, &l->tick, TICK_NS);
}

/* --- stopping, each step when the one before has ended
 * ------------------------------------------------------------------------ */

static void on_store_closed(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, stopped);
	loop_uv_stop(&l->uv);
}

static void on_catalog_closed(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, stopped);
	count(l);
	service_free(service_slot(l));
	task->run = on_store_closed;
	store_free(&l->store, task);
}

static void on_reader_closed(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, stopped);
	task->run = on_catalog_closed;
	catalog_free(&l->catalog, task);
}

static void one_part_less(struct server_loop *l)
{
	if (--l->stopping_parts)
		return;
	moves_free(&l->moves);
	l->stopped.run = on_reader_closed;
	reader_free(&l->reader, &l->stopped);
}

static void on_keeper_stopped(struct loop_task *task)
{
	one_part_less(container_of(task, struct server_loop, stopped));
}

static void on_expiry_stopped(struct loop_task *task)
{
	one_part_less(container_of(task, struct server_loop, expiry_stopped));
}

/* Together: the keeper ends the sweep under way, and waits for retention to let go of its stream. */
static void stop_keeper(struct server_loop *l)
{
	l->stopping_parts = 2;
	l->expiry_stopped.run = on_expiry_stopped;
	expiry_free(&l->expiry, &l->expiry_stopped);
	l->stopped.run = on_keeper_stopped;
	moves_stop(l->moves);
	keeper_free(&l->keeper, l->server->config->stop_us * 1000, &l->stopped);
}

static void on_linger(struct loop_timer *timer)
{
	struct server_loop *l = container_of(timer, struct server_loop, tick);
	bool waited = loop_now(&l->uv.loop).ns - l->stop_began.ns > LINGER_NS;
	if (waited && service_connections(*service_slot(l)))
		log_warn(
			"stopping with %u connections open", service_connections(*service_slot(l)));
	/* without memory for a timer there is no waiting */
	if (!service_connections(*service_slot(l)) || waited ||
		loop_timer_start(&l->uv.loop, timer, LINGER_STEP))
		stop_keeper(l);
}

static void on_listener_closed(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, stopped);
	service_stop_recording(*service_slot(l));
	service_close_channels(*service_slot(l));
	l->stop_began = loop_now(&l->uv.loop);
	l->tick.fire = on_linger;
	on_linger(&l->tick);
}

void server_loop_stop(struct server_loop *l)
{
	loop_timer_stop(&l->tick);
	l->stopped.run = on_listener_closed;
	link_listener_free(&l->listener, &l->stopped);
}

/* --- what a failed start leaves
 * ----------------------------------------------------------------------------------------------- */

static void on_part_closed(struct loop_task *task)
{
	loop_uv_stop(&container_of(task, struct server_loop, stopped)->uv);
}

static void run_until_closed(struct server_loop *l)
{
	loop_uv_run(&l->uv);
}

void server_loop_fini(struct server_loop *l)
{
	l->stopped.run = on_part_closed;
	if (l->listener) {
		link_listener_free(&l->listener, &l->stopped);
		run_until_closed(l);
	}
	if (l->expiry) {
		expiry_free(&l->expiry, &l->stopped);
		run_until_closed(l);
	}
	if (l->keeper) {
		if (l->moves)
			moves_stop(l->moves);
		keeper_free(&l->keeper, 0, &l->stopped);
		run_until_closed(l);
	}
	moves_free(&l->moves);
	if (l->reader) {
		reader_free(&l->reader, &l->stopped);
		run_until_closed(l);
	}
	if (l->catalog) {
		catalog_free(&l->catalog, &l->stopped);
		run_until_closed(l);
	}
	service_free(service_slot(l));
	if (l->store) {
		store_free(&l->store, &l->stopped);
		run_until_closed(l);
	}
	loop_uv_fini(&l->uv);
}
