/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/cluster_map.h"
#include "proto/refusal.h"

/* A map's message, with all it points to. */
struct message {
	Steppe__Wire__ClusterMap map;
	Steppe__Wire__MapNode nodes[FAKE_NODES], *pointers[FAKE_NODES];
	char addresses[FAKE_NODES][32], *address_pointers[FAKE_NODES];
};

static void build(const struct fake_map *m, struct message *to)
{
	steppe__wire__cluster_map__init(&to->map);
	to->map.epoch = m->epoch;
	to->map.nodes = to->pointers;
	to->map.n_nodes = m->count;
	for (unsigned i = 0; i < m->count; i++) {
		Steppe__Wire__MapNode *n = to->pointers[i] = &to->nodes[i];
		steppe__wire__map_node__init(n);
		snprintf(to->addresses[i], sizeof(to->addresses[i]), "%s:1",
			m->addresses ? m->addresses : m->names[i]);
		to->address_pointers[i] = to->addresses[i];
		n->id = (char *)m->names[i];
		n->addresses = &to->address_pointers[i];
		n->n_addresses = 1;
		n->weight = PLACEMENT_WEIGHT_ONE;
		n->state = PLACEMENT_IN;
		n->alive = !m->dead[i];
	}
}

const char *fake_map_owner(const struct fake_map *m, const char *camera)
{
	struct message message;
	const struct cluster_map *map;
	build(m, &message);
	assert_int_equal(cluster_map_new(&message.map, &map), 0);
	int owner = cluster_map_owner(map, camera);
	cluster_map_unref(&map);
	return owner < 0 ? NULL : m->names[owner];
}

bool fake_map_owns(const struct fake_map *m, const char *name, const char *camera)
{
	const char *owner = fake_map_owner(m, camera);
	return owner && strcmp(owner, name) == 0;
}

const char *fake_map_camera(const struct fake_map *m, const char *name, unsigned nth)
{
	static char camera[8][32];
	static unsigned turn;
	char *to = camera[turn++ % 8];
	for (unsigned i = 0;; i++) {
		snprintf(to, sizeof(camera[0]), "cam-%u", i);
		if (fake_map_owns(m, name, to) && nth-- == 0)
			return to;
	}
}

unsigned fake_map_index(const struct fake_map *m, const char *name)
{
	for (unsigned i = 0; i < m->count; i++)
		if (strcmp(m->names[i], name) == 0)
			return i;
	fail_msg("no node %s", name);
	return 0;
}

void fake_map_set(struct fake_map *m, const char *name, bool alive)
{
	m->dead[fake_map_index(m, name)] = !alive;
	m->epoch++;
}

void fake_map_answer(const struct fake_map *m, struct channel *ch, const struct frame *frame)
{
	uint32_t stream = frame->header.stream;
	if (!m) {
		(void)channel_refuse(
			ch, stream, REFUSAL_PROTOCOL, "frame type 77 begins nothing", 0);
		return;
	}
	Steppe__Wire__Map *ask =
		steppe__wire__map__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(ask);
	struct message message;
	build(m, &message);
	if (ask->have_epoch >= m->epoch)
		message.map.n_nodes = 0;
	Steppe__Wire__MapReply reply = STEPPE__WIRE__MAP_REPLY__INIT;
	reply.map = &message.map;
	(void)channel_send(ch, FRAME_MAP_REPLY, stream, &reply.base, NULL, 0);
	steppe__wire__map__free_unpacked(ask, NULL);
}

void fake_map_redirect(
	const struct fake_map *m, struct channel *ch, uint32_t stream, const char *camera)
{
	const char *owner = fake_map_owner(m, camera);
	if (!owner) {
		(void)channel_refuse(ch, stream, REFUSAL_NOT_OWNER, NULL, 0);
		return;
	}
	Steppe__Wire__Redirect redirect = STEPPE__WIRE__REDIRECT__INIT;
	char address[32], *pointer = address;
	snprintf(address, sizeof(address), "%s:1", owner);
	redirect.addresses = &pointer;
	redirect.n_addresses = 1;
	redirect.map_epoch = m->epoch;
	(void)channel_send(ch, FRAME_REDIRECT, stream, &redirect.base, NULL, 0);
}
