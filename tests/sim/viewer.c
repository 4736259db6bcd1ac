/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/viewer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "client/fetch.h"
#include "client/looking.h"
#include "proto/refusal.h"
#include "tests/sim/camera.h"
#include "tests/sim/oracle.h"
#include "tests/sim/pattern.h"
#include "tests/sim/placing.h"

#define SLACK_US     INT64_C(500000) /* what is less is jitter and no gap */
#define WINDOW       (64u << 10)
#define FAILURES_MAX 30 /* in a row, once faults have stopped */

enum look_kind { LOOK_FETCH, LOOK_BACKWARD, LOOK_FOLLOW, LOOK_TIMELINE };

/* One question, from its beginning to its answer. */
struct look {
	struct viewer *viewer;
	struct camera *camera;
	enum look_kind kind;
	int64_t from_us, to_us;
	bool insists;         /* asked again until it is answered */
	uint64_t known;       /* pictures there were when it began */
	uint8_t *owed, *seen; /* by picture: acknowledged then; shown in the answer */
	struct steppe_fetch *fetch;
	bool paused;
	struct loop_timer timer; /* of a pause, or of following */
	struct loop_task again;
};

static void begin(struct viewer *v, struct camera *camera, enum look_kind kind, bool insists);
static void on_timeline(void *user, int status, const struct steppe_timeline *timeline);

static void look_free(struct look *l)
{
	loop_timer_stop(&l->timer);
	free(l->owed);
	free(l->seen);
	free(l);
}

static void plan_next(struct viewer *v)
{
	if (!v->stopped)
		CHECK(loop_timer_start(&v->loop.loop, &v->next,
			      (int64_t)world_pick(v->world, 100, 9000) * NS_PER_MS) == 0);
}

/* --- answers --- */

static void problem(const struct look *l, const char *words, uint64_t picture)
{
	const struct camera *c = l->camera;
	world_problem(l->viewer->world, "%s of %s: picture %" PRIu64 " of %" PRIu64 " %s",
		l->kind == LOOK_TIMELINE   ? "timeline"
		: l->kind == LOOK_FOLLOW   ? "following"
		: l->kind == LOOK_BACKWARD ? "backward fetch"
					   : "fetch",
		c->stream, picture, c->picture_count, words);
}

static bool is_owed(const struct look *l, uint64_t i)
{
	int64_t at_us = l->camera->pictures[i].capture_us;
	return l->owed[i] && at_us >= l->from_us && at_us < l->to_us;
}

/* A refusal that says there is nothing, where there is. */
static bool denies(int status)
{
	int refusal = status == ERR_REFUSED ? steppe_last_refusal(NULL) : 0;
	return refusal == REFUSAL_UNKNOWN_STREAM || refusal == REFUSAL_GONE ||
	       refusal == REFUSAL_DAMAGED;
}

static void judge_failure(struct look *l, int status)
{
	struct viewer *v = l->viewer;
	const char *reason = "";
	int refusal = steppe_last_refusal(&reason);
	world_trace(v->world, "%s: %s not answered: %d %d %s", v->party, l->camera->stream, status,
		refusal, reason ? reason : "");
	for (uint64_t i = 0; denies(status) && i < l->known; i++)
		if (is_owed(l, i)) {
			problem(l, "is acknowledged and denied", i);
			return;
		}
	if (++v->failures > FAILURES_MAX && v->world->healed)
		world_problem(v->world, "%s gets no answer about %s: %d, refusal %d", v->party,
			l->camera->stream, status, refusal);
}

static void on_again(struct loop_timer *timer)
{
	struct look *l = container_of(timer, struct look, timer);
	struct viewer *v = l->viewer;
	v->look = NULL;
	begin(v, l->camera, l->kind, true);
	look_free(l);
}

static void end(struct look *l, int status)
{
	struct viewer *v = l->viewer;
	l->fetch = NULL;
	if (status && status != -ECANCELED) {
		judge_failure(l, status);
	} else if (!status) {
		v->failures = 0;
		world_count(v->world, COUNT_FETCHES_ENDED, l->kind != LOOK_TIMELINE);
		for (uint64_t i = 0; l->kind != LOOK_FOLLOW && i < l->known; i++)
			if (is_owed(l, i) && !l->seen[i])
				problem(l, "is acknowledged and missing", i);
	}
	if (status && l->insists && !world_failed(v->world)) {
		l->timer.fire = on_again;
		CHECK(loop_timer_start(&v->loop.loop, &l->timer, NS_PER_SECOND) == 0);
		return;
	}
	v->look = NULL;
	look_free(l);
	plan_next(v);
}

