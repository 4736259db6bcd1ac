/* SPDX-License-Identifier: Apache-2.0 */
/* Desks ("d0:1", "d1:1" ...) that answer questions as a test tells them to, and a client's router on
 * virtual time, every dial of which is written down. One at a time, in the variables below. */
#pragma once

#include "client/router.h"
#include "tests/lib/channel_model.h"
#include "tests/lib/sim_loop.h"

#define DESKS     8
#define DIALS_MAX 4096

struct desk {
	struct model_listener *listener;
	struct model_party party;
	struct list conns;
	unsigned connections, heard, stops; /* channels taken; questions; STOPs */
	uint32_t numbers[DIALS_MAX];        /* of the questions, as they came */
	/* what it does */
	bool mute;                   /* takes questions and says nothing */
	const char *const *redirect; /* sends on to these addresses, NULL-ended */
	int refuse;                  /* refuses with this ... */
	uint32_t retry_after_ms;     /* ... and this ... */
	unsigned refusals;           /* ... so often; UINT_MAX: always */
	unsigned answers;            /* frames an answer has; 0: one */
	unsigned hang_up;            /* so often it ends the channel instead of answering */
};

struct dialled {
	unsigned desk;
	int64_t ns;
};

extern struct sim_world world;
extern struct sim_loop loop;
extern struct model_net *net;
extern struct router router;
extern struct desk desks[DESKS];
extern struct dialled dials[DIALS_MAX];
extern size_t dial_count;
extern bool dial_fails; /* memory is short where channels are made */

/* A world with its seed and a router that knows the first `known` desks, all listening. */
void routing_begin(uint64_t seed, unsigned known);
/* Stops the router, and checks that everything ended. */
void routing_finish(void);
void desk_unlisten(struct desk *d);
void desk_listen(struct desk *d);
/* The far end of every channel of the desk is reset. */
void desk_reset(struct desk *d);
/* Its own end in order, as a daemon does that stops. */
void desk_hang_up(struct desk *d);

#define CALLER_BULK 10000

/* An exchange that asks once it may and notes what comes. */
struct caller {
	struct exchange x;
	unsigned ready, frames, lost, refused, drained;
	int status;            /* of the last loss */
	bool again;            /* starts again when it is lost */
	unsigned bulk, pushed; /* frames of CALLER_BULK bytes that it has to send, and has sent */
};
/* Camera NULL: any desk. */
void caller_start(struct caller *c, const char *camera);
/* Sends of its bulk what it may. */
void caller_pushes(struct caller *c);
/* Runs until it has that many frames or losses more, or 1000 s have passed (the test fails). */
void caller_waits_frames(struct caller *c, unsigned more);
void caller_waits_lost(struct caller *c, unsigned more);
/* The only desk that heard anything since the counts were cleared; fails when there are several. */
unsigned the_desk_that_heard(void);
void desks_clear(void);
