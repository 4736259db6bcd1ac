/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest policy wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/policy.h"

#define DAY INT64_C(86400000000)

static Steppe__Wire__Policy public30 = STEPPE__WIRE__POLICY__INIT,
			    key90 = STEPPE__WIRE__POLICY__INIT,
			    key90short = STEPPE__WIRE__POLICY__INIT,
			    forever = STEPPE__WIRE__POLICY__INIT;
static Steppe__Wire__Policy *all_policies[] = {&public30, &key90, &key90short, &forever};
static Steppe__Wire__PolicyAssignment a[6];
static Steppe__Wire__PolicyAssignment *list[6];
static Steppe__Wire__Policies policies = STEPPE__WIRE__POLICIES__INIT;
static Steppe__Wire__Camera camera = STEPPE__WIRE__CAMERA__INIT;
static char *groups[2];

static void assign(uint32_t kind, const char *target, const char *policy)
{
	size_t i = policies.n_assignments++;
	steppe__wire__policy_assignment__init(&a[i]);
	a[i].kind = kind;
	a[i].target = (char *)target;
	a[i].policy = (char *)policy;
	list[i] = &a[i];
}

static int set_up(void **state)
{
	(void)state;
	public30.name = "public";
	public30.floor_us = public30.ceiling_us = 30 * DAY;
	key90.name = "key";
	key90.floor_us = 90 * DAY;
	key90.ceiling_us = 180 * DAY;
	key90short.name = "key-short";
	key90short.floor_us = 90 * DAY;
	key90short.ceiling_us = 100 * DAY;
	forever.name = "forever";
	forever.floor_us = 90 * DAY;
	policies.policies = all_policies;
	policies.n_policies = 4;
	policies.assignments = list;
	policies.n_assignments = 0;
	steppe__wire__camera__init(&camera);
	camera.id = "gate-7";
	camera.division = "150102";
	camera.groups = groups;
	return 0;
}

static void expect(const char *name, enum policy_why why, const char *target)
{
	struct policy_found f;
	policy_find(&policies, &camera, &f);
	if (!name) {
		assert_null(f.policy);
		assert_int_equal(f.why, POLICY_OF_NOBODY);
		return;
	}
	assert_non_null(f.policy);
	assert_string_equal(f.policy->name, name);
	assert_int_equal(f.why, why);
	assert_string_equal(f.target, target);
}

static void test_the_nearest_wins(void **state)
{
	(void)state;
	expect(NULL, 0, "");
	assign(POLICY_ALL, "", "public");
	expect("public", POLICY_OF_ALL, "");
	assign(POLICY_DIVISION, "1501", "key");
	assign(POLICY_DIVISION, "15", "public");
	assign(POLICY_DIVISION, "1502", "forever");
	expect("key", POLICY_OF_DIVISION, "1501");
	assign(POLICY_DIVISION, "150102", "public");
	expect("public", POLICY_OF_DIVISION, "150102");
	assign(POLICY_GROUP, "schools", "key");
	expect("public", POLICY_OF_DIVISION, "150102");
	groups[0] = "schools";
	camera.n_groups = 1;
	expect("key", POLICY_OF_GROUP, "schools");
	camera.policy = "forever";
	expect("forever", POLICY_OF_CAMERA, "");
	camera.policy = "no-such";
	expect("key", POLICY_OF_GROUP, "schools");
}

static void test_of_two_groups_the_longest_floor_then_the_shortest_ceiling(void **state)
{
	(void)state;
	groups[0] = "schools";
	groups[1] = "squares";
	camera.n_groups = 2;
	assign(POLICY_GROUP, "schools", "key");
	assign(POLICY_GROUP, "squares", "public");
	expect("key", POLICY_OF_GROUP, "schools");
	a[1].policy = "key-short";
	expect("key-short", POLICY_OF_GROUP, "squares");
	a[0].policy = "forever"; /* no ceiling is the longest */
	expect("key-short", POLICY_OF_GROUP, "squares");
	a[1].policy = "gone"; /* an assignment to nothing */
	expect("forever", POLICY_OF_GROUP, "schools");
}

static void test_a_camera_without_a_division(void **state)
{
	(void)state;
	camera.division = "";
	assign(POLICY_DIVISION, "15", "key");
	expect(NULL, 0, "");
	assign(POLICY_ALL, "", "public");
	expect("public", POLICY_OF_ALL, "");
}

static void test_what_cannot_be_kept(void **state)
{
	(void)state;
	assert_null(policy_fault(&public30));
	assert_null(policy_fault(&forever));
	Steppe__Wire__Policy p = public30;
	p.ceiling_us = 29 * DAY;
	assert_non_null(policy_fault(&p));
	p = public30;
	p.floor_us = 0;
	assert_non_null(policy_fault(&p));
	p = public30;
	p.name = "a b";
	assert_non_null(policy_fault(&p));
	p = public30;
	p.class_ = 10;
	assert_non_null(policy_fault(&p));
	p = public30;
	p.ceiling_us = -1;
	assert_non_null(policy_fault(&p));
	assign(POLICY_ALL, "", "x");
	assert_null(policy_assignment_fault(&a[0]));
	assign(POLICY_DIVISION, "15x", "x");
	assert_non_null(policy_assignment_fault(&a[1]));
	assign(POLICY_DIVISION, "", "x");
	assert_non_null(policy_assignment_fault(&a[2]));
	assign(POLICY_GROUP, "..", "x");
	assert_non_null(policy_assignment_fault(&a[3]));
	assign(9, "x", "x");
	assert_non_null(policy_assignment_fault(&a[4]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_nearest_wins, set_up),
		cmocka_unit_test_setup(
			test_of_two_groups_the_longest_floor_then_the_shortest_ceiling, set_up),
		cmocka_unit_test_setup(test_a_camera_without_a_division, set_up),
		cmocka_unit_test_setup(test_what_cannot_be_kept, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
