/* SPDX-License-Identifier: Apache-2.0 */
/* Handles as programs use them: threads, blocking calls, the caller's own loop, clips, over real
 * TLS. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/steppe.h"
#include "proto/refusal.h"
#include "tests/unit/client/made.h"
#include "tests/unit/client/tiny_daemon.h"

static struct tiny_daemon *daemon_;
static struct steppe *steppe;

static int open_at(const char *const *addresses, const char *cert, const char *key, bool own_loop,
	struct steppe **ret, char *why, size_t size)
{
	struct steppe_options o = STEPPE_INIT(steppe_options);
	o.addresses = addresses;
	o.ca = tiny_file(daemon_, "ca.crt");
	o.cert = tiny_file(daemon_, cert);
	o.key = tiny_file(daemon_, key);
	o.name = "test";
	o.own_loop = own_loop;
	return steppe_open(&o, ret, why, size);
}

static int open_as(const char *cert, const char *key, bool own_loop, struct steppe **ret, char *why,
	size_t size)
{
	const char *addresses[] = {tiny_address(daemon_), NULL};
	return open_at(addresses, cert, key, own_loop, ret, why, size);
}

static int set_up(void **state)
{
	(void)state;
	daemon_ = tiny_start();
	assert_int_equal(open_as("good.crt", "good.key", false, &steppe, NULL, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	steppe_close(&steppe);
	assert_null(steppe);
	steppe_close(&steppe);
	tiny_stop(&daemon_);
	return 0;
}

static struct tiny_script *script(void)
{
	return tiny_script(daemon_);
}

/* --- opening --- */

static void test_mistakes_are_told_at_once(void **state)
{
	(void)state;
	struct steppe *s = NULL;
	char why[200];
	struct steppe_options o = STEPPE_INIT(steppe_options);
	assert_int_equal(steppe_open(&o, &s, why, sizeof(why)), STEPPE_E_CONFIG);
	assert_true(why[0]);
	assert_int_not_equal(open_as("nobody.crt", "nobody.key", false, &s, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "nobody"));
	assert_int_not_equal(open_as("good.crt", "node1.key", false, &s, why, sizeof(why)), 0);
	const char *addresses[] = {"no port", NULL};
	o.addresses = addresses;
	o.ca = tiny_file(daemon_, "ca.crt");
	o.cert = tiny_file(daemon_, "good.crt");
	o.key = tiny_file(daemon_, "good.key");
	assert_int_equal(steppe_open(&o, &s, why, sizeof(why)), STEPPE_E_CONFIG);
	o.size = 4;
	assert_int_equal(steppe_open(&o, &s, why, sizeof(why)), -EINVAL);
	assert_null(s);
}

static void test_a_foreign_certificate(void **state)
{
	(void)state;
	struct steppe *s;
	struct steppe_timeline *timeline = NULL;
	assert_int_equal(open_as("foreign/good.crt", "foreign/good.key", false, &s, NULL, 0), 0);
	assert_true(steppe_timeline_get(s, "gate-7/main", 0, 1, &timeline) < 0);
	assert_null(timeline);
	steppe_close(&s);
}

static void test_nobody_there(void **state)
{
	(void)state;
	const char *addresses[] = {"127.0.0.1:1", NULL};
	struct steppe_options o = STEPPE_INIT(steppe_options);
	o.addresses = addresses;
	o.ca = tiny_file(daemon_, "ca.crt");
	o.cert = tiny_file(daemon_, "good.crt");
	o.key = tiny_file(daemon_, "good.key");
	struct steppe *s;
	struct steppe_timeline *timeline;
	assert_int_equal(steppe_open(&o, &s, NULL, 0), 0);
	assert_int_equal(steppe_timeline_get(s, "gate-7/main", 0, 1, &timeline), -ECONNREFUSED);
	steppe_close(&s);
}

/* --- questions --- */

