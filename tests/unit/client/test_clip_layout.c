/* SPDX-License-Identifier: Apache-2.0 */
/* Clips judged by ffmpeg: the pictures of the window and no others, unchanged, at their times from
 * 0. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/unit/client/film.h"

static struct film_archive archive;
static struct film_rows whole; /* of the film that lies in pieces */

/* Lays a film into chunks of so many fragments. */
static void lay(const char *path, unsigned chunk_fragments, int64_t start_us)
{
	struct film film;
	struct fragmenter f;
	film_read(&film, path, start_us);
	assert_int_equal(fragmenter_init(&f, film.tracks, film.track_count), 0);
	archive.chunk_fragments = chunk_fragments;
	for (size_t i = 0; i < film.count; i++) {
		assert_int_equal(
			fragmenter_write(&f, &film.samples[i], (struct wall){start_us}), 0);
		film_store_made(&archive, &f);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	film_store_made(&archive, &f);
	fragmenter_fini(&f);
	film_free(&film);
}

static int tear_down(void **state)
{
	(void)state;
	film_archive_free(&archive);
	archive = (struct film_archive){0};
	return 0;
}

static int clean(void **state)
{
	(void)state;
	film_clean();
	free(whole.rows);
	return 0;
}

/* The window [from, to), microseconds of the film, against the source's own rows. */
static void check(const struct film_rows *source, int64_t from_us, int64_t to_us)
{
	struct clip_window w = {.from_us = FILM_START_US + from_us, .to_us = FILM_START_US + to_us};
	struct clip_layout layout = {0};
	size_t first = 0, end = 0;
	while (first < source->count && source->rows[first].pts_us < from_us)
		first++;
	for (end = first; end < source->count && source->rows[end].pts_us < to_us; end++)
		;
	int rc = film_layout(&archive, &w, &layout);
	if (first == end) {
		assert_int_equal(rc, -ENODATA);
		return;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(layout.file_count, 1);
	assert_int_equal(layout.frames, end - first);
	film_write(&archive, &layout, "window");
	char path[256];
	snprintf(path, sizeof(path), "%s/window.0.mp4", film_folder());
	struct film_rows got = film_judge(path, 'v');
	if (got.count != end - first)
		fail_msg("[%lld, %lld): %zu pictures, %zu in the source", (long long)from_us,
			(long long)to_us, got.count, end - first);
	for (size_t i = 0; i < got.count; i++) {
		int64_t wanted = source->rows[first + i].pts_us - source->rows[first].pts_us;
		if (strcmp(got.rows[i].md5, source->rows[first + i].md5) != 0 ||
			llabs(got.rows[i].pts_us - wanted) > 1)
			fail_msg("[%lld, %lld): picture %zu at %lld instead of %lld",
				(long long)from_us, (long long)to_us, i,
				(long long)got.rows[i].pts_us, (long long)wanted);
	}
	free(got.rows);
	clip_layout_fini(&layout);
}

/* Windows of all kinds: whole, over chunk borders, inside a group of pictures, one picture, at the
 * edges. */
static void check_windows(const char *path)
{
	struct film_rows source = film_judge(path, 'v');
	int64_t end = source.rows[source.count - 1].pts_us + 1000000;
	check(&source, 0, end);
	check(&source, -5000000, 2 * end);
	static const int64_t windows[][2] = {{1230000, 7770000}, {999999, 1000001},
		{3000000, 3000001}, {2999999, 6100000}, {50000, 150000}, {5050000, 5060000},
		{7900000, 8100000}, {4444444, 11111111}};
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		check(&source, windows[i][0], windows[i][1]);
	for (size_t i = 5; i + 3 < source.count; i += source.count / 9)
		check(&source, source.rows[i].pts_us, source.rows[i + 3].pts_us);
	free(source.rows);
}

static void test_as_cameras_encode(void **state)
{
	(void)state;
	const char *path = film_make("street-h264.mp4", "-t 12 -c copy", "plain.mp4");
	lay(path, 7, FILM_START_US);
	check_windows(path);
}

static void test_b_pictures(void **state)
{
	(void)state;
	const char *path = film_make("street-h264.mp4",
		"-t 12 -vf fps=25 -c:v libx264 -preset veryfast -bf 3 -g 40 -x264-params "
		"b-pyramid=normal:open-gop=0",
		"b.mp4");
	lay(path, 5, FILM_START_US);
	check_windows(path);
}

static void test_open_groups_of_h265(void **state)
{
	(void)state;
	const char *path = film_make("street-h265.mp4",
		"-t 12 -vf fps=25 -c:v libx265 -preset ultrafast -x265-params "
		"log-level=error:bframes=4:keyint=30:open-gop=1 -tag:v hvc1",
		"open.mp4");
	lay(path, 4, FILM_START_US);
	check_windows(path);
}

static void test_uneven_times_and_a_long_group(void **state)
{
	(void)state;
	const char *path = film_make("street-h264.mp4",
		"-t 12 -vf 'fps=30000/1001' -c:v libx264 -preset veryfast -bf 2 -g 1000 "
		"-keyint_min 1000 -sc_threshold 0 -video_track_timescale 90000",
		"long.mp4");
	lay(path, 3, FILM_START_US);
	check_windows(path);
}

/* --- films in pieces --- */

static const char *pieces_path;

/* The footage in pieces: seconds [from, to) of the film recorded `late_us` later, by a session of
 * its own. */
static void lay_piece(int64_t from_us, int64_t to_us, int64_t late_us, uint64_t session)
{
	struct film film;
	struct fragmenter f;
	film_read(&film, pieces_path, FILM_START_US + late_us);
	assert_int_equal(fragmenter_init(&f, film.tracks, film.track_count), 0);
	archive.session = session;
	archive.seq = 0;
	film_cut(&archive);
	for (size_t i = 0; i < film.count; i++) {
		struct steppe_sample *s = &film.samples[i];
		int64_t us =
			(int64_t)((__int128)s->dts * 1000000 / film.tracks[s->track].timescale);
		if (us >= from_us && us < to_us)
			assert_int_equal(fragmenter_write(&f, s, (struct wall){FILM_START_US}), 0);
		film_store_made(&archive, &f);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	film_store_made(&archive, &f);
	fragmenter_fini(&f);
	film_free(&film);
}

struct expected_row {
	int64_t source_us; /* of the picture in the film */
	int64_t pts_us;    /* in the clip */
};

static void check_rows(unsigned file, const struct expected_row *rows, size_t count)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/window.%u.mp4", film_folder(), file);
	struct film_rows got = film_judge(path, 'v');
	if (got.count != count)
		fail_msg("%zu pictures instead of %zu", got.count, count);
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;
		while (at < whole.count && llabs(whole.rows[at].pts_us - rows[i].source_us) > 2)
			at++;
		assert_true(at < whole.count);
		if (strcmp(got.rows[i].md5, whole.rows[at].md5) != 0)
			fail_msg(
				"picture %zu is not that of %lld", i, (long long)rows[i].source_us);
		if (llabs(got.rows[i].pts_us - rows[i].pts_us) > 100)
			fail_msg("picture %zu is at %lld instead of %lld", i,
				(long long)got.rows[i].pts_us, (long long)rows[i].pts_us);
	}
	free(got.rows);
}

static struct clip_layout write_window(int64_t from_us, int64_t to_us, bool close_gaps)
{
	struct clip_window w = {.from_us = FILM_START_US + from_us,
		.to_us = FILM_START_US + to_us,
		.close_gaps = close_gaps};
	struct clip_layout layout = {0};
	assert_int_equal(film_layout(&archive, &w, &layout), 0);
	film_write(&archive, &layout, "window");
	return layout;
}

static void open_pieces(const char *args, const char *name)
{
	static char path[512];
	strcpy(path, film_make("street-h264.mp4", args, name));
	pieces_path = path;
	free(whole.rows);
	whole = film_judge(path, 'v');
	archive.chunk_fragments = 4;
}

/* Rows of the film's pictures of [from, to), shown from `at` on. */
static size_t add_rows(
	struct expected_row *rows, size_t count, int64_t from_us, int64_t to_us, int64_t at_us)
{
	bool first = true;
	int64_t zero = 0;
	for (size_t i = 0; i < whole.count; i++) {
		int64_t pts = whole.rows[i].pts_us;
		if (pts < from_us || pts >= to_us)
			continue;
		if (first)
			zero = pts;
		first = false;
		rows[count++] =
			(struct expected_row){.source_us = pts, .pts_us = at_us + pts - zero};
	}
	return count;
}

#define B_FILM "-t 12 -vf fps=10 -c:v libx264 -preset veryfast -bf 2 -g 20 -sc_threshold 0"

/* A gap is the picture before it, held; or closed. */
static void test_gaps(void **state)
{
	(void)state;
	struct expected_row rows[400];
	open_pieces(B_FILM, "gaps.mp4");
	lay_piece(0, 4000000, 0, 1);
	lay_piece(4000000, 8000000, 10000000, 2);  /* ten seconds later */
	lay_piece(8000000, 12000000, 10200000, 3); /* 200 ms: jitter */
	struct clip_layout l = write_window(1500000, 60000000, false);
	assert_int_equal(l.file_count, 1);
	size_t n = add_rows(rows, 0, 1500000, 4000000, 0);
	n = add_rows(rows, n, 4000000, 8000000, 12500000);
	n = add_rows(rows, n, 8000000, 12000000, 16700000);
	check_rows(0, rows, n);
	assert_int_equal(l.frames, n);
	clip_layout_fini(&l);

	l = write_window(1500000, 60000000, true);
	n = add_rows(rows, 0, 1500000, 4000000, 0);
	n = add_rows(rows, n, 4000000, 8000000, 2500000);
	n = add_rows(rows, n, 8000000, 12000000, 6700000);
	check_rows(0, rows, n);
	clip_layout_fini(&l);

	/* a window that ends in the gap, one that lies in it */
	l = write_window(3000000, 9000000, false);
	n = add_rows(rows, 0, 3000000, 4000000, 0);
	check_rows(0, rows, n);
	clip_layout_fini(&l);
	struct clip_window w = {
		.from_us = FILM_START_US + 5000000, .to_us = FILM_START_US + 9000000};
	assert_int_equal(film_layout(&archive, &w, &l), -ENODATA);
}

/* A clock that went back: all pictures are there, one after the other. */
static void test_time_that_goes_back(void **state)
{
	(void)state;
	struct expected_row rows[400];
	open_pieces(B_FILM, "back.mp4");
	lay_piece(0, 6000000, 0, 1);
	lay_piece(6000000, 12000000, -3000000, 2); /* from 3 s on again */
	struct clip_layout l = write_window(0, 60000000, false);
	assert_int_equal(l.frames, whole.count);
	/* runs go by their start: those of both take turns from 3 s on; what counts is that each is
	 * there once */
	char path[256];
	snprintf(path, sizeof(path), "%s/window.0.mp4", film_folder());
	struct film_rows got = film_judge(path, 'v');
	assert_int_equal(got.count, whole.count);
	for (size_t i = 0; i < whole.count; i++) {
		unsigned times = 0;
		for (size_t j = 0; j < got.count; j++)
			times += strcmp(got.rows[j].md5, whole.rows[i].md5) == 0;
		assert_true(times >= 1);
	}
	for (size_t j = 1; j < got.count; j++)
		assert_true(got.rows[j].pts_us > got.rows[j - 1].pts_us);
	free(got.rows);
	(void)rows;
	clip_layout_fini(&l);
}

/* The same fragments in two chunks: the higher epoch's. */
static void test_copies(void **state)
{
	(void)state;
	struct expected_row rows[400];
	open_pieces(B_FILM, "copies.mp4");
	lay_piece(0, 12000000, 0, 1);
	archive.epoch = 2;
	lay_piece(0, 6000000, 0, 1);
	struct clip_layout l = write_window(500000, 11000000, false);
	size_t n = add_rows(rows, 0, 500000, 11000000, 0);
	check_rows(0, rows, n);
	for (size_t i = 0; i < l.files[0].part_count; i++) {
		const struct clip_part *p = &l.files[0].parts[i];
		const struct film_chunk *c = &archive.chunks[p->source];
		assert_int_equal(
			c->epoch, c->table.fragments[p->fragment].seq <= archive.seq ? 2 : 1);
	}
	clip_layout_fini(&l);
}

/* What was backfilled lies between what was live. */
static void test_backfilled(void **state)
{
	(void)state;
	struct expected_row rows[400];
	open_pieces(B_FILM, "fill.mp4");
	lay_piece(0, 4000000, 0, 1);
	lay_piece(8000000, 12000000, 0, 2);
	lay_piece(4000000, 8000000, 0, 3);
	struct clip_layout l = write_window(2500000, 9500000, false);
	check_rows(0, rows, add_rows(rows, 0, 2500000, 9500000, 0));
	clip_layout_fini(&l);
}

static void test_a_fragment_is_missing(void **state)
{
	(void)state;
	open_pieces(B_FILM, "missing.mp4");
	lay_piece(0, 12000000, 0, 1);
	/* what follows the sync fragment of 4 s: it and the rest of its group are missing; the sync
	 * one of 8 s: so is its group */
	int64_t end_us = 0;
	bool next = false;
	for (size_t i = 0; i < archive.count; i++) {
		struct chunk_table *t = &archive.chunks[i].table;
		for (uint32_t j = 0; j < t->fragment_count; j++) {
			struct table_fragment *f = &t->fragments[j];
			int64_t at_us = f->capture.us - FILM_START_US;
			bool goes = next || at_us == 8000000;
			next = at_us == 4000000;
			if (next)
				end_us = at_us + f->duration_us;
			if (!goes)
				continue;
			memmove(f, f + 1, (t->fragment_count - j - 1) * sizeof(*f));
			t->fragment_count--;
			j--;
		}
	}
	struct clip_layout l = write_window(0, 60000000, false);
	/* between 4 s and 6 s some pictures are left, which depends on how they were coded; all of
	 * them are what they were, where they were */
	char path[256];
	snprintf(path, sizeof(path), "%s/window.0.mp4", film_folder());
	struct film_rows got = film_judge(path, 'v');
	assert_int_equal(got.count, l.frames);
	assert_in_range(got.count, 81, 99);
	size_t at = 0, others = 0;
	for (size_t i = 0; i < got.count; i++) {
		while (at < whole.count && llabs(whole.rows[at].pts_us - got.rows[i].pts_us) > 100)
			at++;
		assert_true(at < whole.count);
		assert_string_equal(got.rows[i].md5, whole.rows[at].md5);
		int64_t pts_us = got.rows[i].pts_us;
		others += pts_us < 4000000 || (pts_us >= 6000000 && pts_us < 8000000) ||
			  pts_us >= 10000000;
	}
	assert_int_equal(others, 80);
	assert_true(end_us > 4000000);
	free(got.rows);
	clip_layout_fini(&l);
}

static void test_another_codec_configuration(void **state)
{
	(void)state;
	struct expected_row rows[400];
	open_pieces(B_FILM, "codec.mp4");
	lay_piece(0, 6000000, 0, 1);
	struct film_rows first = whole;
	whole = (struct film_rows){0};
	open_pieces(B_FILM " -s 320x240", "codec2.mp4");
	lay_piece(6000000, 12000000, 0, 2);
	struct clip_layout l = write_window(4500000, 9000000, false);
	assert_int_equal(l.file_count, 2);
	check_rows(1, rows, add_rows(rows, 0, 6000000, 9000000, 0));
	free(whole.rows);
	whole = first;
	check_rows(0, rows, add_rows(rows, 0, 4500000, 6000000, 0));
	clip_layout_fini(&l);
}

/* A gap of a day is too long for a file's durations. */
static void test_an_endless_gap(void **state)
{
	(void)state;
	struct expected_row rows[400];
	open_pieces(B_FILM " -video_track_timescale 90000", "endless.mp4");
	lay_piece(0, 4000000, 0, 1);
	lay_piece(4000000, 8000000, INT64_C(86400000000), 2);
	struct clip_layout l = write_window(0, INT64_C(90000000000), false);
	assert_int_equal(l.file_count, 2);
	check_rows(0, rows, add_rows(rows, 0, 0, 4000000, 0));
	check_rows(1, rows, add_rows(rows, 0, 4000000, 8000000, 0));
	clip_layout_fini(&l);
	l = write_window(0, INT64_C(90000000000), true);
	assert_int_equal(l.file_count, 1);
	clip_layout_fini(&l);
}

/* --- sound --- */

static void check_sound(const char *codec, const char *name, int64_t tolerance_us)
{
	char args[256];
	snprintf(args, sizeof(args),
		"-f lavfi -i sine=frequency=440:sample_rate=8000 -map 0:v -map 1:a -c:v libx264 "
		"-preset veryfast -bf 2 -g 20 "
		"-vf fps=10 -c:a %s -ar 8000 -ac 1 -t 12",
		codec);
	open_pieces(args, name);
	lay_piece(0, 12000000, 0, 1);
	struct clip_layout l = write_window(3300000, 7700000, false);
	struct expected_row rows[400];
	check_rows(0, rows, add_rows(rows, 0, 3300000, 7700000, 0));
	char path[256];
	snprintf(path, sizeof(path), "%s/window.0.mp4", film_folder());
	struct film_rows sound = film_judge(path, 'a');
	assert_true(sound.count > 3);
	int64_t total = 0;
	for (size_t i = 0; i < sound.count; i++) {
		if (i && llabs(sound.rows[i].pts_us - sound.rows[i - 1].pts_us -
				 sound.rows[i - 1].duration_us) > 1000)
			fail_msg("sound jumps at %lld", (long long)sound.rows[i].pts_us);
		total += sound.rows[i].duration_us;
	}
	if (llabs(sound.rows[0].pts_us) > 1000 || llabs(total - 4400000) > tolerance_us)
		fail_msg("sound from %lld, %lld long", (long long)sound.rows[0].pts_us,
			(long long)total);
	free(sound.rows);
	clip_layout_fini(&l);
}

static void test_sound_g711(void **state)
{
	(void)state;
	check_sound("pcm_alaw", "alaw.mov", 130000);
}

static void test_sound_aac(void **state)
{
	(void)state;
	check_sound("aac", "aac.mp4", 130000);
}

/* --- tables that lie --- */

static void test_tables_that_lie(void **state)
{
	(void)state;
	open_pieces(B_FILM, "lies.mp4");
	lay_piece(0, 12000000, 0, 1);
	struct clip_window w = {.from_us = FILM_START_US, .to_us = FILM_START_US + 12000000};
	struct clip_layout l = {0};
	struct chunk_table *t = &archive.chunks[0].table;
	struct chunk_table good = *t;
	t->tracks[0].timescale++;
	assert_int_equal(film_layout(&archive, &w, &l), ERR_FORMAT);
	*t = good;
	t->fragments[1].run[0].decode_time = UINT64_MAX;
	assert_int_equal(film_layout(&archive, &w, &l), ERR_FORMAT);
	t->fragments[1].run[0].decode_time = 0; /* back in time: odd, but a file comes of it */
	assert_int_equal(film_layout(&archive, &w, &l), 0);
	clip_layout_fini(&l);
	t->fragments[0].offset = 3;
	assert_int_equal(film_layout(&archive, &w, &l), ERR_FORMAT);
	t->track_count = 2;
	assert_int_equal(film_layout(&archive, &w, &l), ERR_FORMAT);
	t->track_count = 1;
	assert_int_equal(clip_layout_build(NULL, 0, &w, &l), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_as_cameras_encode, tear_down),
		cmocka_unit_test_teardown(test_b_pictures, tear_down),
		cmocka_unit_test_teardown(test_open_groups_of_h265, tear_down),
		cmocka_unit_test_teardown(test_uneven_times_and_a_long_group, tear_down),
		cmocka_unit_test_teardown(test_gaps, tear_down),
		cmocka_unit_test_teardown(test_time_that_goes_back, tear_down),
		cmocka_unit_test_teardown(test_copies, tear_down),
		cmocka_unit_test_teardown(test_backfilled, tear_down),
		cmocka_unit_test_teardown(test_a_fragment_is_missing, tear_down),
		cmocka_unit_test_teardown(test_another_codec_configuration, tear_down),
		cmocka_unit_test_teardown(test_an_endless_gap, tear_down),
		cmocka_unit_test_teardown(test_sound_g711, tear_down),
		cmocka_unit_test_teardown(test_sound_aac, tear_down),
		cmocka_unit_test_teardown(test_tables_that_lie, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, clean);
}
