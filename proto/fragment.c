/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fragment.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/digest.h"

#define FRAGMENT_DURATION_MAX_US 60000000u
#define FRAGMENT_FLAGS_ALL       0x3fu
#define TFDT_VALUE_SIZE          8
#define SEAL_BLOCK               16384u

/* Offsets in the encoded header:
 *
 *	  0 level u8       1 lane u8        2 track count u8   3 clock source u8   4 flags u16   6
 * zero u16 8 session u64   16 seq u64       24 capture i64 32 duration u32  36 clock error   40
 * body length     44 prefix length    48 four tfdt offsets u32 64 prefix CRC    68 rest CRC      72
 * prefix digest  104 rest digest     136 zero u32  140 CRC of bytes 0..139 */
#define PREFIX_DIGEST_AT 72
#define HEADER_CRC_AT    140
static_assert(HEADER_CRC_AT + 4 == FRAGMENT_HEADER_SIZE, "the CRC ends the header");
static_assert(FRAGMENT_TRACKS_MAX == 4, "the encoded header has room for four offsets");

static void encode_fields(struct bytes *b, const struct fragment_header *h)
{
	bytes_put_u8(b, FRAGMENT_LEVEL);
	bytes_put_u8(b, h->lane);
	bytes_put_u8(b, h->track_count);
	bytes_put_u8(b, h->clock_source);
	bytes_put_u16(b, h->flags);
	bytes_put_u16(b, 0);
	bytes_put_u64(b, h->session);
	bytes_put_u64(b, h->seq);
	bytes_put_u64(b, (uint64_t)h->capture.us);
	bytes_put_u32(b, h->duration_us);
	bytes_put_u32(b, h->clock_error_us);
	bytes_put_u32(b, h->body_len);
	bytes_put_u32(b, h->prefix_len);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		bytes_put_u32(b, h->tfdt_offset[i]);
	bytes_put_u32(b, h->prefix_crc);
	bytes_put_u32(b, h->rest_crc);
	CHECK(b->error || b->at == PREFIX_DIGEST_AT);
}

void fragment_header_encode(const struct fragment_header *h, uint8_t to[FRAGMENT_HEADER_SIZE])
{
	struct bytes b = bytes_writer(to, FRAGMENT_HEADER_SIZE);
	encode_fields(&b, h);
	bytes_put(&b, h->prefix_digest, DIGEST_SIZE);
	bytes_put(&b, h->rest_digest, DIGEST_SIZE);
	bytes_put_u32(&b, 0);
	bytes_put_u32(&b, crc32c(0, to, HEADER_CRC_AT));
	CHECK(!b.error && bytes_left(&b) == 0);
}

/* The offsets lie in the prefix, because moof does: so the prefix can be checked alone, and the
 * rest never holds a tfdt. */
static int judge_offsets(const struct fragment_header *h)
{
	uint64_t free_from = 0;
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++) {
		uint64_t at = h->tfdt_offset[i];
		if (i >= h->track_count) {
			if (at != 0)
				return ERR_FORMAT;
			continue;
		}
		if (at == 0 || at < free_from || at + TFDT_VALUE_SIZE > h->prefix_len)
			return ERR_FORMAT;
		free_from = at + TFDT_VALUE_SIZE;
	}
	return 0;
}

static int judge(const struct fragment_header *h)
{
	if (h->body_len > FRAGMENT_BODY_MAX || h->track_count > FRAGMENT_TRACKS_MAX ||
		h->duration_us > FRAGMENT_DURATION_MAX_US)
		return ERR_LIMIT;
	if (h->lane >= LANES || h->track_count == 0 || h->clock_source > CLOCK_RECORDER_NTP ||
		h->session == 0 || h->seq == 0 || h->prefix_len > h->body_len)
		return ERR_FORMAT;
	if (h->flags & ~FRAGMENT_FLAGS_ALL)
		return ERR_FORMAT;
	/* both say something of a sync fragment only */
	if ((h->flags & (FRAGMENT_SYNC_OPEN | FRAGMENT_NO_VIDEO)) && !(h->flags & FRAGMENT_SYNC))
		return ERR_FORMAT;
	if (!wall_is_valid(h->capture) || !wall_is_valid(fragment_end(h)))
		return ERR_FORMAT;
	return judge_offsets(h);
}

int fragment_header_decode(const void *from, size_t len, struct fragment_header *ret_header)
{
	if (len < FRAGMENT_HEADER_SIZE)
		return ERR_TRUNCATED;
	struct bytes b = bytes_reader(from, FRAGMENT_HEADER_SIZE);
	if (bytes_get_u8(&b) != FRAGMENT_LEVEL)
		return ERR_VERSION;
	struct fragment_header h = {0};
	h.lane = bytes_get_u8(&b);
	h.track_count = bytes_get_u8(&b);
	h.clock_source = bytes_get_u8(&b);
	h.flags = bytes_get_u16(&b);
	uint32_t unused = bytes_get_u16(&b);
	h.session = bytes_get_u64(&b);
	h.seq = bytes_get_u64(&b);
	h.capture.us = (int64_t)bytes_get_u64(&b);
	h.duration_us = bytes_get_u32(&b);
	h.clock_error_us = bytes_get_u32(&b);
	h.body_len = bytes_get_u32(&b);
	h.prefix_len = bytes_get_u32(&b);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		h.tfdt_offset[i] = bytes_get_u32(&b);
	h.prefix_crc = bytes_get_u32(&b);
	h.rest_crc = bytes_get_u32(&b);
	bytes_get_copy(&b, h.prefix_digest, DIGEST_SIZE);
	bytes_get_copy(&b, h.rest_digest, DIGEST_SIZE);
	unused |= bytes_get_u32(&b);
	if (bytes_get_u32(&b) != crc32c(0, from, HEADER_CRC_AT))
		return ERR_CHECKSUM;
	int rc = unused ? ERR_FORMAT : judge(&h);
	if (rc == 0)
		*ret_header = h;
	return rc;
}

