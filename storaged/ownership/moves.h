/* SPDX-License-Identifier: Apache-2.0 */
/* Moves streams of one loop to the daemons that should own them: a new map, or leaving. So many a
 * second and so many at once. Loop thread only. */
#pragma once

#include "proto/cluster_map.h"
#include "storaged/ownership/keeper.h"

struct moves;

struct moves_config {
	struct loop *loop;
	struct keeper *keeper;
	const char *node;    /* this daemon's id; borrowed, like all pointers here */
	uint32_t per_second; /* 0: 50 */
	uint32_t at_once;    /* 0: 16 */
};
int moves_new(const struct moves_config *config, struct moves **ret_moves);
/* Begins no move any more; before keeper_free. Who waits for moves_leave is not told. */
void moves_stop(struct moves *m);
/* After keeper_free has ended. */
void moves_free(struct moves **moves);

/* The map in force; what it gives to others is moved. References it. */
void moves_set_map(struct moves *m, const struct cluster_map *map);
/* The map in force, NULL: none yet. */
const struct cluster_map *moves_map(const struct moves *m);
/* Whether the map gives the stream to this daemon, or to nobody. */
bool moves_is_ours(const struct moves *m, const char *stream);
/* A stream was taken just now: the map may have changed since that was decided. */
void moves_check(struct moves *m, const char *stream);

/* Moves everything away, without limit of rate; done() when nothing is left. */
void moves_leave(struct moves *m, struct loop_task *done);