static void test_questions(void **state)
{
	(void)state;
	struct steppe_timeline *t;
	assert_int_equal(steppe_timeline_get(steppe, "gate-7/main", 0, 1, &t), 0);
	assert_int_equal(t->span_count, 1);
	assert_int_equal(t->spans[0].start_us, MADE_START_US);
	assert_int_equal(t->gap_count, 1);
	assert_int_equal(t->gaps[0].cause, STEPPE_GAP_NETWORK);
	steppe_free(t);
	struct steppe_day *days;
	size_t count;
	assert_int_equal(steppe_days_get(steppe, "gate-7/main", &days, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(days[0].quarter_seconds[0], 900);
	assert_int_equal(days[0].quarter_seconds[1], 0);
	steppe_free(days);
	assert_int_equal(steppe_timeline_get(steppe, "gate 7", 0, 1, &t), -EINVAL);
	assert_int_equal(steppe_timeline_get(steppe, "gate-7/main", 1, 1, &t), -EINVAL);
	assert_int_equal(steppe_last_refusal(NULL), 0);
	atomic_store(&script()->refuse, REFUSAL_UNKNOWN_CAMERA);
	assert_int_equal(steppe_days_get(steppe, "gate-7/main", &days, &count), STEPPE_E_REFUSED);
	const char *reason;
	assert_int_equal(steppe_last_refusal(&reason), REFUSAL_UNKNOWN_CAMERA);
	assert_string_equal(reason, "because");
}

static bool count_camera(void *user, const struct steppe_camera *camera)
{
	assert_true(camera->id[0] >= 'a');
	return ++*(unsigned *)user < 4;
}

static void count_status(void *user, const struct steppe_status *status)
{
	assert_string_equal(status->node, "node1");
	++*(unsigned *)user;
}

static void count_finding(void *user, const struct steppe_fsck_finding *finding)
{
	assert_string_equal(finding->what, "odd");
	++*(unsigned *)user;
}

static void test_administration(void **state)
{
	(void)state;
	struct steppe_camera camera = STEPPE_INIT(steppe_camera);
	assert_int_equal(steppe_camera_put(steppe, &camera), -EINVAL);
	camera.id = "gate-7";
	assert_int_equal(steppe_camera_put(steppe, &camera), 0);
	assert_int_equal(steppe_camera_remove(steppe, "gate-7"), 0);
	assert_int_equal(steppe_camera_remove(steppe, "gate 7"), -EINVAL);
	unsigned count = 0;
	assert_int_equal(steppe_camera_get(steppe, "gate-7", count_camera, &count), 0);
	assert_int_equal(count, 1);
	count = 0;
	assert_int_equal(steppe_camera_list(steppe, count_camera, &count), 0);
	assert_int_equal(count, 4); /* of five: it said that it had enough */
	count = 0;
	assert_int_equal(steppe_status(steppe, true, count_status, &count), 0);
	assert_int_equal(count, 1);
	struct steppe_fsck_result result = {0};
	count = 0;
	assert_int_equal(
		steppe_fsck(steppe, "gate-7/main", 1, false, count_finding, &count, &result), 0);
	assert_int_equal(count, 1);
	assert_int_equal(result.findings, 1);
}

struct inside {
	atomic_bool done;
	int rc, status;
};

static void on_timeline_inside(void *user, int status, const struct steppe_timeline *timeline)
{
	struct inside *in = user;
	struct steppe_timeline *t;
	(void)timeline;
	in->status = status;
	in->rc = steppe_timeline_get(steppe, "gate-7/main", 0, 1, &t); /* would wait for itself */
	if (in->rc == 0)
		steppe_free(t);
	atomic_store(&in->done, true);
}

static void test_no_blocking_inside_of_a_callback(void **state)
{
	(void)state;
	struct inside in = {0};
	assert_int_equal(steppe_timeline(steppe, "gate-7/main", 0, 1, on_timeline_inside, &in), 0);
	while (!atomic_load(&in.done))
		usleep(1000);
	assert_int_equal(in.status, 0);
	assert_int_equal(in.rc, -EDEADLK);
}

static void test_closed_with_things_going_on(void **state)
{
	(void)state;
	struct inside in[3] = {0};
	struct steppe *s;
	atomic_store(&script()->mute, true);
	assert_int_equal(open_as("good.crt", "good.key", false, &s, NULL, 0), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			steppe_timeline(s, "gate-7/main", 0, 1, on_timeline_inside, &in[i]), 0);
	/* the callback asks another handle, from this one's thread: that may wait */
	atomic_store(&script()->mute, false);
	steppe_close(&s);
	for (size_t i = 0; i < 3; i++) {
		assert_true(atomic_load(&in[i].done));
		assert_true(in[i].status == 0 || in[i].status == -ECANCELED);
	}
}

/* --- recording from many threads --- */

static const uint8_t avcc[] = {1, 66, 0, 30, 255, 225, 0, 4, 103, 66, 0, 30, 1, 0, 2, 104, 1};

static int record(struct steppe *s, const char *stream, struct steppe_recorder **ret)
{
	struct steppe_track t = STEPPE_INIT(steppe_track);
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	t.codec = STEPPE_H264;
	t.timescale = 1000;
	t.width = t.height = 64;
	t.config = avcc;
	t.config_len = sizeof(avcc);
	o.stream = stream;
	o.tracks = &t;
	o.track_count = 1;
	return steppe_record(s, &o, ret);
}

static void write_pictures(struct steppe_recorder *r, int count)
{
	uint8_t data[500] = {0};
	for (int i = 0; i < count; i++) {
		struct steppe_sample s = STEPPE_INIT(steppe_sample);
		s.data = data;
		s.len = sizeof(data);
		s.dts = s.pts = i * 100;
		s.sync = i % 10 == 0;
		s.wall_us = MADE_START_US + i * 100000;
		assert_int_equal(steppe_recorder_write(r, &s), 0);
	}
}

static void *record_thread(void *arg)
{
	struct steppe_recorder *r;
	char stream[32];
	snprintf(stream, sizeof(stream), "cam%d/main", *(int *)arg);
	assert_int_equal(record(steppe, stream, &r), 0);
	write_pictures(r, 200);
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	do {
		steppe_recorder_status(r, &status);
		usleep(1000);
	} while (status.durable_fragments < 18);
	assert_int_equal(steppe_recorder_close(&r, 10000), 0);
	assert_null(r);
	return NULL;
}

static void test_many_threads(void **state)
{
	(void)state;
	pthread_t threads[8];
	int numbers[8];
	for (int i = 0; i < 8; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, record_thread, &numbers[i]);
	}
	for (int i = 0; i < 50; i++) {
		struct steppe_timeline *t;
		assert_int_equal(steppe_timeline_get(steppe, "gate-7/main", 0, 1, &t), 0);
		steppe_free(t);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&script()->appended), 8 * 20);
}

