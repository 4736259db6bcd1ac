/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/client/fake_cluster.h"
#include "tests/unit/client/made.h"
#include "proto/bmff.h"
#include "proto/refusal.h"

struct conn_lane {
	bool open;
	struct fake_session *session;
	uint64_t sent_bytes, credit, undurable;
	struct buf *init;
	bool synced;
};

struct fetching {
	bool active;
	uint32_t stream;
	int64_t from_us, to_us;
	bool backward, sync_only, follow;
	uint64_t credit, sent;
	size_t order[FAKE_FRAGMENTS], count, at;
	struct buf *init;
};

struct conn {
	struct list node;
	struct fake_daemon *d;
	struct channel *ch;
	struct channel_user user;
	uint32_t stream; /* being recorded; 0: none */
	bool closing;
	struct conn_lane lanes[LANES];
	struct loop_timer durable;
	struct fetching fetch[2];
};

/* --- life --- */

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame);
static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words);
static void on_durable(struct loop_timer *timer);

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)user;
	(void)peer;
}

static void send_fragments(struct conn *c, struct fetching *f);

static void on_drained(struct channel *ch, struct channel_user *user)
{
	(void)ch;
	struct conn *c = container_of(user, struct conn, user);
	for (size_t i = 0; i < 2; i++)
		send_fragments(c, &c->fetch[i]);
}

static struct channel_user *on_accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	struct fake_daemon *d = owner;
	alloc_fail_suspend(true);
	struct conn *c = calloc(1, sizeof(*c));
	alloc_fail_suspend(false);
	CHECK(c);
	c->d = d;
	c->ch = ch;
	c->user = (struct channel_user){
		.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed};
	c->durable.fire = on_durable;
	list_append(&d->conns, &c->node);
	d->connections++;
	return &c->user;
}

static void drop_lanes(struct conn *c)
{
	for (size_t i = 0; i < LANES; i++) {
		struct conn_lane *l = &c->lanes[i];
		if (l->open && c->d->keep_undurable)
			l->session->durable = l->session->received;
		else if (l->open)
			l->session->received = l->session->durable;
		buf_unref(&l->init);
		*l = (struct conn_lane){0};
	}
	/* what was received and is not durable: kept or lost */
	for (size_t i = 0; i < c->d->fragment_count; i++) {
		struct fake_fragment *f = &c->d->fragments[i];
		if (f->durable)
			continue;
		if (c->d->keep_undurable) {
			f->durable = true;
		} else {
			buf_unref(&f->init);
			buf_unref(&f->body);
		}
	}
	size_t kept = 0;
	for (size_t i = 0; i < c->d->fragment_count; i++)
		if (c->d->fragments[i].body)
			c->d->fragments[kept++] = c->d->fragments[i];
	c->d->fragment_count = kept;
	c->stream = 0;
}

static void conn_free(struct conn *c)
{
	loop_timer_stop(&c->durable);
	drop_lanes(c);
	for (size_t i = 0; i < 2; i++)
		buf_unref(&c->fetch[i].init);
	list_remove(&c->node);
	free(c);
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)status;
	(void)words;
	conn_free(container_of(user, struct conn, user));
}

void fake_listen(struct fake_daemon *d)
{
	char address[64];
	snprintf(address, sizeof(address), "%s:1", d->party.name);
	d->listener = model_listen(d->net, &d->loop.loop, address, &d->party, on_accepted);
	CHECK(d->listener);
	model_listener_set_owner(d->listener, d);
}

void fake_unlisten(struct fake_daemon *d)
{
	model_listener_free(&d->listener);
}

void fake_start(
	struct fake_daemon *d, struct sim_world *world, struct model_net *net, const char *name)
{
	*d = (struct fake_daemon){.world = world, .net = net};
	d->party = (struct model_party){
		.name = name, .roles = ROLE_NODE, .node = name, .boot_nonce = 1};
	d->durable_ns = 200 * NS_PER_MS;
	list_init(&d->conns);
	sim_loop_init(&d->loop, world);
	fake_listen(d);
}

void fake_kill(struct fake_daemon *d)
{
	model_net_kill(d->net, d->party.name);
	d->listener = NULL;
	while (!list_empty(&d->conns))
		conn_free(list_entry(d->conns.next, struct conn, node));
}

