/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/alloc_fail.h"
#include "tools/steppe/plan_loads.h"
#include "tools/steppe/plan_sim.h"

static const uint32_t ordinary[] = {PLACEMENT_WEIGHT_ONE};

static struct placement_load *cameras(size_t count)
{
	const struct plan_mix m = {.kbps = {2000, 4000}, .parts = {1, 3}, .count = 2, .spread = 20};
	struct placement_load *loads = NULL;
	uint64_t sum;
	assert_int_equal(plan_loads_make(&m, 1, count, &loads, &sum), 0);
	return loads;
}

/* The goal: at 500 nodes nobody carries more than 1.05 of the mean, and nothing moves needlessly. */
static void test_500_nodes(void **state)
{
	(void)state;
	const size_t count = 60000;
	struct placement_load *loads = cameras(count);
	const struct plan_cluster c = {.nodes = 500,
		.racks = 20,
		.weights = ordinary,
		.weight_count = 1,
		.cap_permille = 1050};
	struct plan_sim s;
	assert_int_equal(plan_sim_init(&s, &c, loads, count), 0);
	assert_true(s.busiest_first > 1.05);
	assert_true(s.busiest <= 1.05);
	assert_true(s.displaced > 0 && s.displaced < count / 20);
	double sum = 0;
	for (uint32_t i = 0; i < c.nodes; i++) {
		assert_true(i == 0 || s.even[i] <= s.even[i - 1]);
		sum += s.even[i];
	}
	assert_true(fabs(sum - 500) < 1e-6);
	assert_true(s.idlest == s.even[499]);
	assert_int_equal(plan_sim_events(&s), 0);
	static const uint32_t sizes[] = {1, 25, 1, 25};
	for (int k = 0; k < PLAN_EVENTS; k++) {
		const struct plan_event *e = &s.events[k];
		bool joins = k == PLAN_NODE_JOINS || k == PLAN_RACK_JOINS;
		double fair = (double)count * sizes[k] / (joins ? 500 + sizes[k] : 500);
		assert_int_equal(e->nodes, sizes[k]);
		assert_int_equal(e->needless, 0);
		assert_true(fabs((double)e->moved - fair) < fair * 0.25);
		assert_true(
			fabs(e->mean - 500.0 / (joins ? 500 + sizes[k] : 500 - sizes[k])) < 1e-9);
		assert_true(e->busiest > e->mean);
		assert_true(e->takers <= (joins ? sizes[k] : 500 - sizes[k]));
		assert_true(e->most_taken * e->takers >= e->moved);
	}
	/* nobody stands by within the owner's rack, and all for about as many; those that gave
	 * cameras away, for these too */
	assert_int_equal(s.standby_apart, count);
	assert_true(s.standby_busiest < 1.6);
	plan_sim_fini(&s);
	free(loads);
}

static void test_weights(void **state)
{
	(void)state;
	const uint32_t weights[] = {1000, 1000, 2500};
	const size_t count = 20000;
	struct placement_load *loads = cameras(count);
	const struct plan_cluster c = {.nodes = 30,
		.racks = 5,
		.weights = weights,
		.weight_count = 3,
		.cap_permille = 1050};
	struct plan_sim s;
	assert_int_equal(plan_sim_init(&s, &c, loads, count), 0);
	assert_true(fabs(s.units - 45) < 1e-9);
	assert_true(s.busiest <= 1.05 && s.idlest > 0.85);
	assert_int_equal(plan_sim_events(&s), 0);
	/* the joining node is an ordinary one */
	double fair = (double)count / 46;
	assert_true(fabs((double)s.events[PLAN_NODE_JOINS].moved - fair) < fair * 0.25);
	plan_sim_fini(&s);
	free(loads);
}

static void test_few_nodes(void **state)
{
	(void)state;
	struct placement_load *loads = cameras(100);
	struct plan_cluster c = {.nodes = 1,
		.racks = 1,
		.weights = ordinary,
		.weight_count = 1,
		.cap_permille = 1050};
	struct plan_sim s;
	assert_int_equal(plan_sim_init(&s, &c, loads, 100), 0);
	assert_true(fabs(s.busiest - 1) < 1e-9);
	assert_int_equal(plan_sim_events(&s), 0);
	assert_int_equal(s.events[PLAN_NODE_LEAVES].nodes, 0);
	assert_int_equal(s.events[PLAN_RACK_LEAVES].nodes, 0);
	assert_int_equal(s.standby_apart, 0);
	assert_true(s.events[PLAN_NODE_JOINS].moved > 20);
	plan_sim_fini(&s);
	/* two in one rack: a node may leave, the rack may not */
	c.nodes = 2;
	assert_int_equal(plan_sim_init(&s, &c, loads, 100), 0);
	assert_int_equal(plan_sim_events(&s), 0);
	assert_int_equal(s.events[PLAN_NODE_LEAVES].nodes, 1);
	assert_int_equal(s.events[PLAN_RACK_LEAVES].nodes, 0);
	assert_int_equal(s.events[PLAN_NODE_LEAVES].takers, 1);
	plan_sim_fini(&s);
	/* clusters that cannot be */
	c.racks = 3;
	assert_int_equal(plan_sim_init(&s, &c, loads, 100), -EINVAL);
	c = (struct plan_cluster){.nodes = PLACEMENT_NODES_MAX + 1,
		.racks = 1,
		.weights = ordinary,
		.weight_count = 1,
		.cap_permille = 1050};
	assert_int_equal(plan_sim_init(&s, &c, loads, 100), -EINVAL);
	plan_sim_fini(&s);
	free(loads);
}

static void plan_short_of_memory(void *user)
{
	(void)user;
	const struct plan_mix m = {.kbps = {4000}, .parts = {1}, .count = 1};
	const struct plan_cluster c = {.nodes = 4,
		.racks = 2,
		.weights = ordinary,
		.weight_count = 1,
		.cap_permille = 1010};
	struct placement_load *loads = NULL;
	struct plan_sim s = {.count = 0};
	uint64_t sum;
	int rc = plan_loads_make(&m, 1, 200, &loads, &sum);
	if (!rc)
		rc = plan_sim_init(&s, &c, loads, 200);
	if (!rc)
		rc = plan_sim_events(&s);
	assert_true(rc == 0 || rc == -ENOMEM);
	plan_sim_fini(&s);
	free(loads);
}

static void test_memory(void **state)
{
	(void)state;
	alloc_fail_sweep(plan_short_of_memory, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_500_nodes),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_few_nodes),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
