/* SPDX-License-Identifier: Apache-2.0 */
/* What the link's files share: link.c (life, calls, limits), link_io.c (bytes in and out),
 * link_connect.c (names and sockets), link_listener.c (accepting). docs/design/link.md. */
#pragma once

#include <stdbool.h>

#include "base/loop_uv.h"
#include "proto/frame_reader.h"
#include "proto/link.h"
#include "proto/tls.h"

/*	DIALING --connected--> HANDSHAKE --certificates judged--> GREETING --HELLO--> OPEN
 *	                          | failed: alert                  |                   |
 * channel_close, bad frame
 *	                          +-----------------> CLOSING <----+-------------------+
 *	                                                 | all is sent
 *	                                              LINGER --the peer ended, or 5 s--> ENDED
 * --closed() told--> freed any state --socket failed, limit, the peer's end--> ENDED */
enum link_state {
	LINK_DIALING,   /* a name is being resolved or a socket connected */
	LINK_HANDSHAKE, /* TLS */
	LINK_GREETING,  /* HELLO is sent, the peer's is awaited */
	LINK_OPEN,      /* frames go both ways */
	LINK_CLOSING,   /* what is queued is sent; what comes is dropped */
	LINK_LINGER, /* our end is said; a socket closed on unread bytes would destroy what the peer
			has not read yet */
	LINK_ENDED,  /* nothing is left but to tell */
};

#define LINK_QUEUE_LIMIT (8u << 20)
#define LINK_CONNECT_MS  5000
#define LINK_PING_MS     5000
#define LINK_PINGS       3 /* unanswered ones that end the channel */
#define LINK_CLOSE_MS    5000
#define LINK_TURN_BYTES                                                                            \
	(1u << 20) /* received or sent in one turn of the loop, then others have theirs */
#define LINK_TURN_FRAMES 256
#define LINK_HELLO_MAX   4096 /* bytes of meta a peer may send before it has greeted */

/* A socket and its watcher. The watcher's memory outlives the link by a turn, as libuv wants it. */
struct link_socket {
	uv_poll_t poll;
	int fd;
	int events;        /* watched now */
	struct link *link; /* NULL once released */
	struct link *last; /* goes with the socket: an ended link of which nobody was told */
};

/* One frame that waits to be encrypted: header and meta, then the body's slices. */
struct link_frame {
	struct list node;
	size_t head_len;
	size_t body_count;
	size_t piece; /* 0: the head, else the slice piece - 1 */
	size_t at;    /* bytes of the piece already encrypted */
	struct slice body[];
	/* header and meta follow the slices */
};

static inline uint8_t *link_frame_head(struct link_frame *f)
{
	return (uint8_t *)&f->body[f->body_count];
}

struct link {
	struct channel ch;
	struct loop_uv *loop;
	enum link_state state;
	struct link_hello hello; /* ours */
	struct tls_identity *id;
	struct link_dial *dial;     /* while DIALING */
	struct link_socket *socket; /* from the first attempt to connect */
	struct tls *tls;            /* from HANDSHAKE on */
	Steppe__Wire__Hello *peer;  /* from OPEN on */

	struct frame_reader reader;
	bool paused;
	struct loop_task read_task; /* goes on reading what is already in memory */

	struct list queue; /* of struct link_frame */
	size_t queue_bytes;
	bool was_full; /* drained() is owed */
	struct loop_task write_task;

	unsigned expect_roles;
	struct mono deadline;    /* of connecting, until OPEN */
	struct loop_timer timer; /* of the deadline, of silence, of closing */
	int64_t ping_ns;
	struct mono heard; /* something came from the peer */
	unsigned unanswered;

	struct link_listener *listener; /* of an accepted link, as long as both live */
	struct list listener_node;
	bool shaking;  /* counts among the listener's handshakes */
	bool reported; /* the listener was told of the failure */

	struct loop_task end_task;
	int status;
	char words[200];
};

/* --- link.c */
struct link *link_new(struct loop_uv *loop, struct tls_identity *id, const struct link_hello *hello,
	const struct link_options *options);
/* Frees a link that was never shown to anyone. */
void link_discard(struct link *l);
/* A socket of its own, connected: TLS begins. */
void link_begin(struct link *l);
/* Ends at once; closed() follows from the loop. Harmless in ENDED. */
void link_end(struct link *l, int status, const char *words);
/* Ends in good order, with what is queued sent first. */
void link_finish(struct link *l, int status, const char *words);
/* The handshake is done: greets. */
void link_secured(struct link *l);
/* The peer's bytes are not frames, or too large: it is told, and the link ends. */
void link_bad_frame(struct link *l, int rc);
/* A whole frame is in the reader. */
void link_take_frame(struct link *l);
/* Queues a frame of the link's own or of its user. */
int link_queue(struct link *l, struct frame_header h, const struct channel_meta *meta,
	const struct slice *body, size_t body_count);
/* All that was queued in CLOSING is with the kernel. */
void link_all_sent(struct link *l);
int link_timer(struct link *l, int64_t delay_ns);

/* --- link_io.c */
void link_on_read_task(struct loop_task *task);
void link_on_write_task(struct loop_task *task);
/* What was queued for sending is dropped. */
void link_drop_queue(struct link *l);
/* Watches the socket for what the link can do with it now. */
void link_watch(struct link *l);
/* Takes the descriptor; NULL when memory is short (the descriptor is closed). */
struct link_socket *link_socket_new(struct link *l, int fd);
void link_socket_free(struct link_socket **s);

/* --- link_connect.c */
/* A socket under connection is writable: it is connected, or the next address is tried. */
void link_dial_writable(struct link *l);
/* The time for this attempt is over. */
void link_dial_late(struct link *l);
void link_dial_free(struct link_dial **d);

/* --- link_listener.c */
/* The greeting of an accepted link passed: asks the owner; false when the link is to be closed. */
bool link_listener_accept(struct link *l);
/* It failed before that. */
void link_listener_failed(struct link *l, const char *words);
/* It is no longer among the handshakes, or not among the links at all. */
void link_listener_shaken(struct link *l);
void link_listener_gone(struct link *l);
