/* SPDX-License-Identifier: Apache-2.0 */
/* A writer in good times: what goes where, in which order, and what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

static void test_records_and_rests(void **state)
{
	(void)state;
	struct rig rig;
	rig_start(&rig, 1, NULL);
	struct rig_node *n = rig_node_start(&rig);
	struct recorder *r = rig_recorder(&rig, STREAM, LANE_LIVE, 0x51);
	recorder_go(r, n);
	rig_run_s(&rig, 60);
	assert_true(r->acked >= 57);
	oracle_demand(&rig, STREAM);
	r->running = false;
	assert_true(recorder_drain(r, 10 * NS_PER_SECOND));
	rig_node_stop(n);
	oracle_demand_rest(&rig, STREAM);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_and_rests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
