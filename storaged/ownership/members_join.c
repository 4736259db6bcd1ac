/* SPDX-License-Identifier: Apache-2.0 */
/* Into the cluster: the id is made ours, then the map says that we are alive. And out of it.
 *
 *	LOOK --free--------------------------------> CLAIM --> MAP --> in
 *	  |  \--another process holds it--> DIAL --nobody there----^
 *	  |                                   |  it answers: -EEXIST
 *	  +<-- it beats: -EEXIST --- WATCH <--+  no answer
 *	       it does not: CLAIM */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/ownership/members_impl.h"

#define WATCH_BEATS    4 /* so many heartbeats of silence, and the id is free */
#define LEAVE_LIMIT_NS (5 * NS_PER_SECOND)

static void look(struct members *m);
static void claim(struct members *m);
static void dial_next(struct members *m);

static void finish(struct members *m, int status, const char *words)
{
	struct members_join *req = m->join.req;
	m->join.req = NULL;
	if (m->join.beat)
		steppe__wire__node_beat__free_unpacked(m->join.beat, NULL);
	m->join.beat = NULL;
	slice_drop(&m->join.body);
	if (!req)
		return;
	req->status = status;
	snprintf(req->words, sizeof(req->words), "%s", words ? words : err_text(status));
	req->done(req);
}

static void taken(struct members *m)
{
	char words[256];
	const Steppe__Wire__NodeBeat *b = m->join.beat;
	snprintf(words, sizeof(words), "another daemon runs under the id %s%s%s", m->config.node,
		b && b->n_addresses ? " at " : "", b && b->n_addresses ? b->addresses[0] : "");
	finish(m, -EEXIST, words);
}

/* --- into the map --- */

static void on_mapped(struct members_change *change)
{
	struct members *m = container_of(change, struct members, join.change);
	if (change->status) {
		finish(m, change->status, NULL);
		return;
	}
	m->joined = true;
	if (!m->config.alone)
		members_start_ticks(m);
	m->config.ops->changed(m->config.owner, m->map);
	finish(m, 0, "");
}

static void enter(struct members *m)
{
	m->join.change = (struct members_change){.done = on_mapped,
		.edit = {.kind = EDIT_JOIN,
			.id = m->config.node,
			.nonce = m->config.boot_nonce,
			.addresses = m->config.addresses,
			.rack = m->config.rack,
			.weight = m->config.weight,
			.alone = m->config.alone,
			.features = m->config.features}};
	members_change(m, &m->join.change);
}

/* --- the id --- */

static void on_claimed(struct settle *s)
{
	struct members *m = container_of(s, struct members, join.claim);
	int status = s->status;
	slice_drop(&m->join.body);
	if (members_end(m))
		return;
	if (status == ERR_GUARD || status == -EEXIST || status == -ENOENT)
		taken(m);
	else if (status)
		finish(m, status, NULL);
	else
		enter(m);
}

static void claim(struct members *m)
{
	Steppe__Wire__NodeBeat beat;
	m->beats++;
	members_describe(m, &beat);
	struct buf *body = members_pack(&beat.base, NODE_BEAT_SIZE);
	if (!body) {
		finish(m, -ENOMEM, NULL);
		return;
	}
	struct settle *s = &m->join.claim;
	m->join.body = slice_of(body, 0, body->len);
	buf_unref(&body);
	s->done = on_claimed;
	settle_begin(s, &m->tenure, STORE_META, m->object, ATTR_NONCE);
	if (m->join.found_nonce || m->join.watched)
		settle_guard_equal(s, ATTR_NONCE, m->join.found);
	else
		settle_guard_absent(s);
	settle_set(s, ATTR_NONCE, m->nonce_text);
	settle_body_whole(s, &m->join.body, 1);
	members_begin(m);
	settle_submit(s);
}

/* --- whether who holds it lives --- */

static void on_pause(struct loop_timer *timer)
{
	look(container_of(timer, struct members, join.pause));
}

/* It cannot be asked: whether its heartbeat changes must tell. */
static void watch(struct members *m)
{
	m->join.watched = true;
	m->join.pause.fire = on_pause;
	if (loop_timer_start(m->config.loop, &m->join.pause, WATCH_BEATS * m->config.beat_ns))
		finish(m, -ENOMEM, NULL);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	struct members *m = container_of(user, struct members, join.user);
	m->join.answered = peer->boot_nonce == m->join.found_nonce;
	if (!m->join.answered)
		m->join.refusals++; /* another process lives there, ours perhaps */
	channel_close(ch);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)ch;
	(void)user;
	(void)frame; /* nothing was asked */
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)words;
	struct members *m = container_of(user, struct members, join.user);
	m->join.channel = NULL;
	if (members_end(m))
		return;
	if (status == -ECONNREFUSED)
		m->join.refusals++;
	if (m->join.answered)
		taken(m);
	else
		dial_next(m);
}

