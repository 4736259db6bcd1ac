/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/placing.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/camera.h"
#include "tests/sim/daemon.h"

#define CLUSTER_NAME "cluster:1"
#define ADDRESSES    9

struct place {
	struct placing *placing;
	unsigned camera;
	unsigned owner;    /* as the map says */
	unsigned believed; /* by the camera's recorder */
	struct loop_timer news;
};

struct placing {
	struct world *world;
	bool named; /* recorders know one name; else all addresses, and choose themselves */
	const char *addresses[ADDRESSES], *name[2];
	struct place *places;
};

static void on_news(struct loop_timer *timer)
{
	struct place *place = container_of(timer, struct place, news);
	struct world *w = place->placing->world;
	if (place->believed == place->owner)
		return;
	place->believed = place->owner;
	world_trace(w, "r%u learns that its camera is d%u's", place->camera, place->owner);
	/* some let go of where they are at once, others only when they must */
	if (place->placing->named && world_chance(w, 60))
		camera_hang_up(&w->cameras[place->camera]);
}

struct placing *placing_new(struct world *w)
{
	struct placing *p = calloc(1, sizeof(*p));
	CHECK(p);
	p->world = w;
	p->named = world_chance(w, 70) && !w->clustered;
	p->name[0] = CLUSTER_NAME;
	p->places = calloc(w->camera_count, sizeof(*p->places));
	CHECK(p->places && w->daemon_count < ADDRESSES);
	for (unsigned i = 0; i < w->daemon_count; i++)
		p->addresses[i] = w->daemons[i].address;
	for (unsigned i = 0; i < w->camera_count; i++) {
		struct place *place = &p->places[i];
		place->placing = p;
		place->camera = i;
		place->owner = (unsigned)world_pick(w, 0, w->daemon_count - 1);
		place->believed = place->owner;
		place->news.fire = on_news;
	}
	return p;
}

void placing_free(struct placing **slot)
{
	struct placing *p = *slot;
	*slot = NULL;
	if (!p)
		return;
	for (unsigned i = 0; i < p->world->camera_count; i++)
		loop_timer_stop(&p->places[i].news);
	free(p->places);
	free(p);
}

void placing_move(struct placing *p, unsigned camera, unsigned daemon)
{
	struct place *place = &p->places[camera];
	place->owner = daemon;
	CHECK(loop_timer_start(&p->world->time.loop, &place->news,
		      (int64_t)world_pick(p->world, 0, 4000) * NS_PER_MS) == 0);
}

void placing_leave(struct placing *p, unsigned daemon)
{
	struct world *w = p->world;
	for (unsigned i = 0; i < w->camera_count; i++) {
		if (p->places[i].owner != daemon)
			continue;
		unsigned from = (unsigned)world_pick(w, 0, w->daemon_count - 1), to = from;
		for (unsigned k = 0; k < w->daemon_count; k++) {
			to = (from + k) % w->daemon_count;
			if (to != daemon && daemon_is_well(&w->daemons[to]))
				break;
		}
		placing_move(p, i, to);
	}
}

const char *const *placing_addresses(struct placing *p)
{
	return p->named ? p->name : p->addresses;
}

const char *const *placing_daemons(struct placing *p)
{
	return p->addresses;
}

const char *placing_resolve(struct placing *p, unsigned camera, const char *address)
{
	if (strcmp(address, CLUSTER_NAME) != 0)
		return address;
	return p->world->daemons[p->places[camera].believed].address;
}
