/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments as others may build them: box by box, right and wrong. */
#include "proto/bmff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"

#define ROOM 16

/* A body in the making; `moof` and `traf` are left open until they are closed. */
struct made {
	uint8_t space[1024];
	struct bytes b;
	size_t moof, traf;
};

enum { BASE_IS_MOOF = 0x020000, ONE_TRUN = 0x000201 }; /* trun: data offset and sizes */

static void begin(struct made *m, bool with_prft)
{
	m->b = bytes_writer(m->space, sizeof(m->space));
	if (with_prft) {
		size_t prft = bmff_full_box_begin(&m->b, BMFF_FOURCC('p', 'r', 'f', 't'), 1, 0);
		bytes_put_zero(&m->b, 20);
		bmff_box_end(&m->b, prft);
	}
	m->moof = bmff_box_begin(&m->b, BMFF_FOURCC('m', 'o', 'o', 'f'));
}

static void put_traf(struct made *m, uint32_t track, uint32_t tfhd_flags)
{
	m->traf = bmff_box_begin(&m->b, BMFF_FOURCC('t', 'r', 'a', 'f'));
	size_t tfhd = bmff_full_box_begin(&m->b, BMFF_FOURCC('t', 'f', 'h', 'd'), 0, tfhd_flags);
	bytes_put_u32(&m->b, track);
	if (tfhd_flags & 0x08)
		bytes_put_u32(&m->b, 512);
	if (tfhd_flags & 0x10)
		bytes_put_u32(&m->b, 4);
	if (tfhd_flags & 0x20)
		bytes_put_u32(&m->b, 0x010000);
	bmff_box_end(&m->b, tfhd);
}

static void put_tfdt(struct made *m, uint8_t version, uint64_t time)
{
	size_t tfdt = bmff_full_box_begin(&m->b, BMFF_FOURCC('t', 'f', 'd', 't'), version, 0);
	if (version)
		bytes_put_u64(&m->b, time);
	else
		bytes_put_u32(&m->b, (uint32_t)time);
	bmff_box_end(&m->b, tfdt);
}

/* `words` follow version and flags. */
static void put_trun(
	struct made *m, uint32_t version_and_flags, const uint32_t *words, size_t count)
{
	size_t trun = bmff_box_begin(&m->b, BMFF_FOURCC('t', 'r', 'u', 'n'));
	bytes_put_u32(&m->b, version_and_flags);
	for (size_t i = 0; i < count; i++)
		bytes_put_u32(&m->b, words[i]);
	bmff_box_end(&m->b, trun);
}
#define TRUN(m, flags, ...)                                                                        \
	put_trun(m, flags, (const uint32_t[]){__VA_ARGS__},                                        \
		ARRAY_LEN(((const uint32_t[]){__VA_ARGS__})))

static void end_traf(struct made *m)
{
	bmff_box_end(&m->b, m->traf);
}

/* Closes moof, adds an mdat with `media` bytes, and reads it all. Data offsets are from moof. */
static int finish(struct made *m, uint32_t media, struct bmff_fragment *f)
{
	bmff_box_end(&m->b, m->moof);
	size_t mdat = bmff_box_begin(&m->b, BMFF_FOURCC('m', 'd', 'a', 't'));
	bytes_put_zero(&m->b, media);
	bmff_box_end(&m->b, mdat);
	assert_int_equal(m->b.error, 0);
	return bmff_fragment_read(f, m->space, m->b.at, (uint32_t)m->b.at);
}

static struct bmff_sample read_samples[ROOM];
#define FRAGMENT                                                                                   \
	{                                                                                          \
		.samples = read_samples, .sample_room = ROOM                                       \
	}

/* One track, one trun, 2 samples of 4 bytes: moof is 8 + 24 + 20 + 28 + (traf's) 8 bytes. */
enum { SIMPLE_MOOF = 8 + 8 + 16 + 20 + 28, SIMPLE_DATA = SIMPLE_MOOF + 8 };

static void a_simple_one(void **state)
{
	(void)state;
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	begin(&m, false);
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, 100);
	TRUN(&m, ONE_TRUN, 2, SIMPLE_DATA, 4, 4);
	end_traf(&m);
	assert_int_equal(finish(&m, 8, &f), 0);
	assert_int_equal(f.run_count, 1);
	assert_int_equal(f.runs[0].data_offset, SIMPLE_DATA);
	assert_true(f.runs[0].samples[1].sync); /* no flags at all: as trex says, which is zero */
	/* only moof need be at hand, with or without mdat's header */
	for (size_t len = 0; len <= m.b.at; len++)
		assert_int_equal(bmff_fragment_read(&f, m.space, len, (uint32_t)m.b.at),
			len < SIMPLE_MOOF ? ERR_TRUNCATED : 0);
	f.sample_room = 1;
	assert_int_equal(bmff_fragment_read(&f, m.space, m.b.at, (uint32_t)m.b.at), ERR_LIMIT);
}

