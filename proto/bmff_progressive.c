/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bmff_progressive.h"

#include <errno.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/bmff_moov.h"

#define MDAT_HEADER                                                                                \
	16u /* with a 64-bit size, whatever the size: the length must follow from counts */

/* Bytes that are enough for a track's boxes; the entry, the only part of free size, comes on top. */
#define TRACK_FIXED   2048u
#define SAMPLE_BYTES  24u /* stts, ctts, stsz, stss */
#define PIECE_BYTES   20u /* stsc, co64 */
#define EDIT_BYTES    20u
#define ENTRY_OTHERS  256u /* a sample entry made by us, without its configuration */
#define CONTAINER_MAX 512u /* ftyp, mvhd, headers */

static void put_ftyp(struct bytes *b)
{
	size_t ftyp = moov_begin(b, "ftyp");
	bytes_put(b, "isom", 4);
	bytes_put_u32(b, 0x200);
	bytes_put(b, "isomiso2mp41", 12);
	bmff_box_end(b, ftyp);
}

static uint64_t shown_duration(const struct bmff_progressive_track *t)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < t->edit_count; i++)
		sum += t->edits[i].duration;
	return sum;
}

static void put_edits(struct bytes *b, const struct bmff_progressive_track *t)
{
	size_t edts = moov_begin(b, "edts");
	size_t elst = moov_begin_full(b, "elst", 1, 0);
	bytes_put_u32(b, t->edit_count);
	for (uint32_t i = 0; i < t->edit_count; i++) {
		bytes_put_u64(b, t->edits[i].duration);
		bytes_put_u64(b, (uint64_t)t->edits[i].media_time);
		bytes_put_u32(b, 0x10000); /* rate 1 */
	}
	bmff_box_end(b, elst);
	bmff_box_end(b, edts);
}

static void put_times(struct bytes *b, const struct bmff_progressive_track *t)
{
	size_t stts = moov_begin_full(b, "stts", 0, 0);
	bytes_put_u32(b, t->sample_count);
	for (uint32_t i = 0; i < t->sample_count; i++) {
		bytes_put_u32(b, 1);
		bytes_put_u32(b, t->samples[i].duration);
	}
	bmff_box_end(b, stts);

	bool reordered = false;
	for (uint32_t i = 0; i < t->sample_count && !reordered; i++)
		reordered = t->samples[i].cts_offset != 0;
	if (!reordered)
		return;
	size_t ctts = moov_begin_full(b, "ctts", 1, 0); /* version 1: offsets have a sign */
	bytes_put_u32(b, t->sample_count);
	for (uint32_t i = 0; i < t->sample_count; i++) {
		bytes_put_u32(b, 1);
		bytes_put_u32(b, (uint32_t)t->samples[i].cts_offset);
	}
	bmff_box_end(b, ctts);
}

/* A track without stss has sync samples only. */
static void put_syncs(struct bytes *b, const struct bmff_progressive_track *t)
{
	uint32_t syncs = 0;
	for (uint32_t i = 0; i < t->sample_count; i++)
		syncs += t->samples[i].sync;
	if (syncs == t->sample_count)
		return;
	size_t stss = moov_begin_full(b, "stss", 0, 0);
	bytes_put_u32(b, syncs);
	for (uint32_t i = 0; i < t->sample_count; i++)
		if (t->samples[i].sync)
			bytes_put_u32(b, i + 1);
	bmff_box_end(b, stss);
}

/* Gives the place of co64's first offset: they count from the first media byte until the head's
 * length is known. */
static size_t put_places(struct bytes *b, const struct bmff_progressive_track *t)
{
	size_t stsc = moov_begin_full(b, "stsc", 0, 0);
	bytes_put_u32(b, t->piece_count);
	for (uint32_t i = 0; i < t->piece_count; i++) {
		bytes_put_u32(b, i + 1);
		bytes_put_u32(b, t->pieces[i].sample_count);
		bytes_put_u32(b, 1); /* sample description */
	}
	bmff_box_end(b, stsc);
	size_t stsz = moov_begin_full(b, "stsz", 0, 0);
	bytes_put_u32(b, 0);
	bytes_put_u32(b, t->sample_count);
	for (uint32_t i = 0; i < t->sample_count; i++)
		bytes_put_u32(b, t->samples[i].size);
	bmff_box_end(b, stsz);
	size_t co64 = moov_begin_full(b, "co64", 0, 0);
	bytes_put_u32(b, t->piece_count);
	size_t first = b->at;
	for (uint32_t i = 0; i < t->piece_count; i++)
		bytes_put_u64(b, t->pieces[i].offset);
	bmff_box_end(b, co64);
	return first;
}

