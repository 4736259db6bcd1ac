/* SPDX-License-Identifier: Apache-2.0 */
#include "client/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/hash.h"
#include "client/refused.h"
#include "proto/refusal.h"

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS   (10 * NS_PER_SECOND)
#define STEADY_NS        (10 * NS_PER_SECOND) /* a channel that lived so long was a good one */
#define LET_IN           32                   /* of those that wait, at a time ... */
#define PACE_NS          (20 * NS_PER_MS)     /* ... and then not for about so long */

static const struct channel_user peer_user;
static void on_backoff(struct loop_timer *timer);
static void on_pace(struct loop_timer *timer);

static struct peer *find_peer(struct router *r, const char *address, uint64_t seed)
{
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (p->seed == seed && strcmp(p->address, address) == 0)
			return p;
	}
	return NULL;
}

/* True when one that nobody needs is gone. */
static bool make_room(struct router *r)
{
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (r->walking || p->configured || p->channel || !peer_is_unused(p))
			continue;
		peer_free(p);
		return true;
	}
	return false;
}

struct peer *peer_get(struct router *r, const char *address, bool configured)
{
	size_t len = strlen(address) + 1;
	uint64_t seed = hash64(0, address, len - 1);
	struct peer *p = find_peer(r, address, seed);
	if (p)
		return p;
	if (r->peer_count >= ROUTER_PEERS_MAX && !make_room(r))
		return NULL;
	p = calloc(1, sizeof(*p) + len);
	if (!p)
		return NULL;
	memcpy(p->address, address, len);
	p->router = r;
	p->user = peer_user;
	p->configured = configured;
	p->seed = seed;
	p->backoff.fire = on_backoff;
	p->pace.fire = on_pace;
	list_init(&p->exchanges);
	list_init(&p->waiting);
	list_init(&p->turns);
	for (size_t i = 0; i < PEER_BUCKETS; i++)
		list_init(&p->by_number[i]);
	list_append(&r->peers, &p->node);
	r->peer_count++;
	return p;
}

static void stop_timers(struct peer *p)
{
	loop_timer_stop(&p->backoff);
	loop_timer_stop(&p->pace);
	loop_timer_stop(&p->watch);
}

void peer_free(struct peer *p)
{
	stop_timers(p);
	router_forget(p->router, p);
	list_remove(&p->node);
	p->router->peer_count--;
	free(p);
}

/* --- exchanges --- */

static struct list *bucket(struct peer *p, uint32_t number)
{
	return &p->by_number[number % PEER_BUCKETS];
}

static struct exchange *find(struct peer *p, uint32_t number)
{
	list_each (node, bucket(p, number)) {
		struct exchange *x = list_entry(node, struct exchange, hash_node);
		if (x->number == number)
			return x;
	}
	return NULL;
}

/* Numbers are not used again on a channel: an answer that is still under way must not meet another
 * question. */
uint32_t peer_number(struct peer *p)
{
	do {
		p->last_number++;
	} while (p->last_number == 0 || p->last_number == p->map_number || find(p, p->last_number));
	return p->last_number;
}

static void tell_ready(struct peer *p, struct exchange *x)
{
	x->returning = false;
	list_append(&p->exchanges, &x->node);
	list_remove(&x->told);
	list_append(&p->router->ready, &x->told);
	router_turn_soon(p->router);
}

void peer_attach(struct peer *p, struct exchange *x)
{
	x->peer = p;
	bool held = p->holding && x->camera;
	if (p->state == PEER_READY && !held && !x->returning) {
		tell_ready(p, x);
	} else {
		list_append(&p->waiting, &x->node);
		if (p->state == PEER_READY)
			peer_let_in(p);
		else
			peer_want(p);
	}
	if (!loop_timer_armed(&p->watch) || p->watch_unused)
		peer_watch(p);
}

void peer_detach(struct exchange *x)
{
	list_remove(&x->node);
	list_remove(&x->told);
	list_remove(&x->hash_node);
	list_remove(&x->turn);
	if (x->peer && x->peer->served == x)
		x->peer->served = NULL;
	x->peer = NULL;
	x->number = 0;
	x->active = false;
}

void peer_let_in(struct peer *p)
{
	struct list stay, *node;
	list_init(&stay);
	while (p->let_in < LET_IN && (node = list_pop(&p->waiting))) {
		struct exchange *x = list_entry(node, struct exchange, node);
		if (p->holding && x->camera) {
			list_append(&stay, node);
			continue;
		}
		p->let_in++;
		tell_ready(p, x);
	}
	list_splice(&stay, &p->waiting);
	list_splice(&p->waiting, &stay);
	if (p->let_in == 0 || loop_timer_armed(&p->pace))
		return;
	int64_t ns = PACE_NS / 2 + (int64_t)(loop_random(p->router->loop) % (uint64_t)PACE_NS);
	if (loop_timer_start(p->router->loop, &p->pace, ns) < 0)
		p->let_in = 0; /* short of memory: whoever comes next goes on without a pause */
}

static void on_pace(struct loop_timer *timer)
{
	struct peer *p = container_of(timer, struct peer, pace);
	p->let_in = 0;
	if (p->state == PEER_READY)
		peer_let_in(p);
}

/* Everyone who waits or talks here learns of it, in the next turn. */
static void lose_all(struct peer *p, int status)
{
	while (!list_empty(&p->exchanges))
		router_lose(list_entry(p->exchanges.next, struct exchange, node), status);
	while (!list_empty(&p->waiting))
		router_lose(list_entry(p->waiting.next, struct exchange, node), status);
	router_turn_soon(p->router);
}

/* --- connecting --- */

/* After a failure: twice as long each time, and spread, lest a thousand clients of a daemon that
 * comes back all come at once. */
