/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's frames. */
#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "client/recorder.h"
#include "proto/refusal.h"

#define RETRY_FIRST_NS (200 * NS_PER_MS)
#define RETRY_MAX_NS   (10 * NS_PER_SECOND)
#define RETRY_LATER_NS                                                                             \
	(30 * NS_PER_SECOND) /* after a refusal that somebody must do something about */
#define STUCK_MAX 2 /* times that the daemon may refuse what comes next before it is given up */

static struct steppe_recorder *of_exchange(struct exchange *x)
{
	return container_of(x, struct steppe_recorder, exchange);
}

/* --- sending --- */

static int send_open(struct steppe_recorder *r)
{
	Steppe__Wire__Open open = STEPPE__WIRE__OPEN__INIT;
	Steppe__Wire__LaneOpen lanes[LANES];
	Steppe__Wire__LaneOpen *pointers[LANES];
	open.stream = r->stream;
	open.boot_nonce = r->core->boot_nonce;
	open.map_epoch = router_map_epoch(&r->core->router);
	open.lanes = pointers;
	open.n_lanes =
		recorder_has_spool(r) ? LANES : 1; /* without a spool nothing is ever backfilled */
	for (size_t i = 0; i < open.n_lanes; i++) {
		const struct lane *l = &r->lanes[i];
		steppe__wire__lane_open__init(pointers[i] = &lanes[i]);
		lanes[i].lane = (uint32_t)i;
		lanes[i].session = l->session;
		lanes[i].from_seq = lane_first(l, r->disk.extent[i].first) - l->base;
	}
	struct slice init = slice_of(r->init, 0, r->init->len);
	int rc = exchange_send(&r->exchange, FRAME_OPEN, &open.base, &init);
	r->answered_at = loop_now(r->core->loop);
	slice_drop(&init);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < open.n_lanes; i++)
		r->lanes[i].init_told = buf_ref(r->init);
	return 0;
}