static void on_resume(struct loop_timer *timer)
{
	struct look *l = container_of(timer, struct look, timer);
	l->paused = false;
	steppe_fetch_resume(l->fetch);
}

static void see(struct look *l, const struct steppe_fragment *f)
{
	world_trace(l->viewer->world, "%s sees %" PRIx64 ".%" PRIu64, l->viewer->party, f->session,
		f->seq);
	struct pattern_run run;
	const struct camera *c = l->camera;
	if (f->damaged || pattern_read_fragment(f->body, f->len, &run) || run.camera != c->index ||
		run.first + run.count > c->picture_count) {
		problem(l, "is not what was shown", f->seq);
		return;
	}
	if (!oracle_knows(l->viewer->world->oracle, c->stream, f->session, f->seq, f->digest))
		problem(l, "is not in the store", run.first);
	for (uint64_t i = run.first; i < run.first + run.count; i++) {
		if (i >= l->known)
			break;
		if (l->seen[i]++)
			problem(l, "comes twice", i);
	}
}

static bool on_fragment(void *user, const struct steppe_fragment *f)
{
	struct look *l = user;
	see(l, f);
	if (l->kind == LOOK_FOLLOW || l->insists || !world_chance(l->viewer->world, 4))
		return true;
	l->paused = true;
	l->timer.fire = on_resume;
	CHECK(loop_timer_start(&l->viewer->loop.loop, &l->timer,
		      (int64_t)world_pick(l->viewer->world, 10, 3000) * NS_PER_MS) == 0);
	return false;
}

static void on_done(void *user, int status)
{
	end(user, status);
}

/* P4: every instant of the window is footage or a gap with a cause; what is acknowledged is
 * footage. */
static void judge_timeline(struct look *l, const struct steppe_timeline *t)
{
	for (uint64_t i = 0; i < l->known; i++) {
		int64_t at_us = l->camera->pictures[i].capture_us;
		for (size_t k = 0; k < t->span_count && !l->seen[i]; k++)
			l->seen[i] = at_us >= t->spans[k].start_us - SLACK_US &&
				     at_us < t->spans[k].end_us + SLACK_US;
	}
	for (size_t k = 0; k < t->gap_count; k++)
		if (t->gaps[k].cause == STEPPE_GAP_NONE || t->gaps[k].start_us > t->gaps[k].end_us)
			world_problem(l->viewer->world, "P4: a gap of %s without a cause",
				l->camera->stream);
	for (size_t k = 0; k + 1 < t->span_count; k++) {
		int64_t from_us = t->spans[k].end_us, to_us = t->spans[k + 1].start_us;
		bool told = to_us - from_us <= SLACK_US;
		for (size_t n = 0; n < t->gap_count && !told; n++)
			told = t->gaps[n].start_us < to_us && t->gaps[n].end_us > from_us;
		if (!told)
			world_problem(l->viewer->world, "P4: a hole of %s that no gap tells of",
				l->camera->stream);
	}
}

static void on_timeline(void *user, int status, const struct steppe_timeline *timeline)
{
	struct look *l = user;
	if (status == 0)
		judge_timeline(l, timeline);
	end(l, status);
}

/* --- questions --- */

static void on_enough(struct loop_timer *timer)
{
	struct look *l = container_of(timer, struct look, timer);
	steppe_fetch_stop(l->fetch);
}

/* All, or some part of what there is. */
static void choose_window(struct look *l)
{
	struct world *w = l->viewer->world;
	const struct camera *c = l->camera;
	int64_t least = INT64_MAX, most = 0;
	for (uint64_t i = 0; i < c->picture_count; i++) {
		least = c->pictures[i].capture_us < least ? c->pictures[i].capture_us : least;
		most = c->pictures[i].capture_us > most ? c->pictures[i].capture_us : most;
	}
	if (!c->picture_count)
		least = most = c->clock_us;
	l->from_us = least;
	l->to_us = most + 1;
	if (l->insists || world_chance(w, 40))
		return;
	int64_t length = most - least + 1;
	l->from_us = least + (int64_t)world_pick(w, 0, (uint64_t)length);
	l->to_us = l->from_us + (int64_t)world_pick(w, 1, 30) * US_PER_SECOND;
}

static void note_owed(struct look *l)
{
	const struct camera *c = l->camera;
	l->known = c->picture_count;
	l->owed = calloc(l->known + 1, 1);
	l->seen = calloc(l->known + 1, 1);
	CHECK(l->owed && l->seen);
	for (uint64_t i = 0; i < l->known; i++)
		l->owed[i] = c->pictures[i].acknowledged;
}

