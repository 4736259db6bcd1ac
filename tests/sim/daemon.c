/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "tests/sim/member.h"
#include "tests/sim/oracle.h"

#define LINGER_NS   (6 * NS_PER_SECOND)
#define LINGER_STEP (20 * NS_PER_MS)
#define STOP_NS     (30 * NS_PER_SECOND)
#define AGAIN_NS    (2 * NS_PER_SECOND) /* after which a daemon that failed is started anew */

/* Small chunks, so that all of a chunk's life happens within seconds. */
static const struct cutter_limits limits = {
	.min_us = 5 * US_PER_SECOND,
	.min_bytes = 1000,
	.max_us = 30 * US_PER_SECOND,
	.max_bytes = 1u << 20,
	.silence_ns = 15 * NS_PER_SECOND,
	.batch_bytes = 64u << 10,
	.batch_ns = NS_PER_SECOND,
};

struct process {
	struct daemon *daemon;
	struct sim_loop loop;
	struct store *store;
	struct keeper *keeper;
	struct reader *reader;
	struct catalog *catalog;
	struct service *service;
	struct member *member; /* NULL: there is no cluster, whoever is asked takes a stream */
	struct admit admit;
	struct model_listener *listener;
	struct model_party party;
	struct machine_trace trace;
	bool stopping, failed;
	struct mono stop_began;
	struct loop_timer linger;
	struct loop_task stopped;
	struct loop_task gone; /* on the world's loop */
};

/* A stream that is asked for once, for its recovery's sake. */
struct taking {
	struct keeper_take take;
	struct world *world;
};

static struct channel_user *on_accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	struct process *p = owner;
	(void)l;
	return service_accept(p->service, ch);
}

static void on_moved(
	void *user, const char *machine, const char *id, const char *from, const char *to)
{
	struct process *p = user;
	struct daemon *d = p->daemon;
	if (p->store)
		oracle_moved(d->world->oracle, store_model_number(p->store), machine, id, to);
	world_trace(d->world, "%s %s %s: %s -> %s", d->name, machine, id, from, to);
}

static void on_failed(void *owner)
{
	struct process *p = owner;
	p->failed = true;
	daemon_stop(p->daemon);
}

static void make_member(struct process *p)
{
	struct daemon *d = p->daemon;
	const struct member_config config = {.world = d->world,
		.loop = &p->loop.loop,
		.store = p->store,
		.keeper = p->keeper,
		.party = &p->party,
		.address = d->address,
		.failed = on_failed,
		.owner = p};
	p->member = member_new(&config);
}

static void make_rooms(struct process *p)
{
	struct daemon *d = p->daemon;
	struct loop *loop = &p->loop.loop;
	p->store = store_new(d->world->store, loop);
	CHECK(p->store);
	const struct keeper_config keeper = {.loop = loop,
		.store = p->store,
		.node = d->name,
		.boot_nonce = p->party.boot_nonce,
		.cluster = {0xc1},
		.limits = limits,
		.trace = {.moved = on_moved, .user = p},
		.idle_yield_ns = 40 * NS_PER_SECOND};
	const struct reader_config reader = {.loop = loop, .store = p->store};
	CHECK(keeper_new(&keeper, &p->keeper) == 0);
	CHECK(reader_new(&reader, &p->reader) == 0);
	CHECK(catalog_new(loop, p->store, &p->catalog) == 0);
	admit_init(&p->admit, &admit_defaults);
	if (d->world->clustered)
		make_member(p);
	const struct service_config service = {.loop = loop,
		.store = p->store,
		.keeper = p->keeper,
		.reader = p->reader,
		.catalog = p->catalog,
		.admit = &p->admit,
		.node = d->name,
		.any_camera = true,
		.moves = p->member ? member_moves(p->member) : NULL,
		.cluster = {.heard = member_heard},
		.owner = p->member};
	CHECK(service_new(&service, &p->service) == 0);
}

static void on_again(struct loop_timer *timer)
{
	struct daemon *d = container_of(timer, struct daemon, again);
	if (!d->process && !d->world->closing)
		daemon_start(d);
}

void daemon_init(struct daemon *d, struct world *w, unsigned index)
{
	*d = (struct daemon){.world = w, .index = index, .again = {.fire = on_again}};
	snprintf(d->name, sizeof(d->name), "d%u", index);
	snprintf(d->address, sizeof(d->address), "d%u:1", index);
}

void daemon_start(struct daemon *d)
{
	struct world *w = d->world;
	struct process *p = calloc(1, sizeof(*p));
	CHECK(p && !d->process);
	d->process = p;
	p->daemon = d;
	p->party = (struct model_party){.name = d->name,
		.roles = ROLE_NODE,
		.node = d->name,
		.cluster = {0xc1},
		.boot_nonce = sim_random(&w->time)};
	sim_loop_init(&p->loop, &w->time);
	make_rooms(p);
	p->listener = model_listen(w->net, &p->loop.loop, d->address, &p->party, on_accepted);
	CHECK(p->listener);
	model_listener_set_owner(p->listener, p);
	store_model_cut(p->store, d->requests_cut, d->replies_cut);
	if (p->member)
		member_join(p->member);
	world_trace(w, "%s starts, number %u", d->name, store_model_number(p->store));
}

/* --- a sudden end --- */

static void note_lists(struct process *p)
{
	for (int pool = 0; pool < store_pool_count(p->store); pool++)
		if (store_counters(p->store, pool)->lists)
			world_problem(p->daemon->world, "P7: %s listed a pool", p->daemon->name);
}

