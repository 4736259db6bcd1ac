/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/ownership/members_edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

static size_t count_of(const char *const *list)
{
	size_t n = 0;
	while (list[n] && n < CLUSTER_NODE_ADDRESSES_MAX)
		n++;
	return n;
}

static bool has_addresses(const Steppe__Wire__MapNode *node, const char *const *addresses)
{
	size_t n = count_of(addresses);
	if (node->n_addresses != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(node->addresses[i], addresses[i]) != 0)
			return false;
	return true;
}

static bool revive(Steppe__Wire__MapNode *node, const struct members_edit *edit)
{
	if (node->alive && node->boot_nonce == edit->nonce && has_addresses(node, edit->addresses))
		return false;
	node->alive = true;
	node->boot_nonce = edit->nonce;
	node->addresses = (char **)(uintptr_t)edit->addresses; /* packing does not write */
	node->n_addresses = count_of(edit->addresses);
	return true;
}

static int join(struct cluster_draft *draft, const struct members_edit *edit)
{
	Steppe__Wire__ClusterMap *map = &draft->message;
	bool changed = false;
	for (size_t i = map->n_nodes; edit->alone && i-- > 0;) {
		if (strcmp(map->nodes[i]->id, edit->id) == 0)
			continue;
		cluster_draft_remove(draft, map->nodes[i]);
		changed = true;
	}
	Steppe__Wire__MapNode *node = cluster_draft_find(draft, edit->id);
	if (!node) {
		if (map->n_nodes >= PLACEMENT_NODES_MAX)
			return ERR_LIMIT;
		node = cluster_draft_add(draft, edit->id);
		if (!node)
			return -ENOMEM;
		node->state = PLACEMENT_IN;
		node->weight = edit->weight;
	}
	uint64_t features = map->n_nodes > 1 ? map->features & edit->features : edit->features;
	changed |= revive(node, edit) || features != map->features ||
		   strcmp(node->rack, edit->rack) != 0;
	node->rack = (char *)(uintptr_t)edit->rack;
	map->features = features;
	return changed;
}

static int set(Steppe__Wire__MapNode *node, const struct members_edit *edit)
{
	if (edit->state > PLACEMENT_OUT || edit->weight > PLACEMENT_WEIGHT_MAX)
		return -EINVAL;
	uint32_t state = edit->state ? edit->state : node->state;
	uint32_t weight = edit->weight ? edit->weight : node->weight;
	bool changed = state != node->state || weight != node->weight;
	node->state = state;
	node->weight = weight;
	return changed;
}

static bool has_displaced(
	const Steppe__Wire__ClusterMap *map, const struct placement_displaced *list, size_t count)
{
	if (map->n_displaced_cameras != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (map->displaced_cameras[i] != list[i].camera ||
			map->displaced_nodes[i] != list[i].node)
			return false;
	return true;
}

static int displace(struct cluster_draft *draft, const struct members_edit *edit)
{
	Steppe__Wire__ClusterMap *map = &draft->message;
	/* what it was computed of has changed: the next round computes anew */
	if (map->epoch != edit->epoch || has_displaced(map, edit->displaced, edit->displaced_count))
		return 0;
	size_t n = edit->displaced_count;
	uint64_t *cameras = calloc(n + 1, sizeof(*cameras));
	uint32_t *nodes = calloc(n + 1, sizeof(*nodes));
	if (!cameras || !nodes) {
		free(cameras);
		free(nodes);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		cameras[i] = edit->displaced[i].camera;
		nodes[i] = edit->displaced[i].node;
	}
	free(map->displaced_cameras);
	free(map->displaced_nodes);
	map->displaced_cameras = cameras;
	map->displaced_nodes = nodes;
	map->n_displaced_cameras = map->n_displaced_nodes = n;
	return 1;
}

int members_edit_apply(struct cluster_draft *draft, const struct members_edit *edit)
{
	Steppe__Wire__ClusterMap *map = &draft->message;
	Steppe__Wire__MapNode *node = edit->id ? cluster_draft_find(draft, edit->id) : NULL;
	switch (edit->kind) {
	case EDIT_JOIN:
		return join(draft, edit);
	case EDIT_ALIVE:
		return node ? revive(node, edit) : 0;
	case EDIT_DEAD:
		if (!node || !node->alive || node->boot_nonce != edit->nonce)
			return 0;
		node->alive = false;
		return 1;
	case EDIT_SET:
		return node ? set(node, edit) : -ENOENT;
	case EDIT_REMOVE:
		if (!node)
			return -ENOENT;
		if (node->alive)
			return -EBUSY;
		cluster_draft_remove(draft, node);
		return 1;
	case EDIT_FEATURES:
		if (map->features == edit->features)
			return 0;
		map->features = edit->features;
		return 1;
	case EDIT_DISPLACE:
		return displace(draft, edit);
	}
	return -EINVAL;
}
