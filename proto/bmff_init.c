/* SPDX-License-Identifier: Apache-2.0 */
/* Building init segments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/bmff.h"

#define TIMESCALE_MAX   1000000u
#define MOVIE_TIMESCALE 1000u

static void put_fourcc(struct bytes *b, const char name[5])
{
	bytes_put(b, name, 4);
}

static size_t begin(struct bytes *b, const char name[5])
{
	return bmff_box_begin(b, BMFF_FOURCC(name[0], name[1], name[2], name[3]));
}

static size_t begin_full(struct bytes *b, const char name[5], uint8_t version, uint32_t flags)
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

static void put_ftyp(struct bytes *b)
{
	size_t ftyp = begin(b, "ftyp");
	put_fourcc(b, "iso6"); /* the first brand with tfdt */
	bytes_put_u32(b, 0);
	put_fourcc(b, "iso6");
	put_fourcc(b, "mp41");
	bmff_box_end(b, ftyp);
}

static void put_mvhd(struct bytes *b, uint32_t next_track)
{
	size_t mvhd = begin_full(b, "mvhd", 0, 0);
	bytes_put_u32(b,
		0); /* created, modified: unknown, so that equal configurations give equal bytes */
	bytes_put_u32(b, 0);
	bytes_put_u32(b, MOVIE_TIMESCALE);
	bytes_put_u32(b, 0);       /* duration: in the fragments */
	bytes_put_u32(b, 0x10000); /* rate 1 */
	bytes_put_u16(b, 0x100);   /* volume 1 */
	bytes_put_zero(b, 10);
	put_matrix(b);
	bytes_put_zero(b, 24);
	bytes_put_u32(b, next_track);
	bmff_box_end(b, mvhd);
}

static void put_tkhd(struct bytes *b, const struct bmff_track *t)
{
	enum { ENABLED = 1, IN_MOVIE = 2 };
	size_t tkhd = begin_full(b, "tkhd", 0, ENABLED | IN_MOVIE);
	bytes_put_u32(b, 0);
	bytes_put_u32(b, 0);
	bytes_put_u32(b, t->id);
	bytes_put_u32(b, 0);
	bytes_put_u32(b, 0); /* duration */
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

static void put_mdhd(struct bytes *b, uint32_t timescale)
{
	size_t mdhd = begin_full(b, "mdhd", 0, 0);
	bytes_put_u32(b, 0);
	bytes_put_u32(b, 0);
	bytes_put_u32(b, timescale);
	bytes_put_u32(b, 0);      /* duration */
	bytes_put_u16(b, 0x55c4); /* language "und" */
	bytes_put_u16(b, 0);
	bmff_box_end(b, mdhd);
}

static void put_hdlr(struct bytes *b, enum bmff_media media)
{
	static const char *const handler[] = {
		[BMFF_VIDEO] = "vide", [BMFF_AUDIO] = "soun", [BMFF_METADATA] = "meta"};
	static const char *const name[] = {
		[BMFF_VIDEO] = "video", [BMFF_AUDIO] = "audio", [BMFF_METADATA] = "metadata"};
	size_t hdlr = begin_full(b, "hdlr", 0, 0);
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
		box = begin_full(b, "vmhd", 0, 1);
		bytes_put_zero(b, 8);
		break;
	case BMFF_AUDIO:
		box = begin_full(b, "smhd", 0, 0);
		bytes_put_zero(b, 4);
		break;
	default:
		box = begin_full(b, "nmhd", 0, 0);
		break;
	}
	bmff_box_end(b, box);
}

static void put_dinf(struct bytes *b)
{
	size_t dinf = begin(b, "dinf");
	size_t dref = begin_full(b, "dref", 0, 0);
	bytes_put_u32(b, 1);
	bmff_box_end(b, begin_full(b, "url ", 0, 1)); /* 1: in this file */
	bmff_box_end(b, dref);
	bmff_box_end(b, dinf);
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
	size_t entry = begin(b, name);
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
		size_t config = begin(b, config_name);
		bytes_put(b, t->config, t->config_len);
		bmff_box_end(b, config);
	}
	bmff_box_end(b, entry);
}

/* A descriptor's tag and length, the length in four groups of seven bits (ISO/IEC 14496-1, 8.3.3).
 */
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
	size_t esds = begin_full(b, "esds", 0, 0);
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
	size_t entry = begin(b, name);
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
	size_t entry = begin(b, "mett");
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

/* The tables of samples are there, because the format asks for them, and empty: samples are in the
 * fragments. */
