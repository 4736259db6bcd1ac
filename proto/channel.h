/* SPDX-License-Identifier: Apache-2.0 */
/* A channel: frames both ways with one peer, after the greeting. What carries it is behind `ops`: a
 * TLS link (link.h) or the simulator's network. Belongs to one loop; all calls and events happen
 * there.
 *
 * A frame's meta is a protobuf-c message; a frame of which meta cannot be unpacked is the
 * receiver's to refuse. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "proto/frame.h"
#include "proto/steppe.pb-c.h"

struct channel;

/* Bits of who the peer's certificate says it is: SAN URIs "steppe:role:NAME". */
enum channel_role { ROLE_NODE = 1, ROLE_RECORDER = 2, ROLE_INVESTIGATOR = 4, ROLE_ADMIN = 8 };

#define CHANNEL_ROLES_TEXT 64
/* The bit of "node", "recorder", "investigator" or "admin"; 0 for another word. */
unsigned channel_role_of(const char *word);
/* Writes the words of all bits, "recorder,admin". */
void channel_roles_text(unsigned roles, char text[CHANNEL_ROLES_TEXT]);

struct channel_identity {
	char name[128];   /* the certificate's subject common name */
	unsigned roles;   /* enum channel_role bits */
	char address[64]; /* "host:port" of the peer */
};

/* What the user of a channel is told; set before the first turn of the loop. No event comes inside
 * a call on the channel. */
struct channel_user {
	/* The greeting is done: `peer` is valid as long as the channel. Clients and daemons alike. */
	void (*ready)(
		struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer);
	/* A frame came (other than HELLO, PING, PONG, which the channel answers itself). */
	void (*frame)(struct channel *ch, struct channel_user *user, const struct frame *frame);
	/* The bytes queued for sending fell below half of the limit after having passed it. */
	void (*drained)(struct channel *ch, struct channel_user *user);
	/* The last event, exactly once: 0 after an orderly end, else a code; `words` for a log
	 * line. The channel is freed after it returns. */
	void (*closed)(
		struct channel *ch, struct channel_user *user, int status, const char *words);
};

/* The meta part of a frame to be sent: a message to pack, bytes that were packed elsewhere, or (all
 * zero) none. Borrowed. */
struct channel_meta {
	const ProtobufCMessage *message;
	const void *packed;
	size_t packed_len;
};
static inline size_t channel_meta_len(const struct channel_meta *m)
{
	return m->message ? protobuf_c_message_get_packed_size(m->message) : m->packed_len;
}
/* Writes its channel_meta_len() bytes. */
static inline void channel_meta_pack(const struct channel_meta *m, uint8_t *to)
{
	if (m->message)
		protobuf_c_message_pack(m->message, to);
	else if (m->packed_len)
		memcpy(to, m->packed, m->packed_len);
}

struct channel_ops {
	int (*send)(struct channel *, uint8_t type, uint32_t stream,
		const struct channel_meta *meta, const struct slice *body, size_t body_count);
	void (*pause)(struct channel *, bool paused);
	void (*close)(struct channel *);
};

struct channel {
	const struct channel_ops *ops;
	struct channel_user *user;
	struct channel_identity identity; /* of the peer */
	size_t queued_bytes;              /* not yet taken by the kernel */
	size_t queue_limit;               /* default 8 MiB */
};

/* Queues one frame: the meta packed (NULL: none), references taken to the body's slices. 0;
 * -ENOMEM; ERR_LIMIT: more than a frame may carry; ERR_CLOSED: before ready() or since closing
 * began. Never refuses for the queue's sake: senders of bulk look at channel_is_full first and wait
 * for drained(); a queue of four times the limit (a peer that stops reading while answers go on)
 * closes the channel. */
static inline int channel_send(struct channel *ch, uint8_t type, uint32_t stream,
	const ProtobufCMessage *meta, const struct slice *body, size_t body_count)
{
	const struct channel_meta m = {.message = meta};
	return ch->ops->send(ch, type, stream, &m, body, body_count);
}

/* The same for a meta part that was packed elsewhere: how a frame is handed on. */
static inline int channel_send_packed(struct channel *ch, uint8_t type, uint32_t stream,
	const void *meta, size_t meta_len, const struct slice *body, size_t body_count)
{
	const struct channel_meta m = {.packed = meta, .packed_len = meta_len};
	return ch->ops->send(ch, type, stream, &m, body, body_count);
}

static inline bool channel_is_full(const struct channel *ch)
{
	return ch->queued_bytes >= ch->queue_limit;
}

/* Stops or goes on reading from the peer: back-pressure for the whole connection. */
static inline void channel_pause(struct channel *ch, bool paused)
{
	ch->ops->pause(ch, paused);
}

/* Sends what is queued, within 5 s, then ends; no event but closed() comes after this. Harmless
 * twice. */
static inline void channel_close(struct channel *ch)
{
	ch->ops->close(ch);
}

/* Sends REFUSED. `reason` NULL: the code's own text. */
int channel_refuse(struct channel *ch, uint32_t stream, int refusal, const char *reason,
	uint32_t retry_after_ms);
