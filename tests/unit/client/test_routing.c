/* SPDX-License-Identifier: Apache-2.0 */
/* The client side of a cluster on virtual time: the map, its owners, and what happens when they die,
 * hang, come back, or speak of one another. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/errors.h"
#include "client/peer.h"
#include "client/request.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/fake_node.h"

#define STREAMS 2000

static struct sim_world world;
static struct sim_loop loop;
static struct model_net *net;
static struct router router;
static struct fake_map map;
static struct fake_node nodes[3]; /* one, two, three */
static bool stopped;

/* A recorder as the router sees it: opens again whatever happens. */
static struct stream {
	struct exchange x;
	struct loop_timer pause;
	char camera[32], name[48];
	const char *daemon; /* that opened it; NULL: not open */
	struct mono opened_at;
	unsigned losses;
	int last_loss;
} streams[STREAMS];

static void stream_pause(struct stream *s, int64_t ns)
{
	s->daemon = NULL;
	if (loop_timer_start(&loop.loop, &s->pause, ns) < 0)
		exchange_start(&router, &s->x);
}

static void stream_ready(struct exchange *x)
{
	struct stream *s = container_of(x, struct stream, x);
	Steppe__Wire__Open open = STEPPE__WIRE__OPEN__INIT;
	s->daemon = NULL;
	open.stream = s->name;
	open.map_epoch = router_map_epoch(&router);
	if (exchange_send(x, FRAME_OPEN, &open.base, NULL) == -ENOMEM) {
		exchange_stop(x, false);
		stream_pause(s, 500 * NS_PER_MS);
	}
}

static void stream_frame(struct exchange *x, const struct frame *frame)
{
	struct stream *s = container_of(x, struct stream, x);
	if (frame->header.type == FRAME_OPENED) {
		s->daemon = exchange_daemon(x);
		s->opened_at = world.now;
	} else {
		assert_int_equal(frame->header.type, FRAME_REFUSED);
		stream_pause(s, 500 * NS_PER_MS);
	}
}

static void stream_lost(struct exchange *x, int status)
{
	struct stream *s = container_of(x, struct stream, x);
	s->losses++;
	s->last_loss = status;
	s->daemon = NULL;
	if (status == -ECANCELED)
		return;
	if (status == -ELOOP || status == -EHOSTUNREACH || status == -ENOMEM)
		stream_pause(s, 500 * NS_PER_MS);
	else
		exchange_start(&router, x);
}

static void stream_paused(struct loop_timer *timer)
{
	exchange_start(&router, &container_of(timer, struct stream, pause)->x);
}

static const struct exchange_ops stream_ops = {
	.ready = stream_ready, .frame = stream_frame, .lost = stream_lost};

static void stream_start(struct stream *s, const char *camera)
{
	*s = (struct stream){.x.ops = &stream_ops, .pause.fire = stream_paused};
	snprintf(s->camera, sizeof(s->camera), "%s", camera);
	snprintf(s->name, sizeof(s->name), "%s/main", camera);
	s->x.camera = s->camera;
	exchange_start(&router, &s->x);
}

static void stream_stop(struct stream *s)
{
	loop_timer_stop(&s->pause);
	exchange_stop(&s->x, true);
	s->x.ops = NULL;
	s->daemon = NULL;
}

/* A question, as requests ask it. */
static struct ask {
	struct request request;
	Steppe__Wire__Timeline timeline;
	char camera[32], name[48];
	bool done;
	int status;
	struct mono began, ended;
	char daemon[64];
} ask;

static int ask_answer(struct request *r, const struct frame *frame)
{
	struct ask *a = container_of(r, struct ask, request);
	assert_int_equal(frame->header.type, FRAME_TIMELINE_REPLY);
	snprintf(a->daemon, sizeof(a->daemon), "%s", exchange_daemon(&r->exchange));
	return 1;
}

static void ask_done(struct request *r, int status)
{
	struct ask *a = container_of(r, struct ask, request);
	a->done = true;
	a->status = status;
	a->ended = world.now;
}

