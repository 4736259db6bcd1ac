/* SPDX-License-Identifier: Apache-2.0 */
/* Sources from files, and from a camera (rtsp_server) over TCP and UDP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "footage.h"
#include "tools/media/source.h"

#define T0 INT64_C(1795470000000000)

/* A sink that remembers, and stops its source after `most` samples. */
struct memory {
	struct source_sink sink;
	pthread_mutex_t lock;
	pthread_cond_t bell;
	struct steppe_sample *samples;
	size_t count, most;
	struct steppe_track tracks[4];
	uint8_t config[4][1024];
	unsigned track_count, told, interruptions;
	enum steppe_gap cause;
	enum source_state state;
	char words[256];
	bool over, enough;
};

static int on_tracks(struct source_sink *sink, const struct steppe_track *tracks, unsigned count)
{
	struct memory *m = container_of(sink, struct memory, sink);
	m->told++;
	m->track_count = count;
	for (unsigned i = 0; i < count; i++) {
		assert_in_range(tracks[i].config_len, 0, sizeof(m->config[i]));
		if (tracks[i].config_len)
			memcpy(m->config[i], tracks[i].config, tracks[i].config_len);
		m->tracks[i] = tracks[i];
		m->tracks[i].config = m->config[i];
	}
	return 0;
}

static int on_sample(struct source_sink *sink, const struct steppe_sample *sample)
{
	struct memory *m = container_of(sink, struct memory, sink);
	pthread_mutex_lock(&m->lock);
	struct steppe_sample *grown = realloc(m->samples, (m->count + 1) * sizeof(*grown));
	assert_non_null(grown);
	m->samples = grown;
	m->samples[m->count++] = *sample;
	m->enough = m->count >= m->most;
	pthread_cond_broadcast(&m->bell);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static void on_interrupted(struct source_sink *sink, enum steppe_gap cause)
{
	struct memory *m = container_of(sink, struct memory, sink);
	m->interruptions++;
	m->cause = cause;
}

static void on_state(struct source_sink *sink, enum source_state state, const char *words)
{
	struct memory *m = container_of(sink, struct memory, sink);
	pthread_mutex_lock(&m->lock);
	m->state = state;
	if (words[0])
		snprintf(m->words, sizeof(m->words), "%s", words);
	m->over = state == SOURCE_ENDED || state == SOURCE_FAILED;
	if (state == SOURCE_WAITING)
		m->enough = m->most == 0;
	pthread_cond_broadcast(&m->bell);
	pthread_mutex_unlock(&m->lock);
}

/* Runs a source until it ends, has given `most` samples, or (0) waits to connect again. */
static void run(struct memory *m, const struct source_options *o, size_t most)
{
	*m = (struct memory){
		.sink = {on_tracks, on_sample, on_interrupted, on_state}, .most = most};
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->bell, NULL);
	struct source *source;
	assert_int_equal(source_start(o, &m->sink, &source), 0);
	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 60;
	pthread_mutex_lock(&m->lock);
	while (!m->over && !m->enough)
		assert_int_equal(pthread_cond_timedwait(&m->bell, &m->lock, &deadline), 0);
	pthread_mutex_unlock(&m->lock);
	source_free(&source);
	assert_null(source);
	assert_true(m->over);
}

static void forget(struct memory *m)
{
	free(m->samples);
	pthread_cond_destroy(&m->bell);
	pthread_mutex_destroy(&m->lock);
}

static struct source_options file_options(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s", footage_path(name));
	return (struct source_options){.url = path, .fast = true, .start = {T0}};
}

/* Decoding times grow, a track at a time; the first sample is sync. */
static void well_formed(const struct memory *m)
{
	int64_t last[4] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
	assert_true(m->count > 0 && m->samples[0].sync);
	for (size_t i = 0; i < m->count; i++) {
		const struct steppe_sample *s = &m->samples[i];
		assert_true(s->track < m->track_count);
		assert_true(s->dts > last[s->track]);
		assert_true(s->len > 0);
		last[s->track] = s->dts;
	}
}

static void test_file(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = file_options("street-h264.mp4");
	run(&m, &o, SIZE_MAX);
	assert_int_equal(m.state, SOURCE_ENDED);
	assert_int_equal(m.count, 795);
	assert_int_equal(m.track_count, 1);
	assert_int_equal(m.told, 1);
	assert_int_equal(m.tracks[0].codec, STEPPE_H264);
	assert_int_equal(m.tracks[0].timescale, 10240);
	well_formed(&m);
	for (size_t i = 0; i < m.count; i++) {
		assert_int_equal(m.samples[i].wall_us, T0 + (int64_t)i * 100000);
		assert_int_equal(m.samples[i].sync, i % 20 == 0);
		assert_int_equal(m.samples[i].clock, STEPPE_CLOCK_DECLARED);
		assert_false(m.samples[i].discontinuity);
	}
	forget(&m);
}

