/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scenario/footage_mp4.h"

#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool take_track(const AVStream *stream, struct film *film)
{
	const AVCodecParameters *codec = stream->codecpar;
	film->h265 = codec->codec_id == AV_CODEC_ID_HEVC;
	film->timescale = (uint32_t)(stream->time_base.den / stream->time_base.num);
	film->width = (uint16_t)codec->width;
	film->height = (uint16_t)codec->height;
	film->config_len = (size_t)codec->extradata_size;
	film->config = malloc(film->config_len);
	if (film->config)
		memcpy(film->config, codec->extradata, film->config_len);
	return film->config != NULL;
}

static bool take_sample(const AVPacket *packet, struct film *film, size_t *room)
{
	if (film->count == *room) {
		*room = *room ? 2 * *room : 256;
		struct film_sample *samples = realloc(film->samples, *room * sizeof(*samples));
		if (!samples)
			return false;
		film->samples = samples;
	}
	uint8_t *data = malloc((size_t)packet->size);
	if (!data)
		return false;
	memcpy(data, packet->data, (size_t)packet->size);
	film->samples[film->count++] = (struct film_sample){
		.data = data,
		.len = (size_t)packet->size,
		.dts = packet->dts,
		.pts = packet->pts,
		.duration = packet->duration,
		.sync = packet->flags & AV_PKT_FLAG_KEY,
	};
	film->length = packet->dts + packet->duration;
	return true;
}

bool film_read(const char *path, struct film *ret_film)
{
	AVFormatContext *file = NULL;
	AVPacket *packet = av_packet_alloc();
	struct film film = {0};
	size_t room = 0;
	bool ok = packet && avformat_open_input(&file, path, NULL, NULL) >= 0 &&
		  avformat_find_stream_info(file, NULL) >= 0;
	int track = ok ? av_find_best_stream(file, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0) : -1;
	ok = track >= 0 && take_track(file->streams[track], &film);
	while (ok && av_read_frame(file, packet) >= 0) {
		if (packet->stream_index == track)
			ok = take_sample(packet, &film, &room);
		av_packet_unref(packet);
	}
	av_packet_free(&packet);
	avformat_close_input(&file);
	if (!ok || !film.count) {
		fprintf(stderr, "%s: no film\n", path);
		film_free(&film);
		return false;
	}
	*ret_film = film;
	return true;
}

void film_free(struct film *film)
{
	for (size_t i = 0; i < film->count; i++)
		free((void *)(uintptr_t)film->samples[i].data);
	free(film->samples);
	free(film->config);
	*film = (struct film){0};
}
