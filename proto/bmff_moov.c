/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bmff_moov.h"

#include <string.h>

#include "base/check.h"

static void put_fourcc(struct bytes *b, const char name[5])
{
	bytes_put(b, name, 4);
}

size_t moov_begin(struct bytes *b, const char name[5])
{
	return bmff_box_begin(b, BMFF_FOURCC(name[0], name[1], name[2], name[3]));
}

size_t moov_begin_full(struct bytes *b, const char name[5], uint8_t version, uint32_t flags)
{
	return bmff_full_box_begin(
		b, BMFF_FOURCC(name[0], name[1], name[2], name[3]), version, flags);
}

/* The identity: 16.16 numbers but the last column, which has 2.30. */
static void put_matrix(struct bytes *b)
{
	static const uint32_t matrix[9] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++)
		bytes_put_u32(b, matrix[i]);
}

/* Boxes with a duration have it, and their times, in 64 bits only when they must: players of long
 * standing know version 0 best. */
static uint8_t version_for(uint64_t duration)
{
	return duration > UINT32_MAX;
}

/* Created and modified: unknown, so that equal contents give equal bytes. */
static void put_times(struct bytes *b, uint8_t version)
{
	bytes_put_zero(b, version ? 16 : 8);
}

static void put_duration(struct bytes *b, uint8_t version, uint64_t duration)
{
	if (version)
		bytes_put_u64(b, duration);
	else
		bytes_put_u32(b, (uint32_t)duration);
}

void moov_put_mvhd(struct bytes *b, uint32_t timescale, uint64_t duration, uint32_t next_track)
{
	uint8_t version = version_for(duration);
	size_t mvhd = moov_begin_full(b, "mvhd", version, 0);
	put_times(b, version);
	bytes_put_u32(b, timescale);
	put_duration(b, version, duration);
	bytes_put_u32(b, 0x10000); /* rate 1 */
	bytes_put_u16(b, 0x100);   /* volume 1 */
	bytes_put_zero(b, 10);
	put_matrix(b);
	bytes_put_zero(b, 24);
	bytes_put_u32(b, next_track);
	bmff_box_end(b, mvhd);
}

void moov_put_tkhd(struct bytes *b, const struct bmff_track *t, uint64_t duration)
{
	enum { ENABLED = 1, IN_MOVIE = 2 };
	uint8_t version = version_for(duration);
	size_t tkhd = moov_begin_full(b, "tkhd", version, ENABLED | IN_MOVIE);
	put_times(b, version);
	bytes_put_u32(b, t->id);
	bytes_put_u32(b, 0);
	put_duration(b, version, duration);
	bytes_put_zero(b, 8);
	bytes_put_u16(b, 0);                                  /* layer */
	bytes_put_u16(b, 0);                                  /* alternate group */
	bytes_put_u16(b, t->media == BMFF_AUDIO ? 0x100 : 0); /* volume */
	bytes_put_u16(b, 0);
	put_matrix(b);
	bytes_put_u32(b, (uint32_t)t->width << 16);
	bytes_put_u32(b, (uint32_t)t->height << 16);
	bmff_box_end(b, tkhd);
}

void moov_put_mdhd(struct bytes *b, uint32_t timescale, uint64_t duration)
{
	uint8_t version = version_for(duration);
	size_t mdhd = moov_begin_full(b, "mdhd", version, 0);
	put_times(b, version);
	bytes_put_u32(b, timescale);
	put_duration(b, version, duration);
	bytes_put_u16(b, 0x55c4); /* language "und" */
	bytes_put_u16(b, 0);
	bmff_box_end(b, mdhd);
}

void moov_put_hdlr(struct bytes *b, enum bmff_media media)
{
	static const char *const handler[] = {
		[BMFF_VIDEO] = "vide", [BMFF_AUDIO] = "soun", [BMFF_METADATA] = "meta"};
	static const char *const name[] = {
		[BMFF_VIDEO] = "video", [BMFF_AUDIO] = "audio", [BMFF_METADATA] = "metadata"};
	size_t hdlr = moov_begin_full(b, "hdlr", 0, 0);
	bytes_put_u32(b, 0);
	put_fourcc(b, handler[media]);
	bytes_put_zero(b, 12);
	bytes_put(b, name[media], strlen(name[media]) + 1);
	bmff_box_end(b, hdlr);
}

static void put_media_header(struct bytes *b, enum bmff_media media)
{
	size_t box;
	switch (media) {
	case BMFF_VIDEO:
		box = moov_begin_full(b, "vmhd", 0, 1);
		bytes_put_zero(b, 8);
		break;
	case BMFF_AUDIO:
		box = moov_begin_full(b, "smhd", 0, 0);
		bytes_put_zero(b, 4);
		break;
	default:
		box = moov_begin_full(b, "nmhd", 0, 0);
		break;
	}
	bmff_box_end(b, box);
}

static void put_dinf(struct bytes *b)
{
	size_t dinf = moov_begin(b, "dinf");
	size_t dref = moov_begin_full(b, "dref", 0, 0);
	bytes_put_u32(b, 1);
	bmff_box_end(b, moov_begin_full(b, "url ", 0, 1)); /* 1: in this file */
	bmff_box_end(b, dref);
	bmff_box_end(b, dinf);
}

