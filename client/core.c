/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

int core_init(struct core *c, struct loop *loop, const struct router_ops *ops,
	const char *const *addresses, struct worker *worker)
{
	*c = (struct core){.loop = loop, .worker = worker};
	list_init(&c->calls);
	c->boot_nonce = loop_random(loop);
	atomic_init(&c->random, loop_random(loop));
	return router_init(&c->router, loop, ops, addresses);
}

void core_fini(struct core *c)
{
	router_fini(&c->router);
}

static void on_router_stopped(struct loop_task *task)
{
	struct core *c = container_of(task, struct core, router_stopped);
	loop_defer(c->loop, c->stopped);
}

static void stop_router(struct core *c)
{
	c->router_stopped.run = on_router_stopped;
	router_stop(&c->router, &c->router_stopped);
}

void core_stop(struct core *c, struct loop_task *stopped)
{
	c->stopped = stopped;
	c->cancelling = true;
	/* one that ends others would upset a walk along the list: each is taken from the front of a
	 * list of those to do */
	struct list calls, *node;
	list_init(&calls);
	list_splice(&calls, &c->calls);
	while ((node = list_pop(&calls))) {
		struct call *call = list_entry(node, struct call, node);
		list_append(&c->calls, node);
		call->cancel(call);
	}
	c->cancelling = false;
	if (list_empty(&c->calls))
		stop_router(c);
}

void call_begin(struct core *core, struct call *call)
{
	call->core = core;
	list_append(&core->calls, &call->node);
}

void call_end(struct call *call)
{
	struct core *c = call->core;
	if (!c)
		return;
	call->core = NULL;
	list_remove(&call->node);
	if (c->stopped && !c->cancelling && list_empty(&c->calls) && !c->router.stopping)
		stop_router(c);
}

/* splitmix64 (Steele, Lea, Flood 2014) from the loop's randomness. */
uint64_t core_random(struct core *c)
{
	const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = atomic_fetch_add(&c->random, step) + step;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void core_log(const struct core *c, int level, const char *format, ...)
{
	if (!c->log)
		return;
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	c->log(c->log_user, level, line);
}