static size_t put_trak(struct bytes *b, const struct bmff_progressive_track *t, uint32_t id)
{
	struct bmff_track track = *t->track;
	track.id = id;
	uint64_t media_duration = 0;
	for (uint32_t i = 0; i < t->sample_count; i++)
		media_duration += t->samples[i].duration;

	size_t trak = moov_begin(b, "trak");
	moov_put_tkhd(b, &track, shown_duration(t));
	put_edits(b, t);
	size_t mdia = moov_begin(b, "mdia");
	moov_put_mdhd(b, track.timescale, media_duration);
	moov_put_hdlr(b, track.media);
	size_t minf = moov_begin(b, "minf");
	moov_put_media(b, track.media);
	size_t stbl = moov_begin(b, "stbl");
	moov_put_stsd(b, &track);
	put_times(b, t);
	put_syncs(b, t);
	size_t offsets = put_places(b, t);
	bmff_box_end(b, stbl);
	bmff_box_end(b, minf);
	bmff_box_end(b, mdia);
	bmff_box_end(b, trak);
	return offsets;
}

/* Adds the head's length to the offsets at `place`. */
static void settle_places(
	uint8_t *head, size_t len, size_t place, const struct bmff_progressive_track *t)
{
	struct bytes b = bytes_writer(head + place, len - place);
	for (uint32_t i = 0; i < t->piece_count; i++)
		bytes_put_u64(&b, t->pieces[i].offset + len);
	CHECK(!b.error);
}

static int judge_track(const struct bmff_progressive *p, const struct bmff_progressive_track *t)
{
	if (!t->track || t->sample_count == 0 || t->piece_count == 0 || t->edit_count == 0)
		return -EINVAL;
	if (t->sample_count > BMFF_PROGRESSIVE_SAMPLES_MAX)
		return ERR_LIMIT;
	uint64_t samples = 0;
	for (uint32_t i = 0; i < t->piece_count; i++) {
		if (t->pieces[i].sample_count == 0 || t->pieces[i].offset > p->media_bytes)
			return -EINVAL;
		samples += t->pieces[i].sample_count;
	}
	return samples == t->sample_count ? 0 : -EINVAL;
}

static int measure(const struct bmff_progressive *p, uint64_t *ret_room)
{
	if (p->track_count == 0 || p->track_count > FRAGMENT_TRACKS_MAX || p->timescale == 0)
		return -EINVAL;
	uint64_t room = CONTAINER_MAX + MDAT_HEADER;
	for (size_t i = 0; i < p->track_count; i++) {
		const struct bmff_progressive_track *t = &p->tracks[i];
		int rc = judge_track(p, t);
		if (rc < 0)
			return rc;
		room += TRACK_FIXED + ENTRY_OTHERS + t->track->entry_len + t->track->config_len;
		room += (uint64_t)SAMPLE_BYTES * t->sample_count +
			(uint64_t)PIECE_BYTES * t->piece_count +
			(uint64_t)EDIT_BYTES * t->edit_count;
	}
	if (room > UINT32_MAX) /* the size of moov has 32 bits */
		return ERR_LIMIT;
	*ret_room = room;
	return 0;
}

int bmff_progressive_build(const struct bmff_progressive *p, struct buf **ret_head)
{
	uint64_t room;
	int rc = measure(p, &room);
	if (rc < 0)
		return rc;
	struct buf *head = buf_new((size_t)room);
	if (!head)
		return -ENOMEM;

	uint64_t duration = 0;
	for (size_t i = 0; i < p->track_count; i++)
		if (shown_duration(&p->tracks[i]) > duration)
			duration = shown_duration(&p->tracks[i]);
	size_t places[FRAGMENT_TRACKS_MAX];
	struct bytes b = bytes_writer(head->data, head->len);
	put_ftyp(&b);
	size_t moov = moov_begin(&b, "moov");
	moov_put_mvhd(&b, p->timescale, duration, p->track_count + 1u);
	for (size_t i = 0; i < p->track_count; i++)
		places[i] = put_trak(&b, &p->tracks[i], (uint32_t)i + 1);
	bmff_box_end(&b, moov);
	bytes_put_u32(&b, 1);
	bytes_put(&b, "mdat", 4);
	bytes_put_u64(&b, p->media_bytes + MDAT_HEADER);
	CHECK(!b.error); /* measured */

	head->len = b.at;
	for (size_t i = 0; i < p->track_count; i++)
		settle_places(head->data, head->len, places[i], &p->tracks[i]);
	*ret_head = head;
	return 0;
}
