/* SPDX-License-Identifier: Apache-2.0 */
/* Timelines and days: one question, one answer, handed to the program in its own structures; the
 * blocking forms keep a copy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "client/looking.h"

/* What both have in common. */
struct look {
	struct core *core;
	struct call call;
	struct request request;
	struct loop_task start;
	char stream[STREAM_NAME_MAX + 1], camera[CAMERA_ID_MAX + 1];
	Steppe__Wire__Timeline timeline_ask;
	Steppe__Wire__Days days_ask;
	/* the answer; one of them */
	struct steppe_timeline timeline;
	struct steppe_day *days;
	size_t day_count;
	void (*timeline_done)(void *user, int status, const struct steppe_timeline *timeline);
	void (*days_done)(void *user, int status, const struct steppe_day *days, size_t count);
	void *user;
};

static void look_free(struct look *l)
{
	free((void *)l->timeline.spans);
	free((void *)l->timeline.gaps);
	free(l->days);
	free(l);
}

static void finish(struct look *l, int status)
{
	call_end(&l->call);
	refused_remember(status == ERR_REFUSED ? &l->request.refused : NULL);
	if (l->timeline_done)
		l->timeline_done(l->user, status, status == 0 ? &l->timeline : NULL);
	else
		l->days_done(l->user, status, status == 0 ? l->days : NULL,
			status == 0 ? l->day_count : 0);
	refused_remember(NULL);
	look_free(l);
}

static void on_done(struct request *request, int status)
{
	finish(container_of(request, struct look, request), status);
}

static void on_cancel(struct call *call)
{
	struct look *l = container_of(call, struct look, call);
	request_stop(&l->request);
	finish(l, -ECANCELED);
}

static void on_start(struct loop_task *task)
{
	struct look *l = container_of(task, struct look, start);
	l->call.cancel = on_cancel;
	call_begin(l->core, &l->call);
	l->request.camera = l->camera;
	l->request.done = on_done;
	request_start(&l->core->router, &l->request);
}

static int look_new(struct core *core, const char *stream, struct look **ret_look)
{
	struct look *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	if (!stream || stream_name_split(stream, l->camera, NULL) < 0) {
		free(l);
		return -EINVAL;
	}
	memcpy(l->stream, stream, strlen(stream) + 1);
	l->core = core;
	l->start.run = on_start;
	*ret_look = l;
	return 0;
}

/* --- timelines --- */

static int copy_timeline(struct look *l, const Steppe__Wire__TimelineReply *m)
{
	struct steppe_span *spans = calloc(m->n_spans + 1, sizeof(*spans));
	struct steppe_gap_span *gaps = calloc(m->n_gaps + 1, sizeof(*gaps));
	l->timeline = (struct steppe_timeline){
		.spans = spans, .span_count = m->n_spans, .gaps = gaps, .gap_count = m->n_gaps};
	if (!spans || !gaps)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_spans; i++)
		spans[i] = (struct steppe_span){.start_us = m->spans[i]->start_us,
			.end_us = m->spans[i]->end_us,
			.bytes = m->spans[i]->bytes,
			.fragments = m->spans[i]->fragments};
	for (size_t i = 0; i < m->n_gaps; i++)
		gaps[i] = (struct steppe_gap_span){.start_us = m->gaps[i]->start_us,
			.end_us = m->gaps[i]->end_us,
			.cause = (int)m->gaps[i]->cause};
	return 0;
}

static int on_timeline(struct request *request, const struct frame *frame)
{
	struct look *l = container_of(request, struct look, request);
	Steppe__Wire__TimelineReply *m = frame->header.type == FRAME_TIMELINE_REPLY
						 ? steppe__wire__timeline_reply__unpack(NULL,
							   frame->header.meta_len, frame->meta)
						 : NULL;
	if (!m)
		return ERR_FORMAT;
	int rc = copy_timeline(l, m);
	steppe__wire__timeline_reply__free_unpacked(m, NULL);
	return rc < 0 ? rc : 1;
}

int timeline_ask(struct core *core, const char *stream, int64_t from_us, int64_t to_us,
	void (*done)(void *user, int status, const struct steppe_timeline *timeline), void *user)
{
	struct look *l;
	if (from_us >= to_us)
		return -EINVAL;
	int rc = look_new(core, stream, &l);
	if (rc < 0)
		return rc;
	l->timeline_done = done;
	l->user = user;
	steppe__wire__timeline__init(&l->timeline_ask);
	l->timeline_ask.stream = l->stream;
	l->timeline_ask.from_us = from_us;
	l->timeline_ask.to_us = to_us;
	l->request.type = FRAME_TIMELINE;
	l->request.meta = &l->timeline_ask.base;
	l->request.any = &l->timeline_ask.any;
	l->request.answer = on_timeline;
	loop_post(core->loop, &l->start);
	return 0;
}

int steppe_timeline(struct steppe *s, const char *stream, int64_t from_us, int64_t to_us,
	void (*done)(void *user, int status, const struct steppe_timeline *timeline), void *user)
{
	return timeline_ask(cluster_core(s), stream, from_us, to_us, done, user);
}

/* --- days --- */

