/* SPDX-License-Identifier: Apache-2.0 */
/* What server.c (life), server_loop.c (one loop's rooms) and server_status.c share. Private to the
 * daemon's top. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop_uv.h"
#include "proto/link.h"
#include "storaged/archive/cluster.h"
#include "storaged/config.h"
#include "storaged/health.h"
#include "storaged/ownership/expiry.h"
#include "storaged/ownership/members.h"
#include "storaged/session/service.h"

#define LOOPS_MAX 64

struct server;

/* One loop: its thread, its store and the rooms on it. */
struct server_loop {
	struct server *server;
	uint8_t index;
	pthread_t thread;
	bool threaded; /* loop 0 runs on the main thread */
	struct loop_uv uv;
	struct store *store;
	struct keeper *keeper;
	struct moves *moves;
	_Atomic(const struct cluster_map *) next_map; /* on its way to this loop; a reference */
	struct loop_task map_task;
	struct loop_task leave, left; /* streams move away */
	struct reader *reader;
	struct catalog *catalog;
	struct expiry *expiry;
	struct expiry_counts expired; /* already in the metrics */
	struct mono clock_began;      /* when the wall clock was believed */
	struct wall clock_then;
	struct loop_task expiry_stopped;
	unsigned stopping_parts; /* keeper and expiry end together */
	struct link_listener *listener;
	struct loop_timer tick;
	struct loop_task stop, stopped; /* of stopping, step by step */
	struct mono stop_began;
	struct loop_task renew;                         /* take the server's identity */
	atomic_bool renewing;                           /* that task is posted */
	struct store_counters counted[STORE_POOLS_MAX]; /* already in the metrics, like this: */
	uint64_t counted_streams;
};

/* The daemon as one of a cluster (server_cluster.c). Loop 0. */
struct server_cluster {
	struct members *members;
	struct members_join join;
	char *text; /* the addresses, cut apart */
	const char *addresses[CLUSTER_NODE_ADDRESSES_MAX + 1];
	bool joined, alone;
	atomic_uint_fast64_t heard; /* the highest epoch that somebody has seen */
	atomic_bool heard_queued;
	struct loop_task heard_task;
	uint64_t counted_bytes;
	struct mono counted_at;
	/* stopping */
	struct loop_task away, stopped;
	atomic_uint leaving; /* loops that still move streams */
	struct loop_timer limit;
	bool is_away;
};

struct server {
	struct config *config;
	const char *config_path;
	struct store_backend *backend;
	struct tls_identity *identity;
	pthread_mutex_t identity_lock;
	struct admit admit;
	struct link_hello hello;
	uint64_t boot_nonce;
	int64_t started_us;
	atomic_int_fast64_t clock_ahead_us; /* of the cluster's time; 0 when alone */
	struct cluster_open cluster;
	struct server_cluster members;
	int status; /* why it stops, if not because it was told to */
	char *why;
	size_t why_size;
	struct server_loop loops[LOOPS_MAX];
	struct service *services[LOOPS_MAX]; /* each slot is its loop's own */
	struct loop *loop_of[LOOPS_MAX];
	unsigned loop_count;
	/* loop 0 */
	uv_signal_t term, interrupt, hangup;
	bool stopping;
	struct health health;
};

/* Makes loop `index` with its store; nothing runs yet. Words in `why`. */
int server_loop_init(struct server *server, unsigned index, char *why, size_t why_size);
/* Makes the rooms and listens. Loop thread, or before the loop runs. */
int server_loop_start(struct server_loop *l, char *why, size_t why_size);
/* Begins to stop; the loop ends when it is done. Loop thread. */
void server_loop_stop(struct server_loop *l);
/* Frees what is left. The loop must have ended. */
void server_loop_fini(struct server_loop *l);

/* Enters the cluster, while loop 0 runs; server_joined follows, or server_fail. */
int server_cluster_start(struct server *server, char *why, size_t why_size);
/* Leaves: every stream moves away, as far as stop_timeout allows; then server_stop_loops. */
void server_cluster_stop(struct server *server);
void server_cluster_fini(struct server *server);
/* What sessions ask of the cluster. */
void server_cluster_heard(void *owner, uint64_t epoch);
void server_cluster_ask(void *owner, struct admin_cluster *req);

/* --- server.c; loop 0 --- */
void server_joined(struct server *server);
/* Begins to stop because of `status`. */
void server_fail(struct server *server, int status, const char *words);
void server_stop_loops(struct server *server);

/* Answers STATUS: collects from every loop. */
void server_status(void *owner, struct admin_status *req);

/* The loop's part in retention (server_retention.c). */
int server_retention_start(struct server_loop *l);