static void put_stbl(struct bytes *b, const struct bmff_track *t)
{
	static const char empty[][5] = {"stts", "stsc", "stsz", "stco"};
	size_t stbl = begin(b, "stbl");
	size_t stsd = begin_full(b, "stsd", 0, 0);
	bytes_put_u32(b, 1);
	put_entry(b, t);
	bmff_box_end(b, stsd);
	for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
		size_t table = begin_full(b, empty[i], 0, 0);
		bytes_put_zero(b, strcmp(empty[i], "stsz") ? 4 : 8);
		bmff_box_end(b, table);
	}
	bmff_box_end(b, stbl);
}

static void put_trak(struct bytes *b, const struct bmff_track *t)
{
	size_t trak = begin(b, "trak");
	put_tkhd(b, t);
	size_t mdia = begin(b, "mdia");
	put_mdhd(b, t->timescale);
	put_hdlr(b, t->media);
	size_t minf = begin(b, "minf");
	put_media_header(b, t->media);
	put_dinf(b);
	put_stbl(b, t);
	bmff_box_end(b, minf);
	bmff_box_end(b, mdia);
	bmff_box_end(b, trak);
}

/* What samples are unless they say otherwise: they always do (bmff_fragment_build), so all but the
 * description is zero. */
static void put_mvex(struct bytes *b, const struct bmff_init *init)
{
	size_t mvex = begin(b, "mvex");
	for (size_t i = 0; i < init->track_count; i++) {
		size_t trex = begin_full(b, "trex", 0, 0);
		bytes_put_u32(b, init->tracks[i].id);
		bytes_put_u32(b, 1);
		bytes_put_zero(b, 12);
		bmff_box_end(b, trex);
	}
	bmff_box_end(b, mvex);
}

static bool config_makes_sense(const struct bmff_track *t)
{
	static const struct {
		enum bmff_media media;
		size_t min, max; /* bytes of the configuration */
	} rule[] = {
		[BMFF_H264] = {BMFF_VIDEO, 7, FRAGMENT_INIT_MAX},
		[BMFF_H265] = {BMFF_VIDEO, 23, FRAGMENT_INIT_MAX},
		[BMFF_MJPEG] = {BMFF_VIDEO, 0, 0},
		[BMFF_AAC] = {BMFF_AUDIO, 2, FRAGMENT_INIT_MAX},
		[BMFF_PCMA] = {BMFF_AUDIO, 0, 0},
		[BMFF_PCMU] = {BMFF_AUDIO, 0, 0},
		[BMFF_TEXT_METADATA] = {BMFF_METADATA, 1, 255},
	};
	if (t->entry)
		return t->entry_len >= 16;
	if ((size_t)t->codec >= ARRAY_LEN(rule) || t->media != rule[t->codec].media)
		return false;
	if (t->config_len < rule[t->codec].min || t->config_len > rule[t->codec].max)
		return false;
	return t->codec != BMFF_TEXT_METADATA || !memchr(t->config, 0, t->config_len);
}

static bool track_makes_sense(const struct bmff_track *t)
{
	if (t->timescale == 0 || t->timescale > TIMESCALE_MAX || t->media > BMFF_METADATA)
		return false;
	if (t->media == BMFF_VIDEO && (t->width == 0 || t->height == 0))
		return false;
	if (t->media == BMFF_AUDIO && (t->channels == 0 || t->sample_rate == 0))
		return false;
	return config_makes_sense(t);
}

static int judge(const struct bmff_init *init)
{
	if (init->track_count == 0 || init->track_count > FRAGMENT_TRACKS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < init->track_count; i++) {
		const struct bmff_track *t = &init->tracks[i];
		if (t->id != i + 1 || !track_makes_sense(t))
			return -EINVAL;
	}
	return 0;
}

int bmff_init_build(const struct bmff_init *init, struct buf **ret_buf)
{
	int rc = judge(init);
	if (rc < 0)
		return rc;
	uint8_t *scratch = malloc(FRAGMENT_INIT_MAX);
	if (!scratch)
		return -ENOMEM;
	struct bytes b = bytes_writer(scratch, FRAGMENT_INIT_MAX);
	put_ftyp(&b);
	size_t moov = begin(&b, "moov");
	put_mvhd(&b, init->track_count + 1u);
	for (size_t i = 0; i < init->track_count; i++)
		put_trak(&b, &init->tracks[i]);
	put_mvex(&b, init);
	bmff_box_end(&b, moov);
	rc = b.error;
	if (rc == 0) {
		struct buf *buf = buf_copy(scratch, b.at);
		if (buf)
			*ret_buf = buf;
		else
			rc = -ENOMEM;
	}
	free(scratch);
	return rc;
}
