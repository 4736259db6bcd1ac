/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "tests/sim/camera.h"
#include "tests/sim/daemon.h"
#include "tests/sim/faults.h"
#include "tests/sim/oracle.h"
#include "tests/sim/placing.h"
#include "tests/sim/traps.h"
#include "tests/sim/viewer.h"

#define DRAIN_S  600 /* within which all must be durable once faults have stopped */
#define ANSWER_S 300
#define END_S    200

const char *const world_count_names[COUNTS] = {
	[COUNT_STEPS] = "steps",
	[COUNT_PICTURES] = "pictures recorded",
	[COUNT_FRAGMENTS] = "fragments stored",
	[COUNT_ACKNOWLEDGED] = "acknowledgements heard",
	[COUNT_CHANGES] = "changes of objects",
	[COUNT_CHANGES_LATE] = "of these late",
	[COUNT_REFUSED] = "writes refused by a guard",
	[COUNT_UNKNOWN] = "writes of unknown outcome",
	[COUNT_TAKES] = "streams taken",
	[COUNT_CHUNKS] = "chunks",
	[COUNT_FETCHES] = "fetches begun",
	[COUNT_FETCHES_ENDED] = "fetches answered and judged",
	[COUNT_FOLLOWS] = "live edges followed",
	[COUNT_TIMELINES] = "timelines asked for",
	[COUNT_EVENTS] = "events",
	[COUNT_VIRTUAL_S] = "seconds of virtual time",
};

static struct world_result *current;

/* What killed processes leave in memory is nobody's any more. */
static void **graveyard;
static size_t graves;

void world_bury(void *memory)
{
	graveyard = realloc(graveyard, (graves + 1) * sizeof(*graveyard));
	CHECK(graveyard);
	graveyard[graves++] = memory;
}

void world_problem(struct world *w, const char *format, ...)
{
	va_list args;
	if (w->problem[0])
		return;
	va_start(args, format);
	vsnprintf(w->problem, sizeof(w->problem), format, args);
	va_end(args);
	world_trace(w, "PROBLEM %s", w->problem);
}

