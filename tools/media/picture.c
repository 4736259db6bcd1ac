/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/picture.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "tools/media/avlog.h"

#define QUALITY 3 /* of mjpeg's scale from 2, the best, to 31 */

struct picture {
	int64_t at_us;
	AVCodecContext *decoder;
	AVPacket *packet;
	AVFrame *frame, *best; /* best: the latest shown at or before the instant */
	bool has_best;
};

int picture_new(int64_t at_us, struct picture **ret_picture)
{
	avlog_install();
	struct picture *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->at_us = at_us;
	p->packet = av_packet_alloc();
	p->frame = av_frame_alloc();
	p->best = av_frame_alloc();
	if (!p->packet || !p->frame || !p->best) {
		picture_free(&p);
		return -ENOMEM;
	}
	*ret_picture = p;
	return 0;
}

void picture_free(struct picture **picture)
{
	struct picture *p = *picture;
	if (!p)
		return;
	*picture = NULL;
	avcodec_free_context(&p->decoder);
	av_packet_free(&p->packet);
	av_frame_free(&p->frame);
	av_frame_free(&p->best);
	free(p);
}

static enum AVCodecID codec_of(const struct bmff_track *t)
{
	switch (t->codec) {
	case BMFF_H264:
		return AV_CODEC_ID_H264;
	case BMFF_H265:
		return AV_CODEC_ID_HEVC;
	case BMFF_MJPEG:
		return AV_CODEC_ID_MJPEG;
	default:
		return AV_CODEC_ID_NONE;
	}
}

static int open_decoder(struct picture *p, const struct bmff_track *t)
{
	const AVCodec *codec = avcodec_find_decoder(codec_of(t));
	avcodec_free_context(&p->decoder);
	if (!codec)
		return -ENOTSUP;
	p->decoder = avcodec_alloc_context3(codec);
	if (!p->decoder)
		return -ENOMEM;
	p->decoder->thread_count = 1;
	p->decoder->pkt_timebase = (AVRational){1, 1000000};
	if (t->config_len > 0) {
		p->decoder->extradata = av_mallocz(t->config_len + AV_INPUT_BUFFER_PADDING_SIZE);
		if (!p->decoder->extradata)
			return -ENOMEM;
		memcpy(p->decoder->extradata, t->config, t->config_len);
		p->decoder->extradata_size = (int)t->config_len;
	}
	return avcodec_open2(p->decoder, codec, NULL) < 0 ? -ENOTSUP : 0;
}

/* Pictures come in the order they are shown. */
static void collect(struct picture *p)
{
	while (avcodec_receive_frame(p->decoder, p->frame) >= 0) {
		if (p->frame->pts <= p->at_us) {
			av_frame_unref(p->best);
			av_frame_move_ref(p->best, p->frame);
			p->has_best = true;
		} else {
			av_frame_unref(p->frame);
		}
	}
}

static int decode(struct picture *p, const struct unpacked *s)
{
	if (av_new_packet(p->packet, (int)s->len) < 0)
		return -ENOMEM;
	memcpy(p->packet->data, s->data, s->len);
	p->packet->pts = s->pts_us;
	p->packet->dts = s->dts_us;
	/* a picture that does not decode is none: the one before stands */
	(void)avcodec_send_packet(p->decoder, p->packet);
	av_packet_unref(p->packet);
	collect(p);
	return 0;
}

int picture_take(struct picture *p, const struct unpack *u)
{
	for (size_t i = 0; i < u->count; i++) {
		const struct bmff_track *t = &u->init.tracks[u->samples[i].track];
		if (t->media != BMFF_VIDEO)
			continue;
		int error = 0;
		if (!p->decoder || (u->init_changed && i == 0))
			error = open_decoder(p, t);
		if (!error)
			error = decode(p, &u->samples[i]);
		if (error)
			return error;
	}
	return 0;
}

/* JPEG wants the full range of values. */
static int convert(const AVFrame *from, AVFrame *to)
{
	to->format = AV_PIX_FMT_YUVJ420P;
	to->width = from->width;
	to->height = from->height;
	to->color_range = AVCOL_RANGE_JPEG;
	if (av_frame_get_buffer(to, 0) < 0)
		return -ENOMEM;
	struct SwsContext *scaler = sws_getContext(from->width, from->height, from->format,
		to->width, to->height, AV_PIX_FMT_YUVJ420P, SWS_BICUBIC, NULL, NULL, NULL);
	if (!scaler)
		return -ENOTSUP;
	const int *table = sws_getCoefficients(SWS_CS_DEFAULT);
	sws_setColorspaceDetails(scaler, table, from->color_range == AVCOL_RANGE_JPEG, table, 1, 0,
		1 << 16, 1 << 16);
	sws_scale(scaler, (const uint8_t *const *)from->data, from->linesize, 0, from->height,
		to->data, to->linesize);
	sws_freeContext(scaler);
	return 0;
}

static int encode(const AVFrame *frame, AVPacket *packet)
{
	const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
	AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!encoder)
		return codec ? -ENOMEM : -ENOTSUP;
	encoder->width = frame->width;
	encoder->height = frame->height;
	encoder->pix_fmt = AV_PIX_FMT_YUVJ420P;
	encoder->color_range = AVCOL_RANGE_JPEG;
	encoder->time_base = (AVRational){1, 25};
	encoder->flags |= AV_CODEC_FLAG_QSCALE;
	encoder->global_quality = QUALITY * FF_QP2LAMBDA;
	int error = avcodec_open2(encoder, codec, NULL);
	if (error >= 0)
		error = avcodec_send_frame(encoder, frame);
	if (error >= 0)
		error = avcodec_receive_packet(encoder, packet);
	avcodec_free_context(&encoder);
	return error < 0 ? ERR_FORMAT : 0;
}

int picture_finish(struct picture *p, struct buf **ret_jpeg, int64_t *ret_us)
{
	if (p->decoder && avcodec_send_packet(p->decoder, NULL) >= 0)
		collect(p);
	if (!p->has_best)
		return -ENODATA;
	AVFrame *full = av_frame_alloc();
	int error = full ? convert(p->best, full) : -ENOMEM;
	if (!error) {
		full->quality = QUALITY * FF_QP2LAMBDA;
		error = encode(full, p->packet);
	}
	if (!error) {
		*ret_jpeg = buf_copy(p->packet->data, (size_t)p->packet->size);
		error = *ret_jpeg ? 0 : -ENOMEM;
		*ret_us = p->best->pts;
	}
	av_packet_unref(p->packet);
	av_frame_free(&full);
	return error;
}
