/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/footage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "proto/bmff.h"

#define PICTURES     10
#define VIDEO_SCALE  90000
#define AUDIO_SCALE  8000
#define AUDIO_FRAMES 25
#define AUDIO_BYTES  320

/* The smallest AVCDecoderConfigurationRecord that names a profile. */
static const uint8_t avcc[] = {1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x4d, 0x40, 0x1e, 1, 0,
	4, 0x68, 0xee, 0x3c, 0x80};

void footage_start(struct footage *f, const char *stream, bool audio)
{
	*f = (struct footage){
		.audio = audio,
		.clock_source = CLOCK_RTCP,
		.session = 0x5e55,
		.at = {FOOTAGE_START_US},
		.picture_bytes = 500,
	};
	snprintf(f->stream, sizeof(f->stream), "%s", stream);
}

static void describe(const struct footage *f, struct bmff_init *ret_init)
{
	*ret_init = (struct bmff_init){
		.track_count = f->audio ? 2 : 1,
		.tracks = {{.id = 1,
				   .media = BMFF_VIDEO,
				   .codec = BMFF_H264,
				   .timescale = VIDEO_SCALE,
				   .width = 768,
				   .height = 576,
				   .config = avcc,
				   .config_len = sizeof(avcc)},
			{.id = 2,
				.media = BMFF_AUDIO,
				.codec = BMFF_PCMA,
				.timescale = AUDIO_SCALE,
				.channels = 1,
				.sample_bits = 16,
				.sample_rate = AUDIO_SCALE}},
	};
}

struct buf *footage_init(const struct footage *f)
{
	struct bmff_init init;
	struct buf *buf = NULL;
	describe(f, &init);
	CHECK(bmff_init_build(&init, &buf) == 0);
	return buf;
}

static void noise(uint8_t *to, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		to[i] = (uint8_t)(seed >> 56);
	}
}

struct buf *footage_fragment(struct footage *f, struct fragment_header *ret_header)
{
	struct bmff_sample video[PICTURES], audio[AUDIO_FRAMES];
	f->seq++;
	bool sync = f->seq % 2 == 1;
	uint32_t video_len = 0;
	for (uint32_t i = 0; i < PICTURES; i++) {
		uint32_t size = f->picture_bytes +
				(uint32_t)((f->seq * 131 + i * 977) % (f->picture_bytes / 2 + 1));
		if (sync && i == 0)
			size *= 4;
		video[i] = (struct bmff_sample){size, VIDEO_SCALE / PICTURES, 0, sync && i == 0};
		video_len += size;
	}
	for (uint32_t i = 0; i < AUDIO_FRAMES; i++)
		audio[i] = (struct bmff_sample){AUDIO_BYTES, AUDIO_SCALE / AUDIO_FRAMES, 0, true};
	struct buf *payload = buf_new(video_len + AUDIO_FRAMES * AUDIO_BYTES);
	CHECK(payload);
	noise(payload->data, payload->len, f->session ^ f->seq);
	struct slice parts[2] = {slice_of(payload, 0, video_len),
		slice_of(payload, video_len, AUDIO_FRAMES * AUDIO_BYTES)};
	const struct bmff_run runs[2] = {{.track_id = 1,
						 .decode_time = f->seq * VIDEO_SCALE,
						 .sample_count = PICTURES,
						 .samples = video,
						 .payload = &parts[0],
						 .payload_count = 1},
		{.track_id = 2,
			.decode_time = f->seq * AUDIO_SCALE,
			.sample_count = AUDIO_FRAMES,
			.samples = audio,
			.payload = &parts[1],
			.payload_count = 1}};
	struct fragment_header h = {
		.lane = f->lane,
		.clock_source = f->clock_source,
		.flags = (uint16_t)((sync ? FRAGMENT_SYNC : 0) | f->flags),
		.session = f->session,
		.seq = f->seq,
		.capture = f->at,
		.duration_us = FOOTAGE_FRAGMENT_US,
		.clock_error_us = 5000,
	};
	struct buf *body = NULL;
	CHECK(bmff_fragment_build(runs, f->audio ? 2 : 1, &h, &body) == 0);
	CHECK(fragment_seal(&h, body->data, true) == 0);
	slice_drop(&parts[0]);
	slice_drop(&parts[1]);
	buf_unref(&payload);
	f->at.us += FOOTAGE_FRAGMENT_US;
	f->flags = 0;
	*ret_header = h;
	return body;
}

