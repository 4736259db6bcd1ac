/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/map.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "placement/score.h"

#define CAMERAS 100000

static struct placement_node nodes[600];
static uint64_t cameras[CAMERAS];

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 600; i++) {
		nodes[i] = (struct placement_node){
			.weight = PLACEMENT_WEIGHT_ONE, .state = PLACEMENT_IN};
		snprintf(nodes[i].id, sizeof(nodes[i].id), "node-%03d", i);
		snprintf(nodes[i].rack, sizeof(nodes[i].rack), "rack-%02d", i / 20);
	}
	for (int i = 0; i < CAMERAS; i++) {
		char id[32];
		snprintf(id, sizeof(id), "15010200001310%06d", i);
		cameras[i] = placement_camera(id);
	}
	return 0;
}

static struct placement *prepare(
	size_t count, const struct placement_displaced *displaced, size_t displaced_count)
{
	struct placement *p;
	struct placement_map map = {.epoch = 1,
		.nodes = nodes,
		.node_count = count,
		.displaced = (struct placement_displaced *)(uintptr_t)displaced,
		.displaced_count = displaced_count};
	assert_int_equal(placement_new(&map, &p), 0);
	return p;
}

static void test_the_logarithm(void **state)
{
	(void)state;
	for (int i = 1; i < 10000; i++) {
		uint64_t h = score_hash((uint64_t)i, 0);
		double expected = 64 - log2((double)h),
		       got = (double)score_distance(h) / (double)(UINT64_C(1) << 40);
		assert_true(fabs(expected - got) < 1e-9);
	}
	assert_int_equal(score_distance(UINT64_C(1) << 63), UINT64_C(1) << 40);
	assert_int_equal(score_distance(1), UINT64_C(64) << 40);
	assert_true(score_distance(0) > score_distance(1));
}

static void test_the_same_for_ever(void **state)
{
	(void)state;
	/* a change of any of these would move every camera of every cluster */
	assert_int_equal(placement_camera("gate-7"), placement_camera("gate-7"));
	struct placement *p = prepare(10, NULL, 0);
	char owners[41] = "";
	for (int i = 0; i < 40; i++)
		owners[i] = (char)('0' + placement_owner(p, cameras[i]));
	FILE *golden = fopen(GOLDEN "/placement.txt", "r");
	char wanted[64] = "";
	assert_non_null(golden);
	assert_non_null(fgets(wanted, sizeof(wanted), golden));
	fclose(golden);
	wanted[strcspn(wanted, "\n")] = '\0';
	assert_string_equal(owners, wanted);
	placement_free(&p);
}

static double spread(const struct placement *p, size_t count)
{
	double carried[600] = {0}, most = 0, weights = 0;
	for (size_t i = 0; i < count; i++)
		weights += nodes[i].weight;
	for (int i = 0; i < CAMERAS; i++)
		carried[placement_owner(p, cameras[i])]++;
	for (size_t i = 0; i < count; i++) {
		double fair = CAMERAS * nodes[i].weight / weights;
		most = fmax(most, carried[i] / fair);
	}
	return most;
}

static void test_even_by_weight(void **state)
{
	(void)state;
	struct placement *p = prepare(20, NULL, 0);
	assert_true(spread(p, 20) < 1.05);
	placement_free(&p);
	for (int i = 0; i < 20; i++)
		nodes[i].weight = i < 10 ? 500 : i < 15 ? 1000 : 2500;
	p = prepare(20, NULL, 0);
	assert_true(spread(p, 20) < 1.06);
	placement_free(&p);
}

static void test_only_what_must_moves(void **state)
{
	(void)state;
	struct placement *before = prepare(50, NULL, 0), *more = prepare(51, NULL, 0);
	nodes[7].state = PLACEMENT_DRAINING;
	struct placement *less = prepare(50, NULL, 0);
	int joined = 0, left = 0;
	for (int i = 0; i < CAMERAS; i++) {
		int a = placement_owner(before, cameras[i]), b = placement_owner(more, cameras[i]),
		    c = placement_owner(less, cameras[i]);
		if (a != b) {
			assert_int_equal(b, 50);
			joined++;
		}
		if (a != c) {
			assert_int_equal(a, 7);
			left++;
		}
		assert_int_not_equal(c, 7);
	}
	assert_in_range(joined, CAMERAS / 51 * 9 / 10, CAMERAS / 51 * 11 / 10);
	assert_in_range(left, CAMERAS / 50 * 9 / 10, CAMERAS / 50 * 11 / 10);
	placement_free(&before);
	placement_free(&more);
	placement_free(&less);
}

