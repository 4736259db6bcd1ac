/* SPDX-License-Identifier: Apache-2.0 */
/* ISO base media file format (ISO/IEC 14496-12, -14, -15) as far as Steppe reads and writes it:
 * init segments
 * (`ftyp moov`), fragments (`moof mdat`), and the tables of progressive files. Pure; bounded on any
 * input. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "proto/fragment.h"

#define BMFF_FOURCC(a, b, c, d)                                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* One box header. */
struct bmff_box {
	uint32_t type;
	const uint8_t *uuid; /* 16 bytes when type is 'uuid' */
	uint64_t size;       /* of the whole box */
	uint32_t header;     /* bytes of its header: 8, 16, 24 or 32 */
};
/* Reads the header at the cursor and leaves the cursor on the payload. ERR_TRUNCATED when the
 * header itself is cut, ERR_FORMAT when the size cannot be. Does not demand that the payload is
 * there. */
int bmff_box_read(struct bytes *b, struct bmff_box *ret_box);
/* Takes the next box out of a parent that is whole: 1 and a cursor over its payload (which starts
 * with version and flags in a full box); 0 at the parent's end; ERR_FORMAT for a box that does not
 * fit its parent. */
int bmff_box_next(struct bytes *parent, struct bmff_box *ret_box, struct bytes *ret_payload);

/* Begins a box, or a full box with version and flags, whose size is not known yet; gives the place
 * to hand to bmff_box_end. Errors stick in the cursor. */
size_t bmff_box_begin(struct bytes *b, uint32_t type);
size_t bmff_full_box_begin(struct bytes *b, uint32_t type, uint8_t version, uint32_t flags);
void bmff_box_end(struct bytes *b, size_t start);

enum bmff_media { BMFF_VIDEO, BMFF_AUDIO, BMFF_METADATA };

enum bmff_codec {
	BMFF_H264,          /* avc1; config: AVCDecoderConfigurationRecord */
	BMFF_H265,          /* hvc1; config: HEVCDecoderConfigurationRecord */
	BMFF_AAC,           /* mp4a; config: AudioSpecificConfig */
	BMFF_PCMA,          /* alaw; no config */
	BMFF_PCMU,          /* ulaw; no config */
	BMFF_MJPEG,         /* jpeg; no config */
	BMFF_TEXT_METADATA, /* mett; config: MIME type */
	BMFF_OTHER,         /* read only: a sample entry kept verbatim */
};

struct bmff_track {
	uint32_t id; /* its place in the init segment, from 1 */
	enum bmff_media media;
	enum bmff_codec codec;
	uint32_t timescale;             /* 1..1,000,000 */
	uint16_t width, height;         /* video */
	uint16_t channels, sample_bits; /* audio */
	uint32_t sample_rate;
	const uint8_t *config; /* borrowed */
	size_t config_len;
	/* When reading: the whole sample entry (child of stsd), borrowed from the input; when
	 * writing, used verbatim if set. */
	const uint8_t *entry;
	size_t entry_len;
	/* When reading: the defaults of the track's trex, for samples that say nothing of their
	 * own. */
	uint32_t default_duration, default_size, default_flags;
};

struct bmff_init {
	uint8_t track_count;
	struct bmff_track tracks[FRAGMENT_TRACKS_MAX];
};

/* Builds an init segment (ftyp + moov with mvex) of at most FRAGMENT_INIT_MAX bytes. -EINVAL for
 * tracks that make no sense, ERR_LIMIT when too large. Gives the buffer. */
int bmff_init_build(const struct bmff_init *init, struct buf **ret_buf);
/* Reads an init segment, which must be `ftyp moov` and nothing more, without samples or edit lists,
 * its tracks numbered 1, 2, ... in order, one description each; the tracks borrow from `data`.
 * ERR_FORMAT, ERR_TRUNCATED, ERR_LIMIT. */
int bmff_init_parse(const void *data, size_t len, struct bmff_init *ret_init);

/* One sample of a track, in decoding order. */
struct bmff_sample {
	uint32_t size;
	uint32_t duration;  /* ticks of the track's timescale */
	int32_t cts_offset; /* presentation minus decoding time, ticks */
	bool sync;
};

/* One track's run of samples in a fragment. */
struct bmff_run {
	uint32_t track_id;
	uint64_t decode_time; /* tfdt: ticks of the first sample */
	uint32_t sample_count;
	const struct bmff_sample
		*samples;     /* building: borrowed; parsing: points into the caller's array */
	uint32_t data_offset; /* parsing: of the first sample's bytes from the start of the body;
				 the run's bytes are contiguous */
	uint32_t tfdt_offset; /* parsing: of tfdt's 8-byte value from the start of the body; 0: tfdt
				 is of version 0 */
	const struct slice *payload; /* building: one slice a sample, or fewer larger ones holding
					them in order */
	uint32_t payload_count;
};

/* Builds `moof mdat` of the runs (video first; its first sample first in mdat). The result's parts
 * are gathered into one buffer. tfdt is version 1; trun version 1, one trun a track, sizes,
 * durations, flags and offsets a sample. Fills body_len, prefix_len, track_count and tfdt_offset of
 * `h` (prefix_len by the first run's first sample when it is sync and FRAGMENT_SYNC is set in
 * h->flags). -EINVAL, ERR_LIMIT (FRAGMENT_BODY_MAX), -ENOMEM. */
int bmff_fragment_build(const struct bmff_run *runs, size_t run_count, struct fragment_header *h,
	struct buf **ret_body);

/* Bytes that bmff_fragment_head writes, for so many runs and samples of all of them. */
#define BMFF_FRAGMENT_HEAD_SIZE(runs, samples) (32u + 64u * (runs) + 16u * (samples))
/* The same without the media: only what comes before it in the body, for a caller that has the
 * runs' bytes one behind the other and this much room before them. Runs need no payload. */
int bmff_fragment_head(
	const struct bmff_run *runs, size_t run_count, struct fragment_header *h, uint8_t *to);

/* A fragment body to be read: input and result. */
struct bmff_fragment {
	/* given */
	const struct bmff_init *init; /* borrowed, for the defaults of its trex boxes; NULL: these
					 are zero, as in our own init segments */
	struct bmff_sample *samples;
	size_t sample_room;
	/* result */
	size_t run_count;
	struct bmff_run
		runs[FRAGMENT_TRACKS_MAX]; /* in the order of moof; samples and offsets set */
};

/* Reads `[prft] moof` of a fragment body of `body_len` bytes, of which the first `len` are at hand:
 * all of moof at least. Refuses what cannot be moved or kept apart: data outside of mdat,
 * overlapping runs, runs in pieces, absolute data offsets, two runs of one track, track numbers
 * beyond the limit. ERR_FORMAT, ERR_TRUNCATED (moof is not whole), ERR_LIMIT (no room for samples).
 * The result is valid only when 0 is returned. */
int bmff_fragment_read(struct bmff_fragment *f, const void *body, size_t len, uint32_t body_len);
/* The same without an init segment. */
int bmff_fragment_parse(const void *body, size_t len, uint32_t body_len,
	struct bmff_run runs[FRAGMENT_TRACKS_MAX], size_t *ret_run_count,
	struct bmff_sample *samples, size_t sample_room);

/* Whether a header says of a body what was read from it: number of tracks, place of each tfdt, sync
 * prefix. 0 or ERR_FORMAT. Receivers must ask before they rewrite a tfdt where the header says it
 * is. */
int bmff_fragment_agrees(
	const struct fragment_header *h, const struct bmff_run *runs, size_t run_count);
