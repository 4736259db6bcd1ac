/* SPDX-License-Identifier: Apache-2.0 */
/* Which daemon: the camera's by a redirect or by the map; without either, one of those that the
 * caller named. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "client/peer.h"

#define STAND_INS 8 /* of a camera's next choices: so many are looked at */

struct route {
	uint64_t camera; /* hash of its id */
	struct peer *peer;
	uint64_t epoch; /* of the map by which the redirect was judged */
};

static struct route *route_of(struct router *r, uint64_t camera)
{
	return r->routes ? &r->routes[camera % ROUTER_ROUTES] : NULL;
}

static uint64_t camera_hash(const char *camera)
{
	return hash64(0, camera, strlen(camera));
}

void router_remember(struct router *r, const char *camera, struct peer *p, uint64_t epoch)
{
	if (!r->routes)
		r->routes = calloc(ROUTER_ROUTES, sizeof(*r->routes));
	if (!r->routes)
		return; /* the next one is redirected again */
	uint64_t key = camera_hash(camera);
	*route_of(r, key) = (struct route){.camera = key, .peer = p, .epoch = epoch};
}

void router_forget(struct router *r, const struct peer *p)
{
	for (size_t i = 0; r->routes && i < ROUTER_ROUTES; i++)
		if (r->routes[i].peer == p)
			r->routes[i] = (struct route){0};
}

static bool is_fresh(const struct peer *p)
{
	return p->state != PEER_BACKOFF && !p->doubted;
}

/* Those that the caller named and that never greeted: one may be a node that is looked for in vain
 * at the map's address. */
static void greet_the_named(struct router *r)
{
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (p->configured && !p->node_id[0])
			peer_want(p);
	}
}

/* A channel to the node at whatever address; else of its addresses the first that does not fail just
 * now. What the map calls a node need not be what the caller calls it, nor be reachable from here. */
static struct peer *peer_of_node(struct router *r, const struct cluster_node *n)
{
	struct peer *first = NULL;
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (p->state == PEER_READY && !p->doubted && strcmp(p->node_id, n->id) == 0)
			return p;
	}
	for (size_t i = 0; i < n->address_count; i++) {
		struct peer *p = peer_get(r, n->addresses[i], false);
		if (p && is_fresh(p))
			return p;
		if (!first)
			first = p;
	}
	greet_the_named(r);
	return first;
}

/* A redirect tells more than a map of the same age: of streams that are on their way. */
static struct peer *owner_of(struct router *r, const char *camera, uint64_t key)
{
	const struct route *route = route_of(r, key);
	if (route && route->peer && route->camera == key && route->epoch >= router_map_epoch(r) &&
		route->peer->state != PEER_BACKOFF)
		return route->peer;
	int owner = r->map ? cluster_map_owner(r->map, camera) : -1;
	return owner < 0 ? NULL : peer_of_node(r, &r->map->nodes[owner]);
}

/* The higher the better. Cameras spread evenly; what is not about a camera goes where a channel is.
 * One that failed just now is the last resort: of those the one that is tried again soonest. */
static uint64_t score(const struct peer *p, uint64_t key, bool camera)
{
	const unsigned shift = 62;
	uint64_t spread = hash64(p->seed, &key, sizeof(key)) >> (64 - shift);
	if (p->state == PEER_BACKOFF)
		return (UINT64_C(1) << shift) - 1 - ((uint64_t)p->retry_at.ns >> (64 - shift));
	uint64_t rank = p->doubted ? 1 : !camera && p->state == PEER_READY ? 3 : 2;
	return rank << shift | spread;
}

static struct peer *spread(struct router *r, uint64_t key, bool camera)
{
	struct peer *best = NULL;
	uint64_t best_score = 0;
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (!p->configured && (camera || p->state != PEER_READY))
			continue;
		uint64_t s = score(p, key, camera);
		if (!best || s > best_score) {
			best = p;
			best_score = s;
		}
	}
	return best;
}

struct peer *router_choose_node(struct router *r)
{
	size_t count = r->map ? r->map->node_count : 0;
	for (size_t i = 0; i < STAND_INS && i < count; i++) {
		const struct cluster_node *n = &r->map->nodes[loop_random(r->loop) % count];
		struct peer *p = n->alive ? peer_of_node(r, n) : NULL;
		if (p && is_fresh(p))
			return p;
	}
	return NULL;
}

static struct peer *choose_any(struct router *r)
{
	struct peer *best = spread(r, r->salt, false);
	struct peer *node = best && is_fresh(best) ? NULL : router_choose_node(r);
	return node ? node : best;
}

/* Who answers for an owner that cannot be reached: those that would be given the camera next, so
 * that the load of a dead daemon's cameras spreads like the cameras will. */
static struct peer *stand_in(struct router *r, const char *camera, const struct peer *owner)
{
	uint32_t nodes[STAND_INS];
	size_t count = r->map ? placement_rank(r->map->placement, placement_camera(camera),
					STAND_INS, nodes)
			      : 0;
	for (size_t i = 0; i < count; i++) {
		struct peer *p = peer_of_node(r, &r->map->nodes[nodes[i]]);
		if (p && p != owner && is_fresh(p) && !peer_is_unreachable(p))
			return p;
	}
	return spread(r, camera_hash(camera), true);
}

struct peer *router_choose(struct router *r, struct exchange *x)
{
	x->any = false;
	struct peer *at = x->at ? peer_get(r, x->at, false) : NULL;
	if (at && !peer_is_unreachable(at))
		return at;
	if (!x->camera)
		return choose_any(r);
	uint64_t key = camera_hash(x->camera);
	struct peer *owner = owner_of(r, x->camera, key);
	if (owner && !(x->reads && peer_is_unreachable(owner)))
		return owner;
	if (!owner && !r->map)
		return spread(r, key, true);
	if (owner)
		peer_want(owner); /* so that it is noticed when it is back */
	struct peer *other = stand_in(r, x->camera, owner);
	x->any = x->reads && other != owner;
	return other;
}