/* --- the caller's loop --- */

static void on_closed_recorder(void *user, int status)
{
	*(int *)user = status;
}

static void test_own_loop(void **state)
{
	(void)state;
	struct steppe *s;
	struct steppe_recorder *r;
	struct steppe_timeline *t;
	int status = 1;
	assert_int_equal(open_as("good.crt", "good.key", true, &s, NULL, 0), 0);
	assert_int_equal(steppe_timeline_get(s, "gate-7/main", 0, 1, &t), -EDEADLK);
	assert_int_equal(record(s, "gate-7/main", &r), 0);
	write_pictures(r, 50);
	steppe_recorder_end(r, 10000, on_closed_recorder, &status);
	while (status == 1) {
		struct pollfd fd = {.fd = steppe_fd(s), .events = POLLIN};
		poll(&fd, 1, steppe_timeout_ms(s));
		steppe_step(s);
	}
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&script()->appended), 5);
	steppe_close(&s);
}

/* --- clips --- */

static struct steppe_clip *open_clip(void)
{
	struct steppe_clip_options o = STEPPE_INIT(steppe_clip_options);
	struct steppe_clip *clip = NULL;
	o.stream = "gate-7/main";
	o.from_us = MADE_START_US + 2500000;
	o.to_us = MADE_START_US + 17000000;
	assert_int_equal(steppe_clip_open(steppe, &o, &clip), 0);
	return clip;
}