void fake_restart(struct fake_daemon *d)
{
	fake_kill(d);
	fake_listen(d);
}

void fake_stop(struct fake_daemon *d)
{
	model_net_kill(d->net, d->party.name);
	while (!list_empty(&d->conns))
		conn_free(list_entry(d->conns.next, struct conn, node));
	for (size_t i = 0; i < d->fragment_count; i++) {
		buf_unref(&d->fragments[i].init);
		buf_unref(&d->fragments[i].body);
	}
	sim_loop_kill(&d->loop);
	sim_loop_fini(&d->loop);
}

void fake_forget(struct fake_daemon *d)
{
	d->session_count = 0;
}

/* --- recording --- */

static void ack(struct conn *c, unsigned lane)
{
	struct conn_lane *l = &c->lanes[lane];
	uint64_t credit = l->sent_bytes - l->undurable + (c->d->credit ? c->d->credit : 1 << 20);
	l->credit = credit > l->credit ? credit : l->credit; /* never taken back */
	Steppe__Wire__Ack m = STEPPE__WIRE__ACK__INIT;
	m.lane = lane;
	m.received = l->session->received;
	m.durable = l->session->durable;
	m.credit = l->credit;
	m.durable_until_us = (int64_t)l->session->durable;
	(void)channel_send(c->ch, FRAME_ACK, c->stream, &m.base, NULL, 0);
}

static void show_followers(struct fake_daemon *d);
static void refuse(struct conn *c, uint32_t stream, int code, uint32_t lane);

static void make_durable(struct conn *c)
{
	if (c->d->cluster && c->d->cluster->holder != c->d) {
		/* fenced: nothing of it can become durable */
		if (c->stream)
			refuse(c, c->stream, REFUSAL_NOT_OWNER, 0);
		drop_lanes(c);
		return;
	}
	for (size_t i = 0; i < c->d->fragment_count; i++)
		c->d->fragments[i].durable = true;
	for (unsigned i = 0; i < LANES; i++) {
		struct conn_lane *l = &c->lanes[i];
		if (!l->open)
			continue;
		l->session->durable = l->session->received;
		l->undurable = 0;
		ack(c, i);
	}
	show_followers(c->d);
}

void fake_move(struct fake_daemon *d, const char *camera)
{
	list_each (node, &d->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		if (!c->stream)
			continue;
		uint32_t number = c->stream;
		make_durable(c);
		loop_timer_stop(&c->durable);
		drop_lanes(c);
		fake_map_redirect(d->map, c->ch, number, camera);
	}
}

static void on_durable(struct loop_timer *timer)
{
	struct conn *c = container_of(timer, struct conn, durable);
	alloc_fail_suspend(true);
	make_durable(c);
	if (c->closing) {
		Steppe__Wire__Closed closed = STEPPE__WIRE__CLOSED__INIT;
		(void)channel_send(c->ch, FRAME_CLOSED, c->stream, &closed.base, NULL, 0);
		drop_lanes(c);
	}
	alloc_fail_suspend(false);
}

static struct fake_session *session_of(struct fake_daemon *d, uint64_t session)
{
	for (size_t i = 0; i < d->session_count; i++)
		if (d->sessions[i].session == session)
			return &d->sessions[i];
	return NULL;
}

static void refuse(struct conn *c, uint32_t stream, int code, uint32_t lane)
{
	Steppe__Wire__Refused m = STEPPE__WIRE__REFUSED__INIT;
	m.code = (uint32_t)code;
	m.retry_after_ms = c->d->retry_after_ms;
	m.lane = lane;
	(void)channel_send(c->ch, FRAME_REFUSED, stream, &m.base, NULL, 0);
}

static void redirect(struct conn *c, uint32_t stream)
{
	Steppe__Wire__Redirect m = STEPPE__WIRE__REDIRECT__INIT;
	char *addresses[] = {(char *)c->d->redirect};
	m.addresses = addresses;
	m.n_addresses = 1;
	(void)channel_send(c->ch, FRAME_REDIRECT, stream, &m.base, NULL, 0);
}