static void back_off(struct peer *p)
{
	int64_t ns = BACKOFF_FIRST_NS << (p->failures < 7 ? p->failures : 7);
	if (ns > BACKOFF_MAX_NS)
		ns = BACKOFF_MAX_NS;
	ns = ns / 2 + (int64_t)(loop_random(p->router->loop) % (uint64_t)ns);
	p->state = PEER_BACKOFF;
	p->retry_at = mono_add_ns(loop_now(p->router->loop), ns);
	p->failures++;
	if (loop_timer_start(p->router->loop, &p->backoff, ns) < 0)
		p->state = PEER_IDLE; /* short of memory: whoever comes next tries at once */
}

static void connect_now(struct peer *p)
{
	p->state = PEER_CONNECTING;
	p->channel = p->router->ops.dial(p->router->ops.owner, p->address, &p->user);
	if (p->channel) {
		peer_watch(p);
		return;
	}
	back_off(p);
	lose_all(p, -ENOMEM);
}

void peer_want(struct peer *p)
{
	if (p->state == PEER_IDLE)
		connect_now(p);
}

static void on_backoff(struct loop_timer *timer)
{
	struct peer *p = container_of(timer, struct peer, backoff);
	p->state = PEER_IDLE;
	if (!peer_is_unused(p))
		connect_now(p);
	else
		peer_watch(p);
}

void peer_close(struct peer *p)
{
	stop_timers(p);
	lose_all(p, -ECANCELED);
	if (p->channel)
		channel_close(p->channel);
	else
		p->state = PEER_IDLE;
}

void peer_leave(struct peer *p)
{
	if (!p->channel || p->state == PEER_CLOSING)
		return;
	p->state = PEER_CLOSING;
	loop_timer_stop(&p->watch);
	channel_close(p->channel);
}

/* --- the channel's events --- */

static struct peer *of_user(struct channel_user *user)
{
	return container_of(user, struct peer, user);
}

static void on_ready(
	struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *hello)
{
	struct peer *p = of_user(user);
	(void)ch; /* a client talks to any level: what it lacks shows in refusals */
	if (p->state == PEER_CLOSING)
		return;
	bool back = peer_is_unreachable(p), is_new = !p->node_id[0] && p->router->map;
	snprintf(p->node_id, sizeof(p->node_id), "%s", hello->node ? hello->node : "");
	p->state = PEER_READY;
	p->last_number = p->map_number = 0;
	p->ready_since = loop_now(p->router->loop);
	p->no_maps = false;
	peer_heard(p);
	map_greeted(p);
	peer_let_in(p);
	peer_watch(p);
	if (back || is_new)
		router_rechoose(p->router);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct peer *p = of_user(user);
	(void)ch;
	peer_heard(p);
	if (p->map_number && frame->header.stream == p->map_number) {
		map_answer(p, frame);
		return;
	}
	struct exchange *x = find(p, frame->header.stream);
	if (!x) /* stopped meanwhile */
		return;
	if (frame->header.type == FRAME_REDIRECT) {
		router_redirected(p->router, x, frame);
		return;
	}
	x->hops = 0;
	if (frame->header.type == FRAME_REFUSED) {
		struct refused refused;
		refused_read(frame, &refused);
		if (refused.code == REFUSAL_NOT_OWNER)
			map_suspect(p->router);
		peer_detach(x);
		x->router = NULL;
	}
	x->ops->frame(x, frame);
}

/* Those that wait have their turns until the channel is full again. Whoever began to send while
 * others wait would have more than its share, and the others' footage would wait for many seconds.
 */
static void on_drained(struct channel *ch, struct channel_user *user)
{
	struct peer *p = of_user(user);
	while (!list_empty(&p->turns) && !channel_is_full(ch)) {
		struct exchange *x = list_entry(list_pop(&p->turns), struct exchange, turn);
		p->served = x;
		if (x->ops->drained)
			x->ops->drained(x);
		p->served = NULL;
	}
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	struct peer *p = of_user(user);
	(void)ch;
	(void)words;
	bool left = p->state == PEER_CLOSING;
	if (p->state == PEER_READY && loop_now(p->router->loop).ns - p->ready_since.ns >= STEADY_NS)
		p->failures = 0;
	p->channel = NULL;
	p->map_number = 0;
	p->holding = false;
	p->state = PEER_IDLE;
	if (!p->router->stopping && left) {
		/* who came meanwhile waits for the next channel */
		if (list_empty(&p->waiting))
			peer_watch(p);
		else
			connect_now(p);
	} else {
		if (!p->router->stopping)
			back_off(p);
		lose_all(p, status ? status : ERR_CLOSED);
		map_poll_soon(p->router);
	}
	router_channel_gone(p->router);
}

static const struct channel_user peer_user = {
	.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed};

/* --- talking --- */

int exchange_send(
	struct exchange *x, uint8_t type, const ProtobufCMessage *meta, const struct slice *body)
{
	if (!x->active || !x->peer || !x->peer->channel)
		return ERR_CLOSED;
	if (!x->number) {
		x->number = peer_number(x->peer);
		list_append(bucket(x->peer, x->number), &x->hash_node);
	}
	return channel_send(x->peer->channel, type, x->number, meta, body, body ? 1 : 0);
}

bool exchange_must_wait(struct exchange *x)
{
	if (!x->active || !x->peer->channel)
		return true;
	struct peer *p = x->peer;
	if (!channel_is_full(p->channel) && (p->served == x || list_empty(&p->turns)))
		return false;
	/* once is enough, and keeps its place */
	if (list_empty(&x->turn))
		list_append(&p->turns, &x->turn);
	return true;
}

const char *exchange_daemon(const struct exchange *x)
{
	return x->peer ? x->peer->address : NULL;
}
