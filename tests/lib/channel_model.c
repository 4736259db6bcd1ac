/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a modelled channel: its inbox, its events, its user's calls. */
#include "tests/lib/channel_end.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"

static struct model_end *end_of(struct channel *ch)
{
	return container_of(ch, struct model_end, ch);
}

/* --- items */

static struct model_item *item_new(enum model_item_kind kind, size_t body_count)
{
	struct model_item *i = calloc(1, sizeof(*i) + body_count * sizeof(i->body[0]));
	if (!i)
		return NULL;
	list_init(&i->node);
	i->kind = kind;
	i->body_count = body_count;
	return i;
}

static void item_free(struct model_item *i)
{
	if (!i)
		return;
	list_remove(&i->node);
	for (size_t n = 0; n < i->body_count; n++)
		slice_drop(&i->body[n]);
	free(i->head);
	free(i);
}

/* Packs a frame; 0 or a negative code. */
static int item_pack(struct frame_header *h, const struct channel_meta *meta,
	const struct slice *body, size_t body_count, struct model_item **ret_item)
{
	size_t meta_len = channel_meta_len(meta), body_len = 0;
	for (size_t n = 0; n < body_count; n++)
		body_len += body[n].len;
	if (meta_len > FRAME_META_MAX || body_len > FRAME_BODY_MAX)
		return ERR_LIMIT;
	struct model_item *i = item_new(ITEM_FRAME, body_count);
	if (!i || !(i->head = malloc(FRAME_HEADER_SIZE + meta_len))) {
		item_free(i);
		return -ENOMEM;
	}
	channel_meta_pack(meta, i->head + FRAME_HEADER_SIZE);
	h->meta_len = (uint32_t)meta_len;
	h->body_len = (uint32_t)body_len;
	frame_header_encode(h, i->head + FRAME_HEADER_SIZE, i->head);
	for (size_t n = 0; n < body_count; n++) {
		i->body[n] = body[n];
		buf_ref(body[n].buf);
	}
	i->bytes = FRAME_HEADER_SIZE + meta_len + body_len;
	*ret_item = i;
	return 0;
}

/* --- the way in */

/* Arms the timer for the first item, if it can arrive at all. */
static void inbox_arm(struct model_end *e)
{
	loop_timer_stop(&e->arrival);
	if (list_empty(&e->inbox) || e->paused || e->state == END_ENDED ||
		model_net_blocked(e->net, e->from, e->party.name))
		return;
	struct model_item *first = list_entry(e->inbox.next, struct model_item, node);
	int64_t wait_ns = first->due.ns - loop_now(e->loop).ns;
	if (loop_timer_start(e->loop, &e->arrival, wait_ns) < 0)
		model_end_finish(e, -ENOMEM, "memory is short");
}

static void inbox_add(struct model_end *e, struct model_item *i)
{
	i->due = mono_add_ns(loop_now(e->loop), e->net->latency_ns);
	if (!list_empty(&e->inbox)) {
		struct model_item *before = list_entry(e->inbox.prev, struct model_item, node);
		if (before->due.ns > i->due.ns)
			i->due = before->due;
	}
	list_append(&e->inbox, &i->node);
	inbox_arm(e);
}

static void notify(struct model_end *e)
{
	if (e->notify_queued)
		return;
	e->notify_queued = true;
	loop_defer(e->loop, &e->notify);
}

/* What the peer had queued has got through. */
static void item_taken(struct model_end *e, const struct model_item *i)
{
	struct model_end *sender = e->peer;
	if (!sender)
		return;
	sender->ch.queued_bytes -= i->bytes;
	if (sender->was_full && sender->ch.queued_bytes < sender->ch.queue_limit / 2)
		notify(sender);
}

static void say_last(struct model_end *e, enum model_item_kind kind, int status, const char *words)
{
	struct model_item *last = e->last;
	if (!last || !e->peer)
		return;
	e->last = NULL;
	last->kind = kind;
	last->status = status;
	last->words = words;
	inbox_add(e->peer, last);
}

void model_end_finish(struct model_end *e, int status, const char *words)
{
	if (e->state == END_ENDED)
		return;
	e->state = END_ENDED;
	e->status = status;
	e->words = words;
	loop_timer_stop(&e->arrival);
	loop_timer_stop(&e->limit);
	struct model_end *peer = e->peer;
	if (peer && peer->state == END_CLOSING)
		model_end_finish(peer, 0, "closed");
	else if (peer && peer->state != END_ENDED)
		say_last(e, ITEM_RESET, -ECONNRESET, "connection reset by peer");
	if (peer)
		peer->peer = NULL;
	e->peer = NULL;
	notify(e);
}

