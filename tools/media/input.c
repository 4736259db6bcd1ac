/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/errors.h"
#include "tools/media/avlog.h"

static int64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static int64_t wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

static int interrupted(void *user)
{
	const struct input *in = user;
	return atomic_load_explicit(in->stopping, memory_order_relaxed) ||
	       (in->live && mono_ns() > in->deadline_ns);
}

static void arm(struct input *in)
{
	in->deadline_ns = mono_ns() + in->timeout_s * NS_PER_SECOND;
}

static void set_rtsp_options(AVDictionary **d, const struct input_options *o)
{
	char us[24];
	snprintf(us, sizeof(us), "%lld", (long long)o->timeout_s * 1000000);
	av_dict_set(d, "rtsp_transport", o->udp ? "udp" : "tcp", 0);
	av_dict_set(d, "timeout", us, 0);
	av_dict_set(d, "user_agent", "steppe", 0);
	av_dict_set(d, "allowed_media_types", o->no_audio ? "video" : "video+audio", 0);
	av_dict_set(d, "buffer_size", "4194304", 0);
}

static int open_context(struct input *in, const struct input_options *o)
{
	in->context = avformat_alloc_context();
	in->packet = av_packet_alloc();
	if (!in->context || !in->packet)
		return -ENOMEM;
	in->context->interrupt_callback = (AVIOInterruptCB){interrupted, in};
	AVDictionary *dict = NULL;
	if (o->rtsp) {
		set_rtsp_options(&dict, o);
		/* Its parser would hang one picture's sender time on the picture before: units are
		 * put together here. */
		in->context->flags |= AVFMT_FLAG_NOPARSE | AVFMT_FLAG_NOFILLIN;
	}
	if (o->live)
		in->context->max_analyze_duration = 5 * US_PER_SECOND;
	arm(in);
	int error = avformat_open_input(&in->context, o->url, NULL, &dict);
	av_dict_free(&dict);
	if (error < 0)
		return error;
	/* RTSP describes its streams by itself; looking further would cost seconds. */
	if (!o->rtsp || in->context->nb_streams == 0) {
		arm(in);
		error = avformat_find_stream_info(in->context, NULL);
	}
	return error < 0 ? error : 0;
}

static void note(struct input *in, const char *kind, const AVCodecParameters *par)
{
	size_t at = strlen(in->note);
	snprintf(in->note + at, sizeof(in->note) - at, "%s%s %s is not kept", at ? "; " : "", kind,
		avcodec_get_name(par->codec_id));
}

/* Takes the best stream of a kind, if there is one that can be kept. */
static int add_track(struct input *in, enum AVMediaType kind, bool nal_units)
{
	int index = av_find_best_stream(in->context, kind, -1, -1, NULL, 0);
	if (index < 0)
		return 0;
	const AVStream *st = in->context->streams[index];
	if (!track_is_supported(st->codecpar)) {
		note(in, kind == AVMEDIA_TYPE_VIDEO ? "video" : "audio", st->codecpar);
		return kind == AVMEDIA_TYPE_VIDEO ? -ENOTSUP : 0;
	}
	struct track *t = &in->tracks[in->track_count++];
	int error = track_init(t, st, nal_units);
	if (error < 0)
		return error;
	if (kind == AVMEDIA_TYPE_AUDIO && !t->ready && t->description.codec != STEPPE_AAC) {
		note(in, "audio", st->codecpar);
		track_fini(t);
		in->track_count--;
	}
	return 0;
}

static void discard_others(struct input *in)
{
	for (unsigned i = 0; i < in->context->nb_streams; i++) {
		bool kept = false;
		for (unsigned t = 0; t < in->track_count; t++)
			kept = kept || in->tracks[t].stream_index == (int)i;
		if (!kept)
			in->context->streams[i]->discard = AVDISCARD_ALL;
	}
}

int input_open(struct input *in, const struct input_options *o, char *why, size_t why_size)
{
	avlog_install();
	atomic_bool *stopping = in->stopping;
	*in = (struct input){.stopping = stopping,
		.live = o->live,
		.timeout_s = o->timeout_s > 0 ? o->timeout_s : 10};
	int error = open_context(in, o);
	if (!error)
		error = add_track(in, AVMEDIA_TYPE_VIDEO, o->rtsp);
	if (!error && !o->no_audio)
		error = add_track(in, AVMEDIA_TYPE_AUDIO, false);
	if (!error && in->track_count == 0)
		error = -ENODATA;
	if (!error) {
		discard_others(in);
		return 0;
	}
	if (error == -ENOTSUP)
		snprintf(why, why_size, "%.120s (H.264, H.265 and MJPEG are)", in->note);
	else
		input_error_text(error, why, why_size);
	input_close(in);
	return error;
}

