/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/reorder.h"

#include <stdbool.h>

#define FOREIGN_STEPS 1000

void reorder_init(struct reorder *r, int depth, int64_t step)
{
	*r = (struct reorder){
		.depth = depth < 0 ? 0 : (unsigned)(depth > REORDER_MAX ? REORDER_MAX : depth),
		.step = step};
}

static void insert(struct reorder *r, int64_t pts)
{
	unsigned i = r->held++;
	for (; i > 0 && r->sorted[i - 1] > pts; i--)
		r->sorted[i] = r->sorted[i - 1];
	r->sorted[i] = pts;
}

/* Times so far away are another run's. */
static bool is_foreign(const struct reorder *r, int64_t pts)
{
	int64_t apart = r->held > 0 ? pts - r->sorted[r->held - 1] : 0;
	return r->step > 0 && (apart > FOREIGN_STEPS * r->step || apart < -FOREIGN_STEPS * r->step);
}

int64_t reorder_next(struct reorder *r, int64_t pts)
{
	if (is_foreign(r, pts))
		reorder_init(r, (int)r->depth, r->step);
	if (r->taken == 0)
		r->first_pts = pts;
	uint64_t n = r->taken++;
	insert(r, pts);
	if (r->held <= r->depth)
		return r->first_pts - (int64_t)(r->depth - n) * r->step;
	int64_t dts = r->sorted[0];
	for (unsigned i = 1; i < r->held; i++)
		r->sorted[i - 1] = r->sorted[i];
	r->held--;
	return dts;
}
