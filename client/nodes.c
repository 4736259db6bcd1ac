/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's daemons: how they are, and what an admin wants of them. Blocking. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "client/ask.h"
#include "proto/names.h"

struct nodes_ask {
	struct ask ask;
	Steppe__Wire__MapReply *reply;
};

static int on_reply(struct ask *a, const struct frame *frame)
{
	struct nodes_ask *n = container_of(a, struct nodes_ask, ask);
	if (frame->header.type == FRAME_MAP_REPLY)
		n->reply =
			steppe__wire__map_reply__unpack(NULL, frame->header.meta_len, frame->meta);
	return n->reply ? 1 : ERR_FORMAT;
}

static void describe(struct steppe_node_status *to, const Steppe__Wire__MapNode *node,
	const Steppe__Wire__NodeBeat *beat)
{
	*to = (struct steppe_node_status){
		.id = node->id,
		.rack = node->rack,
		.address = node->n_addresses ? node->addresses[0] : "",
		.software = beat ? beat->software : "",
		.state = (enum steppe_node_state)node->state,
		.alive = node->alive,
		.weight = node->weight,
	};
	if (!beat || beat->boot_nonce != node->boot_nonce)
		return; /* it is not this process that it tells of */
	to->leaving = beat->leaving;
	to->streams = beat->streams;
	to->connections = beat->connections;
	to->bits_per_second = (int64_t)beat->kbps * 1000;
	if (beat->cluster_time_us)
		to->clock_offset_us = beat->now_us - beat->cluster_time_us;
}

static int show(const Steppe__Wire__MapReply *m,
	void (*done)(void *user, const struct steppe_cluster_status *status), void *user)
{
	if (!m->map)
		return ERR_FORMAT;
	struct steppe_node_status *nodes = calloc(m->map->n_nodes + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < m->map->n_nodes; i++) {
		const Steppe__Wire__NodeBeat *beat = i < m->n_beats ? m->beats[i] : NULL;
		describe(&nodes[i], m->map->nodes[i], beat && beat->id[0] ? beat : NULL);
		nodes[i].leads = nodes[i].id[0] && strcmp(nodes[i].id, m->leader) == 0;
	}
	const struct steppe_cluster_status status = {.map_epoch = m->map->epoch,
		.leader = m->leader,
		.time_us = m->cluster_time_us,
		.nodes = nodes,
		.node_count = m->map->n_nodes};
	done(user, &status);
	free(nodes);
	return 0;
}

int steppe_cluster_status(struct steppe *s,
	void (*done)(void *user, const struct steppe_cluster_status *status), void *user)
{
	Steppe__Wire__Map m = STEPPE__WIRE__MAP__INIT;
	m.beats = true;
	struct nodes_ask n = {.ask = {.type = FRAME_MAP, .meta = &m.base, .answer = on_reply}};
	int rc = ask_wait(cluster_core(s), &n.ask);
	if (rc == 0)
		rc = show(n.reply, done, user);
	if (n.reply)
		steppe__wire__map_reply__free_unpacked(n.reply, NULL);
	return rc;
}

int steppe_node_set(struct steppe *s, const char *id, enum steppe_node_state state, uint32_t weight,
	bool remove)
{
	if (!id || !camera_id_is_valid(id))
		return -EINVAL;
	Steppe__Wire__NodeSet m = STEPPE__WIRE__NODE_SET__INIT;
	m.id = (char *)(uintptr_t)id; /* packing does not write */
	m.state = (uint32_t)state;
	m.weight = weight;
	m.remove = remove;
	struct nodes_ask n = {.ask = {.type = FRAME_NODE_SET, .meta = &m.base, .answer = on_reply}};
	int rc = ask_wait(cluster_core(s), &n.ask);
	if (n.reply)
		steppe__wire__map_reply__free_unpacked(n.reply, NULL);
	return rc;
}