static bool same_init(const struct buf *a, const struct buf *b)
{
	return a == b || (a && a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
}

static int send_gap(struct steppe_recorder *r, const struct lane *l, int64_t from_us, int64_t to_us,
	uint8_t cause)
{
	Steppe__Wire__Gap gap = STEPPE__WIRE__GAP__INIT;
	gap.lane = l->lane;
	gap.from_us = from_us;
	gap.to_us = to_us;
	gap.open = to_us == 0;
	gap.cause = cause;
	return exchange_send(&r->exchange, FRAME_GAP, &gap.base, NULL);
}

static int send_item(struct steppe_recorder *r, struct lane *l, struct item *item)
{
	int rc = 0;
	if (!same_init(l->init_told, item->init)) {
		Steppe__Wire__Init init = STEPPE__WIRE__INIT__INIT;
		init.lane = l->lane;
		struct slice body = slice_of(item->init, 0, item->init->len);
		rc = exchange_send(&r->exchange, FRAME_INIT, &init.base, &body);
		slice_drop(&body);
	}
	if (rc == 0 && item->gap_cause && item->gap_from_us < item->header.capture.us)
		rc = send_gap(r, l, item->gap_from_us, item->header.capture.us, item->gap_cause);
	if (rc < 0)
		return rc;
	uint8_t header[FRAGMENT_HEADER_SIZE];
	fragment_header_encode(&item->header, header);
	Steppe__Wire__Append append = STEPPE__WIRE__APPEND__INIT;
	append.header = (ProtobufCBinaryData){.len = sizeof(header), .data = header};
	struct slice body = slice_of(item->body, 0, item->body->len);
	rc = exchange_send(&r->exchange, FRAME_APPEND, &append.base, &body);
	slice_drop(&body);
	if (rc == 0)
		lane_sent(l, item, item->init);
	return rc;
}

/* 1: the channel is full. */
static int send_lane(struct steppe_recorder *r, struct lane *l)
{
	struct item *item;
	while ((item = lane_sendable(l))) {
		if (exchange_must_wait(&r->exchange))
			return 1;
		int rc = lane_prepare(l, item);
		if (rc == ERR_CHECKSUM || rc == ERR_FORMAT || rc == ERR_LIMIT) {
			core_log(r->core, 0, "a fragment was damaged in memory stream=%s",
				r->stream);
			recorder_dropped(r, 1);
			lane_forget(l, item); /* sent ones before it go on; what follows waits for
						 another session */
			return 0;
		}
		if (rc == 0)
			rc = send_item(r, l, item);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int send_open_gap(struct steppe_recorder *r)
{
	struct lane *live = &r->lanes[LANE_LIVE];
	if (!r->gap_cause || r->gap_told || live->unsent || !list_empty(&r->holding))
		return 0;
	int rc = send_gap(r, live, r->gap_from_us, 0, r->gap_cause);
	r->gap_told = rc == 0;
	return rc;
}

void recorder_send(struct steppe_recorder *r)
{
	int rc = 0;
	if (r->state == RECORDER_WAITING && r->channel_ready) {
		bool unsaved = r->disk.state_dirty || (r->disk.busy && r->disk.work == WORK_SAVE);
		bool untold = !recorder_disk_told(r);
		if (recorder_has_spool(r) && (unsaved || untold) && !r->disk.failed)
			return;
		r->state = RECORDER_OPENING;
		rc = send_open(r);
	} else if (r->state == RECORDER_RECORDING) {
		for (size_t i = 0; rc == 0 && i < LANES; i++)
			rc = send_lane(r, &r->lanes[i]);
		if (rc == 0)
			rc = send_open_gap(r);
	}
	if (rc < 0 && rc != ERR_CLOSED) /* short of memory; when the channel is closed lost() is on
					   its way */
		recorder_retry(r, RETRY_FIRST_NS);
}

void recorder_send_close(struct steppe_recorder *r)
{
	struct lane *live = &r->lanes[LANE_LIVE];
	int rc = 0;
	if (!r->gap_cause && r->status.captured_until_us >= 0)
		rc = send_gap(r, live, r->status.captured_until_us, 0, STEPPE_GAP_RECORDER_STOPPED);
	Steppe__Wire__Close close = STEPPE__WIRE__CLOSE__INIT;
	close.seal = true;
	if (rc == 0)
		rc = exchange_send(&r->exchange, FRAME_CLOSE, &close.base, NULL);
	(void)rc; /* all is durable: when this does not go out the wait for CLOSED ends it */
}

/* --- receiving --- */

static int64_t growing_pause(const struct steppe_recorder *r)
{
	int64_t ns = RETRY_FIRST_NS << (r->refusals < 6 ? r->refusals : 6);
	return ns < RETRY_MAX_NS ? ns : RETRY_MAX_NS;
}

/* Sessions that the daemon does not know any more: what is held of them goes out under new ones,
 * but for what depends on pictures of the old. */
static void forget_sessions(struct steppe_recorder *r, uint32_t lane)
{
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &r->lanes[i];
		uint64_t base = lane_first(l, r->disk.extent[i].first) - 1;
		if (lane ? lane != i + 1 : base == l->base)
			continue;
		l->lost_until = 0;
		unsigned count = lane_begin_with_sync(l);
		if (count)
			recorder_dropped(r, count);
		recorder_renew(r, l, l->lost_until > base ? l->lost_until : base);
	}
}

/* A daemon that wants numbers again which it had acknowledged has lost them: what is held goes out
 * under other sessions. */
static bool forgets(const struct steppe_recorder *r)
{
	for (size_t i = 0; i < LANES; i++)
		if (r->lanes[i].opened &&
			r->lanes[i].opened_at < lane_first(&r->lanes[i], r->disk.extent[i].first))
			return true;
	return false;
}

static int on_opened(struct steppe_recorder *r, const struct frame *frame)
{
	Steppe__Wire__Opened *m =
		steppe__wire__opened__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!m)
		return ERR_FORMAT;
	for (size_t i = 0; i < m->n_lanes; i++) {
		const Steppe__Wire__LaneOpened *o = m->lanes[i];
		if (o->lane < LANES && o->next_seq)
			lane_opened(
				&r->lanes[o->lane], o->next_seq, o->credit, recorder_durable, r);
	}
	steppe__wire__opened__free_unpacked(m, NULL);
	if (!r->lanes[LANE_LIVE].opened)
		return ERR_FORMAT;
	if (forgets(r)) {
		forget_sessions(r, 0);
		recorder_retry(r, growing_pause(r));
		return 0;
	}
	r->state = RECORDER_RECORDING;
	r->answered_at = loop_now(r->core->loop);
	if (r->opened_once)
		r->status.reconnects++;
	r->opened_once = true;
	r->spooling = false;
	r->status.connected = true;
	r->status.refusal = 0;
	r->status.refused_for_good = false;
	recorder_changed(r);
	return 0;
}

static int on_ack(struct steppe_recorder *r, const struct frame *frame)
{
	Steppe__Wire__Ack *m = steppe__wire__ack__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!m)
		return ERR_FORMAT;
	int rc = ERR_FORMAT;
	if (m->lane < LANES) {
		struct lane *l = &r->lanes[m->lane];
		uint64_t before = l->durable;
		rc = lane_ack(l, m->durable, m->credit, recorder_durable, r) ? 0 : ERR_FORMAT;
		if (rc == 0 && l->durable > before) {
			r->answered_at = loop_now(r->core->loop);
			r->refusals = r->stuck = 0;
			if (m->lane == LANE_LIVE &&
				m->durable_until_us > r->status.durable_until_us)
				r->status.durable_until_us = m->durable_until_us;
			recorder_changed(r);
		}
	}
	steppe__wire__ack__free_unpacked(m, NULL);
	return rc;
}

/* The daemon will not have the fragment that comes next in a lane: after a second try it is given
 * up, with what depends on it. */
