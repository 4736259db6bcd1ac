/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments back into samples, into a stream for players, into Matroska, into a picture. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/errors.h"
#include "footage.h"
#include "tools/media/accessunit.h"
#include "tools/media/fmp4.h"
#include "tools/media/mkvfile.h"
#include "tools/media/picture.h"

#define T0        INT64_C(1795470000000000)
#define PER_PIECE 10 /* pictures of a fragment: one second */

/* The street as fragments, in chunks of twenty seconds whose decoding times begin anew. */
struct street {
	struct footage footage;
	struct buf *init;
	struct buf **bodies;
	size_t count;
	uint32_t prefix_len;
};

static struct buf *build(
	const struct street *s, size_t from, uint64_t decode_time, uint32_t *ret_prefix)
{
	struct bmff_sample samples[PER_PIECE];
	struct slice payload[PER_PIECE];
	size_t count = 0;
	for (; count < PER_PIECE && from + count < s->footage.count; count++) {
		const AVPacket *p = s->footage.packets[from + count];
		struct buf *data = buf_copy(p->data, (size_t)p->size);
		assert_non_null(data);
		payload[count] = slice_of(data, 0, data->len);
		buf_unref(&data);
		samples[count] = (struct bmff_sample){
			(uint32_t)p->size, 1024, 0, (p->flags & AV_PKT_FLAG_KEY) != 0};
	}
	struct bmff_run run = {.track_id = 1,
		.decode_time = decode_time,
		.sample_count = (uint32_t)count,
		.samples = samples,
		.payload = payload,
		.payload_count = (uint32_t)count};
	struct fragment_header h = {.flags = samples[0].sync ? FRAGMENT_SYNC : 0, .seq = 1};
	struct buf *body;
	assert_int_equal(bmff_fragment_build(&run, 1, &h, &body), 0);
	*ret_prefix = h.prefix_len;
	for (size_t i = 0; i < count; i++)
		slice_drop(&payload[i]);
	return body;
}

static void street_load(struct street *s)
{
	footage_load(&s->footage, "street-h264.mp4", false);
	const AVCodecParameters *par = s->footage.stream->codecpar;
	struct bmff_init init = {.track_count = 1,
		.tracks = {{.id = 1,
			.media = BMFF_VIDEO,
			.codec = BMFF_H264,
			.timescale = 10240,
			.width = 768,
			.height = 576,
			.config = par->extradata,
			.config_len = (size_t)par->extradata_size}}};
	assert_int_equal(bmff_init_build(&init, &s->init), 0);
	s->count = (s->footage.count + PER_PIECE - 1) / PER_PIECE;
	s->bodies = calloc(s->count, sizeof(*s->bodies));
	assert_non_null(s->bodies);
	for (size_t i = 0; i < s->count; i++) {
		uint32_t prefix;
		s->bodies[i] = build(s, i * PER_PIECE, i % 20 * PER_PIECE * 1024, &prefix);
		if (i == 0)
			s->prefix_len = prefix;
	}
}

static void street_free(struct street *s)
{
	for (size_t i = 0; i < s->count; i++)
		buf_unref(&s->bodies[i]);
	free(s->bodies);
	buf_unref(&s->init);
	footage_free(&s->footage);
}

static struct steppe_fragment piece(const struct street *s, size_t i)
{
	return (struct steppe_fragment){.init = s->init->data,
		.init_len = s->init->len,
		.body = s->bodies[i]->data,
		.len = s->bodies[i]->len,
		.sync = i % 2 == 0,
		.capture_us = T0 + (int64_t)i * US_PER_SECOND,
		.duration_us = US_PER_SECOND};
}

static void test_samples(void **state)
{
	struct street *s = *state;
	struct unpack u = {.count = 0};
	size_t n = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct steppe_fragment f = piece(s, i);
		assert_int_equal(unpack_take(&u, &f), 0);
		assert_int_equal(u.init_changed, i == 0);
		for (size_t k = 0; k < u.count; k++, n++) {
			assert_int_equal(u.samples[k].pts_us, T0 + (int64_t)n * 100000);
			assert_int_equal(u.samples[k].len, s->footage.packets[n]->size);
			assert_memory_equal(
				u.samples[k].data, s->footage.packets[n]->data, u.samples[k].len);
			assert_int_equal(u.samples[k].sync, n % 20 == 0);
		}
	}
	assert_int_equal(n, s->footage.count);
	unpack_fini(&u);
	unpack_fini(&u);
}

static void test_prefix_and_damage(void **state)
{
	struct street *s = *state;
	struct unpack u = {.count = 0};
	struct steppe_fragment f = piece(s, 0);
	f.prefix_only = true;
	f.len = s->prefix_len;
	assert_int_equal(unpack_take(&u, &f), 0);
	assert_int_equal(u.count, 1);
	assert_int_equal(u.samples[0].len, s->footage.packets[0]->size);
	f.damaged = true;
	f.len = 0;
	assert_int_equal(unpack_take(&u, &f), 0);
	assert_int_equal(u.count, 0);
	f = piece(s, 0);
	f.len = 20;
	assert_int_not_equal(unpack_take(&u, &f), 0);
	f = piece(s, 1);
	f.init_len = 9;
	assert_int_not_equal(unpack_take(&u, &f), 0);
	f = piece(s, 1);
	assert_int_equal(unpack_take(&u, &f), 0);
	assert_int_equal(u.count, PER_PIECE);
	unpack_fini(&u);
}

