/* SPDX-License-Identifier: Apache-2.0 */
/* The lanes of a recording: fragments judged and handed to the writer, credit given, receipt and
 * durability acknowledged. */
#include "storaged/session/ingest.h"

#include <errno.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/metrics.h"
#include "storaged/session/direct.h"

#define ACK_DELAY_NS   (200 * NS_PER_MS) /* most that news of receipt alone waits */
#define RATE_WINDOW_NS (5 * NS_PER_SECOND)
#define LOST_RETRY_MS  200 /* until the map tells who has a stream that was taken from us */

void ingest_account(struct ingest_lane *lane, size_t undurable)
{
	int64_t delta = (int64_t)undurable - (int64_t)lane->accounted_bytes;
	if (!delta)
		return;
	lane->accounted_bytes = undurable;
	admit_ingest(lane->ingest->service->config.admit, delta);
	metrics_gauge_add(METRIC_UNDURABLE_BYTES, delta);
}

/* What the lane may have sent in total: what came, plus what may be undurable beside what is. A
 * lane with nothing undurable may always send one fragment of any size, so a small share never
 * stops it for good. */
static void grant(struct ingest_lane *lane)
{
	size_t undurable = lane->session.undurable_bytes;
	uint64_t window = admit_window(lane->ingest->service->config.admit);
	if (!undurable && window < FRAGMENT_BODY_MAX)
		window = FRAGMENT_BODY_MAX;
	uint64_t credit = lane->sent_bytes + (window > undurable ? window - undurable : 0);
	if (credit > lane->credit)
		lane->credit = credit;
}

static void acknowledge(struct ingest_lane *lane)
{
	grant(lane);
	Steppe__Wire__Ack ack = STEPPE__WIRE__ACK__INIT;
	ack.lane = lane->lane;
	ack.received = lane->acked_received = lane->session.received;
	ack.durable = lane->acked_durable = lane->session.durable;
	ack.credit = lane->credit;
	ack.durable_until_us = lane->session.durable_until.us;
	request_send(&lane->ingest->request, FRAME_ACK, &ack.base, NULL, 0);
}

void ingest_on_ack_timer(struct loop_timer *timer)
{
	struct ingest *in = container_of(timer, struct ingest, ack_timer);
	for (size_t i = 0; i < LANES; i++) {
		struct ingest_lane *lane = &in->lanes[i];
		if (lane->open && lane->session.received > lane->acked_received)
			acknowledge(lane);
	}
}

static bool all_durable(const struct ingest *in)
{
	for (size_t i = 0; i < LANES; i++) {
		const struct ingest_lane *lane = &in->lanes[i];
		if (lane->open && lane->session.durable < lane->session.received)
			return false;
	}
	return true;
}

static void answer_opened(struct ingest *in)
{
	Steppe__Wire__LaneOpened lanes[LANES], *pointers[LANES];
	Steppe__Wire__Opened opened = STEPPE__WIRE__OPENED__INIT;
	opened.epoch = writer_epoch(in->take.writer);
	opened.lanes = pointers;
	for (size_t i = 0; i < LANES; i++) {
		struct ingest_lane *from = &in->lanes[i];
		if (!from->open)
			continue;
		Steppe__Wire__LaneOpened *lane = &lanes[opened.n_lanes];
		steppe__wire__lane_opened__init(lane);
		from->acked_received = from->session.received;
		from->acked_durable = from->session.durable;
		grant(from);
		lane->lane = from->lane;
		lane->next_seq = from->session.received + 1;
		lane->credit = from->credit;
		pointers[opened.n_lanes++] = lane;
	}
	request_send(&in->request, FRAME_OPENED, &opened.base, NULL, 0);
}

static void answer_if_settled(struct ingest *in)
{
	if (in->state != INGEST_SETTLING || !all_durable(in))
		return;
	in->state = INGEST_RECORDING;
	in->opened = true;
	log_info("recording stream=%s recorder=%s epoch=%llu", in->stream, in->recorder,
		(unsigned long long)writer_epoch(in->take.writer));
	answer_opened(in);
}

static void flush(struct ingest *in)
{
	for (size_t i = 0; i < LANES; i++) {
		if (in->lanes[i].open)
			writer_flush(&in->lanes[i].session);
	}
}

void ingest_settle(struct ingest *in)
{
	flush(in);
	answer_if_settled(in);
}

