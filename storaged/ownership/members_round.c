/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's rounds: every heartbeat and the map's version are read, each node is judged by what
 * was seen of it, and what follows (deaths, returns, features, cameras displaced, cluster time) goes
 * into the map or the leader's own object. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/ownership/members_impl.h"
#include "storaged/ownership/members_judge.h"

void members_watch_anew(struct members *m)
{
	list_each (node, &m->peers) {
		struct member_peer *p = list_entry(node, struct member_peer, node);
		p->changed_at = members_now(m);
		p->asked = p->channel && !p->ready;
		p->asked_at = p->changed_at;
		if (!p->alive)
			p->changes = 0;
	}
}

/* --- judging --- */

static void on_peer_changed(struct members_change *change)
{
	struct member_peer *p = container_of(change, struct member_peer, change);
	p->changing = false;
	peer_release(p);
}

static void change_peer(struct member_peer *p, enum members_verdict verdict)
{
	bool lives = verdict == VERDICT_ALIVE;
	if (p->changing)
		return;
	log_info("node %s node=%s", lives ? "is alive" : "is dead", p->id);
	p->change = (struct members_change){.done = on_peer_changed,
		.edit = {.kind = lives ? EDIT_ALIVE : EDIT_DEAD,
			.id = p->id,
			.nonce = lives ? p->seen_nonce : p->nonce,
			.addresses = (const char *const *)p->seen_addresses}};
	p->changing = true;
	members_change(p->members, &p->change);
}

void members_judge_peer(struct member_peer *p, bool trusted)
{
	struct members *m = p->members;
	int64_t now_ns = members_now(m).ns;
	const struct members_seen seen = {
		.alive = p->alive,
		.leaving = p->leaving || !p->seen_addresses[0],
		.refused = p->refused,
		.changes = p->changes,
		.still_ns = now_ns - p->changed_at.ns,
		.silent_ns = p->asked ? now_ns - p->asked_at.ns : 0,
	};
	enum members_verdict verdict = members_judge(&seen, trusted, m->config.dead_ns);
	if (verdict != VERDICT_STAYS)
		change_peer(p, verdict);
	else if (p->alive && seen.still_ns >= m->config.dead_ns / 2)
		peer_ask(p);
}

/* --- what follows from all of them --- */

static void on_self_changed(struct members_change *change)
{
	container_of(change, struct members, self_change)->self_changing = false;
}

/* It leads, so it lives. */
static void call_self_alive(struct members *m)
{
	int self = members_self(m);
	if (self < 0 || m->map->nodes[self].alive || m->self_changing || m->leaving)
		return;
	m->self_change = (struct members_change){.done = on_self_changed,
		.edit = {.kind = EDIT_ALIVE,
			.id = m->config.node,
			.nonce = m->config.boot_nonce,
			.addresses = m->config.addresses}};
	m->self_changing = true;
	members_change(m, &m->self_change);
}

static void tell_time(struct members *m, int64_t median_us)
{
	if (m->time_us < m->map->time_us) {
		m->time_us = m->map->time_us;
		m->time_at = members_now(m);
	}
	members_set_time(m, loop_wall(m->config.loop).us + median_us);
}

static void on_features_changed(struct members_change *change)
{
	container_of(change, struct members, features_change)->features_changing = false;
}

static void set_features(struct members *m, uint64_t features)
{
	if (m->features_changing || features == m->map->features)
		return;
	m->features_change = (struct members_change){
		.done = on_features_changed, .edit = {.kind = EDIT_FEATURES, .features = features}};
	m->features_changing = true;
	members_change(m, &m->features_change);
}

static void conclude(struct members *m, bool trusted)
{
	int64_t *offsets = calloc(m->map->node_count + 1, sizeof(*offsets));
	size_t count = 0;
	uint64_t features = m->config.features;
	if (offsets)
		offsets[count++] = 0; /* our own */
	list_each (node, &m->peers) {
		struct member_peer *p = list_entry(node, struct member_peer, node);
		if (p->gone)
			continue;
		members_judge_peer(p, trusted);
		if (!p->alive)
			continue;
		if (p->seen_nonce)
			features &= p->features;
		if (p->has_offset && offsets)
			offsets[count++] = p->offset_us;
	}
	tell_time(m, members_median_us(offsets, count));
	free(offsets);
	call_self_alive(m);
	set_features(m, features);
	members_sync_peers(m);
}

