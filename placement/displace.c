/* SPDX-License-Identifier: Apache-2.0 */
/* The load cap: which cameras must leave a node that would carry too much, and where they go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "placement/placement_impl.h"
#include "placement/score.h"

#define CHOICES 16 /* how far down its ranking a camera may go */

/* One camera with its node. */
struct placed {
	const struct placement_load *load;
	uint32_t node;     /* where it is now */
	uint32_t first;    /* its first choice */
	uint64_t distance; /* its first choice's: the greater, the less it loses by moving */
};

struct caps {
	const struct placement *p;
	uint64_t *carried, *limit; /* kb/s, by node of the map */
	struct placed *placed;
	size_t count;
};

static void set_limits(struct caps *c, uint64_t total, unsigned cap_permille)
{
	uint64_t weights = 0;
	for (size_t i = 0; i < c->p->in_count; i++)
		weights += c->p->map.nodes[c->p->nodes[i]].weight;
	for (size_t i = 0; i < c->p->in_count; i++) {
		uint32_t node = c->p->nodes[i];
		__extension__ unsigned __int128 share =
			(unsigned __int128)total * c->p->map.nodes[node].weight;
		c->limit[node] = (uint64_t)(share * cap_permille / 1000 / weights);
	}
}

/* Puts every camera on its first choice. */
static void place_first(struct caps *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct placed *x = &c->placed[i];
		x->first = x->node = (uint32_t)placement_best(c->p, x->load->camera);
		x->distance = score_distance(
			score_hash(x->load->camera, c->p->seeds[c->p->place[x->first]]));
		c->carried[x->node] += x->load->kbps;
	}
}

static void move_to(struct caps *c, struct placed *x, uint32_t node)
{
	c->carried[x->node] -= x->load->kbps;
	c->carried[node] += x->load->kbps;
	x->node = node;
}

static bool has_room(const struct caps *c, uint32_t node, uint32_t kbps)
{
	return c->carried[node] + kbps <= c->limit[node];
}

/* What was displaced stays so while its first choice would be over the cap with it. */
static void keep_displaced(struct caps *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct placed *x = &c->placed[i];
		const struct placement_displaced *d =
			placement_find_displaced(c->p, x->load->camera);
		if (d && d->node != x->first && c->p->place[d->node] != UINT32_MAX &&
			c->carried[x->first] > c->limit[x->first] &&
			has_room(c, d->node, x->load->kbps))
			move_to(c, x, d->node);
	}
}

/* Greatest distance first; by key where distances are equal, so that every machine finds the same. */
static int by_loss(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	if (x->distance != y->distance)
		return x->distance > y->distance ? -1 : 1;
	return x->load->camera < y->load->camera ? -1 : x->load->camera > y->load->camera;
}

static void relieve(struct caps *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct placed *x = &c->placed[i];
		uint32_t choices[CHOICES];
		if (x->node != x->first || c->carried[x->node] <= c->limit[x->node])
			continue;
		size_t n = placement_rank(c->p, x->load->camera, CHOICES, choices);
		for (size_t k = 1; k < n; k++) {
			if (!has_room(c, choices[k], x->load->kbps))
				continue;
			move_to(c, x, choices[k]);
			break;
		}
	}
}

static int by_camera(const void *a, const void *b)
{
	const struct placement_displaced *x = a, *y = b;
	return x->camera < y->camera ? -1 : x->camera > y->camera;
}

static int collect(
	const struct caps *c, struct placement_displaced **ret_displaced, size_t *ret_count)
{
	size_t count = 0;
	for (size_t i = 0; i < c->count; i++)
		count += c->placed[i].node != c->placed[i].first;
	struct placement_displaced *list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (c->placed[i].node != c->placed[i].first)
			list[count++] = (struct placement_displaced){
				c->placed[i].load->camera, c->placed[i].node};
	}
	qsort(list, count, sizeof(*list), by_camera);
	*ret_displaced = list;
	*ret_count = count;
	return 0;
}

int placement_displace(const struct placement *p, const struct placement_load *loads, size_t count,
	unsigned cap_permille, struct placement_displaced **ret_displaced, size_t *ret_count)
{
	struct caps c = {.p = p, .count = p->in_count ? count : 0};
	int rc = -ENOMEM;
	uint64_t total = 0;
	c.carried = calloc(p->map.node_count + 1, sizeof(*c.carried));
	c.limit = calloc(p->map.node_count + 1, sizeof(*c.limit));
	c.placed = calloc(c.count + 1, sizeof(*c.placed));
	if (c.carried && c.limit && c.placed) {
		for (size_t i = 0; i < c.count; i++) {
			c.placed[i].load = &loads[i];
			total += loads[i].kbps;
		}
		set_limits(&c, total, cap_permille);
		place_first(&c);
		qsort(c.placed, c.count, sizeof(*c.placed), by_loss);
		keep_displaced(&c);
		relieve(&c);
		rc = collect(&c, ret_displaced, ret_count);
	}
	free(c.carried);
	free(c.limit);
	free(c.placed);
	return rc;
}