static void ask_start(const char *camera)
{
	ask = (struct ask){.began = world.now};
	snprintf(ask.camera, sizeof(ask.camera), "%s", camera);
	snprintf(ask.name, sizeof(ask.name), "%s/main", camera);
	steppe__wire__timeline__init(&ask.timeline);
	ask.timeline.stream = ask.name;
	ask.request.type = FRAME_TIMELINE;
	ask.request.meta = &ask.timeline.base;
	ask.request.camera = ask.camera;
	ask.request.any = &ask.timeline.any;
	ask.request.answer = ask_answer;
	ask.request.done = ask_done;
	request_start(&router, &ask.request);
}

static bool ask_is_done(void *user)
{
	(void)user;
	return ask.done;
}

/* Milliseconds that it took; fails the test when there is no good answer. */
static int64_t ask_for(const char *camera)
{
	ask_start(camera);
	assert_true(sim_run_until(&world, ask_is_done, NULL, 60 * NS_PER_SECOND));
	assert_int_equal(ask.status, 0);
	return (ask.ended.ns - ask.began.ns) / NS_PER_MS;
}

/* --- the stage --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	static const struct model_party party = {
		.name = "client", .roles = ROLE_RECORDER, .boot_nonce = 5};
	(void)owner;
	return model_dial(net, &loop.loop, address, &party, user);
}

static void begin_with(uint64_t seed, const char *const *addresses)
{
	static const char *const names[] = {"one", "two", "three"};
	sim_world_init(&world, seed);
	sim_loop_init(&loop, &world);
	net = model_net_new();
	assert_non_null(net);
	map = (struct fake_map){.epoch = 1, .count = 3};
	for (size_t i = 0; i < 3; i++) {
		map.names[i] = names[i];
		node_start(&nodes[i], &world, net, names[i], &map);
	}
	const struct router_ops ops = {.dial = dial};
	assert_int_equal(router_init(&router, &loop.loop, &ops, addresses), 0);
}

static void begin(uint64_t seed)
{
	static const char *const addresses[] = {"one:1", NULL};
	begin_with(seed, addresses);
}

static void on_stopped(struct loop_task *task)
{
	(void)task;
	stopped = true;
}

static bool is_stopped(void *user)
{
	(void)user;
	return stopped;
}

static void finish(void)
{
	struct loop_task task = {.run = on_stopped};
	stopped = false;
	for (size_t i = 0; i < STREAMS; i++)
		if (streams[i].x.ops)
			stream_stop(&streams[i]);
	request_stop(&ask.request);
	router_stop(&router, &task);
	assert_true(sim_run_until(&world, is_stopped, NULL, 60 * NS_PER_SECOND));
	router_fini(&router);
	for (size_t i = 0; i < 3; i++)
		node_stop(&nodes[i]);
	model_net_free(&net);
	sim_loop_fini(&loop);
	sim_world_fini(&world);
}

static void run_s(int64_t seconds)
{
	sim_run_for(&world, seconds * NS_PER_SECOND);
}

static struct fake_node *node_of(const char *name)
{
	return &nodes[fake_map_index(&map, name)];
}

static void expect_at(const struct stream *s, const char *name)
{
	char address[64];
	snprintf(address, sizeof(address), "%s:1", name);
	assert_non_null(s->daemon);
	assert_string_equal(s->daemon, address);
}

/* --- the map --- */

static void test_the_owner_at_once(void **state)
{
	(void)state;
	begin(1);
	for (unsigned i = 0; i < 300; i++) {
		char camera[32];
		snprintf(camera, sizeof(camera), "cam-%u", i);
		stream_start(&streams[i], camera);
	}
	run_s(5);
	for (unsigned i = 0; i < 300; i++)
		expect_at(&streams[i], fake_map_owner(&map, streams[i].camera));
	unsigned maps = 0;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(nodes[i].redirected, 0);
		assert_int_equal(nodes[i].connections, 1);
		assert_int_equal(nodes[i].map_epoch, 1);
		maps += nodes[i].maps;
	}
	/* once; the others are asked for a sign of life, as nothing comes on these channels */
	assert_int_equal(nodes[0].maps + nodes[1].maps + nodes[2].maps, maps);
	assert_in_range(maps, 1, 10);
	finish();
}

