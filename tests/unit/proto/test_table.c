/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/table.h"

#include <errno.h>
#include <lz4.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"

#define SAMPLES 25

static const struct bmff_init init = {
	.track_count = 2, .tracks = {{.id = 1, .timescale = 90000}, {.id = 2, .timescale = 8000}}};

/* A fragment as bmff_fragment_build lays it out: a second of video with B-frames, and audio. */
static void make(uint64_t seq, struct fragment_header *h, struct bmff_run runs[2],
	struct bmff_sample samples[2 * SAMPLES])
{
	static const int32_t pattern[3] = {7200, 0, 3600};
	uint32_t video = 0;
	for (uint32_t i = 0; i < SAMPLES; i++) {
		samples[i] =
			(struct bmff_sample){.size = 900 + (uint32_t)(seq * 131 + i * 977) % 4000,
				.duration = 3600,
				.cts_offset = pattern[i % 3],
				.sync = i == 0};
		video += samples[i].size;
		samples[SAMPLES + i] =
			(struct bmff_sample){.size = 320, .duration = 320, .sync = true};
	}
	uint32_t start = 24 + 2 * 64 + 2 * SAMPLES * 16 + 8;
	runs[0] = (struct bmff_run){.track_id = 1,
		.decode_time = (seq - 1) * 90000,
		.sample_count = SAMPLES,
		.samples = samples,
		.data_offset = start};
	runs[1] = (struct bmff_run){.track_id = 2,
		.decode_time = (seq - 1) * 8000,
		.sample_count = SAMPLES,
		.samples = samples + SAMPLES,
		.data_offset = start + video};
	*h = (struct fragment_header){.track_count = 2,
		.clock_source = CLOCK_RTCP,
		.flags = FRAGMENT_SYNC,
		.session = 0x1122334455667788,
		.seq = seq,
		.capture = {INT64_C(1795470000000000) + (int64_t)seq * US_PER_SECOND},
		.duration_us = 1000000,
		.clock_error_us = 5000,
		.body_len = start + video + SAMPLES * 320,
		.prefix_len = start + samples[0].size,
		.tfdt_offset = {60, 500}};
	memset(h->prefix_digest, (int)seq, DIGEST_SIZE);
}

static void fill(struct chunk_table *t, uint32_t fragments)
{
	chunk_table_init(t, &init);
	uint32_t offset = 1000;
	for (uint32_t seq = 1; seq <= fragments; seq++) {
		struct fragment_header h;
		struct bmff_run runs[2];
		struct bmff_sample samples[2 * SAMPLES];
		make(seq, &h, runs, samples);
		offset += 184;
		assert_int_equal(chunk_table_add(t, &h, offset, runs, seq % 5 ? 2 : 1), 0);
		t->fragments[seq - 1].gap_cause = seq % 9 == 8 ? 3 : 0;
		offset += h.body_len + (seq % 3 ? 0 : 16);
	}
}

static void assert_fragments_equal(const struct table_fragment *a, const struct table_fragment *b)
{
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->body_len, b->body_len);
	assert_int_equal(a->prefix_len, b->prefix_len);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->clock_source, b->clock_source);
	assert_int_equal(a->clock_error_us, b->clock_error_us);
	assert_int_equal(a->gap_cause, b->gap_cause);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->capture.us, b->capture.us);
	assert_int_equal(a->duration_us, b->duration_us);
	assert_memory_equal(a->digest, b->digest, DIGEST_SIZE);
	for (size_t k = 0; k < FRAGMENT_TRACKS_MAX; k++) {
		assert_int_equal(a->run[k].decode_time, b->run[k].decode_time);
		assert_int_equal(a->run[k].first_sample, b->run[k].first_sample);
		assert_int_equal(a->run[k].sample_count, b->run[k].sample_count);
		assert_int_equal(a->run[k].data_offset, b->run[k].data_offset);
	}
}