void model_end_free(struct model_end *e)
{
	loop_timer_stop(&e->arrival);
	loop_timer_stop(&e->limit);
	list_remove(&e->notify.node);
	list_remove(&e->node);
	while (!list_empty(&e->inbox))
		item_free(list_entry(e->inbox.next, struct model_item, node));
	item_free(e->last);
	if (e->peer)
		e->peer->peer = NULL;
	if (e->hello)
		steppe__wire__hello__free_unpacked(e->hello, NULL);
	e->net->counts.channels--;
	free(e);
}

void model_end_refuse(struct model_end *e, int status, const char *words)
{
	struct model_item *last = e->last;
	e->last = NULL;
	last->kind = ITEM_RESET;
	last->status = status;
	last->words = words;
	inbox_add(e, last);
}

static void on_notify(struct loop_task *task)
{
	struct model_end *e = container_of(task, struct model_end, notify);
	struct channel_user *user = e->ch.user;
	e->notify_queued = false;
	if (e->state == END_ENDED) {
		if (user)
			user->closed(&e->ch, user, e->status, e->words);
		model_end_free(e);
	} else if (e->state == END_OPEN && e->was_full) {
		e->was_full = false;
		user->drained(&e->ch, user);
	}
}

/* --- limits */

/* Silence is measured only while a way is blocked: on an open way pings would be answered. */
static void silence_arm(struct model_end *e)
{
	if (e->state != END_OPEN)
		return;
	bool silent = model_net_blocked(e->net, e->from, e->party.name) ||
		      model_net_blocked(e->net, e->party.name, e->from);
	if (!silent)
		loop_timer_stop(&e->limit);
	else if (!loop_timer_armed(&e->limit) &&
		 loop_timer_start(e->loop, &e->limit, MODEL_SILENCE_MS * NS_PER_MS) < 0)
		model_end_finish(e, -ENOMEM, "memory is short");
}

void model_end_way_changed(struct model_end *e)
{
	inbox_arm(e);
	silence_arm(e);
}

static void on_limit(struct loop_timer *timer)
{
	struct model_end *e = container_of(timer, struct model_end, limit);
	model_end_finish(e, -ETIMEDOUT,
		e->state == END_DIALING   ? "no answer to the dial"
		: e->state == END_CLOSING ? "the peer did not take what was queued"
					  : "the peer is silent");
}

/* --- what arrives */

static void open_end(struct model_end *e)
{
	e->state = END_OPEN;
	loop_timer_stop(&e->limit);
	e->ch.user->ready(&e->ch, e->ch.user, e->hello);
	silence_arm(e);
}

static void model_close(struct channel *ch);

static void greet(struct model_end *e, const struct frame *frame)
{
	e->hello = steppe__wire__hello__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!e->hello) {
		model_end_finish(e, -ENOMEM, "memory is short");
		return;
	}
	if (!e->listener) {
		if (e->ch.identity.roles & ROLE_NODE)
			open_end(e);
		else
			model_end_finish(
				e, ERR_TLS, "the peer's certificate has not the role node");
		return;
	}
	struct model_listener *l = e->listener;
	e->listener = NULL;
	if (!l->listening) {
		model_end_finish(e, ERR_CLOSED, "not listening");
		return;
	}
	if (model_end_greet(e) < 0) {
		model_end_finish(e, -ENOMEM, "memory is short");
		return;
	}
	e->ch.user = l->accepted(l, l->owner, &e->ch);
	if (e->state != END_DIALING)
		return;
	if (e->ch.user)
		open_end(e);
	else
		model_close(&e->ch);
}

/* Shows the frame in `i` to the user; the slices of several parts become one, as they arrive on a
 * link. */
static void show(struct model_end *e, struct model_item *i)
{
	struct frame frame = {.meta = i->head + FRAME_HEADER_SIZE};
	CHECK(frame_header_decode(i->head, &frame.header) == 0);
	CHECK(frame_check(i->head, frame.meta) == 0);
	if (i->body_count == 1) {
		frame.body = slice_of(i->body[0].buf,
			(size_t)(i->body[0].data - i->body[0].buf->data), i->body[0].len);
	} else if (frame.header.body_len) {
		struct buf *whole = buf_new(frame.header.body_len);
		if (!whole) {
			model_end_finish(e, -ENOMEM, "memory is short");
			return;
		}
		size_t at = 0;
		for (size_t n = 0; n < i->body_count; at += i->body[n++].len)
			if (i->body[n].len)
				memcpy(whole->data + at, i->body[n].data, i->body[n].len);
		frame.body = (struct slice){.buf = whole, .data = whole->data, .len = at};
	}
	if (frame.header.type == FRAME_HELLO)
		greet(e, &frame);
	else if (e->state == END_OPEN)
		e->ch.user->frame(&e->ch, e->ch.user, &frame);
	slice_drop(&frame.body);
}