/* All of it, in pieces of `piece` bytes. */
static uint8_t *read_clip(struct steppe_clip *clip, size_t piece)
{
	uint64_t length = steppe_clip_length(clip, 0);
	uint8_t *bytes = malloc(length);
	for (uint64_t at = 0; at < length;) {
		int64_t n = steppe_clip_read(clip, 0, at, bytes + at, piece);
		assert_true(n > 0);
		at += (uint64_t)n;
	}
	assert_int_equal(steppe_clip_read(clip, 0, length, bytes, 1), 0);
	return bytes;
}

static void test_clip(void **state)
{
	(void)state;
	struct steppe_clip *clip = open_clip();
	struct steppe_clip_info info = STEPPE_INIT(steppe_clip_info);
	steppe_clip_info(clip, &info);
	assert_int_equal(info.files, 1);
	assert_int_equal(info.frames, 29);
	assert_int_equal(info.start_us, MADE_START_US + 2500000);
	assert_int_equal(info.end_us, MADE_START_US + 17000000);
	uint64_t length = steppe_clip_length(clip, 0);
	assert_true(length > 15 * 20000 && length < 16 * 21000);
	assert_int_equal(steppe_clip_length(clip, 1), 0);
	assert_null(steppe_clip_etag(clip, 1));
	assert_int_equal(strlen(steppe_clip_etag(clip, 0)), 32);
	size_t fragments = 0;
	const struct steppe_clip_fragment *f;
	for (; (f = steppe_clip_fragment(clip, fragments)); fragments++)
		assert_int_equal(f->seq, fragments + 3);
	assert_int_equal(fragments, 15);
	uint8_t *whole = read_clip(clip, 1 << 20), *again = read_clip(clip, 777);
	assert_memory_equal(whole, again, length);
	srand(1);
	for (int i = 0; i < 200; i++) {
		uint64_t at = (uint64_t)rand() % length;
		size_t len = (size_t)rand() % 50000;
		int64_t n = steppe_clip_read(clip, 0, at, again, len);
		assert_int_equal(n, len < length - at ? len : length - at);
		assert_memory_equal(again, whole + at, (size_t)n);
	}
	free(whole);
	free(again);
	steppe_clip_close(&clip);
	steppe_clip_close(&clip);
}

static void test_clip_outlives_its_snapshot(void **state)
{
	(void)state;
	struct steppe_clip *clip = open_clip();
	uint8_t *whole = read_clip(clip, 1 << 20), some[100];
	uint64_t length = steppe_clip_length(clip, 0);
	steppe_clip_close(&clip);
	clip = open_clip();
	atomic_store(&script()->lost_snapshots, 1);
	uint8_t *again = read_clip(clip, 1 << 20);
	assert_memory_equal(whole, again, length);
	free(again);
	steppe_clip_close(&clip);
	/* another snapshot has other fragments: never other bytes */
	clip = open_clip();
	atomic_store(&script()->lost_snapshots, 100);
	atomic_store(&script()->other_footage, true);
	assert_int_equal(steppe_clip_read(clip, 0, length - 100, some, 100), STEPPE_E_GONE);
	steppe_clip_close(&clip);
	free(whole);
}

/* The daemon that keeps the snapshot dies: another one makes another of the same footage, or has it
 * no more. */
