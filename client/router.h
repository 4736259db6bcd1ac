/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the daemon for a camera and keeps one channel to each daemon in use: knows the cluster's map
 * and goes to a camera's owner at once, dials, dials again with growing, jittered pauses, follows
 * redirects and remembers them. What talks over a channel is an exchange: one request or one
 * recorded stream, with a number of its own.
 *
 * Loop thread only. How a channel is dialled is behind `ops`, so that a simulator can hand in model
 * channels. Split: router.c (exchanges), router_choose.c (which daemon), router_map.c (the map),
 * peer.c (one daemon's channel), peer_watch.c (whether it still answers). */
#pragma once

#include "base/loop.h"
#include "proto/channel.h"
#include "proto/cluster_map.h"
#include "proto/names.h"

struct router_ops {
	/* Begins to connect to "host:port"; user->ready or user->closed tells the outcome; NULL
	 * when memory is short. */
	struct channel *(*dial)(void *owner, const char *address, struct channel_user *user);
	void *owner;
};

#define ROUTER_PEERS_MAX 1024 /* daemons known at a time; those that nobody needs make room */
#define ROUTER_ROUTES    4096 /* cameras whose daemon a redirect told; others ask anew */
#define ROUTER_HOPS_MAX  8    /* redirects in a row, then the exchange is lost with -ELOOP */

struct router {
	struct loop *loop;
	struct router_ops ops;
	/* private */
	struct list peers, ready; /* `ready`: exchanges to be told so */
	struct list parted;       /* exchanges whose loss is to be told */
	unsigned peer_count;
	struct route *routes;          /* by hash; NULL until something is redirected */
	const struct cluster_map *map; /* the newest seen; NULL: none yet */
	uint64_t wanted_epoch;         /* somebody spoke of such a map */
	unsigned curious;              /* times that the map is asked for on suspicion alone */
	unsigned polls;                /* in a row that brought nothing */
	uint64_t salt;                 /* by which clients differ in whom they ask */
	struct loop_timer poll;
	struct loop_task turn;
	bool turning, stopping;
	bool walking; /* along the peers: none may be freed */
	struct loop_task *stopped;
};

struct exchange;
struct exchange_ops {
	/* A daemon that should serve the camera can be talked to: send the request. May come again:
	 * redirected, begin anew. */
	void (*ready)(struct exchange *x);
	/* An answer. REFUSED ends the exchange before this shows it; other last answers are for the
	 * user to know: exchange_end. */
	void (*frame)(struct exchange *x, const struct frame *frame);
	/* The channel is gone, or could not be had. The exchange is idle: start it again or give
	 * up. */
	void (*lost)(struct exchange *x, int status);
	/* Its turn to send bulk, after exchange_must_wait said that it must wait; may be NULL. */
	void (*drained)(struct exchange *x);
};

/* Embedded in what converses. Zeroed: idle. */
struct exchange {
	const struct exchange_ops *ops;
	const char *camera; /* borrowed while it is not idle; NULL: any daemon will do */
	const char *at;     /* borrowed likewise: the daemon to be asked as long as it can be
			       reached, "host:port"; NULL: the camera's */
	bool reads;         /* any daemon can answer if the camera's cannot be reached; see
			       exchange_asks_any */
	/* private */
	struct router *router;
	struct peer *peer;
	struct list node, told, hash_node, turn;
	uint32_t number; /* 0: not talking yet */
	unsigned hops;
	int status; /* of the loss to be told */
	bool active;
	bool any;       /* not at its owner */
	bool doubts;    /* see exchange_doubt */
	bool returning; /* after a loss: waits its turn among those that come back */
};

/* Copies the addresses; 0, -EINVAL, -ENOMEM. */
int router_init(struct router *r, struct loop *loop, const struct router_ops *ops,
	const char *const *addresses);
/* Closes all channels; exchanges are lost with -ECANCELED; `stopped` runs when the last is gone.
 * Start no exchange after this. */
void router_stop(struct router *r, struct loop_task *stopped);
/* Frees a stopped router, or one that never dialled. */
void router_fini(struct router *r);

/* Of the map that cameras are routed by; 0: none is known, which leaves redirects. */
static inline uint64_t router_map_epoch(const struct router *r)
{
	return r->map ? r->map->epoch : 0;
}

/* Looks for a daemon for as long as it takes: ready() or lost() comes later. An exchange that is
 * not idle must not be started. */
void exchange_start(struct router *r, struct exchange *x);
/* While it is doubted a newer map is looked for elsewhere: the daemon answers, but what was asked of
 * it stays out. If by that the camera is another's, the exchange is lost with -ETIMEDOUT. */
void exchange_doubt(struct exchange *x, bool doubted);
/* Idle at once: no event comes any more. With `tell` the daemon is told to STOP when it was being
 * talked to. Harmless when idle. */
void exchange_stop(struct exchange *x, bool tell);
/* Sends a frame after ready(). 0; -ENOMEM; ERR_CLOSED (lost() is about to come). References the
 * body. */
int exchange_send(
	struct exchange *x, uint8_t type, const ProtobufCMessage *meta, const struct slice *body);
/* Whether bulk must wait for drained(): the channel is full, or others wait for it already. All have
 * their turn in the order of asking, and may send until the channel is full again. */
bool exchange_must_wait(struct exchange *x);
/* In ready(): whether this daemon is not the camera's, which cannot be reached: it must be told to
 * answer all the same (`any` in the questions about a stream). */
static inline bool exchange_asks_any(const struct exchange *x)
{
	return x->any;
}
/* The address of the daemon that is being talked to, NULL: none; valid until the next turn. */
const char *exchange_daemon(const struct exchange *x);
static inline bool exchange_is_idle(const struct exchange *x)
{
	return !x->router;
}
