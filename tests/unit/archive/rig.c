/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "proto/refusal.h"

const struct cutter_limits rig_limits = {
	.min_us = 5 * US_PER_SECOND,
	.min_bytes = 1000,
	.max_us = 30 * US_PER_SECOND,
	.max_bytes = 1u << 20,
	.silence_ns = 20 * NS_PER_SECOND,
	.batch_bytes = 64u << 10,
	.batch_ns = NS_PER_SECOND,
};

/* What killed daemons leave in memory is nobody's any more; kept in sight of leak checkers. */
static void **graveyard;
static size_t graves;

static void bury(void *p)
{
	graveyard = realloc(graveyard, (graves + 1) * sizeof(*graveyard));
	CHECK(graveyard);
	graveyard[graves++] = p;
}

/* --- the world --- */

void rig_start(struct rig *rig, uint64_t seed, const struct store_model_options *options)
{
	*rig = (struct rig){.limits = rig_limits};
	log_set_level(LOG_ERROR);
	list_init(&rig->connections);
	sim_world_init(&rig->world, seed);
	rig->model = store_model_new(&rig->world, options);
	CHECK(rig->model);
}

static void free_connection(struct rig_connection *c)
{
	list_remove(&c->node);
	free(c);
}

void rig_end(struct rig *rig)
{
	for (unsigned i = 0; i < rig->recorder_count; i++) {
		struct recorder *r = &rig->recorders[i];
		r->running = r->stubborn = false;
		recorder_hang_up(r, false);
	}
	for (unsigned i = 0; i < rig->node_count; i++)
		rig_node_stop(&rig->nodes[i]);
	for (unsigned i = 0; i < rig->recorder_count; i++) {
		struct recorder *r = &rig->recorders[i];
		loop_timer_stop(&r->tick);
		loop_timer_stop(&r->reconnect);
		for (size_t k = 0; k < r->made; k++)
			buf_unref(&r->bodies[k]);
		free(r->bodies);
		free(r->headers);
		for (unsigned k = 0; k < r->init_count; k++)
			buf_unref(&r->inits[k]);
	}
	CHECK(list_empty(&rig->connections));
	store_backend_close(&rig->model);
	sim_world_fini(&rig->world);
}

void rig_abandon(struct rig *rig)
{
	for (unsigned i = 0; i < rig->recorder_count; i++)
		rig->recorders[i].running = rig->recorders[i].stubborn = false;
	for (unsigned i = 0; i < rig->node_count; i++)
		if (!rig->nodes[i].closed)
			rig_node_kill(&rig->nodes[i]);
	rig_end(rig);
}

void rig_run_s(struct rig *rig, int64_t seconds)
{
	sim_run_for(&rig->world, seconds * NS_PER_SECOND);
}

static bool is_settled(void *user)
{
	struct rig *rig = user;
	struct store_model_counters c = store_model_counters(rig->model);
	return !c.in_flight && !c.parked;
}

void rig_settle(struct rig *rig)
{
	CHECK(sim_run_until(&rig->world, is_settled, rig, 600 * NS_PER_SECOND));
}

void rig_reserve(struct loop *loop)
{
	static struct loop_timer timers[1000];
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		CHECK(loop_timer_start(loop, &timers[i], NS_PER_SECOND) == 0);
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		loop_timer_stop(&timers[i]);
}

/* --- daemons --- */

struct rig_node *rig_node_start(struct rig *rig)
{
	struct rig_node *n = NULL;
	for (unsigned i = 0; i < rig->node_count && !n; i++)
		if (!rig->nodes[i].up)
			n = &rig->nodes[i];
	if (!n) {
		CHECK(rig->node_count < RIG_NODES);
		n = &rig->nodes[rig->node_count++];
	}
	*n = (struct rig_node){.rig = rig, .up = true, .nonce = sim_random(&rig->world)};
	sim_loop_init(&n->loop, &rig->world);
	n->store = store_new(rig->model, &n->loop.loop);
	CHECK(n->store);
	char name[32];
	snprintf(name, sizeof(name), "node-%d", (int)(n - rig->nodes));
	struct keeper_config config = {.loop = &n->loop.loop,
		.store = n->store,
		.node = name,
		.boot_nonce = n->nonce,
		.cluster = {0xc1},
		.limits = rig->limits,
		.trace = {.moved = rig->trace, .user = n}};
	CHECK(keeper_new(&config, &n->keeper) == 0);
	return n;
}

