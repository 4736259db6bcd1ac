/* SPDX-License-Identifier: Apache-2.0 */
/* A camera for tests: serves media files, looped in real time, as live RTSP streams over TCP and
 * UDP with RTCP sender reports.
 *
 *	rtsp_server [--port N] [--user NAME --password WORD] [--frames]
 * MOUNT=FILE[+FILE...][,alaw|ulaw|aac] ...
 *
 * A mount is a path ("gate-7"). Several files play one after the other, round and round: with
 * different resolutions they are a camera that changes its codec configuration. Prints "port N"
 * once it serves, and with --frames a line for each picture sent: "frame MOUNT INDEX WALL_US", so
 * that a test knows which instant belongs to which picture. Ends at SIGTERM or SIGINT. */
#include <errno.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/rtsp-server/rtsp-server.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct picture {
	uint8_t *data;
	size_t len;
	int64_t pts_ns, duration_ns; /* pts within the loop */
};

struct mount {
	const char *path;
	const char *audio; /* NULL, "alaw", "ulaw", "aac" */
	enum AVCodecID codec;
	struct picture *pictures; /* in decoding order, of all files, one after the other */
	size_t count;
	int64_t length_ns; /* of one round */
	bool print_frames;
};

/* One running pipeline of a mount. */
struct feed {
	const struct mount *mount;
	GstElement *appsrc;
	GThread *thread;
	gint stopping;
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "rtsp_server: %s: %s\n", what, why);
	exit(1);
}

static void add_picture(
	struct mount *m, const AVPacket *pkt, AVRational base, int64_t first_pts, int64_t offset_ns)
{
	struct picture *grown = realloc(m->pictures, (m->count + 1) * sizeof(*grown));
	uint8_t *data = malloc((size_t)pkt->size);
	if (!grown || !data)
		die(m->path, "out of memory");
	memcpy(data, pkt->data, (size_t)pkt->size);
	const AVRational ns = {1, 1000000000};
	m->pictures = grown;
	grown[m->count++] = (struct picture){.data = data,
		.len = (size_t)pkt->size,
		.pts_ns = offset_ns + av_rescale_q(pkt->pts - first_pts, base, ns),
		.duration_ns = av_rescale_q(pkt->duration, base, ns)};
}

/* Reads all video of `file` as Annex B access units and appends it to the mount's round. */
static void load(struct mount *m, const char *file)
{
	AVFormatContext *in = NULL;
	AVBSFContext *annexb = NULL;
	AVPacket *pkt = av_packet_alloc();
	if (!pkt || avformat_open_input(&in, file, NULL, NULL) < 0 ||
		avformat_find_stream_info(in, NULL) < 0)
		die(file, "cannot be read");
	int video = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
	if (video < 0)
		die(file, "has no video");
	const AVStream *st = in->streams[video];
	m->codec = st->codecpar->codec_id;
	const char *name = m->codec == AV_CODEC_ID_H264 ? "h264_mp4toannexb" : "hevc_mp4toannexb";
	if (av_bsf_alloc(av_bsf_get_by_name(name), &annexb) < 0 ||
		avcodec_parameters_copy(annexb->par_in, st->codecpar) < 0 ||
		av_bsf_init(annexb) < 0)
		die(file, "no Annex B filter");
	int64_t offset_ns = m->length_ns;
	int64_t first_pts = st->start_time == AV_NOPTS_VALUE ? 0 : st->start_time;
	while (av_read_frame(in, pkt) >= 0) {
		if (pkt->stream_index != video || av_bsf_send_packet(annexb, pkt) < 0) {
			av_packet_unref(pkt);
			continue;
		}
		while (av_bsf_receive_packet(annexb, pkt) >= 0) {
			add_picture(m, pkt, st->time_base, first_pts, offset_ns);
			const struct picture *p = &m->pictures[m->count - 1];
			if (p->pts_ns + p->duration_ns > m->length_ns)
				m->length_ns = p->pts_ns + p->duration_ns;
			av_packet_unref(pkt);
		}
	}
	av_packet_free(&pkt);
	av_bsf_free(&annexb);
	avformat_close_input(&in);
}

