/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites a file as a fragmented MP4 by our own boxes, for players to judge: remux IN OUT
 * [metadata] [init] Each fragment is also read back, sealed and checked, and the chunk table's size
 * is printed. */
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/bmff.h"
#include "proto/table.h"

#define SAMPLES_MAX   4096
#define STREAMS_MAX   3
#define FRAG_BOX_SIZE 184

struct pending {
	uint32_t count;
	int64_t first_dts;
	struct bmff_sample samples[SAMPLES_MAX];
	struct slice payload[SAMPLES_MAX];
};

struct remux {
	AVFormatContext *in;
	FILE *out;
	uint32_t offset;
	bool with_metadata;
	struct bmff_init init;
	struct pending pending[FRAGMENT_TRACKS_MAX];
	struct chunk_table table;
	uint64_t seq;
	size_t frames;
};

static const char mime[] = "application/json";

static int die(const char *what)
{
	fprintf(stderr, "remux: %s\n", what);
	exit(1);
}

static void describe(struct bmff_track *t, const AVStream *s)
{
	const AVCodecParameters *p = s->codecpar;
	t->timescale = (uint32_t)s->time_base.den;
	CHECK(s->time_base.num == 1);
	t->config = p->extradata;
	t->config_len = (size_t)p->extradata_size;
	if (p->codec_type == AVMEDIA_TYPE_VIDEO) {
		t->media = BMFF_VIDEO;
		t->width = (uint16_t)p->width, t->height = (uint16_t)p->height;
		t->codec = p->codec_id == AV_CODEC_ID_H264   ? BMFF_H264
			   : p->codec_id == AV_CODEC_ID_HEVC ? BMFF_H265
							     : BMFF_MJPEG;
	} else {
		t->media = BMFF_AUDIO;
		t->channels = (uint16_t)p->ch_layout.nb_channels;
		t->sample_rate = (uint32_t)p->sample_rate;
		t->codec = p->codec_id == AV_CODEC_ID_AAC        ? BMFF_AAC
			   : p->codec_id == AV_CODEC_ID_PCM_ALAW ? BMFF_PCMA
								 : BMFF_PCMU;
	}
	if (t->codec != BMFF_H264 && t->codec != BMFF_H265 && t->codec != BMFF_AAC)
		t->config_len = 0;
}

static void write_out(struct remux *r, const void *data, size_t len)
{
	if (fwrite(data, 1, len, r->out) != len)
		die("cannot write");
	r->offset += (uint32_t)len;
}

static void begin(struct remux *r)
{
	r->init.track_count = (uint8_t)r->in->nb_streams;
	for (unsigned i = 0; i < r->in->nb_streams; i++) {
		r->init.tracks[i].id = i + 1;
		describe(&r->init.tracks[i], r->in->streams[i]);
	}
	if (r->with_metadata)
		r->init.tracks[r->init.track_count++] =
			(struct bmff_track){.id = r->in->nb_streams + 1,
				.media = BMFF_METADATA,
				.codec = BMFF_TEXT_METADATA,
				.timescale = 1000,
				.config = (const uint8_t *)mime,
				.config_len = strlen(mime)};
	struct buf *init;
	if (bmff_init_build(&r->init, &init) < 0)
		die("no init segment");
	struct bmff_init read;
	CHECK(bmff_init_parse(init->data, init->len, &read) == 0 &&
		read.track_count == r->init.track_count);
	write_out(r, init->data, init->len);
	buf_unref(&init);
	chunk_table_init(&r->table, &r->init);
}

static void check(struct remux *r, struct fragment_header *h, const struct buf *body)
{
	static struct bmff_sample samples[SAMPLES_MAX * STREAMS_MAX];
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count;
	CHECK(bmff_fragment_parse(body->data, body->len, (uint32_t)body->len, runs, &count, samples,
		      SAMPLES_MAX * STREAMS_MAX) == 0);
	CHECK(bmff_fragment_agrees(h, runs, count) == 0);
	CHECK(fragment_seal(h, body->data, true) == 0);
	CHECK(fragment_check_crc(h, body->data) == 0 && fragment_check_digest(h, body->data) == 0);
	for (size_t i = 0; i < count; i++) {
		const struct pending *p = &r->pending[runs[i].track_id - 1];
		uint32_t at = runs[i].data_offset;
		CHECK(runs[i].sample_count == p->count);
		for (uint32_t j = 0; j < p->count; j++) {
			CHECK(runs[i].samples[j].size == p->payload[j].len);
			CHECK(!memcmp(body->data + at, p->payload[j].data, p->payload[j].len));
			at += runs[i].samples[j].size;
			r->frames++;
		}
	}
	CHECK(chunk_table_add(&r->table, h, r->offset + FRAG_BOX_SIZE, runs, count) == 0);
}

