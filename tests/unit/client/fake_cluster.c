/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/names.h"

void fake_cluster_init(struct fake_cluster *c, struct fake_daemon *const *daemons, unsigned count)
{
	*c = (struct fake_cluster){.map = {.epoch = 1, .count = count}};
	for (unsigned i = 0; i < count; i++) {
		c->daemons[i] = daemons[i];
		c->map.names[i] = daemons[i]->party.name;
		daemons[i]->cluster = c;
		daemons[i]->map = &c->map;
	}
}

static bool has(const struct fake_daemon *d, const struct fragment_header *h)
{
	for (size_t i = 0; i < d->fragment_count; i++)
		if (d->fragments[i].header.session == h->session &&
			d->fragments[i].header.seq == h->seq)
			return true;
	return false;
}

/* What is durable is in the store, for all to read. */
static void copy_durable(const struct fake_daemon *from, struct fake_daemon *to)
{
	for (size_t i = 0; i < from->fragment_count; i++) {
		const struct fake_fragment *f = &from->fragments[i];
		if (!f->durable || has(to, &f->header))
			continue;
		assert_true(to->fragment_count < FAKE_FRAGMENTS);
		to->fragments[to->fragment_count++] = (struct fake_fragment){.header = f->header,
			.init = buf_ref(f->init),
			.body = buf_ref(f->body),
			.durable = true};
	}
	for (size_t i = 0; i < from->session_count; i++) {
		struct fake_session s = from->sessions[i];
		s.received = s.durable;
		to->sessions[i] = s;
	}
	to->session_count = from->session_count;
}

static void take(struct fake_daemon *d)
{
	struct fake_cluster *c = d->cluster;
	if (c->holder == d)
		return;
	if (c->holder) {
		copy_durable(c->holder, d);
		c->takeovers++;
	}
	c->holder = d;
}

bool fake_cluster_judge(
	struct fake_daemon *d, struct channel *ch, uint32_t number, const char *stream, bool any)
{
	char camera[CAMERA_ID_MAX + 1];
	if (!d->cluster)
		return true;
	assert_int_equal(stream_name_split(stream, camera, NULL), 0);
	d->anys += any;
	if (fake_map_owns(d->map, d->party.name, camera)) {
		take(d);
		return true;
	}
	if (any) {
		if (d->cluster->holder && d->cluster->holder != d)
			copy_durable(d->cluster->holder, d);
		return true;
	}
	fake_map_redirect(d->map, ch, number, camera);
	return false;
}

struct fake_daemon *fake_cluster_owner(const struct fake_cluster *c, const char *camera)
{
	const char *name = fake_map_owner(&c->map, camera);
	return name ? c->daemons[fake_map_index(&c->map, name)] : NULL;
}

void fake_cluster_set(struct fake_cluster *c, const struct fake_daemon *d, bool alive)
{
	fake_map_set(&c->map, d->party.name, alive);
}
