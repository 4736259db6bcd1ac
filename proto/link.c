/* SPDX-License-Identifier: Apache-2.0 */
/* Life, calls, limits. */
#include "proto/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/link_state.h"
#include "proto/refusal.h"

static struct link *self(struct channel *ch)
{
	return container_of(ch, struct link, ch);
}

/* --- life */

static void on_timer(struct loop_timer *timer);
static void on_end_task(struct loop_task *task);
static const struct channel_ops link_ops;

static int64_t or_else_ms(int64_t ms, int64_t otherwise_ms)
{
	return (ms > 0 ? ms : otherwise_ms) * NS_PER_MS;
}

struct link *link_new(struct loop_uv *loop, struct tls_identity *id, const struct link_hello *hello,
	const struct link_options *options)
{
	struct link *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->ch.ops = &link_ops;
	l->ch.queue_limit = options->queue_limit ? options->queue_limit : LINK_QUEUE_LIMIT;
	l->loop = loop;
	l->hello = *hello;
	l->id = tls_identity_ref(id);
	l->expect_roles = options->expect_roles;
	l->ping_ns = or_else_ms(options->ping_ms, LINK_PING_MS);
	l->deadline = mono_add_ns(
		loop_now(&loop->loop), or_else_ms(options->connect_ms, LINK_CONNECT_MS));
	l->timer.fire = on_timer;
	l->read_task.run = link_on_read_task;
	l->write_task.run = link_on_write_task;
	l->end_task.run = on_end_task;
	list_init(&l->read_task.node);
	list_init(&l->write_task.node);
	list_init(&l->end_task.node);
	list_init(&l->queue);
	list_init(&l->listener_node);
	frame_reader_init(&l->reader, LINK_HELLO_MAX, 0);
	return l;
}

void link_discard(struct link *l)
{
	loop_timer_stop(&l->timer);
	list_remove(&l->read_task.node);
	list_remove(&l->write_task.node);
	list_remove(&l->end_task.node);
	link_dial_free(&l->dial);
	link_socket_free(&l->socket);
	tls_free(&l->tls);
	tls_identity_unref(&l->id);
	link_drop_queue(l);
	frame_reader_fini(&l->reader);
	if (l->peer)
		steppe__wire__hello__free_unpacked(l->peer, NULL);
	free(l);
}

int link_timer(struct link *l, int64_t delay_ns)
{
	return loop_timer_start(&l->loop->loop, &l->timer, delay_ns);
}

void link_begin(struct link *l)
{
	struct tls_start start = {.id = l->id,
		.fd = l->socket->fd,
		.accepts = l->listener != NULL,
		.expect_roles = l->expect_roles,
		.address = l->ch.identity.address};
	l->state = LINK_HANDSHAKE;
	l->tls = tls_new(&start);
	if (!l->tls || link_timer(l, l->deadline.ns - loop_now(&l->loop->loop).ns) < 0) {
		link_end(l, -ENOMEM, "memory is short");
		return;
	}
	loop_defer(&l->loop->loop, &l->read_task);
}

/* --- ending */

/* The status and words that count are the first; but a close in good order that fails says so. */
static void note(struct link *l, int status, const char *words)
{
	if (l->words[0] && (l->state != LINK_CLOSING || l->status))
		return;
	l->status = status;
	snprintf(l->words, sizeof(l->words), "%s", words);
	if (l->shaking && l->state < LINK_OPEN)
		link_listener_failed(l, l->words);
}

/* The reader's frame and the TLS state may be in use further up the stack: they go with the link,
 * from the loop. */
void link_end(struct link *l, int status, const char *words)
{
	if (l->state == LINK_ENDED)
		return;
	note(l, status, words);
	l->state = LINK_ENDED;
	loop_timer_stop(&l->timer);
	list_remove(&l->read_task.node);
	list_remove(&l->write_task.node);
	link_dial_free(&l->dial);
	link_drop_queue(l);
	link_listener_gone(l);
	/* a link without a user goes with its socket: nobody would know to turn the loop until a
	 * task has run */
	if (l->ch.user)
		loop_defer(&l->loop->loop, &l->end_task);
	else
		l->socket->last = l;
	link_socket_free(&l->socket);
}

static void on_end_task(struct loop_task *task)
{
	struct link *l = container_of(task, struct link, end_task);
	l->ch.user->closed(&l->ch, l->ch.user, l->status, l->words);
	link_discard(l);
}

void link_finish(struct link *l, int status, const char *words)
{
	if (l->state >= LINK_CLOSING)
		return;
	note(l, status, words);
	if (l->state == LINK_DIALING || link_timer(l, LINK_CLOSE_MS * NS_PER_MS) < 0) {
		link_end(l, status, words);
		return;
	}
	l->state = LINK_CLOSING;
	list_remove(&l->write_task.node);
	loop_defer(&l->loop->loop, &l->write_task);
	link_watch(l);
}

