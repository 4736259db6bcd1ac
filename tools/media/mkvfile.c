/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/mkvfile.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <stdlib.h>
#include <string.h>

#include "tools/media/avlog.h"

struct mkvfile {
	AVFormatContext *context;
	AVPacket *packet;
	int64_t start_us;
	bool begun; /* the header is written */
	int error;  /* sticks */
};

static const struct {
	enum AVCodecID id;
	enum AVMediaType type;
} codecs[] = {
	[BMFF_H264] = {AV_CODEC_ID_H264, AVMEDIA_TYPE_VIDEO},
	[BMFF_H265] = {AV_CODEC_ID_HEVC, AVMEDIA_TYPE_VIDEO},
	[BMFF_AAC] = {AV_CODEC_ID_AAC, AVMEDIA_TYPE_AUDIO},
	[BMFF_PCMA] = {AV_CODEC_ID_PCM_ALAW, AVMEDIA_TYPE_AUDIO},
	[BMFF_PCMU] = {AV_CODEC_ID_PCM_MULAW, AVMEDIA_TYPE_AUDIO},
	[BMFF_MJPEG] = {AV_CODEC_ID_MJPEG, AVMEDIA_TYPE_VIDEO},
};

static bool is_kept(const struct bmff_track *t)
{
	return (size_t)t->codec < sizeof(codecs) / sizeof(codecs[0]);
}

static int fill(AVCodecParameters *par, const struct bmff_track *t)
{
	par->codec_type = codecs[t->codec].type;
	par->codec_id = codecs[t->codec].id;
	par->width = t->width;
	par->height = t->height;
	par->sample_rate = (int)t->sample_rate;
	if (par->codec_type == AVMEDIA_TYPE_AUDIO)
		av_channel_layout_default(&par->ch_layout, t->channels ? t->channels : 1);
	if (t->codec == BMFF_PCMA || t->codec == BMFF_PCMU)
		par->bits_per_coded_sample = 8;
	if (t->config_len == 0)
		return 0;
	par->extradata = av_mallocz(t->config_len + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!par->extradata)
		return -ENOMEM;
	memcpy(par->extradata, t->config, t->config_len);
	par->extradata_size = (int)t->config_len;
	return 0;
}

static int add_streams(struct mkvfile *m, const struct bmff_init *init)
{
	for (unsigned i = 0; i < init->track_count; i++) {
		AVStream *st = avformat_new_stream(m->context, NULL);
		if (!st)
			return -ENOMEM;
		st->time_base = (AVRational){1, 1000000};
		if (!is_kept(&init->tracks[i]))
			return -ENOTSUP;
		int error = fill(st->codecpar, &init->tracks[i]);
		if (error)
			return error;
	}
	return 0;
}

static int begin(struct mkvfile *m, const char *path, const struct bmff_init *init)
{
	int error = avformat_alloc_output_context2(&m->context, NULL, "matroska", path);
	m->packet = av_packet_alloc();
	if (error < 0 || !m->packet)
		return error < 0 ? error : -ENOMEM;
	m->context->start_time_realtime = m->start_us;
	error = add_streams(m, init);
	if (error < 0)
		return error;
	error = avio_open(&m->context->pb, path, AVIO_FLAG_WRITE);
	if (error < 0)
		return error;
	error = avformat_write_header(m->context, NULL);
	m->begun = error >= 0;
	return error < 0 ? error : 0;
}

int mkvfile_open(
	const char *path, const struct bmff_init *init, int64_t start_us, struct mkvfile **ret_file)
{
	avlog_install();
	struct mkvfile *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->start_us = start_us;
	int error = begin(m, path, init);
	if (error) {
		(void)mkvfile_close(&m); /* what went wrong is known */
		return error;
	}
	*ret_file = m;
	return 0;
}

int mkvfile_write(struct mkvfile *m, const struct unpacked *s)
{
	if (m->error)
		return m->error;
	int error = av_new_packet(m->packet, (int)s->len);
	if (error < 0)
		return m->error = error;
	memcpy(m->packet->data, s->data, s->len);
	const AVStream *st = m->context->streams[s->track];
	const AVRational us = {1, 1000000};
	m->packet->stream_index = (int)s->track;
	m->packet->pts = av_rescale_q(s->pts_us - m->start_us, us, st->time_base);
	m->packet->dts = av_rescale_q(s->dts_us - m->start_us, us, st->time_base);
	m->packet->duration = av_rescale_q(s->duration_us, us, st->time_base);
	m->packet->flags = s->sync ? AV_PKT_FLAG_KEY : 0;
	error = av_interleaved_write_frame(m->context, m->packet);
	av_packet_unref(m->packet);
	return m->error = error < 0 ? error : 0;
}

int mkvfile_close(struct mkvfile **file)
{
	struct mkvfile *m = *file;
	if (!m)
		return 0;
	int error = m->error;
	*file = NULL;
	if (m->begun && av_write_trailer(m->context) < 0 && !error)
		error = -EIO;
	if (m->context && m->context->pb && avio_closep(&m->context->pb) < 0 && !error)
		error = -EIO;
	avformat_free_context(m->context);
	av_packet_free(&m->packet);
	free(m);
	return error;
}
