/* SPDX-License-Identifier: Apache-2.0 */
/* Building init segments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/bmff_moov.h"

#define TIMESCALE_MAX   1000000u
#define MOVIE_TIMESCALE 1000u

static void put_ftyp(struct bytes *b)
{
	size_t ftyp = moov_begin(b, "ftyp");
	bytes_put(b, "iso6", 4); /* the first brand with tfdt */
	bytes_put_u32(b, 0);
	bytes_put(b, "iso6", 4);
	bytes_put(b, "mp41", 4);
	bmff_box_end(b, ftyp);
}

/* The tables of samples are there, because the format asks for them, and empty: samples are in the
 * fragments. */
static void put_stbl(struct bytes *b, const struct bmff_track *t)
{
	static const char empty[][5] = {"stts", "stsc", "stsz", "stco"};
	size_t stbl = moov_begin(b, "stbl");
	moov_put_stsd(b, t);
	for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
		size_t table = moov_begin_full(b, empty[i], 0, 0);
		bytes_put_zero(b, strcmp(empty[i], "stsz") ? 4 : 8);
		bmff_box_end(b, table);
	}
	bmff_box_end(b, stbl);
}

/* Durations are zero: they are in the fragments. */
static void put_trak(struct bytes *b, const struct bmff_track *t)
{
	size_t trak = moov_begin(b, "trak");
	moov_put_tkhd(b, t, 0);
	size_t mdia = moov_begin(b, "mdia");
	moov_put_mdhd(b, t->timescale, 0);
	moov_put_hdlr(b, t->media);
	size_t minf = moov_begin(b, "minf");
	moov_put_media(b, t->media);
	put_stbl(b, t);
	bmff_box_end(b, minf);
	bmff_box_end(b, mdia);
	bmff_box_end(b, trak);
}

/* What samples are unless they say otherwise: they always do (bmff_fragment_build), so all but the
 * description is zero. */
static void put_mvex(struct bytes *b, const struct bmff_init *init)
{
	size_t mvex = moov_begin(b, "mvex");
	for (size_t i = 0; i < init->track_count; i++) {
		size_t trex = moov_begin_full(b, "trex", 0, 0);
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
	size_t moov = moov_begin(&b, "moov");
	moov_put_mvhd(&b, MOVIE_TIMESCALE, 0, init->track_count + 1u);
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
