/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

#define WINDOW       (UINT64_C(8) << 20)
#define WINDOW_LEAST (UINT64_C(64) << 10)
#define EDGE_NS                                                                                    \
	(500 * NS_PER_MS) /* how long others wait at the live edge for a stream that has nothing   \
			   */

static void on_start(struct loop_task *task);
static void on_resume(struct loop_task *task);
static void on_stop(struct loop_task *task);
static void on_turn(struct loop_task *task);
static void on_wait(struct loop_timer *timer);

/* --- life --- */

void fetch_unref(struct steppe_fetch *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	free(f->streams);
	free(f->purpose);
	free(f->case_id);
	free(f);
}

static int set_streams(struct steppe_fetch *f, const char *const *names)
{
	while (names[f->stream_count])
		if (++f->stream_count > FETCH_STREAMS_MAX)
			return ERR_LIMIT;
	if (f->stream_count == 0)
		return -EINVAL;
	f->streams = calloc(f->stream_count, sizeof(*f->streams));
	if (!f->streams)
		return -ENOMEM;
	for (unsigned i = 0; i < f->stream_count; i++) {
		struct fetch_stream *s = &f->streams[i];
		s->fetch = f;
		s->index = i;
		s->run_us = s->run_before_us = -1;
		list_init(&s->queue);
		if (stream_name_split(names[i], s->camera, NULL) < 0)
			return -EINVAL;
		memcpy(s->name, names[i], strlen(names[i]) + 1);
	}
	return 0;
}

static int copy_text(const char *from, char **ret_to)
{
	*ret_to = strdup(from ? from : "");
	return *ret_to ? 0 : -ENOMEM;
}

int fetch_new(struct core *core, const struct steppe_fetch_options *options,
	struct steppe_fetch **ret_fetch)
{
	struct steppe_fetch_options o = {0};
	if (options->size < offsetof(struct steppe_fetch_options, window_bytes))
		return -EINVAL;
	memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	if (!o.streams || !o.fragment || !o.done || (o.backward && o.follow))
		return -EINVAL;
	if (!o.follow && o.from_us >= o.to_us)
		return -EINVAL;
	struct steppe_fetch *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->core = core;
	f->fragment = o.fragment;
	f->done = o.done;
	f->user = o.user;
	f->from_us = o.from_us;
	f->to_us = o.to_us;
	f->sync_only = o.sync_only;
	f->sync_every_us = o.sync_every_us;
	f->backward = o.backward;
	f->follow = o.follow;
	f->start.run = on_start;
	f->resume.run = on_resume;
	f->stop.run = on_stop;
	f->turn.run = on_turn;
	f->wait.fire = on_wait;
	atomic_init(&f->refs, 1);
	int rc = set_streams(f, o.streams);
	if (rc == 0)
		rc = copy_text(o.purpose, &f->purpose);
	if (rc == 0)
		rc = copy_text(o.case_id, &f->case_id);
	if (rc < 0) {
		fetch_unref(f);
		return rc;
	}
	f->window = (o.window_bytes ? o.window_bytes : WINDOW) / f->stream_count;
	if (f->window < WINDOW_LEAST)
		f->window = WINDOW_LEAST;
	*ret_fetch = f;
	return 0;
}

static void finish(struct steppe_fetch *f, int status)
{
	f->ended = true;
	loop_timer_stop(&f->wait);
	for (unsigned i = 0; i < f->stream_count; i++)
		fetch_stream_stop(&f->streams[i]);
	call_end(&f->call);
	refused_remember(status == ERR_REFUSED ? &f->refused : NULL);
	f->done(f->user, status);
	refused_remember(NULL);
	fetch_unref(f);
}

static void on_cancel(struct call *call)
{
	struct steppe_fetch *f = container_of(call, struct steppe_fetch, call);
	fetch_fail(f, -ECANCELED);
}

void fetch_start(struct steppe_fetch *f)
{
	atomic_fetch_add(&f->refs, 1);
	loop_post(f->core->loop, &f->start);
}

static void on_start(struct loop_task *task)
{
	struct steppe_fetch *f = container_of(task, struct steppe_fetch, start);
	f->call.cancel = on_cancel;
	call_begin(f->core, &f->call);
	for (unsigned i = 0; i < f->stream_count; i++)
		fetch_stream_start(&f->streams[i]);
	fetch_unref(f);
}

/* done() must not come inside of what found the failure: that may be working on the streams. */
void fetch_fail(struct steppe_fetch *f, int status)
{
	if (!f->status)
		f->status = status;
	fetch_turn_soon(f);
}

void fetch_turn_soon(struct steppe_fetch *f)
{
	if (f->turning || f->ended)
		return;
	f->turning = true;
	atomic_fetch_add(&f->refs, 1);
	loop_defer(f->core->loop, &f->turn);
}

/* --- the merge --- */

