/* SPDX-License-Identifier: Apache-2.0 */
#include "client/spool_record.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "client/steppe.h"

#define HEADER_MAGIC UINT64_C(0x5354455050455350) /* STEPPESP */
#define STATE_MAGIC  UINT64_C(0x5354455050455354) /* STEPPEST */
#define RECORD_MAGIC UINT32_C(0x53504652)         /* SPFR */

/* Fills up to the last four bytes, which are the checksum of those before. */
static void close_block(struct bytes *b)
{
	bytes_put_zero(b, b->len - 4 - b->at);
	bytes_put_u32(b, crc32c(0, b->out, b->len - 4));
	CHECK(!b->error);
}

static int open_block(struct bytes *b, const void *from, size_t len, size_t size)
{
	if (len < size)
		return ERR_TRUNCATED;
	struct bytes crc = bytes_reader((const uint8_t *)from + size - 4, 4);
	if (bytes_get_u32(&crc) != crc32c(0, from, size - 4))
		return ERR_CHECKSUM;
	*b = bytes_reader(from, size - 4);
	return 0;
}

void spool_header_encode(const struct spool_header *h, uint8_t to[SPOOL_HEADER_SIZE])
{
	struct bytes b = bytes_writer(to, SPOOL_HEADER_SIZE);
	bytes_put_u64(&b, HEADER_MAGIC);
	bytes_put_u32(&b, SPOOL_LEVEL);
	bytes_put_u8(&b, h->lane);
	bytes_put_zero(&b, 3);
	bytes_put_u64(&b, h->id);
	bytes_put_u64(&b, h->first);
	bytes_put_string8(&b, h->stream);
	close_block(&b);
}

int spool_header_decode(const void *from, size_t len, struct spool_header *ret_header)
{
	struct bytes b;
	int rc = open_block(&b, from, len, SPOOL_HEADER_SIZE);
	if (rc < 0)
		return rc;
	struct spool_header h;
	if (bytes_get_u64(&b) != HEADER_MAGIC)
		return ERR_FORMAT;
	if (bytes_get_u32(&b) != SPOOL_LEVEL)
		return ERR_VERSION;
	h.lane = bytes_get_u8(&b);
	bytes_skip(&b, 3);
	h.id = bytes_get_u64(&b);
	h.first = bytes_get_u64(&b);
	bytes_get_string8(&b, h.stream, sizeof(h.stream));
	if (b.error)
		return b.error;
	if (h.lane >= LANES || h.id == 0 || h.first == 0 ||
		stream_name_split(h.stream, NULL, NULL) < 0)
		return ERR_FORMAT;
	*ret_header = h;
	return 0;
}

void spool_record_encode(const struct spool_record *r, uint8_t to[SPOOL_RECORD_SIZE])
{
	struct bytes b = bytes_writer(to, SPOOL_RECORD_SIZE);
	bytes_put_u32(&b, RECORD_MAGIC);
	bytes_put_u8(&b, r->kind);
	bytes_put_u8(&b, r->gap_cause);
	bytes_put_u16(&b, 0);
	bytes_put_u64(&b, r->number);
	bytes_put_u64(&b, (uint64_t)r->gap_from_us);
	bytes_put_u32(&b, r->len);
	bytes_put_u32(&b, r->crc);
	close_block(&b);
}

int spool_record_decode(const void *from, size_t len, struct spool_record *ret_record)
{
	struct bytes b;
	int rc = open_block(&b, from, len, SPOOL_RECORD_SIZE);
	if (rc < 0)
		return rc;
	struct spool_record r;
	uint32_t magic = bytes_get_u32(&b);
	r.kind = bytes_get_u8(&b);
	r.gap_cause = bytes_get_u8(&b);
	uint16_t zero = bytes_get_u16(&b);
	r.number = bytes_get_u64(&b);
	r.gap_from_us = (int64_t)bytes_get_u64(&b);
	r.len = bytes_get_u32(&b);
	r.crc = bytes_get_u32(&b);
	if (b.error || magic != RECORD_MAGIC || zero || r.gap_cause > STEPPE_GAP_DAMAGED)
		return ERR_FORMAT;
	switch (r.kind) {
	case SPOOL_INIT:
		if (r.number || r.len == 0)
			return ERR_FORMAT;
		if (r.len > FRAGMENT_INIT_MAX)
			return ERR_LIMIT;
		break;
	case SPOOL_FRAGMENT:
		if (!r.number || r.len < FRAGMENT_HEADER_SIZE)
			return ERR_FORMAT;
		if (r.len > FRAGMENT_HEADER_SIZE + FRAGMENT_BODY_MAX)
			return ERR_LIMIT;
		if (r.gap_cause && !wall_is_valid((struct wall){r.gap_from_us}))
			return ERR_FORMAT;
		break;
	default:
		return ERR_FORMAT;
	}
	*ret_record = r;
	return 0;
}

void spool_state_encode(const struct spool_state *s, uint8_t to[SPOOL_STATE_SIZE])
{
	struct bytes b = bytes_writer(to, SPOOL_STATE_SIZE);
	bytes_put_u64(&b, STATE_MAGIC);
	bytes_put_u32(&b, SPOOL_LEVEL);
	bytes_put_u32(&b, 0);
	bytes_put_u64(&b, s->generation);
	for (size_t i = 0; i < LANES; i++) {
		bytes_put_u64(&b, s->lane[i].session);
		bytes_put_u64(&b, s->lane[i].base);
		bytes_put_u64(&b, s->lane[i].durable);
	}
	bytes_put_u64(&b, (uint64_t)s->captured_until_us);
	close_block(&b);
}

int spool_state_decode(const void *from, size_t len, struct spool_state *ret_state)
{
	struct bytes b;
	int rc = open_block(&b, from, len, SPOOL_STATE_SIZE);
	if (rc < 0)
		return rc;
	struct spool_state s;
	if (bytes_get_u64(&b) != STATE_MAGIC)
		return ERR_FORMAT;
	if (bytes_get_u32(&b) != SPOOL_LEVEL)
		return ERR_VERSION;
	bytes_skip(&b, 4);
	s.generation = bytes_get_u64(&b);
	for (size_t i = 0; i < LANES; i++) {
		s.lane[i].session = bytes_get_u64(&b);
		s.lane[i].base = bytes_get_u64(&b);
		s.lane[i].durable = bytes_get_u64(&b);
		if (s.lane[i].session == 0)
			return ERR_FORMAT;
	}
	s.captured_until_us = (int64_t)bytes_get_u64(&b);
	if (b.error)
		return b.error;
	if (s.captured_until_us < -1 || s.captured_until_us > WALL_MAX_US)
		return ERR_FORMAT;
	*ret_state = s;
	return 0;
}
