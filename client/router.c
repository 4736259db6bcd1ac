/* SPDX-License-Identifier: Apache-2.0 */
#include "client/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "client/peer.h"

struct route {
	uint64_t camera; /* hash of its id */
	struct peer *peer;
};

static void on_turn(struct loop_task *task);

int router_init(struct router *r, struct loop *loop, const struct router_ops *ops,
	const char *const *addresses)
{
	*r = (struct router){.loop = loop, .ops = *ops};
	r->turn.run = on_turn;
	list_init(&r->peers);
	list_init(&r->ready);
	list_init(&r->parted);
	int rc = addresses && addresses[0] ? 0 : -EINVAL;
	for (size_t i = 0; rc == 0 && addresses[i]; i++) {
		if (!strchr(addresses[i], ':') || i >= ROUTER_PEERS_MAX / 2)
			rc = -EINVAL;
		else if (!peer_get(r, addresses[i], true))
			rc = -ENOMEM;
	}
	if (rc < 0)
		router_fini(r);
	return rc;
}

void router_fini(struct router *r)
{
	if (!r->peers.next)
		return;
	while (!list_empty(&r->peers))
		peer_free(list_entry(r->peers.next, struct peer, node));
	free(r->routes);
	*r = (struct router){0};
}

/* --- turns: what must not be told inside of a call --- */

void router_turn_soon(struct router *r)
{
	if (r->turning)
		return;
	r->turning = true;
	loop_defer(r->loop, &r->turn);
}

static bool has_channels(const struct router *r)
{
	list_each (node, &r->peers)
		if (list_entry(node, struct peer, node)->channel)
			return true;
	return false;
}

static void on_turn(struct loop_task *task)
{
	struct router *r = container_of(task, struct router, turn);
	r->turning = false;
	struct list *node, parted, ready;
	/* those that part or become ready meanwhile are told in the next turn */
	list_init(&parted);
	list_splice(&parted, &r->parted);
	while ((node = list_pop(&parted))) {
		struct exchange *x = list_entry(node, struct exchange, told);
		x->router = NULL;
		x->ops->lost(x, x->status);
	}
	list_init(&ready);
	list_splice(&ready, &r->ready);
	while ((node = list_pop(&ready))) {
		struct exchange *x = list_entry(node, struct exchange, told);
		x->active = true;
		x->ops->ready(x);
	}
	if (r->stopping && r->stopped && !r->turning && !has_channels(r)) {
		struct loop_task *stopped = r->stopped;
		r->stopped = NULL;
		loop_defer(r->loop, stopped);
	}
}

void router_channel_gone(struct router *r)
{
	router_turn_soon(r);
}

void router_stop(struct router *r, struct loop_task *stopped)
{
	r->stopping = true;
	r->stopped = stopped;
	list_each (node, &r->peers)
		peer_close(list_entry(node, struct peer, node));
	router_turn_soon(r);
}

/* --- choosing --- */

static struct route *route_of(struct router *r, uint64_t camera)
{
	return r->routes ? &r->routes[camera % ROUTER_ROUTES] : NULL;
}

static uint64_t camera_hash(const char *camera)
{
	return hash64(0, camera, strlen(camera));
}

/* Among the daemons that the caller named, spread by camera; one that failed just now is the last
 * resort: of those the one that is tried again soonest. */
static struct peer *choose(struct router *r, const char *camera)
{
	uint64_t key = camera ? camera_hash(camera) : 0;
	struct route *route = camera ? route_of(r, key) : NULL;
	if (route && route->peer && route->camera == key && route->peer->state != PEER_BACKOFF)
		return route->peer;
	struct peer *best = NULL;
	uint64_t best_score = 0;
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (!p->configured)
			continue;
		/* without a camera: whoever is connected already */
		uint64_t score = hash64(p->seed, &key, sizeof(key)) >> 2;
		if (p->state == PEER_BACKOFF)
			score = (UINT64_C(1) << 62) - 1 - ((uint64_t)p->retry_at.ns >> 2);
		else
			score |= UINT64_C(1) << 62 |
				 (!camera && p->state == PEER_READY ? UINT64_C(1) << 63 : 0);
		if (!best || score > best_score) {
			best = p;
			best_score = score;
		}
	}
	return best;
}

void exchange_start(struct router *r, struct exchange *x)
{
	x->router = r;
	x->status = 0;
	x->number = 0;
	x->hops = 0;
	x->active = false;
	list_init(&x->node);
	list_init(&x->told);
	list_init(&x->hash_node);
	if (r->stopping) {
		x->status = -ECANCELED;
		list_append(&r->parted, &x->told);
		router_turn_soon(r);
		return;
	}
	peer_attach(choose(r, x->camera), x);
}

void exchange_stop(struct exchange *x, bool tell)
{
	if (exchange_is_idle(x))
		return;
	if (tell && x->number) {
		Steppe__Wire__Stop stop = STEPPE__WIRE__STOP__INIT;
		/* should it not go out the channel is ending, which stops everything on it */
		(void)exchange_send(x, FRAME_STOP, &stop.base, NULL);
	}
	peer_detach(x);
	x->router = NULL;
}

static void lose(struct router *r, struct exchange *x, int status)
{
	peer_detach(x);
	x->status = status;
	list_append(&r->parted, &x->told);
	router_turn_soon(r);
}

void router_redirected(struct router *r, struct exchange *x, const struct frame *frame)
{
	Steppe__Wire__Redirect *redirect =
		steppe__wire__redirect__unpack(NULL, frame->header.meta_len, frame->meta);
	struct peer *to = NULL;
	for (size_t i = 0; redirect && i < redirect->n_addresses && !to; i++) {
		const char *address = redirect->addresses[i];
		struct peer *p = strchr(address, ':') && strlen(address) < 256
					 ? peer_get(r, address, false)
					 : NULL;
		if (p && p->state != PEER_BACKOFF && p != x->peer)
			to = p;
	}
	if (redirect)
		steppe__wire__redirect__free_unpacked(redirect, NULL);
	if (!to || ++x->hops > ROUTER_HOPS_MAX) {
		lose(r, x, to ? -ELOOP : -EHOSTUNREACH);
		return;
	}
	if (!r->routes)
		r->routes = calloc(ROUTER_ROUTES, sizeof(*r->routes));
	if (r->routes && x->camera) {
		uint64_t key = camera_hash(x->camera);
		*route_of(r, key) = (struct route){.camera = key, .peer = to};
	}
	unsigned hops = x->hops;
	peer_detach(x);
	peer_attach(to, x);
	x->hops = hops;
}
