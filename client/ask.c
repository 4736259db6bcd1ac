/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ask.h"

#include <errno.h>

static int on_answer(struct request *request, const struct frame *frame)
{
	struct ask *a = container_of(request, struct ask, request);
	return a->answer(a, frame);
}

static void finish(struct ask *a, int status)
{
	call_end(&a->call);
	waiter_wake(a->waiter, status, &a->request.refused);
}

static void on_done(struct request *request, int status)
{
	finish(container_of(request, struct ask, request), status);
}

static void on_cancel(struct call *call)
{
	struct ask *a = container_of(call, struct ask, call);
	request_stop(&a->request);
	finish(a, -ECANCELED);
}

static void on_start(struct loop_task *task)
{
	struct ask *a = container_of(task, struct ask, start);
	a->call.cancel = on_cancel;
	call_begin(a->core, &a->call);
	a->request = (struct request){
		.type = a->type,
		.meta = a->meta,
		.camera = a->camera,
		.any = a->any,
		.once = a->once,
		.patience_ns = a->patience_ns,
		.answer = on_answer,
		.done = on_done,
	};
	request_start(&a->core->router, &a->request);
}

int ask_wait(struct core *core, struct ask *a)
{
	int rc;
	a->core = core;
	a->start.run = on_start;
	a->waiter = waiter_new(core, &rc);
	if (!a->waiter)
		return rc;
	loop_post(core->loop, &a->start);
	struct waiter *w = a->waiter;
	return waiter_wait(&w);
}