static void close_if_durable(struct ingest *in)
{
	if (in->state != INGEST_CLOSING || !all_durable(in))
		return;
	Steppe__Wire__Closed closed = STEPPE__WIRE__CLOSED__INIT;
	request_send(&in->request, FRAME_CLOSED, &closed.base, NULL, 0);
	ingest_end(in);
}

/* Nothing more is taken; what was becomes durable, unless another has the stream already. */
static void begin_moving(struct ingest *in)
{
	in->closing |= in->state == INGEST_CLOSING;
	in->state = INGEST_MOVING;
	loop_timer_stop(&in->ack_timer);
}

/* The last acknowledgements, then where to go. */
void ingest_over(struct ingest *in, int status)
{
	if (in->state != INGEST_MOVING)
		return; /* told, or about to be told, why */
	for (size_t i = 0; i < LANES; i++) {
		struct ingest_lane *lane = &in->lanes[i];
		if (!lane->wanted || status)
			continue;
		lane->session.durable = lane->session.received;
		lane->session.undurable_bytes = 0;
		if (in->opened && lane->session.durable > lane->acked_durable)
			acknowledge(lane);
	}
	if (!status && in->closing) {
		Steppe__Wire__Closed closed = STEPPE__WIRE__CLOSED__INIT;
		request_send(&in->request, FRAME_CLOSED, &closed.base, NULL, 0);
	} else if (!direct_request(&in->request, in->stream)) {
		request_refuse(&in->request, REFUSAL_NOT_OWNER, LOST_RETRY_MS, NULL);
	}
	ingest_end(in);
}

static void on_progress(struct writer_session *session, int failed)
{
	struct ingest_lane *lane = container_of(session, struct ingest_lane, session);
	struct ingest *in = lane->ingest;
	if (failed == REFUSAL_NOT_OWNER && in->service->config.moves) {
		lane->open = false;
		begin_moving(in);
		return;
	}
	if (failed) {
		lane->open = false; /* the writer has closed it */
		ingest_refuse(in, failed, 1u + lane->lane);
		return;
	}
	if (lane->accounted_bytes > session->undurable_bytes)
		metrics_add(METRIC_DURABLE_BYTES, lane->accounted_bytes - session->undurable_bytes);
	ingest_account(lane, session->undurable_bytes);
	if (in->state != INGEST_SETTLING && session->durable > lane->acked_durable) {
		if (session->durable == session->received)
			metrics_durable_wait(
				loop_now(in->service->config.loop).ns - lane->taken_at.ns);
		acknowledge(lane);
	}
	answer_if_settled(in);
	close_if_durable(in);
}

int ingest_open_lanes(struct ingest *in, uint32_t *ret_lane)
{
	for (size_t i = 0; i < LANES; i++) {
		struct ingest_lane *lane = &in->lanes[i];
		if (!lane->wanted)
			continue;
		lane->session.progress = on_progress;
		int rc = writer_session_open(in->take.writer, &lane->session, in->init);
		if (rc) {
			*ret_lane = 1u + lane->lane;
			return rc == -ENOMEM ? REFUSAL_OVERLOAD : -rc;
		}
		lane->open = true;
		ingest_account(lane, lane->session.undurable_bytes);
	}
	return 0;
}

static struct ingest_lane *lane_of(struct ingest *in, uint32_t lane)
{
	return lane < LANES && in->lanes[lane].open ? &in->lanes[lane] : NULL;
}

static void count_rate(struct ingest *in, struct mono now, size_t bytes)
{
	in->rate_bytes += bytes;
	int64_t passed_ns = now.ns - in->rate_since.ns;
	if (passed_ns < RATE_WINDOW_NS)
		return;
	in->bytes_per_second = in->rate_bytes * (uint64_t)NS_PER_SECOND / (uint64_t)passed_ns;
	in->rate_bytes = 0;
	in->rate_since = now;
}

