/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/errors.h"
#include "client/fetch.h"
#include "proto/refusal.h"

#define PATIENCE_NS  (60 * NS_PER_SECOND) /* without a daemon to talk to */
#define PAUSE_NS     (300 * NS_PER_MS)
#define LOSSES_MAX   6  /* before anything came */
#define LOSSES_LATER 50 /* in a row, afterwards */
#define OVERLAP_US                                                                                 \
	(60 * US_PER_SECOND) /* by which a run may reach into the next one (live and backfill) */

static struct fetch_stream *of_exchange(struct exchange *x)
{
	return container_of(x, struct fetch_stream, exchange);
}

static void fetched_free(struct fetched *e)
{
	list_remove(&e->node);
	buf_unref(&e->init);
	slice_drop(&e->body);
	free(e);
}

/* --- asking --- */

/* What is still to come: from the start of the run that was coming in; what was had of it is
 * dropped. */
static void set_window(const struct fetch_stream *s, Steppe__Wire__Fetch *m)
{
	const struct steppe_fetch *f = s->fetch;
	m->from_us = f->from_us;
	m->to_us = f->to_us;
	if (s->run_us < 0)
		return;
	if (f->backward) {
		if (s->run_before_us >= 0 && s->run_before_us + OVERLAP_US < f->to_us)
			m->to_us = s->run_before_us + OVERLAP_US;
	} else if (s->run_us > f->from_us) {
		m->from_us = s->run_us;
	}
}

static void on_ready(struct exchange *x)
{
	struct fetch_stream *s = of_exchange(x);
	const struct steppe_fetch *f = s->fetch;
	Steppe__Wire__Fetch m = STEPPE__WIRE__FETCH__INIT;
	m.stream = s->name;
	set_window(s, &m);
	m.sync_only = f->sync_only;
	m.sync_every_us = f->sync_every_us;
	m.backward = f->backward;
	m.follow = f->follow;
	m.purpose = f->purpose;
	m.case_id = f->case_id;
	m.any = exchange_asks_any(x);
	/* what is queued from before counts against the window */
	s->shown_bytes = 0;
	list_each (node, &s->queue)
		s->shown_bytes -= (int64_t)list_entry(node, struct fetched, node)->body.len;
	s->credit = (int64_t)f->window + s->shown_bytes;
	if (s->credit < 1)
		s->credit = 1;
	m.credit = (uint64_t)s->credit;
	int rc = exchange_send(x, FRAME_FETCH, &m.base, NULL);
	if (rc < 0 && rc != ERR_CLOSED)
		fetch_fail(s->fetch, rc);
}

static void give_credit(struct fetch_stream *s)
{
	int64_t window = (int64_t)s->fetch->window, credit = s->shown_bytes + window;
	if (!s->exchange.active || credit < s->credit + window / 4)
		return;
	Steppe__Wire__FetchCredit m = STEPPE__WIRE__FETCH_CREDIT__INIT;
	s->credit = credit;
	m.credit = (uint64_t)credit;
	/* what does not go out because the channel ends is asked for anew; short of memory the next
	 * one tells the same */
	(void)exchange_send(&s->exchange, FRAME_FETCH_CREDIT, &m.base, NULL);
}

void fetch_stream_shown(struct fetch_stream *s)
{
	struct fetched *e = fetch_stream_head(s);
	s->shown_bytes += (int64_t)e->body.len;
	fetched_free(e);
	give_credit(s);
}

/* --- answers --- */

static int take_init(struct fetch_stream *s, const struct frame *frame)
{
	if (frame->body.len == 0 || frame->body.len > FRAGMENT_INIT_MAX)
		return ERR_FORMAT;
	struct buf *init = buf_copy(frame->body.data, frame->body.len);
	if (!init)
		return -ENOMEM;
	buf_unref(&s->init);
	s->init = init;
	return 0;
}

/* Bytes that are not what was recorded are damaged, whoever damaged them. */
static bool body_is_whole(
	const struct fragment_header *h, const struct slice *body, bool prefix_only)
{
	if (body->len != (prefix_only ? h->prefix_len : h->body_len))
		return false;
	int rc = prefix_only ? fragment_check_prefix_crc(h, body->data)
			     : fragment_check_crc(h, body->data);
	return rc == 0;
}

static int queue_fragment(
	struct fetch_stream *s, const Steppe__Wire__Fragment *m, const struct frame *frame)
{
	struct fragment_header h;
	bool was_there = false;
	int rc = fragment_header_decode(m->header.data, m->header.len, &h);
	if (rc == 0)
		rc = delivered_add(&s->had, h.session, h.seq, &was_there);
	if (rc < 0)
		return rc;
	/* streams without video have a run a fragment */
	if (s->run_us < 0 || h.flags & FRAGMENT_SYNC) {
		s->run_before_us = s->run_us == h.capture.us ? s->run_before_us : s->run_us;
		s->run_us = h.capture.us;
	}
	if (h.capture.us + h.duration_us > s->reached_us)
		s->reached_us = h.capture.us + h.duration_us;
	if (was_there || (!s->init && !m->damaged)) {
		s->shown_bytes += (int64_t)frame->body.len;
		give_credit(s);
		return was_there ? 0 : ERR_FORMAT;
	}
	struct fetched *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	list_init(&e->node);
	e->header = h;
	e->init = s->init ? buf_ref(s->init) : NULL;
	e->run_us = s->run_us;
	e->came = loop_now(s->fetch->core->loop);
	e->gap_cause =
		m->gap_cause <= STEPPE_GAP_DAMAGED ? (uint8_t)m->gap_cause : STEPPE_GAP_UNKNOWN;
	e->prefix_only = m->prefix_only;
	e->damaged = m->damaged || !body_is_whole(&h, &frame->body, m->prefix_only);
	if (!e->damaged)
		e->body = slice_of(frame->body.buf,
			(size_t)(frame->body.data - frame->body.buf->data), frame->body.len);
	else
		s->shown_bytes += (int64_t)frame->body.len;
	list_append(&s->queue, &e->node);
	return 0;
}