void input_close(struct input *in)
{
	for (unsigned i = 0; i < in->track_count; i++)
		track_fini(&in->tracks[i]);
	in->track_count = 0;
	if (in->context)
		arm(in); /* TEARDOWN may take a moment, not for ever */
	avformat_close_input(&in->context);
	av_packet_free(&in->packet);
}

static struct track *track_of(struct input *in, int stream_index)
{
	for (unsigned i = 0; i < in->track_count; i++)
		if (in->tracks[i].stream_index == stream_index)
			return &in->tracks[i];
	return NULL;
}

/* What the tracks still hold at the end of the source. */
static int drain(struct input *in, int end, struct track_unit *ret_unit)
{
	for (unsigned i = 0; i < in->track_count; i++)
		if (track_take(&in->tracks[i], NULL, 0, ret_unit) == 1)
			return (int)i;
	return end;
}

int input_read(struct input *in, struct track_unit *ret_unit)
{
	for (;;) {
		arm(in);
		av_packet_unref(in->packet); /* the last unit's, if it was kept */
		int error = av_read_frame(in->context, in->packet);
		if (error == AVERROR(EAGAIN))
			continue;
		if (error == AVERROR_EXIT)
			return atomic_load(in->stopping) ? -ECANCELED : -ETIMEDOUT;
		if (error < 0)
			return drain(in, error, ret_unit);
		struct track *t = track_of(in, in->packet->stream_index);
		int taken = t ? track_take(t, in->packet, wall_us(), ret_unit) : 0;
		if (taken == 1 && !t->nal_units && ret_unit->data >= in->packet->data &&
			ret_unit->data < in->packet->data + in->packet->size) {
			/* the unit lies in the packet, which must live until the next read */
			return (int)(t - in->tracks);
		}
		av_packet_unref(in->packet);
		/* one picture too large or without sense does not end a stream */
		if (taken < 0 && taken != ERR_LIMIT && taken != ERR_FORMAT)
			return taken;
		if (taken == 1)
			return (int)(t - in->tracks);
	}
}

void input_drop_unready(struct input *in)
{
	unsigned kept = 1;
	for (unsigned i = 1; i < in->track_count; i++) {
		struct track *t = &in->tracks[i];
		if (t->ready) {
			in->tracks[kept++] = *t;
			continue;
		}
		note(in, "silent audio", in->context->streams[t->stream_index]->codecpar);
		track_fini(t);
	}
	in->track_count = kept;
}

int input_rewind(struct input *in)
{
	for (unsigned i = 0; i < in->track_count; i++)
		track_restart(&in->tracks[i]);
	int error = avformat_seek_file(
		in->context, -1, INT64_MIN, INT64_MIN, INT64_MAX, AVSEEK_FLAG_BYTE);
	if (error < 0)
		error = avformat_seek_file(in->context, -1, INT64_MIN, 0, INT64_MAX, 0);
	return error;
}

int64_t input_duration_us(const struct input *in)
{
	return in->context->duration == AV_NOPTS_VALUE || in->context->duration < 0
		       ? -1
		       : in->context->duration;
}

void input_error_text(int code, char *to, size_t size)
{
	const char *words = NULL;
	switch (code) {
	case AVERROR_HTTP_UNAUTHORIZED:
		words = "it refuses the user name or password (401): see \"Passwords\" in "
			"steppe-record(1)";
		break;
	case AVERROR_HTTP_FORBIDDEN:
		words = "it does not let this user in (403)";
		break;
	case AVERROR_HTTP_NOT_FOUND:
		words = "it has no such stream (404): look at the path of the address";
		break;
	case AVERROR_PROTOCOL_NOT_FOUND:
		words = "no such kind of address";
		break;
	case AVERROR_EOF:
		words = "it ended the connection";
		break;
	case AVERROR_EXIT:
	case -ETIMEDOUT:
		words = "nothing came in time";
		break;
	case -ECONNREFUSED:
		words = "connection refused";
		break;
	case -EHOSTUNREACH:
		words = "no route to it";
		break;
	case -ENODATA:
		words = "there is neither video nor audio in it that can be kept";
		break;
	case AVERROR_INVALIDDATA:
		words = "not a media file or stream that can be read";
		break;
	default:
		break;
	}
	if (words)
		snprintf(to, size, "%s", words);
	else if (code <= -2000 && code > -2100)
		snprintf(to, size, "%s", err_text(code));
	else if (av_strerror(code, to, size) < 0)
		snprintf(to, size, "error %d", code);
}