static void test_older_daemons(void **state)
{
	(void)state;
	begin(2);
	for (unsigned i = 0; i < 3; i++)
		nodes[i].map = NULL;
	stream_start(&streams[0], "cam-1");
	run_s(1);
	expect_at(&streams[0], "one");
	assert_true(ask_for("cam-2") < 100);
	assert_int_equal(nodes[0].map_epoch, 0);
	assert_int_equal(nodes[0].maps, 1);
	/* by redirects alone */
	nodes[0].redirects = "two:1";
	stream_start(&streams[1], "cam-3");
	run_s(1);
	expect_at(&streams[1], "two");
	nodes[0].redirects = NULL;
	finish();
}

static void test_a_daemon_that_has_no_map_yet(void **state)
{
	(void)state;
	begin(3);
	map.count = 0;
	nodes[0].redirects = "one:1"; /* it does not know either */
	stream_start(&streams[0], "cam-1");
	run_s(3);
	assert_null(streams[0].daemon);
	assert_int_equal(streams[0].last_loss, -EHOSTUNREACH);
	map.count = 3;
	map.epoch = 2;
	nodes[0].redirects = NULL;
	run_s(6);
	expect_at(&streams[0], fake_map_owner(&map, "cam-1"));
	finish();
}

/* No answer to MAP: what waits goes without. */
static void test_a_map_that_does_not_come(void **state)
{
	(void)state;
	begin(4);
	nodes[0].map = NULL;
	nodes[0].ignores_maps = true;
	for (unsigned i = 0; i < 10; i++)
		assert_true(ask_for("cam-1") < (i ? 50 : 600));
	run_s(5);
	assert_int_equal(nodes[0].maps, 1);
	finish();
}

static void test_a_redirect_tells_of_a_newer_map(void **state)
{
	(void)state;
	begin(5);
	const char *moved = fake_map_camera(&map, "two", 0),
		   *other = fake_map_camera(&map, "two", 1);
	stream_start(&streams[0], fake_map_camera(&map, "one", 0));
	run_s(1);
	fake_map_set(&map, "two", false); /* it drains: it answers still */
	stream_start(&streams[1], moved);
	run_s(1);
	expect_at(&streams[1], fake_map_owner(&map, moved));
	assert_int_equal(router_map_epoch(&router), 2);
	assert_int_equal(nodes[1].redirected, 1);
	stream_start(&streams[2], other);
	run_s(1);
	expect_at(&streams[2], fake_map_owner(&map, other));
	assert_int_equal(nodes[1].redirected, 1);
	finish();
}

/* A daemon that has not read the newest map sends the client back and forth for a moment. */
static void test_a_stale_map(void **state)
{
	(void)state;
	begin(6);
	const char *camera = fake_map_camera(&map, "two", 0);
	struct fake_map old = map;
	stream_start(&streams[0], fake_map_camera(&map, "one", 0));
	run_s(1);
	fake_map_set(&map, "two", false);
	const char *heir = fake_map_owner(&map, camera);
	node_of(heir)->map = &old;
	stream_start(&streams[1], camera);
	run_s(2);
	assert_null(streams[1].daemon);
	unsigned opens = nodes[0].opens + nodes[1].opens + nodes[2].opens;
	run_s(3);
	/* in circles, but not fast */
	assert_true(nodes[0].opens + nodes[1].opens + nodes[2].opens - opens <= 70);
	assert_int_equal(router_map_epoch(&router), 2); /* an older one is not taken again */
	node_of(heir)->map = &map;
	run_s(1);
	expect_at(&streams[1], heir);
	finish();
}

/* --- owners die --- */

