/* SPDX-License-Identifier: Apache-2.0 */
#include "client/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/peer.h"
#include "proto/address.h"

static void on_turn(struct loop_task *task);

int router_init(struct router *r, struct loop *loop, const struct router_ops *ops,
	const char *const *addresses)
{
	*r = (struct router){.loop = loop, .ops = *ops, .salt = loop_random(loop)};
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
	cluster_map_unref(&r->map);
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
	loop_timer_stop(&r->poll);
	list_each (node, &r->peers)
		peer_close(list_entry(node, struct peer, node));
	router_turn_soon(r);
}

/* --- exchanges --- */

void exchange_start(struct router *r, struct exchange *x)
{
	x->router = r;
	x->status = 0;
	x->number = 0;
	x->hops = 0;
	x->active = x->doubts = false;
	list_init(&x->node);
	list_init(&x->told);
	list_init(&x->hash_node);
	list_init(&x->turn);
	struct peer *p = r->stopping ? NULL : router_choose(r, x);
	if (p)
		peer_attach(p, x);
	else
		router_lose(x, r->stopping ? -ECANCELED : -ENOMEM);
}

static void tell_stop(struct exchange *x)
{
	Steppe__Wire__Stop stop = STEPPE__WIRE__STOP__INIT;
	/* should it not go out the channel is ending, which stops everything on it */
	if (x->number)
		(void)exchange_send(x, FRAME_STOP, &stop.base, NULL);
}

void exchange_stop(struct exchange *x, bool tell)
{
	if (exchange_is_idle(x))
		return;
	if (tell)
		tell_stop(x);
	peer_detach(x);
	x->router = NULL;
}

void exchange_doubt(struct exchange *x, bool doubted)
{
	if (exchange_is_idle(x))
		return;
	x->doubts = doubted;
	if (doubted)
		map_poll_soon(x->router);
}

void router_lose(struct exchange *x, int status)
{
	peer_detach(x);
	x->status = status;
	x->returning = true;
	list_append(&x->router->parted, &x->told);
	router_turn_soon(x->router);
}

/* Those that would be elsewhere, were they started now, though their channel stands. */
static void lose_misplaced(struct peer *p)
{
	list_each_safe (node, &p->exchanges) {
		struct exchange *x = list_entry(node, struct exchange, node);
		bool any = x->any;
		if (!p->doubted && !x->doubts)
			continue;
		const struct peer *to = router_choose(p->router, x);
		if (to && to != p) {
			tell_stop(x);
			router_lose(x, -ETIMEDOUT);
		}
		x->any = any;
	}
}

void router_rechoose(struct router *r)
{
	struct list waiting, *node;
	list_init(&waiting);
	r->walking = true;
	list_each (n, &r->peers)
		list_splice(&waiting, &list_entry(n, struct peer, node)->waiting);
	while ((node = list_pop(&waiting))) {
		struct exchange *x = list_entry(node, struct exchange, node);
		struct peer *to = router_choose(r, x);
		x->returning = true;
		peer_attach(to ? to : x->peer, x);
	}
	list_each (n, &r->peers)
		lose_misplaced(list_entry(n, struct peer, node));
	r->walking = false;
}

/* --- redirects --- */

/* The first of the addresses at which somebody may be. */
static struct peer *target(struct router *r, const Steppe__Wire__Redirect *m)
{
	struct peer *first = NULL;
	for (size_t i = 0; i < m->n_addresses && i < CLUSTER_NODE_ADDRESSES_MAX; i++) {
		char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX];
		const char *address = m->addresses[i];
		if (strlen(address) > CLUSTER_NODE_ADDRESS_MAX ||
			address_split(address, host, port) < 0 || !host[0])
			continue;
		struct peer *p = peer_get(r, address, false);
		if (p && p->state != PEER_BACKOFF)
			return p;
		if (!first)
			first = p;
	}
	return first;
}

/* Follows it to `to`; when nobody can be reached there, what any daemon can answer is asked again
 * here. */
static void follow(struct router *r, struct exchange *x, struct peer *to)
{
	struct peer *here = x->peer;
	unsigned hops = x->hops + 1;
	bool any = x->reads && (!to || peer_is_unreachable(to));
	if (any)
		to = here;
	else if (to && to != here && x->reads)
		; /* it may wait there: two failures are what makes it ask here */
	else if (!to || to == here || to->state == PEER_BACKOFF)
		to = NULL;
	if (!to || hops > ROUTER_HOPS_MAX) {
		map_suspect(r);
		router_lose(x, to ? -ELOOP : -EHOSTUNREACH);
		return;
	}
	peer_detach(x);
	x->any = any;
	peer_attach(to, x);
	x->hops = hops;
}

void router_redirected(struct router *r, struct exchange *x, const struct frame *frame)
{
	Steppe__Wire__Redirect *m =
		steppe__wire__redirect__unpack(NULL, frame->header.meta_len, frame->meta);
	bool walking = r->walking;
	r->walking = true; /* the peer the frame came from is not to be freed */
	struct peer *to = m ? target(r, m) : NULL;
	r->walking = walking;
	if (m && to && x->camera)
		router_remember(r, x->camera, to, m->map_epoch);
	if (m && m->map_epoch > router_map_epoch(r)) {
		map_want(r, m->map_epoch);
		(void)map_ask(x->peer); /* it has that map; not sent: the poll goes on */
	}
	if (m)
		steppe__wire__redirect__free_unpacked(m, NULL);
	follow(r, x, to);
}
