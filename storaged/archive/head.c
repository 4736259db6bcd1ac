/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/head.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"

/* Every table has its place and its full length, used or not, so that an offset never depends on
 * what is stored:
 *
 *	   0 magic "STPH"   4 level u8   5 sessions u8   6 intents u8   7 sweeps u8   8 holds u8   9
 * zero, 7 bytes 16 open gap: cause u8, zero, 7 bytes, from i64, to i64 40 last chunk: epoch u64,
 * seq u32, gen u16, zero u16   56 its digest   88 end of its footage i64 96 sessions, 8 x 32 352
 * intents, 8 x 32    608 sweeps, 16 x 24   992 holds, 24 x 40 1952 zero                4092 CRC of
 * bytes 0..4091 */
#define HEAD_MAGIC   0x53545048u
#define HEAD_LEVEL   1
#define SESSION_SIZE 32
#define INTENT_SIZE  32
#define SWEEP_SIZE   24
#define HOLD_SIZE    40
#define SESSIONS_AT  96
#define INTENTS_AT   (SESSIONS_AT + HEAD_SESSIONS_MAX * SESSION_SIZE)
#define SWEEPS_AT    (INTENTS_AT + HEAD_INTENTS_MAX * INTENT_SIZE)
#define HOLDS_AT     (SWEEPS_AT + HEAD_SWEEPS_MAX * SWEEP_SIZE)
#define TABLES_END   (HOLDS_AT + HEAD_HOLDS_MAX * HOLD_SIZE)
#define HEAD_CRC_AT  (HEAD_SIZE - 4)
#define DAY_MAX      ((int32_t)(WALL_MAX_US / US_PER_DAY))
static_assert(TABLES_END == 1952 && TABLES_END <= HEAD_CRC_AT, "the tables fit a head");

void head_name(char to[STORE_NAME_MAX + 1], const char *stream)
{
	CHECK(strlen(stream) <= STREAM_NAME_MAX);
	snprintf(to, STORE_NAME_MAX + 1, "head/%s", stream);
}

/* --- writing --- */

static void put_id(struct bytes *b, const struct chunk_id *id)
{
	bytes_put_u64(b, id->epoch);
	bytes_put_u32(b, id->seq);
	bytes_put_u16(b, id->gen);
	bytes_put_u16(b, 0);
}

static void put_tables(struct bytes *b, const struct head *h)
{
	for (size_t i = 0; i < h->session_count; i++) {
		const struct head_session *s = &h->sessions[i];
		bytes_put_u64(b, s->session);
		bytes_put_u64(b, s->last_seq);
		bytes_put_u64(b, (uint64_t)s->last_append.us);
		bytes_put_u8(b, s->closed);
		bytes_put_zero(b, 7);
	}
	bytes_put_zero(b, (size_t)(HEAD_SESSIONS_MAX - h->session_count) * SESSION_SIZE);
	for (size_t i = 0; i < h->intent_count; i++) {
		const struct head_intent *n = &h->intents[i];
		put_id(b, &n->chunk);
		bytes_put_u64(b, n->session);
		bytes_put_u32(b, (uint32_t)n->day);
		bytes_put_u8(b, n->lane);
		bytes_put_zero(b, 3);
	}
	bytes_put_zero(b, (size_t)(HEAD_INTENTS_MAX - h->intent_count) * INTENT_SIZE);
	for (size_t i = 0; i < h->sweep_count; i++) {
		const struct head_sweep *s = &h->sweeps[i];
		put_id(b, &s->chunk);
		bytes_put_u32(b, (uint32_t)s->day);
		bytes_put_u8(b, s->kind);
		bytes_put_u8(b, s->from_pool);
		bytes_put_u8(b, s->to_pool);
		bytes_put_u8(b, 0);
	}
	bytes_put_zero(b, (size_t)(HEAD_SWEEPS_MAX - h->sweep_count) * SWEEP_SIZE);
	for (size_t i = 0; i < h->hold_count; i++) {
		const struct head_hold *o = &h->holds[i];
		bytes_put(b, o->id, sizeof(o->id));
		bytes_put_u64(b, (uint64_t)o->from.us);
		bytes_put_u64(b, (uint64_t)o->to.us);
		bytes_put_u8(b, o->state);
		bytes_put_zero(b, 7);
	}
	bytes_put_zero(b, (size_t)(HEAD_HOLDS_MAX - h->hold_count) * HOLD_SIZE);
}