static void test_the_owner_dies(void **state)
{
	(void)state;
	for (uint64_t seed = 10; seed < 20; seed++) {
		begin(seed);
		const char *camera = fake_map_camera(&map, "two", 0);
		stream_start(&streams[0], camera);
		run_s(5);
		expect_at(&streams[0], "two");
		node_kill(&nodes[1]);
		sim_run_for(&world, 700 * NS_PER_MS);
		unsigned maps = nodes[0].maps + nodes[2].maps;
		assert_in_range(maps, 1, 8);
		fake_map_set(&map, "two", false);
		struct mono known = world.now;
		run_s(3);
		expect_at(&streams[0], fake_map_owner(&map, camera));
		assert_true(streams[0].opened_at.ns - known.ns < 1600 * NS_PER_MS);
		/* and once all is well again nobody is asked any more but for signs of life */
		maps = nodes[0].maps + nodes[2].maps;
		run_s(30);
		assert_true(nodes[0].maps + nodes[2].maps - maps <= 21);
		node_revive(&nodes[1]);
		fake_map_set(&map, "two", true);
		run_s(3);
		/* its holder sends it back when it has to */
		expect_at(&streams[0], fake_map_owner(&(struct fake_map){.epoch = 1,
							      .count = 3,
							      .names = {"one", "two", "three"},
							      .dead = {false, true, false}},
					       camera));
		finish();
	}
}

static int64_t most_opens_in(int64_t window_ns)
{
	int64_t most = 0;
	for (unsigned n = 0; n < 3; n++)
		for (unsigned i = 0, first = 0; i < nodes[n].opens; i++) {
			while (nodes[n].opened[i].ns - nodes[n].opened[first].ns >= window_ns)
				first++;
			most = i - first + 1 > most ? i - first + 1 : most;
		}
	return most;
}

static unsigned open_streams(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < STREAMS; i++)
		count += streams[i].daemon != NULL;
	return count;
}

static void test_no_stampede(void **state)
{
	(void)state;
	begin(20);
	for (unsigned i = 0; i < STREAMS; i++)
		stream_start(&streams[i], fake_map_camera(&map, "two", i));
	run_s(10);
	assert_int_equal(open_streams(), STREAMS);
	assert_int_equal(nodes[1].opens, STREAMS);
	assert_int_equal(nodes[1].connections, 1);
	assert_true(most_opens_in(100 * NS_PER_MS) <= 400);
	/* dead, and nobody has noticed: one daemon dials it, more and more seldom */
	uint64_t dials = model_net_counts(net).dials;
	unsigned maps = nodes[0].maps + nodes[2].maps;
	node_kill(&nodes[1]);
	run_s(60);
	assert_int_equal(open_streams(), 0);
	assert_in_range(model_net_counts(net).dials - dials, 8, 20);
	assert_in_range(nodes[0].maps + nodes[2].maps - maps, 15, 80);
	assert_int_equal(nodes[0].opens + nodes[2].opens, 0);
	/* its streams go to the two others, a few at a time */
	fake_map_set(&map, "two", false);
	run_s(20);
	assert_int_equal(open_streams(), STREAMS);
	assert_true(nodes[0].opens > STREAMS / 3 && nodes[2].opens > STREAMS / 3);
	assert_int_equal(nodes[0].opens + nodes[2].opens, STREAMS);
	assert_true(most_opens_in(100 * NS_PER_MS) <= 400);
	/* and the same when one comes back at once */
	node_kill(&nodes[2]);
	node_revive(&nodes[2]);
	unsigned before = nodes[2].opens;
	run_s(10);
	assert_int_equal(open_streams(), STREAMS);
	assert_int_equal(nodes[2].opens - before, before);
	assert_true(most_opens_in(100 * NS_PER_MS) <= 400);
	finish();
}

/* The channel stands, but nothing comes: the map of another tells. */
static void test_the_owner_hangs(void **state)
{
	(void)state;
	for (uint64_t seed = 30; seed < 40; seed++) {
		begin(seed);
		const char *camera = fake_map_camera(&map, "three", 0);
		stream_start(&streams[0], camera);
		run_s(5);
		expect_at(&streams[0], "three");
		struct mono hung = world.now;
		model_net_hang(net, "three", true);
		run_s(4);
		fake_map_set(&map, "three", false);
		run_s(4);
		expect_at(&streams[0], fake_map_owner(&map, camera));
		assert_true(streams[0].opened_at.ns - hung.ns < 7 * NS_PER_SECOND);
		assert_int_equal(streams[0].last_loss, -ETIMEDOUT);
		/* the zombie learns that it is not wanted any more */
		model_net_hang(net, "three", false);
		run_s(1);
		assert_int_equal(nodes[2].stops, 1);
		finish();
	}
}