/* Walks a range of a body as the pieces that checksums see: the bytes as they are, and zeroes for
 * each tfdt value. */
struct pieces {
	const struct fragment_header *h;
	const uint8_t *body;
	uint32_t at, end;
	size_t track; /* the first whose tfdt may lie ahead */
};

struct piece {
	const uint8_t *data;
	uint32_t len;
};

static bool next_piece(struct pieces *w, struct piece *ret_piece)
{
	static const uint8_t zeroes[TFDT_VALUE_SIZE];
	if (w->at >= w->end)
		return false;
	uint32_t tfdt = w->track < w->h->track_count ? w->h->tfdt_offset[w->track] : w->end;
	if (w->at == tfdt) {
		*ret_piece = (struct piece){zeroes, TFDT_VALUE_SIZE};
		w->track++;
	} else {
		*ret_piece = (struct piece){w->body + w->at, tfdt - w->at};
	}
	w->at += ret_piece->len;
	return true;
}

static uint32_t prefix_crc(const struct fragment_header *h, const void *prefix)
{
	struct pieces w = {.h = h, .body = prefix, .end = h->prefix_len};
	uint32_t crc = 0;
	for (struct piece p; next_piece(&w, &p);)
		crc = crc32c(crc, p.data, p.len);
	return crc;
}

static uint32_t rest_crc(const struct fragment_header *h, const void *body)
{
	return crc32c(0, (const uint8_t *)body + h->prefix_len, h->body_len - h->prefix_len);
}

static int prefix_digest(
	const struct fragment_header *h, const void *body, uint8_t ret_digest[DIGEST_SIZE])
{
	uint8_t fields[PREFIX_DIGEST_AT];
	struct bytes b = bytes_writer(fields, sizeof(fields));
	encode_fields(&b, h);
	struct digest d;
	digest_start(&d);
	digest_add(&d, fields, sizeof(fields));
	struct pieces w = {.h = h, .body = body, .end = h->prefix_len};
	for (struct piece p; next_piece(&w, &p);)
		digest_add(&d, p.data, p.len);
	return digest_finish(&d, ret_digest);
}

static int rest_digest(
	const struct fragment_header *h, const void *body, uint8_t ret_digest[DIGEST_SIZE])
{
	return digest_of(
		(const uint8_t *)body + h->prefix_len, h->body_len - h->prefix_len, ret_digest);
}

/* Checksum and digest of the rest in one walk: a block is hashed while the cache still has it. */
static int seal_rest(struct fragment_header *h, const void *body)
{
	const uint8_t *at = (const uint8_t *)body + h->prefix_len;
	struct digest d;
	digest_start(&d);
	h->rest_crc = 0;
	for (size_t left = h->body_len - h->prefix_len, len; left; left -= len, at += len) {
		len = left < SEAL_BLOCK ? left : SEAL_BLOCK;
		h->rest_crc = crc32c(h->rest_crc, at, len);
		digest_add(&d, at, len);
	}
	return digest_finish(&d, h->rest_digest);
}

int fragment_seal(struct fragment_header *h, const void *body, bool with_digests)
{
	int rc = judge(h);
	if (rc < 0)
		return rc;
	struct fragment_header sealed = *h;
	sealed.prefix_crc = prefix_crc(h, body);
	memset(sealed.prefix_digest, 0, DIGEST_SIZE);
	memset(sealed.rest_digest, 0, DIGEST_SIZE);
	if (with_digests)
		rc = seal_rest(&sealed, body);
	else
		sealed.rest_crc = rest_crc(h, body);
	/* over the checksums too, so it comes last */
	if (rc == 0 && with_digests)
		rc = prefix_digest(&sealed, body, sealed.prefix_digest);
	if (rc == 0)
		*h = sealed;
	return rc;
}

int fragment_check_prefix_crc(const struct fragment_header *h, const void *prefix)
{
	return prefix_crc(h, prefix) == h->prefix_crc ? 0 : ERR_CHECKSUM;
}

int fragment_check_crc(const struct fragment_header *h, const void *body)
{
	int rc = fragment_check_prefix_crc(h, body);
	if (rc == 0 && rest_crc(h, body) != h->rest_crc)
		rc = ERR_CHECKSUM;
	return rc;
}

int fragment_check_digest(const struct fragment_header *h, const void *body)
{
	static const uint8_t none[DIGEST_SIZE];
	if (!memcmp(h->prefix_digest, none, DIGEST_SIZE) &&
		!memcmp(h->rest_digest, none, DIGEST_SIZE))
		return -ENODATA;
	uint8_t prefix[DIGEST_SIZE], rest[DIGEST_SIZE];
	int rc = prefix_digest(h, body, prefix);
	if (rc == 0)
		rc = rest_digest(h, body, rest);
	if (rc == 0 && (memcmp(prefix, h->prefix_digest, DIGEST_SIZE) ||
			       memcmp(rest, h->rest_digest, DIGEST_SIZE)))
		rc = ERR_CHECKSUM;
	return rc;
}

int fragment_digest(const struct fragment_header *h, uint8_t ret_digest[DIGEST_SIZE])
{
	uint8_t both[2 * DIGEST_SIZE];
	memcpy(both, h->prefix_digest, DIGEST_SIZE);
	memcpy(both + DIGEST_SIZE, h->rest_digest, DIGEST_SIZE);
	return digest_of(both, sizeof(both), ret_digest);
}