static void a_clock_box_before_moof(void **state)
{
	(void)state;
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	begin(&m, true);
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, 100);
	TRUN(&m, ONE_TRUN, 2, SIMPLE_DATA, 4, 4);
	end_traf(&m);
	assert_int_equal(finish(&m, 8, &f), 0);
	assert_int_equal(f.runs[0].data_offset, 32 + SIMPLE_DATA);
	assert_int_equal(f.runs[0].tfdt_offset, 32 + 8 + 8 + 16 + 12);
}

static void defaults_of_the_track_fragment(void **state)
{
	(void)state;
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	begin(&m, false);
	put_traf(&m, 2, BASE_IS_MOOF | 0x38);
	put_tfdt(&m, 0, 7);
	TRUN(&m, 0x000005, 3, 8 + 8 + 28 + 16 + 24 + 8,
		0); /* data offset, the first sample's flags */
	end_traf(&m);
	assert_int_equal(finish(&m, 12, &f), 0);
	assert_int_equal(f.runs[0].sample_count, 3);
	assert_int_equal(f.runs[0].tfdt_offset, 0);
	assert_int_equal(f.runs[0].decode_time, 7);
	assert_true(f.runs[0].samples[0].sync);
	assert_false(f.runs[0].samples[1].sync);
	assert_int_equal(f.runs[0].samples[2].duration, 512);
	assert_int_equal(f.runs[0].samples[2].size, 4);
}

static void defaults_of_the_init_segment(void **state)
{
	(void)state;
	struct made m;
	const struct bmff_init init = {.track_count = 1,
		.tracks = {{.default_duration = 40, .default_size = 3, .default_flags = 0x010000}}};
	struct bmff_fragment f = {.init = &init, .samples = read_samples, .sample_room = ROOM};
	begin(&m, false);
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, 7);
	TRUN(&m, 0x000001, 2, 8 + 8 + 16 + 20 + 20 + 8);
	end_traf(&m);
	assert_int_equal(finish(&m, 6, &f), 0);
	assert_int_equal(f.runs[0].samples[1].duration, 40);
	assert_int_equal(f.runs[0].samples[1].size, 3);
	assert_false(f.runs[0].samples[0].sync);

	begin(&m, false); /* a track that the init segment lacks */
	put_traf(&m, 2, BASE_IS_MOOF);
	put_tfdt(&m, 1, 7);
	TRUN(&m, ONE_TRUN, 2, SIMPLE_DATA, 4, 4);
	end_traf(&m);
	assert_int_equal(finish(&m, 8, &f), ERR_FORMAT);
}

static void a_run_in_touching_pieces_is_one(void **state)
{
	(void)state;
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	const uint32_t data = 8 + 8 + 16 + 20 + 24 + 20 + 24 + 8;
	for (uint32_t gap = 0; gap <= 1; gap++) {
		begin(&m, false);
		put_traf(&m, 1, BASE_IS_MOOF);
		put_tfdt(&m, 1, 7);
		TRUN(&m, ONE_TRUN, 1, data, 4);
		TRUN(&m, 0x000200, 1, 5); /* goes on where the first ended */
		TRUN(&m, ONE_TRUN, 1, data + 9 + gap, 1);
		end_traf(&m);
		assert_int_equal(finish(&m, 12, &f), gap ? ERR_FORMAT : 0);
	}
	begin(&m, false);
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, 7);
	TRUN(&m, ONE_TRUN, 1, data, 4);
	TRUN(&m, 0x000200, 1, 5);
	TRUN(&m, ONE_TRUN, 1, data + 9, 1);
	end_traf(&m);
	assert_int_equal(finish(&m, 10, &f), 0);
	assert_int_equal(f.runs[0].sample_count, 3);
}

static void a_track_without_samples(void **state)
{
	(void)state;
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	begin(&m, false);
	put_traf(&m, 2, BASE_IS_MOOF);
	put_tfdt(&m, 1, 7);
	end_traf(&m);
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, 7);
	TRUN(&m, ONE_TRUN, 1, SIMPLE_DATA + 8 + 16 + 20 - 4, 4);
	end_traf(&m);
	assert_int_equal(finish(&m, 4, &f), 0);
	assert_int_equal(f.run_count, 2);
	assert_int_equal(f.runs[0].sample_count, 0);
	assert_int_equal(f.runs[1].sample_count, 1);
}

/* One traf with a tfdt and a trun of these words; what reading says. */
static int read_one(uint32_t track, uint32_t tfhd_flags, uint32_t trun_flags, const uint32_t *words,
	size_t count)
{
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	begin(&m, false);
	put_traf(&m, track, tfhd_flags);
	put_tfdt(&m, 1, 7);
	put_trun(&m, trun_flags, words, count);
	end_traf(&m);
	return finish(&m, 8, &f);
}
#define READ_ONE(track, tfhd_flags, trun_flags, ...)                                               \
	read_one(track, tfhd_flags, trun_flags, (const uint32_t[]){__VA_ARGS__},                   \
		ARRAY_LEN(((const uint32_t[]){__VA_ARGS__})))

