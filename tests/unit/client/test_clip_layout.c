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

#include "tests/unit/client/film.h"

static struct film_archive archive;

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_as_cameras_encode, tear_down),
		cmocka_unit_test_teardown(test_b_pictures, tear_down),
		cmocka_unit_test_teardown(test_open_groups_of_h265, tear_down),
		cmocka_unit_test_teardown(test_uneven_times_and_a_long_group, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, clean);
}
