/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/chaos.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

struct chaos {
	struct rig rig;
	struct chaos_result *result;
	struct rig_node *current; /* where recorders go */
	bool full;
};

static uint64_t pick(struct chaos *x, uint64_t from, uint64_t to)
{
	return sim_random_in(&x->rig.world, from, to);
}

static bool chance(struct chaos *x, unsigned percent)
{
	return pick(x, 1, 100) <= percent;
}

static bool check(struct chaos *x)
{
	struct oracle o;
	bool fine = oracle_read(&o, &x->rig, STREAM);
	if (!fine && !x->result->problem[0])
		snprintf(x->result->problem, sizeof(x->result->problem),
			"seed %" PRIu64 " event %" PRIu64 ": %s", x->rig.world.seed,
			x->rig.world.events, o.problem);
	oracle_fini(&o);
	return fine;
}

/* --- what happens --- */

static void retire_old(struct chaos *x)
{
	for (unsigned i = 0; i < x->rig.node_count; i++) {
		struct rig_node *n = &x->rig.nodes[i];
		if (n->up && n != x->current && !n->paused) {
			rig_node_kill(n);
			x->result->kills++;
			return;
		}
	}
}

static void move_to_new_daemon(struct chaos *x)
{
	/* places for daemons are few: make room by killing one that nobody talks to */
	unsigned up = 0;
	for (unsigned i = 0; i < x->rig.node_count; i++)
		up += x->rig.nodes[i].up;
	if (up >= RIG_NODES - 1)
		retire_old(x);
	x->current = rig_node_start(&x->rig);
	x->result->takeovers++;
	for (unsigned i = 0; i < x->rig.recorder_count; i++)
		x->rig.recorders[i].home = x->current;
}

static unsigned stopped_daemons(const struct chaos *x)
{
	unsigned count = 0;
	for (unsigned i = 0; i < x->rig.node_count; i++)
		count += x->rig.nodes[i].up && x->rig.nodes[i].paused;
	return count;
}

static void kill_daemon(struct chaos *x)
{
	rig_node_kill(x->current);
	x->result->kills++;
	move_to_new_daemon(x);
}

/* It looks dead and is not: recorders go elsewhere, and it comes back. */
static void stop_daemon(struct chaos *x)
{
	if (stopped_daemons(x) >= 3)
		return;
	rig_node_pause(x->current, true);
	move_to_new_daemon(x);
}

static void resume_daemon(struct chaos *x)
{
	for (unsigned i = 0; i < x->rig.node_count; i++)
		if (x->rig.nodes[i].up && x->rig.nodes[i].paused) {
			rig_node_pause(&x->rig.nodes[i], false);
			return;
		}
}

/* Another daemon is asked while the old one is well: both believe they own the stream for a moment. */
static void steal(struct chaos *x)
{
	move_to_new_daemon(x);
	for (unsigned i = 0; i < x->rig.recorder_count; i++)
		if (chance(x, 70))
			recorder_hang_up(&x->rig.recorders[i], false);
}

static void fill_or_relieve(struct chaos *x)
{
	struct store_model_options *o = store_model_options(x->rig.model);
	x->full = !x->full;
	o->pools[STORE_DATA].capacity_bytes = x->full ? 1 : 0;
}

static void change_recorder(struct chaos *x)
{
	struct recorder *r = &x->rig.recorders[pick(x, 0, x->rig.recorder_count - 1)];
	switch (pick(x, 0, 6)) {
	case 0: /* codec */
		r->footage.audio = !r->footage.audio;
		r->footage.seq += r->footage.seq % 2; /* the next fragment begins with a sync */
		if (r->footage.seq != r->made) {
			r->footage.seq = r->made;
			r->footage.audio = !r->footage.audio;
			return;
		}
		recorder_change_init(r);
		return;
	case 1: /* a hole, reported or not */
		r->footage.at.us += (int64_t)pick(x, 1, 40) * US_PER_SECOND;
		r->footage.flags |= FRAGMENT_DISCONTINUITY;
		return;
	case 2: /* the clock steps back */
		r->footage.at.us -= (int64_t)pick(x, 1, 20) * US_PER_SECOND;
		r->footage.flags |= FRAGMENT_CLOCK_BACK;
		return;
	case 3:
		r->share = !r->share;
		return;
	case 4:
		recorder_hang_up(r, false);
		return;
	case 5:
		r->idle_s = (unsigned)pick(x, 1, 30);
		return;
	case 6:
		r->footage.picture_bytes = (uint32_t)pick(x, 20, 4000);
		return;
	}
}

static void step_clock(struct chaos *x)
{
	sim_loop_step_wall(&x->current->loop, ((int64_t)pick(x, 0, 20) - 10) * US_PER_SECOND);
}