static int ask(struct look *l)
{
	struct viewer *v = l->viewer;
	const char *streams[] = {l->camera->stream, NULL};
	if (l->kind == LOOK_TIMELINE) {
		world_count(v->world, COUNT_TIMELINES, 1);
		return timeline_ask(
			&v->core, l->camera->stream, l->from_us, l->to_us, on_timeline, l);
	}
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	o.streams = streams;
	o.from_us = l->from_us;
	o.to_us = l->to_us;
	o.backward = l->kind == LOOK_BACKWARD;
	o.follow = l->kind == LOOK_FOLLOW;
	o.purpose = "simulation";
	o.window_bytes = WINDOW;
	o.fragment = on_fragment;
	o.done = on_done;
	o.user = l;
	int rc = fetch_new(&v->core, &o, &l->fetch);
	if (rc)
		return rc;
	fetch_start(l->fetch);
	world_count(v->world, o.follow ? COUNT_FOLLOWS : COUNT_FETCHES, 1);
	if (!o.follow)
		return 0;
	l->timer.fire = on_enough;
	return loop_timer_start(
		&v->loop.loop, &l->timer, (int64_t)world_pick(v->world, 2, 40) * NS_PER_SECOND);
}

static void begin(struct viewer *v, struct camera *camera, enum look_kind kind, bool insists)
{
	struct look *l = calloc(1, sizeof(*l));
	CHECK(l);
	*l = (struct look){.viewer = v, .camera = camera, .kind = kind, .insists = insists};
	v->look = l;
	choose_window(l);
	note_owed(l);
	world_trace(v->world, "%s asks for %s, kind %d, from %+.3f to %+.3f s", v->party,
		camera->stream, (int)kind, (double)(l->from_us - v->world->time.wall.us) / 1e6,
		(double)(l->to_us - v->world->time.wall.us) / 1e6);
	CHECK(ask(l) == 0);
}

static void on_next(struct loop_timer *timer)
{
	struct viewer *v = container_of(timer, struct viewer, next);
	struct world *w = v->world;
	static const enum look_kind kinds[] = {LOOK_FETCH, LOOK_FETCH, LOOK_FETCH, LOOK_BACKWARD,
		LOOK_TIMELINE, LOOK_TIMELINE, LOOK_FOLLOW};
	if (v->look)
		return;
	enum look_kind kind = kinds[world_pick(w, 0, ARRAY_LEN(kinds) - 1)];
	begin(v, &w->cameras[world_pick(w, 0, w->camera_count - 1)], kind, false);
}

void viewer_fetch_all(struct viewer *v, unsigned camera)
{
	CHECK(!v->look);
	v->failures = 0;
	begin(v, &v->world->cameras[camera], LOOK_FETCH, true);
}

/* --- life --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	struct viewer *v = owner;
	return model_dial(v->world->net, &v->loop.loop, address, &v->model_party, user);
}

void viewer_init(struct viewer *v, struct world *w, unsigned index)
{
	*v = (struct viewer){.world = w, .index = index};
	snprintf(v->party, sizeof(v->party), "v%u", index);
	v->model_party = (struct model_party){
		.name = v->party, .roles = ROLE_INVESTIGATOR, .boot_nonce = sim_random(&w->time)};
	sim_loop_init(&v->loop, &w->time);
	CHECK(worker_new(&v->loop.loop, false, &v->worker) == 0);
	const struct router_ops ops = {.dial = dial, .owner = v};
	CHECK(core_init(&v->core, &v->loop.loop, &ops, placing_daemons(w->placing), v->worker) ==
		0);
	v->next.fire = on_next;
	plan_next(v);
}

void viewer_rest(struct viewer *v)
{
	v->stopped = true;
	loop_timer_stop(&v->next);
	if (v->look && v->look->fetch && v->look->kind == LOOK_FOLLOW)
		steppe_fetch_stop(v->look->fetch);
}

bool viewer_is_idle(const struct viewer *v)
{
	return !v->look;
}

static void on_core_stopped(struct loop_task *task)
{
	container_of(task, struct viewer, core_stopped)->core_gone = true;
}

void viewer_stop(struct viewer *v)
{
	v->core_stopped.run = on_core_stopped;
	core_stop(&v->core, &v->core_stopped);
}

void viewer_fini(struct viewer *v)
{
	core_fini(&v->core);
	worker_free(&v->worker);
	sim_loop_fini(&v->loop);
}
