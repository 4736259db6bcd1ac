/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding and decoding tables. The columns are described once, by one walk that either writes a
 * table or fills one; most numbers are kept as their distance from a prediction, which is nearly
 * always right, and LZ4 shrinks the zeroes. */
#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/table.h"

#define TABLE_LEVEL     1
#define TABLE_HEADER    16u
#define TABLE_CRC_AT    12
#define TABLE_RAW_MAX   (64u << 20)
#define TIMESCALE_MAX   1000000u
#define DURATION_MAX_US 60000000u
#define FLAGS_ALL       0x3fu
#define DECODE_TIME_MAX (UINT64_C(1) << 62)
#define GAP_CAUSE_MAX   15 /* the causes' meaning is not known here */
/* Bytes in the raw columns, at least and at most: these bound what decoding allocates and encoding
 * needs. */
#define SAMPLE_RAW_MIN   3u
#define SAMPLE_RAW_MAX   20u
#define FRAGMENT_RAW_MIN (DIGEST_SIZE + 9u)
#define FRAGMENT_RAW_MAX 256u
/* What bmff_fragment_build makes of a fragment, which is what to expect. */
#define MOOF_SIZE   24u
#define TRAF_SIZE   64u
#define SAMPLE_SIZE 16u
#define MDAT_HEADER 8u

enum method { METHOD_STORED = 0, METHOD_LZ4 = 1 };

struct coder {
	struct bytes b;
	bool decoding;
};

/* Each code_* takes the value to write and gives it back, or gives the value read: `x =
 * code_number(c, x, max)`. */
static uint64_t code_number(struct coder *c, uint64_t value, uint64_t max)
{
	if (c->decoding)
		value = bytes_get_varint(&c->b);
	if (value > max) {
		bytes_fail(&c->b, ERR_FORMAT);
		return c->decoding ? 0 : value;
	}
	if (!c->decoding)
		bytes_put_varint(&c->b, value);
	return value;
}

/* A number as its distance from what was expected. */
static uint64_t code_near(struct coder *c, uint64_t value, uint64_t expected, uint64_t max)
{
	if (c->decoding)
		value = expected + (uint64_t)unzigzag(bytes_get_varint(&c->b));
	if (value > max) {
		bytes_fail(&c->b, ERR_FORMAT);
		return c->decoding ? 0 : value;
	}
	if (!c->decoding)
		bytes_put_varint(&c->b, zigzag((int64_t)(value - expected)));
	return value;
}

static uint32_t code_near32(struct coder *c, uint32_t value, uint64_t expected)
{
	return (uint32_t)code_near(c, value, expected, UINT32_MAX);
}

/* Shifted by 2^31, so that the range check for unsigned numbers does. */
static int32_t code_near_signed(struct coder *c, int32_t value, int32_t expected)
{
	const int64_t shift = INT64_C(1) << 31;
	uint64_t shifted =
		code_near(c, (uint64_t)(value + shift), (uint64_t)(expected + shift), UINT32_MAX);
	return (int32_t)((int64_t)shifted - shift);
}

static void code_digest(struct coder *c, uint8_t digest[DIGEST_SIZE])
{
	if (c->decoding)
		bytes_get_copy(&c->b, digest, DIGEST_SIZE);
	else
		bytes_put(&c->b, digest, DIGEST_SIZE);
}

/* Lengths of runs of samples with the same `sync`, in turn; the first, of sync samples, may be
 * zero. */
static void code_sync(struct coder *c, struct table_track *t)
{
	bool sync = true;
	for (uint32_t i = 0; i < t->sample_count && !c->b.error; sync = !sync) {
		uint32_t run = 0;
		while (!c->decoding && i + run < t->sample_count &&
			t->samples[i + run].sync == sync)
			run++;
		run = (uint32_t)code_number(c, run, t->sample_count - i);
		if (run == 0 && !(i == 0 && sync))
			bytes_fail(&c->b, ERR_FORMAT);
		for (uint32_t end = i + run; i < end; i++)
			t->samples[i].sync = sync;
	}
}

static void code_samples(struct coder *c, struct table_track *t)
{
	struct bmff_sample *s = t->samples;
	for (uint32_t i = 0; i < t->sample_count; i++)
		s[i].size = (uint32_t)code_number(c, s[i].size, FRAGMENT_BODY_MAX);
	for (uint32_t i = 0; i < t->sample_count; i++)
		s[i].duration = code_near32(c, s[i].duration, i ? s[i - 1].duration : 0);
	for (uint32_t i = 0; i < t->sample_count; i++)
		s[i].cts_offset = code_near_signed(c, s[i].cts_offset, i ? s[i - 1].cts_offset : 0);
	code_sync(c, t);
}

