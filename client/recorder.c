/* SPDX-License-Identifier: Apache-2.0 */
#include "client/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/refusal.h"

#define TICK_NS       NS_PER_SECOND
#define OUTAGE_NS     (3 * NS_PER_SECOND) /* what lasts longer goes to the spool */
#define DOUBT_NS      (4 * NS_PER_SECOND) /* without an answer: perhaps it is not the owner any more */
#define SPOOL_LIMIT   (UINT64_C(4) << 30)
#define CLOSE_WAIT_NS (5 * NS_PER_SECOND) /* for CLOSED, once all is durable */

static void on_start(struct loop_task *task);
static void on_pause(struct loop_timer *timer);
static void on_tick(struct loop_timer *timer);
static void on_deadline(struct loop_timer *timer);

/* --- life --- */

static int copy_options(struct steppe_recorder *r, const struct steppe_recorder_options *from,
	struct steppe_recorder_options *ret)
{
	*ret = (struct steppe_recorder_options){0};
	if (from->size < offsetof(struct steppe_recorder_options, spool_dir))
		return -EINVAL;
	memcpy(ret, from, from->size < sizeof(*ret) ? from->size : sizeof(*ret));
	if (!ret->stream || !ret->tracks || stream_name_split(ret->stream, r->camera, NULL) < 0)
		return -EINVAL;
	memcpy(r->stream, ret->stream, strlen(ret->stream) + 1);
	r->spool_limit = ret->spool_limit ? ret->spool_limit : SPOOL_LIMIT;
	r->changed = ret->changed;
	r->durable = ret->durable;
	r->user = ret->user;
	return 0;
}

/* Lanes as an earlier program left them. */
static void set_lanes(struct steppe_recorder *r)
{
	const struct spool_state *state = &r->disk.state;
	for (unsigned i = 0; i < LANES; i++) {
		struct lane *l = &r->lanes[i];
		if (!recorder_has_spool(r)) {
			lane_init(l, (uint8_t)i, core_random(r->core) | 1, 0, 0);
			l->next_known = true;
			continue;
		}
		const struct spool_extent *x = &r->disk.extent[i];
		/* what the spool holds goes on from what was durable when it came to hold it, or
		 * later */
		uint64_t durable = state->lane[i].durable;
		if (x->count && x->first - 1 > durable)
			durable = x->first - 1;
		lane_init(l, (uint8_t)i, state->lane[i].session, state->lane[i].base, durable);
		if (x->next > l->next)
			l->next = x->next;
		/* everything on the backfill lane passes the spool; of the live lane more may have
		 * gone out than was noted */
		l->next_known = i == LANE_BACKFILL;
	}
}

int recorder_new(struct core *core, const struct steppe_recorder_options *options,
	struct steppe_recorder **ret_recorder)
{
	struct steppe_recorder *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	struct steppe_recorder_options o;
	r->core = core;
	r->disk.dir.fd = r->disk.dir.state_fd = -1;
	r->group_lane = RECORDER_HOLD;
	list_init(&r->holding);
	r->start.run = on_start;
	r->pause.fire = on_pause;
	r->tick.fire = on_tick;
	r->deadline.fire = on_deadline;
	r->exchange = (struct exchange){.ops = &recorder_exchange_ops, .camera = r->camera};
	r->status =
		(struct steppe_recorder_status){.durable_until_us = -1, .captured_until_us = -1};
	int rc = copy_options(r, options, &o);
	if (rc == 0)
		rc = recorder_inlet_init(r, &o);
	if (rc == 0 && o.spool_dir)
		rc = recorder_disk_open(r, o.spool_dir);
	if (rc < 0) {
		recorder_free(&r);
		return rc;
	}
	set_lanes(r);
	struct fragmenter *f = &r->inlet.fragmenter;
	if (recorder_has_spool(r) && r->disk.state.captured_until_us >= 0) {
		f->end_us = r->disk.state.captured_until_us;
		f->gap_cause = STEPPE_GAP_RECORDER_STOPPED;
	}
	*ret_recorder = r;
	return 0;
}

void recorder_free(struct steppe_recorder **slot)
{
	struct steppe_recorder *r = *slot;
	*slot = NULL;
	if (!r)
		return;
	item_free_all(&r->holding);
	for (size_t i = 0; i < LANES; i++)
		lane_fini(&r->lanes[i]);
	recorder_inlet_fini(r);
	recorder_disk_fini(r);
	buf_unref(&r->init);
	free(r);
}

