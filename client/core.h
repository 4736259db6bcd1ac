/* SPDX-License-Identifier: Apache-2.0 */
/* What the machines of the library share: a loop, the way to the daemons, a worker for disks, and
 * the list of what is going on. Loop thread only, but for core_log and core_random. A simulator
 * makes one of its own parts; programs get one inside of a `struct steppe`. */
#pragma once

#include "client/router.h"
#include "client/worker.h"

struct core {
	struct loop *loop;
	struct router router;
	struct worker *worker; /* borrowed */
	uint64_t boot_nonce;
	_Atomic uint64_t random;
	void (*log)(void *user, int level, const char *line); /* may be NULL */
	void *log_user;
	/* private */
	struct list calls;
	struct loop_task *stopped; /* not NULL: stopping */
	struct loop_task router_stopped;
	bool cancelling;
};

/* Something that goes on beyond the call that asked for it; embedded. */
struct call {
	/* Ends it soon with -ECANCELED; call_end must follow, now or later. */
	void (*cancel)(struct call *c);
	/* private */
	struct core *core;
	struct list node;
};

int core_init(struct core *c, struct loop *loop, const struct router_ops *ops,
	const char *const *addresses, struct worker *worker);
/* Cancels what goes on, closes the channels; `stopped` runs when nothing is left. */
void core_stop(struct core *c, struct loop_task *stopped);
void core_fini(struct core *c);

void call_begin(struct core *core, struct call *call);
void call_end(struct call *call);
/* Whether what begins now will be cancelled at once. */
static inline bool core_is_stopping(const struct core *c)
{
	return c->stopped;
}

/* 64 random bits for session numbers. Any thread, unlike loop_random. */
uint64_t core_random(struct core *c);

/* A line for the program's log. Any thread. */
void core_log(const struct core *c, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