static void test_file_loops(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = file_options("small/bframes-h264.mp4");
	o.loop = o.no_audio = true;
	run(&m, &o, 100);
	well_formed(&m);
	for (size_t i = 1; i < 100; i++) {
		assert_in_range(m.samples[i].dts - m.samples[i - 1].dts, 1023, 1025);
		assert_false(m.samples[i].discontinuity);
	}
	/* 40 pictures, the first again where the last one ended */
	assert_in_range(m.samples[40].wall_us - T0, 3999990, 4000010);
	forget(&m);
}

static void test_b_frames(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = file_options("small/bframes-h264.mp4");
	run(&m, &o, SIZE_MAX);
	well_formed(&m);
	assert_int_equal(m.track_count, 2);
	assert_int_equal(m.tracks[1].codec, STEPPE_AAC);
	assert_int_equal(m.tracks[1].sample_rate, 16000);
	assert_int_equal(m.samples[0].wall_us, T0);
	size_t video = 0, open = 0;
	for (size_t i = 0; i < m.count; i++) {
		const struct steppe_sample *s = &m.samples[i];
		if (s->track != 0)
			continue;
		video++;
		open += s->sync_open;
		assert_true(s->pts >= s->dts);
		assert_int_equal((s->wall_us - T0) % 100000, 0);
	}
	assert_int_equal(video, 40);
	assert_int_equal(open, 3);
	forget(&m);
}

static void test_transport_stream(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = file_options("small/bframes-h265.ts");
	run(&m, &o, SIZE_MAX);
	well_formed(&m);
	assert_int_equal(m.tracks[0].codec, STEPPE_H265);
	assert_int_equal(m.tracks[0].timescale, 90000);
	assert_int_equal(m.tracks[1].codec, STEPPE_AAC);
	assert_int_equal(m.tracks[1].config_len, 2);
	assert_memory_equal(m.tracks[1].config, "\x14\x08", 2);
	forget(&m);
}

static void test_resize(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = file_options("small/resize-h264.ts");
	run(&m, &o, SIZE_MAX);
	well_formed(&m);
	assert_int_equal(m.told, 2);
	assert_int_equal(m.tracks[0].width, 160);
	assert_in_range(m.count, 38, 40);
	assert_in_range(m.samples[m.count - 1].wall_us - T0, 3 * US_PER_SECOND, 5 * US_PER_SECOND);
	forget(&m);
}

static void test_other_codecs(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = file_options("small/alaw.mkv");
	run(&m, &o, SIZE_MAX);
	well_formed(&m);
	assert_int_equal(m.tracks[1].codec, STEPPE_PCMA);
	assert_int_equal(m.tracks[1].sample_rate, 8000);
	forget(&m);
	o = file_options("small/mjpeg.mkv");
	run(&m, &o, SIZE_MAX);
	well_formed(&m);
	assert_int_equal(m.tracks[0].codec, STEPPE_MJPEG);
	assert_int_equal(m.count, 10);
	forget(&m);
}

static void test_no_such_file(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = {.url = "/nowhere/at/all.mp4", .start = {-1}};
	run(&m, &o, 1);
	assert_int_equal(m.state, SOURCE_FAILED);
	assert_string_equal(m.words, "No such file or directory");
	forget(&m);
	o.url = footage_path("README.md");
	run(&m, &o, 1);
	assert_int_equal(m.state, SOURCE_FAILED);
	forget(&m);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	struct memory m;
	struct source_options o = {
		.url = "rtsp://127.0.0.1:1/x", .start = {-1}, .password = "geheim", .user = "u"};
	run(&m, &o, 0);
	assert_int_equal(m.interruptions, 1);
	assert_int_equal(m.cause, STEPPE_GAP_CAMERA_OFF);
	assert_null(strstr(m.words, "geheim"));
	forget(&m);
}

/* --- a camera */

struct camera {
	pid_t pid;
	int port;
};

