/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear whole or not at all; footage for measuring; percentiles. */
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
#include <libavcodec/avcodec.h>

#include "tools/steppe/benchmedia.h"
#include "tools/steppe/latency.h"
#include "tools/steppe/outfile.h"

static char directory[] = "/tmp/steppe-files-XXXXXX";

static const char *in_directory(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void test_outfile(void **state)
{
	(void)state;
	struct outfile f;
	uint8_t sha256[32];
	uint64_t bytes;
	const char *path = in_directory("x.mp4");
	assert_int_equal(outfile_open(&f, path, false), 0);
	assert_int_equal(outfile_write(&f, "abc", 3), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(outfile_commit(&f), 0);
	assert_int_equal(f.bytes, 3);
	assert_memory_equal(f.sha256, "\xba\x78\x16\xbf", 4);
	assert_int_equal(outfile_hash(path, sha256, &bytes, NULL, NULL), 0);
	assert_memory_equal(sha256, f.sha256, 32);
	assert_int_equal(bytes, 3);
	outfile_drop(&f);
	assert_int_equal(outfile_open(&f, path, false), -EEXIST);
	assert_int_equal(outfile_open(&f, path, true), 0);
	outfile_drop(&f);
	assert_int_equal(
		access(path, F_OK), 0); /* the old one stays when the new one is given up */
	assert_int_equal(access(in_directory("x.mp4.part"), F_OK), -1);
	unlink(in_directory("x.mp4"));
	assert_int_equal(outfile_open(&f, in_directory("no/such/x.mp4"), false), -ENOENT);
	assert_int_equal(
		outfile_hash(in_directory("nothing"), sha256, &bytes, NULL, NULL), -ENOENT);
}

static void numbered(const char *path, unsigned number, const char *name)
{
	char *made = outfile_numbered(path, number);
	assert_string_equal(made, name);
	free(made);
}

static void test_numbered(void **state)
{
	(void)state;
	numbered("case.mp4", 0, "case.mp4");
	numbered("case.mp4", 2, "case.2.mp4");
	numbered("/a.b/case", 1, "/a.b/case.1");
	numbered("./a.b.mp4", 10, "./a.b.10.mp4");
}

/* What is sent for measuring is footage that a decoder takes without a word. */
static void test_benchmedia_decodes(void **state)
{
	(void)state;
	struct benchmedia m;
	assert_int_equal(benchmedia_init(&m, 1), 0);
	struct steppe_track track = benchmedia_track(&m);
	const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_H264);
	AVCodecContext *decoder = avcodec_alloc_context3(codec);
	decoder->extradata = av_mallocz(track.config_len + AV_INPUT_BUFFER_PADDING_SIZE);
	memcpy(decoder->extradata, track.config, track.config_len);
	decoder->extradata_size = (int)track.config_len;
	decoder->err_recognition = AV_EF_EXPLODE | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_CRCCHECK;
	decoder->thread_count = 1;
	assert_int_equal(avcodec_open2(decoder, codec, NULL), 0);
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();
	unsigned shown = 0;
	static const size_t sizes[] = {100, 8000, 40000, 250000, 20, 6000};
	for (unsigned i = 0; i < 600; i++) {
		size_t len, size = sizes[i % 6];
		const uint8_t *data = benchmedia_frame(&m, i % 300 == 0, size, &len);
		assert_non_null(data);
		if (size >= 8000)
			assert_in_range(len, size * 98 / 100, size);
		assert_int_equal(av_new_packet(packet, (int)len), 0);
		memcpy(packet->data, data, len);
		assert_int_equal(avcodec_send_packet(decoder, packet), 0);
		av_packet_unref(packet);
		while (avcodec_receive_frame(decoder, frame) == 0) {
			assert_int_equal(frame->width, BENCHMEDIA_SIDE);
			assert_int_equal(frame->decode_error_flags, 0);
			shown++;
		}
	}
	assert_int_equal(avcodec_send_packet(decoder, NULL), 0);
	while (avcodec_receive_frame(decoder, frame) == 0)
		shown++;
	assert_int_equal(shown, 600);
	av_frame_free(&frame);
	av_packet_free(&packet);
	avcodec_free_context(&decoder);
	benchmedia_fini(&m);
	benchmedia_fini(&m);
}

static void test_latency(void **state)
{
	(void)state;
	struct latency l = {.count = 0};
	assert_int_equal(latency_percentile(&l, 50), 0);
	for (int i = 100; i >= 0; i--)
		latency_add(&l, i);
	assert_int_equal(latency_percentile(&l, 50), 50);
	assert_int_equal(latency_percentile(&l, 95), 95);
	assert_int_equal(latency_percentile(&l, 100), 100);
	latency_add(&l, -5);
	assert_int_equal(latency_percentile(&l, 0), 0);
	latency_fini(&l);
	latency_fini(&l);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outfile),
		cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_benchmedia_decodes),
		cmocka_unit_test(test_latency),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
