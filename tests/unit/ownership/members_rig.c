/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ownership/members_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

/* What killed nodes leave behind stays reachable: a killed process has no leaks. */
static struct members *graveyard[4096];
static size_t buried;

/* --- what a daemon serves: the map --- */

static void on_accept_ready(
	struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)user;
	(void)peer;
}

static void on_accept_frame(
	struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct rig_node *n = container_of(user, struct rig_node, server);
	if (frame->header.type != FRAME_MAP)
		return;
	Steppe__Wire__Map *ask =
		steppe__wire__map__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!ask)
		return;
	Steppe__Wire__MapReply reply = STEPPE__WIRE__MAP_REPLY__INIT;
	Steppe__Wire__ClusterMap map = STEPPE__WIRE__CLUSTER_MAP__INIT;
	const struct cluster_map *mine = n->members ? members_map(n->members) : NULL;
	map.epoch = mine ? mine->epoch : 0;
	reply.map = &map;
	(void)channel_send(ch, FRAME_MAP_REPLY, frame->header.stream, &reply.base, NULL, 0);
	if (n->members)
		members_heard(n->members, ask->have_epoch);
	steppe__wire__map__free_unpacked(ask, NULL);
}

static void on_accept_closed(
	struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)user;
	(void)status;
	(void)words;
}

static struct channel_user *accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	(void)ch;
	return &((struct rig_node *)owner)->server;
}

/* --- what members are handed --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	struct rig_node *n = owner;
	return model_dial(n->rig->net, &n->loop.loop, address, &n->party, user);
}

static void load(void *owner, struct members_load *to)
{
	*to = ((struct rig_node *)owner)->load;
}

static void changed(void *owner, const struct cluster_map *map)
{
	struct rig_node *n = owner;
	assert_non_null(map);
	n->maps++;
}

static void expelled(void *owner, int status, const char *words)
{
	struct rig_node *n = owner;
	assert_non_null(words);
	n->expelled = status;
	n->expulsions++;
}

static void on_joined(struct members_join *join)
{
	struct rig_node *n = container_of(join, struct rig_node, join);
	if (!join->status)
		assert_int_equal(n->maps, 1); /* before done() */
	n->joins++;
}

int rig_start(struct rig *rig, unsigned i, unsigned id)
{
	static const struct members_ops ops = {
		.dial = dial, .load = load, .changed = changed, .expelled = expelled};
	struct rig_node *n = &rig->nodes[i];
	uint64_t features = n->features;
	*n = (struct rig_node){.rig = rig, .lives = true, .features = features};
	n->server = (struct channel_user){
		.ready = on_accept_ready, .frame = on_accept_frame, .closed = on_accept_closed};
	snprintf(n->id, sizeof(n->id), "n%u", id);
	snprintf(n->address, sizeof(n->address), "h%u:1", i);
	n->addresses[0] = n->address;
	n->party = (struct model_party){.name = n->address,
		.roles = ROLE_NODE,
		.node = n->id,
		.boot_nonce = sim_random(&rig->world) | 1};
	sim_loop_init(&n->loop, &rig->world);
	n->store = store_new(rig->store, &n->loop.loop);
	n->listener = model_listen(rig->net, &n->loop.loop, n->address, &n->party, accepted);
	if (!n->store || !n->listener)
		return -1;
	model_listener_set_owner(n->listener, n);
	const struct members_config config = {.loop = &n->loop.loop,
		.store = n->store,
		.ops = &ops,
		.owner = n,
		.node = n->id,
		.boot_nonce = n->party.boot_nonce,
		.addresses = n->addresses,
		.rack = "",
		.software = "model",
		.features = features ? features : 7,
		.format_level = 1,
		.alone = rig->alone};
	if (members_new(&config, &n->members))
		return -1;
	n->join.done = on_joined;
	members_join(n->members, &n->join);
	assert_int_equal(n->joins, 0); /* never inside the call */
	return 0;
}

static bool has_answered(void *user)
{
	return ((struct rig_node *)user)->joins > 0;
}

int rig_join(struct rig *rig, unsigned i)
{
	assert_int_equal(rig_start(rig, i, i), 0);
	assert_true(sim_run_until(&rig->world, has_answered, &rig->nodes[i], 120 * NS_PER_SECOND));
	assert_int_equal(rig->nodes[i].joins, 1);
	return rig->nodes[i].join.status;
}