/* --- reading --- */

static void round_ended(struct members *m)
{
	if (--m->round_left || !members_leads(m))
		return;
	bool trusted = members_now(m).ns - m->round_began.ns <= ROUND_PATIENCE_NS;
	if (!trusted)
		members_watch_anew(m);
	conclude(m, trusted);
}

static void take_addresses(struct member_peer *p, const Steppe__Wire__NodeBeat *beat)
{
	for (size_t i = 0; i < CLUSTER_NODE_ADDRESSES_MAX; i++) {
		const char *address = i < beat->n_addresses ? beat->addresses[i] : NULL;
		if (address && p->seen_addresses[i] && !strcmp(address, p->seen_addresses[i]))
			continue;
		free(p->seen_addresses[i]);
		p->seen_addresses[i] = address ? strdup(address) : NULL;
	}
}

static void take_beat(struct member_peer *p, const Steppe__Wire__NodeBeat *beat)
{
	struct members *m = p->members;
	if (beat->boot_nonce == p->seen_nonce && beat->beats == p->seen_beats)
		return;
	if (p->seen_nonce) { /* the first look only tells what a change is */
		p->changes++;
		p->changed_at = members_now(m);
	}
	p->seen_nonce = beat->boot_nonce;
	p->seen_beats = beat->beats;
	p->leaving = beat->leaving;
	p->features = beat->features;
	p->offset_us = beat->now_us - loop_wall(m->config.loop).us;
	p->has_offset = true;
	p->load = (struct members_load){.streams = beat->streams, .kbps = beat->kbps};
	for (size_t i = 0;
		i < beat->n_heavy_cameras && i < beat->n_heavy_kbps && i < ARRAY_LEN(p->load.heavy);
		i++) {
		p->load.heavy[i] =
			(struct placement_load){beat->heavy_cameras[i], beat->heavy_kbps[i]};
		p->load.heavy_count = i + 1;
	}
	if (!p->changing) /* a change on its way borrows them */
		take_addresses(p, beat);
}

static void on_beat(struct store_read *read)
{
	struct member_peer *p = container_of(read, struct member_peer, read);
	struct members *m = p->members;
	Steppe__Wire__NodeBeat *beat = NULL;
	p->reading = false;
	if (!read->status)
		beat = steppe__wire__node_beat__unpack(NULL, read->body->len, read->body->data);
	if (beat)
		take_beat(p, beat);
	else if (read->status != -ENOENT)
		p->changed_at = members_now(m); /* it was not seen: it is watched anew */
	if (beat)
		steppe__wire__node_beat__free_unpacked(beat, NULL);
	store_read_release(read);
	peer_release(p);
	if (members_end(m) || members_over(m))
		return;
	round_ended(m);
}

static void on_map_stat(struct store_read *read)
{
	struct members *m = container_of(read, struct members, map_stat);
	size_t len;
	uint64_t epoch = 0;
	if (!read->status) {
		const void *text = store_read_attr(read, ATTR_MAP_VER, &len);
		(void)attr_u64_parse(text, len, &epoch); /* what is no number is not newer */
	}
	store_read_release(read);
	if (members_end(m) || members_over(m))
		return;
	members_heard(m, epoch);
	round_ended(m);
}

void members_round(struct members *m)
{
	char name[STORE_NAME_MAX + 1];
	if (m->round_left)
		return;
	m->round_began = members_now(m);
	m->round_left = 1;
	m->map_stat = (struct store_read){.done = on_map_stat, .want_attrs = true};
	members_begin(m);
	store_read(m->config.store, &m->map_stat, STORE_META, MAP_NAME);
	list_each (node, &m->peers) {
		struct member_peer *p = list_entry(node, struct member_peer, node);
		if (p->gone || p->reading)
			continue;
		snprintf(name, sizeof(name), "node/%s", p->id);
		p->reading = true;
		p->read = (struct store_read){
			.done = on_beat, .want_body = true, .len = BEAT_READ_MAX};
		m->round_left++;
		members_begin(m);
		store_read(m->config.store, &p->read, STORE_META, name);
	}
}