static void forget_connections(struct rig_node *n)
{
	list_each_safe (node, &n->rig->connections) {
		struct rig_connection *c = list_entry(node, struct rig_connection, node);
		if (c->daemon != n)
			continue;
		if (c->recorder) {
			c->recorder->connection = NULL;
			c->recorder = NULL;
		}
		list_remove(node);
		bury(c);
	}
}

void rig_node_kill(struct rig_node *n)
{
	if (!n->up)
		return;
	forget_connections(n);
	sim_loop_kill(&n->loop);
	store_model_kill(&n->store);
	bury(n->keeper);
	n->up = false;
	n->closed = true;
	sim_loop_fini(&n->loop);
}

static void close_connection(struct rig_connection *c, bool seal);

/* The recorders' side of a stopped daemon's connections was closed meanwhile. */
static void close_left(struct rig_node *n)
{
	list_each_safe (node, &n->rig->connections) {
		struct rig_connection *c = list_entry(node, struct rig_connection, node);
		if (c->daemon == n && !c->recorder && c->taken)
			close_connection(c, false);
	}
}

void rig_node_pause(struct rig_node *n, bool paused)
{
	n->paused = paused;
	sim_loop_pause(&n->loop, paused);
	if (!paused)
		close_left(n);
}

static void on_store_closed(struct loop_task *task)
{
	container_of(task, struct rig_node, store_closed)->closed = true;
}

static void on_stopped(struct loop_task *task)
{
	struct rig_node *n = container_of(task, struct rig_node, stopped);
	n->store_closed.run = on_store_closed;
	store_free(&n->store, &n->store_closed);
}

static bool is_closed(void *user)
{
	return ((struct rig_node *)user)->closed;
}

void rig_node_stop_begin(struct rig_node *n)
{
	if (n->stopping || n->closed)
		return;
	n->stopping = true;
	n->stopped.run = on_stopped;
	keeper_free(&n->keeper, 30 * NS_PER_SECOND, &n->stopped);
}

void rig_node_stop(struct rig_node *n)
{
	if (!n->up)
		return;
	if (n->paused)
		rig_node_pause(n, false);
	rig_node_stop_begin(n);
	CHECK(sim_run_until(&n->rig->world, is_closed, n, 600 * NS_PER_SECOND));
	n->up = false;
	sim_loop_fini(&n->loop);
}

/* --- connections --- */

static void send_what_it_can(struct recorder *r);

static struct buf *init_of(const struct recorder *r, uint64_t seq)
{
	unsigned i = r->init_count - 1;
	while (i && r->inits_from[i] > seq)
		i--;
	return r->inits[i];
}

static void reconnect_later(struct recorder *r)
{
	if (r->running || r->stubborn)
		CHECK(loop_timer_start(&r->rig->world.loop, &r->reconnect, NS_PER_SECOND / 2) == 0);
}

/* The daemon's side ends; later, since a session may be closed inside its own progress(). */
static void on_closing(struct loop_task *task)
{
	struct rig_connection *c = container_of(task, struct rig_connection, closing);
	keeper_release(&c->take);
	free_connection(c);
}

static void close_connection(struct rig_connection *c, bool seal)
{
	if (c->recorder)
		c->recorder->connection = NULL;
	c->recorder = NULL;
	if (!c->taken || loop_deferred(&c->closing))
		return; /* on_taken sees that nobody waits */
	if (c->open)
		writer_session_close(&c->session, seal);
	c->open = false;
	c->closing.run = on_closing;
	loop_defer(&c->daemon->loop.loop, &c->closing);
}

