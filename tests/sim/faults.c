/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/camera.h"
#include "tests/sim/daemon.h"
#include "tests/sim/placing.h"
#include "tests/sim/traps.h"
#include "tests/sim/viewer.h"

#define PARTIES_MAX 16

struct faults {
	struct world *world;
	uint64_t counts[FAULT_KINDS];
	unsigned weights[FAULT_KINDS];
	const char *parties[PARTIES_MAX]; /* of the network */
	unsigned party_count;
	bool full, stalled;
};

static struct daemon *any_daemon(struct faults *f)
{
	return &f->world->daemons[world_pick(f->world, 0, f->world->daemon_count - 1)];
}

static struct camera *any_camera(struct faults *f)
{
	return &f->world->cameras[world_pick(f->world, 0, f->world->camera_count - 1)];
}

/* Whoever places cameras notices sooner or later, or does not. */
static void notice(struct faults *f, const struct daemon *d)
{
	if (world_chance(f->world, 80))
		placing_leave(f->world->placing, d->index);
}

/* --- daemons --- */

static void kill_daemon(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	if (!d->process)
		return;
	world_trace(f->world, "%s is killed", d->name);
	daemon_kill(d);
	notice(f, d);
}

static void start_daemon(struct faults *f)
{
	for (unsigned i = 0; i < f->world->daemon_count; i++)
		if (!f->world->daemons[i].process) {
			loop_timer_stop(&f->world->daemons[i].again);
			daemon_start(&f->world->daemons[i]);
			return;
		}
}

static void pause_daemon(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	world_trace(f->world, "%s is paused", d->name);
	daemon_pause(d, true);
	notice(f, d);
}

static void resume_daemon(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	if (d->paused)
		world_trace(f->world, "%s goes on", d->name);
	daemon_pause(d, false);
}

static void stop_daemon(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	world_trace(f->world, "%s is told to stop", d->name);
	daemon_stop(d);
	notice(f, d);
}

static void step_daemon_clock(struct faults *f)
{
	daemon_step_clock(
		any_daemon(f), ((int64_t)world_pick(f->world, 0, 40) - 20) * US_PER_SECOND);
}

/* --- the map --- */

/* By an admin: some node is drained, put out, let in, or gets another share. */
static void change_node(struct faults *f)
{
	struct world *w = f->world;
	static const uint32_t weights[] = {
		0, 0, PLACEMENT_WEIGHT_ONE / 4, PLACEMENT_WEIGHT_ONE, 2 * PLACEMENT_WEIGHT_ONE};
	const struct daemon *node = any_daemon(f);
	uint8_t state = (uint8_t)world_pick(w, PLACEMENT_IN, PLACEMENT_OUT);
	uint32_t weight = weights[world_pick(w, 0, ARRAY_LEN(weights) - 1)];
	world_trace(w, "%s shall have state %u, weight %u", node->name, state, weight);
	daemon_set_node(any_daemon(f), node, state, weight);
}

static void let_in_all(struct faults *f)
{
	for (unsigned i = 0; i < f->world->daemon_count; i++)
		daemon_set_node(any_daemon(f), &f->world->daemons[i], PLACEMENT_IN, 0);
}

static void move_camera(struct faults *f)
{
	placing_move(f->world->placing, any_camera(f)->index, any_daemon(f)->index);
}

static void move_all(struct faults *f)
{
	for (unsigned i = 0; i < f->world->camera_count; i++)
		placing_move(f->world->placing, i, any_daemon(f)->index);
}

/* --- the network --- */

static const char *any_party(struct faults *f)
{
	return f->parties[world_pick(f->world, 0, f->party_count - 1)];
}

static void cut_two_ways(struct faults *f)
{
	const char *a = any_party(f), *b = any_party(f);
	world_trace(f->world, "%s and %s are cut off", a, b);
	model_net_cut(f->world->net, a, b, true);
}

static void cut_one_way(struct faults *f)
{
	const char *a = any_party(f), *b = any_party(f);
	world_trace(f->world, "the way from %s to %s is cut", a, b);
	model_net_cut_way(f->world->net, a, b, true);
}

/* A daemon that nobody reaches, and that reaches the store. */
static void isolate_daemon(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	world_trace(f->world, "nobody reaches %s", d->name);
	for (unsigned i = 0; i < f->party_count; i++)
		model_net_cut_way(f->world->net, f->parties[i], d->name, true);
	notice(f, d);
}

static void open_ways(struct faults *f)
{
	for (unsigned i = 0; i < f->party_count; i++)
		for (unsigned k = 0; k < f->party_count; k++)
			model_net_cut_way(f->world->net, f->parties[i], f->parties[k], false);
}