void daemon_kill(struct daemon *d)
{
	struct process *p = d->process;
	if (!p)
		return;
	if (p->store)
		note_lists(p);
	d->process = NULL;
	if (d->paused)
		model_net_hang(d->world->net, d->name, false);
	d->paused = false;
	model_net_kill(d->world->net, d->name);
	sim_loop_kill(&p->loop);
	if (p->store)
		store_model_kill(&p->store);
	sim_loop_fini(&p->loop);
	world_bury(p);
}

void daemon_pause(struct daemon *d, bool paused)
{
	if (!d->process || d->paused == paused)
		return;
	d->paused = paused;
	model_net_hang(d->world->net, d->name, paused);
	sim_loop_pause(&d->process->loop, paused);
}

/* --- an end in order, each step when the one before has ended --- */

/* Nothing is left that would run: sim_loop_fini sees to that. */
static void on_gone(struct loop_task *task)
{
	struct process *p = container_of(task, struct process, gone);
	struct daemon *d = p->daemon;
	if (d->process != p)
		return; /* killed at the last moment */
	world_trace(d->world, "%s has ended", d->name);
	daemon_pause(d, false);
	d->process = NULL;
	model_net_kill(d->world->net, d->name); /* dials that had not been accepted yet */
	sim_loop_fini(&p->loop);
	if (p->failed)
		CHECK(loop_timer_start(&d->world->time.loop, &d->again, AGAIN_NS) == 0);
	free(p);
}

static void on_store_closed(struct loop_task *task)
{
	struct process *p = container_of(task, struct process, stopped);
	p->gone.run = on_gone;
	loop_defer(&p->daemon->world->time.loop, &p->gone); /* this turn is its loop's last */
}

static void on_catalog_closed(struct loop_task *task)
{
	struct process *p = container_of(task, struct process, stopped);
	service_free(&p->service);
	note_lists(p);
	task->run = on_store_closed;
	store_free(&p->store, task);
}

static void on_reader_closed(struct loop_task *task)
{
	struct process *p = container_of(task, struct process, stopped);
	task->run = on_catalog_closed;
	catalog_free(&p->catalog, task);
}

static void on_keeper_stopped(struct loop_task *task)
{
	struct process *p = container_of(task, struct process, stopped);
	member_free(&p->member);
	task->run = on_reader_closed;
	reader_free(&p->reader, task);
}

static void on_linger(struct loop_timer *timer)
{
	struct process *p = container_of(timer, struct process, linger);
	bool waited = loop_now(&p->loop.loop).ns - p->stop_began.ns > LINGER_NS;
	if (service_connections(p->service) && !waited) {
		CHECK(loop_timer_start(&p->loop.loop, timer, LINGER_STEP) == 0);
		return;
	}
	p->stopped.run = on_keeper_stopped;
	if (p->member)
		moves_stop(member_moves(p->member));
	keeper_free(&p->keeper, STOP_NS, &p->stopped);
}

static void on_left(struct loop_task *task)
{
	struct process *p = container_of(task, struct process, stopped);
	model_listener_free(&p->listener);
	service_stop_recording(p->service);
	service_close_channels(p->service);
	p->stop_began = loop_now(&p->loop.loop);
	p->linger.fire = on_linger;
	CHECK(loop_timer_start(&p->loop.loop, &p->linger, 0) == 0);
}

void daemon_stop(struct daemon *d)
{
	struct process *p = d->process;
	if (!p || p->stopping || d->paused)
		return;
	p->stopping = true;
	p->stopped.run = on_left;
	if (p->member)
		member_leave(p->member, &p->stopped);
	else
		loop_defer(&p->loop.loop, &p->stopped);
}

/* --- what may happen to it --- */

void daemon_cut_store(struct daemon *d, bool requests, bool replies)
{
	d->requests_cut = requests;
	d->replies_cut = replies;
	if (d->process && d->process->store)
		store_model_cut(d->process->store, requests, replies);
}

void daemon_stall_store(struct daemon *d, bool stalled)
{
	if (d->process && d->process->store)
		store_model_stall(d->world->store, d->process->store, stalled);
}

void daemon_set_node(struct daemon *d, const struct daemon *node, uint8_t state, uint32_t weight)
{
	if (d->process && d->process->member && !d->process->stopping)
		member_set(d->process->member, node->name, state, weight);
}

void daemon_step_clock(struct daemon *d, int64_t by_us)
{
	if (d->process)
		sim_loop_step_wall(&d->process->loop, by_us);
}

static void on_taken(struct keeper_take *take)
{
	struct taking *t = container_of(take, struct taking, take);
	if (!take->status)
		keeper_release(take);
	free(t);
}

void daemon_take(struct daemon *d, const char *stream)
{
	struct process *p = d->process;
	if (!p || p->stopping || d->paused)
		return;
	struct taking *t = calloc(1, sizeof(*t));
	CHECK(t);
	t->world = d->world;
	t->take.done = on_taken;
	keeper_take(p->keeper, &t->take, stream);
}

struct daemon *daemon_of_origin(struct world *w, unsigned origin)
{
	for (unsigned i = 0; i < w->daemon_count; i++) {
		struct process *p = w->daemons[i].process;
		if (p && p->store && store_model_number(p->store) == origin)
			return &w->daemons[i];
	}
	return NULL;
}

bool daemon_is_well(const struct daemon *d)
{
	return d->process && !d->process->stopping && !d->paused && !d->requests_cut &&
	       !d->replies_cut;
}
