/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over virtual time: a small network in which parties listen at addresses and dial one
 * another, with latency, one-way and two-way cuts and silent hangs. Events keep the rules of
 * proto/channel.h and frames are really packed, so that code tested here runs unchanged over links.
 * All loops of a network run on one thread.
 *
 * What is not modelled: bandwidth (a frame arrives `latency` after it was sent, however large),
 * damaged bytes, TLS. */
#pragma once

#include "base/loop.h"
#include "proto/channel.h"

/* As links have them by default. */
#define MODEL_CONNECT_MS 5000  /* a dial without an answer ends with -ETIMEDOUT */
#define MODEL_SILENCE_MS 20000 /* so does a channel of which either way was blocked for as long */
#define MODEL_CLOSE_MS   5000  /* channel_close waits so long for the peer to take what is queued */

struct model_net;
struct model_listener;

/* Who takes part. Cuts and hangs go by `name`: a daemon that listens and dials is one party.
 * Strings outlive the network. */
struct model_party {
	const char *name; /* the certificate's common name */
	unsigned roles;   /* enum channel_role bits; who dials insists on a peer with ROLE_NODE */
	const char *node; /* in the greeting; NULL: a client */
	uint8_t cluster[16];
	uint64_t boot_nonce;
};

/* A dial arrived and its greeting passed. Returns the user of the new channel (ready() follows), or
 * NULL to close it. */
typedef struct channel_user *(*model_accepted_fn)(
	struct model_listener *l, void *owner, struct channel *ch);

/* Gives an empty network with a latency of 1 ms each way. */
struct model_net *model_net_new(void);
/* Frees it with every channel and listener left; their users are told nothing. */
void model_net_free(struct model_net **net);

/* Frames sent from now on take `ns` each way; none overtakes another. */
void model_net_latency(struct model_net *net, int64_t ns);
/* Blocks (or opens) the way from one party to another; the other direction goes on. What is under
 * way waits. */
void model_net_cut_way(struct model_net *net, const char *from, const char *to, bool cut);
/* The same both ways. */
void model_net_cut(struct model_net *net, const char *a, const char *b, bool cut);
/* A party that hangs hears nothing and what it sends waits; connections stay up until their silence
 * is noticed. (Its loop goes on: pause that too to stop the whole process.) */
void model_net_hang(struct model_net *net, const char *party, bool hung);
/* Resets every channel of the party: its own users see -ECONNRESET, those at the far ends one
 * latency later. */
void model_net_reset(struct model_net *net, const char *party);
/* The death of the party's process: its channels and listeners are gone without a word to their
 * users (whose memory may go with it), the far ends see -ECONNRESET. Not from inside an event of
 * the party. */
void model_net_kill(struct model_net *net, const char *party);

/* Listens at `address` ("node1:1"), which is free. Everything accepted there runs on `loop`. */
struct model_listener *model_listen(struct model_net *net, struct loop *loop, const char *address,
	const struct model_party *party, model_accepted_fn accepted);
/* Handed to accepted(); NULL until set. */
void model_listener_set_owner(struct model_listener *l, void *owner);
/* Nothing is accepted any more (later dials: -ECONNREFUSED); channels go on. Null-safe. */
void model_listener_free(struct model_listener **l);

/* Begins to connect; user->ready or user->closed tells the outcome. NULL when memory is short. */
struct channel *model_dial(struct model_net *net, struct loop *loop, const char *address,
	const struct model_party *party, struct channel_user *user);

/* Counts, for tests of how much was said. */
struct model_counts {
	uint64_t frames, bytes; /* delivered, greetings included */
	uint64_t dials;
	unsigned channels; /* ends that exist now */
};
struct model_counts model_net_counts(const struct model_net *net);
