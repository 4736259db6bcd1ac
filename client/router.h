/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the daemon for a camera and keeps one channel to each daemon in use: dials, dials again
 * with growing, jittered pauses, follows redirects and remembers them. What talks over a channel is
 * an exchange: one request or one recorded stream, with a number of its own.
 *
 * Loop thread only. How a channel is dialled is behind `ops`, so that a simulator can hand in model
 * channels. */
#pragma once

#include "base/loop.h"
#include "proto/channel.h"
#include "proto/names.h"

struct router_ops {
	/* Begins to connect to "host:port"; user->ready or user->closed tells the outcome; NULL
	 * when memory is short. */
	struct channel *(*dial)(void *owner, const char *address, struct channel_user *user);
	void *owner;
};

#define ROUTER_PEERS_MAX 256
#define ROUTER_ROUTES    4096 /* cameras whose daemon is remembered; others ask anew */
#define ROUTER_HOPS_MAX  8    /* redirects in a row, then the exchange is lost with -ELOOP */

struct router {
	struct loop *loop;
	struct router_ops ops;
	/* private */
	struct list peers, ready; /* `ready`: exchanges to be told so */
	struct list parted;       /* exchanges whose loss is to be told */
	unsigned peer_count;
	struct route *routes; /* by hash; NULL until something is redirected */
	struct loop_task turn;
	bool turning, stopping;
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
	/* The channel takes more again after having been full; may be NULL. */
	void (*drained)(struct exchange *x);
};

/* Embedded in what converses. Zeroed: idle. */
struct exchange {
	const struct exchange_ops *ops;
	const char *camera; /* borrowed while it is not idle; NULL: any daemon will do */
	/* private */
	struct router *router;
	struct peer *peer;
	struct list node, told, hash_node;
	uint32_t number; /* 0: not talking yet */
	unsigned hops;
	int status; /* of the loss to be told */
	bool active;
};

/* Copies the addresses; 0, -EINVAL, -ENOMEM. */
int router_init(struct router *r, struct loop *loop, const struct router_ops *ops,
	const char *const *addresses);
/* Closes all channels; exchanges are lost with -ECANCELED; `stopped` runs when the last is gone.
 * Start no exchange after this. */
void router_stop(struct router *r, struct loop_task *stopped);
/* Frees a stopped router, or one that never dialled. */
void router_fini(struct router *r);

/* Looks for a daemon for as long as it takes: ready() or lost() comes later. An exchange that is
 * not idle must not be started. */
void exchange_start(struct router *r, struct exchange *x);
/* Idle at once: no event comes any more. With `tell` the daemon is told to STOP when it was being
 * talked to. Harmless when idle. */
void exchange_stop(struct exchange *x, bool tell);
/* Sends a frame after ready(). 0; -ENOMEM; ERR_CLOSED (lost() is about to come). References the
 * body. */
int exchange_send(
	struct exchange *x, uint8_t type, const ProtobufCMessage *meta, const struct slice *body);
/* Whether bulk should wait for drained(). */
bool exchange_is_full(const struct exchange *x);
static inline bool exchange_is_idle(const struct exchange *x)
{
	return !x->router;
}
