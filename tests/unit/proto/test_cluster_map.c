/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's map: what is refused, who owns what, and memory that runs out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/cluster_map.h"
#include "tests/lib/alloc_fail.h"

#define NODES 3

struct fixture {
	Steppe__Wire__ClusterMap map;
	Steppe__Wire__MapNode nodes[NODES], *list[NODES];
	char ids[NODES][8], *addresses[NODES][1], text[NODES][24];
	uint64_t cameras[2];
	uint32_t places[2];
};

static void make(struct fixture *f)
{
	steppe__wire__cluster_map__init(&f->map);
	f->map.epoch = 7;
	f->map.nodes = f->list;
	f->map.n_nodes = NODES;
	for (size_t i = 0; i < NODES; i++) {
		steppe__wire__map_node__init(&f->nodes[i]);
		snprintf(f->ids[i], sizeof(f->ids[i]), "n%zu", i);
		snprintf(f->text[i], sizeof(f->text[i]), "10.0.0.%zu:7400", i + 1);
		f->addresses[i][0] = f->text[i];
		f->nodes[i].id = f->ids[i];
		f->nodes[i].addresses = f->addresses[i];
		f->nodes[i].n_addresses = 1;
		f->nodes[i].weight = PLACEMENT_WEIGHT_ONE;
		f->nodes[i].state = PLACEMENT_IN;
		f->nodes[i].alive = true;
		f->list[i] = &f->nodes[i];
	}
}

static int status_of(const struct fixture *f)
{
	const struct cluster_map *map;
	int rc = cluster_map_new(&f->map, &map);
	if (rc == 0)
		cluster_map_unref(&map);
	return rc;
}

static const struct cluster_map *map_of(const struct fixture *f)
{
	const struct cluster_map *map;
	assert_int_equal(cluster_map_new(&f->map, &map), 0);
	return map;
}

static void test_owner_is_alive_and_in(void **state)
{
	(void)state;
	struct fixture f;
	make(&f);
	f.nodes[0].alive = false;
	f.nodes[1].state = PLACEMENT_DRAINING;
	const struct cluster_map *map = map_of(&f);
	assert_int_equal(cluster_map_find(map, "n1"), 1);
	assert_int_equal(cluster_map_find(map, "n9"), -1);
	for (int i = 0; i < 100; i++) {
		char camera[16];
		snprintf(camera, sizeof(camera), "cam-%d", i);
		assert_int_equal(cluster_map_owner(map, camera), 2);
	}
	cluster_map_unref(&map);
	f.nodes[2].alive = false;
	map = map_of(&f);
	assert_int_equal(cluster_map_owner(map, "cam-1"), -1);
	cluster_map_unref(&map);
}

static void test_displaced_camera_is_where_the_map_says(void **state)
{
	(void)state;
	struct fixture f;
	make(&f);
	f.cameras[0] = placement_camera("cam-1");
	f.map.displaced_cameras = f.cameras;
	f.map.displaced_nodes = f.places;
	f.map.n_displaced_cameras = f.map.n_displaced_nodes = 1;
	for (uint32_t i = 0; i < NODES; i++) {
		f.places[0] = i;
		const struct cluster_map *map = map_of(&f);
		assert_int_equal(cluster_map_owner(map, "cam-1"), (int)i);
		cluster_map_unref(&map);
	}
	f.places[0] = NODES;
	assert_int_equal(status_of(&f), ERR_FORMAT);
	f.places[0] = 0;
	f.map.n_displaced_nodes = 0;
	assert_int_equal(status_of(&f), ERR_FORMAT);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	char *bad[] = {"nowhere", ":7400", "host:70000", ""};
	for (size_t i = 0; i < 4; i++) {
		make(&f);
		f.addresses[1][0] = bad[i];
		assert_int_equal(status_of(&f), ERR_FORMAT);
	}
	make(&f);
	f.nodes[1].n_addresses = 0;
	assert_int_equal(status_of(&f), ERR_FORMAT);
	make(&f);
	f.nodes[1].id = f.ids[0];
	assert_int_equal(status_of(&f), ERR_FORMAT);
	make(&f);
	f.nodes[1].id = "../x";
	assert_int_equal(status_of(&f), ERR_FORMAT);
	make(&f);
	f.nodes[1].weight = 0;
	assert_int_equal(status_of(&f), ERR_FORMAT);
	make(&f);
	f.nodes[1].state = 4;
	assert_int_equal(status_of(&f), ERR_FORMAT);
	make(&f);
	f.nodes[1].rack = "a-rack-with-a-name-longer-than-it-may-be";
	assert_int_equal(status_of(&f), ERR_FORMAT);
	const struct cluster_map *map;
	assert_int_equal(cluster_map_parse("\xff\xff", 2, &map), ERR_FORMAT);
	assert_int_equal(cluster_map_parse("", CLUSTER_MAP_MAX + 1, &map), ERR_LIMIT);
}

static void test_it_travels(void **state)
{
	(void)state;
	struct fixture f;
	make(&f);
	uint8_t bytes[1024];
	size_t len = steppe__wire__cluster_map__pack(&f.map, bytes);
	const struct cluster_map *map, *same;
	assert_int_equal(cluster_map_parse(bytes, len, &map), 0);
	same = cluster_map_ref(map);
	cluster_map_unref(&map);
	assert_null(map);
	assert_int_equal(same->epoch, 7);
	assert_int_equal(same->node_count, NODES);
	assert_string_equal(same->nodes[2].addresses[0], "10.0.0.3:7400");
	cluster_map_unref(&same);
	cluster_map_unref(&same);
}

static void make_or_enomem(void *user)
{
	int rc = status_of(user);
	assert_true(rc == 0 || rc == -ENOMEM);
}

static void test_memory_that_runs_out(void **state)
{
	(void)state;
	struct fixture f;
	make(&f);
	alloc_fail_sweep(make_or_enomem, &f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner_is_alive_and_in),
		cmocka_unit_test(test_displaced_camera_is_where_the_map_says),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_it_travels),
		cmocka_unit_test(test_memory_that_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