static void on_closed(struct loop_task *task)
{
	container_of(task, struct rig_node, end)->closed = true;
}

static void on_stopped(struct loop_task *task)
{
	struct rig_node *n = container_of(task, struct rig_node, end);
	n->stopped = true;
	n->end.run = on_closed;
	store_free(&n->store, &n->end);
}

static bool is_closed(void *user)
{
	return ((struct rig_node *)user)->closed;
}

void rig_stop(struct rig *rig, unsigned i)
{
	struct rig_node *n = &rig->nodes[i];
	if (!n->lives)
		return;
	n->end.run = on_stopped;
	if (n->members) {
		members_free(&n->members, &n->end);
		assert_null(n->members);
		assert_false(n->stopped);
	} else if (n->store) {
		n->end.run = on_closed;
		store_free(&n->store, &n->end);
	} else {
		n->closed = true;
	}
	if (!sim_run_until(&rig->world, is_closed, n, 300 * NS_PER_SECOND))
		fail_msg("node %u does not stop (seed %llu)", i,
			(unsigned long long)rig->world.seed);
	n->lives = false;
	model_net_kill(rig->net, n->address);
	rig_run(rig, 10);
	sim_loop_fini(&n->loop);
}

void rig_kill(struct rig *rig, unsigned i)
{
	struct rig_node *n = &rig->nodes[i];
	n->lives = false;
	graveyard[buried++ % ARRAY_LEN(graveyard)] = n->members;
	n->members = NULL;
	model_net_kill(rig->net, n->address);
	sim_loop_kill(&n->loop);
	store_model_kill(&n->store);
	sim_loop_fini(&n->loop);
}

void rig_pause(struct rig *rig, unsigned i, bool paused)
{
	model_net_hang(rig->net, rig->nodes[i].address, paused);
	sim_loop_pause(&rig->nodes[i].loop, paused);
}

void rig_run(struct rig *rig, int64_t ms)
{
	sim_run_for(&rig->world, ms * NS_PER_MS);
}

int rig_alive(struct rig *rig, unsigned by, unsigned of)
{
	const struct cluster_map *map = members_map(rig->nodes[by].members);
	char id[16];
	snprintf(id, sizeof(id), "n%u", of);
	int index = map ? cluster_map_find(map, id) : -1;
	return index < 0 ? -1 : map->nodes[index].alive;
}

int64_t rig_until_alive(struct rig *rig, unsigned by, unsigned of, int alive, int64_t limit_ms)
{
	for (int64_t ms = 0; ms <= limit_ms; ms += 10) {
		if (rig_alive(rig, by, of) == alive)
			return ms;
		rig_run(rig, 10);
	}
	return -1;
}

struct asking {
	struct members_survey survey;
	int leader;
	bool done;
};

static void on_survey(struct members_survey *survey)
{
	struct asking *a = container_of(survey, struct asking, survey);
	unsigned number;
	a->done = true;
	a->leader =
		!survey->status && sscanf(survey->leader, "n%u", &number) == 1 ? (int)number : -1;
	cluster_map_unref(&survey->map);
}

static bool was_surveyed(void *user)
{
	return ((struct asking *)user)->done;
}

int rig_leader(struct rig *rig, unsigned by)
{
	struct asking a = {.survey = {.done = on_survey}};
	members_survey(rig->nodes[by].members, &a.survey);
	assert_true(sim_run_until(&rig->world, was_surveyed, &a, 60 * NS_PER_SECOND));
	return a.leader;
}

uint64_t rig_epoch(struct rig *rig, unsigned by)
{
	return members_map(rig->nodes[by].members)->epoch;
}

void rig_init(struct rig *rig, uint64_t seed)
{
	memset(rig, 0, sizeof(*rig));
	log_set_level(LOG_ERROR);
	sim_world_init(&rig->world, seed);
	rig->store = store_model_new(&rig->world, NULL);
	rig->net = model_net_new();
	assert_non_null(rig->store);
	assert_non_null(rig->net);
}

void rig_fini(struct rig *rig)
{
	store_model_stall(rig->store, NULL, false);
	for (unsigned i = 0; i < RIG_NODES; i++)
		rig_stop(rig, i);
	rig_run(rig, 10000);
	model_net_free(&rig->net);
	store_backend_close(&rig->store);
	sim_world_fini(&rig->world);
}
