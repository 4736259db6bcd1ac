/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection may ask of this daemon, on one loop: it judges roles, starts the machine each
 * first frame asks for (ingest, looking, retrieve, snapshot, admin) and hands later frames of the
 * same number to it. Knows no sockets: a channel comes from a TLS link, from another loop (relay.h)
 * or from the simulator. Loop thread only. */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "proto/channel.h"
#include "proto/names.h"
#include "storaged/archive/catalog.h"
#include "storaged/archive/reader.h"
#include "storaged/ownership/keeper.h"
#include "storaged/ownership/moves.h"
#include "storaged/session/admit.h"

struct service;

/* A question about the whole daemon. `reply` is valid during done(), which comes once, later, on
 * the asking loop; NULL: no memory. */
struct admin_status {
	void (*done)(struct admin_status *req, const Steppe__Wire__StatusReply *reply);
	struct loop *loop;     /* of the asker */
	bool streams;          /* each stream too */
	struct loop_task task; /* private */
};

/* A question or an admin's word about the whole cluster. */
struct admin_cluster {
	void (*done)(struct admin_cluster *req); /* once, later, on the asking loop */
	struct loop *loop;                       /* of the asker */
	bool beats;                              /* everybody's heartbeat too */
	bool set;                                /* a node's state or weight changes, or it goes */
	char id[CAMERA_ID_MAX + 1];
	uint8_t state;
	uint32_t weight;
	bool remove;
	int status;            /* 0; of members_set */
	struct buf *reply;     /* a MapReply, packed; given */
	struct loop_task task; /* private */
	void *impl;
};

/* The rest of the daemon's cluster, which lives on one loop (server_cluster.c). From any loop. */
struct service_cluster {
	/* Somebody has seen a map of this epoch. */
	void (*heard)(void *owner, uint64_t epoch);
	void (*ask)(void *owner, struct admin_cluster *req);
};

struct service_config {
	struct loop *loop;
	struct store *store;
	struct keeper *keeper;
	struct moves *moves; /* knows the map; NULL: there is no cluster, everything is ours */
	struct service_cluster cluster;
	struct reader *reader;
	struct catalog *catalog;
	struct admit *admit; /* shared by all loops */
	const char *node;    /* borrowed, like all pointers here, for the service's life */
	/* Streams are pinned to loops: all loops' services and loops by index, this one's among
	 * them. A slot of `peers` is read on its own loop alone, and is NULL once that service has
	 * gone. */
	uint8_t loop_index;
	unsigned peer_count; /* 0 or 1: there is no other */
	struct service *const *peers;
	struct loop *const *peer_loops;
	bool any_camera; /* record cameras that nobody registered */
	/* Gathers the whole daemon's state for STATUS (server.c); NULL: refused. */
	void (*status)(void *owner, struct admin_status *req);
	void *owner;
};
int service_new(const struct service_config *config, struct service **ret_service);
/* Every connection must have ended before. */
void service_free(struct service **service);

/* The user for a channel whose identity is known: its frames are served from now on; NULL when
 * memory is short. */
struct channel_user *service_accept(struct service *s, struct channel *ch);

/* Refuses new recordings and ends those under way with STOPPING; reads go on. Then every channel is
 * closed. */
void service_stop_recording(struct service *s);
void service_close_channels(struct service *s);
unsigned service_connections(const struct service *s);

/* For status: each stream being recorded through this service. */
void service_each_recorder(struct service *s,
	void (*each)(
		void *user, const char *stream, const char *recorder, uint64_t bytes_per_second),
	void *user);