void link_all_sent(struct link *l)
{
	/* what the user hears is the status of the close, and a peer that takes its time to close
	 * changes nothing */
	l->state = LINK_LINGER;
	shutdown(l->socket->fd, SHUT_WR);
	link_watch(l);
}

/* --- limits */

static void ping(struct link *l)
{
	Steppe__Wire__Ping meta = STEPPE__WIRE__PING__INIT;
	meta.token = l->unanswered;
	if (link_queue(l, (struct frame_header){.type = FRAME_PING},
		    &(struct channel_meta){.message = &meta.base}, NULL, 0) < 0)
		link_end(l, -ENOMEM, "memory is short");
}

/* A paused link hears nothing because it does not listen; its own pings tell the peer, which may be
 * waiting, that it lives. */
static void judge_silence(struct link *l)
{
	int64_t silent_ns = loop_now(&l->loop->loop).ns - l->heard.ns, wait_ns = l->ping_ns;
	if (l->paused) {
		ping(l);
	} else if (silent_ns < l->ping_ns) {
		wait_ns -= silent_ns;
	} else if (l->unanswered == LINK_PINGS) {
		link_end(l, -ETIMEDOUT, "the peer is silent: three pings without an answer");
	} else {
		l->unanswered++;
		ping(l);
	}
	if (l->state == LINK_OPEN && link_timer(l, wait_ns) < 0)
		link_end(l, -ENOMEM, "memory is short");
}

static void on_timer(struct loop_timer *timer)
{
	struct link *l = container_of(timer, struct link, timer);
	switch (l->state) {
	case LINK_DIALING:
		link_dial_late(l);
		break;
	case LINK_HANDSHAKE:
		link_end(l, -ETIMEDOUT, "no TLS handshake in time");
		break;
	case LINK_GREETING:
		link_end(l, -ETIMEDOUT, "no greeting in time");
		break;
	case LINK_OPEN:
		judge_silence(l);
		break;
	case LINK_CLOSING:
		link_end(l, -ETIMEDOUT, "the peer did not take what was queued");
		break;
	case LINK_LINGER:
	case LINK_ENDED:
		link_end(l, l->status, l->words);
		break;
	}
}

/* --- greeting and frames */

void link_secured(struct link *l)
{
	const struct link_hello *ours = &l->hello;
	Steppe__Wire__Hello hello = STEPPE__WIRE__HELLO__INIT;
	/* the generated structures have no const; packing does not write */
	hello.version = FRAME_VERSION;
	hello.software = (char *)(ours->software ? ours->software : "");
	hello.node = (char *)(ours->node ? ours->node : "");
	hello.cluster =
		(ProtobufCBinaryData){.data = l->hello.cluster, .len = sizeof(l->hello.cluster)};
	hello.boot_nonce = ours->boot_nonce;
	hello.now_us = loop_wall(&l->loop->loop).us;
	hello.format_level = ours->format_level;
	tls_identify(l->tls, &l->ch.identity);
	l->state = LINK_GREETING;
	if (link_queue(l, (struct frame_header){.type = FRAME_HELLO},
		    &(struct channel_meta){.message = &hello.base}, NULL, 0) < 0)
		link_end(l, -ENOMEM, "memory is short");
}

static void refuse(struct link *l, int refusal, int status, const char *words)
{
	Steppe__Wire__Refused refused = STEPPE__WIRE__REFUSED__INIT;
	refused.code = (uint32_t)refusal;
	refused.reason = (char *)words;
	/* when memory is too short for the refusal the peer sees the end alone */
	(void)link_queue(l, (struct frame_header){.type = FRAME_REFUSED},
		&(struct channel_meta){.message = &refused.base}, NULL, 0);
	link_finish(l, status, words);
}

void link_bad_frame(struct link *l, int rc)
{
	if (rc == -ENOMEM)
		refuse(l, REFUSAL_OVERLOAD, rc, "memory is short");
	else if (rc == ERR_LIMIT)
		refuse(l, REFUSAL_TOO_LARGE, rc, "a frame is larger than the limit");
	else if (rc == ERR_VERSION)
		refuse(l, REFUSAL_VERSION, rc, "a frame of a version that is not spoken here");
	else
		refuse(l, REFUSAL_PROTOCOL, rc,
			rc == ERR_CHECKSUM ? "a frame whose checksum does not match"
					   : "the bytes are not frames");
}

static void greeted(struct link *l, const struct frame *frame)
{
	l->peer = steppe__wire__hello__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!l->peer) {
		refuse(l, REFUSAL_PROTOCOL, ERR_FORMAT, "the greeting cannot be read");
		return;
	}
	if (l->peer->version < FRAME_VERSION) {
		refuse(l, REFUSAL_VERSION, ERR_VERSION, refusal_text(REFUSAL_VERSION));
		return;
	}
	link_listener_shaken(l);
	if (l->listener && !link_listener_accept(l)) {
		link_finish(l, 0, "not wanted");
		return;
	}
	l->state = LINK_OPEN;
	frame_reader_limits(&l->reader, FRAME_META_MAX, FRAME_BODY_MAX);
	if (link_timer(l, l->ping_ns) < 0) {
		link_end(l, -ENOMEM, "memory is short");
		return;
	}
	l->ch.user->ready(&l->ch, l->ch.user, l->peer);
}