/* Sends out what is pending as one fragment. */
static void flush(struct remux *r)
{
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count = 0;
	int64_t ms = 0;
	for (uint32_t i = 0; i < r->in->nb_streams; i++) {
		struct pending *p = &r->pending[i];
		if (!p->count)
			continue;
		if (!ms)
			ms = p->first_dts * 1000 / r->init.tracks[i].timescale + 1;
		runs[count++] = (struct bmff_run){.track_id = i + 1,
			.decode_time = (uint64_t)p->first_dts,
			.sample_count = p->count,
			.samples = p->samples,
			.payload = p->payload,
			.payload_count = p->count};
	}
	if (!count)
		return;
	if (r->with_metadata) {
		static const char words[] = "{\"motion\":true}";
		struct pending *p = &r->pending[r->in->nb_streams];
		p->count = 1;
		p->samples[0] = (struct bmff_sample){
			.size = sizeof(words) - 1, .duration = 1000, .sync = true};
		p->payload[0] =
			(struct slice){.data = (const uint8_t *)words, .len = sizeof(words) - 1};
		runs[count++] = (struct bmff_run){.track_id = r->in->nb_streams + 1,
			.decode_time = (uint64_t)(ms - 1),
			.sample_count = 1,
			.samples = p->samples,
			.payload = p->payload,
			.payload_count = 1};
	}
	struct fragment_header h = {.flags = runs[0].samples[0].sync ? FRAGMENT_SYNC : 0,
		.session = 1,
		.seq = ++r->seq,
		.capture = {INT64_C(1795470000000000) + ms * 1000},
		.duration_us = 1000000};
	struct buf *body;
	if (bmff_fragment_build(runs, count, &h, &body) < 0)
		die("no fragment");
	check(r, &h, body);
	/* a box of our own between fragments, as chunks have */
	uint8_t gap[FRAG_BOX_SIZE] = {0, 0, 0, FRAG_BOX_SIZE, 'u', 'u', 'i', 'd', 1};
	write_out(r, gap, sizeof(gap));
	write_out(r, body->data, body->len);
	buf_unref(&body);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++) {
		struct pending *p = &r->pending[i];
		for (uint32_t j = 0; j < p->count; j++)
			slice_drop(&p->payload[j]);
		p->count = 0;
	}
}

static void take(struct remux *r, const AVPacket *pkt)
{
	struct pending *p = &r->pending[pkt->stream_index];
	/* a fragment begins at each key frame of the first stream, a second long at most */
	const struct pending *lead = &r->pending[0];
	if (pkt->stream_index == 0 && lead->count &&
		(pkt->flags & AV_PKT_FLAG_KEY ||
			pkt->dts - lead->first_dts >= r->init.tracks[0].timescale))
		flush(r);
	if (p->count == 0)
		p->first_dts = pkt->dts;
	CHECK(p->count < SAMPLES_MAX && pkt->dts >= 0);
	p->samples[p->count] = (struct bmff_sample){.size = (uint32_t)pkt->size,
		.duration = (uint32_t)pkt->duration,
		.cts_offset = (int32_t)(pkt->pts - pkt->dts),
		.sync = pkt->flags & AV_PKT_FLAG_KEY};
	struct buf *buf = buf_copy(pkt->data, (size_t)pkt->size);
	CHECK(buf);
	p->payload[p->count++] = (struct slice){.buf = buf, .data = buf->data, .len = buf->len};
}

int main(int argc, char **argv)
{
	static struct remux r;
	if (argc < 3)
		return die("usage: remux IN OUT [metadata]");
	r.with_metadata = argc > 3 && !strcmp(argv[3], "metadata");
	AVDictionary *options = NULL;
	av_dict_set(&options, "ignore_editlist", "1", 0);
	if (avformat_open_input(&r.in, argv[1], NULL, &options) < 0 ||
		r.in->nb_streams > STREAMS_MAX)
		return die("cannot read");
	r.out = fopen(argv[2], "wb");
	if (!r.out)
		return die("cannot write");
	begin(&r);
	AVPacket *pkt = av_packet_alloc();
	CHECK(pkt);
	while (av_read_frame(r.in, pkt) >= 0) {
		take(&r, pkt);
		av_packet_unref(pkt);
	}
	flush(&r);
	struct buf *encoded;
	struct chunk_table again = {0};
	CHECK(chunk_table_encode(&r.table, &encoded) == 0);
	CHECK(chunk_table_decode(&again, encoded->data, encoded->len) == 0);
	printf("frames %zu fragments %u table %zu bytes\n", r.frames, r.table.fragment_count,
		encoded->len);
	buf_unref(&encoded);
	chunk_table_fini(&again);
	chunk_table_fini(&r.table);
	av_packet_free(&pkt);
	av_dict_free(&options);
	avformat_close_input(&r.in);
	return fclose(r.out) ? die("cannot write") : 0;
}