static void test_clip_outlives_its_daemon(void **state)
{
	(void)state;
	struct steppe_clip *clip = open_clip();
	uint64_t length = steppe_clip_length(clip, 0);
	uint8_t *whole = read_clip(clip, 1 << 20), some[100];
	steppe_clip_close(&clip);
	for (int other_footage = 0; other_footage < 2; other_footage++) {
		struct tiny_daemon *a = tiny_start_second(daemon_), *b = tiny_start_second(daemon_);
		const char *addresses[] = {tiny_address(a), tiny_address(b), NULL};
		struct steppe *s = steppe;
		assert_int_equal(
			open_at(addresses, "good.crt", "good.key", false, &steppe, NULL, 0), 0);
		clip = open_clip();
		bool at_a = atomic_load(&tiny_script(a)->snapshots) > 0;
		struct tiny_script *rest = tiny_script(at_a ? b : a);
		atomic_store(&rest->other_footage, other_footage);
		tiny_stop(at_a ? &a : &b);
		if (other_footage) {
			assert_int_equal(
				steppe_clip_read(clip, 0, length - 100, some, 100), STEPPE_E_GONE);
		} else {
			uint8_t *again = read_clip(clip, 100000);
			assert_memory_equal(whole, again, length);
			assert_int_equal(atomic_load(&rest->snapshots), 1);
			free(again);
		}
		steppe_clip_close(&clip);
		steppe_close(&steppe);
		steppe = s;
		tiny_stop(at_a ? &b : &a);
	}
	free(whole);
}

static void test_clip_of_damaged_bytes(void **state)
{
	(void)state;
	uint8_t some[100];
	struct steppe_clip *clip = open_clip();
	uint64_t length = steppe_clip_length(clip, 0);
	atomic_store(&script()->damage, true);
	assert_int_equal(steppe_clip_read(clip, 0, length - 100, some, 100), STEPPE_E_DAMAGED);
	atomic_store(&script()->damage, false);
	assert_int_equal(steppe_clip_read(clip, 0, length - 100, some, 100), 100);
	steppe_clip_close(&clip);
}

static void test_clip_options(void **state)
{
	(void)state;
	struct steppe_clip_options o = STEPPE_INIT(steppe_clip_options);
	struct steppe_clip *clip = NULL;
	o.stream = "gate-7/main";
	assert_int_equal(steppe_clip_open(steppe, &o, &clip), -EINVAL);
	o.from_us = MADE_START_US + 100 * US_PER_SECOND;
	o.to_us = o.from_us + 1;
	assert_int_equal(steppe_clip_open(steppe, &o, &clip), -ENODATA);
	atomic_store(&script()->refuse, REFUSAL_GONE);
	assert_int_equal(steppe_clip_open(steppe, &o, &clip), -ENODATA);
	atomic_store(&script()->refuse, REFUSAL_ROLE);
	assert_int_equal(steppe_clip_open(steppe, &o, &clip), STEPPE_E_REFUSED);
	assert_null(clip);
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(steppe_gap_text(STEPPE_GAP_CAMERA_OFF), "camera off");
	assert_string_equal(steppe_gap_text(99), "unknown");
	assert_string_equal(steppe_refusal_word(REFUSAL_BUSY), "busy");
	assert_non_null(strchr(steppe_version(), '.'));
	assert_string_equal(steppe_error_text(STEPPE_E_GONE), "gone");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_mistakes_are_told_at_once),
		TEST(test_a_foreign_certificate),
		TEST(test_nobody_there),
		TEST(test_questions),
		TEST(test_administration),
		TEST(test_no_blocking_inside_of_a_callback),
		TEST(test_closed_with_things_going_on),
		TEST(test_many_threads),
		TEST(test_own_loop),
		TEST(test_clip),
		TEST(test_clip_outlives_its_snapshot),
		TEST(test_clip_outlives_its_daemon),
		TEST(test_clip_of_damaged_bytes),
		TEST(test_clip_options),
		TEST(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