static void answer_ping(struct link *l, const struct frame *frame)
{
	Steppe__Wire__Ping *ask =
		steppe__wire__ping__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!ask) {
		refuse(l, REFUSAL_PROTOCOL, ERR_FORMAT, "a ping that cannot be read");
		return;
	}
	Steppe__Wire__Pong answer = STEPPE__WIRE__PONG__INIT;
	answer.token = ask->token;
	steppe__wire__ping__free_unpacked(ask, NULL);
	int rc = channel_send(&l->ch, FRAME_PONG, 0, &answer.base, NULL, 0);
	if (rc == -ENOMEM)
		link_end(l, rc, "memory is short");
}

void link_take_frame(struct link *l)
{
	struct frame frame = frame_reader_frame(&l->reader);
	uint8_t type = frame.header.type;
	if (l->state == LINK_GREETING && type == FRAME_HELLO)
		greeted(l, &frame);
	else if (l->state == LINK_GREETING || type == FRAME_HELLO)
		refuse(l, REFUSAL_PROTOCOL, ERR_FORMAT, "the greeting comes first and once");
	else if (type == FRAME_PING)
		answer_ping(l, &frame);
	else if (type != FRAME_PONG)
		l->ch.user->frame(&l->ch, l->ch.user, &frame);
	frame_reader_next(&l->reader);
}

/* --- the user's calls */

static size_t body_bytes(const struct slice *body, size_t count)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++)
		len += body[i].len;
	return len;
}

int link_queue(struct link *l, struct frame_header h, const struct channel_meta *meta,
	const struct slice *body, size_t body_count)
{
	size_t meta_len = channel_meta_len(meta);
	size_t body_len = body_bytes(body, body_count);
	if (meta_len > FRAME_META_MAX || body_len > FRAME_BODY_MAX)
		return ERR_LIMIT;
	struct link_frame *f =
		malloc(sizeof(*f) + body_count * sizeof(f->body[0]) + FRAME_HEADER_SIZE + meta_len);
	if (!f)
		return -ENOMEM;
	*f = (struct link_frame){
		.head_len = FRAME_HEADER_SIZE + meta_len, .body_count = body_count};
	for (size_t i = 0; i < body_count; i++) {
		f->body[i] = body[i];
		if (body[i].buf)
			buf_ref(body[i].buf);
	}
	uint8_t *head = link_frame_head(f);
	channel_meta_pack(meta, head + FRAME_HEADER_SIZE);
	h.meta_len = (uint32_t)meta_len;
	h.body_len = (uint32_t)body_len;
	frame_header_encode(&h, head + FRAME_HEADER_SIZE, head);
	list_append(&l->queue, &f->node);
	l->queue_bytes += f->head_len + body_len;
	l->ch.queued_bytes = l->queue_bytes + tls_unsent(l->tls);
	if (channel_is_full(&l->ch))
		l->was_full = true;
	/* a socket that is full says when it is not */
	if (list_empty(&l->write_task.node) && !tls_unsent(l->tls))
		loop_defer(&l->loop->loop, &l->write_task);
	return 0;
}

static int link_send(struct channel *ch, uint8_t type, uint32_t stream,
	const struct channel_meta *meta, const struct slice *body, size_t body_count)
{
	struct link *l = self(ch);
	if (l->state != LINK_OPEN)
		return ERR_CLOSED;
	int rc = link_queue(
		l, (struct frame_header){.type = type, .stream = stream}, meta, body, body_count);
	if (rc < 0)
		return rc;
	if (ch->queued_bytes <= 4 * ch->queue_limit)
		return 0;
	link_end(l, ERR_LIMIT, "the peer does not read: four times the queue's limit waits for it");
	return ERR_CLOSED;
}

static void link_pause(struct channel *ch, bool paused)
{
	struct link *l = self(ch);
	if (l->paused == paused || l->state >= LINK_CLOSING)
		return;
	l->paused = paused;
	/* from now on the peer's silence counts again; and the TLS layer may hold frames the socket
	 * will not announce */
	l->heard = loop_now(&l->loop->loop);
	l->unanswered = 0;
	if (!paused && list_empty(&l->read_task.node))
		loop_defer(&l->loop->loop, &l->read_task);
	link_watch(l);
}

static void link_close(struct channel *ch)
{
	link_finish(self(ch), 0, "closed");
}

static const struct channel_ops link_ops = {
	.send = link_send, .pause = link_pause, .close = link_close};