static void refused_media(struct steppe_recorder *r, uint32_t lane)
{
	bool same = true;
	for (size_t i = 0; i < LANES; i++) {
		same = same && r->stuck_at[i] == r->lanes[i].opened_at;
		r->stuck_at[i] = r->lanes[i].opened_at;
	}
	r->stuck = same ? r->stuck + 1 : 1;
	if (r->stuck < STUCK_MAX)
		return;
	r->stuck = 0;
	unsigned which = lane                                     ? lane - 1
			 : list_empty(&r->lanes[LANE_LIVE].items) ? LANE_BACKFILL
								  : LANE_LIVE;
	if (which >= LANES)
		return;
	struct lane *l = &r->lanes[which];
	if (list_empty(&l->items) && r->disk.extent[which].count)
		lane_lose(l, l->durable + 1, lane_first(l, r->disk.extent[which].first));
	else
		recorder_dropped(r, lane_discard_run(l));
}

static void on_refused(struct steppe_recorder *r, const struct frame *frame)
{
	struct refused refused;
	refused_read(frame, &refused);
	refused_remember(&refused);
	r->status.refusal = refused.code;
	r->status.refused_for_good = false;
	r->refusals++;
	int64_t pause_ns = refused.retry_after_ms ? (int64_t)refused.retry_after_ms * NS_PER_MS
						  : growing_pause(r);
	/* before the lanes are reset: what was under way is what it is about */
	switch (refused.code) {
	case REFUSAL_NO_SYNC:
	case REFUSAL_MALFORMED_MEDIA:
	case REFUSAL_TOO_LARGE:
	case REFUSAL_TIME:
	case REFUSAL_CHECKSUM:
		refused_media(r, refused.lane);
		break;
	case REFUSAL_SESSION_FORGOTTEN:
	case REFUSAL_SEQUENCE:
		forget_sessions(r, refused.lane);
		break;
	default:
		r->status.refused_for_good =
			!refusal_retry(refused.code) && !refused.retry_after_ms;
		if (r->status.refused_for_good)
			pause_ns = RETRY_LATER_NS;
		break;
	}
	core_log(r->core, 1, "recording refused stream=%s refusal=%s reason=%s again_in_ms=%lld",
		r->stream, refusal_word(refused.code), refused.reason,
		(long long)(pause_ns / NS_PER_MS));
	recorder_retry(r, pause_ns);
	recorder_changed(r);
	recorder_step(r);
}

static void on_frame(struct exchange *x, const struct frame *frame)
{
	struct steppe_recorder *r = of_exchange(x);
	int rc = 0;
	if (frame->header.type == FRAME_REFUSED) {
		on_refused(r, frame);
		return;
	}
	if (frame->header.type == FRAME_CLOSED && r->state == RECORDER_CLOSING) {
		exchange_stop(x, false);
		r->late = r->confirmed = true; /* nothing more to wait for */
	} else if (frame->header.type == FRAME_OPENED && r->state == RECORDER_OPENING) {
		rc = on_opened(r, frame);
	} else if (frame->header.type == FRAME_ACK && r->state >= RECORDER_RECORDING) {
		rc = on_ack(r, frame);
	} else {
		rc = ERR_FORMAT;
	}
	if (rc < 0) {
		core_log(r->core, 0, "the daemon's answer makes no sense stream=%s type=%u",
			r->stream, frame->header.type);
		recorder_retry(r, RETRY_MAX_NS);
	}
	recorder_step(r);
}

static void on_ready(struct exchange *x)
{
	struct steppe_recorder *r = of_exchange(x);
	if (r->state == RECORDER_RECORDING) /* redirected */
		r->out_since = loop_now(r->core->loop);
	r->state = RECORDER_WAITING;
	for (size_t i = 0; i < LANES; i++)
		lane_reset(&r->lanes[i]);
	r->channel_ready = true;
	recorder_step(r);
}

static void on_lost(struct exchange *x, int status)
{
	struct steppe_recorder *r = of_exchange(x);
	/* a daemon that stays away is told of once a stream */
	bool waited = r->state == RECORDER_WAITING && !r->channel_ready;
	core_log(r->core,
		status == -ECANCELED ? 3
		: waited             ? 2
				     : 1,
		"connection lost stream=%s err=%s", r->stream, err_text(status));
	bool was_connected = r->status.connected;
	if (r->state == RECORDER_CLOSING)
		r->late = true;
	/* what the router does not pause for by itself: daemons that send one another what neither
	 * wants */
	bool lost_in_circles = status == -ELOOP || status == -EHOSTUNREACH;
	r->refusals += lost_in_circles;
	recorder_retry(r, status == -ECANCELED ? RETRY_MAX_NS
			  : lost_in_circles    ? growing_pause(r)
					       : 0);
	if (was_connected)
		recorder_changed(r);
	recorder_step(r);
}

static void on_drained(struct exchange *x)
{
	recorder_step(of_exchange(x));
}

const struct exchange_ops recorder_exchange_ops = {
	.ready = on_ready, .frame = on_frame, .lost = on_lost, .drained = on_drained};
