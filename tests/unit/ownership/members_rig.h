/* SPDX-License-Identifier: Apache-2.0 */
/* Daemons that are members of one cluster and nothing else: over virtual time, a model store and a
 * model network. */
#pragma once

#include "storaged/ownership/members.h"
#include "tests/lib/channel_model.h"
#include "tests/lib/sim_loop.h"
#include "tests/lib/store_model.h"

#define RIG_NODES 16

struct rig_node {
	struct rig *rig;
	char id[16], address[24];
	const char *addresses[2];
	struct model_party party;
	struct model_listener *listener;
	struct channel_user server; /* of all that dial us */
	struct sim_loop loop;
	struct store *store;
	struct members *members;
	struct members_join join;
	unsigned joins, maps, expulsions;
	bool lives, stopped, closed;
	int expelled;
	struct loop_task end, left;
	bool has_left;
	struct members_load load;
	uint64_t features;
};

struct rig {
	struct sim_world world;
	struct store_backend *store;
	struct model_net *net;
	struct rig_node nodes[RIG_NODES];
	bool alone;
};

void rig_init(struct rig *rig, uint64_t seed);
void rig_fini(struct rig *rig);
/* Starts node `i` under the id "n<id>" (its address is "h<i>:1") and begins to join. */
int rig_start(struct rig *rig, unsigned i, unsigned id);
/* The same, until it has answered. */
int rig_join(struct rig *rig, unsigned i);
/* In order: members_free, the store. */
void rig_stop(struct rig *rig, unsigned i);
void rig_kill(struct rig *rig, unsigned i);
/* SIGSTOP and SIGCONT. */
void rig_pause(struct rig *rig, unsigned i, bool paused);
void rig_run(struct rig *rig, int64_t ms);
/* Whether node `of` is alive in the map that node `by` has; -1: it is not in it. */
int rig_alive(struct rig *rig, unsigned by, unsigned of);
/* Runs until that is so, at most `limit_ms`; how long it took, -1: it did not happen. */
int64_t rig_until_alive(struct rig *rig, unsigned by, unsigned of, int alive, int64_t limit_ms);
/* The node whose word `by` follows, as a survey tells, -1: none. */
int rig_leader(struct rig *rig, unsigned by);
uint64_t rig_epoch(struct rig *rig, unsigned by);