static void on_cancel(struct call *call)
{
	struct steppe_recorder *r = container_of(call, struct steppe_recorder, call);
	/* the handle was not closed as it should have been: what is not durable is saved as far as
	 * it can be */
	recorder_end(r, 0, r->closed, r->closed_user);
}

void recorder_start(struct steppe_recorder *r)
{
	loop_defer(r->core->loop, &r->start);
}

static void on_start(struct loop_task *task)
{
	struct steppe_recorder *r = container_of(task, struct steppe_recorder, start);
	r->call.cancel = on_cancel;
	call_begin(r->core, &r->call);
	r->started = true;
	r->out_since = r->disk.synced_at = loop_now(r->core->loop);
	/* without the timer a stalled camera's last second waits for its next sample; the next step
	 * tries again */
	(void)loop_timer_start(r->core->loop, &r->tick, TICK_NS);
	exchange_start(&r->core->router, &r->exchange);
	if (core_is_stopping(r->core))
		recorder_end(r, 0, r->closed, r->closed_user);
	else
		recorder_step(r);
}

/* --- what the program is told --- */

void recorder_changed(struct steppe_recorder *r)
{
	recorder_inlet_publish(r);
	if (!r->changed || r->state == RECORDER_ENDED)
		return;
	struct steppe_recorder_status status = r->status;
	status.size = sizeof(status);
	r->changed(r->user, &status);
}

void recorder_durable(void *user, const struct item *item)
{
	struct steppe_recorder *r = user;
	r->status.durable_fragments++;
	if (!r->durable)
		return;
	uint8_t digest[DIGEST_SIZE];
	const struct fragment_header *h = &item->header;
	(void)fragment_digest(h, digest); /* zeroes when memory is short */
	r->durable(r->user, h->session, h->seq, h->capture.us, h->duration_us, digest);
}

void recorder_dropped(struct steppe_recorder *r, unsigned count)
{
	r->status.dropped_fragments += count;
	core_log(r->core, 1, "fragments given up stream=%s count=%u refusal=%s", r->stream, count,
		refusal_word(r->status.refusal));
}

bool recorder_all_durable(const struct steppe_recorder *r)
{
	bool empty = list_empty(&r->holding);
	for (size_t i = 0; i < LANES; i++)
		empty = empty && list_empty(&r->lanes[i].items) && r->disk.extent[i].count == 0;
	return empty;
}

void recorder_renew(struct steppe_recorder *r, struct lane *l, uint64_t base)
{
	lane_renew(l, core_random(r->core) | 1, base);
	l->next_known = true;
	r->disk.state_dirty = true;
}

/* --- the machine --- */

static void finish(struct steppe_recorder *r)
{
	void (*closed)(void *user, int status) = r->closed;
	void *user = r->closed_user;
	int status = r->end_status;
	call_end(&r->call);
	recorder_free(&r);
	if (closed)
		closed(user, status);
}

/* Everything that is left to do once the connection does not matter any more. */
static void step_ended(struct steppe_recorder *r)
{
	if (!recorder_disk_step(r))
		finish(r);
}

static void enter_ended(struct steppe_recorder *r, int status)
{
	r->state = RECORDER_ENDED;
	r->end_status = status;
	exchange_stop(&r->exchange, true);
	loop_timer_stop(&r->pause);
	loop_timer_stop(&r->tick);
	loop_timer_stop(&r->deadline);
	for (size_t i = 0; i < LANES; i++)
		lane_reset(&r->lanes[i]);
	recorder_settle(r);
	r->disk.state_dirty = true;
	if (r->confirmed && recorder_has_spool(r))
		/* the daemon knows that its sessions are over: the next recorder begins others */
		for (size_t i = 0; i < LANES; i++)
			recorder_renew(r, &r->lanes[i], r->lanes[i].next - 1);
	step_ended(r);
}

/* At the end: true when it is reached, or is being closed. */
static bool step_end(struct steppe_recorder *r)
{
	if (!r->ending)
		return false;
	if (r->status.refused_for_good && !recorder_all_durable(r))
		r->late = r->refused = true;
	if (r->late) {
		enter_ended(r, recorder_all_durable(r) ? 0 : r->refused ? ERR_REFUSED : -ETIMEDOUT);
		return true;
	}
	if (!recorder_all_durable(r) || r->disk.busy)
		return false;
	if (r->state == RECORDER_RECORDING) {
		r->state = RECORDER_CLOSING;
		(void)loop_timer_start(r->core->loop, &r->pause,
			CLOSE_WAIT_NS); /* without it the deadline, or the channel's end */
		recorder_send_close(r);
		return true;
	}
	if (r->state == RECORDER_CLOSING)
		return true;
	enter_ended(r, 0); /* nothing to say to a daemon that is not there */
	return true;
}

