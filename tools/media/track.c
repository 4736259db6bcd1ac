/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/track.h"

#include <errno.h>

#include "base/clock.h"
#include "base/errors.h"
#include "tools/media/frameheader.h"

#define TIMESCALE_MAX     1000000
#define TIMESCALE_DEFAULT 90000

static const struct {
	enum AVCodecID id;
	enum steppe_codec codec;
} codecs[] = {
	{AV_CODEC_ID_H264, STEPPE_H264},
	{AV_CODEC_ID_HEVC, STEPPE_H265},
	{AV_CODEC_ID_MJPEG, STEPPE_MJPEG},
	{AV_CODEC_ID_AAC, STEPPE_AAC},
	{AV_CODEC_ID_PCM_ALAW, STEPPE_PCMA},
	{AV_CODEC_ID_PCM_MULAW, STEPPE_PCMU},
};

static enum steppe_codec codec_of(enum AVCodecID id)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (codecs[i].id == id)
			return codecs[i].codec;
	return 0;
}

bool track_is_supported(const AVCodecParameters *par)
{
	return codec_of(par->codec_id) != 0;
}

static bool has_units(const struct track *t)
{
	return t->description.codec == STEPPE_H264 || t->description.codec == STEPPE_H265;
}

static bool is_g711(const struct track *t)
{
	return t->description.codec == STEPPE_PCMA || t->description.codec == STEPPE_PCMU;
}

static uint32_t timescale_of(const AVStream *st)
{
	if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && st->codecpar->sample_rate > 0)
		return (uint32_t)st->codecpar->sample_rate;
	if (st->time_base.num == 1 && st->time_base.den >= 1000 &&
		st->time_base.den <= TIMESCALE_MAX)
		return (uint32_t)st->time_base.den;
	return TIMESCALE_DEFAULT;
}

static int64_t frame_duration(const AVStream *st, uint32_t timescale)
{
	AVRational rate = st->avg_frame_rate.num > 0 ? st->avg_frame_rate : st->r_frame_rate;
	if (rate.num <= 0 || rate.den <= 0)
		return timescale / 25;
	return av_rescale(timescale, rate.den, rate.num);
}

/* Makes the description from the parameter sets as they are now. */
static int describe(struct track *t)
{
	struct paramsets_picture picture;
	struct buf *config;
	if (!paramsets_complete(&t->unit.sets) || paramsets_picture(&t->unit.sets, &picture))
		return 0;
	int error = paramsets_config(&t->unit.sets, &config);
	if (error)
		return error;
	buf_unref(&t->config);
	t->config = config;
	t->description.config = config->data;
	t->description.config_len = config->len;
	t->description.width = picture.width;
	t->description.height = picture.height;
	if (!t->reorder_known)
		reorder_init(&t->reorder, picture.reorder, t->usual_duration);
	t->reorder_known = true;
	t->ready = true;
	return 0;
}

static int init_audio(struct track *t, const AVCodecParameters *par)
{
	t->description.channels =
		(uint16_t)(par->ch_layout.nb_channels > 0 ? par->ch_layout.nb_channels : 1);
	t->description.sample_rate = (uint32_t)par->sample_rate;
	if (t->description.codec == STEPPE_AAC) {
		if (par->extradata_size < 2)
			return 0; /* told by the ADTS header of the first frame */
		t->config = buf_copy(par->extradata, (size_t)par->extradata_size);
		if (!t->config)
			return -ENOMEM;
		t->description.config = t->config->data;
		t->description.config_len = t->config->len;
	}
	t->ready = par->sample_rate > 0;
	return 0;
}

int track_init(struct track *t, const AVStream *st, bool nal_units)
{
	const AVCodecParameters *par = st->codecpar;
	uint32_t timescale = timescale_of(st);
	*t = (struct track){.stream_index = st->index,
		.base = st->time_base,
		.is_video = par->codec_type == AVMEDIA_TYPE_VIDEO};
	t->description = (struct steppe_track)STEPPE_INIT(steppe_track);
	t->description.codec = codec_of(par->codec_id);
	t->description.timescale = timescale;
	t->usual_duration = frame_duration(st, timescale);
	t->gather.tolerance = timescale / 1000;
	reorder_init(&t->reorder, -1, t->usual_duration);
	if (!t->is_video)
		return init_audio(t, par);
	t->description.width = (uint16_t)par->width;
	t->description.height = (uint16_t)par->height;
	if (!has_units(t)) {
		t->ready = par->width > 0 && par->height > 0;
		return 0;
	}
	t->nal_units = nal_units;
	accessunit_init(&t->unit, t->description.codec);
	/* a damaged record of the container is no reason to refuse: the sets come again in the
	 * stream */
	if (accessunit_configure(&t->unit, par->extradata, (size_t)par->extradata_size) == -ENOMEM)
		return -ENOMEM;
	return describe(t);
}

void track_fini(struct track *t)
{
	if (has_units(t))
		accessunit_fini(&t->unit);
	gather_fini(&t->gather);
	buf_unref(&t->config);
	t->ready = false;
}

void track_restart(struct track *t)
{
	gather_clear(&t->gather);
	reorder_init(&t->reorder, (int)t->reorder.depth, t->usual_duration);
	t->has_last = false;
}

static int64_t to_ticks(const struct track *t, int64_t v)
{
	return v == AV_NOPTS_VALUE
		       ? v
		       : av_rescale_q(v, t->base, (AVRational){1, (int)t->description.timescale});
}

/* The sender's time of a packet. libavformat 5.1 counts a wrap of the 32-bit RTP clock wrongly by
 * just that much. */
