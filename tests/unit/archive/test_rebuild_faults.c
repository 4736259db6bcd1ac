/* SPDX-License-Identifier: Apache-2.0 */
/* Rebuilds when things fail. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/objects.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/archive/rebuilding.h"

/* --- when things fail --- */

/* Another daemon takes the stream at some moment: the rebuild is over, and writes nothing more. */
static void taken_by_another_at_any_moment(void **state)
{
	struct rebuilding_desk *x = *state;
	for (int events = 1; events < 60; events++) {
		rebuilding_lose(x, rebuilding_partition(0));
		rebuilding_lose(x, rebuilding_partition(1));
		footage_store_head(&x->s); /* epoch 3 again */
		rebuilding_start(x);
		for (int i = 0; i < events && !x->done; i++)
			sim_step(&x->s.world);
		bool was_done = x->done;
		store_model_put_attr(x->s.model, STORE_META, rebuilding_head_of(), ATTR_EPOCH,
			"00000000000000ff");
		store_model_put_attr(
			x->s.model, STORE_META, rebuilding_head_of(), ATTR_OWNER, "n2:1");
		footage_store_wait(&x->s, &x->done);
		if (!was_done)
			assert_true(x->rebuild.status == ERR_FENCED || x->rebuild.status == 0);
		if (x->rebuild.status == ERR_FENCED)
			rebuilding_assert_attr(x, rebuilding_head_of(), ATTR_OWNER, "n2:1");
		if (store_model_exists(x->s.model, STORE_META, rebuilding_days_of()))
			rebuilding_lose(x, rebuilding_days_of());
	}
}

static void outcomes_that_are_unknown(void **state)
{
	struct rebuilding_desk *x = *state;
	struct store_model_options *options = store_model_options(x->s.model);
	for (int round = 0; round < 20; round++) {
		struct rebuilding_copy today = rebuilding_copy_of(x, rebuilding_partition(0));
		rebuilding_lose(x, rebuilding_partition(0));
		rebuilding_lose(x, rebuilding_days_of());
		options->unknown_applied = options->unknown_lost = 2000;
		options->unknown_after_ns = NS_PER_SECOND;
		(void)rebuilding_run(x);
		options->unknown_applied = options->unknown_lost = 0;
		assert_int_equal(x->rebuild.status, 0);
		rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
	}
}

static void each_operation_may_fail(void **state)
{
	struct rebuilding_desk *x = *state;
	int ended = 0;
	for (unsigned k = 0; k < 40; k++) {
		struct store_model_fault fault = {
			.fate = STORE_MODEL_EIO, .reads = true, .skip = k, .times = 1};
		rebuilding_lose(x, rebuilding_partition(0));
		store_model_plan(x->s.model, &fault);
		(void)rebuilding_run(x);
		store_model_withdraw(&fault);
		assert_true(x->rebuild.status == 0 || x->rebuild.status == -EIO);
		ended += x->rebuild.status < 0;
		(void)rebuilding_run(x);
		assert_string_equal(rebuilding_check(x), "");
	}
	assert_true(ended >= 3);
	/* a store that is full says so in the end */
	struct store_model_fault fault = {
		.fate = STORE_MODEL_ENOSPC, .prefix = "idx/", .times = 1000};
	rebuilding_lose(x, rebuilding_partition(0));
	store_model_plan(x->s.model, &fault);
	(void)rebuilding_run(x);
	store_model_withdraw(&fault);
	assert_int_equal(x->rebuild.status, -ENOSPC);
}

static void memory_may_fail(void **state)
{
	struct rebuilding_desk *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	for (int m = 0; m < 2; m++) {
		bool failed = true;
		for (unsigned k = 0; failed; k++) {
			rebuilding_lose(x, rebuilding_partition(0));
			rebuilding_lose(x, rebuilding_days_of());
			rebuilding_lose(x, rebuilding_head_of());
			alloc_fail_after(k, modes[m]);
			rebuilding_start(x);
			bool told = x->done;
			for (int i = 0; i < 4000 && !x->done; i++)
				sim_step(&x->s.world);
			failed = alloc_fail_stop();
			/* writes are tried again until there is memory */
			footage_store_wait(&x->s, &x->done);
			assert_false(told);
			assert_true(failed || x->rebuild.status == 0);
			(void)rebuilding_run(x);
			assert_int_equal(x->rebuild.status, 0);
		}
		assert_string_equal(rebuilding_check(x), "");
	}
}

static void stopped_at_any_moment(void **state)
{
	struct rebuilding_desk *x = *state;
	for (int events = 0; events < 80; events++) {
		rebuilding_lose(x, rebuilding_partition(0));
		rebuilding_start(x);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		rebuild_stop(&x->rebuild);
		footage_store_wait(&x->s, &x->done);
		assert_true(x->rebuild.status == 0 || x->rebuild.status == -ECANCELED);
	}
	(void)rebuilding_run(x);
	assert_string_equal(rebuilding_check(x), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rebuilding_setup, rebuilding_teardown)
	const struct CMUnitTest tests[] = {
		TEST(taken_by_another_at_any_moment),
		TEST(outcomes_that_are_unknown),
		TEST(each_operation_may_fail),
		TEST(memory_may_fail),
		TEST(stopped_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
