/* SPDX-License-Identifier: Apache-2.0 */
/* One relay: its near half belongs to the connection's loop, its far half to the target's. They
 * share nothing but messages:
 *
 *	near -> far: frames, "so many bytes were taken", the end of the connection (the last)
 *	far -> near: frames, "close the connection", goodbye (the last; then the near half frees
 * both)
 *
 * The messages that must not fail (the ends) are part of the relay. */
#include "storaged/session/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/session/machines.h"

#define SLICES_MAX 4 /* of a frame's body */

struct relay {
	/* near half */
	struct conn *conn; /* NULL once the connection has ended */
	struct list node;  /* in the connection */
	unsigned target;
	size_t owed_bytes; /* handed to the channel, and the far half not told yet */
	struct loop *near_loop;
	struct loop_task far_close, goodbye; /* far -> near */
	/* far half */
	struct channel channel;
	struct service *const *peers;
	struct loop *far_loop;
	struct loop_task near_open, near_end; /* near -> far */
	bool accepted, closing;
};

/* A request of the connection that is served on the other loop. */
struct relayed {
	struct request request;
	struct relay *relay;
};

/* A frame on its way, one allocation with its meta. */
struct message {
	struct loop_task task;
	struct relay *relay;
	struct frame_header header;
	struct slice body[SLICES_MAX];
	size_t body_count;
	uint8_t meta[];
};

/* News that bytes were taken. */
struct taken {
	struct loop_task task;
	struct relay *relay;
	size_t bytes;
};

/* Frames that end what their number began. */
static bool is_last(uint8_t type)
{
	switch (type) {
	case FRAME_REFUSED:
	case FRAME_REDIRECT:
	case FRAME_CLOSED:
	case FRAME_TIMELINE_REPLY:
	case FRAME_DAYS_REPLY:
	case FRAME_FETCH_END:
	case FRAME_SNAPSHOT_END:
	case FRAME_READ_REPLY:
	case FRAME_FSCK_END:
		return true;
	default:
		return false;
	}
}

static struct message *message_new(
	struct relay *relay, const struct frame_header *header, const void *meta)
{
	struct message *m = malloc(sizeof(*m) + header->meta_len);
	if (!m)
		return NULL;
	*m = (struct message){.relay = relay, .header = *header};
	if (header->meta_len)
		memcpy(m->meta, meta, header->meta_len);
	return m;
}

static void message_free(struct message *m)
{
	for (size_t i = 0; i < m->body_count; i++)
		slice_drop(&m->body[i]);
	free(m);
}

static void add_slice(struct message *m, const struct slice *body)
{
	if (body->len)
		m->body[m->body_count++] =
			slice_of(body->buf, (size_t)(body->data - body->buf->data), body->len);
}

/* --- far half: a channel
 * ------------------------------------------------------------------------------------------------------
 */

static struct relay *of_channel(struct channel *ch)
{
	return container_of(ch, struct relay, channel);
}

static void on_far_sent(struct loop_task *task);

static int far_send(struct channel *ch, uint8_t type, uint32_t stream,
	const struct channel_meta *meta, const struct slice *body, size_t body_count)
{
	struct relay *r = of_channel(ch);
	if (r->closing)
		return ERR_CLOSED;
	size_t meta_len = channel_meta_len(meta), body_len = 0;
	for (size_t i = 0; i < body_count; i++)
		body_len += body[i].len;
	if (meta_len > FRAME_META_MAX || body_len > FRAME_BODY_MAX || body_count > SLICES_MAX)
		return ERR_LIMIT;
	struct message *m = malloc(sizeof(*m) + meta_len);
	if (!m)
		return -ENOMEM;
	*m = (struct message){
		.task = {.run = on_far_sent},
		.relay = r,
		.header = {.type = type,
			.stream = stream,
			.meta_len = (uint32_t)meta_len,
			.body_len = (uint32_t)body_len},
	};
	channel_meta_pack(meta, m->meta);
	for (size_t i = 0; i < body_count; i++)
		add_slice(m, &body[i]);
	ch->queued_bytes += FRAME_HEADER_SIZE + meta_len + body_len;
	loop_post(r->near_loop, &m->task);
	return 0;
}

/* The peer is one connection with many relays: what one loop cannot take yet is held back by
 * credit, not by pausing all. */
static void far_pause(struct channel *ch, bool paused)
{
	(void)ch;
	(void)paused;
}

static void far_close(struct channel *ch)
{
	struct relay *r = of_channel(ch);
	if (r->closing)
		return;
	r->closing = true;
	loop_post(r->near_loop, &r->far_close);
}

static void on_near_open(struct loop_task *task)
{
	static const struct channel_ops ops = {
		.send = far_send, .pause = far_pause, .close = far_close};
	struct relay *r = container_of(task, struct relay, near_open);
	struct service *s = r->peers[r->target]; /* our own loop's, NULL once it has stopped */
	r->channel.ops = &ops;
	struct conn *conn;
	r->accepted = s && !conn_new(s, &r->channel, &conn);
	if (r->accepted)
		r->channel.user = &conn->user;
	if (!r->accepted)
		far_close(&r->channel);
}

static void on_near_end(struct loop_task *task)
{
	struct relay *r = container_of(task, struct relay, near_end);
	r->closing = true;
	if (r->accepted)
		r->channel.user->closed(&r->channel, r->channel.user, 0, NULL);
	loop_post(r->near_loop, &r->goodbye);
}

