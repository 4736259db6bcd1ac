/* SPDX-License-Identifier: Apache-2.0 */
/* What recording must know of H.265 (ITU-T H.265 clause 7): picture size, reordering and profile
 * from the sequence parameter set, where decoding can start, where an access unit begins. Pure. */
#pragma once

#include <stdbool.h>

#include "tools/media/nal.h"

enum h265_nal_type {
	H265_BLA_W_LP = 16,
	H265_BLA_N_LP = 18,
	H265_IDR_W_RADL = 19,
	H265_IDR_N_LP = 20,
	H265_CRA = 21,
	H265_IRAP_LAST = 23,
	H265_VCL_LAST = 31,
	H265_VPS = 32,
	H265_SPS = 33,
	H265_PPS = 34,
	H265_AUD = 35,
	H265_FILLER = 38,
	H265_SEI_PREFIX = 39,
};

static inline unsigned h265_nal_type(const struct nal *nal)
{
	return nal->data[0] >> 1 & 0x3f;
}

struct h265_sps {
	unsigned id;
	unsigned sub_layers;      /* 1..7 */
	bool nested;              /* temporal ids are nested */
	uint8_t profile_tier[11]; /* general profile, compatibility and constraint flags; without
				     the level */
	uint8_t level;
	unsigned chroma_format, luma_depth, chroma_depth;
	uint32_t width, height; /* as shown */
	int reorder;
};

/* Reads a sequence parameter set; ERR_TRUNCATED or ERR_FORMAT. Borrows the NAL unit. */
int h265_sps_parse(const struct nal *nal, struct h265_sps *ret_sps);
/* The id of a video, sequence or picture parameter set; -1 when it has none. */
int h265_set_id(const struct nal *nal);
/* Whether a slice segment begins a picture. */
bool h265_slice_is_first(const struct nal *nal);