/* The same recorder supersedes itself. */
static void supersede(struct fake_daemon *d, struct conn *but)
{
	list_each (node, &d->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		if (c == but || !c->stream)
			continue;
		refuse(c, c->stream, REFUSAL_SUPERSEDED, 0);
		drop_lanes(c);
	}
}

static void open_lanes(struct conn *c, const struct frame *frame, const Steppe__Wire__Open *open)
{
	struct fake_daemon *d = c->d;
	Steppe__Wire__Opened opened = STEPPE__WIRE__OPENED__INIT;
	Steppe__Wire__LaneOpened lanes[LANES], *pointers[LANES];
	assert_in_range(open->n_lanes, 1, LANES);
	if (c->stream && c->stream != frame->header.stream)
		refuse(c, c->stream, REFUSAL_SUPERSEDED, 0);
	if (c->stream)
		drop_lanes(c);
	for (size_t i = 0; i < open->n_lanes; i++) {
		const Steppe__Wire__LaneOpen *from = open->lanes[i];
		assert_true(from->lane < LANES && from->session && from->from_seq);
		struct fake_session *s = session_of(d, from->session);
		if (!s && from->from_seq > 1) {
			drop_lanes(c);
			refuse(c, frame->header.stream, REFUSAL_SESSION_FORGOTTEN, from->lane + 1);
			return;
		}
		if (!s) {
			assert_true(d->session_count < FAKE_SESSIONS);
			s = &d->sessions[d->session_count++];
			*s = (struct fake_session){.session = from->session};
		}
		assert_false(s->sealed);
		/* what the recorder does not hold any more must be durable here */
		assert_true(from->from_seq <= s->durable + 1);
		s->lane = (uint8_t)from->lane;
		s->received = s->durable;
		struct conn_lane *l = &c->lanes[from->lane];
		l->open = true;
		l->session = s;
		l->credit = d->credit ? d->credit : 1 << 20;
		l->init = buf_copy(frame->body.data, frame->body.len);
		l->synced = false;
		steppe__wire__lane_opened__init(pointers[i] = &lanes[i]);
		lanes[i].lane = from->lane;
		lanes[i].next_seq = s->durable + 1;
		lanes[i].credit = l->credit;
	}
	c->stream = frame->header.stream;
	c->closing = false;
	opened.epoch = 1;
	opened.lanes = pointers;
	opened.n_lanes = open->n_lanes;
	(void)channel_send(c->ch, FRAME_OPENED, c->stream, &opened.base, NULL, 0);
}

static void on_open(struct conn *c, const struct frame *frame)
{
	struct fake_daemon *d = c->d;
	d->opens++;
	if (d->redirect) {
		redirect(c, frame->header.stream);
		return;
	}
	if (d->refuse_opens) {
		d->refuse_opens -= d->refuse_opens != UINT_MAX;
		refuse(c, frame->header.stream, d->refuse_open, 0);
		return;
	}
	Steppe__Wire__Open *open =
		steppe__wire__open__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(open);
	assert_true(frame->body.len > 0);
	d->map_epoch = open->map_epoch;
	if (fake_cluster_judge(d, c->ch, frame->header.stream, open->stream, false)) {
		supersede(d, c);
		open_lanes(c, frame, open);
	}
	steppe__wire__open__free_unpacked(open, NULL);
}

