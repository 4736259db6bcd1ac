/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <libavcodec/bsf.h>

#include "footage.h"

const char *footage_path(const char *name)
{
	static char path[512];
	const char *root = getenv("STEPPE_SOURCE_ROOT");
	snprintf(path, sizeof(path), "%s/tests/media/%s", root ? root : ".", name);
	return path;
}

static void keep(struct footage *f, AVPacket *packet)
{
	f->packets = realloc(f->packets, (f->count + 1) * sizeof(*f->packets));
	assert_non_null(f->packets);
	f->packets[f->count] = av_packet_clone(packet);
	assert_non_null(f->packets[f->count++]);
}

void footage_load(struct footage *f, const char *name, bool annexb)
{
	*f = (struct footage){.count = 0};
	assert_int_equal(avformat_open_input(&f->context, footage_path(name), NULL, NULL), 0);
	assert_true(avformat_find_stream_info(f->context, NULL) >= 0);
	int video = av_find_best_stream(f->context, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
	assert_true(video >= 0);
	f->stream = f->context->streams[video];
	AVBSFContext *filter = NULL;
	const char *filter_name = !annexb ? "null"
				  : f->stream->codecpar->codec_id == AV_CODEC_ID_H264
					  ? "h264_mp4toannexb"
					  : "hevc_mp4toannexb";
	assert_int_equal(av_bsf_alloc(av_bsf_get_by_name(filter_name), &filter), 0);
	avcodec_parameters_copy(filter->par_in, f->stream->codecpar);
	assert_int_equal(av_bsf_init(filter), 0);
	AVPacket *packet = av_packet_alloc();
	while (av_read_frame(f->context, packet) >= 0) {
		if (packet->stream_index != video) {
			av_packet_unref(packet);
			continue;
		}
		assert_int_equal(av_bsf_send_packet(filter, packet), 0);
		while (av_bsf_receive_packet(filter, packet) == 0) {
			keep(f, packet);
			av_packet_unref(packet);
		}
	}
	av_packet_free(&packet);
	av_bsf_free(&filter);
}

void footage_free(struct footage *f)
{
	for (size_t i = 0; i < f->count; i++)
		av_packet_free(&f->packets[i]);
	free(f->packets);
	avformat_close_input(&f->context);
}
