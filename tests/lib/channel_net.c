/* SPDX-License-Identifier: Apache-2.0 */
/* The network between modelled channels: who listens where, and which ways are cut. */
#include "tests/lib/channel_end.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* The way from one party to another that is cut. */
struct cut {
	struct list node;
	const char *from, *to;
};

struct hang {
	struct list node;
	const char *party;
};

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool hangs(const struct model_net *net, const char *party)
{
	list_each (node, &net->hangs)
		if (same(list_entry(node, struct hang, node)->party, party))
			return true;
	return false;
}

static struct cut *cut_find(const struct model_net *net, const char *from, const char *to)
{
	list_each (node, &net->cuts) {
		struct cut *c = list_entry(node, struct cut, node);
		if (same(c->from, from) && same(c->to, to))
			return c;
	}
	return NULL;
}

bool model_net_blocked(const struct model_net *net, const char *from, const char *to)
{
	return cut_find(net, from, to) || hangs(net, from) || hangs(net, to);
}

static struct model_listener *find(struct model_net *net, const char *address)
{
	struct model_listener *found = NULL;
	list_each (node, &net->listeners) {
		struct model_listener *l = list_entry(node, struct model_listener, node);
		if (same(l->address, address))
			found = l; /* the last is the one that may listen */
	}
	return found;
}

static void identify(struct model_end *e, const struct model_party *peer, const char *address)
{
	snprintf(e->ch.identity.name, sizeof(e->ch.identity.name), "%s", peer->name);
	snprintf(e->ch.identity.address, sizeof(e->ch.identity.address), "%s", address);
	e->ch.identity.roles = peer->roles;
}

/* Makes the accepting end of `e` and sends it the greeting. */
static int reach(struct model_end *e, struct model_listener *l)
{
	struct model_end *far = model_end_new(e->net, l->loop, &l->party);
	if (!far)
		return -ENOMEM;
	char address[64];
	snprintf(address, sizeof(address), "%.50s:%u", e->party.name, (unsigned)++e->net->ports);
	far->listener = l;
	far->from = e->party.name;
	far->peer = e;
	e->peer = far;
	identify(e, &l->party, l->address);
	identify(far, &e->party, address);
	if (loop_timer_start(far->loop, &far->limit, MODEL_CONNECT_MS * NS_PER_MS) < 0 ||
		model_end_greet(e) < 0) {
		model_end_free(far);
		return -ENOMEM;
	}
	return 0;
}

struct channel *model_dial(struct model_net *net, struct loop *loop, const char *address,
	const struct model_party *party, struct channel_user *user)
{
	struct model_end *e = model_end_new(net, loop, party);
	if (!e)
		return NULL;
	net->counts.dials++;
	e->ch.user = user;
	struct model_listener *l = find(net, address);
	if (l)
		e->from = l->party.name;
	if (loop_timer_start(loop, &e->limit, MODEL_CONNECT_MS * NS_PER_MS) < 0)
		goto fail;
	if (l && l->listening) {
		if (reach(e, l) < 0)
			goto fail;
	} else {
		model_end_refuse(e, -ECONNREFUSED, "connection refused");
	}
	return &e->ch;
fail:
	model_end_free(e);
	return NULL;
}

struct model_listener *model_listen(struct model_net *net, struct loop *loop, const char *address,
	const struct model_party *party, model_accepted_fn accepted)
{
	struct model_listener *before = find(net, address);
	CHECK(!before || !before->listening);
	struct model_listener *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	*l = (struct model_listener){
		.net = net, .loop = loop, .party = *party, .accepted = accepted, .listening = true};
	snprintf(l->address, sizeof(l->address), "%s", address);
	list_append(&net->listeners, &l->node);
	return l;
}

void model_listener_set_owner(struct model_listener *l, void *owner)
{
	l->owner = owner;
}

void model_listener_free(struct model_listener **slot)
{
	struct model_listener *l = *slot;
	*slot = NULL;
	if (l)
		l->listening = false;
}

/* --- the network */

struct model_net *model_net_new(void)
{
	struct model_net *net = calloc(1, sizeof(*net));
	if (!net)
		return NULL;
	list_init(&net->ends);
	list_init(&net->listeners);
	list_init(&net->cuts);
	list_init(&net->hangs);
	net->latency_ns = NS_PER_MS;
	return net;
}

void model_net_free(struct model_net **slot)
{
	struct model_net *net = *slot;
	*slot = NULL;
	if (!net)
		return;
	while (!list_empty(&net->ends))
		model_end_free(list_entry(net->ends.next, struct model_end, node));
	for (struct list *node; (node = list_pop(&net->listeners));)
		free(list_entry(node, struct model_listener, node));
	for (struct list *node; (node = list_pop(&net->cuts));)
		free(list_entry(node, struct cut, node));
	for (struct list *node; (node = list_pop(&net->hangs));)
		free(list_entry(node, struct hang, node));
	free(net);
}

static void ways_changed(struct model_net *net)
{
	list_each (node, &net->ends)
		model_end_way_changed(list_entry(node, struct model_end, node));
}

void model_net_latency(struct model_net *net, int64_t ns)
{
	net->latency_ns = ns;
}

void model_net_cut_way(struct model_net *net, const char *from, const char *to, bool cut)
{
	struct cut *c = cut_find(net, from, to);
	if (cut && !c) {
		c = calloc(1, sizeof(*c));
		CHECK(c != NULL);
		*c = (struct cut){.from = from, .to = to};
		list_append(&net->cuts, &c->node);
	} else if (!cut && c) {
		list_remove(&c->node);
		free(c);
	}
	ways_changed(net);
}

void model_net_cut(struct model_net *net, const char *a, const char *b, bool cut)
{
	model_net_cut_way(net, a, b, cut);
	model_net_cut_way(net, b, a, cut);
}

void model_net_hang(struct model_net *net, const char *party, bool hung)
{
	list_each_safe (node, &net->hangs) {
		struct hang *h = list_entry(node, struct hang, node);
		if (same(h->party, party)) {
			list_remove(&h->node);
			free(h);
		}
	}
	if (hung) {
		struct hang *h = calloc(1, sizeof(*h));
		CHECK(h != NULL);
		h->party = party;
		list_append(&net->hangs, &h->node);
	}
	ways_changed(net);
}

void model_net_reset(struct model_net *net, const char *party)
{
	list_each (node, &net->ends) {
		struct model_end *e = list_entry(node, struct model_end, node);
		if (same(e->party.name, party))
			model_end_finish(e, -ECONNRESET, "connection reset by peer");
	}
}

void model_net_kill(struct model_net *net, const char *party)
{
	model_net_reset(net, party);
	list_each_safe (node, &net->ends) {
		struct model_end *e = list_entry(node, struct model_end, node);
		if (same(e->party.name, party))
			model_end_free(e);
	}
	list_each (node, &net->listeners) {
		struct model_listener *l = list_entry(node, struct model_listener, node);
		if (same(l->party.name, party))
			l->listening = false;
	}
}

struct model_counts model_net_counts(const struct model_net *net)
{
	return net->counts;
}