static void test_rank_and_standby(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		nodes[i].weight = i % 3 ? 1000 : 1700;
	struct placement *p = prepare(60, NULL, 0);
	for (int i = 0; i < 1000; i++) {
		uint32_t rank[60];
		assert_int_equal(placement_rank(p, cameras[i], 60, rank), 60);
		assert_int_equal(rank[0], placement_owner(p, cameras[i]));
		bool seen[60] = {false};
		for (int k = 0; k < 60; k++) {
			assert_false(seen[rank[k]]);
			seen[rank[k]] = true;
		}
		int standby = placement_standby(p, cameras[i]), expected = -1;
		for (int k = 1; k < 60 && expected < 0; k++) {
			if (strcmp(nodes[rank[k]].rack, nodes[rank[0]].rack) != 0)
				expected = (int)rank[k];
		}
		assert_int_equal(standby, expected);
		uint32_t few[3];
		assert_int_equal(placement_rank(p, cameras[i], 3, few), 3);
		assert_memory_equal(few, rank, sizeof(few));
	}
	placement_free(&p);
	/* one rack: somebody stands by all the same */
	p = prepare(2, NULL, 0);
	assert_int_equal(placement_standby(p, cameras[0]), 1 - placement_owner(p, cameras[0]));
	placement_free(&p);
	p = prepare(1, NULL, 0);
	assert_int_equal(placement_standby(p, cameras[0]), -1);
	placement_free(&p);
	p = prepare(0, NULL, 0);
	assert_int_equal(placement_owner(p, cameras[0]), -1);
	placement_free(&p);
}

static void test_the_cap_displaces_few(void **state)
{
	(void)state;
	static struct placement_load loads[CAMERAS];
	struct placement_displaced *displaced, *again;
	size_t count, again_count;
	for (int i = 0; i < CAMERAS; i++)
		loads[i] =
			(struct placement_load){cameras[i], 2000 + (uint32_t)(cameras[i] % 4000)};
	struct placement *p = prepare(100, NULL, 0);
	assert_int_equal(placement_displace(p, loads, CAMERAS, 1050, &displaced, &count), 0);
	placement_free(&p);
	assert_true(count > 0 && count < CAMERAS / 100);
	p = prepare(100, displaced, count);
	uint64_t carried[100] = {0}, total = 0;
	for (int i = 0; i < CAMERAS; i++) {
		carried[placement_owner(p, cameras[i])] += loads[i].kbps;
		total += loads[i].kbps;
	}
	for (int i = 0; i < 100; i++)
		assert_true(carried[i] <= total / 100 * 105 / 100 + 1);
	/* asked again with the list in force, nothing moves */
	assert_int_equal(placement_displace(p, loads, CAMERAS, 1050, &again, &again_count), 0);
	assert_int_equal(again_count, count);
	assert_memory_equal(again, displaced, count * sizeof(*again));
	free(again);
	/* a displaced camera whose node leaves goes back to the ranking */
	uint64_t camera = displaced[0].camera;
	nodes[displaced[0].node].state = PLACEMENT_OUT;
	struct placement *q = prepare(100, displaced, count);
	assert_int_not_equal(placement_owner(q, camera), displaced[0].node);
	placement_free(&q);
	placement_free(&p);
	free(displaced);
}

static void test_maps_that_cannot_be(void **state)
{
	(void)state;
	struct placement *p = NULL;
	struct placement_map map = {.nodes = nodes, .node_count = 3};
	nodes[1].weight = 0;
	assert_int_equal(placement_new(&map, &p), -EINVAL);
	nodes[1].weight = 1;
	nodes[1].state = 9;
	assert_int_equal(placement_new(&map, &p), -EINVAL);
	nodes[1].state = PLACEMENT_OUT;
	assert_int_equal(placement_new(&map, &p), 0);
	placement_free(&p);
	strcpy(nodes[2].id, nodes[0].id);
	assert_int_equal(placement_new(&map, &p), -EINVAL);
	setup(NULL);
	struct placement_displaced wrong[] = {{5, 1}, {5, 2}};
	map.displaced = wrong;
	map.displaced_count = 2;
	assert_int_equal(placement_new(&map, &p), -EINVAL);
	assert_null(p);
	placement_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_logarithm, setup),
		cmocka_unit_test_setup(test_the_same_for_ever, setup),
		cmocka_unit_test_setup(test_even_by_weight, setup),
		cmocka_unit_test_setup(test_only_what_must_moves, setup),
		cmocka_unit_test_setup(test_rank_and_standby, setup),
		cmocka_unit_test_setup(test_the_cap_displaces_few, setup),
		cmocka_unit_test_setup(test_maps_that_cannot_be, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
