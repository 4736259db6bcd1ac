/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk of real footage, judged by ffprobe and ffmpeg: it is an ordinary MP4 for anyone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/footage_media.h"

#define SECONDS 20
#define FPS     10

static char dir[] = "/tmp/steppe-chunk-XXXXXX";
static const char *const sources[] = {MEDIA_DIR "/street-h264.mp4", MEDIA_DIR "/street-h265.mp4"};

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "%s/chunk.mp4", dir);
	unlink(path);
	return rmdir(dir);
}

static void put(const void *data, size_t len)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/chunk.mp4", dir);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* What the command prints; "%s" is the chunk. */
static char *ask(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *ask(const char *format, ...)
{
	char command[1000];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	size_t len = 0, room = 1 << 20;
	char *text = malloc(room);
	assert_non_null(text);
	len = fread(text, 1, room - 1, p);
	text[len] = 0;
	pclose(p);
	return text;
}

/* Checksums of decoded pictures, one a line, `count` of them after `skip`. */
static unsigned pictures(const char *path, const char *options, char md5[][33], unsigned room)
{
	char *text = ask(
		"ffmpeg -v error -nostdin %s -i %s -fps_mode passthrough -f framemd5 - 2>/dev/null",
		options, path);
	unsigned count = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *last = strrchr(line, ',');
		if (line[0] == '#' || !last)
			continue;
		if (count < room)
			snprintf(md5[count], 33, "%s", last + 2);
		count++;
	}
	free(text);
	return count;
}

static void players_take_it(void **state)
{
	(void)state;
	static char want[1000][33], got[1000][33];
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct footage_chunk c;
		char path[64];
		snprintf(path, sizeof(path), "%s/chunk.mp4", dir);
		assert_int_equal(footage_media_chunk(&c, sources[i], SECONDS, 4096), 0);
		put(c.bytes, c.len);
		char *text = ask(
			"ffprobe -v error -show_entries format=start_time,duration -of csv=p=0 %s",
			path);
		double start = -1, duration = -1;
		assert_int_equal(sscanf(text, "%lf,%lf", &start, &duration), 2);
		assert_true(start == 0.0);
		assert_true(duration > SECONDS - 0.001 && duration < SECONDS + 0.001);
		free(text);
		text = ask("ffprobe -v error -count_packets -show_entries stream=nb_read_packets "
			   "-of csv=p=0 %s 2>&1",
			path);
		assert_int_equal(
			atoi(text), SECONDS * FPS); /* and no word of complaint before it */
		free(text);

		unsigned source = pictures(sources[i], "-t 20", want, 1000);
		assert_true(source >= SECONDS * FPS);
		assert_int_equal(pictures(path, "", got, 1000), SECONDS * FPS);
		for (unsigned k = 0; k < SECONDS * FPS; k++)
			assert_string_equal(got[k], want[k]);
		/* a seek into the middle shows the very picture of that moment */
		assert_true(pictures(path, "-ss 11.5", got, 1000) == (SECONDS - 11) * FPS - 5);
		assert_string_equal(got[0], want[115]);
		footage_chunk_fini(&c);
	}
}

/* A file that ends anywhere plays up to there: every picture of the fragments that are whole. */
static void one_cut_anywhere_plays_up_to_the_cut(void **state)
{
	(void)state;
	static char want[1000][33], got[1000][33];
	struct footage_chunk c;
	char path[64];
	snprintf(path, sizeof(path), "%s/chunk.mp4", dir);
	assert_int_equal(footage_media_chunk(&c, sources[0], 10, 4096), 0);
	assert_true(pictures(sources[0], "-t 10", want, 1000) == 10 * FPS);
	for (int cut = 1; cut <= 15; cut += 2) {
		size_t len = c.head_len + (c.len - c.head_len) * (size_t)cut / 16;
		unsigned whole = 0;
		for (uint32_t i = 0; i < c.table.fragment_count; i++)
			if (c.table.fragments[i].offset + c.table.fragments[i].body_len <= len)
				whole += c.table.fragments[i].run[0].sample_count;
		put(c.bytes, len);
		unsigned count = pictures(path, "", got, 1000);
		assert_true(count >= whole);
		for (unsigned k = 0; k < whole; k++)
			assert_string_equal(got[k], want[k]);
	}
	footage_chunk_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(players_take_it),
		cmocka_unit_test(one_cut_anywhere_plays_up_to_the_cut),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
