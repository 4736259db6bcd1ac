/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/footage_media.h"

#include <libavformat/avformat.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "proto/bmff.h"

#define PICTURES_MAX 128

/* One fragment's worth of packets. */
struct gathering {
	AVStream *stream;
	int64_t base; /* dts of the chunk's first picture */
	int64_t next_ticks;
	struct bmff_sample samples[PICTURES_MAX];
	struct slice payload[PICTURES_MAX];
	uint32_t count;
	int64_t dts; /* of the first */
	uint64_t seq;
};

static void describe(const AVStream *st, struct bmff_init *ret_init)
{
	*ret_init = (struct bmff_init){
		.track_count = 1,
		.tracks = {{
			.id = 1,
			.media = BMFF_VIDEO,
			.codec = st->codecpar->codec_id == AV_CODEC_ID_HEVC ? BMFF_H265 : BMFF_H264,
			.timescale = (uint32_t)st->time_base.den,
			.width = (uint16_t)st->codecpar->width,
			.height = (uint16_t)st->codecpar->height,
			.config = st->codecpar->extradata,
			.config_len = (size_t)st->codecpar->extradata_size,
		}},
	};
}

static void append(struct footage_chunk *c, const void *data, size_t len)
{
	c->bytes = realloc(c->bytes, c->len + len);
	CHECK(c->bytes);
	if (data)
		memcpy(c->bytes + c->len, data, len);
	else
		memset(c->bytes + c->len, 0, len);
	c->len += len;
}

static void begin(struct footage_chunk *c, const struct bmff_init *init, uint32_t alignment)
{
	*c = (struct footage_chunk){.alignment = alignment, .start = {FOOTAGE_START_US}};
	struct buf *init_buf = NULL, *head = NULL;
	strcpy(c->header.stream, "street/main");
	c->header.id = (struct chunk_id){1, 1, 0};
	CHECK(bmff_init_build(init, &init_buf) == 0);
	CHECK(chunk_head_build(&c->header, init_buf->data, init_buf->len, &head) == 0);
	chunk_table_init(&c->table, init);
	append(c, head->data, head->len);
	c->init_len = init_buf->len;
	c->head_len = head->len;
	buf_unref(&init_buf);
	buf_unref(&head);
}

/* Ends the fragment that was gathered. */
static void flush(struct footage_chunk *c, struct gathering *g)
{
	if (g->count == 0)
		return;
	const int64_t scale = g->stream->time_base.den;
	uint64_t ticks = 0;
	for (uint32_t i = 0; i < g->count; i++)
		ticks += g->samples[i].duration;
	const struct bmff_run run = {.track_id = 1,
		.decode_time = (uint64_t)(g->dts - g->base),
		.sample_count = g->count,
		.samples = g->samples,
		.payload = g->payload,
		.payload_count = g->count};
	struct fragment_header h = {
		.clock_source = CLOCK_DECLARED,
		.flags = g->samples[0].sync ? FRAGMENT_SYNC : 0,
		.session = 1,
		.seq = ++g->seq,
		.capture = {FOOTAGE_START_US + (g->dts - g->base) * US_PER_SECOND / scale},
		.duration_us = (uint32_t)((int64_t)ticks * US_PER_SECOND / scale),
	};
	struct buf *body = NULL;
	CHECK(bmff_fragment_build(&run, 1, &h, &body) == 0);
	CHECK(fragment_seal(&h, body->data, true) == 0);
	struct wall receipt = {h.capture.us + 1000000};
	uint8_t box[CHUNK_FRAG_BOX];
	chunk_frag_build(&h, receipt, GAP_NONE, box);
	append(c, box, sizeof(box));
	struct bmff_sample samples[PICTURES_MAX];
	struct bmff_fragment parsed = {.samples = samples, .sample_room = PICTURES_MAX};
	CHECK(bmff_fragment_read(&parsed, body->data, body->len, h.body_len) == 0);
	CHECK(chunk_table_add(&c->table, &h, (uint32_t)c->len, parsed.runs, parsed.run_count) == 0);
	chunk_retention_add(&c->seal.retention, &h, receipt);
	append(c, body->data, body->len);
	buf_unref(&body);
	uint32_t padding = c->alignment ? chunk_padding(c->len, c->alignment) : 0;
	if (padding) {
		uint8_t free_box[8];
		chunk_padding_build(free_box, padding);
		append(c, free_box, sizeof(free_box));
		append(c, NULL, padding - sizeof(free_box));
	}
	for (uint32_t i = 0; i < g->count; i++)
		slice_drop(&g->payload[i]);
	g->count = 0;
}

static void gather(struct footage_chunk *c, struct gathering *g, const AVPacket *p)
{
	bool sync = p->flags & AV_PKT_FLAG_KEY;
	if (g->count &&
		(sync || g->count == PICTURES_MAX || p->dts - g->dts >= g->stream->time_base.den))
		flush(c, g);
	if (g->count == 0)
		g->dts = p->dts;
	struct buf *buf = buf_copy(p->data, (size_t)p->size);
	CHECK(buf);
	g->payload[g->count] = slice_of(buf, 0, buf->len);
	g->samples[g->count++] = (struct bmff_sample){
		(uint32_t)p->size, (uint32_t)p->duration, (int32_t)(p->pts - p->dts), sync};
	buf_unref(&buf);
}

int footage_media_chunk(struct footage_chunk *c, const char *path, int seconds, uint32_t alignment)
{
	AVFormatContext *in = NULL;
	AVPacket *p = av_packet_alloc();
	struct bmff_init init;
	if (!p || avformat_open_input(&in, path, NULL, NULL) < 0)
		return -1;
	CHECK(avformat_find_stream_info(in, NULL) >= 0 && in->nb_streams == 1);
	struct gathering g = {.stream = in->streams[0], .base = INT64_MIN};
	describe(g.stream, &init);
	begin(c, &init, alignment);
	while (av_read_frame(in, p) >= 0) {
		if (g.base == INT64_MIN)
			g.base = p->dts;
		bool enough = p->dts - g.base >= (int64_t)seconds * g.stream->time_base.den;
		if (!enough)
			gather(c, &g, p);
		av_packet_unref(p);
		if (enough)
			break;
	}
	flush(c, &g);
	footage_chunk_seal(c, CHUNK_END_FULL, NULL);
	av_packet_free(&p);
	avformat_close_input(&in);
	return 0;
}
