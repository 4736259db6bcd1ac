/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/index.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/gaps.h"

/* --- from a chunk to its record --- */

static void count_samples(const struct chunk_table *t, struct index_record *r)
{
	for (uint8_t i = 0; i < t->track_count; i++) {
		r->samples[i] = t->tracks[i].sample_count;
		for (uint32_t k = 0; k < t->tracks[i].sample_count; k++)
			r->syncs[i] += t->tracks[i].samples[k].sync;
	}
}

void index_record_make(const struct index_source *from, struct index_record *ret_record)
{
	const struct chunk_table *t = from->table;
	const struct chunk_seal *seal = from->seal;
	struct index_record r = {
		.state = INDEX_LIVE,
		.pool = from->pool,
		.chunk = from->header->id,
		.start = seal->start,
		.end = seal->end,
		.retention = seal->retention.from,
		.bytes = from->bytes,
		.seal_offset = seal->seal_offset,
		.fragments = t->fragment_count,
		.gap_before = from->header->gap_before,
		.head_len = from->head_len,
		.init_crc = from->init_crc,
		.lane = from->header->lane,
		.end_reason = seal->end_reason,
		.session = t->session,
	};
	r.gap_before.to = r.start;
	if (r.gap_before.from.us >= r.start.us)
		r.gap_before.cause = GAP_NONE;
	if (r.gap_before.cause == GAP_NONE)
		r.gap_before = (struct gap){0};
	if (t->fragment_count == 0)
		r.flags |= INDEX_EMPTY;
	else
		r.first_seq = t->fragments[0].seq;
	if (r.lane == LANE_BACKFILL)
		r.flags |= INDEX_BACKFILL;
	if (seal->retention.doubtful)
		r.flags |= INDEX_DOUBTFUL;
	if (seal->damaged)
		r.flags |= INDEX_DAMAGED;
	if (seal->end_reason == CHUNK_END_RECOVERED)
		r.flags |= INDEX_RECOVERED;
	for (uint32_t i = 0; i < t->fragment_count; i++)
		if (t->fragments[i].flags & FRAGMENT_CLOCK_BACK)
			r.flags |= INDEX_CLOCK_BACK;
	count_samples(t, &r);
	size_t gaps = gaps_of_table(t, t->fragment_count, r.gaps, INDEX_GAPS_MAX);
	r.gap_count = (uint8_t)(gaps < INDEX_GAPS_MAX ? gaps : INDEX_GAPS_MAX);
	memcpy(r.digest, seal->digest, sizeof(r.digest));
	*ret_record = r;
}

int64_t index_record_frame_us(const struct index_record *r)
{
	int64_t footage = r->end.us - r->start.us;
	for (uint8_t i = 0; i < r->gap_count; i++)
		footage -= r->gaps[i].to.us - r->gaps[i].from.us;
	return r->samples[0] && footage > 0 ? footage / r->samples[0] : 0;
}

/* --- a record's bytes --- */

/*	  0 state u8   1 pool u8   2 flags u16   4 epoch u64   12 seq u32   16 gen u16   18 lane u8
 * 19 end reason u8 20 start i64  28 end i64  36 retention i64  44 bytes u32  48 seal offset u32  52
 * fragments u32 56 samples, 4 x u32       72 syncs, 4 x u32 88 gap before: from i64   96 its cause
 * u8   97 rule u8   98 gaps inside u8   99 level u8 100 head length u32       104 init CRC u32  108
 * session u64  116 first seq u64  124 digest prefix, 16 140 gaps inside, 4 x (after the start u32,
 * length u32), microseconds   172 their causes, 4 x u8 176 zero, 12              188 CRC of bytes
 * 0..187 */
#define RECORD_CRC_AT (INDEX_RECORD_SIZE - 4)
#define RECORD_ZERO   12
static_assert(INDEX_GAPS_MAX == 4 && FRAGMENT_TRACKS_MAX == 4, "the record has room for four");

static void put_gaps(struct bytes *b, const struct index_record *r)
{
	for (uint8_t i = 0; i < INDEX_GAPS_MAX; i++) {
		bool used = i < r->gap_count;
		bytes_put_u32(b, used ? (uint32_t)(r->gaps[i].from.us - r->start.us) : 0);
		bytes_put_u32(b, used ? (uint32_t)(r->gaps[i].to.us - r->gaps[i].from.us) : 0);
	}
	for (uint8_t i = 0; i < INDEX_GAPS_MAX; i++)
		bytes_put_u8(b, i < r->gap_count ? r->gaps[i].cause : 0);
}

