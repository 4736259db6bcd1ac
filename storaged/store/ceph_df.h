/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor answers to `df detail` in JSON, as far as a store needs it. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Finds the pool's bytes, counting one copy: those stored, and the most it may hold (those, and
 * what still fits; less when the pool has a quota). ERR_FORMAT when the answer does not have them. */
int ceph_df_parse(
	const char *json, size_t len, const char *pool, uint64_t *ret_total, uint64_t *ret_used);
