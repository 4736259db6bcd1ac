/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon as one of a cluster: members on loop 0, the map handed to every loop, questions of
 * sessions answered, and the way out:
 *
 *	told to stop -> out of the map -> every loop moves its streams away -> members end -> loops stop */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/errors.h"
#include "proto/address.h"
#include "proto/cluster_draft.h"
#include "storaged/metrics.h"
#include "storaged/server_impl.h"
#include "storaged/version.h"

#define FEATURES       0 /* none yet beyond format level 1 */
#define DIAL_MS        3000
#define LEAVE_SHARE(x) ((x) / 2) /* of stop_timeout; the rest is for what could not be moved */

static struct loop *main_loop(struct server *s)
{
	return &s->loops[0].uv.loop;
}

/* --- what members ask --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	struct server *s = owner;
	const struct link_options options = {.connect_ms = DIAL_MS, .expect_roles = ROLE_NODE};
	pthread_mutex_lock(&s->identity_lock);
	struct tls_identity *id = tls_identity_ref(s->identity);
	pthread_mutex_unlock(&s->identity_lock);
	struct channel *ch = link_connect(&s->loops[0].uv, address, id, &s->hello, &options, user);
	tls_identity_unref(&id);
	return ch;
}

static void load(void *owner, struct members_load *to)
{
	struct server *s = owner;
	struct server_cluster *c = &s->members;
	struct mono now = loop_now(main_loop(s));
	uint64_t bytes = metrics_get(METRIC_INGEST_BYTES);
	int64_t passed_ns = now.ns - c->counted_at.ns;
	to->streams = (uint32_t)metrics_get(METRIC_STREAMS_OWNED);
	to->connections = (uint32_t)metrics_get(METRIC_CONNECTIONS);
	if (c->counted_at.ns && passed_ns > 0)
		to->kbps = (bytes - c->counted_bytes) * 8 * 1000000 / (uint64_t)passed_ns;
	c->counted_bytes = bytes;
	c->counted_at = now;
	if (c->joined)
		atomic_store(&s->clock_ahead_us,
			loop_wall(main_loop(s)).us - members_time_us(c->members));
}

static void on_map_task(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, map_task);
	const struct cluster_map *map = atomic_exchange(&l->next_map, NULL);
	if (map && l->moves)
		moves_set_map(l->moves, map);
	cluster_map_unref(&map);
}

/* A map that a loop has not taken yet is overtaken by this one. */
static void hand_to(struct server_loop *l, const struct cluster_map *map)
{
	const struct cluster_map *before = atomic_exchange(&l->next_map, cluster_map_ref(map));
	if (!before) {
		l->map_task.run = on_map_task;
		loop_post(&l->uv.loop, &l->map_task);
	}
	cluster_map_unref(&before);
}

static void changed(void *owner, const struct cluster_map *map)
{
	struct server *s = owner;
	unsigned alive = 0;
	for (size_t i = 0; i < map->node_count; i++)
		alive += map->nodes[i].alive;
	metrics_gauge_set(METRIC_MAP_EPOCH, map->epoch);
	metrics_gauge_set(METRIC_NODES_ALIVE, alive);
	log_info("map epoch=%llu nodes=%zu alive=%u", (unsigned long long)map->epoch,
		map->node_count, alive);
	for (unsigned i = 0; i < s->loop_count; i++)
		hand_to(&s->loops[i], map);
}

static void expelled(void *owner, int status, const char *words)
{
	server_fail(owner, status, words);
}

/* --- in --- */

static void on_joined(struct members_join *join)
{
	struct server *s = container_of(join, struct server, members.join);
	char words[512];
	if (!join->status) {
		s->members.joined = true;
		server_joined(s);
		return;
	}
	snprintf(words, sizeof(words), "cannot join the cluster: %s", join->words);
	server_fail(s, join->status, words);
}

/* An address that means every interface cannot be dialled: the machine's name stands for it. */
static char *address_of(const char *listening)
{
	char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX], name[ADDRESS_HOST_MAX];
	char *text = NULL;
	if (address_split(listening, host, port))
		return NULL;
	bool all = !host[0] || !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
	if (!all)
		return strdup(listening);
	if (gethostname(name, sizeof(name)) || asprintf(&text, "%s:%s", name, port) < 0)
		return NULL;
	return text;
}

