/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's map as a client keeps it: asked for when the first channel is ready, and again, of
 * whichever daemon answers, for as long as something does not fit: somebody spoke of a newer one, a
 * daemon in use is in trouble. The pauses grow and are jittered, and no daemon is asked again before
 * it has answered. Who is asked has the map in memory and answers with nothing but its epoch when
 * there is no newer one. */
#include <errno.h>

#include "base/errors.h"
#include "client/peer.h"
#include "client/refused.h"
#include "proto/refusal.h"

#define POLL_FIRST_NS (100 * NS_PER_MS)
#define POLL_MAX_NS   NS_PER_SECOND       /* while a takeover may be under way */
#define POLL_LATER_NS (5 * NS_PER_SECOND) /* afterwards */
#define POLLS_EAGER   15
#define POLLS_WANTED  100 /* then an epoch that nobody has is not looked for any more */
#define SUSPICIONS    4

static void on_poll(struct loop_timer *timer);

static bool has_doubts(const struct peer *p)
{
	list_each (node, &p->exchanges)
		if (list_entry(node, struct exchange, node)->doubts)
			return true;
	return false;
}

static bool in_trouble(const struct peer *p)
{
	if (peer_is_unused(p))
		return false;
	if (p->state == PEER_READY)
		return p->doubted || has_doubts(p);
	return p->doubted || p->failures;
}

static bool is_needed(const struct router *r)
{
	if (r->wanted_epoch > router_map_epoch(r) || r->curious)
		return true;
	list_each (node, &r->peers)
		if (in_trouble(list_entry(node, struct peer, node)))
			return true;
	return false;
}

static void poll_later(struct router *r)
{
	int64_t ns = POLL_LATER_NS;
	if (r->polls < POLLS_EAGER)
		ns = POLL_FIRST_NS << (r->polls < 5 ? r->polls : 5);
	if (r->polls < POLLS_EAGER && ns > POLL_MAX_NS)
		ns = POLL_MAX_NS;
	ns = ns / 2 + (int64_t)(loop_random(r->loop) % (uint64_t)ns);
	r->poll.fire = on_poll;
	/* without it the next trouble arms it */
	(void)loop_timer_start(r->loop, &r->poll, ns);
}

void map_poll_soon(struct router *r)
{
	if (!r->stopping && !loop_timer_armed(&r->poll))
		poll_later(r);
}

void map_want(struct router *r, uint64_t epoch)
{
	if (epoch > r->wanted_epoch)
		r->wanted_epoch = epoch;
	map_poll_soon(r);
}

void map_suspect(struct router *r)
{
	if (!r->curious)
		r->curious = SUSPICIONS;
	map_poll_soon(r);
}

/* One of those that are ready and not themselves what the map is asked for; else one to be dialled. */
static struct peer *whom_to_ask(struct router *r)
{
	struct peer *ready = NULL, *idle = NULL;
	unsigned ready_seen = 0, idle_seen = 0;
	list_each (node, &r->peers) {
		struct peer *p = list_entry(node, struct peer, node);
		if (p->no_maps || p->map_number || in_trouble(p))
			continue;
		if (p->state == PEER_READY && loop_random(r->loop) % ++ready_seen == 0)
			ready = p;
		if (p->state == PEER_IDLE && loop_random(r->loop) % ++idle_seen == 0)
			idle = p;
	}
	if (ready)
		return ready;
	return idle ? idle : router_choose_node(r);
}

static void on_poll(struct loop_timer *timer)
{
	struct router *r = container_of(timer, struct router, poll);
	if (r->polls >= POLLS_WANTED)
		r->wanted_epoch = 0;
	if (!is_needed(r)) {
		r->polls = 0;
		return;
	}
	r->curious -= r->curious > 0;
	r->polls++;
	struct peer *p = whom_to_ask(r);
	if (p && p->state == PEER_READY)
		(void)map_ask(p); /* not sent: the next time */
	else if (p)
		peer_want(p); /* asked when it is ready, if that is still needed */
	poll_later(r);
}

int map_ask(struct peer *p)
{
	if (p->map_number)
		return 0;
	Steppe__Wire__Map m = STEPPE__WIRE__MAP__INIT;
	m.have_epoch = router_map_epoch(p->router);
	uint32_t number = peer_number(p);
	int rc = channel_send(p->channel, FRAME_MAP, number, &m.base, NULL, 0);
	if (rc == 0)
		p->map_number = number;
	return rc;
}

void map_greeted(struct peer *p)
{
	struct router *r = p->router;
	if (r->map && !is_needed(r))
		return;
	if (map_ask(p) == 0)
		p->holding = !r->map;
}

/* --- answers --- */

static void adopt(struct router *r, const struct cluster_map *map)
{
	cluster_map_unref(&r->map);
	r->map = map;
	r->polls = 0;
	list_each (node, &r->peers)
		list_entry(node, struct peer, node)->holding = false;
	router_rechoose(r);
}

/* 0, or ERR_FORMAT: it is no map. */
static int take(struct peer *p, const Steppe__Wire__MapReply *m)
{
	struct router *r = p->router;
	const struct cluster_map *map;
	if (!m->map || m->map->n_nodes == 0 || m->map->epoch <= router_map_epoch(r))
		return 0;
	int rc = cluster_map_new(m->map, &map);
	if (rc == 0)
		adopt(r, map);
	return rc == -ENOMEM ? 0 : rc; /* it is asked for again while it is needed */
}

void map_answer(struct peer *p, const struct frame *frame)
{
	Steppe__Wire__MapReply *m = NULL;
	struct refused refused = {0};
	p->map_number = 0;
	if (frame->header.type == FRAME_MAP_REPLY)
		m = steppe__wire__map_reply__unpack(NULL, frame->header.meta_len, frame->meta);
	else if (frame->header.type == FRAME_REFUSED)
		refused_read(frame, &refused);
	/* older daemons, and what makes no sense */
	if (refused.code == REFUSAL_PROTOCOL || (m && take(p, m) < 0))
		p->no_maps = true;
	if (m)
		steppe__wire__map_reply__free_unpacked(m, NULL);
	if (p->holding) {
		p->holding = false;
		peer_let_in(p);
		peer_watch(p);
	}
}
