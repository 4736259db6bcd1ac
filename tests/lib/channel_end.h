/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the channel model share: ends (channel_model.c) and the network between
 * them (channel_net.c). */
#pragma once

#include "tests/lib/channel_model.h"

struct model_net {
	struct list ends, listeners, cuts, hangs;
	int64_t latency_ns;
	uint64_t ports; /* the last one given to a dialing end */
	struct model_counts counts;
};

/* Stays in the network after it was freed by its owner, so that a dial knows whose address is dead. */
struct model_listener {
	struct list node;
	struct model_net *net;
	struct loop *loop;
	struct model_party party;
	char address[64];
	model_accepted_fn accepted;
	void *owner;
	bool listening;
};

enum model_item_kind { ITEM_FRAME, ITEM_END, ITEM_RESET };

/* Something under way to an end, in its inbox. */
struct model_item {
	struct list node;
	struct mono due;
	enum model_item_kind kind;
	int status; /* ITEM_RESET: what the receiver's closed() says */
	const char *words;
	size_t bytes;
	uint8_t *head; /* header and meta */
	size_t body_count;
	struct slice body[]; /* as the sender handed them in: a change after sending shows, as it
				would on a link */
};

/*	DIALING --greeting--> OPEN --channel_close--> CLOSING --the peer took all--> ENDED
 *	    any state --reset, limit, peer's end--> ENDED --closed() told--> freed */
enum model_state { END_DIALING, END_OPEN, END_CLOSING, END_ENDED };

struct model_end {
	struct channel ch;
	struct list node;
	struct model_net *net;
	struct loop *loop;
	struct model_party party;
	const char *from;       /* the peer's party; NULL: an address where nobody ever listened */
	struct model_end *peer; /* NULL once either has ended */
	struct model_listener *listener; /* of an accepting end, until it has accepted */
	enum model_state state;
	bool paused, was_full;
	int status;
	const char *words;
	struct list inbox;
	struct model_item *last;   /* the end or reset that this end will send; made early so that
				      ending cannot fail */
	struct loop_timer arrival; /* of the inbox's first item */
	struct loop_timer limit;   /* of dialing, of silence, of closing */
	struct loop_task notify;   /* drained() or closed() */
	bool notify_queued;
	Steppe__Wire__Hello *hello;
};

struct model_end *model_end_new(
	struct model_net *net, struct loop *loop, const struct model_party *party);
/* Frees it without a word to its user. */
void model_end_free(struct model_end *e);
/* Ends `e` at once and lets the peer know in its own time; closed() follows from the loop. */
void model_end_finish(struct model_end *e, int status, const char *words);
/* Queues the greeting for the peer; 0 or -ENOMEM. */
int model_end_greet(struct model_end *e);
/* Sends the end's last item to its own inbox: the refusal of a dial. */
void model_end_refuse(struct model_end *e, int status, const char *words);
/* A way was cut or opened: arms or stops what depends on it. */
void model_end_way_changed(struct model_end *e);

/* Whether nothing gets from one party to another. */
bool model_net_blocked(const struct model_net *net, const char *from, const char *to);
