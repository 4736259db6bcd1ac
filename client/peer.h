/* SPDX-License-Identifier: Apache-2.0 */
/* One daemon as the router sees it; private to the router.
 *
 *	IDLE --wanted--> CONNECTING --greeted--> READY --not needed--> CLOSING --> IDLE
 *	  ^                  |                     |
 *	  |               failed                closed
 *	  +--nobody waits-- BACKOFF <--------------+     BACKOFF --time, somebody waits--> CONNECTING
 *
 * Exchanges wait until it is READY, and are then let in a few at a time: two thousand streams that
 * come back at once would be a blow to a daemon that has just begun to work.
 *
 * Doubted: it did not answer for a while, though its channel may stand. What any daemon can answer
 * goes to another; what only it may do waits, while others are asked for a newer map. */
#pragma once

#include "client/router.h"

#define PEER_BUCKETS     256
#define PEER_UNREACHABLE 2 /* failures in a row after which reads ask another daemon */

enum peer_state { PEER_IDLE, PEER_CONNECTING, PEER_READY, PEER_CLOSING, PEER_BACKOFF };

struct peer {
	struct list node;
	struct router *router;
	struct channel_user user;
	struct channel *channel; /* NULL in IDLE and BACKOFF */
	enum peer_state state;
	unsigned failures; /* in a row */
	struct mono ready_since;
	struct loop_timer backoff;
	struct mono retry_at;  /* when it ends */
	struct list exchanges; /* told that they may talk, or talking */
	struct list waiting;
	struct list turns;       /* exchanges with bulk to send, while the channel is full */
	struct exchange *served; /* whose turn it is */
	struct loop_timer pace;  /* armed: `let_in` of those waiting were let in a moment ago */
	unsigned let_in;
	struct list by_number[PEER_BUCKETS];
	uint32_t last_number;
	bool configured; /* by the caller, not learned from a redirect or the map */
	char node_id[PLACEMENT_NODE_MAX + 1]; /* who greeted there last; "": not known */

	/* peer_watch.c */
	struct loop_timer watch;
	bool heard;  /* since the watch looked last */
	bool probed; /* it is silent, and was asked for a sign of life */
	bool doubted;
	bool watch_unused; /* the watch waits for it to be left */

	/* router_map.c */
	uint32_t map_number; /* of a MAP under way; 0: none */
	bool no_maps;        /* it does not know what a map is */
	bool holding;        /* those that wait are not let in before the first map is there */

	uint64_t seed; /* of its address, for choosing */
	char address[];
};

/* --- peer.c --- */

/* The peer with this address, made if there is none; NULL: too many, or memory is short. */
struct peer *peer_get(struct router *r, const char *address, bool configured);
void peer_free(struct peer *p);
/* Makes it connect if it is idle. */
void peer_want(struct peer *p);
/* Ends its channel and timers; for good. */
void peer_close(struct peer *p);
/* Ends a channel that is not needed, or not trusted, any more. */
void peer_leave(struct peer *p);
/* A number that no exchange of this channel has or had. */
uint32_t peer_number(struct peer *p);

/* An exchange with this peer: waits, or is told that it may talk. */
void peer_attach(struct peer *p, struct exchange *x);
void peer_detach(struct exchange *x);
/* Lets in some of those that wait, and soon the others. */
void peer_let_in(struct peer *p);

/* Nobody waits for it or talks to it. */
static inline bool peer_is_unused(const struct peer *p)
{
	return list_empty(&p->exchanges) && list_empty(&p->waiting);
}
/* It was tried and cannot be talked to now. */
static inline bool peer_is_unreachable(const struct peer *p)
{
	return p->doubted || (p->state != PEER_READY && p->failures >= PEER_UNREACHABLE);
}

/* --- peer_watch.c --- */

/* Sets the watch for the state the peer is in. */
void peer_watch(struct peer *p);
/* It gave a sign of life. */
void peer_heard(struct peer *p);

/* --- router_choose.c --- */

/* Where an exchange should be now, which its `any` says too. NULL: memory is short. */
struct peer *router_choose(struct router *r, struct exchange *x);
/* One of the map's daemons that nothing speaks against; NULL: there is no map, or none is in sight. */
struct peer *router_choose_node(struct router *r);
/* A redirect said where the camera is, by a map of that epoch. */
void router_remember(struct router *r, const char *camera, struct peer *p, uint64_t epoch);
/* The peer is about to be freed. */
void router_forget(struct router *r, const struct peer *p);

/* --- router_map.c --- */

/* A channel is ready: asks for the map if it is to be had. */
void map_greeted(struct peer *p);
/* Asks this peer, unless it is being asked. 0, or why not. */
int map_ask(struct peer *p);
/* An answer to that. */
void map_answer(struct peer *p, const struct frame *frame);
/* Somebody spoke of a map with this epoch. */
void map_want(struct router *r, uint64_t epoch);
/* Something is not as the map says: it is asked for a few times though nobody spoke of a newer one. */
void map_suspect(struct router *r);
/* A peer is in trouble: others are asked as long as that lasts. */
void map_poll_soon(struct router *r);

/* --- router.c --- */
void router_turn_soon(struct router *r);
/* A frame says that others serve the camera. */
void router_redirected(struct router *r, struct exchange *x, const struct frame *frame);
/* A channel ended. */
void router_channel_gone(struct router *r);
/* Ends what an exchange was doing; it is told in the next turn. */
void router_lose(struct exchange *x, int status);
/* The map is another, or a peer stopped answering: those that wait at the wrong peer go to the right
 * one, those that talk to a doubtful one are lost when there is a better one. */
void router_rechoose(struct router *r);