static gpointer feed_run(gpointer user)
{
	struct feed *f = user;
	const struct mount *m = f->mount;
	GstClockTime start = gst_element_get_current_running_time(f->appsrc);
	if (start == GST_CLOCK_TIME_NONE)
		start = 0;
	gint64 start_mono_us = g_get_monotonic_time();
	gint64 start_wall_us = g_get_real_time();
	for (uint64_t n = 0; !g_atomic_int_get(&f->stopping); n++) {
		const struct picture *p = &m->pictures[n % m->count];
		int64_t at_ns = p->pts_ns + (int64_t)(n / m->count) * m->length_ns;
		gint64 wait_us;
		while ((wait_us = start_mono_us + at_ns / 1000 - g_get_monotonic_time()) > 0 &&
			!g_atomic_int_get(&f->stopping))
			g_usleep((gulong)MIN(wait_us, 50000));
		GstBuffer *buffer = gst_buffer_new_allocate(NULL, p->len, NULL);
		gst_buffer_fill(buffer, 0, p->data, p->len);
		GST_BUFFER_PTS(buffer) = start + (GstClockTime)at_ns;
		GST_BUFFER_DURATION(buffer) = (GstClockTime)p->duration_ns;
		if (m->print_frames) {
			printf("frame %s %zu %" G_GINT64_FORMAT "\n", m->path,
				(size_t)(n % m->count), start_wall_us + at_ns / 1000);
			fflush(stdout);
		}
		if (gst_app_src_push_buffer(GST_APP_SRC(f->appsrc), buffer) != GST_FLOW_OK)
			break;
	}
	return NULL;
}

static void feed_stop(GstRTSPMedia *media, gpointer user)
{
	(void)media;
	struct feed *f = user;
	g_atomic_int_set(&f->stopping, 1);
	if (f->thread)
		g_thread_join(f->thread);
	gst_object_unref(f->appsrc);
	g_free(f);
}

/* The pipeline is up and wants its first picture: time runs from here. */
static void feed_start(GstAppSrc *appsrc, guint length, gpointer user)
{
	(void)appsrc;
	(void)length;
	struct feed *f = user;
	if (!f->thread)
		f->thread = g_thread_new("feed", feed_run, f);
}

/* The tone generator offers to seek; a camera cannot, and the server refuses to play when only some
 * of its streams can. */
static GstPadProbeReturn no_seeking(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
	(void)pad;
	(void)user;
	GstQuery *query = GST_PAD_PROBE_INFO_QUERY(info);
	if (GST_QUERY_TYPE(query) != GST_QUERY_SEEKING)
		return GST_PAD_PROBE_OK;
	gst_query_set_seeking(query, GST_FORMAT_TIME, FALSE, 0, -1);
	return GST_PAD_PROBE_HANDLED;
}

static void forbid_seeking(GstElement *bin)
{
	GstElement *pay = gst_bin_get_by_name(GST_BIN(bin), "pay1");
	if (!pay)
		return;
	GstPad *pad = gst_element_get_static_pad(pay, "src");
	gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, no_seeking, NULL, NULL);
	gst_object_unref(pad);
	gst_object_unref(pay);
}

static void configure(GstRTSPMediaFactory *factory, GstRTSPMedia *media, gpointer user)
{
	(void)factory;
	struct feed *f = g_new0(struct feed, 1);
	f->mount = user;
	GstElement *bin = gst_rtsp_media_get_element(media);
	f->appsrc = gst_bin_get_by_name(GST_BIN(bin), "video");
	forbid_seeking(bin);
	gst_object_unref(bin);
	g_signal_connect(f->appsrc, "need-data", G_CALLBACK(feed_start), f);
	g_signal_connect(media, "unprepared", G_CALLBACK(feed_stop), f);
	gst_rtsp_media_set_reusable(media, FALSE);
}

static const char *audio_pipeline(const char *audio)
{
	if (!audio)
		return "";
	if (strcmp(audio, "alaw") == 0)
		return " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1 ! "
		       "alawenc ! "
		       "rtppcmapay name=pay1 pt=8";
	if (strcmp(audio, "ulaw") == 0)
		return " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1 ! "
		       "mulawenc ! "
		       "rtppcmupay name=pay1 pt=0";
	if (strcmp(audio, "aac") == 0)
		return " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=16000,channels=1 "
		       "! voaacenc ! "
		       "rtpmp4gpay name=pay1 pt=97";
	die(audio, "not alaw, ulaw or aac");
}