static int set_addresses(struct server *s, char *why, size_t why_size)
{
	struct server_cluster *c = &s->members;
	const char *setting = s->config->advertise;
	char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX], *rest;
	size_t n = 0;
	c->text = setting[0] ? strdup(setting)
			     : address_of(link_listener_address(s->loops[0].listener));
	if (!c->text)
		return -ENOMEM;
	for (char *at = strtok_r(c->text, ", ", &rest); at; at = strtok_r(NULL, ", ", &rest)) {
		if (n == CLUSTER_NODE_ADDRESSES_MAX || strlen(at) > CLUSTER_NODE_ADDRESS_MAX ||
			address_split(at, host, port) || !host[0]) {
			snprintf(why, why_size,
				"cluster.advertise: up to four HOST:PORT are wanted, not %s", at);
			return ERR_CONFIG;
		}
		c->addresses[n++] = at;
	}
	return n ? 0 : ERR_CONFIG;
}

int server_cluster_start(struct server *s, char *why, size_t why_size)
{
	static const struct members_ops ops = {
		.dial = dial, .load = load, .changed = changed, .expelled = expelled};
	struct server_cluster *c = &s->members;
	int rc = set_addresses(s, why, why_size);
	if (rc)
		return rc;
	c->alone = strcmp(store_kind(s->loops[0].store), "rados") != 0;
	const struct members_config config = {.loop = main_loop(s),
		.store = s->loops[0].store,
		.ops = &ops,
		.owner = s,
		.node = s->config->node,
		.boot_nonce = s->boot_nonce,
		.addresses = c->addresses,
		.rack = s->config->rack,
		.weight = (uint32_t)s->config->weight,
		.software = STEPPE_SOFTWARE,
		.features = FEATURES,
		.format_level = s->cluster.format_level,
		.alone = c->alone,
		.beat_ns = s->config->beat_us * 1000,
		.dead_ns = s->config->dead_us * 1000};
	rc = members_new(&config, &c->members);
	if (rc)
		return rc;
	c->join.done = on_joined;
	members_join(c->members, &c->join);
	return 0;
}

/* --- out --- */

static void on_members_stopped(struct loop_task *task)
{
	server_stop_loops(container_of(task, struct server, members.stopped));
}

static void stop_members(struct server *s)
{
	struct server_cluster *c = &s->members;
	loop_timer_stop(&c->limit);
	if (c->is_away)
		return;
	c->is_away = true;
	c->stopped.run = on_members_stopped;
	if (c->members)
		members_free(&c->members, &c->stopped);
	else
		loop_defer(main_loop(s), &c->stopped);
}

static void on_away(struct loop_task *task)
{
	stop_members(container_of(task, struct server, members.away));
}

static void on_limit(struct loop_timer *timer)
{
	struct server *s = container_of(timer, struct server, members.limit);
	log_warn("not every stream could be moved in time; the next owners recover the rest");
	stop_members(s);
}

static void on_loop_left(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, left);
	struct server *s = l->server;
	if (atomic_fetch_sub(&s->members.leaving, 1) == 1)
		loop_post(main_loop(s), &s->members.away);
}

static void on_leave(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, leave);
	l->left.run = on_loop_left;
	moves_leave(l->moves, &l->left);
}

/* The map says so: recorders that are told to go find others there. */
static void on_out(struct loop_task *task)
{
	struct server *s = container_of(task, struct server, members.away);
	task->run = on_away;
	atomic_store(&s->members.leaving, s->loop_count);
	for (unsigned i = 0; i < s->loop_count; i++) {
		s->loops[i].leave.run = on_leave;
		loop_post(&s->loops[i].uv.loop, &s->loops[i].leave);
	}
}

static bool others_are_there(const struct server *s)
{
	const struct cluster_map *map = members_map(s->members.members);
	int self = members_self(s->members.members);
	for (size_t i = 0; map && i < map->node_count; i++)
		if ((int)i != self && map->nodes[i].alive && map->nodes[i].state == PLACEMENT_IN)
			return true;
	return false;
}

void server_cluster_stop(struct server *s)
{
	struct server_cluster *c = &s->members;
	if (!c->joined || c->alone || s->status || !others_are_there(s)) {
		stop_members(s);
		return;
	}
	c->limit.fire = on_limit;
	if (loop_timer_start(main_loop(s), &c->limit, LEAVE_SHARE(s->config->stop_us * 1000))) {
		stop_members(s);
		return;
	}
	c->away.run = on_out;
	members_leave(c->members, &c->away);
}

void server_cluster_fini(struct server *s)
{
	for (unsigned i = 0; i < s->loop_count; i++) {
		const struct cluster_map *map = atomic_exchange(&s->loops[i].next_map, NULL);
		cluster_map_unref(&map);
	}
	free(s->members.text);
}

