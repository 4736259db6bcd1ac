/* SPDX-License-Identifier: Apache-2.0 */
/* The prepared map: nodes that are in, grouped by weight, so that a look-up compares hashes within
 * a group and logarithms only between groups. Private to placement. */
#pragma once

#include "placement/map.h"

struct placement_group {
	uint32_t weight;
	uint32_t first, count; /* of `seeds` and `nodes` */
};

struct placement {
	struct placement_map map;
	struct placement_group *groups;
	uint64_t *seeds;
	uint32_t *nodes; /* index in the map of each seed */
	uint32_t *racks; /* of each seed: a number that those of one rack share */
	uint32_t *place; /* of each node of the map among the seeds; UINT32_MAX: not in */
	size_t group_count, in_count;
};

/* The displaced entry of a camera, or NULL. */
const struct placement_displaced *placement_find_displaced(
	const struct placement *p, uint64_t camera);
/* The best choice, displacement not considered; -1: none. */
int placement_best(const struct placement *p, uint64_t camera);