static void on_append(struct conn *c, const struct frame *frame)
{
	struct fake_daemon *d = c->d;
	Steppe__Wire__Append *m =
		steppe__wire__append__unpack(NULL, frame->header.meta_len, frame->meta);
	struct fragment_header h;
	d->appends++;
	assert_non_null(m);
	assert_int_equal(fragment_header_decode(m->header.data, m->header.len, &h), 0);
	steppe__wire__append__free_unpacked(m, NULL);
	assert_int_equal(frame->body.len, h.body_len);
	assert_int_equal(fragment_check_digest(&h, frame->body.data), 0);
	struct conn_lane *l = &c->lanes[h.lane];
	assert_true(l->open && l->session->session == h.session);
	l->sent_bytes += h.body_len;
	l->undurable += h.body_len;
	assert_true(l->sent_bytes <= l->credit); /* credit is never exceeded */
	assert_int_equal(h.seq, l->session->received + 1);
	if (d->refuse_appends && h.capture.us == d->refuse_capture) {
		d->refuse_appends -= d->refuse_appends != UINT_MAX;
		uint32_t stream = c->stream;
		make_durable(c);
		loop_timer_stop(&c->durable);
		drop_lanes(c);
		refuse(c, stream, d->refuse_append, h.lane + 1u);
		return;
	}
	/* a session begins with what can be decoded */
	assert_true(h.seq > 1 || h.flags & FRAGMENT_SYNC);
	assert_true(d->fragment_count < FAKE_FRAGMENTS);
	l->session->received++;
	d->fragments[d->fragment_count++] = (struct fake_fragment){.header = h,
		.init = buf_ref(l->init),
		.body = buf_copy(frame->body.data, frame->body.len)};
	if (!loop_timer_armed(&c->durable))
		(void)loop_timer_start(&d->loop.loop, &c->durable, d->durable_ns);
}

static void on_gap(struct fake_daemon *d, const struct frame *frame)
{
	Steppe__Wire__Gap *m = steppe__wire__gap__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	for (size_t i = 0; i < d->gap_count; i++)
		if (d->gaps[i].from_us == m->from_us) {
			d->gaps[i].to_us = m->to_us;
			d->gaps[i].open = m->open;
			d->gaps[i].cause = m->cause;
			steppe__wire__gap__free_unpacked(m, NULL);
			return;
		}
	assert_true(d->gap_count < FAKE_GAPS);
	d->gaps[d->gap_count++] = (struct fake_gap){.lane = m->lane,
		.from_us = m->from_us,
		.to_us = m->to_us,
		.cause = m->cause,
		.open = m->open};
	steppe__wire__gap__free_unpacked(m, NULL);
}

static void on_init(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__Init *m =
		steppe__wire__init__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	assert_true(m->lane < LANES && c->lanes[m->lane].open);
	buf_unref(&c->lanes[m->lane].init);
	c->lanes[m->lane].init = buf_copy(frame->body.data, frame->body.len);
	steppe__wire__init__free_unpacked(m, NULL);
}

static void on_close(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__Close *m =
		steppe__wire__close__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	c->closing = true;
	c->d->closes++;
	for (size_t i = 0; i < LANES; i++)
		if (c->lanes[i].open)
			c->lanes[i].session->sealed = m->seal;
	steppe__wire__close__free_unpacked(m, NULL);
	(void)loop_timer_start(&c->d->loop.loop, &c->durable, c->d->durable_ns);
}

/* --- fetching --- */

static struct fake_daemon *sorting;

static int by_capture(const void *a, const void *b)
{
	int64_t x = sorting->fragments[*(const size_t *)a].header.capture.us;
	int64_t y = sorting->fragments[*(const size_t *)b].header.capture.us;
	return x < y ? -1 : x > y;
}

/* Runs are pairs here: a sync fragment and the one after it. Backwards: run by run, each forwards. */
static void plan(struct fake_daemon *d, struct fetching *f)
{
	size_t all[FAKE_FRAGMENTS], n = 0;
	for (size_t i = 0; i < d->fragment_count; i++)
		if (d->fragments[i].durable)
			all[n++] = i;
	sorting = d;
	qsort(all, n, sizeof(all[0]), by_capture);
	for (size_t i = 0; i < n;) {
		size_t run = f->backward ? n - i : i, first, end;
		if (f->backward) {
			end = run;
			first = end - 1;
			while (first > 0 &&
				!(d->fragments[all[first]].header.flags & FRAGMENT_SYNC))
				first--;
		} else {
			first = run;
			end = first + 1;
			while (end < n && !(d->fragments[all[end]].header.flags & FRAGMENT_SYNC))
				end++;
		}
		int64_t last_end = fragment_end(&d->fragments[all[end - 1]].header).us;
		int64_t start = d->fragments[all[first]].header.capture.us;
		for (size_t k = first; k < end; k++) {
			if (last_end <= f->from_us || start >= f->to_us ||
				d->fragments[all[k]].header.capture.us >= f->to_us)
				break;
			if (!f->sync_only || (k == first && start >= f->from_us))
				f->order[f->count++] = all[k];
		}
		i += end - first;
	}
}