void recorder_step(struct steppe_recorder *r)
{
	if (!r->started)
		return;
	if (r->state == RECORDER_ENDED) {
		step_ended(r);
		return;
	}
	recorder_settle(r);
	recorder_take_in(r);
	recorder_settle(r);
	recorder_renew_broken(r);
	recorder_send(r);
	(void)recorder_disk_step(r); /* its job's end steps again */
	r->status.spool_bytes = r->disk.extent[0].bytes + r->disk.extent[1].bytes;
	if (!step_end(r))
		recorder_inlet_publish(r);
}

void recorder_retry(struct steppe_recorder *r, int64_t pause_ns)
{
	exchange_stop(&r->exchange, true);
	if (r->state == RECORDER_RECORDING || r->state == RECORDER_CLOSING)
		r->out_since = loop_now(r->core->loop);
	r->state = RECORDER_WAITING;
	for (size_t i = 0; i < LANES; i++)
		lane_reset(&r->lanes[i]);
	r->gap_told = r->channel_ready = false;
	r->status.connected = false;
	if (pause_ns == 0 || loop_timer_start(r->core->loop, &r->pause, pause_ns) < 0) {
		loop_timer_stop(&r->pause);
		exchange_start(&r->core->router, &r->exchange);
	}
}

static void on_pause(struct loop_timer *timer)
{
	struct steppe_recorder *r = container_of(timer, struct steppe_recorder, pause);
	if (r->state == RECORDER_CLOSING)
		enter_ended(r, 0); /* all is durable; that the daemon does not confirm the end
				      changes nothing */
	else
		exchange_start(&r->core->router, &r->exchange);
}

/* A daemon that is cut off from the store or from its cluster still takes what is sent. */
static void judge_daemon(struct steppe_recorder *r)
{
	bool owed = r->state == RECORDER_OPENING;
	for (size_t i = 0; i < LANES && r->state == RECORDER_RECORDING; i++)
		owed = owed || lane_is_owed(&r->lanes[i]);
	struct mono now = loop_now(r->core->loop);
	if (!owed)
		r->answered_at = now;
	exchange_doubt(&r->exchange, now.ns - r->answered_at.ns >= DOUBT_NS);
}

static void on_tick(struct loop_timer *timer)
{
	struct steppe_recorder *r = container_of(timer, struct steppe_recorder, tick);
	(void)loop_timer_start(
		r->core->loop, timer, TICK_NS); /* it was armed a moment ago: there is room */
	bool out = r->state == RECORDER_WAITING || r->state == RECORDER_OPENING;
	bool lasts = out && recorder_has_spool(r) &&
		     loop_now(r->core->loop).ns - r->out_since.ns >= OUTAGE_NS;
	if (lasts && !r->spooling)
		core_log(r->core, 1, "recording to the spool stream=%s refusal=%s", r->stream,
			refusal_word(r->status.refusal));
	r->spooling = lasts;
	judge_daemon(r);
	r->disk.failed = false; /* a disk that was full may be so no longer */
	recorder_inlet_flush(r, false);
	recorder_step(r);
}

static void on_deadline(struct loop_timer *timer)
{
	struct steppe_recorder *r = container_of(timer, struct steppe_recorder, deadline);
	r->late = true;
	recorder_step(r);
}

void recorder_end(struct steppe_recorder *r, int timeout_ms, void (*closed)(void *user, int status),
	void *user)
{
	r->closed = closed;
	r->closed_user = user;
	if (r->state == RECORDER_ENDED)
		return;
	pthread_mutex_lock(&r->inlet.lock);
	r->inlet.dead = true;
	pthread_mutex_unlock(&r->inlet.lock);
	recorder_inlet_flush(r, true);
	r->ending = true;
	if (timeout_ms == 0)
		r->late = true;
	else if (timeout_ms > 0 &&
		 loop_timer_start(r->core->loop, &r->deadline, timeout_ms * NS_PER_MS) < 0)
		r->late = true;
	recorder_step(r);
}
