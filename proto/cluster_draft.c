/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/cluster_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void describe(Steppe__Wire__MapNode *to, const struct cluster_node *from)
{
	/* the library's structures have no const; packing does not write */
	to->id = (char *)(uintptr_t)from->id;
	to->rack = (char *)(uintptr_t)from->rack;
	to->addresses = (char **)(uintptr_t)from->addresses;
	to->n_addresses = from->address_count;
	to->weight = from->weight;
	to->state = from->state;
	to->alive = from->alive;
	to->boot_nonce = from->boot_nonce;
}

static int displace(Steppe__Wire__ClusterMap *m, const struct placement_map *from)
{
	m->displaced_cameras = calloc(from->displaced_count + 1, sizeof(*m->displaced_cameras));
	m->displaced_nodes = calloc(from->displaced_count + 1, sizeof(*m->displaced_nodes));
	if (!m->displaced_cameras || !m->displaced_nodes)
		return -ENOMEM;
	m->n_displaced_cameras = m->n_displaced_nodes = from->displaced_count;
	for (size_t i = 0; i < from->displaced_count; i++) {
		m->displaced_cameras[i] = from->displaced[i].camera;
		m->displaced_nodes[i] = from->displaced[i].node;
	}
	return 0;
}

int cluster_draft_init(struct cluster_draft *d, const struct cluster_map *from, size_t more)
{
	*d = (struct cluster_draft){.room = (from ? from->node_count : 0) + more};
	Steppe__Wire__ClusterMap *m = &d->message;
	steppe__wire__cluster_map__init(m);
	d->nodes = calloc(d->room + 1, sizeof(*d->nodes));
	m->nodes = calloc(d->room + 1, sizeof(*m->nodes));
	int rc = d->nodes && m->nodes ? 0 : -ENOMEM;
	for (size_t i = 0; i < d->room && !rc; i++)
		steppe__wire__map_node__init(m->nodes[i] = &d->nodes[i]);
	if (from && !rc) {
		m->epoch = from->epoch;
		m->time_us = from->time_us;
		m->features = from->features;
		m->n_nodes = from->node_count;
		for (size_t i = 0; i < from->node_count; i++)
			describe(m->nodes[i], &from->nodes[i]);
		rc = displace(m, placement_map(from->placement));
	}
	if (rc)
		cluster_draft_fini(d);
	return rc;
}

void cluster_draft_fini(struct cluster_draft *d)
{
	free(d->nodes);
	free(d->message.nodes);
	free(d->message.displaced_cameras);
	free(d->message.displaced_nodes);
	*d = (struct cluster_draft){0};
}

Steppe__Wire__MapNode *cluster_draft_find(const struct cluster_draft *d, const char *id)
{
	for (size_t i = 0; i < d->message.n_nodes; i++)
		if (strcmp(d->message.nodes[i]->id, id) == 0)
			return d->message.nodes[i];
	return NULL;
}

Steppe__Wire__MapNode *cluster_draft_add(struct cluster_draft *d, const char *id)
{
	if (d->message.n_nodes == d->room)
		return NULL;
	Steppe__Wire__MapNode *node = d->message.nodes[d->message.n_nodes++];
	node->id = (char *)(uintptr_t)id;
	return node;
}

void cluster_draft_remove(struct cluster_draft *d, const Steppe__Wire__MapNode *node)
{
	Steppe__Wire__ClusterMap *m = &d->message;
	size_t at = 0, kept = 0;
	while (at < m->n_nodes && m->nodes[at] != node)
		at++;
	if (at == m->n_nodes)
		return;
	Steppe__Wire__MapNode *gone = m->nodes[at];
	m->n_nodes--;
	memmove(&m->nodes[at], &m->nodes[at + 1], (m->n_nodes - at) * sizeof(m->nodes[0]));
	steppe__wire__map_node__init(gone);
	m->nodes[m->n_nodes] = gone; /* its place can be given anew */
	for (size_t i = 0; i < m->n_displaced_nodes; i++) {
		uint32_t to = m->displaced_nodes[i];
		if (to == at)
			continue;
		m->displaced_cameras[kept] = m->displaced_cameras[i];
		m->displaced_nodes[kept++] = to > at ? to - 1 : to;
	}
	m->n_displaced_cameras = m->n_displaced_nodes = kept;
}