void world_trace(struct world *w, const char *format, ...)
{
	va_list args;
	if (!w->trace)
		return;
	fprintf(stderr, "%10.4f ",
		(double)(w->time.now.ns % (1000000 * NS_PER_SECOND)) / (double)NS_PER_SECOND);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

uint64_t world_pick(struct world *w, uint64_t from, uint64_t to)
{
	return sim_random_in(&w->time, from, to);
}

bool world_chance(struct world *w, unsigned percent)
{
	return world_pick(w, 1, 100) <= percent;
}

void world_count(struct world *w, enum world_count what, uint64_t by)
{
	(void)w;
	current->counts[what] += by;
}

/* Until something is so, or a promise is found broken. */
struct waiting {
	struct world *world;
	bool (*condition)(void *user);
	void *user;
};

static bool is_over(void *user)
{
	const struct waiting *waiting = user;
	return world_failed(waiting->world) || waiting->condition(waiting->user);
}

bool world_wait(struct world *w, bool (*condition)(void *user), void *user, int64_t seconds,
	const char *what)
{
	struct waiting waiting = {.world = w, .condition = condition, .user = user};
	if (!sim_run_until(&w->time, is_over, &waiting, seconds * NS_PER_SECOND))
		world_problem(w, "liveness: after %d s %s", (int)seconds, what);
	return !world_failed(w);
}

/* --- beginning --- */

static void *array(size_t count, size_t size)
{
	void *made = calloc(count, size);
	CHECK(made);
	return made;
}

static void begin(struct world *w, const struct world_options *options)
{
	*w = (struct world){.trace = options->trace};
	log_set_level(LOG_ERROR);
	sim_world_init(&w->time, options->seed);
	struct store_model_options store = {
		.unknown_after_ns = 2 * NS_PER_SECOND, .late_max_ns = 50 * NS_PER_SECOND};
	bool erasure_coded = world_chance(w, 20);
	store.pools[STORE_DATA].erasure_coded = erasure_coded;
	store.pools[STORE_DATA].alignment = erasure_coded ? 8192 : 4096;
	w->store = store_model_new(&w->time, &store);
	w->net = model_net_new();
	CHECK(w->store && w->net);
	w->daemon_count = (unsigned)world_pick(w, 2, 4);
	w->camera_count = (unsigned)world_pick(w, 1, 3);
	w->viewer_count = (unsigned)world_pick(w, 1, 2);
	w->daemons = array(w->daemon_count, sizeof(*w->daemons));
	w->cameras = array(w->camera_count, sizeof(*w->cameras));
	w->viewers = array(w->viewer_count, sizeof(*w->viewers));
	for (unsigned i = 0; i < w->daemon_count; i++)
		daemon_init(&w->daemons[i], w, i);
	for (unsigned i = 0; i < w->camera_count; i++)
		camera_init(&w->cameras[i], w, i);
	w->clustered = world_chance(w, 40);
	w->placing = placing_new(w);
	w->traps = traps_new(w);
	w->oracle = oracle_new(w);
	for (unsigned i = 0; i < w->viewer_count; i++)
		viewer_init(&w->viewers[i], w, i);
	w->faults = faults_new(w);
	for (unsigned i = 0; i < w->daemon_count; i++)
		daemon_start(&w->daemons[i]);
	for (unsigned i = 0; i < w->camera_count; i++)
		camera_start(&w->cameras[i]);
}

/* --- the end: faults have stopped, everything must get done --- */

static bool all_durable(void *user)
{
	struct world *w = user;
	for (unsigned i = 0; i < w->camera_count; i++)
		if (!camera_is_drained(&w->cameras[i]))
			return false;
	return true;
}

static bool all_ended(void *user)
{
	struct world *w = user;
	for (unsigned i = 0; i < w->camera_count; i++)
		if (w->cameras[i].program)
			return false;
	return true;
}

static bool all_idle(void *user)
{
	struct world *w = user;
	for (unsigned i = 0; i < w->viewer_count; i++)
		if (!viewer_is_idle(&w->viewers[i]))
			return false;
	return true;
}

static bool all_down(void *user)
{
	struct world *w = user;
	for (unsigned i = 0; i < w->daemon_count; i++)
		if (w->daemons[i].process)
			return false;
	return true;
}

static bool all_settled(void *user)
{
	struct store_model_counters c = store_model_counters(((struct world *)user)->store);
	return !c.in_flight && !c.parked;
}

static void rest_viewers(struct world *w)
{
	for (unsigned i = 0; i < w->viewer_count; i++)
		viewer_rest(&w->viewers[i]);
}

/* Cameras stop; what they showed becomes durable, and programs end in order. */
static bool drain(struct world *w)
{
	/* programs and daemons that were ending when faults stopped are ended first */
	sim_run_for(&w->time, 20 * NS_PER_SECOND);
	faults_heal(w->faults);
	sim_run_for(&w->time, 20 * NS_PER_SECOND);
	for (unsigned i = 0; i < w->camera_count; i++) {
		w->cameras[i].stopped = true;
		camera_start(&w->cameras[i]);
		camera_end(&w->cameras[i], DRAIN_S * 1000);
	}
	return world_wait(w, all_ended, w, DRAIN_S, "recorders have not ended") &&
	       (all_durable(w) ||
		       (world_problem(
				w, "liveness: recorders ended with pictures that are not durable"),
			       false));
}

static bool look_at_all(struct world *w)
{
	rest_viewers(w);
	if (!world_wait(w, all_idle, w, ANSWER_S, "viewers have no answer"))
		return false;
	for (unsigned i = 0; i < w->camera_count; i++) {
		viewer_fetch_all(&w->viewers[i % w->viewer_count], i);
		if (!world_wait(w, all_idle, w, ANSWER_S, "a camera cannot be fetched"))
			return false;
	}
	return true;
}

/* What nobody owns is taken, so that dead owners' chunks are sealed; then daemons end in order. */
static bool close_down(struct world *w)
{
	for (unsigned i = 0; i < w->camera_count; i++)
		daemon_take(&w->daemons[0], w->cameras[i].stream);
	sim_run_for(&w->time, 30 * NS_PER_SECOND);
	w->closing = true;
	for (unsigned i = 0; i < w->daemon_count; i++)
		daemon_stop(&w->daemons[i]);
	return world_wait(w, all_down, w, END_S, "daemons have not ended") &&
	       world_wait(w, all_settled, w, END_S, "the store is not settled");
}

static void fini(struct world *w)
{
	for (unsigned i = 0; i < w->viewer_count; i++)
		viewer_stop(&w->viewers[i]);
	sim_run_for(&w->time, 20 * NS_PER_SECOND);
	model_net_free(&w->net);
	for (unsigned i = 0; i < w->viewer_count; i++)
		viewer_fini(&w->viewers[i]);
	oracle_free(&w->oracle);
	faults_free(&w->faults);
	traps_free(&w->traps);
	placing_free(&w->placing);
	for (unsigned i = 0; i < w->camera_count; i++)
		camera_fini(&w->cameras[i]);
	store_backend_close(&w->store);
	sim_world_fini(&w->time);
	free(w->daemons);
	free(w->cameras);
	free(w->viewers);
}

static void gather(struct world *w, struct world_result *ret)
{
	struct store_model_counters c = store_model_counters(w->store);
	snprintf(ret->problem, sizeof(ret->problem), "%s", w->problem);
	ret->digest = w->digest;
	ret->counts[COUNT_REFUSED] = c.writes_refused;
	ret->counts[COUNT_UNKNOWN] = c.writes_unknown;
	ret->counts[COUNT_CHUNKS] = oracle_chunks(w->oracle);
	ret->counts[COUNT_EVENTS] = w->time.events;
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		ret->faults[i] = faults_counts(w->faults)[i];
}

void world_run(const struct world_options *options, struct world_result *ret_result)
{
	struct world w;
	*ret_result = (struct world_result){0};
	current = ret_result;
	begin(&w, options);
	struct mono began = w.time.now;
	unsigned steps = options->steps ? options->steps : (unsigned)world_pick(&w, 10, 40);
	for (unsigned i = 0; i < steps && !world_failed(&w); i++) {
		/* often in the middle of something */
		sim_run_for(&w.time, (int64_t)world_pick(&w, 1, 5000) * NS_PER_MS +
					     (int64_t)world_pick(&w, 0, 999) * 1000);
		world_count(&w, COUNT_STEPS, 1);
		faults_step(w.faults);
	}
	w.healed = true;
	if (!world_failed(&w))
		faults_heal(w.faults);
	if (!world_failed(&w) && drain(&w) && look_at_all(&w) && close_down(&w))
		oracle_demand_rest(w.oracle);
	ret_result->counts[COUNT_VIRTUAL_S] =
		(uint64_t)((w.time.now.ns - began.ns) / NS_PER_SECOND);
	gather(&w, ret_result);
	if (!world_failed(&w))
		fini(&w); /* else parts are in the middle of something */
}