/* It answers MAP, but has not the newest and does nothing else: cut off from the store. */
static void test_the_owner_is_cut_off(void **state)
{
	(void)state;
	begin(40);
	struct fake_map old = map;
	const char *camera = fake_map_camera(&map, "three", 0);
	nodes[2].map = &old;
	stream_start(&streams[0], camera);
	run_s(5);
	fake_map_set(&map, "three", false);
	run_s(5);
	expect_at(&streams[0], "three");
	exchange_doubt(&streams[0].x, true);
	run_s(2);
	expect_at(&streams[0], fake_map_owner(&map, camera));
	assert_int_equal(streams[0].last_loss, -ETIMEDOUT);
	/* a doubt that proves wrong costs nothing */
	exchange_doubt(&streams[0].x, true);
	run_s(3);
	exchange_doubt(&streams[0].x, false);
	unsigned maps = nodes[0].maps + nodes[1].maps, losses = streams[0].losses;
	run_s(10);
	assert_int_equal(streams[0].losses, losses);
	assert_true(nodes[0].maps + nodes[1].maps - maps <= 8);
	finish();
}

static void test_not_owner(void **state)
{
	(void)state;
	begin(41);
	const char *camera = fake_map_camera(&map, "two", 0);
	stream_start(&streams[0], camera);
	run_s(1);
	nodes[1].refuse = REFUSAL_NOT_OWNER; /* a zombie that has just learned it */
	model_net_reset(net, "two");
	fake_map_set(&map, "two", false);
	run_s(3);
	expect_at(&streams[0], fake_map_owner(&map, camera));
	finish();
}

static void test_redirects_in_circles(void **state)
{
	(void)state;
	begin(42);
	for (unsigned i = 0; i < 3; i++)
		nodes[i].map = NULL;
	nodes[0].redirects = "two:1";
	nodes[1].redirects = "one:1";
	stream_start(&streams[0], "cam-1");
	run_s(10);
	assert_null(streams[0].daemon);
	assert_int_equal(streams[0].last_loss, -ELOOP);
	assert_true(nodes[0].opens + nodes[1].opens <= 10 * 2 * 10);
	nodes[1].redirects = NULL;
	run_s(1);
	expect_at(&streams[0], "two");
	/* where nobody is */
	nodes[0].redirects = "nowhere:1";
	nodes[1].redirects = "nowhere:1";
	model_net_reset(net, "two");
	run_s(10);
	assert_null(streams[0].daemon);
	nodes[0].redirects = nodes[1].redirects = "not an address";
	run_s(10);
	assert_null(streams[0].daemon);
	assert_int_equal(streams[0].last_loss, -EHOSTUNREACH);
	finish();
}

/* --- reads --- */

static void test_reads_go_elsewhere(void **state)
{
	(void)state;
	begin(50);
	const char *camera = fake_map_camera(&map, "two", 0);
	assert_true(ask_for(camera) < 100);
	assert_string_equal(ask.daemon, "two:1");
	assert_int_equal(nodes[1].anys, 0);
	/* dead */
	node_kill(&nodes[1]);
	assert_true(ask_for(camera) < 2000);
	assert_int_equal(nodes[0].anys + nodes[2].anys, 1);
	assert_true(ask_for(camera) < 50); /* known by now */
	/* back */
	node_revive(&nodes[1]);
	run_s(15);
	(void)ask_for(camera);
	run_s(2);
	assert_true(ask_for(camera) < 50);
	assert_string_equal(ask.daemon, "two:1");
	/* hung */
	model_net_hang(net, "two", true);
	assert_true(ask_for(camera) < 5000);
	assert_string_not_equal(ask.daemon, "two:1");
	assert_true(ask_for(camera) < 50);
	model_net_hang(net, "two", false);
	run_s(5);
	assert_true(ask_for(camera) < 50);
	assert_string_equal(ask.daemon, "two:1");
	finish();
}