static void assert_equal(const struct chunk_table *a, const struct chunk_table *b)
{
	assert_int_equal(a->session, b->session);
	assert_int_equal(a->track_count, b->track_count);
	assert_int_equal(a->fragment_count, b->fragment_count);
	for (uint32_t i = 0; i < a->fragment_count; i++)
		assert_fragments_equal(&a->fragments[i], &b->fragments[i]);
	for (size_t k = 0; k < a->track_count; k++) {
		assert_int_equal(a->tracks[k].timescale, b->tracks[k].timescale);
		assert_int_equal(a->tracks[k].sample_count, b->tracks[k].sample_count);
		for (uint32_t i = 0; i < a->tracks[k].sample_count; i++) {
			const struct bmff_sample *x = &a->tracks[k].samples[i],
						 *y = &b->tracks[k].samples[i];
			assert_int_equal(x->size, y->size);
			assert_int_equal(x->duration, y->duration);
			assert_int_equal(x->cts_offset, y->cts_offset);
			assert_int_equal(x->sync, y->sync);
		}
	}
}

static void round_trip(void **state)
{
	(void)state;
	for (uint32_t fragments = 0; fragments <= 70; fragments += 7) {
		struct chunk_table t, decoded = {0};
		struct buf *buf;
		fill(&t, fragments);
		assert_int_equal(chunk_table_encode(&t, &buf), 0);
		assert_int_equal(chunk_table_decode(&decoded, buf->data, buf->len), 0);
		assert_equal(&t, &decoded);
		/* a table that was read goes on being written */
		struct fragment_header h;
		struct bmff_run runs[2];
		struct bmff_sample samples[2 * SAMPLES];
		make(fragments + 1, &h, runs, samples);
		assert_int_equal(chunk_table_add(&decoded, &h, 400000000, runs, 2), 0);
		assert_true(chunk_table_memory(&decoded) > 0);
		buf_unref(&buf);
		chunk_table_fini(&t);
		chunk_table_fini(&t);
		chunk_table_fini(&decoded);
	}
}

/* The columns are always the same; what LZ4 makes of them is the library's, but what it once made
 * must stay readable. */
static void as_ever(void **state)
{
	(void)state;
	struct chunk_table t, decoded = {0};
	struct buf *buf;
	fill(&t, 10);
	assert_int_equal(chunk_table_encode(&t, &buf), 0);
	uint8_t columns[4096], packed[4096];
	int len = LZ4_decompress_safe(
		(const char *)buf->data + 16, (char *)columns, (int)buf->len - 16, sizeof(columns));
	assert_true(len > 0);
	golden_check("table-columns-1", columns, (size_t)len);
	if (getenv("STEPPE_GOLDEN_WRITE"))
		golden_check("table-1", buf->data, buf->len);
	size_t packed_len = golden_read("table-1", packed, sizeof(packed));
	assert_int_equal(chunk_table_decode(&decoded, packed, packed_len), 0);
	assert_equal(&t, &decoded);
	buf_unref(&buf);
	chunk_table_fini(&t);
	chunk_table_fini(&decoded);
}

static void a_husk_has_no_tracks(void **state)
{
	(void)state;
	struct chunk_table t = {0}, decoded = {0};
	struct buf *buf;
	assert_int_equal(chunk_table_encode(&t, &buf), 0);
	assert_int_equal(chunk_table_decode(&decoded, buf->data, buf->len), 0);
	assert_int_equal(decoded.track_count, 0);
	buf_unref(&buf);
}

