/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/digest.h"
#include "storaged/archive/chunk.h"
#include "storaged/archive/chunk_boxes.h"

/* The steppe-seal box:
 *
 *	 0 size, 'uuid', uuid   24 level u8   25 reason u8   26 flags u16   28 fragments u32   32
 * own offset u64 40 start i64            48 end i64    56 retention i64              64 media bytes
 * u64 72 previous digest     104 digest    136 length of the table u32   140 CRC of bytes 0..139
 * 144 the table, with a checksum of its own */
#define SEAL_CRC_AT   140u
#define SEAL_TABLE_AT 144u

enum seal_flags { SEAL_DOUBTFUL = 1 << 0, SEAL_DAMAGED = 1 << 1 };

/* tfra (version 1: 64-bit times) and mfro, with 4 bytes for a sample's number in its run */
#define TFRA_HEADER     24u
#define TFRA_ENTRY      22u
#define MFRO_SIZE       16u
#define MFRA_HEADER     8u
#define TFRA_FIELD_SIZE 3u /* length_size_of_sample_num: 4 bytes; the two others 1 byte */

/* --- retention --- */

static bool capture_is_believed(const struct fragment_header *h, struct wall receipt)
{
	if (h->lane == LANE_BACKFILL && h->clock_source == CLOCK_RECORDER_NTP &&
		h->capture.us <= receipt.us)
		return true;
	int64_t apart = h->capture.us - receipt.us;
	if (apart < 0)
		apart = -apart;
	return apart <= US_PER_DAY + h->clock_error_us;
}

void chunk_retention_add(
	struct chunk_retention *r, const struct fragment_header *h, struct wall receipt)
{
	bool believed = capture_is_believed(h, receipt);
	struct wall from = believed ? fragment_end(h) : receipt;
	if (from.us > r->from.us)
		r->from = from;
	r->doubtful |= !believed;
}

/* --- filling --- */

int chunk_seal_fill(struct chunk_seal *seal, const struct chunk_table *table)
{
	struct digest d;
	digest_start(&d);
	digest_add(&d, seal->previous_digest, DIGEST_SIZE);
	seal->start = seal->end = (struct wall){0};
	seal->media_bytes = 0;
	seal->fragments = table->fragment_count;
	for (uint32_t i = 0; i < table->fragment_count; i++) {
		const struct table_fragment *f = &table->fragments[i];
		int64_t end = f->capture.us + f->duration_us;
		if (i == 0 || f->capture.us < seal->start.us)
			seal->start = f->capture;
		if (end > seal->end.us)
			seal->end.us = end;
		seal->media_bytes += f->body_len;
		digest_add(&d, f->digest, DIGEST_SIZE);
	}
	return digest_finish(&d, seal->digest);
}

/* --- mfra: where decoding can start --- */

struct sync_place {
	uint64_t time; /* presentation, ticks */
	uint32_t offset, sample;
};

/* Calls put() for each sync sample of a track, or for the first sample of each run when all are
 * sync: then any more would only be bytes. Returns how many. */
static uint32_t each_sync(const struct chunk_table *t, uint8_t track,
	void (*put)(struct bytes *, const struct sync_place *), struct bytes *b)
{
	const struct table_track *tt = &t->tracks[track];
	bool all = true;
	for (uint32_t i = 0; i < tt->sample_count; i++)
		all &= tt->samples[i].sync;
	uint32_t count = 0;
	for (uint32_t i = 0; i < t->fragment_count; i++) {
		const struct table_fragment *f = &t->fragments[i];
		uint64_t time = f->run[track].decode_time;
		for (uint32_t k = 0; k < f->run[track].sample_count; k++) {
			const struct bmff_sample *s = &tt->samples[f->run[track].first_sample + k];
			if (s->sync && (k == 0 || !all)) {
				int64_t shown = (int64_t)time + s->cts_offset;
				const struct sync_place place = {
					shown > 0 ? (uint64_t)shown : 0, f->offset, k + 1};
				if (put)
					put(b, &place);
				count++;
			}
			time += s->duration;
		}
	}
	return count;
}

static void put_sync(struct bytes *b, const struct sync_place *place)
{
	bytes_put_u64(b, place->time);
	bytes_put_u64(b, place->offset);
	bytes_put_u8(b, 1); /* traf: ours have one run a track; players go by the track */
	bytes_put_u8(b, 1);
	bytes_put_u32(b, place->sample);
}

static size_t mfra_size(const struct chunk_table *t)
{
	size_t size = MFRA_HEADER + MFRO_SIZE;
	for (uint8_t i = 0; i < t->track_count; i++)
		size += TFRA_HEADER + (size_t)TFRA_ENTRY * each_sync(t, i, NULL, NULL);
	return size;
}

static void mfra_put(struct bytes *b, const struct chunk_table *t, size_t size)
{
	bytes_put_u32(b, (uint32_t)size);
	bytes_put_u32(b, BMFF_FOURCC('m', 'f', 'r', 'a'));
	for (uint8_t i = 0; i < t->track_count; i++) {
		uint32_t count = each_sync(t, i, NULL, NULL);
		bytes_put_u32(b, TFRA_HEADER + TFRA_ENTRY * count);
		bytes_put_u32(b, BMFF_FOURCC('t', 'f', 'r', 'a'));
		bytes_put_u32(b, 1u << 24);
		bytes_put_u32(b, i + 1u); /* track ids are 1, 2, 3 ... in the order of the table */
		bytes_put_u32(b, TFRA_FIELD_SIZE);
		bytes_put_u32(b, count);
		(void)each_sync(t, i, put_sync, b); /* as many as were counted */
	}
	bytes_put_u32(b, MFRO_SIZE);
	bytes_put_u32(b, BMFF_FOURCC('m', 'f', 'r', 'o'));
	bytes_put_u32(b, 0);
	bytes_put_u32(b, (uint32_t)size);
}

