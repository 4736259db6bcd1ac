/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's map: whatever bytes it is made of, it is taken with every owner inside of it, or
 * refused. */
#include <stdio.h>

#include "base/check.h"
#include "proto/cluster_map.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct cluster_map *map;
	if (cluster_map_parse(data, size, &map) < 0)
		return 0;
	for (int i = 0; i < 8; i++) {
		char camera[16];
		snprintf(camera, sizeof(camera), "cam-%d", i);
		int owner = cluster_map_owner(map, camera);
		CHECK(owner < (int)map->node_count);
		CHECK(owner < 0 ||
			(map->nodes[owner].alive && map->nodes[owner].state == PLACEMENT_IN));
	}
	for (size_t i = 0; i < map->node_count; i++)
		CHECK(cluster_map_find(map, map->nodes[i].id) == (int)i);
	cluster_map_unref(&map);
	return 0;
}
