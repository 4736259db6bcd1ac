/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that does not exist, placed by the code that places real ones: how even it is, what
 * moves when nodes leave or join, and what the others then carry. No I/O, no clock; several
 * threads, whose number does not show in the results. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "placement/map.h"

struct plan_cluster {
	uint32_t nodes, racks;   /* node i stands in rack i % racks */
	const uint32_t *weights; /* node i has weights[i % weight_count] */
	uint32_t weight_count;
	unsigned cap_permille;
};

enum plan_event_kind {
	PLAN_NODE_LEAVES,
	PLAN_RACK_LEAVES,
	PLAN_NODE_JOINS,
	PLAN_RACK_JOINS,
};
#define PLAN_EVENTS 4

/* Loads are in fair shares: 1 is what an ordinary node carries when all are there. */
struct plan_event {
	uint32_t nodes;  /* that leave or join; 0: it cannot be, as when the only rack leaves */
	size_t moved;    /* cameras, at once */
	size_t needless; /* of those: between two nodes that were there before and still are */
	size_t by_cap;   /* cameras that the cap moves afterwards */
	double mean, busiest; /* of the nodes that are there, before the cap is applied anew */
	double mean_cameras;  /* of an ordinary node, likewise */
	uint32_t takers;      /* nodes that are given cameras */
	size_t most_taken;    /* by one of them */
};

struct plan_sim {
	double units;         /* sum of weights, in ordinary nodes */
	double busiest_first; /* before the cap */
	double busiest;       /* with it */
	double idlest;
	size_t displaced;   /* cameras that the cap moved from their first choice */
	double *even_first; /* of each node, the busiest first: before the cap, and with it */
	double *even;
	double standby_busiest; /* cameras a node stands by for, of the mean */
	size_t standby_apart;   /* cameras with a stand-by in another rack */
	struct plan_event events[PLAN_EVENTS];
	/* private */
	struct plan_cluster cluster;
	const struct placement_load *loads;
	size_t count;
	uint64_t kbps;
	struct placement_node *nodes; /* and as many again that may join */
	struct placement_displaced *displaced_list;
	uint32_t *owners;
};

/* Places `count` cameras, and with plan_sim_events asks what happens when nodes come and go.
 * Borrows loads and weights until plan_sim_fini. -EINVAL: no nodes, or more than placement takes;
 * -ENOMEM. */
int plan_sim_init(struct plan_sim *s, const struct plan_cluster *cluster,
	const struct placement_load *loads, size_t count);
int plan_sim_events(struct plan_sim *s);
void plan_sim_fini(struct plan_sim *s);