/* --- chunks --- */

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

void footage_chunk_begin(
	struct footage_chunk *c, const struct footage *f, uint64_t epoch, uint32_t seq)
{
	*c = (struct footage_chunk){.start = f->at};
	memset(c->header.cluster, 0xc1, sizeof(c->header.cluster));
	memcpy(c->header.stream, f->stream, sizeof(f->stream));
	c->header.id = (struct chunk_id){epoch, seq, 0};
	c->header.lane = f->lane;
	if (seq > 1) {
		c->header.has_previous = true;
		c->header.previous = (struct chunk_id){epoch, seq - 1, 0};
	}
	struct bmff_init init;
	struct buf *buf = footage_init(f), *head = NULL;
	CHECK(bmff_init_parse(buf->data, buf->len, &init) == 0);
	chunk_table_init(&c->table, &init);
	CHECK(chunk_head_build(&c->header, buf->data, buf->len, &head) == 0);
	append(c, head->data, head->len);
	c->init_len = buf->len;
	c->head_len = head->len;
	buf_unref(&buf);
	buf_unref(&head);
}

void footage_chunk_add(struct footage_chunk *c, struct footage *f, uint8_t gap_cause)
{
	static const uint32_t scales[2] = {VIDEO_SCALE, AUDIO_SCALE};
	struct fragment_header h;
	struct wall at = f->at, receipt = {at.us + 1200000};
	struct buf *body = footage_fragment(f, &h);
	for (uint8_t i = 0; i < h.track_count; i++) {
		struct bytes b = bytes_writer(body->data + h.tfdt_offset[i], 8);
		bytes_put_u64(&b, (uint64_t)((at.us - c->start.us) * scales[i] / US_PER_SECOND));
	}
	uint8_t box[CHUNK_FRAG_BOX];
	chunk_frag_build(&h, receipt, gap_cause, box);
	append(c, box, sizeof(box));
	struct bmff_sample samples[PICTURES + AUDIO_FRAMES];
	struct bmff_fragment parsed = {.samples = samples, .sample_room = PICTURES + AUDIO_FRAMES};
	CHECK(bmff_fragment_read(&parsed, body->data, body->len, h.body_len) == 0);
	CHECK(chunk_table_add(&c->table, &h, (uint32_t)c->len, parsed.runs, parsed.run_count) == 0);
	c->table.fragments[c->table.fragment_count - 1].gap_cause = gap_cause;
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
	c->last_seq = h.seq;
}

void footage_chunk_seal(struct footage_chunk *c, uint8_t reason, const uint8_t *previous_digest)
{
	struct buf *buf = NULL;
	c->seal.end_reason = reason;
	c->seal.seal_offset = c->len;
	if (previous_digest)
		memcpy(c->seal.previous_digest, previous_digest, DIGEST_SIZE);
	CHECK(chunk_seal_build(&c->seal, &c->table, &buf) == 0);
	append(c, buf->data, buf->len);
	buf_unref(&buf);
	c->sealed = true;
	const struct index_source source = {
		.header = &c->header,
		.seal = &c->seal,
		.table = &c->table,
		.pool = STORE_DATA,
		.bytes = c->len,
		.head_len = (uint32_t)c->head_len,
		.init_crc = crc32c(0, c->bytes, c->init_len),
	};
	index_record_make(&source, &c->record);
}

void footage_chunk_fini(struct footage_chunk *c)
{
	chunk_table_fini(&c->table);
	free(c->bytes);
	*c = (struct footage_chunk){0};
}

void footage_chunk_make(struct footage_chunk *c, struct footage *f, uint64_t epoch, uint32_t seq,
	uint32_t fragments)
{
	footage_chunk_begin(c, f, epoch, seq);
	for (uint32_t i = 0; i < fragments; i++)
		footage_chunk_add(c, f, GAP_NONE);
	footage_chunk_seal(c, CHUNK_END_FULL, NULL);
}