void index_record_encode(const struct index_record *r, uint8_t to[INDEX_RECORD_SIZE])
{
	struct bytes b = bytes_writer(to, INDEX_RECORD_SIZE);
	bytes_put_u8(&b, r->state);
	bytes_put_u8(&b, r->pool);
	bytes_put_u16(&b, r->flags);
	bytes_put_u64(&b, r->chunk.epoch);
	bytes_put_u32(&b, r->chunk.seq);
	bytes_put_u16(&b, r->chunk.gen);
	bytes_put_u8(&b, r->lane);
	bytes_put_u8(&b, r->end_reason);
	bytes_put_u64(&b, (uint64_t)r->start.us);
	bytes_put_u64(&b, (uint64_t)r->end.us);
	bytes_put_u64(&b, (uint64_t)r->retention.us);
	bytes_put_u32(&b, (uint32_t)r->bytes);
	bytes_put_u32(&b, (uint32_t)r->seal_offset);
	bytes_put_u32(&b, r->fragments);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		bytes_put_u32(&b, r->samples[i]);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		bytes_put_u32(&b, r->syncs[i]);
	bytes_put_u64(&b, (uint64_t)r->gap_before.from.us);
	bytes_put_u8(&b, r->gap_before.cause);
	bytes_put_u8(&b, r->rule);
	bytes_put_u8(&b, r->gap_count);
	bytes_put_u8(&b, INDEX_LEVEL);
	bytes_put_u32(&b, r->head_len);
	bytes_put_u32(&b, r->init_crc);
	bytes_put_u64(&b, r->session);
	bytes_put_u64(&b, r->first_seq);
	bytes_put(&b, r->digest, sizeof(r->digest));
	put_gaps(&b, r);
	bytes_put_zero(&b, RECORD_ZERO);
	CHECK(b.error || b.at == RECORD_CRC_AT);
	bytes_put_u32(&b, crc32c(0, to, RECORD_CRC_AT));
	CHECK(!b.error && bytes_left(&b) == 0);
}

static void get_gaps(struct bytes *b, struct index_record *r)
{
	int64_t least = r->start.us;
	for (uint8_t i = 0; i < INDEX_GAPS_MAX; i++) {
		uint32_t after = bytes_get_u32(b), length = bytes_get_u32(b);
		if (i >= r->gap_count) {
			if (after || length)
				bytes_fail(b, ERR_FORMAT);
			continue;
		}
		r->gaps[i].from.us = r->start.us + after;
		r->gaps[i].to.us = r->gaps[i].from.us + length;
		if (r->gaps[i].from.us < least || length == 0 || r->gaps[i].to.us > r->end.us)
			bytes_fail(b, ERR_FORMAT);
		least = r->gaps[i].to.us;
	}
	for (uint8_t i = 0; i < INDEX_GAPS_MAX; i++) {
		uint8_t cause = bytes_get_u8(b);
		if (cause >= GAP_CAUSES || (cause != GAP_NONE) != (i < r->gap_count))
			bytes_fail(b, ERR_FORMAT);
		else if (i < r->gap_count)
			r->gaps[i].cause = cause;
	}
}

static bool record_makes_sense(const struct index_record *r)
{
	return r->state >= INDEX_LIVE && r->state <= INDEX_TOMBSTONE && r->pool < STORE_POOLS_MAX &&
	       r->chunk.epoch != 0 && r->chunk.seq != 0 && r->lane < LANES &&
	       wall_is_valid(r->start) && wall_is_valid(r->end) && wall_is_valid(r->retention) &&
	       r->start.us <= r->end.us && r->bytes <= STORE_OBJECT_MAX &&
	       r->seal_offset <= r->bytes && r->head_len <= r->bytes &&
	       wall_is_valid(r->gap_before.from) && r->gap_before.cause < GAP_CAUSES &&
	       r->gap_count <= INDEX_GAPS_MAX;
}

int index_record_decode(const void *data, struct index_record *ret_record)
{
	struct bytes b = bytes_reader(data, INDEX_RECORD_SIZE);
	struct index_record r = {
		.state = bytes_get_u8(&b), .pool = bytes_get_u8(&b), .flags = bytes_get_u16(&b)};
	r.chunk.epoch = bytes_get_u64(&b);
	r.chunk.seq = bytes_get_u32(&b);
	r.chunk.gen = bytes_get_u16(&b);
	r.lane = bytes_get_u8(&b);
	r.end_reason = bytes_get_u8(&b);
	r.start.us = (int64_t)bytes_get_u64(&b);
	r.end.us = (int64_t)bytes_get_u64(&b);
	r.retention.us = (int64_t)bytes_get_u64(&b);
	r.bytes = bytes_get_u32(&b);
	r.seal_offset = bytes_get_u32(&b);
	r.fragments = bytes_get_u32(&b);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		r.samples[i] = bytes_get_u32(&b);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		r.syncs[i] = bytes_get_u32(&b);
	r.gap_before.from.us = (int64_t)bytes_get_u64(&b);
	r.gap_before.cause = bytes_get_u8(&b);
	r.rule = bytes_get_u8(&b);
	r.gap_count = bytes_get_u8(&b);
	uint8_t level = bytes_get_u8(&b);
	r.head_len = bytes_get_u32(&b);
	r.init_crc = bytes_get_u32(&b);
	r.session = bytes_get_u64(&b);
	r.first_seq = bytes_get_u64(&b);
	bytes_get_copy(&b, r.digest, sizeof(r.digest));
	struct bytes tail = bytes_reader((const uint8_t *)data + RECORD_CRC_AT, 4);
	if (bytes_get_u32(&tail) != crc32c(0, data, RECORD_CRC_AT))
		return ERR_CHECKSUM;
	if (level != INDEX_LEVEL)
		return ERR_VERSION;
	if (!record_makes_sense(&r))
		return ERR_FORMAT;
	if (r.gap_before.cause != GAP_NONE)
		r.gap_before.to = r.start;
	get_gaps(&b, &r);
	if (b.error)
		return b.error;
	*ret_record = r;
	return 0;
}