static void camera_start(struct camera *c, const char *mount, bool with_password)
{
	int out[2];
	assert_int_equal(pipe(out), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* a failed test leaves no camera behind */
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		const char *program = getenv("STEPPE_RTSP_SERVER");
		if (with_password)
			execl(program, program, "--user", "joe", "--password", "p@ss", mount,
				(char *)NULL);
		else
			execl(program, program, mount, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *f = fdopen(out[0], "r");
	assert_int_equal(fscanf(f, "port %d", &c->port), 1);
	fclose(f);
}

static void camera_stop(struct camera *c)
{
	kill(c->pid, SIGTERM);
	waitpid(c->pid, NULL, 0);
}

#define PICTURE_US 100000
#define STEP_US    400000               /* less than what the source calls a step, by a picture */
#define CLOSE_US   (30 * US_PER_SECOND) /* the same clock, on a machine that has more to do */

/* Time steps only where the source says so, and it says so only where it does: a camera on a machine
 * that has more to do stamps its reports late. In between pictures are a tenth of a second apart,
 * but that UDP may lose some. */
static void regular(const struct memory *m, bool may_lose)
{
	int64_t before = -1;
	for (size_t i = 0; i < m->count; i++) {
		const struct steppe_sample *s = &m->samples[i];
		if (s->track != 0)
			continue;
		int64_t step = s->wall_us - before, off = step - PICTURE_US;
		if (before >= 0 && s->discontinuity)
			assert_true(off > STEP_US || off < -STEP_US);
		else if (before >= 0 && may_lose)
			assert_in_range((step + PICTURE_US / 10) % PICTURE_US, 0, PICTURE_US / 5);
		else if (before >= 0)
			assert_in_range(step, PICTURE_US * 9 / 10, PICTURE_US * 11 / 10);
		before = s->wall_us;
	}
}

/* Samples with the camera's own time soon after the beginning, close to this machine's, for they
 * are the same clock. */
static void from_camera(const char *file, const char *audio, enum source_transport transport,
	enum steppe_codec codec)
{
	char mount[600], url[64];
	struct camera c;
	snprintf(mount, sizeof(mount), "m=%s%s", footage_path(file), audio);
	camera_start(&c, mount, false);
	snprintf(url, sizeof(url), "rtsp://127.0.0.1:%d/m", c.port);
	struct memory m;
	struct source_options o = {.url = url, .transport = transport, .start = {-1}};
	run(&m, &o, audio[0] ? 300 : 60);
	camera_stop(&c);
	well_formed(&m);
	assert_int_equal(m.tracks[0].codec, codec);
	assert_int_equal(m.track_count, audio[0] ? 2 : 1);
	const struct steppe_sample *last = &m.samples[m.count - 1];
	assert_int_equal(last->clock, STEPPE_CLOCK_RTCP);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_us = now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
	assert_in_range(now_us - last->wall_us + CLOSE_US, 0, 2 * CLOSE_US);
	regular(&m, transport == SOURCE_UDP);
	forget(&m);
}

static void test_rtsp_tcp(void **state)
{
	(void)state;
	from_camera("street-h264.mp4", "", SOURCE_TCP, STEPPE_H264);
}

static void test_rtsp_udp(void **state)
{
	(void)state;
	from_camera("street-h265.mp4", "", SOURCE_UDP, STEPPE_H265);
}

static void test_rtsp_alaw(void **state)
{
	(void)state;
	from_camera("street-h264.mp4", ",alaw", SOURCE_TCP, STEPPE_H264);
}

static void test_rtsp_aac(void **state)
{
	(void)state;
	from_camera("street-h264.mp4", ",aac", SOURCE_UDP, STEPPE_H264);
}

static void test_rtsp_password(void **state)
{
	(void)state;
	char mount[600], url[64];
	struct camera c;
	snprintf(mount, sizeof(mount), "m=%s", footage_path("street-h264.mp4"));
	camera_start(&c, mount, true);
	snprintf(url, sizeof(url), "rtsp://joe@127.0.0.1:%d/m", c.port);
	struct memory m;
	struct source_options o = {.url = url, .start = {-1}, .password = "wrong"};
	run(&m, &o, 0);
	assert_non_null(strstr(m.words, "401"));
	forget(&m);
	o.password = "p@ss";
	run(&m, &o, 5);
	assert_true(m.count >= 5); /* it is stopped at the fifth, and more may have come */
	forget(&m);
	camera_stop(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest files[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_loops),
		cmocka_unit_test(test_b_frames),
		cmocka_unit_test(test_transport_stream),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_other_codecs),
		cmocka_unit_test(test_no_such_file),
		cmocka_unit_test(test_nobody_listens),
	};
	const struct CMUnitTest cameras[] = {
		cmocka_unit_test(test_rtsp_tcp),
		cmocka_unit_test(test_rtsp_udp),
		cmocka_unit_test(test_rtsp_alaw),
		cmocka_unit_test(test_rtsp_aac),
		cmocka_unit_test(test_rtsp_password),
	};
	if (argc > 1 && strcmp(argv[1], "cameras") == 0)
		return cmocka_run_group_tests(cameras, NULL, NULL);
	return cmocka_run_group_tests(files, NULL, NULL);
}
