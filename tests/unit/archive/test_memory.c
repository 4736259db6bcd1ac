/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is short, at every allocation of a take, of recording, of recovery and of a stop:
 * nothing acknowledged is lost, and everything goes on when there is memory again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/alloc_fail.h"
#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

enum phase { TAKING, RECORDING, RECOVERING, STOPPING };

static void prepare(struct rig *rig)
{
	rig_start(rig, 1, NULL);
	rig_reserve(&rig->world.loop);
	struct rig_node *n = rig_node_start(rig);
	rig_reserve(&n->loop.loop);
	struct recorder *r = rig_recorder(rig, STREAM, LANE_LIVE, 0x51);
	r->home = n;
	r->window = 8 << 10;
	r->share = true;
	recorder_make_ahead(r, 60);
}

static bool has_acked_some(void *user)
{
	struct recorder *r = user;
	return r->acked >= 20;
}

static void record_some(struct rig *rig)
{
	struct recorder *r = &rig->recorders[0];
	recorder_reconnect(r);
	assert_true(sim_run_until(&rig->world, has_acked_some, r, 100 * NS_PER_SECOND));
}

/* True when an allocation failed. */
static bool run(enum phase phase, unsigned k, enum alloc_fail_mode mode)
{
	struct rig rig;
	prepare(&rig);
	struct recorder *r = &rig.recorders[0];
	struct rig_node *n = r->home;
	if (phase != TAKING)
		record_some(&rig);
	if (phase == RECOVERING) {
		rig_node_kill(n);
		n = rig_node_start(&rig);
		rig_reserve(&n->loop.loop);
		r->home = n;
	}
	alloc_fail_after(k, mode);
	if (phase == TAKING || phase == RECOVERING)
		recorder_reconnect(r);
	if (phase == STOPPING) {
		recorder_hang_up(r, true);
		rig_node_stop_begin(n);
	}
	sim_run_for(&rig.world, 5 * NS_PER_SECOND);
	bool failed = alloc_fail_stop();
	if (phase == STOPPING) {
		rig_node_stop(n);
		n = rig_node_start(&rig);
		r->home = n;
	}
	recorder_reconnect(r);
	assert_true(recorder_wait_open(r, 100 * NS_PER_SECOND));
	assert_true(recorder_drain(r, 200 * NS_PER_SECOND));
	oracle_demand(&rig, STREAM);
	rig_node_stop(n);
	oracle_demand_rest(&rig, STREAM);
	rig_end(&rig);
	return failed;
}

static void sweep(enum phase phase)
{
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		unsigned k = 0;
		while (run(phase, k, modes[i]))
			k++;
		assert_true(k > 10); /* the phase allocates at all */
	}
}

static void test_taking(void **state)
{
	(void)state;
	sweep(TAKING);
}

static void test_recording(void **state)
{
	(void)state;
	sweep(RECORDING);
}

static void test_recovering(void **state)
{
	(void)state;
	sweep(RECOVERING);
}

static void test_stopping(void **state)
{
	(void)state;
	sweep(STOPPING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taking),
		cmocka_unit_test(test_recording),
		cmocka_unit_test(test_recovering),
		cmocka_unit_test(test_stopping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
