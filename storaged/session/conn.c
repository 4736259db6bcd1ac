/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/errors.h"
#include "base/log.h"
#include "storaged/metrics.h"
#include "storaged/session/dispatch.h"
#include "storaged/session/machines.h"
#include "storaged/session/relay.h"

#define BUCKETS_FIRST 16
#define REQUESTS_MAX  16384 /* of one connection */
#define RETRY_SOON_MS 1000  /* unless a refusal says otherwise */

static struct list *bucket_of(struct conn *conn, uint32_t stream)
{
	return &conn->buckets[(stream * UINT32_C(2654435761)) >> 7 & (conn->bucket_count - 1)];
}

struct request *conn_find(struct conn *conn, uint32_t stream)
{
	struct list *bucket = bucket_of(conn, stream);
	list_each (node, bucket) {
		struct request *req = list_entry(node, struct request, node);
		if (req->stream == stream)
			return req;
	}
	return NULL;
}

/* Twice the buckets when there are more requests than buckets: a frame's look-up stays one step. */
static int grow(struct conn *conn, uint32_t count)
{
	struct list *buckets = malloc(count * sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	struct list *old = conn->buckets;
	uint32_t old_count = conn->bucket_count;
	conn->buckets = buckets;
	conn->bucket_count = count;
	for (uint32_t i = 0; i < count; i++)
		list_init(&buckets[i]);
	for (uint32_t i = 0; i < old_count; i++) {
		for (struct list *node; (node = list_pop(&old[i]));)
			list_append(bucket_of(conn, list_entry(node, struct request, node)->stream),
				node);
	}
	free(old);
	return 0;
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)ch;
	struct conn *conn = container_of(user, struct conn, user);
	struct request *req = conn_find(conn, frame->header.stream);
	if (frame->header.type == FRAME_STOP) {
		if (req) {
			request_detach(req);
			req->ops->gone(req);
		}
		return;
	}
	if (req)
		req->ops->frame(req, frame);
	else
		dispatch(conn, frame);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)user;
	log_debug("connected peer=%s address=%s software=\"%s\"", ch->identity.name,
		ch->identity.address, peer->software ? peer->software : "");
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	struct conn *conn = container_of(user, struct conn, user);
	relay_drained(conn);
	/* a request that answers may detach itself, so the walk keeps the next one by hand; it
	 * stops when the queue is full again */
	for (uint32_t i = 0; i < conn->bucket_count && !channel_is_full(ch); i++) {
		list_each_safe (node, &conn->buckets[i]) {
			struct request *req = list_entry(node, struct request, node);
			if (req->ops->drained)
				req->ops->drained(req);
		}
	}
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	struct conn *conn = container_of(user, struct conn, user);
	if (status && conn->counted)
		metrics_add(METRIC_CONNECTIONS_LOST, 1);
	if (status)
		log_info("connection ended peer=%s address=%s err=%d why=\"%s\"", ch->identity.name,
			ch->identity.address, status, words ? words : err_text(status));
	conn->ended = true;
	for (uint32_t i = 0; i < conn->bucket_count; i++) {
		while (!list_empty(&conn->buckets[i])) {
			struct request *req =
				list_entry(conn->buckets[i].next, struct request, node);
			request_detach(req);
			req->ops->gone(req);
		}
	}
	relay_closed(conn);
	if (conn->counted)
		metrics_gauge_add(METRIC_CONNECTIONS, -1);
	list_remove(&conn->node);
	conn->service->conn_count--;
	free(conn->buckets);
	free(conn);
}

int conn_new(struct service *s, struct channel *ch, struct conn **ret_conn)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return -ENOMEM;
	*conn = (struct conn){
		.user = {.ready = on_ready,
			.frame = on_frame,
			.drained = on_drained,
			.closed = on_closed},
		.ch = ch,
		.service = s,
	};
	if (grow(conn, BUCKETS_FIRST)) {
		free(conn);
		return -ENOMEM;
	}
	list_init(&conn->relays);
	list_append(&s->conns, &conn->node);
	s->conn_count++;
	*ret_conn = conn;
	return 0;
}

