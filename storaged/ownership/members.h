/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in the cluster and alive: this daemon's heartbeat, the leader's watch over all, and the
 * one published map (docs/design/cluster.md). On one loop of the daemon; what it publishes is
 * immutable and goes to the others by reference.
 *
 * Sees time, store and peers only through what it is handed. */
#pragma once

#include "base/loop.h"
#include "proto/channel.h"
#include "proto/cluster_map.h"
#include "storaged/store/store.h"

struct members;

/* What a heartbeat says of the daemon's load. */
struct members_load {
	uint32_t streams, connections;
	uint64_t kbps;
	struct placement_load heavy[8];
	size_t heavy_count;
};

struct members_ops {
	/* Begins to connect to "host:port" of another daemon; user->ready or user->closed tells the
	 * outcome; NULL when memory is short. -ECONNREFUSED tells of a dead process at once. */
	struct channel *(*dial)(void *owner, const char *address, struct channel_user *user);
	/* Fills what the next heartbeat tells. */
	void (*load)(void *owner, struct members_load *load);
	/* A newer map is in force: borrowed, ref it to keep it. First call: this daemon has
	 * joined. */
	void (*changed)(void *owner, const struct cluster_map *map);
	/* The end: -EEXIST: another daemon took over this id; -EPERM: an admin removed this node.
	 * `words` for a person. The daemon must stop: it does not own anything any more. */
	void (*expelled)(void *owner, int status, const char *words);
};

struct members_config {
	struct loop *loop;
	struct store *store;
	const struct members_ops *ops;
	void *owner;
	const char *node; /* this daemon's id; borrowed, like all pointers here */
	uint64_t boot_nonce;
	const char *const *addresses; /* where others reach it; NULL-terminated */
	const char *rack;             /* "": a rack of its own */
	uint32_t weight; /* of a node that joins for the first time; 0: PLACEMENT_WEIGHT_ONE */
	const char *software;
	uint64_t features;
	uint32_t format_level;
	bool alone; /* the store serves one daemon: no heartbeats, no leader, a map of one node */
	int64_t beat_ns; /* 0: 1 s */
	int64_t dead_ns; /* without a change of its heartbeat and without an answer: dead; 0: 3 s */
};
int members_new(const struct members_config *config, struct members **ret_members);

struct members_join {
	void (*done)(struct members_join *join); /* once, later */
	int status; /* 0; -EEXIST: a daemon with this id is alive; -EPERM: removed by an admin; the
		       store's errors */
	char words[256];
};
/* Enters the map; changed() comes before done(). */
void members_join(struct members *m, struct members_join *join);

/* The map in force; NULL before the join. Borrowed: valid until the loop turns. */
const struct cluster_map *members_map(const struct members *m);
/* This node's index in it, -1. */
int members_self(const struct members *m);
/* What the cluster's clock says now: the leader's last word, run on by the own monotonic clock; the
 * own wall clock when alone. */
int64_t members_time_us(const struct members *m);

/* An admin's change of one node, guarded; retried while others change the map. */
struct members_set {
	void (*done)(struct members_set *set);
	const char *id;
	uint8_t state;         /* enum placement_state; 0: stays */
	uint32_t weight;       /* 0: stays */
	bool remove;           /* only one that is not alive */
	int status;            /* 0; -ENOENT; -EBUSY (remove: it is alive); -EINVAL; the store's */
	struct loop_task task; /* private */
};
/* `id` is borrowed until done(). A node that was removed is let in again by state PLACEMENT_IN. */
void members_set(struct members *m, struct members_set *set);

/* Reads the heartbeats of all nodes of the map, for status. `beats` are valid during done(). */
struct members_survey {
	void (*done)(struct members_survey *survey);
	int status;
	Steppe__Wire__NodeBeat **beats; /* by the map's order; NULL where there is none */
	size_t beat_count;
	const char *leader;            /* id, "" */
	const struct cluster_map *map; /* whose nodes they are; given (NULL when status is not 0) */
	struct loop_task task;         /* private */
};
void members_survey(struct members *m, struct members_survey *survey);

/* Somebody has seen a map of this epoch: it is read when ours is older. */
void members_heard(struct members *m, uint64_t epoch);

/* Says that this daemon leaves: the map shows it as not alive, so that everybody goes elsewhere;
 * its streams are the caller's to move. done() when the map is written (or could not be: then
 * others find out by themselves). */
void members_leave(struct members *m, struct loop_task *done);
/* Ends heartbeats and channels; `stopped` runs when the last operation has ended and *slot, already
 * NULL, is no more. */
void members_free(struct members **slot, struct loop_task *stopped);