/* --- fragments --- */

static uint64_t run_bytes(const struct chunk_table *t, const struct table_fragment *f, size_t track)
{
	const struct bmff_sample *s = t->tracks[track].samples;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < f->run[track].sample_count; i++)
		bytes += s[f->run[track].first_sample + i].size;
	return bytes;
}

static uint64_t run_duration(
	const struct chunk_table *t, const struct table_fragment *f, size_t track)
{
	const struct bmff_sample *s = t->tracks[track].samples;
	uint64_t ticks = 0;
	for (uint32_t i = 0; i < f->run[track].sample_count; i++)
		ticks += s[f->run[track].first_sample + i].duration;
	return ticks;
}

/* How many samples each fragment has of a track: all of the track's together. */
static void code_counts(struct coder *c, struct chunk_table *t, size_t track)
{
	uint32_t first = 0, all = t->tracks[track].sample_count, last = 0;
	for (uint32_t i = 0; i < t->fragment_count; i++) {
		struct table_fragment *f = &t->fragments[i];
		f->run[track].first_sample = first;
		f->run[track].sample_count =
			(uint32_t)code_near(c, f->run[track].sample_count, last, all - first);
		last = f->run[track].sample_count;
		first += last;
	}
	if (first != all)
		bytes_fail(&c->b, ERR_FORMAT);
}

static void code_decode_times(struct coder *c, struct chunk_table *t, size_t track)
{
	uint64_t expected = 0;
	for (uint32_t i = 0; i < t->fragment_count; i++) {
		struct table_fragment *f = &t->fragments[i];
		if (f->run[track].sample_count == 0)
			continue;
		f->run[track].decode_time =
			code_near(c, f->run[track].decode_time, expected, DECODE_TIME_MAX);
		expected = f->run[track].decode_time + run_duration(t, f, track);
	}
}

/* Where the data of each run lies, the whole body and its sync prefix end. */
static void code_layout(struct coder *c, struct chunk_table *t, struct table_fragment *f)
{
	uint64_t end = MOOF_SIZE + MDAT_HEADER, prefix = 0;
	for (size_t k = 0; k < t->track_count; k++)
		if (f->run[k].sample_count)
			end += TRAF_SIZE + (uint64_t)SAMPLE_SIZE * f->run[k].sample_count;
	for (size_t k = 0; k < t->track_count; k++) {
		if (f->run[k].sample_count == 0)
			continue;
		f->run[k].data_offset = code_near32(c, f->run[k].data_offset, end);
		end = f->run[k].data_offset + run_bytes(t, f, k);
		if (prefix == 0) {
			const struct bmff_sample *first =
				&t->tracks[k].samples[f->run[k].first_sample];
			bool whole = f->flags & FRAGMENT_SYNC && first->sync;
			prefix = f->run[k].data_offset + (whole ? first->size : 0);
		}
	}
	f->body_len = code_near32(c, f->body_len, end);
	f->prefix_len = code_near32(c, f->prefix_len, prefix);
}

static void code_fragments(struct coder *c, struct chunk_table *t)
{
	struct table_fragment *f = t->fragments;
	const struct table_fragment none = {0};
	uint32_t count = t->fragment_count;
	for (uint32_t i = 0; i < count; i++)
		f[i].flags = (uint16_t)code_number(c, f[i].flags, FLAGS_ALL);
	for (size_t k = 0; k < t->track_count; k++)
		code_counts(c, t, k);
	if (c->b.error) /* what follows looks up samples by the counts */
		return;
	for (size_t k = 0; k < t->track_count; k++)
		code_decode_times(c, t, k);
	for (uint32_t i = 0; i < count; i++)
		code_layout(c, t, &f[i]);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t gap = i ? (uint64_t)f[i - 1].offset + f[i - 1].body_len : 0;
		f[i].offset = (uint32_t)(gap + code_number(c, f[i].offset - gap, UINT32_MAX - gap));
		if (gap > UINT32_MAX)
			bytes_fail(&c->b, ERR_FORMAT);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t next = i ? f[i - 1].seq + 1 : 1;
		f[i].seq = next + code_number(c, f[i].seq - next, UINT64_MAX - next);
		if (next == 0)
			bytes_fail(&c->b, ERR_FORMAT);
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct table_fragment *last = i ? &f[i - 1] : &none;
		f[i].capture.us = (int64_t)code_near(c, (uint64_t)f[i].capture.us,
			(uint64_t)last->capture.us + last->duration_us, WALL_MAX_US);
		f[i].duration_us = (uint32_t)code_near(
			c, f[i].duration_us, last->duration_us, DURATION_MAX_US);
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct table_fragment *last = i ? &f[i - 1] : &none;
		f[i].clock_source = (uint8_t)code_near(
			c, f[i].clock_source, last->clock_source, CLOCK_RECORDER_NTP);
		f[i].clock_error_us = code_near32(c, f[i].clock_error_us, last->clock_error_us);
	}
	for (uint32_t i = 0; i < count; i++)
		f[i].gap_cause = (uint8_t)code_number(c, f[i].gap_cause, GAP_CAUSE_MAX);
	for (uint32_t i = 0; i < count; i++)
		code_digest(c, f[i].digest);
}

