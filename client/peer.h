/* SPDX-License-Identifier: Apache-2.0 */
/* One daemon as the router sees it; private to the router.
 *
 *	IDLE --wanted--> CONNECTING --greeted--> READY
 *	  ^                  |                     |
 *	  |               failed                closed
 *	  +--nobody waits-- BACKOFF <--------------+     BACKOFF --time, somebody waits-->
 * CONNECTING */
#pragma once

#include "client/router.h"

#define PEER_BUCKETS 256

enum peer_state { PEER_IDLE, PEER_CONNECTING, PEER_READY, PEER_BACKOFF };

struct peer {
	struct list node;
	struct router *router;
	struct channel_user user;
	struct channel *channel; /* NULL but while CONNECTING and READY */
	enum peer_state state;
	unsigned failures; /* in a row */
	struct mono ready_since;
	struct loop_timer backoff;
	struct mono retry_at;  /* when it ends */
	struct list exchanges; /* waiting and talking */
	struct list by_number[PEER_BUCKETS];
	uint32_t last_number;
	bool configured; /* by the caller, not learned from a redirect */
	uint64_t seed;   /* of its address, for choosing */
	char address[];
};

/* The peer with this address, made if there is none; NULL: too many, or memory is short. */
struct peer *peer_get(struct router *r, const char *address, bool configured);
void peer_free(struct peer *p);
/* Makes it connect if it is idle. */
void peer_want(struct peer *p);
/* Ends its channel and timer. */
void peer_close(struct peer *p);

/* An exchange with this peer: waits, or is told that it may talk. */
void peer_attach(struct peer *p, struct exchange *x);
void peer_detach(struct exchange *x);

/* router.c */
void router_turn_soon(struct router *r);
/* A frame says that others serve the camera. */
void router_redirected(struct router *r, struct exchange *x, const struct frame *frame);
/* A channel ended. */
void router_channel_gone(struct router *r);
