/* SPDX-License-Identifier: Apache-2.0 */
/* A question and its answer: sent, repeated over lost channels and refusals that pass, given up
 * when patience ends. Embedded in what asks. Loop thread only. */
#pragma once

#include "client/refused.h"
#include "client/router.h"

#define REQUEST_PATIENCE_NS (20 * NS_PER_SECOND)

struct request {
	/* set by the asker */
	uint8_t type;                 /* enum frame_type of the question */
	const ProtobufCMessage *meta; /* borrowed until done() */
	const char *camera;           /* whose daemon to ask, borrowed; NULL: any */
	const char *at;               /* of struct exchange, borrowed */
	protobuf_c_boolean *any;      /* in `meta`, of a question about a stream that any daemon can
					 answer: set when the camera's cannot be reached; else NULL */
	bool once;                    /* not to be repeated after a first answer frame */
	int64_t patience_ns;          /* 0: 20 s */
	/* An answer. Returns 1 when it was the last, 0 when more will come, or a negative code that
	 * ends the request. */
	int (*answer)(struct request *r, const struct frame *frame);
	/* Once, never inside of request_start; nothing touches the request after it. 0, ERR_REFUSED
	 * (see `refused`), -ETIMEDOUT, or what kept the channel from coming about. */
	void (*done)(struct request *r, int status);
	struct refused refused; /* the last refusal */
	/* private */
	struct exchange exchange;
	struct router *router;
	struct loop_timer deadline, pause;
	unsigned losses;
	int last_status;
	bool answered;
};

void request_start(struct router *router, struct request *r);
/* Ends it without done(). Harmless when it is not going on. */
void request_stop(struct request *r);