/* What must be true beyond each number's own range. */
static int judge(const struct chunk_table *t)
{
	if ((t->session == 0) != (t->fragment_count == 0))
		return ERR_FORMAT;
	for (uint32_t i = 0; i < t->fragment_count; i++) {
		const struct table_fragment *f = &t->fragments[i];
		if (f->body_len > FRAGMENT_BODY_MAX || f->prefix_len > f->body_len ||
			f->offset > UINT32_MAX - f->body_len ||
			f->capture.us + f->duration_us > WALL_MAX_US)
			return ERR_FORMAT;
		for (size_t k = 0; k < t->track_count; k++)
			if (f->run[k].data_offset + run_bytes(t, f, k) > f->body_len)
				return ERR_FORMAT;
	}
	return 0;
}

/* --- the frame around --- */

static size_t sample_total(const struct chunk_table *t)
{
	size_t samples = 0;
	for (size_t i = 0; i < t->track_count; i++)
		samples += t->tracks[i].sample_count;
	return samples;
}

static void code_columns(struct coder *c, struct chunk_table *t)
{
	for (size_t i = 0; i < t->track_count && !c->b.error; i++)
		code_samples(c, &t->tracks[i]);
	if (!c->b.error)
		code_fragments(c, t);
}

static void code_counters(struct coder *c, struct chunk_table *t)
{
	t->session = code_number(c, t->session, UINT64_MAX);
	t->track_count = (uint8_t)code_number(c, t->track_count, FRAGMENT_TRACKS_MAX);
	t->fragment_count = (uint32_t)code_number(c, t->fragment_count, TABLE_FRAGMENTS_MAX);
	for (size_t i = 0; i < t->track_count; i++) {
		t->tracks[i].timescale =
			(uint32_t)code_number(c, t->tracks[i].timescale, TIMESCALE_MAX);
		t->tracks[i].sample_count =
			(uint32_t)code_number(c, t->tracks[i].sample_count, TABLE_SAMPLES_MAX);
		if (t->tracks[i].timescale == 0)
			bytes_fail(&c->b, ERR_FORMAT);
	}
}

static int pack(const uint8_t *raw, size_t raw_len, struct buf **ret_buf)
{
	/* stored when LZ4 gains nothing: then it needs no more room than the bytes themselves */
	struct buf *buf = buf_new(TABLE_HEADER + raw_len);
	if (!buf)
		return -ENOMEM;
	uint8_t method = METHOD_LZ4;
	char *to = (char *)buf->data + TABLE_HEADER;
	int packed = LZ4_compress_default((const char *)raw, to, (int)raw_len, (int)raw_len);
	if (packed <= 0) {
		method = METHOD_STORED;
		packed = (int)raw_len;
		memcpy(to, raw, raw_len);
	}
	buf->len = TABLE_HEADER + (size_t)packed;
	struct bytes b = bytes_writer(buf->data, TABLE_HEADER);
	bytes_put_u8(&b, TABLE_LEVEL);
	bytes_put_u8(&b, method);
	bytes_put_u16(&b, 0);
	bytes_put_u32(&b, (uint32_t)raw_len);
	bytes_put_u32(&b, (uint32_t)packed);
	bytes_put_u32(&b, crc32c(crc32c(0, buf->data, TABLE_CRC_AT), to, (size_t)packed));
	*ret_buf = buf;
	return 0;
}

