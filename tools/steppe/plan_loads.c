/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/plan_loads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tools/steppe/options.h"

#define KBPS_MOST 4000000u /* so that the sum of all cameras fits */
#define FLOOR     100      /* thousandths of its nominal rate that a camera never goes below */

static int parse_item(const char *item, uint32_t *ret_kbps, uint32_t *ret_parts)
{
	char rate[24];
	const char *colon = strchr(item, ':');
	size_t len = colon ? (size_t)(colon - item) : strlen(item);
	uint64_t bits, parts = 1;
	if (len >= sizeof(rate))
		return -EINVAL;
	memcpy(rate, item, len);
	rate[len] = '\0';
	if (option_parse_rate(rate, &bits) || bits < 1000 || bits / 1000 > KBPS_MOST)
		return -EINVAL;
	if (colon && (option_parse_rate(colon + 1, &parts) || parts < 1 || parts > 1000000))
		return -EINVAL;
	*ret_kbps = (uint32_t)(bits / 1000);
	*ret_parts = (uint32_t)parts;
	return 0;
}

int plan_mix_parse(const char *const *items, struct plan_mix *ret_mix, const char **ret_bad)
{
	struct plan_mix mix = {.spread = ret_mix->spread};
	for (; *items; items++) {
		*ret_bad = *items;
		if (mix.count == PLAN_MIX_MAX ||
			parse_item(*items, &mix.kbps[mix.count], &mix.parts[mix.count]))
			return -EINVAL;
		mix.count++;
	}
	if (!mix.count)
		return -EINVAL;
	*ret_mix = mix;
	return 0;
}

static uint64_t draw(uint64_t seed, uint64_t camera, uint64_t purpose)
{
	const uint64_t words[] = {camera, purpose};
	return hash64(seed, words, sizeof(words));
}

/* A draw near the normal distribution, in thousandths of its deviation: twelve even draws less
 * their mean. */
static int64_t normal(uint64_t seed, uint64_t camera)
{
	int64_t sum = 0;
	for (uint64_t i = 0; i < 12; i += 4) {
		uint64_t bits = draw(seed, camera, 2 + i);
		for (int k = 0; k < 4; k++)
			sum += (int64_t)(bits >> (16 * k) & 0xffff);
	}
	return (sum - 6 * 0xffff) * 1000 / 0xffff;
}

static uint32_t rate_of(const struct plan_mix *mix, uint64_t seed, uint64_t camera, uint64_t parts)
{
	uint64_t at = draw(seed, camera, 1) % parts;
	unsigned i = 0;
	for (; at >= mix->parts[i]; i++)
		at -= mix->parts[i];
	if (!mix->spread)
		return mix->kbps[i];
	int64_t permille = 1000 + normal(seed, camera) * mix->spread / 100;
	permille = permille < FLOOR ? FLOOR : permille;
	uint64_t kbps = (uint64_t)mix->kbps[i] * (uint64_t)permille / 1000;
	return kbps < 1 ? 1 : kbps > KBPS_MOST ? KBPS_MOST : (uint32_t)kbps;
}

int plan_loads_make(const struct plan_mix *mix, uint64_t seed, size_t count,
	struct placement_load **ret_loads, uint64_t *ret_kbps)
{
	struct placement_load *loads = calloc(count + 1, sizeof(*loads));
	uint64_t parts = 0, sum = 0;
	if (!loads)
		return -ENOMEM;
	for (unsigned i = 0; i < mix->count; i++)
		parts += mix->parts[i];
	for (size_t i = 0; i < count; i++) {
		char id[40]; /* 20 digits, as GB/T 28181 has them */
		snprintf(id, sizeof(id), "1501020000131%07zu", i);
		loads[i].camera = placement_camera(id);
		loads[i].kbps = rate_of(mix, seed, i, parts);
		sum += loads[i].kbps;
	}
	*ret_loads = loads;
	*ret_kbps = sum;
	return 0;
}