static void serve(GstRTSPServer *server, struct mount *m)
{
	const char *kind = m->codec == AV_CODEC_ID_H264 ? "h264" : "h265";
	char *launch = g_strdup_printf(
		"( appsrc name=video is-live=true format=time "
		"caps=video/x-%s,stream-format=byte-stream,alignment=au ! %sparse ! "
		"rtp%spay name=pay0 pt=96 config-interval=-1%s )",
		kind, kind, kind, audio_pipeline(m->audio));
	GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
	gst_rtsp_media_factory_set_launch(factory, launch);
	gst_rtsp_media_factory_set_shared(factory, TRUE);
	gst_rtsp_media_factory_set_protocols(
		factory, GST_RTSP_LOWER_TRANS_TCP | GST_RTSP_LOWER_TRANS_UDP);
	gst_rtsp_media_factory_set_latency(factory, 0);
	g_signal_connect(factory, "media-configure", G_CALLBACK(configure), m);
	GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);
	char *path = g_strdup_printf("/%s", m->path);
	gst_rtsp_media_factory_add_role(factory, "user", GST_RTSP_PERM_MEDIA_FACTORY_ACCESS,
		G_TYPE_BOOLEAN, TRUE, GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, G_TYPE_BOOLEAN, TRUE,
		NULL);
	gst_rtsp_mount_points_add_factory(mounts, path, factory);
	g_object_unref(mounts);
	g_free(path);
	g_free(launch);
}

/* "MOUNT=FILE[+FILE...][,AUDIO]"; cuts `text` up in place. */
static struct mount *mount_parse(char *text, bool print_frames)
{
	struct mount *m = calloc(1, sizeof(*m));
	char *files = strchr(text, '=');
	if (!m || !files)
		die(text, "not MOUNT=FILE");
	*files++ = 0;
	m->path = text;
	m->print_frames = print_frames;
	char *audio = strrchr(files, ',');
	if (audio) {
		*audio = 0;
		m->audio = audio + 1;
	}
	for (char *rest = files, *file; (file = strsep(&rest, "+"));)
		load(m, file);
	if (m->count == 0)
		die(files, "has no pictures");
	return m;
}

static void protect(GstRTSPServer *server, const char *user, const char *password)
{
	GstRTSPAuth *auth = gst_rtsp_auth_new();
	GstRTSPToken *token =
		gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, "user", NULL);
	gst_rtsp_auth_set_supported_methods(auth, GST_RTSP_AUTH_DIGEST);
	gst_rtsp_auth_add_digest(auth, user, password, token);
	gst_rtsp_token_unref(token);
	gst_rtsp_server_set_auth(server, auth);
	g_object_unref(auth);
}

static gboolean quit(gpointer user)
{
	g_main_loop_quit(user);
	return G_SOURCE_REMOVE;
}

static gboolean sweep(gpointer user)
{
	GstRTSPSessionPool *pool = gst_rtsp_server_get_session_pool(user);
	gst_rtsp_session_pool_cleanup(pool);
	g_object_unref(pool);
	return G_SOURCE_CONTINUE;
}

/* GLib and GStreamer keep memory until the process ends: under the address sanitizer that is not this program's leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

int main(int argc, char **argv)
{
	const char *port = "0", *user = NULL, *password = NULL;
	bool frames = false;
	gst_init(&argc, &argv);
	av_log_set_level(AV_LOG_ERROR);
	int i = 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--frames") == 0)
			frames = true;
		else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
			port = argv[++i];
		else if (strcmp(argv[i], "--user") == 0 && i + 1 < argc)
			user = argv[++i];
		else if (strcmp(argv[i], "--password") == 0 && i + 1 < argc)
			password = argv[++i];
		else
			die(argv[i], "not an option");
	}
	if (i == argc)
		die("usage", "[--port N] [--user NAME --password WORD] [--frames] "
			     "MOUNT=FILE[+FILE...][,alaw|ulaw|aac] ...");
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	GstRTSPServer *server = gst_rtsp_server_new();
	gst_rtsp_server_set_address(server, "127.0.0.1");
	gst_rtsp_server_set_service(server, port);
	if (user && password)
		protect(server, user, password);
	for (; i < argc; i++)
		serve(server, mount_parse(argv[i], frames));
	if (gst_rtsp_server_attach(server, NULL) == 0)
		die(port, "cannot listen");
	g_unix_signal_add(SIGTERM, quit, loop);
	g_unix_signal_add(SIGINT, quit, loop);
	g_timeout_add_seconds(2, sweep, server);
	printf("port %d\n", gst_rtsp_server_get_bound_port(server));
	fflush(stdout);
	g_main_loop_run(loop);
	return 0;
}