static void note_acknowledged(struct recorder *r, uint64_t durable)
{
	if (durable > r->acked)
		r->acked = durable;
	/* what an earlier connection sent may become durable before it is sent again */
	if (r->next <= r->acked)
		r->next = r->acked + 1;
	/* an acknowledged fragment is dropped: from now on only the store has it */
	for (; r->kept <= r->acked; r->kept++)
		buf_unref(&r->bodies[r->kept - 1]);
}

static void on_progress(struct writer_session *s, int failed)
{
	struct rig_connection *c = container_of(s, struct rig_connection, session);
	struct recorder *r = c->recorder;
	if (!r)
		return;
	note_acknowledged(r, s->durable);
	if (!failed) {
		send_what_it_can(r);
		return;
	}
	r->refused = failed;
	c->open = false;
	close_connection(c, false);
	reconnect_later(r);
}

static void on_taken(struct keeper_take *take)
{
	struct rig_connection *c = container_of(take, struct rig_connection, take);
	struct recorder *r = c->recorder;
	int rc = take->status;
	c->taken = !rc;
	if (r && !rc) {
		c->session = (struct writer_session){.session = r->footage.session,
			.lane = r->footage.lane,
			.from_seq = r->acked + 1,
			.progress = on_progress};
		/* as the recorder's next fragment needs it */
		rc = writer_session_open(take->writer, &c->session, init_of(r, r->acked + 1));
		c->open = !rc;
	}
	if (r && !rc) {
		note_acknowledged(r, c->session.durable);
		r->next = c->session.durable + 1;
		c->init = init_of(r, r->acked + 1);
		send_what_it_can(r);
		return;
	}
	if (r) {
		r->refused = -rc;
		r->connection = NULL;
		c->recorder = NULL;
		reconnect_later(r);
	}
	if (c->taken)
		close_connection(c, false);
	else
		free_connection(c);
}

static void connect(struct recorder *r)
{
	if (r->connection || !r->home || !r->home->up || r->home->paused || r->home->stopping) {
		if (!r->connection)
			reconnect_later(r);
		return;
	}
	struct rig_connection *c = calloc(1, sizeof(*c));
	if (!c) {
		reconnect_later(r);
		return;
	}
	c->recorder = r;
	c->daemon = r->home;
	c->take.create = r->create;
	c->take.done = on_taken;
	list_append(&r->rig->connections, &c->node);
	r->connection = c;
	keeper_take(r->home->keeper, &c->take, r->footage.stream);
}

static void on_reconnect(struct loop_timer *timer)
{
	struct recorder *r = container_of(timer, struct recorder, reconnect);
	connect(r);
}

/* --- recorders --- */

struct recorder *rig_recorder(struct rig *rig, const char *stream, uint8_t lane, uint64_t session)
{
	CHECK(rig->recorder_count < RIG_RECORDERS);
	struct recorder *r = &rig->recorders[rig->recorder_count++];
	*r = (struct recorder){.rig = rig, .create = true, .kept = 1, .window = 256u << 10};
	footage_start(&r->footage, stream, false);
	r->footage.lane = lane;
	r->footage.session = session;
	r->footage.at = rig->world.wall;
	r->footage.picture_bytes = 100;
	recorder_change_init(r);
	r->next = 1;
	return r;
}

static void recorder_make_only(struct recorder *r)
{
	if (r->made == r->room) {
		r->room = r->room ? 2 * r->room : 64;
		r->headers = realloc(r->headers, r->room * sizeof(*r->headers));
		r->bodies = realloc(r->bodies, r->room * sizeof(*r->bodies));
		CHECK(r->headers && r->bodies);
	}
	r->bodies[r->made] = footage_fragment(&r->footage, &r->headers[r->made]);
	r->made++;
}

void recorder_make_ahead(struct recorder *r, unsigned count)
{
	while (count--)
		recorder_make_only(r);
}

void recorder_make(struct recorder *r)
{
	recorder_make_only(r);
	send_what_it_can(r);
}

