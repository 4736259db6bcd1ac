/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon that has a map and nothing else: answers OPEN and TIMELINE when the camera is its own,
 * or with `any`, and redirects otherwise; counts what comes and when. For tests of routing. */
#pragma once

#include "tests/lib/channel_model.h"
#include "tests/lib/sim_loop.h"
#include "tests/unit/client/fake_map.h"

#define NODE_OPENS 8192

struct fake_node {
	struct sim_world *world;
	struct sim_loop loop;
	struct model_net *net;
	struct model_listener *listener;
	struct model_party party;
	const struct fake_map *map; /* NULL: an older daemon, which serves every camera */
	struct list conns;
	bool mute;  /* takes everything, answers nothing */
	bool stuck; /* answers MAP alone */
	bool ignores_maps;
	int refuse;            /* every question but MAP with this */
	const char *redirects; /* every question but MAP to this address */

	unsigned connections, open_connections, maps, timelines, anys, opens, stops;
	unsigned redirected;            /* answers that were a redirect */
	struct mono opened[NODE_OPENS]; /* when each OPEN came */
	uint64_t map_epoch;             /* of the last OPEN */
};

/* Listens at NAME:1. */
void node_start(struct fake_node *n, struct sim_world *world, struct model_net *net,
	const char *name, const struct fake_map *map);
void node_stop(struct fake_node *n);
/* kill -9, and again. */
void node_kill(struct fake_node *n);
void node_revive(struct fake_node *n);
