/* SPDX-License-Identifier: Apache-2.0 */
/* A small scripted daemon over virtual time: takes recordings, remembers what it made durable,
 * gives it back. It is strict about the conversation (numbers, credit, checksums, sync samples): a
 * mistake of the client fails the test. A test tells it to misbehave. */
#pragma once

#include "client/item.h"
#include "tests/lib/channel_model.h"
#include "tests/lib/sim_loop.h"

#define FAKE_SESSIONS  64
#define FAKE_FRAGMENTS 4096
#define FAKE_GAPS      64

/* A fragment it has. */
struct fake_fragment {
	struct fragment_header header;
	struct buf *init, *body;
	bool durable;
};

struct fake_session {
	uint64_t session;
	uint8_t lane; /* on which it was opened last */
	uint64_t received, durable;
	bool sealed;
};

struct fake_gap {
	uint32_t lane, cause;
	int64_t from_us, to_us;
	bool open;
};

struct fake_cluster;
struct fake_map;

/* All that outlives a connection. */
struct fake_daemon {
	struct sim_world *world;
	struct sim_loop loop;
	struct model_net *net;
	struct model_listener *listener;
	struct model_party party;
	struct fake_session sessions[FAKE_SESSIONS];
	size_t session_count;
	struct fake_fragment fragments[FAKE_FRAGMENTS]; /* in order of arrival */
	size_t fragment_count;
	struct fake_gap gaps[FAKE_GAPS];
	size_t gap_count;
	unsigned connections, opens, closes, fetches;
	unsigned appends, maps, anys; /* anys: questions that any daemon was to answer */
	uint64_t map_epoch;           /* of the last OPEN */
	struct list conns;
	struct fake_cluster *cluster; /* NULL: it is alone, and an older one */
	const struct fake_map *map;   /* what it has read of the cluster's; NULL: likewise */

	/* what it does */
	uint64_t credit;    /* undurable bytes it allows a lane; 0: 1 MiB */
	int64_t durable_ns; /* how long that takes */
	int refuse_open;    /* refuse OPEN with this */
	uint32_t retry_after_ms;
	unsigned refuse_opens;   /* so often; UINT_MAX: always */
	int refuse_append;       /* refuse the APPEND with ... */
	int64_t refuse_capture;  /* ... this capture time ... */
	unsigned refuse_appends; /* ... so often */
	const char *redirect;    /* answer OPEN, FETCH with this address */
	unsigned reset_after;    /* frames received until the connection breaks, once; 0: never */
	bool mute;               /* answers nothing */
	bool keep_undurable;     /* a broken connection does not lose what was received */
	unsigned fetch_reset_after; /* fragments sent until the connection breaks, once; 0: never */
};

/* Listens at `name`:1 on its own loop. */
void fake_start(
	struct fake_daemon *d, struct sim_world *world, struct model_net *net, const char *name);
/* Frees all. */
void fake_stop(struct fake_daemon *d);
/* Its process ends and begins again after `ns`: what is not durable is gone. */
void fake_restart(struct fake_daemon *d);
/* It ends, and nobody listens there until fake_listen. */
void fake_kill(struct fake_daemon *d);
/* What it records goes to the camera's owner by its map: all is made durable and acknowledged, then
 * the recorder is redirected. */
void fake_move(struct fake_daemon *d, const char *camera);
void fake_unlisten(struct fake_daemon *d);
void fake_listen(struct fake_daemon *d);
/* It no longer knows any session. */
void fake_forget(struct fake_daemon *d);

/* Gives it `count` durable fragments of session 7, made_item(first) ... */
void fake_fill(struct fake_daemon *d, unsigned first, unsigned count, size_t bytes);

/* Durable fragments; and whether every one is there once, whole, in decodable order a session. */
size_t fake_durable(const struct fake_daemon *d);
void fake_check(const struct fake_daemon *d);
/* The durable fragment with this capture time; NULL. Fails the test when there are two. */
const struct fake_fragment *fake_find(const struct fake_daemon *d, int64_t capture_us);