static void change_latency(struct faults *f)
{
	static const int64_t ms[] = {1, 1, 5, 40, 300, 2000};
	model_net_latency(
		f->world->net, ms[world_pick(f->world, 0, ARRAY_LEN(ms) - 1)] * NS_PER_MS);
}

static void reset_party(struct faults *f)
{
	model_net_reset(f->world->net, any_party(f));
}

/* --- the store --- */

static void cut_requests(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	world_trace(f->world, "%s does not reach the store", d->name);
	daemon_cut_store(d, true, world_chance(f->world, 50));
	notice(f, d);
}

static void cut_replies(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	world_trace(f->world, "%s does not hear from the store", d->name);
	daemon_cut_store(d, false, true);
	notice(f, d);
}

static void open_store(struct faults *f)
{
	daemon_cut_store(any_daemon(f), false, false);
}

static void stall_daemon(struct faults *f)
{
	struct daemon *d = any_daemon(f);
	world_trace(f->world, "%s waits for the store", d->name);
	daemon_stall_store(d, true);
}

static void stall_store(struct faults *f)
{
	f->stalled = true;
	store_model_stall(f->world->store, NULL, true);
}

static void unstall(struct faults *f)
{
	f->stalled = false;
	store_model_stall(f->world->store, NULL, false);
	for (unsigned i = 0; i < f->world->daemon_count; i++)
		daemon_stall_store(&f->world->daemons[i], false);
}

static void set_odds(struct faults *f, unsigned level)
{
	struct store_model_options *o = store_model_options(f->world->store);
	o->unknown_applied = 60 * level;
	o->unknown_lost = 60 * level;
	o->unknown_late = 100 * level;
	o->write_eio = 20 * level;
	o->read_eio = 20 * level;
}

static void lose_replies(struct faults *f)
{
	set_odds(f, (unsigned)world_pick(f->world, 1, 8));
}

static void burst_of_errors(struct faults *f)
{
	struct store_model_options *o = store_model_options(f->world->store);
	o->write_eio = 3000;
	o->read_eio = 3000;
}

static void calm_store(struct faults *f)
{
	set_odds(f, 0);
}

static void slow_store(struct faults *f)
{
	struct store_model_options *o = store_model_options(f->world->store);
	bool slow = o->write_max_ns < 10 * NS_PER_MS;
	o->write_max_ns =
		slow ? (int64_t)world_pick(f->world, 50, 4000) * NS_PER_MS : 5 * NS_PER_MS;
	o->read_max_ns = slow ? (int64_t)world_pick(f->world, 5, 1500) * NS_PER_MS : 5 * NS_PER_MS;
}

static void fill_or_relieve(struct faults *f)
{
	struct store_model_options *o = store_model_options(f->world->store);
	f->full = !f->full;
	o->pools[STORE_DATA].capacity_bytes = f->full ? 1 : 0;
	o->pools[STORE_META].capacity_bytes = f->full && world_chance(f->world, 30) ? 1 : 0;
}

static void apply_parked(struct faults *f)
{
	store_model_apply_parked(f->world->store);
}

/* --- recorders --- */

static void kill_recorder(struct faults *f)
{
	camera_kill(any_camera(f));
}

static void end_recorder(struct faults *f)
{
	camera_end(any_camera(f), (int)world_pick(f->world, 0, 20) * 1000);
}

static void start_recorder(struct faults *f)
{
	for (unsigned i = 0; i < f->world->camera_count; i++)
		camera_start(&f->world->cameras[i]);
}

static void darken_camera(struct faults *f)
{
	camera_darken(any_camera(f), (unsigned)world_pick(f->world, 1, 30));
}

static void change_codec(struct faults *f)
{
	camera_change_codec(any_camera(f));
}

static void step_clock_back(struct faults *f)
{
	camera_step_clock(any_camera(f), -(int64_t)world_pick(f->world, 1, 20) * US_PER_SECOND);
}

static void step_clock_forward(struct faults *f)
{
	camera_step_clock(any_camera(f), (int64_t)world_pick(f->world, 1, 40) * US_PER_SECOND);
}

static void hang_up(struct faults *f)
{
	camera_hang_up(any_camera(f));
}

static void set_trap(struct faults *f)
{
	traps_set(f->world->traps);
}

static void nothing(struct faults *f)
{
	(void)f;
}

/* How likely: `weight`, and in a run's mood some kinds more often, others never. What puts things
 * right is never left out. */