int head_encode(const struct head *h, struct buf **ret_buf)
{
	CHECK(h->session_count <= HEAD_SESSIONS_MAX && h->intent_count <= HEAD_INTENTS_MAX &&
		h->sweep_count <= HEAD_SWEEPS_MAX && h->hold_count <= HEAD_HOLDS_MAX);
	struct buf *buf = buf_new(HEAD_SIZE);
	if (!buf)
		return -ENOMEM;
	struct bytes b = bytes_writer(buf->data, HEAD_SIZE);
	bytes_put_u32(&b, HEAD_MAGIC);
	bytes_put_u8(&b, HEAD_LEVEL);
	bytes_put_u8(&b, h->session_count);
	bytes_put_u8(&b, h->intent_count);
	bytes_put_u8(&b, h->sweep_count);
	bytes_put_u8(&b, h->hold_count);
	bytes_put_zero(&b, 7);
	bytes_put_u8(&b, h->open_gap.cause);
	bytes_put_zero(&b, 7);
	bytes_put_u64(&b, (uint64_t)h->open_gap.from.us);
	bytes_put_u64(&b, (uint64_t)h->open_gap.to.us);
	put_id(&b, &h->last_chunk);
	bytes_put(&b, h->last_digest, DIGEST_SIZE);
	bytes_put_u64(&b, (uint64_t)h->last_end.us);
	CHECK(b.error || b.at == SESSIONS_AT);
	put_tables(&b, h);
	CHECK(b.error || b.at == TABLES_END);
	bytes_put_zero(&b, HEAD_CRC_AT - TABLES_END);
	bytes_put_u32(&b, crc32c(0, buf->data, HEAD_CRC_AT));
	CHECK(!b.error && bytes_left(&b) == 0);
	*ret_buf = buf;
	return 0;
}

/* --- reading --- */

/* `len` bytes that must be zero: what an older program does not know it must not pass over. */
static void get_zero(struct bytes *b, size_t len)
{
	const uint8_t *p = bytes_get_view(b, len);
	for (size_t i = 0; p && i < len; i++)
		if (p[i] != 0)
			bytes_fail(b, ERR_FORMAT);
}

static void judge(struct bytes *b, bool good)
{
	if (!good)
		bytes_fail(b, ERR_FORMAT);
}

static bool day_is_valid(int32_t day)
{
	return day >= 0 && day <= DAY_MAX;
}

static struct chunk_id get_id(struct bytes *b)
{
	struct chunk_id id = {
		.epoch = bytes_get_u64(b), .seq = bytes_get_u32(b), .gen = bytes_get_u16(b)};
	get_zero(b, 2);
	return id;
}

static struct wall get_wall(struct bytes *b)
{
	struct wall t = {(int64_t)bytes_get_u64(b)};
	judge(b, wall_is_valid(t));
	return t;
}

static void get_sessions(struct bytes *b, struct head *h)
{
	for (size_t i = 0; i < h->session_count; i++) {
		struct head_session *s = &h->sessions[i];
		s->session = bytes_get_u64(b);
		s->last_seq = bytes_get_u64(b);
		s->last_append = get_wall(b);
		uint8_t closed = bytes_get_u8(b);
		s->closed = closed == 1;
		judge(b, s->session != 0 && closed <= 1);
		get_zero(b, 7);
	}
	get_zero(b, (size_t)(HEAD_SESSIONS_MAX - h->session_count) * SESSION_SIZE);
}

