/* SPDX-License-Identifier: Apache-2.0 */
/* A request asked from another thread, which waits for its end. */
#pragma once

#include "client/cluster.h"
#include "client/request.h"

struct ask {
	/* set by the asker; the rest zero */
	uint8_t type;
	const ProtobufCMessage *meta;
	const char *camera;
	protobuf_c_boolean *any;
	bool once;
	int64_t patience_ns;
	/* On the loop thread: as struct request has it. */
	int (*answer)(struct ask *a, const struct frame *frame);
	/* private */
	struct core *core;
	struct call call;
	struct request request;
	struct loop_task start;
	struct waiter *waiter;
};

/* In answer(): the address of the daemon that answers. */
static inline const char *ask_daemon(const struct ask *a)
{
	return exchange_daemon(&a->request.exchange);
}
/* Blocking: the request's status, its refusal remembered for this thread; -EDEADLK where waiting is
 * not allowed. */
int ask_wait(struct core *core, struct ask *a);
