/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's map as it travels and lies in the store (ClusterMap of steppe.proto,
 * docs/design/cluster.md), made ready for look-ups: placement over the nodes that are alive, with
 * their addresses. Immutable and counted, so that loops and requests share one. Pure. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "placement/map.h"
#include "proto/steppe.pb-c.h"

#define CLUSTER_NODE_ADDRESSES_MAX 4
#define CLUSTER_NODE_ADDRESS_MAX   255        /* characters of "host:port" */
#define CLUSTER_MAP_MAX            (1u << 20) /* bytes packed; FRAME_META_MAX holds it */

struct cluster_node {
	char id[PLACEMENT_NODE_MAX + 1];
	char rack[PLACEMENT_RACK_MAX + 1];
	char *addresses[CLUSTER_NODE_ADDRESSES_MAX];
	size_t address_count;
	uint32_t weight;
	uint8_t state; /* enum placement_state, as an admin wants it */
	bool alive;
	uint64_t boot_nonce;
};

struct cluster_map {
	uint64_t epoch;
	struct cluster_node *nodes; /* in the map's order */
	size_t node_count;
	int64_t time_us;
	uint64_t features;
	struct placement *placement; /* over the same nodes; one that is not alive is PLACEMENT_OUT
					in it */
	/* private */
	atomic_uint refs;
};

/* Makes a map of a message, checked: names, addresses, weights, states, no node twice, displaced
 * cameras ascending and on nodes there are. ERR_FORMAT, ERR_LIMIT or -ENOMEM. The first reference is
 * the caller's. */
int cluster_map_new(const Steppe__Wire__ClusterMap *message, const struct cluster_map **ret_map);
/* The same of packed bytes. */
int cluster_map_parse(const void *bytes, size_t len, const struct cluster_map **ret_map);
/* Any thread. Unref of NULL is harmless. */
const struct cluster_map *cluster_map_ref(const struct cluster_map *map);
void cluster_map_unref(const struct cluster_map **map);

/* The node's index by id, -1: not in the map. */
int cluster_map_find(const struct cluster_map *map, const char *node_id);
/* The index of the node alive that should own the camera, -1: there is none. */
int cluster_map_owner(const struct cluster_map *map, const char *camera);
