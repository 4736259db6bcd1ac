/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's requests by number. A request is a machine that began with a frame and lives
 * until it has answered, the asker has sent STOP, or the channel has closed. Private to the session
 * room. */
#pragma once

#include <stdarg.h>

#include "base/list.h"
#include "proto/channel.h"
#include "proto/refusal.h"

struct service;
struct request;

struct request_ops {
	/* Another frame of this number (never STOP). */
	void (*frame)(struct request *req, const struct frame *frame);
	/* The channel's queue has room again; NULL: not interested. */
	void (*drained)(struct request *req);
	/* The asker is gone; the request is detached already and must free itself, now or when its
	 * operations have ended. */
	void (*gone)(struct request *req);
};

struct request {
	const struct request_ops *ops;
	struct conn *conn; /* NULL once detached */
	uint32_t stream;   /* the asker's number */
	struct list node;
};

struct conn {
	struct channel_user user;
	struct channel *ch;
	struct service *service;
	struct list node;      /* in the service */
	struct list *buckets;  /* of requests by number */
	uint32_t bucket_count; /* a power of two */
	uint32_t request_count;
	struct list relays; /* to other loops */
	bool ended;         /* the channel has closed */
	bool counted;       /* among the daemon's connections: relays are not */
};

/* The request under a number, or NULL. */
struct request *conn_find(struct conn *conn, uint32_t stream);

/* Prepares a connection for `ch`; frames that begin something go to service_dispatch. 0 or -ENOMEM. */
int conn_new(struct service *s, struct channel *ch, struct conn **ret_conn);

/* Attaches `req` under the number of the frame that began it. 0 or -ENOMEM. */
int request_attach(
	struct request *req, const struct request_ops *ops, struct conn *conn, uint32_t stream);
/* The request is over: its number is free again. Harmless twice. */
void request_detach(struct request *req);
/* Sends one frame of the request; nothing when detached. */
void request_send(struct request *req, uint8_t type, const ProtobufCMessage *meta,
	const struct slice *body, size_t body_count);
/* Sends REFUSED, counts it, and detaches. `format` NULL: the refusal's own text. */
void request_refuse(struct request *req, int refusal, uint32_t retry_after_ms, const char *format,
	...) __attribute__((format(printf, 4, 5)));
/* The same, about one lane of a recording (1 + the lane; 0: all of it). */
void request_refuse_lane(struct request *req, int refusal, uint32_t lane);
/* The same for a frame that began nothing. */
void conn_refuse(struct conn *conn, uint32_t stream, int refusal, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The refusal that tells a failure of the store or of memory. */
int refusal_of_error(int error);
