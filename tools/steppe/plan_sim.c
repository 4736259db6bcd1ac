/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/plan_sim.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 8 /* that the cameras are cut into for threads */

/* --- threads --- */

/* Runs job(item) for each, in a thread of its own where there is one to be had. */
static void run_all(void *(*job)(void *), void *items, size_t size, unsigned count)
{
	pthread_t threads[PARTS];
	bool started[PARTS];
	for (unsigned i = 0; i < count; i++)
		started[i] = pthread_create(&threads[i], NULL, job, (char *)items + i * size) == 0;
	for (unsigned i = 0; i < count; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		else
			job((char *)items + i * size);
	}
}

struct part {
	const struct placement *placement;
	const struct placement_load *loads;
	uint32_t *owners;
	size_t from, to;
};

static void *find_owners(void *item)
{
	struct part *p = item;
	for (size_t i = p->from; i < p->to; i++)
		p->owners[i] = (uint32_t)placement_owner(p->placement, p->loads[i].camera);
	return NULL;
}

/* --- maps --- */

/* The first `count` of the nodes, which may be more than the cluster has: those have joined. */
static int prepare(const struct placement_node *nodes, size_t count,
	const struct placement_displaced *displaced, size_t displaced_count,
	struct placement **ret_placement)
{
	struct placement_map map = {.epoch = 1,
		.nodes = (struct placement_node *)(uintptr_t)nodes,
		.node_count = count,
		.displaced = (struct placement_displaced *)(uintptr_t)displaced,
		.displaced_count = displaced_count};
	int rc = placement_new(&map, ret_placement);
	return rc && rc != -ENOMEM ? -EINVAL : rc;
}

/* How many nodes stand in a rack: those whose number leaves the rack's as remainder. */
static uint32_t rack_size(const struct plan_cluster *c)
{
	return (c->nodes + c->racks - 1) / c->racks;
}

static int make_nodes(struct plan_sim *s)
{
	const struct plan_cluster *c = &s->cluster;
	size_t all = c->nodes + rack_size(c);
	s->nodes = calloc(all, sizeof(*s->nodes));
	if (!s->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < all; i++) {
		struct placement_node *n = &s->nodes[i];
		bool is_new = i >= c->nodes;
		snprintf(n->id, sizeof(n->id), "node-%04zu", i);
		snprintf(n->rack, sizeof(n->rack), "rack-%03zu", is_new ? c->racks : i % c->racks);
		n->weight = is_new ? PLACEMENT_WEIGHT_ONE : c->weights[i % c->weight_count];
		n->state = PLACEMENT_IN;
		if (!is_new)
			s->units += (double)n->weight / PLACEMENT_WEIGHT_ONE;
	}
	return 0;
}

/* --- how even --- */

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x > y ? -1 : x < y;
}

/* Each node's load in fair shares for its weight. */
static void measure(
	const struct plan_sim *s, const uint32_t *owners, size_t node_count, double shares[])
{
	double fair = (double)s->kbps / s->units;
	for (size_t i = 0; i < node_count; i++)
		shares[i] = 0;
	for (size_t i = 0; i < s->count; i++)
		shares[owners[i]] += s->loads[i].kbps;
	for (size_t i = 0; i < node_count; i++)
		shares[i] /= fair * s->nodes[i].weight / PLACEMENT_WEIGHT_ONE;
}

static void place_first(struct plan_sim *s, const struct placement *p)
{
	struct part parts[PARTS];
	for (unsigned i = 0; i < PARTS; i++)
		parts[i] = (struct part){
			p, s->loads, s->owners, s->count * i / PARTS, s->count * (i + 1) / PARTS};
	run_all(find_owners, parts, sizeof(*parts), PARTS);
	measure(s, s->owners, s->cluster.nodes, s->even_first);
	qsort(s->even_first, s->cluster.nodes, sizeof(*s->even_first), descending);
	s->busiest_first = s->even_first[0];
}

static int by_camera(const void *key, const void *entry)
{
	const struct placement_load *l = key;
	const struct placement_displaced *d = entry;
	return l->camera < d->camera ? -1 : l->camera > d->camera;
}