static void extremes_survive(void **state)
{
	(void)state;
	struct chunk_table t, decoded = {0};
	struct bmff_sample samples[4] = {
		{.size = FRAGMENT_BODY_MAX - 200, .duration = UINT32_MAX, .cts_offset = INT32_MIN},
		{.size = 0, .duration = 0, .cts_offset = INT32_MAX, .sync = true},
		{.size = 0, .duration = UINT32_MAX, .cts_offset = INT32_MIN},
		{.size = 200, .duration = 1, .cts_offset = 0},
	};
	struct bmff_run run = {.track_id = 1,
		.decode_time = UINT64_C(1) << 62,
		.sample_count = 4,
		.samples = samples};
	struct fragment_header h = {.flags = 0x3f,
		.clock_source = CLOCK_RECORDER_NTP,
		.session = UINT64_MAX,
		.seq = UINT64_MAX,
		.capture = {WALL_MAX_US - 60000000},
		.duration_us = 60000000,
		.clock_error_us = UINT32_MAX,
		.body_len = FRAGMENT_BODY_MAX,
		.prefix_len = FRAGMENT_BODY_MAX};
	chunk_table_init(&t, &init);
	assert_int_equal(chunk_table_add(&t, &h, UINT32_MAX - FRAGMENT_BODY_MAX, &run, 1), 0);
	struct buf *buf;
	assert_int_equal(chunk_table_encode(&t, &buf), 0);
	assert_int_equal(chunk_table_decode(&decoded, buf->data, buf->len), 0);
	assert_equal(&t, &decoded);
	buf_unref(&buf);
	chunk_table_fini(&t);
	chunk_table_fini(&decoded);
}

static void add_refuses(void **state)
{
	(void)state;
	struct chunk_table t;
	fill(&t, 3);
	struct fragment_header h;
	struct bmff_run runs[2];
	struct bmff_sample samples[2 * SAMPLES];
	make(4, &h, runs, samples);
	const uint32_t behind = 3000000;
	runs[1].track_id = 3;
	assert_int_equal(chunk_table_add(&t, &h, behind, runs, 2), -EINVAL);
	runs[1].track_id = 0;
	assert_int_equal(chunk_table_add(&t, &h, behind, runs, 2), -EINVAL);
	runs[1].track_id = 2;
	assert_int_equal(chunk_table_add(&t, &h, 2000, runs, 2), -EINVAL);
	assert_int_equal(chunk_table_add(&t, &h, UINT32_MAX - 100, runs, 2), ERR_LIMIT);
	h.seq = 3;
	assert_int_equal(chunk_table_add(&t, &h, behind, runs, 2), -EINVAL);
	h.seq = 4, h.session++;
	assert_int_equal(chunk_table_add(&t, &h, behind, runs, 2), -EINVAL);
	h.session--;
	runs[0].sample_count = TABLE_SAMPLES_MAX;
	assert_int_equal(chunk_table_add(&t, &h, behind, runs, 2), ERR_LIMIT);
	assert_int_equal(t.fragment_count, 3);
	assert_int_equal(t.tracks[0].sample_count, 3 * SAMPLES);
	chunk_table_fini(&t);
}

static void encoding_refuses_what_decoding_would(void **state)
{
	(void)state;
	struct chunk_table t;
	struct buf *buf = NULL;
	fill(&t, 3);
	t.fragments[1].run[0].data_offset = t.fragments[1].body_len;
	assert_int_equal(chunk_table_encode(&t, &buf), -EINVAL);
	chunk_table_fini(&t);
	fill(&t, 3);
	t.fragments[1].run[0].sample_count = 4000;
	assert_int_equal(chunk_table_encode(&t, &buf), -EINVAL);
	assert_int_equal(t.fragments[1].run[0].sample_count, 4000);
	chunk_table_fini(&t);
	fill(&t, 3);
	t.tracks[1].timescale = 0;
	assert_int_equal(chunk_table_encode(&t, &buf), -EINVAL);
	chunk_table_fini(&t);
	assert_null(buf);
}

static void any_changed_bit_shows(void **state)
{
	(void)state;
	struct chunk_table t, decoded = {0};
	struct buf *buf;
	fill(&t, 2);
	assert_int_equal(chunk_table_encode(&t, &buf), 0);
	for (size_t bit = 0; bit < 8 * buf->len; bit++) {
		buf->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(chunk_table_decode(&decoded, buf->data, buf->len) < 0);
		buf->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < buf->len; len++)
		assert_int_equal(chunk_table_decode(&decoded, buf->data, len), ERR_TRUNCATED);
	assert_null(decoded.fragments);
	buf_unref(&buf);
	chunk_table_fini(&t);
}

