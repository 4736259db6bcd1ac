/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's place in the cluster as server_cluster.c gives it one: heartbeats and the map by the
 * real members room over the model store, moves by the map, the way out. */
#pragma once

#include "storaged/ownership/members.h"
#include "storaged/ownership/moves.h"
#include "tests/sim/world.h"

struct member;

struct member_config {
	struct world *world;
	struct loop *loop;
	struct store *store;
	struct keeper *keeper;
	const struct model_party *party; /* borrowed, like all pointers here */
	const char *address;
	/* It could not join, or another took its id: the daemon must end. Later. */
	void (*failed)(void *owner);
	void *owner;
};

struct member *member_new(const struct member_config *config);
/* After the keeper has ended. */
void member_free(struct member **member);
struct moves *member_moves(struct member *m);
void member_join(struct member *m);
/* A service's word that a map of this epoch was seen. */
void member_heard(void *member, uint64_t epoch);
/* Out of the map, streams moved to others, heartbeats ended; then `left` runs. */
void member_leave(struct member *m, struct loop_task *left);
/* An admin's word about some node, given to this daemon. */
void member_set(struct member *m, const char *id, uint8_t state, uint32_t weight);
