/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's head: its small control object `head/<camera>/<profile>` in the META pool, 4,096 bytes
 * for ever, so that a full pool still takes its rewrite. Pure codec; docs/format/head.md.
 * Attributes: epoch (16 hex), owner ("node:nonce"), ver (16 hex). */
#pragma once

#include "storaged/archive/chunk.h"

#define HEAD_SIZE         4096
#define HEAD_SESSIONS_MAX 8
#define HEAD_INTENTS_MAX  8
#define HEAD_SWEEPS_MAX   16
#define HEAD_HOLDS_MAX    24

struct head_session {
	uint64_t session;
	uint64_t last_seq; /* everything up to it is durable; chunks of intents may hold more */
	struct wall
		last_append; /* for eviction: never sooner than T_safe after it, unless closed */
	bool closed;
};
struct head_intent {
	struct chunk_id chunk;
	int32_t day; /* of the chunk's first fragment */
	uint64_t session;
	uint8_t lane;
};
enum head_sweep_kind { HEAD_SWEEP = 1, HEAD_MOVE = 2 };
struct head_sweep {
	uint8_t kind;
	int32_t day;
	struct chunk_id chunk; /* of a move */
	uint8_t from_pool, to_pool;
};
enum head_hold_state { HOLD_PLACING = 1, HOLD_PLACED = 2, HOLD_RELEASING = 3 };
struct head_hold {
	uint8_t id[16];
	uint8_t state;
	struct wall from, to;
};
struct head {
	struct head_session sessions[HEAD_SESSIONS_MAX];
	struct head_intent intents[HEAD_INTENTS_MAX];
	struct head_sweep sweeps[HEAD_SWEEPS_MAX];
	struct head_hold holds[HEAD_HOLDS_MAX];
	uint8_t session_count, intent_count, sweep_count, hold_count;
	struct gap open_gap;        /* cause != 0: the stream is in a gap known since `from` */
	struct chunk_id last_chunk; /* the live lane's last sealed one; epoch 0: none */
	uint8_t last_digest[DIGEST_SIZE];
	struct wall last_end; /* of its footage */
};
int head_encode(const struct head *h, struct buf **ret_buf); /* HEAD_SIZE bytes with a CRC */
int head_decode(const void *data, size_t len, struct head *ret_head);
void head_name(char to[STORE_NAME_MAX + 1], const char *stream);