static void on_near_frame(struct loop_task *task)
{
	struct message *m = container_of(task, struct message, task);
	struct relay *r = m->relay;
	struct frame frame = {.header = m->header, .meta = m->meta};
	if (m->body_count)
		frame.body = m->body[0];
	if (r->accepted && !r->closing)
		r->channel.user->frame(&r->channel, r->channel.user, &frame);
	message_free(m);
}

static void on_near_taken(struct loop_task *task)
{
	struct taken *t = container_of(task, struct taken, task);
	struct channel *ch = &t->relay->channel;
	bool was_full = channel_is_full(ch);
	ch->queued_bytes -= t->bytes;
	if (was_full && !channel_is_full(ch) && t->relay->accepted && !t->relay->closing)
		ch->user->drained(ch, ch->user);
	free(t);
}

/* --- near half
 * ----------------------------------------------------------------------------------------------------------------
 */

/* Tells the far half that its bytes have gone; while the channel is full it is not told, and so
 * fills up itself. */
static void pay(struct relay *r)
{
	if (!r->owed_bytes || !r->conn || channel_is_full(r->conn->ch))
		return;
	struct taken *t = malloc(sizeof(*t));
	if (!t)
		return; /* the next frame or drained() pays for this too */
	*t = (struct taken){.task = {.run = on_near_taken}, .relay = r, .bytes = r->owed_bytes};
	r->owed_bytes = 0;
	loop_post(r->far_loop, &t->task);
}

static void on_far_sent(struct loop_task *task)
{
	struct message *m = container_of(task, struct message, task);
	struct relay *r = m->relay;
	const struct frame_header *h = &m->header;
	if (r->conn) {
		struct request *req = conn_find(r->conn, h->stream);
		/* an answer to something that was stopped meanwhile is dropped, as its asker drops
		 * it */
		if (req && channel_send_packed(r->conn->ch, h->type, h->stream, m->meta,
				   h->meta_len, m->body, m->body_count) == -ENOMEM)
			channel_close(r->conn->ch);
		if (req && is_last(h->type)) {
			request_detach(req);
			free(container_of(req, struct relayed, request));
		}
		r->owed_bytes += FRAME_HEADER_SIZE + h->meta_len + h->body_len;
		pay(r);
	}
	message_free(m);
}

static void on_far_close(struct loop_task *task)
{
	struct relay *r = container_of(task, struct relay, far_close);
	if (r->conn)
		channel_close(r->conn->ch);
}

static void on_goodbye(struct loop_task *task)
{
	free(container_of(task, struct relay, goodbye));
}

static int forward(struct relay *r, const struct frame *frame)
{
	struct message *m = message_new(r, &frame->header, frame->meta);
	if (!m)
		return -ENOMEM;
	m->task.run = on_near_frame;
	add_slice(m, &frame->body);
	loop_post(r->far_loop, &m->task);
	return 0;
}

static void on_frame(struct request *req, const struct frame *frame)
{
	struct relayed *relayed = container_of(req, struct relayed, request);
	if (forward(relayed->relay, frame))
		channel_close(
			req->conn->ch); /* a frame that is lost breaks the stream it belongs to */
}

static void on_gone(struct request *req)
{
	struct relayed *relayed = container_of(req, struct relayed, request);
	struct relay *r = relayed->relay;
	const struct frame stop = {.header = {.type = FRAME_STOP, .stream = req->stream}};
	/* when the connection has ended the far half hears of that instead */
	if (r->conn && !r->conn->ended && forward(r, &stop))
		channel_close(r->conn->ch);
	free(relayed);
}

static const struct request_ops relayed_ops = {.frame = on_frame, .gone = on_gone};

/* The connection's relay to `target`, made at its first use; NULL when memory is short. */
static struct relay *find_or_make(struct conn *conn, unsigned target)
{
	list_each (node, &conn->relays) {
		struct relay *r = list_entry(node, struct relay, node);
		if (r->target == target)
			return r;
	}
	struct relay *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	const struct service_config *config = &conn->service->config;
	*r = (struct relay){
		.conn = conn,
		.target = target,
		.near_loop = config->loop,
		.far_close = {.run = on_far_close},
		.goodbye = {.run = on_goodbye},
		.channel = {.identity = conn->ch->identity, .queue_limit = conn->ch->queue_limit},
		.peers = config->peers,
		.far_loop = config->peer_loops[target],
		.near_open = {.run = on_near_open},
		.near_end = {.run = on_near_end},
	};
	list_append(&conn->relays, &r->node);
	loop_post(r->far_loop, &r->near_open);
	return r;
}

void relay_begin(struct conn *conn, const struct frame *frame, unsigned target)
{
	struct relay *r = find_or_make(conn, target);
	struct relayed *relayed = r ? calloc(1, sizeof(*relayed)) : NULL;
	if (!relayed ||
		request_attach(&relayed->request, &relayed_ops, conn, frame->header.stream)) {
		free(relayed);
		conn_refuse(conn, frame->header.stream, REFUSAL_OVERLOAD, NULL);
		return;
	}
	relayed->relay = r;
	if (forward(r, frame)) {
		request_detach(&relayed->request);
		free(relayed);
		conn_refuse(conn, frame->header.stream, REFUSAL_OVERLOAD, NULL);
	}
}

void relay_drained(struct conn *conn)
{
	list_each (node, &conn->relays)
		pay(list_entry(node, struct relay, node));
}

void relay_closed(struct conn *conn)
{
	for (struct list *node; (node = list_pop(&conn->relays));) {
		struct relay *r = list_entry(node, struct relay, node);
		r->conn = NULL;
		loop_post(r->far_loop, &r->near_end);
	}
}
