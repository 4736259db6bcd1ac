/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/camera.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/sim/oracle.h"
#include "tests/sim/pattern.h"
#include "tests/sim/placing.h"

#define SPOOL_LIMIT (UINT64_C(64) << 20)

/* The process that records. */
struct program {
	struct camera *camera;
	struct sim_loop loop;
	struct worker *worker;
	struct core core;
	struct steppe_recorder *recorder; /* NULL: it has ended */
	struct model_party party;
	bool ending;
	struct loop_task stopped, gone;
};

static const uint8_t avcc[] = {1, 66, 0, 30, 255, 225, 0, 4, 103, 66, 0, 30, 1, 0, 2, 104, 1};

static struct steppe_track track_of(const struct camera *c)
{
	struct steppe_track t = STEPPE_INIT(steppe_track);
	t.codec = STEPPE_H264;
	t.timescale = 1000;
	t.width = (uint16_t)(64 + c->config);
	t.height = 48;
	t.config = avcc;
	t.config_len = sizeof(avcc);
	return t;
}

/* --- the program --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	struct program *p = owner;
	struct world *w = p->camera->world;
	address = placing_resolve(w->placing, p->camera->index, address);
	return model_dial(w->net, &p->loop.loop, address, &p->party, user);
}

static void on_log(void *user, int level, const char *line)
{
	struct camera *c = user;
	world_trace(c->world, "%s [%d] %s", c->party, level, line);
}

static void on_durable(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
	uint32_t duration_us, const uint8_t *digest)
{
	struct camera *c = user;
	struct pattern_run run;
	(void)duration_us;
	world_count(c->world, COUNT_ACKNOWLEDGED, 1);
	world_trace(c->world, "%s hears that %" PRIx64 ".%" PRIu64 " at %+.3f s is durable",
		c->party, session, seq, (double)(capture_us - c->world->time.wall.us) / 1e6);
	if (oracle_acknowledged(c->world->oracle, c->stream, session, seq, digest, &run))
		return;
	for (uint64_t i = run.first; i < run.first + run.count; i++)
		c->pictures[i].acknowledged = true;
}

static int record(struct program *p)
{
	struct camera *c = p->camera;
	struct steppe_track t = track_of(c);
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	o.stream = c->stream;
	o.tracks = &t;
	o.track_count = 1;
	o.spool_dir = c->spool ? c->spool_dir : NULL;
	o.memory_limit = c->memory_limit;
	o.spool_limit = SPOOL_LIMIT;
	o.durable = on_durable;
	o.user = c;
	return recorder_new(&p->core, &o, &p->recorder);
}

void camera_start(struct camera *c)
{
	struct world *w = c->world;
	if (c->program)
		return;
	struct program *p = calloc(1, sizeof(*p));
	CHECK(p);
	p->camera = c;
	p->party = (struct model_party){
		.name = c->party, .roles = ROLE_RECORDER, .boot_nonce = sim_random(&w->time)};
	sim_loop_init(&p->loop, &w->time);
	CHECK(worker_new(&p->loop.loop, false, &p->worker) == 0);
	const struct router_ops ops = {.dial = dial, .owner = p};
	CHECK(core_init(&p->core, &p->loop.loop, &ops, placing_addresses(w->placing), p->worker) ==
		0);
	p->core.log = on_log;
	p->core.log_user = c;
	int rc = record(p);
	if (rc)
		world_problem(w, "%s cannot record: %d", c->party, rc);
	else
		recorder_start(p->recorder);
	c->program = p;
	c->tenure++;
	c->broken = true;
	world_trace(w, "%s starts", c->party);
}

void camera_kill(struct camera *c)
{
	struct program *p = c->program;
	if (!p)
		return;
	world_trace(c->world, "%s is killed", c->party);
	for (uint64_t i = 0; i < c->picture_count; i++)
		if (c->pictures[i].fate == PICTURE_TAKEN && !c->pictures[i].acknowledged)
			c->pictures[i].fate = PICTURE_AT_RISK;
	c->program = NULL;
	model_net_kill(c->world->net, c->party);
	sim_loop_kill(&p->loop);
	sim_loop_fini(&p->loop);
	if (p->recorder)
		recorder_disk_fini(p->recorder); /* its descriptors, with the lock they hold */
	world_bury(p);
}