static int apply_cap(struct plan_sim *s, const struct placement *p)
{
	int rc = placement_displace(
		p, s->loads, s->count, s->cluster.cap_permille, &s->displaced_list, &s->displaced);
	if (rc)
		return rc;
	for (size_t i = 0; i < s->count; i++) {
		const struct placement_displaced *d = bsearch(
			&s->loads[i], s->displaced_list, s->displaced, sizeof(*d), by_camera);
		if (d)
			s->owners[i] = d->node;
	}
	measure(s, s->owners, s->cluster.nodes, s->even);
	qsort(s->even, s->cluster.nodes, sizeof(*s->even), descending);
	s->busiest = s->even[0];
	s->idlest = s->even[s->cluster.nodes - 1];
	return 0;
}

int plan_sim_init(struct plan_sim *s, const struct plan_cluster *cluster,
	const struct placement_load *loads, size_t count)
{
	struct placement *p = NULL;
	*s = (struct plan_sim){.cluster = *cluster, .loads = loads, .count = count};
	if (!cluster->nodes || !cluster->racks || cluster->racks > cluster->nodes ||
		!cluster->weight_count || !count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		s->kbps += loads[i].kbps;
	s->owners = calloc(count, sizeof(*s->owners));
	s->even_first = calloc(cluster->nodes, sizeof(*s->even_first));
	s->even = calloc(cluster->nodes, sizeof(*s->even));
	int rc = s->owners && s->even_first && s->even ? make_nodes(s) : -ENOMEM;
	if (!rc)
		rc = prepare(s->nodes, cluster->nodes, NULL, 0, &p);
	if (!rc) {
		place_first(s, p);
		rc = apply_cap(s, p);
	}
	placement_free(&p);
	if (rc)
		plan_sim_fini(s);
	return rc;
}

void plan_sim_fini(struct plan_sim *s)
{
	free(s->nodes);
	free(s->displaced_list);
	free(s->owners);
	free(s->even_first);
	free(s->even);
	*s = (struct plan_sim){.count = 0};
}

/* --- what happens --- */

struct job {
	struct plan_sim *sim;
	int kind; /* enum plan_event_kind, or PLAN_EVENTS: who stands by */
	int rc;
};

/* The nodes as they are after the event: all but those that left, or with those that joined. */
static uint32_t change(
	const struct plan_sim *s, int kind, struct placement_node *nodes, size_t *ret_count)
{
	const struct plan_cluster *c = &s->cluster;
	uint32_t size = kind == PLAN_NODE_LEAVES || kind == PLAN_NODE_JOINS ? 1 : rack_size(c);
	size_t all = c->nodes;
	memcpy(nodes, s->nodes, (all + rack_size(c)) * sizeof(*nodes));
	if (kind == PLAN_NODE_JOINS || kind == PLAN_RACK_JOINS) {
		all += size;
	} else if (size >= c->nodes) {
		return 0; /* nobody would be left */
	} else {
		/* the first of the first rack, which is as full as any */
		for (uint32_t i = 0; i < size; i++)
			nodes[i * c->racks].state = PLACEMENT_OUT;
	}
	*ret_count = all;
	return size;
}

/* Compares owners before and after. `taken`: a count for each node. */
static void compare(struct plan_event *e, const struct plan_sim *s,
	const struct placement_node *nodes, const uint32_t *owners, uint32_t *taken)
{
	for (size_t i = 0; i < s->count; i++) {
		uint32_t from = s->owners[i], to = owners[i];
		if (from == to)
			continue;
		e->moved++;
		e->needless += nodes[from].state == PLACEMENT_IN && to < s->cluster.nodes;
		e->takers += taken[to] == 0;
		taken[to]++;
		e->most_taken = taken[to] > e->most_taken ? taken[to] : e->most_taken;
	}
}

static void find_busiest(struct plan_event *e, const struct plan_sim *s,
	const struct placement_node *nodes, size_t count, const double shares[])
{
	double units = 0;
	for (size_t i = 0; i < count; i++) {
		if (nodes[i].state != PLACEMENT_IN)
			continue;
		units += (double)nodes[i].weight / PLACEMENT_WEIGHT_ONE;
		e->busiest = shares[i] > e->busiest ? shares[i] : e->busiest;
	}
	e->mean = s->units / units;
	e->mean_cameras = (double)s->count / units;
}

/* What the cap does when the leader applies it to the changed cluster: cameras whose owner differs
 * from the one the ranking gave them. */
static int count_by_cap(struct plan_event *e, const struct plan_sim *s, struct placement *p,
	const struct placement_node *nodes, uint32_t *owners)
{
	struct placement_displaced *list = NULL;
	size_t count = 0;
	int rc = placement_displace(p, s->loads, s->count, s->cluster.cap_permille, &list, &count);
	struct placement *capped = NULL;
	if (!rc)
		rc = prepare(nodes, placement_map(p)->node_count, list, count, &capped);
	/* only cameras of one of the two lists can differ */
	for (size_t i = 0; !rc && i < s->count; i++) {
		const struct placement_load *l = &s->loads[i];
		if (bsearch(l, list, count, sizeof(*list), by_camera) ||
			bsearch(l, s->displaced_list, s->displaced, sizeof(*list), by_camera))
			e->by_cap += placement_owner(capped, l->camera) != (int)owners[i];
	}
	placement_free(&capped);
	free(list);
	return rc;
}

static int happen(struct plan_sim *s, int kind)
{
	size_t all = s->cluster.nodes + rack_size(&s->cluster), count = 0;
	struct plan_event e = {0};
	struct placement *p = NULL;
	struct placement_node *nodes = calloc(all, sizeof(*nodes));
	uint32_t *owners = calloc(s->count, sizeof(*owners)), *taken = calloc(all, sizeof(*taken));
	double *shares = calloc(all, sizeof(*shares));
	int rc = nodes && owners && taken && shares ? 0 : -ENOMEM;
	if (!rc)
		e.nodes = change(s, kind, nodes, &count);
	if (e.nodes)
		rc = prepare(nodes, count, s->displaced_list, s->displaced, &p);
	if (p) {
		struct part whole = {p, s->loads, owners, 0, s->count};
		find_owners(&whole);
		compare(&e, s, nodes, owners, taken);
		measure(s, owners, count, shares);
		find_busiest(&e, s, nodes, count, shares);
		rc = count_by_cap(&e, s, p, nodes, owners);
	}
	placement_free(&p);
	free(nodes);
	free(owners);
	free(taken);
	free(shares);
	if (!rc)
		s->events[kind] = e;
	return rc;
}

static int stand_by(struct plan_sim *s)
{
	struct placement *p = NULL;
	size_t *cameras = calloc(s->cluster.nodes, sizeof(*cameras));
	int rc = cameras ? prepare(s->nodes, s->cluster.nodes, s->displaced_list, s->displaced, &p)
			 : -ENOMEM;
	for (size_t i = 0; !rc && i < s->count; i++) {
		int by = placement_standby(p, s->loads[i].camera);
		if (by < 0)
			break; /* a node alone */
		cameras[by]++;
		s->standby_apart +=
			(uint32_t)by % s->cluster.racks != s->owners[i] % s->cluster.racks;
	}
	for (uint32_t i = 0; !rc && i < s->cluster.nodes; i++) {
		double fair =
			(double)s->count / s->units * s->nodes[i].weight / PLACEMENT_WEIGHT_ONE;
		double share = (double)cameras[i] / fair;
		s->standby_busiest = share > s->standby_busiest ? share : s->standby_busiest;
	}
	placement_free(&p);
	free(cameras);
	return rc;
}

static void *run_job(void *item)
{
	struct job *j = item;
	j->rc = j->kind == PLAN_EVENTS ? stand_by(j->sim) : happen(j->sim, j->kind);
	return NULL;
}

int plan_sim_events(struct plan_sim *s)
{
	struct job jobs[PLAN_EVENTS + 1];
	for (int i = 0; i <= PLAN_EVENTS; i++)
		jobs[i] = (struct job){.sim = s, .kind = i};
	run_all(run_job, jobs, sizeof(*jobs), PLAN_EVENTS + 1);
	int rc = 0;
	for (int i = 0; i <= PLAN_EVENTS; i++)
		rc = rc ? rc : jobs[i].rc;
	return rc;
}