int chunk_table_encode(const struct chunk_table *t, struct buf **ret_buf)
{
	size_t room = 128 + SAMPLE_RAW_MAX * sample_total(t) +
		      FRAGMENT_RAW_MAX * (size_t)t->fragment_count;
	uint8_t *raw = malloc(room);
	if (!raw)
		return -ENOMEM;
	/* the walk puts every number back that it wrote out: the table stays as it is */
	struct chunk_table same = *t;
	struct coder c = {.b = bytes_writer(raw, room)};
	code_counters(&c, &same);
	code_columns(&c, &same);
	int rc = c.b.error ? c.b.error : judge(t);
	if (rc < 0)
		rc = -EINVAL;
	else if (c.b.at > TABLE_RAW_MAX)
		rc = ERR_LIMIT;
	if (rc == 0)
		rc = pack(raw, c.b.at, ret_buf);
	free(raw);
	return rc;
}

/* Gives the raw columns: inside the input when they are stored, else in memory of their own, to be
 * freed by way of *ret_heap. */
static int unpack(const void *data, size_t len, struct bytes *ret_raw, uint8_t **ret_heap)
{
	struct bytes b = bytes_reader(data, len);
	uint8_t level = bytes_get_u8(&b), method = bytes_get_u8(&b);
	uint16_t unused = bytes_get_u16(&b);
	uint32_t raw_len = bytes_get_u32(&b), packed_len = bytes_get_u32(&b),
		 crc = bytes_get_u32(&b);
	if (b.error)
		return b.error;
	if (level != TABLE_LEVEL)
		return ERR_VERSION;
	const uint8_t *packed = bytes_get_view(&b, packed_len);
	if (b.error)
		return b.error;
	if (crc32c(crc32c(0, data, TABLE_CRC_AT), packed, packed_len) != crc)
		return ERR_CHECKSUM;
	if (raw_len > TABLE_RAW_MAX)
		return ERR_LIMIT;
	if (bytes_left(&b) || unused || method > METHOD_LZ4)
		return ERR_FORMAT;
	if (method == METHOD_STORED) {
		*ret_raw = bytes_reader(packed, packed_len);
		return raw_len == packed_len ? 0 : ERR_FORMAT;
	}
	/* LZ4 cannot gain more than 255 to 1: do not allocate for what cannot come */
	if (raw_len / 255 > packed_len)
		return ERR_FORMAT;
	uint8_t *raw = malloc(raw_len ? raw_len : 1);
	if (!raw)
		return -ENOMEM;
	if (LZ4_decompress_safe((const char *)packed, (char *)raw, (int)packed_len, (int)raw_len) !=
		(int)raw_len) {
		free(raw);
		return ERR_FORMAT;
	}
	*ret_raw = bytes_reader(raw, raw_len);
	*ret_heap = raw;
	return 0;
}

/* Allocates for the counts read, which the bytes that are left must be able to fill. */
static int make_room(struct chunk_table *t, const struct bytes *raw)
{
	size_t samples = sample_total(t);
	if (samples > TABLE_SAMPLES_MAX)
		return ERR_LIMIT;
	if (SAMPLE_RAW_MIN * samples + FRAGMENT_RAW_MIN * (size_t)t->fragment_count >
		bytes_left(raw))
		return ERR_FORMAT;
	if (t->fragment_count &&
		!(t->fragments = calloc(t->fragment_count, sizeof(t->fragments[0]))))
		return -ENOMEM;
	t->fragment_room = t->fragment_count;
	for (size_t i = 0; i < t->track_count; i++) {
		struct table_track *track = &t->tracks[i];
		if (track->sample_count &&
			!(track->samples = calloc(track->sample_count, sizeof(track->samples[0]))))
			return -ENOMEM;
		track->sample_room = track->sample_count;
	}
	return 0;
}

int chunk_table_decode(struct chunk_table *t, const void *data, size_t len)
{
	struct coder c = {.decoding = true};
	struct chunk_table read = {0};
	uint8_t *heap = NULL;
	int rc = unpack(data, len, &c.b, &heap);
	if (rc < 0)
		return rc;
	code_counters(&c, &read);
	rc = c.b.error;
	if (rc == 0)
		rc = make_room(&read, &c.b);
	if (rc < 0)
		goto fail;
	code_columns(&c, &read);
	rc = c.b.error;
	if (rc == 0)
		rc = bytes_left(&c.b) ? ERR_FORMAT : judge(&read);
	if (rc < 0)
		goto fail;
	free(heap);
	*t = read;
	return 0;
fail:
	free(heap);
	chunk_table_fini(&read);
	return rc == ERR_TRUNCATED ? ERR_FORMAT : rc; /* the frame was whole */
}
