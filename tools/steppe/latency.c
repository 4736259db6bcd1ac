/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/latency.h"

#include <stdlib.h>

void latency_add(struct latency *l, int64_t us)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 4096;
		uint32_t *grown = reallocarray(l->us, room, sizeof(*grown));
		if (!grown) {
			l->lost++;
			return;
		}
		l->us = grown;
		l->room = room;
	}
	l->us[l->count++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

uint32_t latency_percentile(struct latency *l, double percentile)
{
	if (l->count == 0)
		return 0;
	qsort(l->us, l->count, sizeof(*l->us), compare);
	size_t rank = (size_t)(percentile / 100 * (double)(l->count - 1) + 0.5);
	return l->us[rank < l->count ? rank : l->count - 1];
}

void latency_fini(struct latency *l)
{
	free(l->us);
	*l = (struct latency){.count = 0};
}
