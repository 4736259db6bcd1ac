/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded: the timeline of a window, the calendar of days. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/names.h"
#include "storaged/metrics.h"
#include "storaged/session/owned_view.h"

#define SPANS_MAX 25000 /* of an answer: a frame's meta part has 1 MiB, a span up to 40 bytes */

struct looking {
	struct request request;
	struct service *service;
	char stream[STREAM_NAME_MAX + 1];
	struct owned_view view;
	struct reader_days days;
	bool gone;
};

static void on_frame(struct request *req, const struct frame *frame)
{
	(void)frame;
	/* only STOP makes sense here, and it does not come this way; the answer is on its way all
	 * the same */
	(void)req;
}

static void on_gone(struct request *req)
{
	container_of(req, struct looking, request)->gone = true;
}

static const struct request_ops looking_ops = {.frame = on_frame, .gone = on_gone};

static struct looking *begin(struct conn *conn, uint32_t stream, const char *name)
{
	struct looking *l = calloc(1, sizeof(*l));
	if (!l || request_attach(&l->request, &looking_ops, conn, stream)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		free(l);
		return NULL;
	}
	metrics_add(METRIC_TIMELINES, 1);
	l->service = conn->service;
	memcpy(l->stream, name, strlen(name) + 1);
	return l;
}

static void answer_timeline(struct looking *l, const struct view *view)
{
	struct view_span *spans = NULL;
	size_t count = 0;
	if (view_spans(view, &spans, &count)) {
		request_refuse(&l->request, REFUSAL_OVERLOAD, 0, NULL);
		return;
	}
	if (count + view->gap_count > SPANS_MAX) {
		request_refuse(&l->request, REFUSAL_TOO_LARGE, 0,
			"the window has %zu spans; ask for a shorter one", count);
		free(spans);
		return;
	}
	/* one allocation for each kind: messages, then the pointers the library wants to them */
	Steppe__Wire__Span *messages = calloc(count + 1, sizeof(*messages));
	Steppe__Wire__Span **pointers = calloc(count + 1, sizeof(*pointers));
	Steppe__Wire__GapSpan *gaps = calloc(view->gap_count + 1, sizeof(*gaps));
	Steppe__Wire__GapSpan **gap_pointers = calloc(view->gap_count + 1, sizeof(*gap_pointers));
	if (messages && pointers && gaps && gap_pointers) {
		for (size_t i = 0; i < count; i++) {
			steppe__wire__span__init(pointers[i] = &messages[i]);
			messages[i].start_us = spans[i].start.us;
			messages[i].end_us = spans[i].end.us;
			messages[i].bytes = spans[i].bytes;
			messages[i].fragments = spans[i].fragments;
		}
		for (size_t i = 0; i < view->gap_count; i++) {
			steppe__wire__gap_span__init(gap_pointers[i] = &gaps[i]);
			gaps[i].start_us = view->gaps[i].from.us;
			gaps[i].end_us = view->gaps[i].to.us;
			gaps[i].cause = view->gaps[i].cause;
		}
		Steppe__Wire__TimelineReply reply = STEPPE__WIRE__TIMELINE_REPLY__INIT;
		reply.n_spans = count;
		reply.spans = pointers;
		reply.n_gaps = view->gap_count;
		reply.gaps = gap_pointers;
		request_send(&l->request, FRAME_TIMELINE_REPLY, &reply.base, NULL, 0);
	} else {
		request_refuse(&l->request, REFUSAL_OVERLOAD, 0, NULL);
	}
	free(messages);
	free(pointers);
	free(gaps);
	free(gap_pointers);
	free(spans);
}

static void on_view(struct owned_view *req)
{
	struct looking *l = container_of(req, struct looking, view);
	if (l->gone)
		;
	else if (req->status)
		request_refuse(&l->request, refusal_of_error(req->status), 0, NULL);
	else if (!req->view->exists)
		request_refuse(&l->request, REFUSAL_UNKNOWN_STREAM, 0, NULL);
	else
		answer_timeline(l, req->view);
	view_free(&req->view);
	request_detach(&l->request);
	free(l);
}

void looking_timeline(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Timeline *ask = conn_unpack(conn, frame, &steppe__wire__timeline__descriptor);
	if (!ask)
		return;
	uint32_t stream = frame->header.stream;
	struct looking *l = NULL;
	if (conn_judge_window(conn, stream, ask->stream, ask->from_us, ask->to_us))
		l = begin(conn, stream, ask->stream);
	if (l) {
		l->view.done = on_view;
		owned_view(l->service, &l->view, l->stream, (struct wall){ask->from_us},
			(struct wall){ask->to_us});
	}
	steppe__wire__timeline__free_unpacked(ask, NULL);
}

/* --- days
 * --------------------------------------------------------------------------------------------------------------------
 */

static void answer_days(struct looking *l, const struct index_days *days)
{
	Steppe__Wire__Day *messages = calloc(days->count + 1, sizeof(*messages));
	Steppe__Wire__Day **pointers = calloc(days->count + 1, sizeof(*pointers));
	uint8_t *quarters = malloc(days->count * 192 + 1);
	if (messages && pointers && quarters) {
		struct bytes out = bytes_writer(quarters, days->count * 192);
		for (size_t i = 0; i < days->count; i++) {
			const struct index_day *day = &days->days[i];
			steppe__wire__day__init(pointers[i] = &messages[i]);
			messages[i].day = day->day;
			messages[i].bytes = day->bytes;
			messages[i].quarters =
				(ProtobufCBinaryData){.len = 192, .data = quarters + i * 192};
			for (size_t q = 0; q < 96; q++) {
				messages[i].seconds += day->seconds[q];
				bytes_put_u16(&out, day->seconds[q]);
			}
		}
		Steppe__Wire__DaysReply reply = STEPPE__WIRE__DAYS_REPLY__INIT;
		reply.n_days = days->count;
		reply.days = pointers;
		request_send(&l->request, FRAME_DAYS_REPLY, &reply.base, NULL, 0);
	} else {
		request_refuse(&l->request, REFUSAL_OVERLOAD, 0, NULL);
	}
	free(messages);
	free(pointers);
	free(quarters);
}

static void on_days(struct reader_days *req)
{
	struct looking *l = container_of(req, struct looking, days);
	if (l->gone)
		;
	else if (req->status == -ENOENT)
		request_refuse(&l->request, REFUSAL_UNKNOWN_STREAM, 0, NULL);
	else if (req->status)
		request_refuse(&l->request, refusal_of_error(req->status), 0, NULL);
	else
		answer_days(l, &req->days);
	if (!req->status)
		index_days_fini(&req->days);
	request_detach(&l->request);
	free(l);
}

void looking_days(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Days *ask = conn_unpack(conn, frame, &steppe__wire__days__descriptor);
	if (!ask)
		return;
	struct looking *l = NULL;
	if (stream_name_split(ask->stream, NULL, NULL))
		conn_refuse(conn, frame->header.stream, REFUSAL_NAME, NULL);
	else
		l = begin(conn, frame->header.stream, ask->stream);
	if (l) {
		l->days.done = on_days;
		reader_days(l->service->config.reader, &l->days, l->stream);
	}
	steppe__wire__days__free_unpacked(ask, NULL);
}
