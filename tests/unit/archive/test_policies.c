/* SPDX-License-Identifier: Apache-2.0 */
/* The policies' object: changes one by one, by two daemons at once, with outcomes that are not
 * known. */
#include "storaged/archive/policies.h"

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
#include "tests/lib/alloc_fail.h"
#include "tests/lib/store_model.h"

#define NODES 2
#define DAY   INT64_C(86400000000)

struct fixture {
	struct sim_world world;
	struct sim_loop loops[NODES];
	struct store_backend *model;
	struct store *stores[NODES];
	struct loop_task closed;
	unsigned closed_count;
};

struct change {
	struct policies_edit req;
	Steppe__Wire__PoliciesEdit edit;
	Steppe__Wire__Policy policy;
	Steppe__Wire__PolicyAssignment assignment;
	bool done;
	char name[16];
};

static void on_edited(struct policies_edit *req)
{
	container_of(req, struct change, req)->done = true;
}

static void change_init(struct change *c)
{
	*c = (struct change){.req.done = on_edited};
	steppe__wire__policies_edit__init(&c->edit);
	steppe__wire__policy__init(&c->policy);
	steppe__wire__policy_assignment__init(&c->assignment);
}

static void put(struct change *c, const char *name)
{
	change_init(c);
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->policy.name = c->name;
	c->policy.floor_us = c->policy.ceiling_us = 30 * DAY;
	c->edit.put = &c->policy;
}

static void assign(struct change *c, const char *group, const char *policy, bool away)
{
	change_init(c);
	c->assignment.kind = POLICY_GROUP;
	c->assignment.target = (char *)group;
	c->assignment.policy = (char *)policy;
	*(away ? &c->edit.unassign : &c->edit.assign) = &c->assignment;
}

static void start(struct fixture *x, int node, struct change *c)
{
	policies_edit(&x->loops[node].loop, x->stores[node], &c->req, &c->edit);
}

static bool is_done(void *user)
{
	return ((struct change *)user)->done;
}

static int finish(struct fixture *x, struct change *c, size_t *ret_policies)
{
	assert_true(sim_run_until(&x->world, is_done, c, 3600 * NS_PER_SECOND));
	if (c->req.policies) {
		if (ret_policies)
			*ret_policies = c->req.policies->n_policies;
		steppe__wire__policies__free_unpacked(c->req.policies, NULL);
	} else {
		assert_int_not_equal(c->req.status, 0);
	}
	return c->req.status;
}

static int run(struct fixture *x, struct change *c, size_t *ret_policies)
{
	start(x, 0, c);
	return finish(x, c, ret_policies);
}

static void on_closed(struct loop_task *task)
{
	container_of(task, struct fixture, closed)->closed_count++;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	sim_world_init(&x->world, 5);
	x->model = store_model_new(&x->world, NULL);
	for (int i = 0; i < NODES; i++) {
		sim_loop_init(&x->loops[i], &x->world);
		x->stores[i] = store_new(x->model, &x->loops[i].loop);
	}
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	for (int i = 0; i < NODES; i++) {
		unsigned before = x->closed_count;
		x->closed.run = on_closed;
		store_free(&x->stores[i], &x->closed);
		while (x->closed_count == before)
			assert_true(sim_step(&x->world));
		sim_loop_fini(&x->loops[i]);
	}
	store_backend_close(&x->model);
	sim_world_fini(&x->world);
	free(x);
	return 0;
}

static void test_changes(void **state)
{
	struct fixture *x = *state;
	struct change c;
	size_t count = 0;
	put(&c, "public");
	assert_int_equal(run(x, &c, &count), 0);
	assert_int_equal(count, 1);
	put(&c, "public");
	c.policy.ceiling_us = 90 * DAY;
	assert_int_equal(run(x, &c, &count), 0);
	assert_int_equal(count, 1);
	put(&c, "bad name");
	assert_int_equal(run(x, &c, NULL), -EINVAL);
	assert_non_null(c.req.words);
	assign(&c, "schools", "public", false);
	assert_int_equal(run(x, &c, NULL), 0);
	assign(&c, "schools", "nothing", false);
	assert_int_equal(run(x, &c, NULL), -ENOENT);
	change_init(&c);
	c.edit.remove = "public";
	assert_int_equal(run(x, &c, NULL), -EBUSY);
	assign(&c, "schools", "", true);
	assert_int_equal(run(x, &c, NULL), 0);
	assign(&c, "schools", "", true);
	assert_int_equal(run(x, &c, NULL), -ENOENT);
	change_init(&c);
	c.edit.remove = "public";
	assert_int_equal(run(x, &c, &count), 0);
	assert_int_equal(count, 0);
	change_init(&c);
	assert_int_equal(run(x, &c, NULL), -EINVAL); /* nothing is asked */
}

static void test_a_version_that_is_not_the_stored_one(void **state)
{
	struct fixture *x = *state;
	struct change c;
	put(&c, "a");
	assert_int_equal(run(x, &c, NULL), 0);
	put(&c, "b");
	c.edit.version = 7;
	assert_int_equal(run(x, &c, NULL), ERR_GUARD);
	put(&c, "b");
	c.edit.version = 1;
	assert_int_equal(run(x, &c, NULL), 0);
}

/* Every change of both is in what is stored in the end, whatever becomes of single writes. */
static void test_two_daemons_at_once(void **state)
{
	struct fixture *x = *state;
	struct store_model_options *o = store_model_options(x->model);
	size_t count = 0;
	o->unknown_applied = o->unknown_lost = o->unknown_late = 1500;
	o->unknown_after_ns = NS_PER_SECOND;
	for (int round = 0; round < 20; round++) {
		struct change a, b;
		char name[16];
		snprintf(name, sizeof(name), "a%d", round);
		put(&a, name);
		snprintf(name, sizeof(name), "b%d", round);
		put(&b, name);
		start(x, 0, &a);
		start(x, 1, &b);
		assert_int_equal(finish(x, &a, NULL), 0);
		assert_int_equal(finish(x, &b, NULL), 0);
	}
	o->unknown_applied = o->unknown_lost = o->unknown_late = 0;
	struct change last;
	put(&last, "last");
	assert_int_equal(run(x, &last, &count), 0);
	assert_int_equal(count, 41);
}

static void apply_or_enomem(void *user)
{
	(void)user;
	struct change c;
	const char *words;
	alloc_fail_suspend(true);
	Steppe__Wire__Policies *p = steppe__wire__policies__unpack(NULL, 0, NULL);
	alloc_fail_suspend(false);
	put(&c, "public");
	int rc = policies_apply(p, &c.edit, &words);
	assert_true(rc == 0 || rc == -ENOMEM);
	if (!rc) {
		assign(&c, "schools", "public", false);
		rc = policies_apply(p, &c.edit, &words);
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_int_equal(p->n_assignments, rc == 0);
	}
	alloc_fail_suspend(true);
	steppe__wire__policies__free_unpacked(p, NULL);
	alloc_fail_suspend(false);
}

static void test_memory_that_runs_out(void **state)
{
	(void)state;
	alloc_fail_sweep(apply_or_enomem, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_version_that_is_not_the_stored_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_daemons_at_once, setup, teardown),
		cmocka_unit_test(test_memory_that_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