static void send_fragment(struct conn *c, struct fetching *f, const struct fake_fragment *from)
{
	if (f->init != from->init) {
		Steppe__Wire__FetchInit init = STEPPE__WIRE__FETCH_INIT__INIT;
		struct slice body = slice_of(from->init, 0, from->init->len);
		(void)channel_send(c->ch, FRAME_FETCH_INIT, f->stream, &init.base, &body, 1);
		slice_drop(&body);
		buf_unref(&f->init);
		f->init = buf_ref(from->init);
	}
	uint8_t header[FRAGMENT_HEADER_SIZE];
	fragment_header_encode(&from->header, header);
	Steppe__Wire__Fragment m = STEPPE__WIRE__FRAGMENT__INIT;
	m.header = (ProtobufCBinaryData){.len = sizeof(header), .data = header};
	m.prefix_only = f->sync_only;
	struct slice body =
		slice_of(from->body, 0, f->sync_only ? from->header.prefix_len : from->body->len);
	(void)channel_send(c->ch, FRAME_FRAGMENT, f->stream, &m.base, &body, 1);
	f->sent += body.len;
	slice_drop(&body);
}

static void send_fragments(struct conn *c, struct fetching *f)
{
	while (f->active && f->at < f->count && f->sent < f->credit && !channel_is_full(c->ch)) {
		send_fragment(c, f, &c->d->fragments[f->order[f->at++]]);
		if (c->d->fetch_reset_after && --c->d->fetch_reset_after == 0) {
			model_net_reset(c->d->net, c->d->party.name);
			return;
		}
	}
	if (!f->active || f->at < f->count || f->follow)
		return;
	Steppe__Wire__FetchEnd end = STEPPE__WIRE__FETCH_END__INIT;
	(void)channel_send(c->ch, FRAME_FETCH_END, f->stream, &end.base, NULL, 0);
	f->active = false;
}

static bool is_planned(const struct fetching *f, size_t fragment)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->order[i] == fragment)
			return true;
	return false;
}

/* What became durable goes on to those that follow, as it came. */
static void show_followers(struct fake_daemon *d)
{
	list_each (node, &d->conns) {
		struct conn *c = list_entry(node, struct conn, node);
		for (size_t k = 0; k < 2; k++) {
			struct fetching *f = &c->fetch[k];
			for (size_t i = 0; f->active && f->follow && i < d->fragment_count; i++)
				if (d->fragments[i].durable &&
					fragment_end(&d->fragments[i].header).us > f->from_us &&
					!is_planned(f, i))
					f->order[f->count++] = i;
			send_fragments(c, f);
		}
	}
}

static void on_fetch(struct conn *c, const struct frame *frame)
{
	c->d->fetches++;
	if (c->d->redirect) {
		redirect(c, frame->header.stream);
		return;
	}
	if (c->d->refuse_opens) {
		c->d->refuse_opens -= c->d->refuse_opens != UINT_MAX;
		refuse(c, frame->header.stream, c->d->refuse_open, 0);
		return;
	}
	Steppe__Wire__Fetch *m =
		steppe__wire__fetch__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	if (!fake_cluster_judge(c->d, c->ch, frame->header.stream, m->stream, m->any)) {
		steppe__wire__fetch__free_unpacked(m, NULL);
		return;
	}
	struct fetching *f = c->fetch[0].active ? &c->fetch[1] : &c->fetch[0];
	assert_false(f->active);
	buf_unref(&f->init);
	*f = (struct fetching){
		.active = true,
		.stream = frame->header.stream,
		.from_us = m->from_us,
		.to_us = m->follow && !m->to_us ? INT64_MAX : m->to_us,
		.follow = m->follow,
		.backward = m->backward,
		.sync_only = m->sync_only,
		.credit = m->credit,
	};
	steppe__wire__fetch__free_unpacked(m, NULL);
	plan(c->d, f);
	send_fragments(c, f);
}