static int64_t sender_time(const struct track *t, const AVPacket *packet, int64_t receipt_us)
{
	size_t size;
	const uint8_t *side = av_packet_get_side_data(packet, AV_PKT_DATA_PRFT, &size);
	if (!side || size < sizeof(AVProducerReferenceTime))
		return -1;
	int64_t at = ((const AVProducerReferenceTime *)(const void *)side)->wallclock;
	int64_t wrap = av_rescale_q(INT64_C(1) << 32, t->base, (AVRational){1, 1000000});
	if (at - receipt_us < -wrap / 2 && at - receipt_us > -wrap * 3 / 2)
		at += wrap;
	else if (at - receipt_us > wrap / 2 && at - receipt_us < wrap * 3 / 2)
		at -= wrap;
	return at < 0 ? -1 : at;
}

/* Times that are missing or stand still are mended: decoding times must grow. */
static void mend_times(struct track *t, struct track_unit *u)
{
	int64_t next = t->has_last ? t->last_dts + t->usual_duration : 0;
	if (u->pts == AV_NOPTS_VALUE && u->dts == AV_NOPTS_VALUE)
		u->pts = u->dts = next;
	else if (u->pts == AV_NOPTS_VALUE)
		u->pts = u->dts;
	else if (u->dts == AV_NOPTS_VALUE)
		u->dts = t->is_video ? reorder_next(&t->reorder, u->pts) : u->pts;
	/* a jump back by more than a second is a new run, which the source judges */
	if (t->has_last && u->dts <= t->last_dts && t->last_dts - u->dts < t->description.timescale)
		u->dts = t->last_dts + 1;
	if (u->duration > 0)
		t->usual_duration = u->duration;
	t->last_dts = u->dts;
	t->has_last = true;
}

static int finish_picture(struct track *t, struct track_unit *u)
{
	struct accessunit_result r;
	int error = accessunit_convert(&t->unit, u->data, u->len, &r);
	if (error)
		return error;
	if (r.damaged)
		t->damaged++;
	if (r.len == 0)
		return 0;
	if ((r.config_changed || !t->ready) && r.sync) {
		error = describe(t);
		if (error)
			return error;
		u->tracks_changed = t->ready;
	}
	u->data = r.data;
	u->len = r.len;
	u->sync = r.sync;
	u->sync_open = r.sync_open;
	mend_times(t, u);
	return 1;
}

static int finish_audio(struct track *t, struct track_unit *u)
{
	struct adts adts;
	if (t->description.codec == STEPPE_AAC && adts_parse(u->data, u->len, &adts) == 0 &&
		(!t->config || t->config->len == 2)) {
		if (!t->config) {
			t->config = buf_copy(adts.config, sizeof(adts.config));
			if (!t->config)
				return -ENOMEM;
			t->description.config = t->config->data;
			t->description.config_len = t->config->len;
			t->description.channels = adts.channels;
			t->description.sample_rate = adts.sample_rate;
			t->ready = u->tracks_changed = true;
		}
		u->data += adts.header_len;
		u->len = adts.frame_len - adts.header_len;
	}
	if (is_g711(t) && t->description.channels > 0)
		u->duration = (int64_t)u->len / t->description.channels;
	u->sync = true;
	mend_times(t, u);
	return u->len > 0;
}

static int finish_jpeg(struct track *t, struct track_unit *u)
{
	uint16_t width, height;
	if (jpeg_size(u->data, u->len, &width, &height))
		return 0;
	if (!t->ready || width != t->description.width || height != t->description.height) {
		t->description.width = width;
		t->description.height = height;
		t->ready = u->tracks_changed = true;
	}
	u->sync = true;
	mend_times(t, u);
	return 1;
}

static int finish(struct track *t, struct track_unit *u)
{
	if (has_units(t))
		return finish_picture(t, u);
	return t->is_video ? finish_jpeg(t, u) : finish_audio(t, u);
}

/* Gives the picture that is complete because `packet` begins another, then holds the packet. */
static int take_nal_unit(
	struct track *t, const AVPacket *packet, int64_t receipt_us, struct track_unit *ret_unit)
{
	struct gather *g = &t->gather;
	int64_t pts = packet && packet->pts != AV_NOPTS_VALUE ? to_ticks(t, packet->pts) : g->pts;
	bool continues =
		packet && accessunit_continues(&t->unit, packet->data, (size_t)packet->size);
	int complete = 0;
	if (packet ? gather_ends(g, pts, continues) : g->len > 0) {
		struct track_unit u = {.data = g->data,
			.len = g->len,
			.pts = g->pts,
			.dts = AV_NOPTS_VALUE,
			.sender_us = g->sender_us,
			.receipt_us = g->receipt_us};
		complete = finish_picture(t, &u);
		gather_clear(g);
		if (complete == 1)
			*ret_unit = u;
	}
	if (complete < 0 || !packet)
		return complete;
	if (g->len == 0) {
		g->pts = pts;
		g->receipt_us = receipt_us;
		g->sender_us = sender_time(t, packet, receipt_us);
	}
	int error = gather_add(g, packet->data, (size_t)packet->size);
	return error ? error : complete;
}

int track_take(
	struct track *t, const AVPacket *packet, int64_t receipt_us, struct track_unit *ret_unit)
{
	if (t->nal_units)
		return take_nal_unit(t, packet, receipt_us, ret_unit);
	if (!packet || packet->size <= 0)
		return 0;
	struct track_unit u = {.data = packet->data,
		.len = (size_t)packet->size,
		.pts = to_ticks(t, packet->pts),
		.dts = to_ticks(t, packet->dts),
		.duration = to_ticks(t, packet->duration),
		.sender_us = sender_time(t, packet, receipt_us),
		.receipt_us = receipt_us};
	int complete = finish(t, &u);
	if (complete == 1)
		*ret_unit = u;
	return complete;
}
