/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded runs in which everything that may go wrong does: daemons killed, stopped and resumed,
 * writes of unknown outcome that apply much later, errors, full pools, clocks that step, recorders
 * that come, go, change codec and report gaps. Promises are checked all the while. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CHAOS_PROBLEM_MAX 768

struct chaos_result {
	char problem[CHAOS_PROBLEM_MAX]; /* "": every promise held */
	uint64_t fragments, acknowledged, takeovers, kills, checks;
};
/* One run of about `seconds` of virtual time. `erasure_coded`: of the data pool. */
void chaos_run(uint64_t seed, int64_t seconds, struct chaos_result *ret_result);
