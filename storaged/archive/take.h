/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL Take 1 to 6: makes this daemon the owner of a stream and gives the writer of it. Take 7
 * is the writer's. Loop thread only. */
#pragma once

#include "storaged/archive/take_fence.h"
#include "storaged/archive/take_raise.h"
#include "storaged/archive/writer_life.h"

#define TAKE_LIMIT_NS                                                                              \
	(30 * NS_PER_SECOND) /* then askers are told that the store does not answer                \
			      */

struct take {
	/* set by the user */
	void (*done)(struct take *t); /* once, later */
	struct writer_life *life;     /* of the writer to be made */
	int status; /* 0; -ENOENT: the stream does not exist; or a refusal as a negative: STORE,
		       TAKING_OVER (lost a race), STOPPING */
	struct writer *writer; /* given when status is 0 */
	/* private */
	const struct writer_config *config;
	struct tenure tenure;
	unsigned state;
	bool create;
	int failed; /* 0, or what done() will say when nothing is under way any more */
	struct head head;
	uint64_t ver;
	unsigned fencing; /* fences under way */
	struct fence fences[HEAD_INTENTS_MAX];
	struct raise raise;
	struct buf *body;
	struct slice part;
	struct store_read read;
	struct settle settle;
	struct retry retry;
	struct loop_timer limit;
};

/* Begins. `create`: a stream without a head is made. `owner`: "node:nonce". Borrows config until
 * the writer it gives has ended. */
void take_start(struct take *t, const struct writer_config *config, const char *stream,
	const char *owner, bool create);
/* Gives up; done() still comes, with -refusal, unless it is on its way with something else. */
void take_cancel(struct take *t, int refusal);
