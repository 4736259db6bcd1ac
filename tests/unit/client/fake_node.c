/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "proto/names.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"

struct node_conn {
	struct list node;
	struct fake_node *n;
	struct channel_user user;
};

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)user;
	(void)peer;
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	(void)ch;
	(void)user;
}

/* A question about a stream: true when it is to be answered here. */
static bool is_mine(
	struct fake_node *n, struct channel *ch, uint32_t number, const char *stream, bool any)
{
	char camera[CAMERA_ID_MAX + 1];
	assert_int_equal(stream_name_split(stream, camera, NULL), 0);
	n->anys += any;
	if (n->refuse) {
		(void)channel_refuse(ch, number, n->refuse, NULL, 100);
		return false;
	}
	if (n->redirects) {
		Steppe__Wire__Redirect m = STEPPE__WIRE__REDIRECT__INIT;
		char *address = (char *)n->redirects;
		m.addresses = &address;
		m.n_addresses = 1;
		(void)channel_send(ch, FRAME_REDIRECT, number, &m.base, NULL, 0);
		n->redirected++;
		return false;
	}
	if (!n->map || any || fake_map_owns(n->map, n->party.name, camera))
		return true;
	fake_map_redirect(n->map, ch, number, camera);
	n->redirected++;
	return false;
}

static void on_open(struct fake_node *n, struct channel *ch, const struct frame *frame)
{
	Steppe__Wire__Open *m =
		steppe__wire__open__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	assert_true(n->opens < NODE_OPENS);
	n->opened[n->opens++] = n->world->now;
	n->map_epoch = m->map_epoch;
	if (is_mine(n, ch, frame->header.stream, m->stream, false)) {
		Steppe__Wire__Opened opened = STEPPE__WIRE__OPENED__INIT;
		(void)channel_send(ch, FRAME_OPENED, frame->header.stream, &opened.base, NULL, 0);
	}
	steppe__wire__open__free_unpacked(m, NULL);
}

static void on_timeline(struct fake_node *n, struct channel *ch, const struct frame *frame)
{
	Steppe__Wire__Timeline *m =
		steppe__wire__timeline__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	n->timelines++;
	if (is_mine(n, ch, frame->header.stream, m->stream, m->any)) {
		Steppe__Wire__TimelineReply reply = STEPPE__WIRE__TIMELINE_REPLY__INIT;
		(void)channel_send(
			ch, FRAME_TIMELINE_REPLY, frame->header.stream, &reply.base, NULL, 0);
	}
	steppe__wire__timeline__free_unpacked(m, NULL);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct fake_node *n = container_of(user, struct node_conn, user)->n;
	alloc_fail_suspend(true);
	if (frame->header.type == FRAME_MAP) {
		n->maps++;
		if (!n->mute && !n->ignores_maps)
			fake_map_answer(n->map, ch, frame);
	} else if (frame->header.type == FRAME_STOP) {
		n->stops++;
	} else if (n->mute || n->stuck) {
		;
	} else if (frame->header.type == FRAME_OPEN) {
		on_open(n, ch, frame);
	} else if (frame->header.type == FRAME_TIMELINE) {
		on_timeline(n, ch, frame);
	} else {
		fail_msg("frame of type %u", frame->header.type);
	}
	alloc_fail_suspend(false);
}

static void conn_free(struct node_conn *c)
{
	c->n->open_connections--;
	list_remove(&c->node);
	free(c);
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)status;
	(void)words;
	conn_free(container_of(user, struct node_conn, user));
}

static struct channel_user *on_accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	struct fake_node *n = owner;
	(void)l;
	(void)ch;
	alloc_fail_suspend(true);
	struct node_conn *c = calloc(1, sizeof(*c));
	alloc_fail_suspend(false);
	CHECK(c);
	c->n = n;
	c->user = (struct channel_user){
		.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed};
	list_append(&n->conns, &c->node);
	n->connections++;
	n->open_connections++;
	return &c->user;
}

void node_revive(struct fake_node *n)
{
	char address[64];
	snprintf(address, sizeof(address), "%s:1", n->party.name);
	n->listener = model_listen(n->net, &n->loop.loop, address, &n->party, on_accepted);
	CHECK(n->listener);
	model_listener_set_owner(n->listener, n);
}

void node_kill(struct fake_node *n)
{
	model_net_kill(n->net, n->party.name);
	n->listener = NULL;
	while (!list_empty(&n->conns))
		conn_free(list_entry(n->conns.next, struct node_conn, node));
}

void node_start(struct fake_node *n, struct sim_world *world, struct model_net *net,
	const char *name, const struct fake_map *map)
{
	*n = (struct fake_node){.world = world, .net = net, .map = map};
	n->party = (struct model_party){
		.name = name, .roles = ROLE_NODE, .node = name, .boot_nonce = 1};
	list_init(&n->conns);
	sim_loop_init(&n->loop, world);
	node_revive(n);
}

void node_stop(struct fake_node *n)
{
	node_kill(n);
	sim_loop_kill(&n->loop);
	sim_loop_fini(&n->loop);
}
