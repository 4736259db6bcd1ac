/* SPDX-License-Identifier: Apache-2.0 */
#include "client/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/hash.h"

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS   (10 * NS_PER_SECOND)
#define STEADY_NS        (10 * NS_PER_SECOND) /* a channel that lived so long was a good one */

static const struct channel_user peer_user;
static void on_backoff(struct loop_timer *timer);

struct peer *peer_get(struct router *r, const char *address, bool configured)
{
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (strcmp(p->address, address) == 0)
			return p;
	}
	if (r->peer_count >= ROUTER_PEERS_MAX)
		return NULL;
	size_t len = strlen(address) + 1;
	struct peer *p = calloc(1, sizeof(*p) + len);
	if (!p)
		return NULL;
	memcpy(p->address, address, len);
	p->router = r;
	p->user = peer_user;
	p->configured = configured;
	p->seed = hash64(0, address, len - 1);
	p->backoff.fire = on_backoff;
	list_init(&p->exchanges);
	for (size_t i = 0; i < PEER_BUCKETS; i++)
		list_init(&p->by_number[i]);
	list_append(&r->peers, &p->node);
	r->peer_count++;
	return p;
}

void peer_free(struct peer *p)
{
	loop_timer_stop(&p->backoff);
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
static void number(struct peer *p, struct exchange *x)
{
	do {
		p->last_number++;
	} while (p->last_number == 0 || find(p, p->last_number));
	x->number = p->last_number;
	list_append(bucket(p, x->number), &x->hash_node);
}

static void tell_ready(struct exchange *x)
{
	list_remove(&x->told);
	list_append(&x->router->ready, &x->told);
	router_turn_soon(x->router);
}

void peer_attach(struct peer *p, struct exchange *x)
{
	x->peer = p;
	list_append(&p->exchanges, &x->node);
	if (p->state == PEER_READY)
		tell_ready(x);
	else
		peer_want(p);
}

void peer_detach(struct exchange *x)
{
	list_remove(&x->node);
	list_remove(&x->told);
	list_remove(&x->hash_node);
	x->peer = NULL;
	x->number = 0;
	x->active = false;
}

/* Everyone who waits or talks here learns of it, in the next turn. */
static void lose_all(struct peer *p, int status)
{
	struct list *node;
	while ((node = list_pop(&p->exchanges))) {
		struct exchange *x = list_entry(node, struct exchange, node);
		peer_detach(x);
		x->status = status;
		list_append(&p->router->parted, &x->told);
	}
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
	if (p->channel)
		return;
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
	if (!list_empty(&p->exchanges))
		connect_now(p);
}

void peer_close(struct peer *p)
{
	loop_timer_stop(&p->backoff);
	lose_all(p, -ECANCELED);
	if (p->channel)
		channel_close(p->channel);
	else
		p->state = PEER_IDLE;
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
	(void)ch;
	(void)hello; /* a client talks to any level: what it lacks shows in refusals */
	p->state = PEER_READY;
	p->last_number = 0;
	p->ready_since = loop_now(p->router->loop);
	list_each (node, &p->exchanges)
		tell_ready(list_entry(node, struct exchange, node));
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct peer *p = of_user(user);
	(void)ch;
	struct exchange *x = find(p, frame->header.stream);
	if (!x) /* stopped meanwhile */
		return;
	if (frame->header.type == FRAME_REDIRECT) {
		router_redirected(p->router, x, frame);
		return;
	}
	x->hops = 0;
	if (frame->header.type == FRAME_REFUSED) {
		peer_detach(x);
		x->router = NULL;
	}
	x->ops->frame(x, frame);
}

/* Whoever was first last time comes last next time. */
static void on_drained(struct channel *ch, struct channel_user *user)
{
	struct peer *p = of_user(user);
	struct list todo;
	list_init(&todo);
	list_splice(&todo, &p->exchanges);
	struct list *first = todo.next;
	struct list *node;
	while ((node = list_pop(&todo))) {
		struct exchange *x = list_entry(node, struct exchange, node);
		if (node == first && !list_empty(&todo)) {
			/* served after the others */
			list_append(&todo, node);
			first = NULL;
			continue;
		}
		list_append(&p->exchanges, node);
		if (x->active && x->ops->drained && !channel_is_full(ch))
			x->ops->drained(x);
	}
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	struct peer *p = of_user(user);
	(void)ch;
	(void)words;
	p->channel = NULL;
	if (p->state == PEER_READY && loop_now(p->router->loop).ns - p->ready_since.ns >= STEADY_NS)
		p->failures = 0;
	if (p->router->stopping)
		p->state = PEER_IDLE;
	else
		back_off(p);
	lose_all(p, status ? status : ERR_CLOSED);
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
	if (!x->number)
		number(x->peer, x);
	return channel_send(x->peer->channel, type, x->number, meta, body, body ? 1 : 0);
}

bool exchange_is_full(const struct exchange *x)
{
	return !x->active || !x->peer->channel || channel_is_full(x->peer->channel);
}
