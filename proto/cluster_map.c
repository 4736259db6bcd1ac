/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/cluster_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/address.h"
#include "proto/names.h"

static void free_map(struct cluster_map *map)
{
	for (size_t i = 0; i < map->node_count; i++)
		for (size_t k = 0; k < map->nodes[i].address_count; k++)
			free(map->nodes[i].addresses[k]);
	free(map->nodes);
	placement_free(&map->placement);
	free(map);
}

static bool is_address(const char *address)
{
	char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX];
	return strlen(address) <= CLUSTER_NODE_ADDRESS_MAX &&
	       address_split(address, host, port) == 0 && host[0];
}

static int read_node(const Steppe__Wire__MapNode *from, struct cluster_node *to)
{
	if (!camera_id_is_valid(from->id) || strlen(from->rack) > PLACEMENT_RACK_MAX)
		return ERR_FORMAT;
	if (from->state < PLACEMENT_IN || from->state > PLACEMENT_OUT)
		return ERR_FORMAT;
	if (from->n_addresses == 0 || from->n_addresses > CLUSTER_NODE_ADDRESSES_MAX)
		return ERR_FORMAT;
	strcpy(to->id, from->id);
	strcpy(to->rack, from->rack);
	to->weight = from->weight;
	to->state = (uint8_t)from->state;
	to->alive = from->alive;
	to->boot_nonce = from->boot_nonce;
	for (size_t i = 0; i < from->n_addresses; i++) {
		if (!is_address(from->addresses[i]))
			return ERR_FORMAT;
		to->addresses[i] = strdup(from->addresses[i]);
		if (!to->addresses[i])
			return -ENOMEM;
		to->address_count++;
	}
	return 0;
}

/* Placement judges weights, double names and displaced cameras. */
static int place(struct cluster_map *map, const Steppe__Wire__ClusterMap *message)
{
	size_t displaced = message->n_displaced_cameras;
	if (displaced != message->n_displaced_nodes)
		return ERR_FORMAT;
	struct placement_map p = {.epoch = map->epoch, .node_count = map->node_count};
	p.nodes = calloc(map->node_count + 1, sizeof(*p.nodes));
	p.displaced = calloc(displaced + 1, sizeof(*p.displaced));
	int rc = p.nodes && p.displaced ? 0 : -ENOMEM;
	for (size_t i = 0; i < map->node_count && !rc; i++) {
		const struct cluster_node *n = &map->nodes[i];
		p.nodes[i].weight = n->weight;
		p.nodes[i].state = n->alive ? n->state : PLACEMENT_OUT;
		strcpy(p.nodes[i].id, n->id);
		strcpy(p.nodes[i].rack, n->rack);
	}
	for (; p.displaced_count < displaced && !rc; p.displaced_count++)
		p.displaced[p.displaced_count] = (struct placement_displaced){
			.camera = message->displaced_cameras[p.displaced_count],
			.node = message->displaced_nodes[p.displaced_count]};
	if (!rc)
		rc = placement_new(&p, &map->placement);
	free(p.nodes);
	free(p.displaced);
	return rc == -EINVAL ? ERR_FORMAT : rc;
}

int cluster_map_new(const Steppe__Wire__ClusterMap *message, const struct cluster_map **ret_map)
{
	if (message->n_nodes > PLACEMENT_NODES_MAX)
		return ERR_LIMIT;
	struct cluster_map *map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	atomic_init(&map->refs, 1);
	map->epoch = message->epoch;
	map->time_us = message->time_us;
	map->features = message->features;
	map->nodes = calloc(message->n_nodes + 1, sizeof(*map->nodes));
	int rc = map->nodes ? 0 : -ENOMEM;
	while (!rc && map->node_count < message->n_nodes) {
		size_t i = map->node_count++;
		rc = read_node(message->nodes[i], &map->nodes[i]);
	}
	if (!rc)
		rc = place(map, message);
	if (rc < 0) {
		free_map(map);
		return rc;
	}
	*ret_map = map;
	return 0;
}

int cluster_map_parse(const void *bytes, size_t len, const struct cluster_map **ret_map)
{
	if (len > CLUSTER_MAP_MAX)
		return ERR_LIMIT;
	Steppe__Wire__ClusterMap *message = steppe__wire__cluster_map__unpack(NULL, len, bytes);
	if (!message)
		return ERR_FORMAT;
	int rc = cluster_map_new(message, ret_map);
	steppe__wire__cluster_map__free_unpacked(message, NULL);
	return rc;
}

/* Who holds a reference may count: the rest of the map never changes. */
static atomic_uint *refs_of(const struct cluster_map *map)
{
	return (atomic_uint *)(uintptr_t)&map->refs;
}

const struct cluster_map *cluster_map_ref(const struct cluster_map *map)
{
	atomic_fetch_add_explicit(refs_of(map), 1, memory_order_relaxed);
	return map;
}

void cluster_map_unref(const struct cluster_map **slot)
{
	const struct cluster_map *map = *slot;
	*slot = NULL;
	if (map && atomic_fetch_sub_explicit(refs_of(map), 1, memory_order_acq_rel) == 1)
		free_map((struct cluster_map *)(uintptr_t)map);
}

int cluster_map_find(const struct cluster_map *map, const char *node_id)
{
	for (size_t i = 0; i < map->node_count; i++)
		if (strcmp(map->nodes[i].id, node_id) == 0)
			return (int)i;
	return -1;
}

int cluster_map_owner(const struct cluster_map *map, const char *camera)
{
	return placement_owner(map->placement, placement_camera(camera));
}
