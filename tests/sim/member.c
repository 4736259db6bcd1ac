/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define LEAVE_NS (15 * NS_PER_SECOND)

struct member {
	struct member_config config;
	const char *addresses[2];
	struct members *members;
	struct moves *moves;
	struct members_join join;
	bool joined, failed, leaving, is_away;
	bool setting; /* an admin waits for his word's end before the next */
	struct loop_task task, away, *left;
	struct loop_timer limit;
};

/* One word of an admin. */
struct setting {
	struct member *member;
	struct members_set set;
	char id[32];
};

/* --- what members ask --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	struct member *m = owner;
	return model_dial(m->config.world->net, m->config.loop, address, m->config.party, user);
}

static void load(void *owner, struct members_load *to)
{
	(void)owner;
	(void)to; /* nothing to tell */
}

static void on_failed(struct loop_task *task)
{
	struct member *m = container_of(task, struct member, task);
	m->config.failed(m->config.owner);
}

static void fail(struct member *m, const char *words)
{
	world_trace(m->config.world, "%s is out: %s", m->config.party->name, words);
	if (m->failed || m->leaving)
		return;
	m->failed = true;
	m->task.run = on_failed;
	loop_defer(m->config.loop, &m->task);
}

static void expelled(void *owner, int status, const char *words)
{
	(void)status;
	fail(owner, words);
}

static void changed(void *owner, const struct cluster_map *map)
{
	struct member *m = owner;
	int self = cluster_map_find(map, m->config.party->name);
	world_trace(m->config.world, "%s has map %llu", m->config.party->name,
		(unsigned long long)map->epoch);
	moves_set_map(m->moves, map);
	/* an admin puts right what an admin did */
	if (m->config.world->healed && self >= 0 && map->nodes[self].state != PLACEMENT_IN)
		member_set(m, m->config.party->name, PLACEMENT_IN, 0);
}

static void on_joined(struct members_join *join)
{
	struct member *m = container_of(join, struct member, join);
	m->joined = !join->status;
	if (join->status)
		fail(m, join->words);
}

struct member *member_new(const struct member_config *config)
{
	static const struct members_ops ops = {
		.dial = dial, .load = load, .changed = changed, .expelled = expelled};
	struct member *m = calloc(1, sizeof(*m));
	CHECK(m);
	m->config = *config;
	m->addresses[0] = config->address;
	const struct moves_config moves = {
		.loop = config->loop, .keeper = config->keeper, .node = config->party->name};
	const struct members_config members = {.loop = config->loop,
		.store = config->store,
		.ops = &ops,
		.owner = m,
		.node = config->party->name,
		.boot_nonce = config->party->boot_nonce,
		.addresses = m->addresses,
		.rack = "",
		.software = "simulated",
		.format_level = 1};
	CHECK(moves_new(&moves, &m->moves) == 0);
	CHECK(members_new(&members, &m->members) == 0);
	return m;
}

void member_free(struct member **slot)
{
	struct member *m = *slot;
	*slot = NULL;
	if (!m)
		return;
	CHECK(!m->members);
	loop_undefer(&m->task);
	moves_free(&m->moves);
	free(m);
}

struct moves *member_moves(struct member *m)
{
	return m->moves;
}

void member_join(struct member *m)
{
	m->join.done = on_joined;
	members_join(m->members, &m->join);
}

void member_heard(void *member, uint64_t epoch)
{
	struct member *m = member;
	if (m->members)
		members_heard(m->members, epoch);
}

/* --- the way out --- */

static void on_members_ended(struct loop_task *task)
{
	struct member *m = container_of(task, struct member, away);
	loop_defer(m->config.loop, m->left);
}

static void end_members(struct member *m)
{
	loop_timer_stop(&m->limit);
	if (m->is_away)
		return;
	m->is_away = true;
	m->away.run = on_members_ended;
	members_free(&m->members, &m->away);
}

static void on_moved(struct loop_task *task)
{
	struct member *m = container_of(task, struct member, task);
	end_members(m);
}

static void on_limit(struct loop_timer *timer)
{
	end_members(container_of(timer, struct member, limit));
}

static void on_out(struct loop_task *task)
{
	struct member *m = container_of(task, struct member, task);
	task->run = on_moved;
	moves_leave(m->moves, task);
}

static bool others_are_there(const struct member *m)
{
	const struct cluster_map *map = members_map(m->members);
	int self = members_self(m->members);
	for (size_t i = 0; map && i < map->node_count; i++)
		if ((int)i != self && map->nodes[i].alive && map->nodes[i].state == PLACEMENT_IN)
			return true;
	return false;
}

void member_leave(struct member *m, struct loop_task *left)
{
	m->left = left;
	m->leaving = true;
	if (!m->joined || m->failed || !others_are_there(m)) {
		end_members(m);
		return;
	}
	m->limit.fire = on_limit;
	CHECK(loop_timer_start(m->config.loop, &m->limit, LEAVE_NS) == 0);
	m->task.run = on_out;
	members_leave(m->members, &m->task);
}

/* --- admins --- */

static void on_set(struct members_set *set)
{
	struct setting *s = container_of(set, struct setting, set);
	s->member->setting = false;
	free(s);
}

void member_set(struct member *m, const char *id, uint8_t state, uint32_t weight)
{
	if (!m->joined || m->leaving || m->failed || m->setting)
		return;
	struct setting *s = calloc(1, sizeof(*s));
	CHECK(s);
	s->member = m;
	m->setting = true;
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->set =
		(struct members_set){.done = on_set, .id = s->id, .state = state, .weight = weight};
	members_set(m->members, &s->set);
}
