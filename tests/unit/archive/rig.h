/* SPDX-License-Identifier: Apache-2.0 */
/* A small world for tests of the archive's writers: daemons that are a loop, a store and a keeper;
 * recorders that send fragments, keep what is not acknowledged, and come back after everything; a
 * model store beneath; virtual time. Daemons can be killed and stopped at any moment. */
#pragma once

#include "storaged/ownership/keeper.h"
#include "tests/lib/footage.h"
#include "tests/lib/sim_loop.h"
#include "tests/lib/store_model.h"

#define RIG_NODES     12
#define RIG_RECORDERS 8

struct rig;
struct recorder;

struct rig_node {
	struct rig *rig;
	struct sim_loop loop;
	struct store *store;
	struct keeper *keeper;
	bool up, paused, stopping, closed;
	uint64_t nonce;
	struct loop_task stopped, store_closed;
};

/* One recorder's connection to one daemon, with its session; lives until both sides are done with
 * it. */
struct rig_connection {
	struct list node;
	struct recorder *recorder; /* NULL: it went elsewhere */
	struct rig_node *daemon;
	struct keeper_take take;
	struct writer_session session;
	struct loop_task closing;
	bool taken, open;
	struct buf *init; /* the recorder's, as this session knows it */
};

/* A lane of a recorder. */
struct recorder {
	struct rig *rig;
	struct footage footage;
	struct buf *inits[64]; /* of all its fragments: each holds from inits_from on */
	uint64_t inits_from[64];
	unsigned init_count;
	bool running; /* makes a fragment a second */
	bool create;
	bool stubborn;         /* reconnects though it makes nothing any more */
	bool share;            /* hand bodies over shared, so that moofs must be copied */
	unsigned idle_s;       /* makes nothing for so long */
	int refused;           /* the last refusal met */
	struct rig_node *home; /* where it connects to */
	struct rig_connection *connection;
	/* everything it ever made */
	struct fragment_header *headers;
	struct buf **bodies; /* NULL below `kept` */
	size_t made, room;
	uint64_t next;  /* to be sent on this connection */
	uint64_t acked; /* everything up to it was acknowledged as durable */
	uint64_t kept;  /* lowest number still held */
	size_t window;  /* bytes it may have undurable */
	struct loop_timer tick, reconnect;
};

struct rig {
	struct sim_world world;
	struct store_backend *model;
	struct rig_node nodes[RIG_NODES];
	unsigned node_count;
	struct recorder recorders[RIG_RECORDERS];
	unsigned recorder_count;
	struct cutter_limits limits;
	struct list connections;
	machine_trace_fn trace;
	uint64_t checks; /* of the oracle, passed */
};

/* Chunks of about five seconds, batches of one, silence after twenty. */
extern const struct cutter_limits rig_limits;

void rig_start(struct rig *rig, uint64_t seed, const struct store_model_options *options);
/* Ends everything in order; nothing may leak but what was killed. */
void rig_end(struct rig *rig);

/* Ends a test that may have failed: kills what still runs. */
void rig_abandon(struct rig *rig);

struct rig_node *rig_node_start(struct rig *rig);
/* kill -9 */
void rig_node_kill(struct rig_node *n);
/* SIGSTOP, SIGCONT */
void rig_node_pause(struct rig_node *n, bool paused);
/* SIGTERM. */
void rig_node_stop_begin(struct rig_node *n);
/* SIGTERM; waits until it has ended. */
void rig_node_stop(struct rig_node *n);

/* A recorder of `stream` on lane `lane`, not running. */
struct recorder *rig_recorder(struct rig *rig, const char *stream, uint8_t lane, uint64_t session);
void recorder_go(struct recorder *r, struct rig_node *home);
/* Makes one fragment now and sends it if it can. */
void recorder_make(struct recorder *r);
/* The footage's codec configuration has changed: the fragments made from now on need the new one. */
void recorder_change_init(struct recorder *r);
/* Connects and makes nothing by itself. */
void recorder_reconnect_only(struct recorder *r, struct rig_node *home);
/* Connects to its home again, whatever it was doing. */
void recorder_reconnect(struct recorder *r);
void recorder_hang_up(struct recorder *r, bool seal);
/* Runs until everything the recorder made is acknowledged; false after `limit_ns`. */
bool recorder_drain(struct recorder *r, int64_t limit_ns);
/* Until connected. */
bool recorder_wait_open(struct recorder *r, int64_t limit_ns);
struct writer *recorder_writer(const struct recorder *r);
/* Fragments one a second for so many seconds. */
void rig_run_s(struct rig *rig, int64_t seconds);
/* Makes room in a loop for the timers that follow: a test may then let memory run out, and time
 * still passes. */
void rig_reserve(struct loop *loop);
/* Makes fragments ahead, to be sent one after the other as the window allows. */
void recorder_make_ahead(struct recorder *r, unsigned count);
/* Until no write, read or parked operation is left. */
void rig_settle(struct rig *rig);