static void on_fetch_credit(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__FetchCredit *m =
		steppe__wire__fetch_credit__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(m);
	for (size_t i = 0; i < 2; i++) {
		struct fetching *f = &c->fetch[i];
		if (!f->active || f->stream != frame->header.stream)
			continue;
		assert_true(m->credit >= f->credit);
		f->credit = m->credit;
		send_fragments(c, f);
		break; /* the connection may be gone */
	}
	steppe__wire__fetch_credit__free_unpacked(m, NULL);
}

/* --- */

static void on_recording_frame(struct conn *c, const struct frame *frame)
{
	if (frame->header.stream != c->stream)
		return; /* it was refused a moment ago */
	switch (frame->header.type) {
	case FRAME_APPEND:
		on_append(c, frame);
		break;
	case FRAME_INIT:
		on_init(c, frame);
		break;
	case FRAME_GAP:
		on_gap(c->d, frame);
		break;
	case FRAME_CLOSE:
		on_close(c, frame);
		break;
	case FRAME_STOP:
		drop_lanes(c);
		break;
	default:
		fail_msg("frame of type %u", frame->header.type);
	}
}

static void on_other(struct conn *c, const struct frame *frame)
{
	for (size_t i = 0; i < 2; i++)
		if (frame->header.type == FRAME_STOP && frame->header.stream == c->fetch[i].stream)
			c->fetch[i].active = c->fetch[i].follow = false;
	on_recording_frame(c, frame);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct conn *c = container_of(user, struct conn, user);
	struct fake_daemon *d = c->d;
	(void)ch;
	if (d->reset_after && --d->reset_after == 0) {
		model_net_reset(d->net, d->party.name);
		return;
	}
	if (d->mute)
		return;
	alloc_fail_suspend(true);
	switch (frame->header.type) {
	case FRAME_MAP:
		d->maps++;
		fake_map_answer(d->map, ch, frame);
		break;
	case FRAME_OPEN:
		on_open(c, frame);
		break;
	case FRAME_FETCH:
		on_fetch(c, frame);
		break;
	case FRAME_FETCH_CREDIT:
		on_fetch_credit(c, frame);
		break;
	default:
		on_other(c, frame);
	}
	alloc_fail_suspend(false);
}

void fake_fill(struct fake_daemon *d, unsigned first, unsigned count, size_t bytes)
{
	for (unsigned n = first; n < first + count; n++) {
		struct item *item = made_item(n, bytes);
		assert_non_null(item);
		item->header.session = 7;
		item->header.seq = n + 1;
		assert_int_equal(fragment_seal(&item->header, item->body->data, true), 0);
		d->fragments[d->fragment_count++] = (struct fake_fragment){
			.header = item->header,
			.init = buf_ref(item->init),
			.body = buf_ref(item->body),
			.durable = true,
		};
		item_free(&item);
	}
}

/* --- judging --- */

size_t fake_durable(const struct fake_daemon *d)
{
	size_t count = 0;
	for (size_t i = 0; i < d->fragment_count; i++)
		count += d->fragments[i].durable;
	return count;
}

const struct fake_fragment *fake_find(const struct fake_daemon *d, int64_t capture_us)
{
	const struct fake_fragment *found = NULL;
	for (size_t i = 0; i < d->fragment_count; i++) {
		if (!d->fragments[i].durable || d->fragments[i].header.capture.us != capture_us)
			continue;
		if (found)
			fail_msg("the fragment of %lld is there twice", (long long)capture_us);
		found = &d->fragments[i];
	}
	return found;
}

/* What does not begin with a sync sample follows, in its session, the one that was captured right
 * before it. */
void fake_check(const struct fake_daemon *d)
{
	for (size_t i = 0; i < d->fragment_count; i++) {
		const struct fragment_header *h = &d->fragments[i].header;
		if (!d->fragments[i].durable)
			continue;
		assert_ptr_equal(fake_find(d, h->capture.us), &d->fragments[i]);
		if (h->flags & FRAGMENT_SYNC)
			continue;
		bool followed = false;
		for (size_t j = 0; j < d->fragment_count; j++) {
			const struct fragment_header *o = &d->fragments[j].header;
			followed = followed || (o->session == h->session && o->seq + 1 == h->seq &&
						       fragment_end(o).us == h->capture.us);
		}
		if (!followed)
			fail_msg("the fragment of %lld does not follow what it depends on",
				(long long)h->capture.us);
	}
}