static int to_file(void *user, const void *data, size_t len)
{
	return fwrite(data, 1, len, user) == len ? 0 : -1;
}

/* Packets of a file that was written: as many as the street's, a tenth of a second apart, the same
 * bytes. */
static void same_street(const struct street *s, const char *path)
{
	AVFormatContext *in = NULL;
	AVPacket *p = av_packet_alloc();
	assert_int_equal(avformat_open_input(&in, path, NULL, NULL), 0);
	assert_true(avformat_find_stream_info(in, NULL) >= 0);
	size_t n = 0;
	while (av_read_frame(in, p) >= 0) {
		int64_t us =
			av_rescale_q(p->pts, in->streams[0]->time_base, (AVRational){1, 1000000});
		assert_in_range(us, (int64_t)n * 100000, (int64_t)n * 100000 + 999);
		assert_int_equal(p->size, s->footage.packets[n]->size);
		assert_memory_equal(p->data, s->footage.packets[n]->data, (size_t)p->size);
		n++;
		av_packet_unref(p);
	}
	assert_int_equal(n, s->footage.count);
	av_packet_free(&p);
	avformat_close_input(&in);
}

static void test_fmp4(void **state)
{
	struct street *s = *state;
	char path[] = "/tmp/steppe-fmp4-XXXXXX";
	FILE *to = fdopen(mkstemp(path), "w");
	struct fmp4 m = {.write = to_file, .user = to};
	for (size_t i = 0; i < s->count; i++) {
		struct steppe_fragment f = piece(s, i);
		assert_int_equal(fmp4_take(&m, &f), 0);
	}
	fmp4_fini(&m);
	fclose(to);
	same_street(s, path);
	unlink(path);
}

static void test_mkv_refuses(void **state)
{
	struct street *s = *state;
	struct unpack u = {.count = 0};
	struct steppe_fragment f = piece(s, 0);
	struct mkvfile *file = NULL;
	struct bmff_init none = {.track_count = 1,
		.tracks = {{.id = 1,
			.media = BMFF_METADATA,
			.codec = BMFF_TEXT_METADATA,
			.timescale = 1000}}};
	assert_int_equal(unpack_take(&u, &f), 0);
	assert_int_equal(mkvfile_open("/tmp/steppe-none.mkv", &none, T0, &file), -ENOTSUP);
	assert_int_not_equal(mkvfile_open("/no/such/place", &u.init, T0, &file), 0);
	assert_null(file);
	assert_int_equal(mkvfile_close(&file), 0);
	unpack_fini(&u);
}

static void test_mkv_holds_the_street(void **state)
{
	struct street *s = *state;
	char path[] = "/tmp/steppe-mkv-XXXXXX";
	close(mkstemp(path));
	struct unpack u = {.count = 0};
	struct mkvfile *file = NULL;
	for (size_t i = 0; i < s->count; i++) {
		struct steppe_fragment f = piece(s, i);
		assert_int_equal(unpack_take(&u, &f), 0);
		if (!file)
			assert_int_equal(mkvfile_open(path, &u.init, T0, &file), 0);
		for (size_t k = 0; k < u.count; k++)
			assert_int_equal(mkvfile_write(file, &u.samples[k]), 0);
	}
	assert_int_equal(mkvfile_close(&file), 0);
	same_street(s, path);
	unpack_fini(&u);
	unlink(path);
}

static void picture_at(struct street *s, int64_t at_us, int64_t expected_us)
{
	struct picture *p;
	struct unpack u = {.count = 0};
	struct buf *jpeg = NULL;
	int64_t shown_us = 0;
	assert_int_equal(picture_new(at_us, &p), 0);
	for (size_t i = 0; i < 4; i++) {
		struct steppe_fragment f = piece(s, i);
		assert_int_equal(unpack_take(&u, &f), 0);
		assert_int_equal(picture_take(p, &u), 0);
	}
	int error = picture_finish(p, &jpeg, &shown_us);
	if (expected_us < 0) {
		assert_int_equal(error, -ENODATA);
	} else {
		assert_int_equal(error, 0);
		assert_int_equal(shown_us, expected_us);
		assert_true(jpeg->len > 10000);
		assert_memory_equal(jpeg->data, "\xff\xd8", 2);
	}
	buf_unref(&jpeg);
	unpack_fini(&u);
	picture_free(&p);
	picture_free(&p);
}

static void test_picture(void **state)
{
	struct street *s = *state;
	picture_at(s, T0 + 1250000, T0 + 1200000);
	picture_at(s, T0, T0);
	picture_at(s, T0 - 1, -1);
	picture_at(s, T0 + 60 * US_PER_SECOND, T0 + 3900000);
}

static int set_up(void **state)
{
	static struct street street;
	street_load(&street);
	*state = &street;
	return 0;
}

static int tear_down(void **state)
{
	street_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_prefix_and_damage),
		cmocka_unit_test(test_fmp4),
		cmocka_unit_test(test_mkv_refuses),
		cmocka_unit_test(test_mkv_holds_the_street),
		cmocka_unit_test(test_picture),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
