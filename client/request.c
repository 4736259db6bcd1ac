/* SPDX-License-Identifier: Apache-2.0 */
#include "client/request.h"

#include <errno.h>

#include "base/errors.h"
#include "proto/refusal.h"

#define PAUSE_NS (200 * NS_PER_MS) /* after a refusal that names no time */
#define LOSSES_MAX                                                                                 \
	6 /* channels that broke or could not be had before it gives up, however patient */

static void finish(struct request *r, int status)
{
	struct router *router = r->router;
	if (!router)
		return;
	request_stop(r);
	r->done(r, status);
}

static void on_ready(struct exchange *x)
{
	struct request *r = container_of(x, struct request, exchange);
	if (r->any)
		*r->any = exchange_asks_any(x);
	int rc = exchange_send(x, r->type, r->meta, NULL);
	if (rc == ERR_CLOSED)
		return; /* lost() comes */
	if (rc < 0)
		finish(r, rc);
}

/* A refusal that passes is waited out as long as patience lasts. */
static void on_refused(struct request *r, const struct frame *frame)
{
	refused_read(frame, &r->refused);
	int64_t pause_ns = r->refused.retry_after_ms
				   ? (int64_t)r->refused.retry_after_ms * NS_PER_MS
				   : PAUSE_NS;
	bool again = refusal_retry(r->refused.code) && !(r->once && r->answered);
	if (!again || loop_timer_start(r->router->loop, &r->pause, pause_ns) < 0)
		finish(r, ERR_REFUSED);
	else
		r->last_status = ERR_REFUSED;
}

static void on_frame(struct exchange *x, const struct frame *frame)
{
	struct request *r = container_of(x, struct request, exchange);
	if (frame->header.type == FRAME_REFUSED) {
		on_refused(r, frame);
		return;
	}
	r->answered = true;
	int rc = r->answer(r, frame);
	if (rc == 1)
		exchange_stop(&r->exchange, false);
	if (rc)
		finish(r, rc < 0 ? rc : 0);
}

static void on_lost(struct exchange *x, int status)
{
	struct request *r = container_of(x, struct request, exchange);
	r->last_status = status;
	/* what the router does not pause for by itself: daemons that send one another what neither
	 * wants */
	bool lost_in_circles = status == -ELOOP || status == -EHOSTUNREACH;
	if (status == -ECANCELED || (r->once && r->answered) || ++r->losses >= LOSSES_MAX)
		finish(r, status);
	else if (!lost_in_circles ||
		 loop_timer_start(r->router->loop, &r->pause, PAUSE_NS << r->losses) < 0)
		exchange_start(r->router, x);
}

static const struct exchange_ops ops = {.ready = on_ready, .frame = on_frame, .lost = on_lost};

static void on_pause(struct loop_timer *timer)
{
	struct request *r = container_of(timer, struct request, pause);
	exchange_start(r->router, &r->exchange);
}

static void on_deadline(struct loop_timer *timer)
{
	struct request *r = container_of(timer, struct request, deadline);
	finish(r, r->last_status ? r->last_status : -ETIMEDOUT);
}

void request_start(struct router *router, struct request *r)
{
	r->router = router;
	r->refused = (struct refused){0};
	r->losses = 0;
	r->last_status = 0;
	r->answered = false;
	r->exchange = (struct exchange){
		.ops = &ops, .camera = r->camera, .at = r->at, .reads = r->at || r->any};
	r->deadline.fire = on_deadline;
	r->pause.fire = on_pause;
	/* without a timer it is as patient as the router: losses end it */
	(void)loop_timer_start(
		router->loop, &r->deadline, r->patience_ns ? r->patience_ns : REQUEST_PATIENCE_NS);
	exchange_start(router, &r->exchange);
}

void request_stop(struct request *r)
{
	if (!r->router)
		return;
	loop_timer_stop(&r->deadline);
	loop_timer_stop(&r->pause);
	exchange_stop(&r->exchange, true);
	r->router = NULL;
}
