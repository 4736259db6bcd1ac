/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor answers in JSON to `df detail` and `osd pool get`, as far as a store needs it.
 * Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Finds the pool's bytes, counting one copy: those stored, and the most it may hold (those, and
 * what still fits; less when the pool has a quota). ERR_FORMAT when the answer does not have them. */
int ceph_df_parse(
	const char *json, size_t len, const char *pool, uint64_t *ret_total, uint64_t *ret_used);

/* Finds the number of `key` ("min_size") in the answer to `osd pool get`. */
int ceph_pool_parse(const char *json, size_t len, const char *key, uint64_t *ret_value);