static int append(struct ingest *in, const Steppe__Wire__Append *meta, const struct slice *body,
	uint32_t *ret_lane)
{
	struct fragment_header h;
	int rc = fragment_header_decode(meta->header.data, meta->header.len, &h);
	if (rc)
		return rc == ERR_LIMIT     ? REFUSAL_TOO_LARGE
		       : rc == ERR_VERSION ? REFUSAL_VERSION
					   : REFUSAL_MALFORMED_MEDIA;
	struct ingest_lane *lane = lane_of(in, h.lane);
	if (!lane || h.session != lane->session.session)
		return REFUSAL_PROTOCOL;
	*ret_lane = 1u + h.lane;
	if (body->len != h.body_len)
		return REFUSAL_MALFORMED_MEDIA;
	lane->sent_bytes += body->len;
	if (lane->sent_bytes > lane->credit)
		return REFUSAL_CREDIT;
	if (fragment_check_crc(&h, body->data))
		return REFUSAL_CHECKSUM;
	lane->taken_at = in->heard_at;
	uint64_t before = lane->session.received;
	rc = writer_append(&lane->session, &h, body, loop_wall(in->service->config.loop));
	if (rc)
		return rc == -ENOMEM ? REFUSAL_OVERLOAD : -rc;
	if (lane->session.received > before) {
		metrics_add(METRIC_INGEST_FRAGMENTS, 1);
		metrics_add(METRIC_DISCONTINUITIES, !!(h.flags & FRAGMENT_DISCONTINUITY));
		metrics_add(METRIC_CLOCK_BACK, !!(h.flags & FRAGMENT_CLOCK_BACK));
		metrics_add(METRIC_INGEST_BYTES, body->len);
		count_rate(in, in->heard_at, body->len);
	}
	ingest_account(lane, lane->session.undurable_bytes);
	if (!loop_timer_armed(&in->ack_timer) &&
		loop_timer_start(in->service->config.loop, &in->ack_timer, ACK_DELAY_NS))
		acknowledge(lane);
	return 0;
}

static int change_init(struct ingest *in, const Steppe__Wire__Init *meta, const struct slice *body)
{
	struct ingest_lane *lane = lane_of(in, meta->lane);
	if (!lane)
		return REFUSAL_PROTOCOL;
	if (!body->len || body->len > FRAGMENT_INIT_MAX)
		return REFUSAL_TOO_LARGE;
	struct buf *init = buf_copy(body->data, body->len);
	if (!init)
		return REFUSAL_OVERLOAD;
	int rc = writer_init(&lane->session, init);
	buf_unref(&init);
	return rc == -ENOMEM ? REFUSAL_OVERLOAD : -rc;
}

static int report_gap(struct ingest *in, const Steppe__Wire__Gap *meta)
{
	struct ingest_lane *lane = lane_of(in, meta->lane);
	if (!lane)
		return REFUSAL_PROTOCOL;
	/* only what a recorder can know: it cannot report footage as thinned, expired or damaged */
	if (meta->cause < GAP_UNKNOWN || meta->cause > GAP_REFUSED)
		return REFUSAL_PROTOCOL;
	struct gap gap = {
		.from = {meta->from_us}, .to = {meta->to_us}, .cause = (uint8_t)meta->cause};
	if (!wall_is_valid(gap.from) ||
		(!meta->open && (!wall_is_valid(gap.to) || gap.to.us < gap.from.us)))
		return REFUSAL_TIME;
	metrics_add(METRIC_GAPS_REPORTED, 1);
	int rc = writer_gap(&lane->session, &gap, meta->open);
	return rc == -ENOMEM ? REFUSAL_OVERLOAD : -rc;
}

static void begin_closing(struct ingest *in, bool seal)
{
	in->state = INGEST_CLOSING;
	in->seal = seal;
	flush(in);
	close_if_durable(in);
}

static const ProtobufCMessageDescriptor *meta_of(uint8_t type)
{
	switch (type) {
	case FRAME_APPEND:
		return &steppe__wire__append__descriptor;
	case FRAME_INIT:
		return &steppe__wire__init__descriptor;
	case FRAME_GAP:
		return &steppe__wire__gap__descriptor;
	case FRAME_CLOSE:
		return &steppe__wire__close__descriptor;
	default:
		return NULL;
	}
}

int ingest_frame(struct ingest *in, const struct frame *frame, uint32_t *ret_lane)
{
	const ProtobufCMessageDescriptor *type = meta_of(frame->header.type);
	ProtobufCMessage *meta = NULL;
	if (type)
		meta = protobuf_c_message_unpack(type, NULL, frame->header.meta_len, frame->meta);
	if (!meta)
		return REFUSAL_PROTOCOL;
	int refusal = 0;
	if (frame->header.type == FRAME_APPEND)
		refusal = append(in, (const Steppe__Wire__Append *)meta, &frame->body, ret_lane);
	else if (frame->header.type == FRAME_INIT)
		refusal = change_init(in, (const Steppe__Wire__Init *)meta, &frame->body);
	else if (frame->header.type == FRAME_GAP)
		refusal = report_gap(in, (const Steppe__Wire__Gap *)meta);
	else
		begin_closing(in, ((const Steppe__Wire__Close *)meta)->seal);
	protobuf_c_message_free_unpacked(meta, NULL);
	return refusal;
}
