/* SPDX-License-Identifier: Apache-2.0 */
/* ISO base media file format (ISO/IEC 14496-12, -14, -15) as far as Steppe reads and writes it: init segments
 * (`ftyp moov`), fragments (`moof mdat`), and the tables of progressive files. Pure; bounded on any input. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "proto/fragment.h"

#define BMFF_FOURCC(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* One box header. */
struct bmff_box {
	uint32_t type;
	const uint8_t *uuid; /* 16 bytes when type is 'uuid' */
	uint64_t size;       /* of the whole box */
	uint32_t header;     /* bytes of its header: 8, 16, 24 or 32 */
};
/* Reads the header at the cursor and leaves the cursor on the payload. ERR_TRUNCATED when the header itself is cut,
 * ERR_FORMAT when the size cannot be. Does not demand that the payload is there. */
int bmff_box_read(struct bytes *b, struct bmff_box *ret_box);

enum bmff_media { BMFF_VIDEO, BMFF_AUDIO, BMFF_METADATA };

enum bmff_codec {
	BMFF_H264,  /* avc1; config: AVCDecoderConfigurationRecord */
	BMFF_H265,  /* hvc1; config: HEVCDecoderConfigurationRecord */
	BMFF_AAC,   /* mp4a; config: AudioSpecificConfig */
	BMFF_PCMA,  /* alaw; no config */
	BMFF_PCMU,  /* ulaw; no config */
	BMFF_MJPEG, /* jpeg; no config */
	BMFF_TEXT_METADATA, /* mett; config: MIME type */
	BMFF_OTHER, /* read only: a sample entry kept verbatim */
};

struct bmff_track {
	uint32_t id; /* 1..4 */
	enum bmff_media media;
	enum bmff_codec codec;
	uint32_t timescale; /* 1..1,000,000 */
	uint16_t width, height;       /* video */
	uint16_t channels, sample_bits; /* audio */
	uint32_t sample_rate;
	const uint8_t *config; /* borrowed */
	size_t config_len;
	/* When reading: the whole sample entry (child of stsd), borrowed from the input; when writing, used verbatim if set. */
	const uint8_t *entry;
	size_t entry_len;
};

struct bmff_init {
	uint8_t track_count;
	struct bmff_track tracks[FRAGMENT_TRACKS_MAX];
};

/* Builds an init segment (ftyp + moov with mvex) of at most FRAGMENT_INIT_MAX bytes. -EINVAL for tracks that make no sense,
 * ERR_LIMIT when too large. Gives the buffer. */
int bmff_init_build(const struct bmff_init *init, struct buf **ret_buf);
/* Reads an init segment; the tracks borrow from `data`. ERR_FORMAT, ERR_TRUNCATED, ERR_LIMIT. */
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
	uint64_t decode_time;       /* tfdt: ticks of the first sample */
	uint32_t sample_count;
	const struct bmff_sample *samples; /* building: borrowed; parsing: points into the caller's array */
	uint32_t data_offset;       /* parsing: of the first sample's bytes from the start of the body (moof) */
	const struct slice *payload; /* building: one slice a sample, or fewer larger ones holding them in order */
	uint32_t payload_count;
};

/* Builds `moof mdat` of the runs (video first; its first sample first in mdat). The result's parts are gathered into one
 * buffer. tfdt is version 1; trun version 1, one trun a track, sizes, durations, flags and offsets a sample.
 * Fills body_len, prefix_len, track_count and tfdt_offset of `h` (prefix_len by the first run's first sample when it is sync and
 * FRAGMENT_SYNC is set in h->flags). -EINVAL, ERR_LIMIT (FRAGMENT_BODY_MAX), -ENOMEM. */
int bmff_fragment_build(const struct bmff_run *runs, size_t run_count, struct fragment_header *h, struct buf **ret_body);

/* Reads the moof of a fragment body (which may end before mdat's payload does: only the moof need be whole). `samples` has room
 * for `sample_room`; ERR_LIMIT when there are more samples. Outputs at most FRAGMENT_TRACKS_MAX runs. Sample ranges are
 * checked against `body_len`. Defaults of tfhd and of the init's trex are honoured where the body comes from others. */
int bmff_fragment_parse(const void *body, size_t len, uint32_t body_len, struct bmff_run runs[FRAGMENT_TRACKS_MAX],
	size_t *ret_run_count, struct bmff_sample *samples, size_t sample_room);