static int copy_days(struct look *l, const Steppe__Wire__DaysReply *m)
{
	l->days = calloc(m->n_days + 1, sizeof(*l->days));
	if (!l->days)
		return -ENOMEM;
	l->day_count = m->n_days;
	for (size_t i = 0; i < m->n_days; i++) {
		struct steppe_day *day = &l->days[i];
		const Steppe__Wire__Day *from = m->days[i];
		*day = (struct steppe_day){
			.day = from->day, .bytes = from->bytes, .seconds = from->seconds};
		struct bytes b = bytes_reader(from->quarters.data, from->quarters.len);
		for (size_t q = 0; q < ARRAY_LEN(day->quarter_seconds); q++)
			day->quarter_seconds[q] = bytes_get_u16(&b);
		if (b.error)
			return ERR_FORMAT;
	}
	return 0;
}

static int on_days(struct request *request, const struct frame *frame)
{
	struct look *l = container_of(request, struct look, request);
	Steppe__Wire__DaysReply *m = frame->header.type == FRAME_DAYS_REPLY
					     ? steppe__wire__days_reply__unpack(
						       NULL, frame->header.meta_len, frame->meta)
					     : NULL;
	if (!m)
		return ERR_FORMAT;
	int rc = copy_days(l, m);
	steppe__wire__days_reply__free_unpacked(m, NULL);
	return rc < 0 ? rc : 1;
}

int days_ask(struct core *core, const char *stream,
	void (*done)(void *user, int status, const struct steppe_day *days, size_t count),
	void *user)
{
	struct look *l;
	int rc = look_new(core, stream, &l);
	if (rc < 0)
		return rc;
	l->days_done = done;
	l->user = user;
	steppe__wire__days__init(&l->days_ask);
	l->days_ask.stream = l->stream;
	l->request.type = FRAME_DAYS;
	l->request.meta = &l->days_ask.base;
	l->request.any = &l->days_ask.any;
	l->request.answer = on_days;
	loop_post(core->loop, &l->start);
	return 0;
}

int steppe_days(struct steppe *s, const char *stream,
	void (*done)(void *user, int status, const struct steppe_day *days, size_t count),
	void *user)
{
	return days_ask(cluster_core(s), stream, done, user);
}

/* --- blocking --- */

struct waited {
	struct waiter *waiter;
	struct steppe_timeline *timeline;
	struct steppe_day *days;
	size_t count;
};

/* One allocation, for steppe_free. */
static struct steppe_timeline *keep_timeline(const struct steppe_timeline *from)
{
	size_t spans = from->span_count * sizeof(from->spans[0]),
	       gaps = from->gap_count * sizeof(from->gaps[0]);
	struct steppe_timeline *kept = malloc(sizeof(*kept) + spans + gaps);
	if (!kept)
		return NULL;
	*kept = *from;
	kept->spans = memcpy(kept + 1, from->spans, spans);
	kept->gaps = memcpy((char *)(kept + 1) + spans, from->gaps, gaps);
	return kept;
}

static void wake(struct waited *w, int status)
{
	struct refused refused = {0};
	const char *reason;
	refused.code = steppe_last_refusal(&reason);
	if (reason)
		memcpy(refused.reason, reason, strlen(reason) + 1);
	waiter_wake(w->waiter, status, &refused);
}

static void on_waited_timeline(void *user, int status, const struct steppe_timeline *timeline)
{
	struct waited *w = user;
	if (status == 0 && !(w->timeline = keep_timeline(timeline)))
		status = -ENOMEM;
	wake(w, status);
}

int steppe_timeline_get(struct steppe *s, const char *stream, int64_t from_us, int64_t to_us,
	struct steppe_timeline **ret_timeline)
{
	int rc;
	struct waited w = {.waiter = waiter_new(cluster_core(s), &rc)};
	if (!w.waiter)
		return rc;
	rc = steppe_timeline(s, stream, from_us, to_us, on_waited_timeline, &w);
	if (rc < 0)
		waiter_wake(w.waiter, rc, NULL);
	rc = waiter_wait(&w.waiter);
	if (rc == 0)
		*ret_timeline = w.timeline;
	return rc;
}

static void on_waited_days(void *user, int status, const struct steppe_day *days, size_t count)
{
	struct waited *w = user;
	if (status == 0) {
		w->days = malloc(count ? count * sizeof(*days) : 1);
		if (w->days)
			memcpy(w->days, days, count * sizeof(*days));
		else
			status = -ENOMEM;
		w->count = count;
	}
	wake(w, status);
}

int steppe_days_get(
	struct steppe *s, const char *stream, struct steppe_day **ret_days, size_t *ret_count)
{
	int rc;
	struct waited w = {.waiter = waiter_new(cluster_core(s), &rc)};
	if (!w.waiter)
		return rc;
	rc = steppe_days(s, stream, on_waited_days, &w);
	if (rc < 0)
		waiter_wake(w.waiter, rc, NULL);
	rc = waiter_wait(&w.waiter);
	if (rc == 0) {
		*ret_days = w.days;
		*ret_count = w.count;
	}
	return rc;
}

void steppe_free(void *result)
{
	free(result);
}
