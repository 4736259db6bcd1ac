/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a daemon still answers, long before its silence ends the channel. Who is silent while
 * something is asked of it is asked for the map, which every daemon answers from memory; no answer
 * to that either makes it doubted: it hangs, or the way to it is cut. A daemon that nobody needs is
 * left, and in the end forgotten. */
#include "client/peer.h"

#define CONNECT_NS (1500 * NS_PER_MS)   /* a dial that takes longer is doubted */
#define SILENCE_NS (1500 * NS_PER_MS)   /* before it is asked; as long again for the answer */
#define HOLD_NS    (500 * NS_PER_MS)    /* for the first map, before the exchanges go without one */
#define UNUSED_NS  (60 * NS_PER_SECOND) /* before it is left; as long again before it is forgotten */

static void on_watch(struct loop_timer *timer);

/* 0: there is nothing to watch for. */
static int64_t period(const struct peer *p)
{
	if (p->router->stopping)
		return 0;
	switch (p->state) {
	case PEER_CONNECTING:
		return CONNECT_NS;
	case PEER_READY:
		if (p->holding)
			return HOLD_NS;
		if (!peer_is_unused(p))
			return SILENCE_NS;
		break;
	case PEER_IDLE:
		break;
	default:
		return 0;
	}
	return p->configured ? 0 : UNUSED_NS;
}

void peer_watch(struct peer *p)
{
	int64_t ns = period(p);
	p->watch.fire = on_watch;
	p->watch_unused = peer_is_unused(p);
	p->heard = false;
	loop_timer_stop(&p->watch);
	if (ns)
		/* without it the channel's own end tells, only later */
		(void)loop_timer_start(p->router->loop, &p->watch, ns);
}

void peer_heard(struct peer *p)
{
	bool back = p->doubted;
	p->heard = true;
	p->probed = p->doubted = false;
	if (back)
		router_rechoose(p->router);
}

static void doubt(struct peer *p)
{
	bool already = p->doubted;
	p->doubted = true;
	if (already)
		return;
	router_rechoose(p->router);
	map_poll_soon(p->router);
}

static void watch_ready(struct peer *p)
{
	if (p->holding) {
		p->holding = false;
		peer_let_in(p);
	} else if (peer_is_unused(p)) {
		if (p->watch_unused)
			peer_leave(p);
	} else if (p->heard) {
		p->probed = false;
	} else if (!p->probed) {
		p->probed = true;
		(void)map_ask(p); /* not sent for want of memory: its silence is doubted all the
				     same */
	} else {
		doubt(p);
	}
}

static void on_watch(struct loop_timer *timer)
{
	struct peer *p = container_of(timer, struct peer, watch);
	if (p->state == PEER_IDLE) {
		if (peer_is_unused(p) && !p->router->walking)
			peer_free(p);
		return;
	}
	if (p->state == PEER_READY)
		watch_ready(p);
	else if (p->state == PEER_CONNECTING)
		doubt(p);
	if (p->state == PEER_READY)
		peer_watch(p);
}