static const struct {
	const char *name;
	void (*act)(struct faults *f);
	unsigned weight;
	bool mends;
} kinds[] = {
	{"daemon killed", kill_daemon, 12, false},
	{"daemon started", start_daemon, 16, true},
	{"daemon paused", pause_daemon, 8, false},
	{"daemon resumed", resume_daemon, 16, true},
	{"daemon told to stop", stop_daemon, 4, false},
	{"daemon's clock stepped", step_daemon_clock, 3, false},
	{"camera moved to another daemon", move_camera, 12, false},
	{"all cameras moved", move_all, 3, false},
	{"node's state or weight changed", change_node, 8, false},
	{"nodes let in", let_in_all, 6, true},
	{"two parties cut off", cut_two_ways, 8, false},
	{"one way cut", cut_one_way, 6, false},
	{"daemon reached by nobody", isolate_daemon, 4, false},
	{"ways opened", open_ways, 14, true},
	{"latency changed", change_latency, 5, false},
	{"connections reset", reset_party, 5, false},
	{"daemon cut off from the store", cut_requests, 6, false},
	{"replies of the store lost to a daemon", cut_replies, 6, false},
	{"way to the store opened", open_store, 14, true},
	{"store stalled for a daemon", stall_daemon, 4, false},
	{"store stalled", stall_store, 3, false},
	{"store goes on", unstall, 12, true},
	{"unknown outcomes", lose_replies, 12, false},
	{"errors of the store", burst_of_errors, 3, false},
	{"store calm", calm_store, 8, true},
	{"store slow or fast", slow_store, 4, false},
	{"store full or relieved", fill_or_relieve, 5, false},
	{"late writes applied", apply_parked, 6, false},
	{"recorder killed", kill_recorder, 5, false},
	{"recorder ended", end_recorder, 3, false},
	{"recorders started", start_recorder, 10, true},
	{"camera dark", darken_camera, 5, false},
	{"codec changed", change_codec, 4, false},
	{"camera's clock stepped back", step_clock_back, 3, false},
	{"camera's clock stepped forward", step_clock_forward, 3, false},
	{"recorder hung up", hang_up, 5, false},
	{"trap set for a moment", set_trap, 25, false},
	{"nothing", nothing, 10, false},
};
static_assert(ARRAY_LEN(kinds) <= FAULT_KINDS, "counts have room for all kinds");

const char *faults_name(unsigned kind)
{
	return kind < ARRAY_LEN(kinds) ? kinds[kind].name : NULL;
}

const uint64_t *faults_counts(const struct faults *f)
{
	return f->counts;
}

/* --- steps --- */

struct faults *faults_new(struct world *w)
{
	struct faults *f = calloc(1, sizeof(*f));
	CHECK(f);
	f->world = w;
	for (unsigned i = 0; i < w->daemon_count; i++)
		f->parties[f->party_count++] = w->daemons[i].name;
	for (unsigned i = 0; i < w->camera_count; i++)
		f->parties[f->party_count++] = w->cameras[i].party;
	for (unsigned i = 0; i < w->viewer_count; i++)
		f->parties[f->party_count++] = w->viewers[i].party;
	unsigned calm = (unsigned)world_pick(w, 0, 70); /* percent of kinds that do not happen */
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		unsigned factor = kinds[i].mends          ? 1
				  : world_chance(w, calm) ? 0
				  : world_chance(w, 15)   ? 5
							  : 1;
		f->weights[i] = factor * kinds[i].weight;
	}
	return f;
}

void faults_free(struct faults **f)
{
	free(*f);
	*f = NULL;
}

void faults_step(struct faults *f)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		sum += f->weights[i];
	uint64_t dice = world_pick(f->world, 0, sum - 1);
	unsigned i = 0;
	for (; dice >= f->weights[i]; i++)
		dice -= f->weights[i];
	world_trace(f->world, "--- %s", kinds[i].name);
	f->counts[i]++;
	kinds[i].act(f);
}

void faults_heal(struct faults *f)
{
	struct world *w = f->world;
	struct store_model_options *o = store_model_options(w->store);
	world_trace(w, "--- all is put right");
	traps_clear(w->traps);
	set_odds(f, 0);
	o->write_max_ns = o->read_max_ns = 5 * NS_PER_MS;
	o->pools[STORE_DATA].capacity_bytes = o->pools[STORE_META].capacity_bytes = 0;
	open_ways(f);
	model_net_latency(w->net, NS_PER_MS);
	unstall(f);
	for (unsigned i = 0; i < w->daemon_count; i++) {
		struct daemon *d = &w->daemons[i];
		daemon_cut_store(d, false, false);
		daemon_pause(d, false);
		if (!d->process && !loop_timer_armed(&d->again))
			daemon_start(d);
	}
	let_in_all(f);
	for (unsigned i = 0; i < w->camera_count; i++) {
		w->cameras[i].dark_s = 0;
		camera_start(&w->cameras[i]);
	}
	for (unsigned i = 0; i < w->daemon_count; i++)
		if (!daemon_is_well(&w->daemons[i]))
			placing_leave(w->placing, i);
}