/* A client that has never seen it: the map says alive, a machine without power does not answer. */
static void test_reads_of_an_owner_never_reached(void **state)
{
	(void)state;
	begin(51);
	model_net_cut(net, "client", "two", true);
	assert_true(ask_for(fake_map_camera(&map, "two", 0)) < 3000);
	assert_int_equal(nodes[0].anys + nodes[2].anys, 1);
	finish();
}

/* Without a map: who redirects to the dead is asked to answer itself. */
static void test_reads_by_redirects_alone(void **state)
{
	(void)state;
	begin(52);
	nodes[0].map = NULL;
	nodes[0].redirects = "two:1";
	node_kill(&nodes[1]);
	ask_start("cam-1");
	run_s(3);
	assert_false(ask.done);
	assert_true(nodes[0].anys > 0);
	nodes[0].redirects = NULL; /* now it does */
	assert_true(sim_run_until(&world, ask_is_done, NULL, 30 * NS_PER_SECOND));
	assert_int_equal(ask.status, 0);
	finish();
}

/* What the map calls a daemon cannot be reached from here; what the caller calls it can. */
static void test_a_daemon_under_another_name(void **state)
{
	(void)state;
	begin(53);
	map.addresses = "nowhere";
	stream_start(&streams[0], fake_map_camera(&map, "one", 0));
	run_s(2);
	expect_at(&streams[0], "one");
	assert_true(ask_for(fake_map_camera(&map, "one", 1)) < 50);
	assert_int_equal(nodes[0].connections, 1);
	finish();
	/* each is tried, to see who it is */
	static const char *const addresses[] = {"one:1", "three:1", "two:1", NULL};
	begin_with(55, addresses);
	map.addresses = "nowhere";
	for (unsigned i = 0; i < 3; i++)
		stream_start(&streams[i], fake_map_camera(&map, map.names[i], 0));
	run_s(3);
	for (unsigned i = 0; i < 3; i++)
		expect_at(&streams[i], map.names[i]);
	finish();
}

static void test_asking_a_certain_daemon(void **state)
{
	(void)state;
	begin(54);
	const char *camera = fake_map_camera(&map, "two", 0);
	(void)ask_for(camera);
	nodes[2].map = NULL;
	ask_start(camera);
	request_stop(&ask.request);
	ask.request.at = "three:1";
	request_start(&router, &ask.request);
	run_s(1);
	assert_int_equal(ask.status, 0);
	assert_string_equal(ask.daemon, "three:1");
	node_kill(&nodes[2]);
	ask.done = false;
	request_start(&router, &ask.request);
	run_s(5);
	assert_true(ask.done);
	assert_string_equal(ask.daemon, "two:1");
	finish();
}

static void test_one_of_the_addresses_is_dead(void **state)
{
	(void)state;
	static const char *const addresses[] = {"three:1", "nowhere:1", "two:1", NULL};
	for (uint64_t seed = 60; seed < 80; seed++) {
		begin_with(seed, addresses);
		if (seed % 2)
			node_kill(&nodes[2]);
		else
			model_net_cut(net, "client", "three", true);
		ask_start("cam-1");
		request_stop(&ask.request);
		ask.request.camera = NULL; /* as status asks: whoever is there */
		nodes[1].map = NULL;
		ask.began = world.now;
		request_start(&router, &ask.request);
		assert_true(sim_run_until(&world, ask_is_done, NULL, 60 * NS_PER_SECOND));
		assert_int_equal(ask.status, 0);
		assert_string_equal(ask.daemon, "two:1");
		assert_true(ask.ended.ns - ask.began.ns < 4 * NS_PER_SECOND);
		finish();
	}
}

/* --- limits --- */

