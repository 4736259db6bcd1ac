/* SPDX-License-Identifier: Apache-2.0 */
/* Who should own a camera: weighted rendezvous hashing of camera ids over the cluster's nodes, the
 * few cameras that a load cap displaces listed by name. Pure: no I/O, no clock, integers alone, so
 * that every client and daemon computes the same from the same map.
 *
 * Placement says who *should* own a stream; epochs say who *may* write it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACEMENT_NODE_MAX   64 /* characters of a node's id */
#define PLACEMENT_RACK_MAX   32
#define PLACEMENT_NODES_MAX  4096
#define PLACEMENT_WEIGHT_ONE 1000u /* an ordinary node */
#define PLACEMENT_WEIGHT_MAX 1000000u

enum placement_state {
	PLACEMENT_IN = 1,   /* owns and is given cameras */
	PLACEMENT_DRAINING, /* keeps what it owns until it is moved away; is given nothing */
	PLACEMENT_OUT,      /* owns nothing */
};

struct placement_node {
	char id[PLACEMENT_NODE_MAX + 1];
	char rack[PLACEMENT_RACK_MAX + 1]; /* "": a rack of its own */
	uint32_t weight;                   /* 1 .. PLACEMENT_WEIGHT_MAX */
	uint8_t state;                     /* enum placement_state */
};

/* A camera that is not with its first choice. */
struct placement_displaced {
	uint64_t camera; /* placement_camera() of its id */
	uint32_t node;   /* index */
};

struct placement_map {
	uint64_t epoch;
	struct placement_node *nodes; /* any order; the order is part of the map */
	size_t node_count;
	struct placement_displaced *displaced; /* ascending by camera */
	size_t displaced_count;
};

/* A map made ready for look-ups. Owns its memory, borrows nothing. */
struct placement;

/* Prepares `map` (copied). -EINVAL: a weight, state or id that cannot be, two nodes with one id, a
 * displaced camera on no node; ERR_LIMIT: too many nodes; -ENOMEM. */
int placement_new(const struct placement_map *map, struct placement **ret_placement);
void placement_free(struct placement **placement);
const struct placement_map *placement_map(const struct placement *p);

/* A camera's key: every look-up is by it. */
uint64_t placement_camera(const char *camera_id);

/* The index of the node that should own the camera, -1 when no node is in. */
int placement_owner(const struct placement *p, uint64_t camera);
/* The first `count` choices among the nodes that are in, best first, displacement not considered;
 * returns how many there are. */
size_t placement_rank(
	const struct placement *p, uint64_t camera, size_t count, uint32_t ret_nodes[]);
/* Who stands by: the best choice after the owner that is in another rack, or, when all are in one,
 * the best after the owner; -1: none. */
int placement_standby(const struct placement *p, uint64_t camera);

/* What a camera costs its owner. */
struct placement_load {
	uint64_t camera;
	uint32_t kbps;
};

/* Finds the cameras that must be displaced so that no node carries more than `cap_permille` / 1000
 * of its fair share (its weight's part of the total) of `loads`. Those that lose least by moving go
 * first; what was displaced before stays where it is as long as it may, so that a small change of
 * the loads moves few cameras. Gives the list for a map (free), ascending. 0 or -ENOMEM. */
int placement_displace(const struct placement *p, const struct placement_load *loads, size_t count,
	unsigned cap_permille, struct placement_displaced **ret_displaced, size_t *ret_count);