static void on_gone(struct loop_task *task)
{
	struct program *p = container_of(task, struct program, gone);
	if (p->camera->program != p)
		return;
	world_trace(p->camera->world, "%s has ended", p->camera->party);
	p->camera->program = NULL;
	core_fini(&p->core);
	worker_free(&p->worker);
	sim_loop_fini(&p->loop);
	free(p);
}

static void on_stopped(struct loop_task *task)
{
	struct program *p = container_of(task, struct program, stopped);
	p->gone.run = on_gone;
	loop_defer(&p->camera->world->time.loop, &p->gone);
}

static void demand_drained(struct camera *c)
{
	for (uint64_t i = 0; i < c->picture_count; i++) {
		struct picture *p = &c->pictures[i];
		if (p->fate != PICTURE_TAKEN || p->acknowledged)
			continue;
		/* of what an earlier program left in the spool it may have been told all at once */
		p->acknowledged = oracle_holds(c->world->oracle, c->stream, i);
		if (!p->acknowledged) {
			world_problem(c->world,
				"P1: %s closed as all durable; picture %" PRIu64 " of %" PRIu64
				" is not",
				c->party, i, c->picture_count);
			return;
		}
	}
}

static void on_closed(void *user, int status)
{
	struct program *p = user;
	struct camera *c = p->camera;
	p->recorder = NULL;
	world_trace(c->world, "%s has closed its recorder: %d", c->party, status);
	if (status == 0)
		demand_drained(c);
	if (status && !c->spool)
		for (uint64_t i = 0; i < c->picture_count; i++)
			if (c->pictures[i].fate == PICTURE_TAKEN && !c->pictures[i].acknowledged)
				c->pictures[i].fate = PICTURE_AT_RISK;
	p->stopped.run = on_stopped;
	core_stop(&p->core, &p->stopped);
}

void camera_end(struct camera *c, int timeout_ms)
{
	struct program *p = c->program;
	if (!p || p->ending || !p->recorder)
		return;
	p->ending = true;
	world_trace(c->world, "%s ends", c->party);
	recorder_end(p->recorder, timeout_ms, on_closed, p);
}

/* --- the camera --- */

static struct picture *add_picture(struct camera *c)
{
	if (c->picture_count == c->picture_room) {
		c->picture_room = c->picture_room ? 2 * c->picture_room : 512;
		c->pictures = realloc(c->pictures, c->picture_room * sizeof(*c->pictures));
		CHECK(c->pictures);
	}
	struct picture *picture = &c->pictures[c->picture_count++];
	*picture = (struct picture){.capture_us = c->clock_us, .fate = PICTURE_LEFT_OUT};
	return picture;
}

static void show(struct camera *c)
{
	uint8_t data[4096];
	uint64_t number = c->picture_count;
	bool sync = number % PICTURES_PER_GROUP == 0;
	struct picture *picture = add_picture(c);
	struct program *p = c->program;
	c->clock_us += PICTURE_US;
	if (!p || p->ending || !p->recorder) {
		c->broken = true;
		return;
	}
	if (c->broken && !sync)
		return;
	struct steppe_sample s = STEPPE_INIT(steppe_sample);
	pattern_make(data, c->size, c->index, number);
	s.data = data;
	s.len = c->size;
	s.dts = s.pts = (int64_t)number * 1000 / PICTURES_PER_SECOND;
	s.sync = sync;
	s.wall_us = picture->capture_us;
	s.clock = STEPPE_CLOCK_DECLARED;
	int rc = steppe_recorder_write(p->recorder, &s);
	c->broken = rc != 0;
	if (rc == 0)
		picture->fate = PICTURE_TAKEN;
	else if (rc != -EAGAIN)
		world_problem(c->world, "%s does not take a picture: %d", c->party, rc);
	world_count(c->world, COUNT_PICTURES, rc == 0);
}