/* --- building and reading --- */

static void seal_put(struct bytes *b, const struct chunk_seal *seal, const struct buf *table)
{
	const uint8_t *box = b->out;
	chunk_box_put(b, chunk_uuid_seal, SEAL_TABLE_AT + (uint32_t)table->len);
	bytes_put_u8(b, CHUNK_SEAL_LEVEL);
	bytes_put_u8(b, seal->end_reason);
	bytes_put_u16(b, (uint16_t)((seal->retention.doubtful ? SEAL_DOUBTFUL : 0) |
				    (seal->damaged ? SEAL_DAMAGED : 0)));
	bytes_put_u32(b, seal->fragments);
	bytes_put_u64(b, seal->seal_offset);
	bytes_put_u64(b, (uint64_t)seal->start.us);
	bytes_put_u64(b, (uint64_t)seal->end.us);
	bytes_put_u64(b, (uint64_t)seal->retention.from.us);
	bytes_put_u64(b, seal->media_bytes);
	bytes_put(b, seal->previous_digest, DIGEST_SIZE);
	bytes_put(b, seal->digest, DIGEST_SIZE);
	bytes_put_u32(b, (uint32_t)table->len);
	CHECK(b->error || b->at == SEAL_CRC_AT);
	bytes_put_u32(b, crc32c(0, box, SEAL_CRC_AT));
	bytes_put(b, table->data, table->len);
}

int chunk_seal_build(struct chunk_seal *seal, const struct chunk_table *table, struct buf **ret_buf)
{
	struct buf *encoded = NULL, *buf = NULL;
	int rc = chunk_seal_fill(seal, table);
	if (rc == 0)
		rc = chunk_table_encode(table, &encoded);
	if (rc < 0)
		return rc;
	size_t mfra = mfra_size(table);
	buf = buf_new(SEAL_TABLE_AT + encoded->len + mfra);
	if (!buf) {
		buf_unref(&encoded);
		return -ENOMEM;
	}
	struct bytes b = bytes_writer(buf->data, buf->len);
	seal_put(&b, seal, encoded);
	mfra_put(&b, table, mfra);
	CHECK(!b.error && bytes_left(&b) == 0);
	buf_unref(&encoded);
	*ret_buf = buf;
	return 0;
}

static bool seal_makes_sense(const struct chunk_seal *s, uint16_t flags)
{
	return (flags & ~(SEAL_DOUBTFUL | SEAL_DAMAGED)) == 0 && s->end_reason >= CHUNK_END_FULL &&
	       s->end_reason <= CHUNK_END_CLOCK && s->seal_offset < STORE_OBJECT_MAX &&
	       wall_is_valid(s->start) && wall_is_valid(s->end) &&
	       wall_is_valid(s->retention.from) && s->start.us <= s->end.us &&
	       s->media_bytes < STORE_OBJECT_MAX;
}

int chunk_seal_parse(
	const void *data, size_t len, struct chunk_seal *ret_seal, struct chunk_table *ret_table)
{
	struct bytes b = bytes_reader(data, len);
	uint64_t size;
	int rc = chunk_box_get(&b, chunk_uuid_seal, &size);
	if (rc < 0)
		return rc;
	if (size < SEAL_TABLE_AT || size > STORE_OBJECT_MAX)
		return ERR_FORMAT;
	struct chunk_seal s = {0};
	uint8_t level = bytes_get_u8(&b);
	s.end_reason = bytes_get_u8(&b);
	uint16_t flags = bytes_get_u16(&b);
	s.retention.doubtful = flags & SEAL_DOUBTFUL;
	s.damaged = flags & SEAL_DAMAGED;
	s.fragments = bytes_get_u32(&b);
	s.seal_offset = bytes_get_u64(&b);
	s.start.us = (int64_t)bytes_get_u64(&b);
	s.end.us = (int64_t)bytes_get_u64(&b);
	s.retention.from.us = (int64_t)bytes_get_u64(&b);
	s.media_bytes = bytes_get_u64(&b);
	bytes_get_copy(&b, s.previous_digest, DIGEST_SIZE);
	bytes_get_copy(&b, s.digest, DIGEST_SIZE);
	uint32_t table_len = bytes_get_u32(&b);
	uint32_t crc = bytes_get_u32(&b);
	if (b.error)
		return b.error;
	if (crc != crc32c(0, data, SEAL_CRC_AT))
		return ERR_CHECKSUM;
	if (level != CHUNK_SEAL_LEVEL)
		return ERR_VERSION;
	if (table_len != size - SEAL_TABLE_AT || !seal_makes_sense(&s, flags))
		return ERR_FORMAT;
	const uint8_t *table = bytes_get_view(&b, table_len);
	if (!table)
		return b.error;
	if (ret_table) {
		rc = chunk_table_decode(ret_table, table, table_len);
		if (rc == 0 && ret_table->fragment_count != s.fragments) {
			chunk_table_fini(ret_table);
			rc = ERR_FORMAT;
		}
		if (rc < 0)
			return rc;
	}
	*ret_seal = s;
	return 0;
}