void moov_put_media(struct bytes *b, enum bmff_media media)
{
	put_media_header(b, media);
	put_dinf(b);
}

/* --- sample entries --- */

static void put_entry_start(struct bytes *b)
{
	bytes_put_zero(b, 6);
	bytes_put_u16(b, 1); /* data reference */
}

static void put_visual_entry(
	struct bytes *b, const struct bmff_track *t, const char name[5], const char config_name[5])
{
	size_t entry = moov_begin(b, name);
	put_entry_start(b);
	bytes_put_zero(b, 16);
	bytes_put_u16(b, t->width);
	bytes_put_u16(b, t->height);
	bytes_put_u32(b, 0x480000); /* 72 dpi, both ways */
	bytes_put_u32(b, 0x480000);
	bytes_put_u32(b, 0);
	bytes_put_u16(b, 1);   /* frames a sample */
	bytes_put_zero(b, 32); /* compressor's name */
	bytes_put_u16(b, 24);  /* depth */
	bytes_put_u16(b, 0xffff);
	if (config_name) {
		size_t config = moov_begin(b, config_name);
		bytes_put(b, t->config, t->config_len);
		bmff_box_end(b, config);
	}
	bmff_box_end(b, entry);
}

/* A descriptor's tag and length, the length in four groups of seven bits (ISO/IEC 14496-1, 8.3.3). */
static void put_descriptor(struct bytes *b, uint8_t tag, size_t len)
{
	bytes_put_u8(b, tag);
	for (int shift = 21; shift > 0; shift -= 7)
		bytes_put_u8(b, (uint8_t)(0x80 | (len >> shift & 0x7f)));
	bytes_put_u8(b, (uint8_t)(len & 0x7f));
}

static void put_esds(struct bytes *b, const struct bmff_track *t)
{
	const size_t head = 5; /* of a descriptor */
	size_t decoder_len = 13 + head + t->config_len;
	size_t esds = moov_begin_full(b, "esds", 0, 0);
	put_descriptor(b, 0x03, 3 + head + decoder_len + head + 1);
	bytes_put_u16(b, 0); /* elementary stream: numbered by the track */
	bytes_put_u8(b, 0);
	put_descriptor(b, 0x04, decoder_len);
	bytes_put_u8(b, 0x40); /* ISO/IEC 14496-3 audio */
	bytes_put_u8(b, 0x15); /* an audio stream */
	bytes_put_u24(b, 0);   /* buffer size, bit rates: unknown */
	bytes_put_u32(b, 0);
	bytes_put_u32(b, 0);
	put_descriptor(b, 0x05, t->config_len);
	bytes_put(b, t->config, t->config_len);
	put_descriptor(b, 0x06, 1);
	bytes_put_u8(b, 2); /* as in MP4 files */
	bmff_box_end(b, esds);
}

static void put_audio_entry(struct bytes *b, const struct bmff_track *t, const char name[5])
{
	size_t entry = moov_begin(b, name);
	put_entry_start(b);
	bytes_put_zero(b, 8);
	bytes_put_u16(b, t->channels);
	bytes_put_u16(b, t->sample_bits ? t->sample_bits : 16);
	bytes_put_u32(b, 0);
	/* a 16.16 number; higher rates are in the codec's own configuration */
	bytes_put_u32(b, t->sample_rate <= UINT16_MAX ? t->sample_rate << 16 : 0);
	if (t->codec == BMFF_AAC)
		put_esds(b, t);
	bmff_box_end(b, entry);
}

static void put_text_metadata_entry(struct bytes *b, const struct bmff_track *t)
{
	size_t entry = moov_begin(b, "mett");
	put_entry_start(b);
	bytes_put_u8(b, 0); /* content encoding: none */
	bytes_put(b, t->config, t->config_len);
	bytes_put_u8(b, 0);
	bmff_box_end(b, entry);
}

static void put_entry(struct bytes *b, const struct bmff_track *t)
{
	if (t->entry) {
		bytes_put(b, t->entry, t->entry_len);
		return;
	}
	switch (t->codec) {
	case BMFF_H264:
		put_visual_entry(b, t, "avc1", "avcC");
		break;
	case BMFF_H265:
		put_visual_entry(b, t, "hvc1", "hvcC");
		break;
	case BMFF_MJPEG:
		put_visual_entry(b, t, "jpeg", NULL);
		break;
	case BMFF_AAC:
		put_audio_entry(b, t, "mp4a");
		break;
	case BMFF_PCMA:
		put_audio_entry(b, t, "alaw");
		break;
	case BMFF_PCMU:
		put_audio_entry(b, t, "ulaw");
		break;
	case BMFF_TEXT_METADATA:
		put_text_metadata_entry(b, t);
		break;
	case BMFF_OTHER:
		CHECK(t->entry); /* judged before */
		break;
	}
}

void moov_put_stsd(struct bytes *b, const struct bmff_track *t)
{
	size_t stsd = moov_begin_full(b, "stsd", 0, 0);
	bytes_put_u32(b, 1);
	put_entry(b, t);
	bmff_box_end(b, stsd);
}