/* --- partitions --- */

int index_partition_decode(const void *data, size_t len, struct index_partition *ret_partition)
{
	size_t count = len / INDEX_RECORD_SIZE;
	if (count > INDEX_RECORDS_MAX)
		return ERR_LIMIT;
	struct index_partition p = {.damaged = len % INDEX_RECORD_SIZE != 0};
	p.records = calloc(count ? count : 1, sizeof(*p.records));
	if (!p.records)
		return -ENOMEM;
	const uint8_t *at = data;
	for (size_t i = 0; i < count; i++, at += INDEX_RECORD_SIZE) {
		int rc = index_record_decode(at, &p.records[p.count]);
		if (rc == ERR_VERSION) {
			/* not damage: a newer program wrote it, and to leave it out would deny that
			 * it is there */
			index_partition_fini(&p);
			return rc;
		}
		if (rc < 0)
			p.damaged++;
		else
			p.count++;
	}
	*ret_partition = p;
	return 0;
}

void index_partition_fini(struct index_partition *p)
{
	free(p->records);
	*p = (struct index_partition){0};
}

/* --- versions and names --- */

void index_version_format(const struct index_version *v, char to[33])
{
	snprintf(to, 33, "%016" PRIx64 "%016" PRIx64, v->epoch, v->n);
}

int index_version_parse(const void *text, size_t len, struct index_version *ret_version)
{
	uint64_t half[2] = {0, 0};
	if (len != 32)
		return ERR_FORMAT;
	for (size_t i = 0; i < 32; i++) {
		char c = ((const char *)text)[i];
		if (c >= '0' && c <= '9')
			half[i / 16] = half[i / 16] << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			half[i / 16] = half[i / 16] << 4 | (uint64_t)(c - 'a' + 10);
		else
			return ERR_FORMAT;
	}
	*ret_version = (struct index_version){half[0], half[1]};
	return 0;
}

#define NAME_PREFIX "idx/"
#define DATE_DIGITS 8
#define DAY_SECONDS 86400

void index_partition_name(char to[STORE_NAME_MAX + 1], const char *stream, int32_t day)
{
	CHECK(strlen(stream) <= STREAM_NAME_MAX);
	time_t t = (time_t)day * DAY_SECONDS;
	struct tm tm;
	CHECK(gmtime_r(&t, &tm) != NULL);
	snprintf(to, STORE_NAME_MAX + 1, NAME_PREFIX "%s/%04d%02d%02d", stream, tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday);
}

int index_partition_name_parse(
	const char *name, char ret_stream[STREAM_NAME_MAX + 1], int32_t *ret_day)
{
	const size_t prefix = strlen(NAME_PREFIX);
	const char *slash = strrchr(name, '/');
	if (strncmp(name, NAME_PREFIX, prefix) != 0 || !slash || slash < name + prefix ||
		(size_t)(slash - name) - prefix > STREAM_NAME_MAX ||
		strlen(slash + 1) != DATE_DIGITS)
		return -EINVAL;
	int digits[DATE_DIGITS];
	for (size_t i = 0; i < DATE_DIGITS; i++) {
		digits[i] = slash[1 + i] - '0';
		if (digits[i] < 0 || digits[i] > 9)
			return -EINVAL;
	}
	struct tm tm = {
		.tm_year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3] - 1900,
		.tm_mon = digits[4] * 10 + digits[5] - 1,
		.tm_mday = digits[6] * 10 + digits[7],
	};
	time_t t = timegm(&tm);
	char stream[STREAM_NAME_MAX + 1], again[STORE_NAME_MAX + 1];
	size_t len = (size_t)(slash - name) - prefix;
	memcpy(stream, name + prefix, len);
	stream[len] = 0;
	if (t < 0 || t / DAY_SECONDS > WALL_MAX_US / US_PER_DAY ||
		stream_name_split(stream, NULL, NULL) < 0)
		return -EINVAL;
	/* the 31st of February and its like come out as another day */
	index_partition_name(again, stream, (int32_t)(t / DAY_SECONDS));
	if (strcmp(again, name) != 0)
		return -EINVAL;
	memcpy(ret_stream, stream, len + 1);
	*ret_day = (int32_t)(t / DAY_SECONDS);
	return 0;
}

void index_days_name(char to[STORE_NAME_MAX + 1], const char *stream)
{
	CHECK(strlen(stream) <= STREAM_NAME_MAX);
	snprintf(to, STORE_NAME_MAX + 1, NAME_PREFIX "%s/days", stream);
}