static void on_arrival(struct loop_timer *timer)
{
	struct model_end *e = container_of(timer, struct model_end, arrival);
	struct model_item *i = list_entry(list_pop(&e->inbox), struct model_item, node);
	item_taken(e, i);
	switch (i->kind) {
	case ITEM_FRAME:
		e->net->counts.frames++;
		e->net->counts.bytes += i->bytes;
		show(e, i);
		break;
	case ITEM_END:
		model_end_finish(e, 0, "closed by the peer");
		break;
	case ITEM_RESET:
		model_end_finish(e, i->status, i->words);
		break;
	}
	item_free(i);
	inbox_arm(e);
}

/* --- the user's calls */

static int queue_frame(struct model_end *e, struct frame_header h, const struct channel_meta *meta,
	const struct slice *body, size_t body_count)
{
	struct model_item *i = NULL;
	int rc = item_pack(&h, meta, body, body_count, &i);
	if (rc < 0)
		return rc;
	if (!e->peer) { /* it is gone and this end will hear of it */
		item_free(i);
		return 0;
	}
	e->ch.queued_bytes += i->bytes;
	if (channel_is_full(&e->ch))
		e->was_full = true;
	inbox_add(e->peer, i);
	return 0;
}

int model_end_greet(struct model_end *e)
{
	Steppe__Wire__Hello hello = STEPPE__WIRE__HELLO__INIT;
	hello.version = FRAME_VERSION;
	hello.software = (char *)"model";
	hello.node = (char *)(e->party.node ? e->party.node : "");
	hello.cluster =
		(ProtobufCBinaryData){.data = e->party.cluster, .len = sizeof(e->party.cluster)};
	hello.boot_nonce = e->party.boot_nonce;
	hello.now_us = loop_wall(e->loop).us;
	hello.format_level = 1;
	return queue_frame(e, (struct frame_header){.type = FRAME_HELLO},
		&(struct channel_meta){.message = &hello.base}, NULL, 0);
}

static int model_send(struct channel *ch, uint8_t type, uint32_t stream,
	const struct channel_meta *meta, const struct slice *body, size_t body_count)
{
	struct model_end *e = end_of(ch);
	if (e->state != END_OPEN)
		return ERR_CLOSED;
	int rc = queue_frame(
		e, (struct frame_header){.type = type, .stream = stream}, meta, body, body_count);
	if (rc < 0)
		return rc;
	if (ch->queued_bytes > 4 * ch->queue_limit) {
		model_end_finish(e, ERR_LIMIT, "the peer does not read");
		return ERR_CLOSED;
	}
	return 0;
}

static void model_pause(struct channel *ch, bool paused)
{
	struct model_end *e = end_of(ch);
	e->paused = paused;
	inbox_arm(e);
}

static void model_close(struct channel *ch)
{
	struct model_end *e = end_of(ch);
	if (e->state >= END_CLOSING)
		return;
	if (!e->peer) {
		model_end_finish(e, 0, "closed");
		return;
	}
	if (e->state == END_DIALING && !e->hello) {
		model_end_finish(e, 0, "closed while dialing");
		return;
	}
	e->state = END_CLOSING;
	say_last(e, ITEM_END, 0, NULL);
	if (loop_timer_start(e->loop, &e->limit, MODEL_CLOSE_MS * NS_PER_MS) < 0)
		model_end_finish(e, -ENOMEM, "memory is short");
}

/* --- life */

struct model_end *model_end_new(
	struct model_net *net, struct loop *loop, const struct model_party *party)
{
	static const struct channel_ops ops = {
		.send = model_send, .pause = model_pause, .close = model_close};
	struct model_end *e = calloc(1, sizeof(*e));
	struct model_item *last = item_new(ITEM_END, 0);
	if (!e || !last) {
		free(e);
		item_free(last);
		return NULL;
	}
	*e = (struct model_end){.ch = {.ops = &ops, .queue_limit = 8u << 20},
		.net = net,
		.loop = loop,
		.party = *party,
		.last = last,
		.arrival = {.fire = on_arrival},
		.limit = {.fire = on_limit},
		.notify = {.run = on_notify}};
	list_init(&e->inbox);
	list_init(&e->notify.node);
	list_append(&net->ends, &e->node);
	net->counts.channels++;
	return e;
}
