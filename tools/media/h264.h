/* SPDX-License-Identifier: Apache-2.0 */
/* What recording must know of H.264 (ITU-T H.264 clause 7): picture size and reordering from the
 * sequence parameter set, where decoding can start, where an access unit begins; and the decoder
 * configuration record of ISO/IEC 14496-15. Pure. */
#pragma once

#include <stdbool.h>

#include "tools/media/nal.h"

enum h264_nal_type {
	H264_SLICE = 1,
	H264_IDR = 5,
	H264_SEI = 6,
	H264_SPS = 7,
	H264_PPS = 8,
	H264_AUD = 9,
	H264_FILLER = 12
};

static inline unsigned h264_nal_type(const struct nal *nal)
{
	return nal->data[0] & 0x1f;
}

struct h264_sps {
	uint8_t profile, constraints, level;
	unsigned id;
	unsigned chroma_format, luma_depth, chroma_depth;
	uint32_t width, height; /* as shown, after cropping */
	int reorder; /* most pictures that are decoded before and shown after another; -1: not said
		      */
};

/* Reads a sequence parameter set; ERR_TRUNCATED or ERR_FORMAT. Borrows the NAL unit. */
int h264_sps_parse(const struct nal *nal, struct h264_sps *ret_sps);
/* The id of a sequence or picture parameter set; -1 when it has none. */
int h264_set_id(const struct nal *nal);

struct h264_slice {
	bool first; /* begins a picture */
	bool intra; /* I or SI */
};
/* Reads the beginning of a slice's header; ERR_TRUNCATED or ERR_FORMAT. */
int h264_slice_parse(const struct nal *nal, struct h264_slice *ret_slice);
/* Whether a SEI unit carries a recovery point. */
bool h264_has_recovery_point(const struct nal *nal);
