/* SPDX-License-Identifier: Apache-2.0 */
/* Channels to other daemons: the leader keeps one to each that is alive or beats, everybody else one
 * to the leader. The end of a process breaks them, and the redial is refused: no better sign of a
 * death exists. Questions go out only when a heartbeat stands still. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/ownership/members_impl.h"

#define REDIAL_NS (1 * NS_PER_SECOND)

static void dial(struct member_peer *p);

static void free_strings(char **list)
{
	for (size_t i = 0; i < CLUSTER_NODE_ADDRESSES_MAX; i++) {
		free(list[i]);
		list[i] = NULL;
	}
}

bool peer_release(struct member_peer *p)
{
	if (!p->gone || p->channel || p->reading || p->changing)
		return false;
	list_remove(&p->node);
	loop_timer_stop(&p->redial);
	free_strings(p->addresses);
	free_strings(p->seen_addresses);
	free(p);
	return true;
}

/* --- channel --- */

static void open_question(struct member_peer *p)
{
	if (!p->asked)
		p->asked_at = members_now(p->members);
	p->asked = true;
}

static void send_question(struct member_peer *p)
{
	Steppe__Wire__Map ask = STEPPE__WIRE__MAP__INIT;
	ask.have_epoch = p->members->map->epoch;
	p->numbers = p->numbers % (UINT32_MAX - 1) + 1;
	open_question(p);
	/* one that cannot be queued is a question without an answer: what it is for */
	(void)channel_send(p->channel, FRAME_MAP, p->numbers, &ask.base, NULL, 0);
}

void peer_ask(struct member_peer *p)
{
	if (!p->asked && p->ready)
		send_question(p);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	struct member_peer *p = container_of(user, struct member_peer, user);
	p->asked = false;
	if (peer->boot_nonce != p->nonce || strcmp(peer->node ? peer->node : "", p->id) != 0) {
		p->another = true;
		channel_close(ch);
		return;
	}
	p->ready = true;
	p->refused = false;
	p->next_address = p->refusals = 0;
	send_question(p); /* tells of our map, in case the other has missed it */
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)ch;
	struct member_peer *p = container_of(user, struct member_peer, user);
	p->asked = false;
	if (frame->header.type != FRAME_MAP_REPLY)
		return;
	Steppe__Wire__MapReply *reply =
		steppe__wire__map_reply__unpack(NULL, frame->header.meta_len, frame->meta);
	if (reply && reply->map)
		members_heard(p->members, reply->map->epoch);
	steppe__wire__map_reply__free_unpacked(reply, NULL);
}

static void on_redial(struct loop_timer *timer)
{
	dial(container_of(timer, struct member_peer, redial));
}

/* Each address was tried. */
static void all_failed(struct member_peer *p)
{
	struct members *m = p->members;
	p->refused = p->refusals == p->address_count;
	p->next_address = p->refusals = 0;
	p->redial.fire = on_redial;
	/* without memory for a timer the next round dials */
	(void)loop_timer_start(m->config.loop, &p->redial, REDIAL_NS);
	if (!p->refused)
		return;
	if (members_leads(m))
		members_judge_peer(p, false);
	else if (strcmp(p->id, m->leader_id) == 0)
		members_leader_gone(m);
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)words;
	struct member_peer *p = container_of(user, struct member_peer, user);
	struct members *m = p->members;
	bool was_ready = p->ready, another = p->another;
	p->channel = NULL;
	p->ready = p->another = false;
	bool released = peer_release(p);
	if (members_end(m) || released || p->gone || members_over(m))
		return;
	if (was_ready) {
		dial(p); /* is the process still there? */
		return;
	}
	if (status == -ECONNREFUSED || another)
		p->refusals++;
	if (++p->next_address < p->address_count)
		dial(p);
	else
		all_failed(p);
}

static void dial(struct member_peer *p)
{
	struct members *m = p->members;
	if (p->channel || p->gone || members_over(m))
		return;
	loop_timer_stop(&p->redial);
	p->user = (struct channel_user){.ready = on_ready, .frame = on_frame, .closed = on_closed};
	open_question(p);
	p->channel = m->config.ops->dial(m->config.owner, p->addresses[p->next_address], &p->user);
	if (p->channel)
		members_begin(m);
	else
		all_failed(p);
}

/* --- who there is --- */

struct member_peer *peer_find(struct members *m, const char *id)
{
	list_each (node, &m->peers) {
		struct member_peer *p = list_entry(node, struct member_peer, node);
		if (!p->gone && strcmp(p->id, id) == 0)
			return p;
	}
	return NULL;
}

static bool is_at(const struct member_peer *p, const struct cluster_node *n)
{
	if (p->address_count != n->address_count)
		return false;
	for (size_t i = 0; i < n->address_count; i++)
		if (strcmp(p->addresses[i], n->addresses[i]) != 0)
			return false;
	return true;
}

static struct member_peer *add(struct members *m, const struct cluster_node *n)
{
	struct member_peer *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->members = m;
	strcpy(p->id, n->id);
	p->nonce = n->boot_nonce;
	p->changed_at = members_now(m);
	for (; p->address_count < n->address_count; p->address_count++) {
		p->addresses[p->address_count] = strdup(n->addresses[p->address_count]);
		if (p->addresses[p->address_count])
			continue;
		free_strings(p->addresses);
		free(p);
		return NULL;
	}
	list_append(&m->peers, &p->node);
	return p;
}

static void leave_peer(struct member_peer *p)
{
	p->gone = true;
	loop_timer_stop(&p->redial);
	if (p->channel)
		channel_close(p->channel);
	peer_release(p);
}

static void close_channel(struct member_peer *p)
{
	loop_timer_stop(&p->redial);
	p->asked = p->refused = false;
	if (p->channel)
		channel_close(p->channel);
}

/* What the map says of a node; a process that is another is watched anew. */
static struct member_peer *sync(struct members *m, const struct cluster_node *n)
{
	struct member_peer *p = peer_find(m, n->id);
	if (p && (p->nonce != n->boot_nonce || !is_at(p, n))) {
		leave_peer(p);
		p = NULL;
	}
	if (!p)
		p = add(m, n); /* without memory the next map or round tries again */
	if (p && p->alive && !n->alive)
		p->changes = 0;
	if (p)
		p->alive = n->alive;
	return p;
}

void members_sync_peers(struct members *m)
{
	if (m->config.alone || members_over(m) || !m->map)
		return;
	bool leads = members_leads(m);
	list_each_safe (node, &m->peers) {
		struct member_peer *p = list_entry(node, struct member_peer, node);
		if (!p->gone && cluster_map_find(m->map, p->id) < 0)
			leave_peer(p);
	}
	for (size_t i = 0; i < m->map->node_count; i++) {
		const struct cluster_node *n = &m->map->nodes[i];
		if (strcmp(n->id, m->config.node) == 0)
			continue;
		struct member_peer *p = sync(m, n);
		if (!p)
			continue;
		bool wanted = leads ? p->alive || p->changes : !strcmp(p->id, m->leader_id);
		if (!wanted)
			close_channel(p);
		else if (!loop_timer_armed(&p->redial))
			dial(p);
	}
}

void members_close_peers(struct members *m)
{
	list_each_safe (node, &m->peers)
		leave_peer(list_entry(node, struct member_peer, node));
}

void members_tell(struct members *m)
{
	list_each (node, &m->peers) {
		struct member_peer *p = list_entry(node, struct member_peer, node);
		if (p->ready && !p->gone)
			send_question(p);
	}
}