static void dial_next(struct members *m)
{
	const Steppe__Wire__NodeBeat *b = m->join.beat;
	struct channel *ch = NULL;
	if (m->join.next_address < b->n_addresses) {
		m->join.user = (struct channel_user){
			.ready = on_ready, .frame = on_frame, .closed = on_closed};
		ch = m->config.ops->dial(
			m->config.owner, b->addresses[m->join.next_address++], &m->join.user);
		if (!ch) {
			finish(m, -ENOMEM, NULL);
			return;
		}
		m->join.channel = ch;
		members_begin(m);
	} else if (b->n_addresses && m->join.refusals == b->n_addresses) {
		claim(m);
	} else {
		watch(m);
	}
}

/* --- who holds it --- */

static void judge(struct members *m, const struct store_read *read)
{
	size_t len;
	const char *nonce = store_read_attr(read, ATTR_NONCE, &len);
	uint64_t number = 0;
	if (len == strlen(NONCE_REMOVED) && memcmp(nonce, NONCE_REMOVED, len) == 0) {
		finish(m, -EPERM,
			"an admin removed this node from the cluster; `steppe cluster join` lets "
			"it "
			"in again");
		return;
	}
	(void)attr_u64_parse(nonce, len, &number); /* what is no number is nobody's */
	bool watched = m->join.watched;
	bool same = watched && number == m->join.found_nonce;
	uint64_t beats = m->join.found_beats;
	snprintf(m->join.found, sizeof(m->join.found), "%.*s", (int)len, nonce);
	m->join.found_nonce = number;
	if (m->join.beat)
		steppe__wire__node_beat__free_unpacked(m->join.beat, NULL);
	m->join.beat = steppe__wire__node_beat__unpack(NULL, read->body->len, read->body->data);
	m->join.found_beats = m->join.beat ? m->join.beat->beats : 0;
	if (!number || number == m->config.boot_nonce) {
		m->join.watched = true; /* the object is there */
		claim(m);
	} else if (watched && same && beats == m->join.found_beats) {
		claim(m);
	} else if (watched) {
		taken(m);
	} else if (m->join.beat) {
		dial_next(m);
	} else {
		watch(m);
	}
}

static void on_look(struct store_read *read)
{
	struct members *m = container_of(read, struct members, join.read);
	int status = read->status;
	m->operations++; /* while it is judged */
	if (m->stopping)
		;
	else if (!status)
		judge(m, read);
	else if (status == -ENOENT)
		claim(m);
	else
		finish(m, status, NULL);
	store_read_release(read);
	m->operations--;
	members_end(m);
}

static void look(struct members *m)
{
	m->join.read = (struct store_read){
		.done = on_look, .want_attrs = true, .want_body = true, .len = BEAT_READ_MAX};
	members_begin(m);
	store_read(m->config.store, &m->join.read, STORE_META, m->object);
}

static void on_begin(struct loop_task *task)
{
	struct members *m = container_of(task, struct members, join.task);
	if (members_end(m))
		return;
	if (m->config.alone)
		enter(m);
	else
		look(m);
}

void members_join(struct members *m, struct members_join *req)
{
	CHECK(!m->join.req && !m->joined);
	m->join.req = req;
	m->join.task = (struct loop_task){.run = on_begin};
	members_begin(m);
	loop_defer(m->config.loop, &m->join.task);
}

void members_cancel_join(struct members *m)
{
	loop_timer_stop(&m->join.pause);
	if (settle_busy(&m->join.claim))
		settle_cancel(&m->join.claim);
	if (m->join.channel)
		channel_close(m->join.channel);
	finish(m, -ECANCELED, NULL);
}

/* --- out of it --- */

static void left(struct members *m)
{
	struct loop_task *done = m->leave.done;
	m->leave.done = NULL;
	loop_timer_stop(&m->leave.limit);
	if (done)
		loop_defer(m->config.loop, done);
}

static void on_left(struct members_change *change)
{
	struct members *m = container_of(change, struct members, leave.change);
	m->leave.changing = false;
	left(m);
}

static void on_limit(struct loop_timer *timer)
{
	left(container_of(timer, struct members, leave.limit));
}

void members_leave(struct members *m, struct loop_task *done)
{
	m->leave.done = done;
	m->leaving = true;
	if (!m->joined || m->config.alone || members_over(m) || m->leave.changing) {
		left(m);
		return;
	}
	members_beat(m);
	members_resign(m);
	m->leave.limit.fire = on_limit;
	/* without memory for a timer the store's own limits end it */
	(void)loop_timer_start(m->config.loop, &m->leave.limit, LEAVE_LIMIT_NS);
	m->leave.change = (struct members_change){.done = on_left,
		.edit = {.kind = EDIT_DEAD, .id = m->config.node, .nonce = m->config.boot_nonce}};
	m->leave.changing = true;
	members_change(m, &m->leave.change);
}