static void bodies_that_cannot_be_kept_are_refused(void **state)
{
	(void)state;
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, SIMPLE_DATA, 4, 4), 0);
	assert_int_equal(READ_ONE(0, BASE_IS_MOOF, ONE_TRUN, 2, SIMPLE_DATA, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(5, BASE_IS_MOOF, ONE_TRUN, 2, SIMPLE_DATA, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(1, 0, ONE_TRUN, 2, SIMPLE_DATA, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF | 1, ONE_TRUN, 2, SIMPLE_DATA, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, 0x02000201, 2, SIMPLE_DATA, 4, 4),
		ERR_FORMAT); /* version 2 */
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, SIMPLE_DATA, 4, 5),
		ERR_FORMAT); /* past the end */
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, SIMPLE_DATA - 1, 4, 4),
		ERR_FORMAT); /* in mdat's header */
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, 0, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, 0x80000000, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, 0x7fffffff, 4, 4), ERR_FORMAT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, 0x000200, 2, 4, 4),
		ERR_FORMAT); /* where the data is, is not said */
	assert_int_equal(
		READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 2, SIMPLE_DATA, UINT32_MAX, UINT32_MAX),
		ERR_FORMAT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 3, SIMPLE_DATA, 4, 4),
		ERR_FORMAT); /* a sample short */
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, 1, SIMPLE_DATA, 4, 4),
		ERR_FORMAT); /* a sample too many */
	assert_int_equal(
		READ_ONE(1, BASE_IS_MOOF, ONE_TRUN, UINT32_MAX, SIMPLE_DATA, 4, 4), ERR_LIMIT);
	assert_int_equal(READ_ONE(1, BASE_IS_MOOF, 0x000801, 1, SIMPLE_DATA, 0x80000000),
		ERR_FORMAT); /* unsigned, too large */
	assert_int_equal(
		READ_ONE(1, BASE_IS_MOOF, 0x01000801, 1, SIMPLE_DATA, 0x80000000), 0); /* signed */
}

static void tracks_must_keep_apart(void **state)
{
	(void)state;
	const uint32_t data = 8 + 2 * (8 + 16 + 20 + 24) + 8;
	static const struct {
		uint32_t second_track, second_offset;
		int expected;
	} cases[] = {{2, 4, 0}, {2, 0, ERR_FORMAT}, {2, 3, ERR_FORMAT}, {1, 4, ERR_FORMAT}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct made m;
		struct bmff_fragment f = FRAGMENT;
		begin(&m, false);
		put_traf(&m, 1, BASE_IS_MOOF);
		put_tfdt(&m, 1, 7);
		TRUN(&m, ONE_TRUN, 1, data, 4);
		end_traf(&m);
		put_traf(&m, cases[i].second_track, BASE_IS_MOOF);
		put_tfdt(&m, 1, 7);
		TRUN(&m, ONE_TRUN, 1, data + cases[i].second_offset, 4);
		end_traf(&m);
		assert_int_equal(finish(&m, 8, &f), cases[i].expected);
	}
}

static void boxes_must_be_there_once(void **state)
{
	(void)state;
	struct made m;
	struct bmff_fragment f = FRAGMENT;
	begin(&m, false); /* no traf */
	assert_int_equal(finish(&m, 0, &f), ERR_FORMAT);
	begin(&m, false); /* no tfdt */
	put_traf(&m, 1, BASE_IS_MOOF);
	end_traf(&m);
	assert_int_equal(finish(&m, 0, &f), ERR_FORMAT);
	begin(&m, false); /* two tfdt */
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, 7);
	put_tfdt(&m, 1, 7);
	end_traf(&m);
	assert_int_equal(finish(&m, 0, &f), ERR_FORMAT);
	begin(&m, false); /* time beyond sense */
	put_traf(&m, 1, BASE_IS_MOOF);
	put_tfdt(&m, 1, (UINT64_C(1) << 62) + 1);
	end_traf(&m);
	assert_int_equal(finish(&m, 0, &f), ERR_FORMAT);
	begin(&m, false); /* five tracks */
	for (uint32_t i = 1; i <= 5; i++) {
		put_traf(&m, i > 4 ? 1 : i, BASE_IS_MOOF);
		put_tfdt(&m, 1, 7);
		end_traf(&m);
	}
	assert_int_equal(finish(&m, 0, &f), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_simple_one),
		cmocka_unit_test(a_clock_box_before_moof),
		cmocka_unit_test(defaults_of_the_track_fragment),
		cmocka_unit_test(defaults_of_the_init_segment),
		cmocka_unit_test(a_run_in_touching_pieces_is_one),
		cmocka_unit_test(a_track_without_samples),
		cmocka_unit_test(bodies_that_cannot_be_kept_are_refused),
		cmocka_unit_test(tracks_must_keep_apart),
		cmocka_unit_test(boxes_must_be_there_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