/* Once a second, so that a second of footage costs one event. */
static void on_shutter(struct loop_timer *timer)
{
	struct camera *c = container_of(timer, struct camera, shutter);
	if (c->stopped)
		return;
	CHECK(loop_timer_start(&c->world->time.loop, timer, NS_PER_SECOND) == 0);
	if (c->dark_s) {
		c->dark_s--;
		c->clock_us += US_PER_SECOND;
		return;
	}
	for (unsigned i = 0; i < PICTURES_PER_SECOND; i++)
		show(c);
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	if (c->program && c->program->recorder && !c->memory_limit) {
		steppe_recorder_status(c->program->recorder, &status);
		if (status.dropped_fragments)
			world_problem(c->world,
				"%s gave up %llu fragments, the last refusal was %d", c->party,
				(unsigned long long)status.dropped_fragments, status.refusal);
	}
}

void camera_init(struct camera *c, struct world *w, unsigned index)
{
	*c = (struct camera){.world = w, .index = index, .broken = true};
	snprintf(c->stream, sizeof(c->stream), "cam-%u/main", index);
	snprintf(c->party, sizeof(c->party), "r%u", index);
	c->size = (unsigned)world_pick(w, PATTERN_SIZE_MIN, 600);
	c->clock_us = w->time.wall.us;
	/* one in four runs is about midnight */
	if (w->time.seed % 4 == 0)
		c->clock_us += US_PER_DAY - c->clock_us % US_PER_DAY -
			       (int64_t)world_pick(w, 5, 40) * US_PER_SECOND;
	c->spool = world_chance(w, 35);
	c->memory_limit = world_chance(w, 20) ? 24u << 10 : 0;
	if (c->spool) {
		snprintf(c->spool_dir, sizeof(c->spool_dir), "/dev/shm/steppe-sim-XXXXXX");
		if (access("/dev/shm", W_OK))
			snprintf(c->spool_dir, sizeof(c->spool_dir), "/tmp/steppe-sim-XXXXXX");
		CHECK(mkdtemp(c->spool_dir));
	}
	c->shutter.fire = on_shutter;
	CHECK(loop_timer_start(&w->time.loop, &c->shutter,
		      (int64_t)world_pick(w, 1, 1000) * NS_PER_MS) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void camera_fini(struct camera *c)
{
	loop_timer_stop(&c->shutter);
	free(c->pictures);
	if (c->spool)
		(void)nftw(c->spool_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS); /* scratch */
}

bool camera_is_drained(const struct camera *c)
{
	for (uint64_t i = 0; i < c->picture_count; i++)
		if (c->pictures[i].fate == PICTURE_TAKEN && !c->pictures[i].acknowledged)
			return false;
	return true;
}

const struct picture *camera_picture(const struct camera *c, uint64_t number)
{
	return number < c->picture_count ? &c->pictures[number] : NULL;
}

/* --- what may happen to it --- */

void camera_darken(struct camera *c, unsigned seconds)
{
	c->dark_s = seconds;
	c->broken = true;
	if (c->program && c->program->recorder && !c->program->ending)
		(void)steppe_recorder_gap(c->program->recorder, STEPPE_GAP_CAMERA_OFF);
}

void camera_change_codec(struct camera *c)
{
	c->config = (c->config + 16) % 64;
	c->broken = true;
	struct steppe_track t = track_of(c);
	if (c->program && c->program->recorder && !c->program->ending &&
		steppe_recorder_tracks(c->program->recorder, &t, 1))
		world_problem(c->world, "%s does not take another codec", c->party);
}

void camera_step_clock(struct camera *c, int64_t by_us)
{
	c->clock_us += by_us;
	if (c->program)
		sim_loop_step_wall(&c->program->loop, by_us);
}

void camera_hang_up(struct camera *c)
{
	if (c->program)
		model_net_reset(c->world->net, c->party);
}