static int take_fragment(struct fetch_stream *s, const struct frame *frame)
{
	Steppe__Wire__Fragment *m =
		steppe__wire__fragment__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!m)
		return ERR_FORMAT;
	s->losses = 0;
	loop_timer_stop(&s->patience);
	int rc = queue_fragment(s, m, frame);
	steppe__wire__fragment__free_unpacked(m, NULL);
	return rc;
}

/* Who follows waits for ever. */
static void arm_patience(struct fetch_stream *s)
{
	if (!s->fetch->follow && !loop_timer_armed(&s->patience))
		(void)loop_timer_start(s->fetch->core->loop, &s->patience,
			PATIENCE_NS); /* without it losses end it */
}

static void pause(struct fetch_stream *s, int64_t ns)
{
	arm_patience(s);
	if (loop_timer_start(s->fetch->core->loop, &s->pause, ns) < 0)
		exchange_start(&s->fetch->core->router, &s->exchange);
}

static void refused(struct fetch_stream *s, const struct refused *why)
{
	s->fetch->refused = *why;
	s->last_status = ERR_REFUSED;
	if (!refusal_retry(why->code)) {
		fetch_fail(s->fetch, ERR_REFUSED);
		return;
	}
	pause(s, why->retry_after_ms ? (int64_t)why->retry_after_ms * NS_PER_MS : PAUSE_NS);
}

static void on_refused(struct fetch_stream *s, const struct frame *frame)
{
	struct refused why;
	refused_read(frame, &why);
	refused(s, &why);
}

/* True when not all was sent: it is as if it had been refused. */
static bool on_end(struct fetch_stream *s, const struct frame *frame)
{
	struct refused why = {0};
	Steppe__Wire__FetchEnd *m =
		steppe__wire__fetch_end__unpack(NULL, frame->header.meta_len, frame->meta);
	if (m && m->code && m->code <= INT16_MAX) {
		why.code = (int)m->code;
		snprintf(why.reason, sizeof(why.reason), "%s", m->reason);
	}
	s->ended = !why.code;
	if (m)
		steppe__wire__fetch_end__free_unpacked(m, NULL);
	if (why.code)
		refused(s, &why);
	return why.code;
}

static void on_frame(struct exchange *x, const struct frame *frame)
{
	struct fetch_stream *s = of_exchange(x);
	int rc = 0;
	switch (frame->header.type) {
	case FRAME_REFUSED:
		on_refused(s, frame);
		return;
	case FRAME_FETCH_INIT:
		loop_timer_stop(&s->patience);
		rc = take_init(s, frame);
		break;
	case FRAME_FRAGMENT:
		rc = take_fragment(s, frame);
		break;
	case FRAME_FETCH_END:
		exchange_stop(x, false);
		if (on_end(s, frame))
			return;
		break;
	default:
		rc = ERR_FORMAT;
	}
	if (rc < 0)
		fetch_fail(s->fetch, rc);
	else
		fetch_turn_soon(s->fetch);
}

static void on_lost(struct exchange *x, int status)
{
	struct fetch_stream *s = of_exchange(x);
	s->last_status = status;
	unsigned most = s->run_us < 0 ? LOSSES_MAX : LOSSES_LATER;
	bool hopeless = ++s->losses >= most && !(s->fetch->follow && s->run_us >= 0);
	if (status == -ECANCELED || hopeless) {
		fetch_fail(s->fetch, status);
		return;
	}
	/* what the router does not pause for by itself: daemons that send one another what neither
	 * wants */
	if (status == -ELOOP || status == -EHOSTUNREACH) {
		pause(s, PAUSE_NS);
		return;
	}
	arm_patience(s);
	exchange_start(&s->fetch->core->router, x);
}

static const struct exchange_ops ops = {.ready = on_ready, .frame = on_frame, .lost = on_lost};

static void on_pause(struct loop_timer *timer)
{
	struct fetch_stream *s = container_of(timer, struct fetch_stream, pause);
	exchange_start(&s->fetch->core->router, &s->exchange);
}

static void on_patience(struct loop_timer *timer)
{
	struct fetch_stream *s = container_of(timer, struct fetch_stream, patience);
	fetch_fail(s->fetch, s->last_status ? s->last_status : -ETIMEDOUT);
}

void fetch_stream_start(struct fetch_stream *s)
{
	s->exchange = (struct exchange){.ops = &ops,
		.camera = s->camera, /* the newest fragments nobody but the owner has */
		.reads = !s->fetch->follow};
	s->pause.fire = on_pause;
	s->patience.fire = on_patience;
	exchange_start(&s->fetch->core->router, &s->exchange);
}

void fetch_stream_stop(struct fetch_stream *s)
{
	exchange_stop(&s->exchange, true);
	loop_timer_stop(&s->pause);
	loop_timer_stop(&s->patience);
	while (!list_empty(&s->queue))
		fetched_free(fetch_stream_head(s));
	buf_unref(&s->init);
	delivered_fini(&s->had);
}
