/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/hash.h"
#include "placement/placement_impl.h"
#include "placement/score.h"

#define CAMERA_SEED 1
#define NODE_SEED   2

uint64_t placement_camera(const char *camera_id)
{
	return hash64(CAMERA_SEED, camera_id, strlen(camera_id));
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two nodes with one id would share cameras. */
static int check_ids(const struct placement_map *map)
{
	const char **ids = malloc((map->node_count + 1) * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < map->node_count; i++)
		ids[i] = map->nodes[i].id;
	qsort(ids, map->node_count, sizeof(*ids), compare_ids);
	int rc = 0;
	for (size_t i = 1; i < map->node_count && !rc; i++)
		rc = strcmp(ids[i - 1], ids[i]) == 0 ? -EINVAL : 0;
	free(ids);
	return rc;
}

static int check_map(const struct placement_map *map)
{
	if (map->node_count > PLACEMENT_NODES_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < map->node_count; i++) {
		const struct placement_node *n = &map->nodes[i];
		if (!n->id[0] || !memchr(n->id, '\0', sizeof(n->id)) ||
			!memchr(n->rack, '\0', sizeof(n->rack)))
			return -EINVAL;
		if (!n->weight || n->weight > PLACEMENT_WEIGHT_MAX || n->state < PLACEMENT_IN ||
			n->state > PLACEMENT_OUT)
			return -EINVAL;
	}
	for (size_t i = 0; i < map->displaced_count; i++) {
		if (map->displaced[i].node >= map->node_count)
			return -EINVAL;
		if (i && map->displaced[i - 1].camera >= map->displaced[i].camera)
			return -EINVAL;
	}
	return check_ids(map);
}

static void *copy_of(const void *from, size_t count, size_t size)
{
	void *copy = calloc(count + 1, size);
	if (copy && count)
		memcpy(copy, from, count * size);
	return copy;
}

static int by_weight(const void *a, const void *b, void *nodes)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct placement_node *n = nodes;
	if (n[x].weight != n[y].weight)
		return n[x].weight < n[y].weight ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void group_nodes(struct placement *p)
{
	for (uint32_t i = 0; i < p->map.node_count; i++) {
		p->place[i] = UINT32_MAX;
		if (p->map.nodes[i].state == PLACEMENT_IN)
			p->nodes[p->in_count++] = i;
	}
	qsort_r(p->nodes, p->in_count, sizeof(*p->nodes), by_weight, p->map.nodes);
	for (uint32_t i = 0; i < p->in_count; i++) {
		const struct placement_node *n = &p->map.nodes[p->nodes[i]];
		p->place[p->nodes[i]] = i;
		p->seeds[i] = hash64(NODE_SEED, n->id, strlen(n->id));
		if (!p->group_count || p->groups[p->group_count - 1].weight != n->weight)
			p->groups[p->group_count++] =
				(struct placement_group){.weight = n->weight, .first = i};
		p->groups[p->group_count - 1].count++;
	}
}

static int by_rack(const void *a, const void *b, void *nodes)
{
	const struct placement_node *n = nodes;
	return strcmp(n[*(const uint32_t *)a].rack, n[*(const uint32_t *)b].rack);
}

/* Numbers the racks, so that look-ups compare no names. A node without one is a rack of its own. */
static int number_racks(struct placement *p)
{
	uint32_t *order = calloc(p->in_count + 1, sizeof(*order)), rack = 0;
	if (!order)
		return -ENOMEM;
	memcpy(order, p->nodes, p->in_count * sizeof(*order));
	qsort_r(order, p->in_count, sizeof(*order), by_rack, p->map.nodes);
	for (size_t i = 0; i < p->in_count; i++) {
		const struct placement_node *n = &p->map.nodes[order[i]];
		const struct placement_node *before = &p->map.nodes[order[i ? i - 1 : 0]];
		rack += !n->rack[0] || strcmp(n->rack, before->rack) != 0;
		p->racks[p->place[order[i]]] = rack;
	}
	free(order);
	return 0;
}

int placement_new(const struct placement_map *map, struct placement **ret_placement)
{
	int rc = check_map(map);
	if (rc)
		return rc;
	struct placement *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->map = *map;
	p->map.nodes = copy_of(map->nodes, map->node_count, sizeof(*map->nodes));
	p->map.displaced = copy_of(map->displaced, map->displaced_count, sizeof(*map->displaced));
	p->groups = calloc(map->node_count + 1, sizeof(*p->groups));
	p->seeds = calloc(map->node_count + 1, sizeof(*p->seeds));
	p->nodes = calloc(map->node_count + 1, sizeof(*p->nodes));
	p->racks = calloc(map->node_count + 1, sizeof(*p->racks));
	p->place = calloc(map->node_count + 1, sizeof(*p->place));
	rc = -ENOMEM;
	if (p->map.nodes && p->map.displaced && p->groups && p->seeds && p->nodes && p->racks &&
		p->place) {
		group_nodes(p);
		rc = number_racks(p);
	}
	if (rc)
		placement_free(&p);
	else
		*ret_placement = p;
	return rc;
}

void placement_free(struct placement **placement)
{
	struct placement *p = *placement;
	*placement = NULL;
	if (!p)
		return;
	free(p->map.nodes);
	free(p->map.displaced);
	free(p->groups);
	free(p->seeds);
	free(p->nodes);
	free(p->racks);
	free(p->place);
	free(p);
}

const struct placement_map *placement_map(const struct placement *p)
{
	return &p->map;
}

/* --- look-ups
 * ----------------------------------------------------------------------------------------------------------------
 */

const struct placement_displaced *placement_find_displaced(
	const struct placement *p, uint64_t camera)
{
	size_t low = 0, high = p->map.displaced_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (p->map.displaced[middle].camera < camera)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->map.displaced_count && p->map.displaced[low].camera == camera
		       ? &p->map.displaced[low]
		       : NULL;
}

int placement_best(const struct placement *p, uint64_t camera)
{
	uint64_t best_hash = 0;
	uint32_t best_weight = 0;
	int best = -1;
	for (size_t g = 0; g < p->group_count; g++) {
		const struct placement_group *group = &p->groups[g];
		const uint64_t *seeds = p->seeds + group->first;
		uint64_t top = 0;
		uint32_t at = 0;
		for (uint32_t i = 0; i < group->count; i++) {
			uint64_t h = score_hash(camera, seeds[i]);
			if (h > top) {
				top = h;
				at = i;
			}
		}
		if (best >= 0 && !score_better(top, group->weight, best_hash, best_weight))
			continue;
		best = (int)p->nodes[group->first + at];
		best_hash = top;
		best_weight = group->weight;
	}
	return best;
}

int placement_owner(const struct placement *p, uint64_t camera)
{
	const struct placement_displaced *displaced = placement_find_displaced(p, camera);
	/* a node that has left since the list was made gives its displaced cameras back to the
	 * ranking */
	if (displaced && p->map.nodes[displaced->node].state == PLACEMENT_IN)
		return (int)displaced->node;
	return placement_best(p, camera);
}

size_t placement_rank(
	const struct placement *p, uint64_t camera, size_t count, uint32_t ret_nodes[])
{
	size_t found = 0;
	for (uint32_t i = 0; i < p->in_count; i++) {
		uint32_t node = p->nodes[i], weight = p->map.nodes[node].weight;
		uint64_t h = score_hash(camera, p->seeds[i]);
		size_t at = found;
		/* an insertion into what was found: `count` is small */
		for (; at > 0; at--) {
			uint32_t other = ret_nodes[at - 1];
			if (!score_better(h, weight, score_hash(camera, p->seeds[p->place[other]]),
				    p->map.nodes[other].weight))
				break;
			if (at < count)
				ret_nodes[at] = other;
		}
		if (at < count)
			ret_nodes[at] = node;
		found += found < count;
	}
	return found;
}

/* The best choice but the owner, in another rack than the owner's or, if not `apart`, in any. */
static int best_other(const struct placement *p, uint64_t camera, uint32_t owner, bool apart)
{
	uint64_t best_hash = 0;
	uint32_t best_weight = 0;
	int best = -1;
	for (size_t g = 0; g < p->group_count; g++) {
		const struct placement_group *group = &p->groups[g];
		uint64_t top = 0;
		uint32_t at = UINT32_MAX;
		for (uint32_t i = group->first; i < group->first + group->count; i++) {
			uint64_t h = score_hash(camera, p->seeds[i]);
			if (h > top && i != owner && (!apart || p->racks[i] != p->racks[owner])) {
				top = h;
				at = i;
			}
		}
		if (at == UINT32_MAX ||
			(best >= 0 && !score_better(top, group->weight, best_hash, best_weight)))
			continue;
		best = (int)p->nodes[at];
		best_hash = top;
		best_weight = group->weight;
	}
	return best;
}

int placement_standby(const struct placement *p, uint64_t camera)
{
	int owner = placement_owner(p, camera);
	if (owner < 0)
		return -1;
	int standby = best_other(p, camera, p->place[owner], true);
	return standby >= 0 ? standby : best_other(p, camera, p->place[owner], false);
}