/* Wraps raw columns as a stored table with a right checksum. */
static int decode_raw(const uint8_t *raw, size_t len)
{
	uint8_t framed[16 + 256];
	assert_true(len <= 256);
	struct bytes b = bytes_writer(framed, sizeof(framed));
	bytes_put_u32(&b, 0x01000000);
	bytes_put_u32(&b, (uint32_t)len);
	bytes_put_u32(&b, (uint32_t)len);
	bytes_put_u32(&b, crc32c(crc32c(0, framed, 12), raw, len));
	bytes_put(&b, raw, len);
	struct chunk_table t = {0};
	int rc = chunk_table_decode(&t, framed, b.at);
	chunk_table_fini(&t);
	return rc;
}

static void malformed_columns_are_refused(void **state)
{
	(void)state;
	static const uint8_t empty[] = {0, 0, 0}, trailing[] = {0, 0, 0, 0},
			     no_session[] = {0, 1, 1, 8, 0, 0}, session_alone[] = {1, 0, 0},
			     five_tracks[] = {0, 5, 0}, no_timescale[] = {0, 1, 0, 0, 0},
			     samples_alone[] = {0, 1, 0, 8, 1, 5, 0, 0, 1},
			     too_many_samples[] = {0, 1, 0, 8, 0x80, 0x80, 0x80, 0x02},
			     samples_past_limit[] = {0, 1, 0, 8, 0x81, 0x80, 0x80, 0x02};
	assert_int_equal(decode_raw(empty, sizeof(empty)), 0);
	assert_int_equal(decode_raw(empty, 2), ERR_FORMAT);
	assert_int_equal(decode_raw(trailing, sizeof(trailing)), ERR_FORMAT);
	assert_int_equal(decode_raw(no_session, sizeof(no_session)), ERR_FORMAT);
	assert_int_equal(decode_raw(session_alone, sizeof(session_alone)), ERR_FORMAT);
	assert_int_equal(decode_raw(five_tracks, sizeof(five_tracks)), ERR_FORMAT);
	assert_int_equal(decode_raw(no_timescale, sizeof(no_timescale)), ERR_FORMAT);
	assert_int_equal(decode_raw(samples_alone, sizeof(samples_alone)), ERR_FORMAT);
	assert_int_equal(decode_raw(too_many_samples, sizeof(too_many_samples)), ERR_FORMAT);
	assert_int_equal(decode_raw(samples_past_limit, sizeof(samples_past_limit)), ERR_FORMAT);
}

static void whole_life(void *user)
{
	(void)user;
	struct chunk_table t, decoded = {0};
	struct buf *buf = NULL;
	struct fragment_header h;
	struct bmff_run runs[2];
	struct bmff_sample samples[2 * SAMPLES];
	chunk_table_init(&t, &init);
	int rc = 0;
	for (uint32_t seq = 1; rc == 0 && seq <= 20; seq++) {
		make(seq, &h, runs, samples);
		rc = chunk_table_add(&t, &h, seq * 200000, runs, 2);
	}
	if (rc == 0)
		rc = chunk_table_encode(&t, &buf);
	if (rc == 0)
		rc = chunk_table_decode(&decoded, buf->data, buf->len);
	assert_true(rc == 0 || rc == -ENOMEM);
	/* a failed step changes nothing: what there is can still be encoded */
	if (t.fragment_count)
		assert_int_equal(t.tracks[0].sample_count, t.fragment_count * SAMPLES);
	buf_unref(&buf);
	chunk_table_fini(&t);
	chunk_table_fini(&decoded);
}

static void memory_may_run_out(void **state)
{
	(void)state;
	alloc_fail_sweep(whole_life, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(as_ever),
		cmocka_unit_test(a_husk_has_no_tracks),
		cmocka_unit_test(extremes_survive),
		cmocka_unit_test(add_refuses),
		cmocka_unit_test(encoding_refuses_what_decoding_would),
		cmocka_unit_test(any_changed_bit_shows),
		cmocka_unit_test(malformed_columns_are_refused),
		cmocka_unit_test(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