static void test_unused_daemons_are_left(void **state)
{
	(void)state;
	begin(90);
	for (unsigned i = 0; i < 3; i++)
		(void)ask_for(fake_map_camera(&map, map.names[i], 0));
	assert_int_equal(nodes[1].open_connections + nodes[2].open_connections, 2);
	run_s(59);
	assert_int_equal(nodes[1].open_connections + nodes[2].open_connections, 2);
	run_s(10);
	assert_int_equal(nodes[1].open_connections + nodes[2].open_connections, 0);
	assert_int_equal(nodes[0].open_connections, 1); /* the caller named it */
	assert_int_equal(router.peer_count, 3);
	run_s(70);
	assert_int_equal(router.peer_count, 1);
	assert_true(ask_for(fake_map_camera(&map, "two", 0)) < 100);
	/* asked again while it is being left */
	for (unsigned ms = 59000; ms < 61000; ms += 7) {
		(void)ask_for(fake_map_camera(&map, "two", 0));
		sim_run_for(&world, ms * NS_PER_MS);
	}
	finish();
}

static void test_peers_make_room(void **state)
{
	(void)state;
	begin(91);
	for (unsigned i = 0; i < 2 * ROUTER_PEERS_MAX; i++) {
		char address[32];
		snprintf(address, sizeof(address), "node-%u:1", i);
		assert_non_null(peer_get(&router, address, false));
		assert_true(router.peer_count <= ROUTER_PEERS_MAX);
	}
	assert_true(ask_for("cam-1") < 100);
	finish();
}

static void test_short_of_memory(void **state)
{
	(void)state;
	bool failed = true;
	for (unsigned k = 0; failed; k++) {
		begin(100 + k);
		alloc_fail_after(k, ALLOC_FAIL_ONCE);
		for (unsigned i = 0; i < 6; i++) {
			char camera[32];
			snprintf(camera, sizeof(camera), "cam-%u", i);
			stream_start(&streams[i], camera);
		}
		run_s(2);
		alloc_fail_suspend(true);
		node_kill(&nodes[1]);
		fake_map_set(&map, "two", false);
		alloc_fail_suspend(false);
		run_s(3);
		ask_start("cam-1");
		run_s(1);
		failed = alloc_fail_stop();
		run_s(30); /* it gets over it */
		assert_int_equal(open_streams(), 6);
		assert_true(ask.done);
		finish();
	}
}

static void test_stopped_at_any_moment(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 60; ms++) {
		begin(200 + ms);
		if (ms % 3 == 1)
			nodes[0].mute = true;
		for (unsigned i = 0; i < 40; i++)
			stream_start(&streams[i], fake_map_camera(&map, "two", i));
		sim_run_for(&world, ms * NS_PER_MS / 2);
		if (ms % 3 == 2)
			node_kill(&nodes[1]);
		sim_run_for(&world, ms * NS_PER_MS / 2);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_owner_at_once),
		cmocka_unit_test(test_older_daemons),
		cmocka_unit_test(test_a_daemon_that_has_no_map_yet),
		cmocka_unit_test(test_a_map_that_does_not_come),
		cmocka_unit_test(test_a_redirect_tells_of_a_newer_map),
		cmocka_unit_test(test_a_stale_map),
		cmocka_unit_test(test_the_owner_dies),
		cmocka_unit_test(test_no_stampede),
		cmocka_unit_test(test_the_owner_hangs),
		cmocka_unit_test(test_the_owner_is_cut_off),
		cmocka_unit_test(test_not_owner),
		cmocka_unit_test(test_redirects_in_circles),
		cmocka_unit_test(test_reads_go_elsewhere),
		cmocka_unit_test(test_reads_of_an_owner_never_reached),
		cmocka_unit_test(test_reads_by_redirects_alone),
		cmocka_unit_test(test_a_daemon_under_another_name),
		cmocka_unit_test(test_asking_a_certain_daemon),
		cmocka_unit_test(test_one_of_the_addresses_is_dead),
		cmocka_unit_test(test_unused_daemons_are_left),
		cmocka_unit_test(test_peers_make_room),
		cmocka_unit_test(test_short_of_memory),
		cmocka_unit_test(test_stopped_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