/* --- what sessions ask --- */

static void on_heard(struct loop_task *task)
{
	struct server *s = container_of(task, struct server, members.heard_task);
	atomic_store(&s->members.heard_queued, false);
	if (s->members.members)
		members_heard(s->members.members, atomic_load(&s->members.heard));
}

void server_cluster_heard(void *owner, uint64_t epoch)
{
	struct server *s = owner;
	struct server_cluster *c = &s->members;
	uint_fast64_t before = atomic_load(&c->heard);
	while (before < epoch && !atomic_compare_exchange_weak(&c->heard, &before, epoch))
		;
	if (atomic_exchange(&c->heard_queued, true))
		return;
	c->heard_task.run = on_heard;
	loop_post(main_loop(s), &c->heard_task);
}

/* One question on loop 0. */
struct asking {
	struct server *server;
	struct admin_cluster *req;
	struct members_set set;
	struct members_survey survey;
};

static void on_answer(struct loop_task *task)
{
	struct admin_cluster *req = container_of(task, struct admin_cluster, task);
	req->done(req);
}

static void answer(struct admin_cluster *req, int status)
{
	req->status = status;
	req->task.run = on_answer;
	loop_post(req->loop, &req->task);
}

/* Packs the whole answer here, where all of it lives. */
static int pack(struct asking *a)
{
	static Steppe__Wire__NodeBeat none = STEPPE__WIRE__NODE_BEAT__INIT;
	struct members_survey *survey = &a->survey;
	struct cluster_draft draft;
	Steppe__Wire__MapReply reply = STEPPE__WIRE__MAP_REPLY__INIT;
	int rc = cluster_draft_init(&draft, survey->map, 0);
	if (rc)
		return rc;
	for (size_t i = 0; i < survey->beat_count; i++)
		if (!survey->beats[i])
			survey->beats[i] = &none;
	reply.map = &draft.message;
	reply.self = a->server->config->node;
	reply.leader = (char *)(uintptr_t)survey->leader; /* packing does not write */
	reply.cluster_time_us = members_time_us(a->server->members.members);
	if (a->req->beats) {
		reply.n_beats = survey->beat_count;
		reply.beats = survey->beats;
	}
	size_t len = steppe__wire__map_reply__get_packed_size(&reply);
	struct buf *b = len <= FRAME_META_MAX ? buf_new(len) : NULL;
	if (b) {
		steppe__wire__map_reply__pack(&reply, b->data);
		a->req->reply = b;
	}
	for (size_t i = 0; i < survey->beat_count; i++)
		if (survey->beats[i] == &none)
			survey->beats[i] = NULL;
	cluster_draft_fini(&draft);
	return b ? 0 : len <= FRAME_META_MAX ? -ENOMEM : ERR_LIMIT;
}

static void on_survey(struct members_survey *survey)
{
	struct asking *a = container_of(survey, struct asking, survey);
	int status = survey->status;
	if (!status && !a->server->members.members)
		status = -ECANCELED;
	if (!status)
		status = pack(a);
	cluster_map_unref(&survey->map);
	answer(a->req, status);
	free(a);
}

static void look(struct asking *a)
{
	a->survey.done = on_survey;
	members_survey(a->server->members.members, &a->survey);
}

static void on_set(struct members_set *set)
{
	struct asking *a = container_of(set, struct asking, set);
	int status = a->server->members.members ? set->status : -ECANCELED;
	if (!status) {
		look(a);
		return;
	}
	answer(a->req, status);
	free(a);
}

static void on_ask(struct loop_task *task)
{
	struct admin_cluster *req = container_of(task, struct admin_cluster, task);
	struct server *s = req->impl;
	struct asking *a = s->members.joined && s->members.members ? calloc(1, sizeof(*a)) : NULL;
	if (!a) {
		answer(req, s->members.joined && s->members.members ? -ENOMEM : -ECANCELED);
		return;
	}
	*a = (struct asking){.server = s, .req = req};
	if (!req->set) {
		look(a);
		return;
	}
	a->set = (struct members_set){.done = on_set,
		.id = req->id,
		.state = req->state,
		.weight = req->weight,
		.remove = req->remove};
	members_set(s->members.members, &a->set);
}

void server_cluster_ask(void *owner, struct admin_cluster *req)
{
	struct server *s = owner;
	req->impl = s;
	req->task = (struct loop_task){.run = on_ask};
	loop_post(main_loop(s), &req->task);
}
