/* SPDX-License-Identifier: Apache-2.0 */
/* The cameras of a plan: their keys, and bit rates drawn from a mix with a seed. Pure; the same
 * seed gives the same cameras on every machine. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "placement/map.h"

#define PLAN_MIX_MAX 16

/* "4M", or parts: "2M:3", "4M:6", "8M:1" are three, six and one of ten cameras. */
struct plan_mix {
	uint32_t kbps[PLAN_MIX_MAX];
	uint32_t parts[PLAN_MIX_MAX];
	unsigned count;
	uint32_t spread; /* standard deviation of a camera's own rate, in percent */
};

/* `items` end with NULL; -EINVAL for what is no rate from 1k to 4G, *ret_bad names it. */
int plan_mix_parse(const char *const *items, struct plan_mix *ret_mix, const char **ret_bad);
/* Gives `count` cameras (free) and the sum of their rates in kb/s; -ENOMEM. */
int plan_loads_make(const struct plan_mix *mix, uint64_t seed, size_t count,
	struct placement_load **ret_loads, uint64_t *ret_kbps);