static int64_t key(const struct steppe_fetch *f, const struct fetched *e)
{
	/* backwards, runs go by their start, and inside of one forwards */
	return f->backward ? -e->run_us : e->header.capture.us;
}

/* Whether a stream may still send what belongs before `e`. At the live edge one whose footage has
 * reached there does not: its next fragment begins where its last one ended. */
static bool may_come_before(
	const struct steppe_fetch *f, const struct fetch_stream *s, const struct fetched *e)
{
	if (s->ended || !list_empty(&s->queue))
		return false;
	return !f->follow || s->reached_us < e->header.capture.us;
}

/* The stream whose turn it is; NULL: one that is still coming has nothing yet. */
static struct fetch_stream *choose(struct steppe_fetch *f)
{
	struct fetch_stream *best = NULL;
	bool waiting = false;
	for (unsigned i = 0; i < f->stream_count; i++) {
		struct fetch_stream *s = &f->streams[i];
		const struct fetched *e = fetch_stream_head(s);
		if (e && (!best || key(f, e) < key(f, fetch_stream_head(best))))
			best = s;
	}
	for (unsigned i = 0; best && i < f->stream_count; i++)
		waiting = waiting || may_come_before(f, &f->streams[i], fetch_stream_head(best));
	if (!best || !waiting)
		return best;
	if (!f->follow)
		return NULL;
	int64_t waited_ns = loop_now(f->core->loop).ns - fetch_stream_head(best)->came.ns;
	if (waited_ns >= EDGE_NS)
		return best;
	if (!loop_timer_armed(&f->wait) &&
		loop_timer_start(f->core->loop, &f->wait, EDGE_NS - waited_ns) < 0)
		return best; /* out of order rather than never */
	return NULL;
}

static bool show(struct steppe_fetch *f, struct fetch_stream *s)
{
	const struct fetched *e = fetch_stream_head(s);
	const struct fragment_header *h = &e->header;
	struct steppe_fragment shown = {
		.stream = s->index,
		.init = e->init ? e->init->data : NULL,
		.init_len = e->init ? e->init->len : 0,
		.body = e->body.data,
		.len = e->body.len,
		.prefix_only = e->prefix_only,
		.sync = h->flags & FRAGMENT_SYNC,
		.discontinuity = h->flags & FRAGMENT_DISCONTINUITY,
		.damaged = e->damaged,
		.capture_us = h->capture.us,
		.duration_us = h->duration_us,
		.clock = (enum steppe_clock)h->clock_source,
		.clock_error_us = h->clock_error_us,
		.gap_cause = e->gap_cause,
		.session = h->session,
		.seq = h->seq,
	};
	(void)fragment_digest(h, shown.digest); /* zeroes when memory is short */
	return f->fragment(f->user, &shown);
}

static bool all_shown(const struct steppe_fetch *f)
{
	for (unsigned i = 0; i < f->stream_count; i++)
		if (!f->streams[i].ended || fetch_stream_head(&f->streams[i]))
			return false;
	return true;
}

static void on_turn(struct loop_task *task)
{
	struct steppe_fetch *f = container_of(task, struct steppe_fetch, turn);
	struct fetch_stream *s;
	f->turning = false;
	while (!f->ended && !f->status && !f->paused && !atomic_load(&f->stopping) &&
		(s = choose(f))) {
		f->paused = !show(f, s);
		fetch_stream_shown(s);
	}
	if (!f->ended && (f->status || all_shown(f)))
		finish(f, f->status);
	fetch_unref(f);
}

static void on_wait(struct loop_timer *timer)
{
	fetch_turn_soon(container_of(timer, struct steppe_fetch, wait));
}

/* --- what the program calls --- */

int steppe_fetch(struct steppe *s, const struct steppe_fetch_options *options,
	struct steppe_fetch **ret_fetch)
{
	struct steppe_fetch *f;
	int rc = fetch_new(cluster_core(s), options, &f);
	if (rc < 0)
		return rc;
	*ret_fetch = f; /* before it begins: callbacks may come on another thread at once */
	fetch_start(f);
	return 0;
}

static void on_resume(struct loop_task *task)
{
	struct steppe_fetch *f = container_of(task, struct steppe_fetch, resume);
	atomic_store(&f->resume_posted, false);
	f->paused = false;
	fetch_turn_soon(f);
	fetch_unref(f);
}

void steppe_fetch_resume(struct steppe_fetch *f)
{
	if (atomic_exchange(&f->resume_posted, true))
		return;
	atomic_fetch_add(&f->refs, 1);
	loop_post(f->core->loop, &f->resume);
}

static void on_stop(struct loop_task *task)
{
	struct steppe_fetch *f = container_of(task, struct steppe_fetch, stop);
	fetch_fail(f, -ECANCELED);
	fetch_unref(f);
}

void steppe_fetch_stop(struct steppe_fetch *f)
{
	if (atomic_exchange(&f->stopping, true))
		return;
	atomic_fetch_add(&f->refs, 1);
	loop_post(f->core->loop, &f->stop);
}
