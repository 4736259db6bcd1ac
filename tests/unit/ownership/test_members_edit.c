/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the map: what they do, what they leave, what they are refused for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storaged/ownership/members_edit.h"

static const char *const here[] = {"10.0.0.1:1", NULL}, *const there[] = {"10.0.0.2:1", NULL};

/* The map that comes of one edit of `from`, which is dropped. */
static const struct cluster_map *edited(
	const struct cluster_map *from, const struct members_edit *edit, int expected)
{
	struct cluster_draft draft;
	const struct cluster_map *map;
	assert_int_equal(cluster_draft_init(&draft, from, 1), 0);
	assert_int_equal(members_edit_apply(&draft, edit), expected);
	draft.message.epoch++;
	assert_int_equal(cluster_map_new(&draft.message, &map), 0);
	cluster_draft_fini(&draft);
	cluster_map_unref(&from);
	return map;
}

static struct members_edit joining(const char *id, uint64_t nonce, const char *const *addresses)
{
	return (struct members_edit){.kind = EDIT_JOIN,
		.id = id,
		.nonce = nonce,
		.addresses = addresses,
		.rack = "r1",
		.weight = 500,
		.features = 3};
}

static const struct cluster_map *two(void)
{
	struct members_edit a = joining("a", 1, here), b = joining("b", 2, there);
	return edited(edited(NULL, &a, 1), &b, 1);
}

static void test_joining(void **state)
{
	(void)state;
	const struct cluster_map *map = two();
	assert_int_equal(map->epoch, 2);
	assert_int_equal(map->node_count, 2);
	assert_int_equal(map->features, 3);
	assert_int_equal(map->nodes[1].weight, 500);
	assert_string_equal(map->nodes[1].rack, "r1");
	struct members_edit again = joining("b", 2, there);
	map = edited(map, &again, 0);
	again.nonce = 9; /* restarted, elsewhere: weight and state are the admin's */
	again.addresses = here;
	again.weight = 1;
	again.features = 6;
	map = edited(map, &again, 1);
	assert_int_equal(map->nodes[1].boot_nonce, 9);
	assert_int_equal(map->nodes[1].weight, 500);
	assert_int_equal(map->features, 2);
	assert_string_equal(map->nodes[1].addresses[0], here[0]);
	again.alone = true;
	map = edited(map, &again, 1);
	assert_int_equal(map->node_count, 1);
	cluster_map_unref(&map);
}

static void test_dying(void **state)
{
	(void)state;
	const struct cluster_map *map = two();
	struct members_edit dead = {.kind = EDIT_DEAD, .id = "b", .nonce = 1};
	map = edited(map, &dead, 0); /* another process is meant */
	dead.nonce = 2;
	map = edited(map, &dead, 1);
	assert_false(map->nodes[1].alive);
	map = edited(map, &dead, 0);
	struct members_edit alive = {.kind = EDIT_ALIVE, .id = "b", .nonce = 2, .addresses = there};
	map = edited(map, &alive, 1);
	map = edited(map, &alive, 0);
	alive.id = "nobody";
	map = edited(map, &alive, 0);
	cluster_map_unref(&map);
}

static void test_setting(void **state)
{
	(void)state;
	const struct cluster_map *map = two();
	struct members_edit set = {.kind = EDIT_SET, .id = "a", .weight = PLACEMENT_WEIGHT_MAX + 1};
	map = edited(map, &set, -EINVAL);
	set.weight = 7;
	map = edited(map, &set, 1);
	assert_int_equal(map->nodes[0].state, PLACEMENT_IN);
	set.state = PLACEMENT_OUT;
	set.weight = 0;
	map = edited(map, &set, 1);
	assert_int_equal(map->nodes[0].weight, 7);
	assert_int_equal(map->nodes[0].state, PLACEMENT_OUT);
	set.id = "nobody";
	map = edited(map, &set, -ENOENT);
	cluster_map_unref(&map);
}

/* Who is displaced to a node that goes comes home; indexes behind it move up. */
static void test_removing(void **state)
{
	(void)state;
	struct members_edit c = joining("c", 3, here);
	const struct cluster_map *map = two();
	map = edited(map, &c, 1);
	const struct placement_displaced list[] = {{10, 0}, {20, 1}, {30, 2}};
	struct members_edit displace = {.kind = EDIT_DISPLACE,
		.displaced = list,
		.displaced_count = 3,
		.epoch = map->epoch + 1};
	map = edited(map, &displace, 0); /* made for another map */
	displace.epoch = map->epoch;
	map = edited(map, &displace, 1);
	struct members_edit remove = {.kind = EDIT_REMOVE, .id = "b"};
	map = edited(map, &remove, -EBUSY);
	struct members_edit dead = {.kind = EDIT_DEAD, .id = "b", .nonce = 2};
	map = edited(map, &dead, 1);
	map = edited(map, &remove, 1);
	const struct placement_map *p = placement_map(map->placement);
	assert_int_equal(p->displaced_count, 2);
	assert_int_equal(p->displaced[0].node, 0);
	assert_int_equal(p->displaced[1].camera, 30);
	assert_int_equal(p->displaced[1].node, 1);
	map = edited(map, &remove, -ENOENT);
	cluster_map_unref(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joining),
		cmocka_unit_test(test_dying),
		cmocka_unit_test(test_setting),
		cmocka_unit_test(test_removing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