int request_attach(
	struct request *req, const struct request_ops *ops, struct conn *conn, uint32_t stream)
{
	if (conn->request_count >= REQUESTS_MAX)
		return ERR_LIMIT;
	if (conn->request_count >= conn->bucket_count && grow(conn, 2 * conn->bucket_count))
		return -ENOMEM;
	req->ops = ops;
	req->conn = conn;
	req->stream = stream;
	list_append(bucket_of(conn, stream), &req->node);
	conn->request_count++;
	return 0;
}

void request_detach(struct request *req)
{
	if (!req->conn)
		return;
	list_remove(&req->node);
	req->conn->request_count--;
	req->conn = NULL;
}

void request_send(struct request *req, uint8_t type, const ProtobufCMessage *meta,
	const struct slice *body, size_t body_count)
{
	/* a frame that could not be queued for want of memory leaves an answer incomplete: the peer
	 * must not wait for it */
	if (req->conn &&
		channel_send(req->conn->ch, type, req->stream, meta, body, body_count) == -ENOMEM)
		channel_close(req->conn->ch);
}

static void refuse(struct conn *conn, uint32_t stream, const Steppe__Wire__Refused *message)
{
	Steppe__Wire__Refused full = *message;
	int refusal = (int)message->code;
	if (!full.reason)
		full.reason = (char *)(uintptr_t)refusal_text(
			refusal); /* the library's structure has no const */
	if (!full.retry_after_ms && refusal_retry(refusal))
		full.retry_after_ms = RETRY_SOON_MS;
	metrics_refusal(refusal);
	log_info("refused peer=%s refusal=%s why=\"%s\"", conn->ch->identity.name,
		refusal_word(refusal), full.reason);
	if (channel_send(conn->ch, FRAME_REFUSED, stream, &full.base, NULL, 0) == -ENOMEM)
		channel_close(conn->ch);
}

void request_refuse(
	struct request *req, int refusal, uint32_t retry_after_ms, const char *format, ...)
{
	char words[256];
	va_list args;
	if (!req->conn)
		return;
	va_start(args, format);
	if (format)
		vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	struct conn *conn = req->conn;
	request_detach(req);
	Steppe__Wire__Refused message = STEPPE__WIRE__REFUSED__INIT;
	message.code = (uint32_t)refusal;
	message.retry_after_ms = retry_after_ms;
	message.reason = format ? words : NULL;
	refuse(conn, req->stream, &message);
}

void request_refuse_lane(struct request *req, int refusal, uint32_t lane)
{
	if (!req->conn)
		return;
	struct conn *conn = req->conn;
	request_detach(req);
	Steppe__Wire__Refused message = STEPPE__WIRE__REFUSED__INIT;
	message.code = (uint32_t)refusal;
	message.reason = NULL;
	message.lane = lane;
	refuse(conn, req->stream, &message);
}

void conn_refuse(struct conn *conn, uint32_t stream, int refusal, const char *format, ...)
{
	char words[256];
	va_list args;
	va_start(args, format);
	if (format)
		vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	Steppe__Wire__Refused message = STEPPE__WIRE__REFUSED__INIT;
	message.code = (uint32_t)refusal;
	message.reason = format ? words : NULL;
	refuse(conn, stream, &message);
}

int refusal_of_error(int error)
{
	switch (error) {
	case -ENOSPC:
		return REFUSAL_FULL;
	case -ENOMEM:
	case ERR_LIMIT:
		return REFUSAL_OVERLOAD;
	case -ENOENT:
	case ERR_GONE:
		return REFUSAL_GONE;
	case ERR_FENCED:
		return REFUSAL_NOT_OWNER;
	case ERR_DAMAGED:
	case ERR_CHECKSUM:
	case ERR_FORMAT:
	case ERR_TRUNCATED:
		return REFUSAL_DAMAGED;
	case -ECANCELED:
		return REFUSAL_STOPPING;
	default:
		return REFUSAL_STORE;
	}
}
