/* SPDX-License-Identifier: Apache-2.0 */
/* A small world for tests of the session room: a daemon of one or two loops (store, keeper, reader,
 * catalogue, service each) over a model store, and people who dial it and send it frames; virtual
 * time. */
#pragma once

#include "proto/refusal.h"
#include "storaged/session/service.h"
#include "tests/lib/channel_model.h"
#include "tests/lib/footage.h"
#include "tests/lib/sim_loop.h"
#include "tests/lib/store_model.h"

#define DESK_LOOPS 2

struct desk_loop {
	struct sim_loop loop;
	struct store *store;
	struct keeper *keeper;
	struct reader *reader;
	struct catalog *catalog;
	struct moves *moves;             /* of a cluster's daemon */
	struct model_listener *listener; /* of one but the first */
	char node[8];
	struct loop_task closed;
	bool ended;
};

struct desk {
	struct sim_world world;
	struct store_backend *model;
	struct model_net *net;
	struct model_listener *listener;
	struct admit admit;
	struct desk_loop loops[DESK_LOOPS];
	struct service *services[DESK_LOOPS];
	struct loop *loop_of[DESK_LOOPS];
	unsigned loop_count;
	bool cluster;           /* each loop is a daemon of its own */
	uint64_t heard;         /* the epoch that a daemon was told of */
	struct sim_loop people; /* where those who dial live */
	bool stuck; /* operations of the store are, and go on when nothing else is left */
};

void desk_start(struct desk *d, unsigned loops, const struct store_model_options *options);
/* Daemons of a cluster, node1 and node2, a loop each, that know no map yet. */
void desk_start_cluster(struct desk *d, const struct store_model_options *options);
/* Gives daemons a map of that epoch; bit i: node i+1 is alive. `told`: the daemons that get it. */
void desk_map(struct desk *d, uint64_t epoch, unsigned alive, unsigned told);
/* Stops the daemon in order. */
void desk_stop(struct desk *d);

/* A frame that came. */
struct note {
	struct list node;
	struct frame_header header;
	uint8_t *meta;
	uint8_t *body;
};

/* Someone with a connection. */
struct person {
	struct channel_user user;
	struct channel *ch;
	struct desk *desk;
	struct list notes;
	bool ready, closed;
	bool has_init;   /* one came with a fetch */
	uint32_t stream; /* the last number used */
};
void person_dial(struct person *p, struct desk *d, const char *name, unsigned roles);
/* The same, to a cluster's daemon. */
void person_dial_node(
	struct person *p, struct desk *d, const char *name, unsigned roles, unsigned node);
void person_leave(struct person *p);
/* Sends a frame; with stream 0 a new number is used, which is returned. */
uint32_t person_send(struct person *p, uint8_t type, uint32_t stream, const ProtobufCMessage *meta,
	struct buf *body);
/* The next frame of a number, waited for at most a minute; NULL: none came. note_free it. */
struct note *person_hear(struct person *p, uint32_t stream);
/* The same, which must be of `type`; its meta unpacked by `descriptor` (free with
 * protobuf_c_message_free_unpacked). */
void *person_expect(struct person *p, uint32_t stream, uint8_t type,
	const ProtobufCMessageDescriptor *descriptor);
/* The next frame must be REFUSED with this number. */
void person_expect_refusal(struct person *p, uint32_t stream, int refusal);
void note_free(struct note *n);

/* Registers a camera. */
void desk_camera(struct desk *d, const char *id);
/* A recorder's OPEN of a footage's stream on its lane; the number. */
uint32_t person_open(struct person *p, const struct footage *f);
/* OPENs, sends `count` fragments, waits until all are durable; leaves the stream open. The number. */
uint32_t person_record(struct person *p, struct footage *f, unsigned count);
/* Sends one fragment. */
void person_append(struct person *p, uint32_t stream, struct footage *f);