static int send_one(struct recorder *r, struct rig_connection *c, uint64_t seq)
{
	struct buf *kept = r->bodies[seq - 1];
	if (!kept)
		fprintf(stderr,
			"seed %llu: session %llx: %llu is asked for again, %llu was acknowledged; "
			"daemon %d\n",
			(unsigned long long)r->rig->world.seed,
			(unsigned long long)r->footage.session, (unsigned long long)seq,
			(unsigned long long)r->acked, (int)(c->daemon - r->rig->nodes));
	CHECK(kept);
	struct buf *body = r->share ? buf_ref(kept) : buf_copy(kept->data, kept->len);
	if (!body)
		return -ENOMEM;
	if (init_of(r, seq) != c->init) {
		c->init = init_of(r, seq);
		int rc = writer_init(&c->session, c->init);
		if (rc) {
			buf_unref(&body);
			return rc;
		}
	}
	/* as a receiver hands it over: the body's only reference is the slice's */
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	int rc = writer_append(
		&c->session, &r->headers[seq - 1], &slice, loop_wall(&c->daemon->loop.loop));
	slice_drop(&slice);
	return rc;
}

static void send_what_it_can(struct recorder *r)
{
	struct rig_connection *c = r->connection;
	if (!c || !c->open || c->daemon->paused || !c->daemon->up)
		return;
	while (r->next <= r->made && c->session.undurable_bytes < r->window) {
		int rc = send_one(r, c, r->next);
		if (rc) {
			r->refused = -rc;
			close_connection(c, false);
			reconnect_later(r);
			return;
		}
		r->next++;
	}
}

static void on_tick(struct loop_timer *timer)
{
	struct recorder *r = container_of(timer, struct recorder, tick);
	if (!r->running)
		return;
	CHECK(loop_timer_start(&r->rig->world.loop, &r->tick, NS_PER_SECOND) == 0);
	if (r->idle_s)
		r->idle_s--;
	else
		recorder_make(r);
	/* one that is stopped looks dead: the recorder goes elsewhere */
	if (r->connection && r->connection->daemon->paused) {
		r->connection->recorder = NULL;
		r->connection = NULL;
	}
	if (!r->connection && !loop_timer_armed(&r->reconnect))
		reconnect_later(r);
}

void recorder_go(struct recorder *r, struct rig_node *home)
{
	r->home = home;
	r->running = true;
	r->tick.fire = on_tick;
	r->reconnect.fire = on_reconnect;
	CHECK(loop_timer_start(&r->rig->world.loop, &r->tick, NS_PER_SECOND) == 0);
	connect(r);
}

void recorder_change_init(struct recorder *r)
{
	CHECK(r->init_count < ARRAY_LEN(r->inits));
	r->inits_from[r->init_count] = r->made + 1;
	r->inits[r->init_count++] = footage_init(&r->footage);
}

void recorder_reconnect_only(struct recorder *r, struct rig_node *home)
{
	r->home = home;
	recorder_reconnect(r);
}

void recorder_reconnect(struct recorder *r)
{
	r->stubborn = true;
	r->reconnect.fire = on_reconnect;
	recorder_hang_up(r, false);
	connect(r);
}

void recorder_hang_up(struct recorder *r, bool seal)
{
	struct rig_connection *c = r->connection;
	loop_timer_stop(&r->reconnect);
	if (c && c->daemon->paused) {
		c->recorder = NULL;
		r->connection = NULL;
	} else if (c) {
		close_connection(c, seal);
	}
}

static bool is_drained(void *user)
{
	struct recorder *r = user;
	return r->acked == r->made;
}

bool recorder_drain(struct recorder *r, int64_t limit_ns)
{
	return sim_run_until(&r->rig->world, is_drained, r, limit_ns);
}

static bool is_open(void *user)
{
	struct recorder *r = user;
	return r->connection && r->connection->open;
}

bool recorder_wait_open(struct recorder *r, int64_t limit_ns)
{
	return sim_run_until(&r->rig->world, is_open, r, limit_ns);
}

struct writer *recorder_writer(const struct recorder *r)
{
	return r->connection && r->connection->taken ? r->connection->take.writer : NULL;
}