static void get_intents(struct bytes *b, struct head *h)
{
	for (size_t i = 0; i < h->intent_count; i++) {
		struct head_intent *n = &h->intents[i];
		n->chunk = get_id(b);
		n->session = bytes_get_u64(b);
		n->day = (int32_t)bytes_get_u32(b);
		n->lane = bytes_get_u8(b);
		judge(b, n->chunk.epoch != 0 && n->chunk.seq != 0 && day_is_valid(n->day) &&
				 n->lane < LANES);
		get_zero(b, 3);
	}
	get_zero(b, (size_t)(HEAD_INTENTS_MAX - h->intent_count) * INTENT_SIZE);
}

static void get_sweeps(struct bytes *b, struct head *h)
{
	for (size_t i = 0; i < h->sweep_count; i++) {
		struct head_sweep *s = &h->sweeps[i];
		s->chunk = get_id(b);
		s->day = (int32_t)bytes_get_u32(b);
		s->kind = bytes_get_u8(b);
		s->from_pool = bytes_get_u8(b);
		s->to_pool = bytes_get_u8(b);
		judge(b, (s->kind == HEAD_SWEEP || s->kind == HEAD_MOVE) && day_is_valid(s->day) &&
				 s->from_pool < STORE_POOLS_MAX && s->to_pool < STORE_POOLS_MAX);
		get_zero(b, 1);
	}
	get_zero(b, (size_t)(HEAD_SWEEPS_MAX - h->sweep_count) * SWEEP_SIZE);
}

static void get_holds(struct bytes *b, struct head *h)
{
	for (size_t i = 0; i < h->hold_count; i++) {
		struct head_hold *o = &h->holds[i];
		bytes_get_copy(b, o->id, sizeof(o->id));
		o->from = get_wall(b);
		o->to = get_wall(b);
		o->state = bytes_get_u8(b);
		judge(b, o->state >= HOLD_PLACING && o->state <= HOLD_RELEASING &&
				 o->from.us <= o->to.us);
		get_zero(b, 7);
	}
	get_zero(b, (size_t)(HEAD_HOLDS_MAX - h->hold_count) * HOLD_SIZE);
}

int head_decode(const void *data, size_t len, struct head *ret_head)
{
	if (len < HEAD_SIZE)
		return ERR_TRUNCATED;
	if (len > HEAD_SIZE)
		return ERR_FORMAT;
	struct bytes b = bytes_reader(data, len);
	if (bytes_get_u32(&b) != HEAD_MAGIC)
		return ERR_FORMAT;
	struct bytes end = bytes_reader((const uint8_t *)data + HEAD_CRC_AT, 4);
	if (bytes_get_u32(&end) != crc32c(0, data, HEAD_CRC_AT))
		return ERR_CHECKSUM;
	if (bytes_get_u8(&b) != HEAD_LEVEL)
		return ERR_VERSION;
	struct head h = {0};
	h.session_count = bytes_get_u8(&b);
	h.intent_count = bytes_get_u8(&b);
	h.sweep_count = bytes_get_u8(&b);
	h.hold_count = bytes_get_u8(&b);
	if (h.session_count > HEAD_SESSIONS_MAX || h.intent_count > HEAD_INTENTS_MAX ||
		h.sweep_count > HEAD_SWEEPS_MAX || h.hold_count > HEAD_HOLDS_MAX)
		return ERR_FORMAT;
	get_zero(&b, 7);
	h.open_gap.cause = bytes_get_u8(&b);
	judge(&b, h.open_gap.cause < GAP_CAUSES);
	get_zero(&b, 7);
	h.open_gap.from = get_wall(&b);
	h.open_gap.to = get_wall(&b);
	h.last_chunk = get_id(&b);
	bytes_get_copy(&b, h.last_digest, DIGEST_SIZE);
	h.last_end = get_wall(&b);
	get_sessions(&b, &h);
	get_intents(&b, &h);
	get_sweeps(&b, &h);
	get_holds(&b, &h);
	get_zero(&b, HEAD_CRC_AT - TABLES_END);
	if (b.error)
		return b.error;
	*ret_head = h;
	return 0;
}