static void act(struct chaos *x)
{
	unsigned dice = (unsigned)pick(x, 0, 99);
	if (dice < 12)
		kill_daemon(x);
	else if (dice < 20)
		stop_daemon(x);
	else if (dice < 32)
		resume_daemon(x);
	else if (dice < 38)
		steal(x);
	else if (dice < 46)
		retire_old(x);
	else if (dice < 52)
		fill_or_relieve(x);
	else if (dice < 56)
		step_clock(x);
	else if (dice < 60)
		store_model_apply_parked(x->rig.model);
	else
		change_recorder(x);
}

/* --- a run --- */

static void set_odds(struct chaos *x, bool faulty)
{
	struct store_model_options *o = store_model_options(x->rig.model);
	unsigned level = faulty ? (unsigned)pick(x, 0, 3) : 0;
	o->unknown_applied = 60 * level;
	o->unknown_lost = 60 * level;
	o->unknown_late = 100 * level;
	o->write_eio = 20 * level;
	o->read_eio = 20 * level;
}

/* For looking at one seed: CHAOS_TRACE prints every move of every machine. */
static void trace(void *user, const char *machine, const char *id, const char *from, const char *to)
{
	const struct rig_node *n = user;
	const struct rig *rig = n->rig;
	fprintf(stderr, "%10.3f node %d %s %s: %s -> %s\n",
		(double)(rig->world.now.ns % (100000 * NS_PER_SECOND)) / (double)NS_PER_SECOND,
		(int)(n - rig->nodes), machine, id, from, to);
}

static void prepare(struct chaos *x, uint64_t seed)
{
	struct store_model_options options = {
		.unknown_after_ns = 2 * NS_PER_SECOND, .late_max_ns = 40 * NS_PER_SECOND};
	options.pools[STORE_DATA].erasure_coded = seed % 4 == 3;
	options.pools[STORE_DATA].alignment = seed % 4 == 3 ? 8192 : 4096;
	rig_start(&x->rig, seed, &options);
	if (getenv("CHAOS_TRACE"))
		x->rig.trace = trace;
	x->current = rig_node_start(&x->rig);
	unsigned lanes = (unsigned)pick(x, 1, 3);
	for (unsigned i = 0; i < lanes; i++) {
		struct recorder *r =
			rig_recorder(&x->rig, STREAM, i == 1 ? LANE_BACKFILL : LANE_LIVE, 0x50 + i);
		/* a day ago for the backfill; near midnight for one run in three */
		if (i == 1)
			r->footage.at.us -= US_PER_DAY;
		if (seed % 3 == 0)
			r->footage.at.us +=
				US_PER_DAY - r->footage.at.us % US_PER_DAY - 20 * US_PER_SECOND;
		recorder_go(r, x->current);
	}
}

/* Faults end; one daemon takes the stream and everything comes to rest. */
static void come_to_rest(struct chaos *x)
{
	struct store_model_options *o = store_model_options(x->rig.model);
	set_odds(x, false);
	o->pools[STORE_DATA].capacity_bytes = 0;
	for (unsigned i = 0; i < x->rig.node_count; i++)
		if (x->rig.nodes[i].up)
			rig_node_kill(&x->rig.nodes[i]);
	store_model_apply_parked(x->rig.model);
	move_to_new_daemon(x);
	for (unsigned i = 0; i < x->rig.recorder_count; i++) {
		struct recorder *r = &x->rig.recorders[i];
		r->running = false;
		recorder_reconnect(r);
		if ((!recorder_wait_open(r, 300 * NS_PER_SECOND) ||
			    !recorder_drain(r, 300 * NS_PER_SECOND)) &&
			!x->result->problem[0])
			snprintf(x->result->problem, sizeof(x->result->problem),
				"seed %" PRIu64 ": recorder %u is stuck at %" PRIu64
				" of %zu, refusal %d",
				x->rig.world.seed, i, r->acked, r->made, r->refused);
	}
	rig_node_stop(x->current);
	if (check(x))
		(void)oracle_rests(&x->rig, STREAM, x->result->problem, sizeof(x->result->problem));
}

void chaos_run(uint64_t seed, int64_t seconds, struct chaos_result *ret_result)
{
	struct chaos x = {.result = ret_result};
	*ret_result = (struct chaos_result){0};
	prepare(&x, seed);
	struct mono end = mono_add_ns(x.rig.world.now, seconds * NS_PER_SECOND);
	while (x.rig.world.now.ns < end.ns && !ret_result->problem[0]) {
		set_odds(&x, true);
		/* often in the middle of something */
		sim_run_for(&x.rig.world,
			(int64_t)pick(&x, 1, 8000) * NS_PER_MS + (int64_t)pick(&x, 0, 999) * 1000);
		if (check(&x))
			act(&x);
	}
	if (!ret_result->problem[0])
		come_to_rest(&x);
	for (unsigned i = 0; i < x.rig.recorder_count; i++) {
		ret_result->fragments += x.rig.recorders[i].made;
		ret_result->acknowledged += x.rig.recorders[i].acked;
	}
	ret_result->checks = x.rig.checks;
	rig_abandon(&x.rig);
}
