/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/h264.h"

#include "base/errors.h"
#include "tools/media/bits.h"

#define SIDE_MAX     16384u /* of a picture; keeps all arithmetic far from its limits */
#define SAR_EXTENDED 255u

static struct bits payload(const struct nal *nal)
{
	return bits_reader(nal->data + 1, nal->len - 1);
}

static bool has_chroma_fields(uint8_t profile)
{
	switch (profile) {
	case 44:
	case 83:
	case 86:
	case 100:
	case 110:
	case 118:
	case 122:
	case 128:
	case 134:
	case 135:
	case 138:
	case 139:
	case 244:
		return true;
	default:
		return false;
	}
}

static void skip_scaling_list(struct bits *b, unsigned size)
{
	int32_t last = 8, next = 8;
	for (unsigned i = 0; i < size && !b->error; i++) {
		if (next != 0)
			next = (last + bits_get_se(b) % 256 + 256) % 256;
		last = next == 0 ? last : next;
	}
}

static void chroma_fields(struct bits *b, struct h264_sps *s)
{
	s->chroma_format = bits_get_ue(b);
	if (s->chroma_format == 3)
		bits_skip(b, 1); /* separate_colour_plane_flag */
	s->luma_depth = 8 + bits_get_ue(b);
	s->chroma_depth = 8 + bits_get_ue(b);
	bits_skip(b, 1);
	if (!bits_get(b, 1))
		return;
	for (unsigned i = 0; i < (s->chroma_format == 3 ? 12 : 8); i++)
		if (bits_get(b, 1))
			skip_scaling_list(b, i < 6 ? 16 : 64);
}

static void skip_hrd(struct bits *b)
{
	uint32_t count = bits_get_ue(b) + 1;
	bits_skip(b, 8);
	for (uint32_t i = 0; i < count && i < 32; i++) {
		(void)bits_get_ue(b);
		(void)bits_get_ue(b);
		bits_skip(b, 1);
	}
	bits_skip(b, 20);
}

/* Only to reach max_num_reorder_frames at its end. A cut VUI says nothing. */
static int vui_reorder(struct bits *b)
{
	if (bits_get(b, 1) && bits_get(b, 8) == SAR_EXTENDED)
		bits_skip(b, 32);
	if (bits_get(b, 1))
		bits_skip(b, 1); /* overscan */
	if (bits_get(b, 1)) {
		bits_skip(b, 4); /* video format, full range */
		if (bits_get(b, 1))
			bits_skip(b, 24);
	}
	if (bits_get(b, 1)) { /* chroma location */
		(void)bits_get_ue(b);
		(void)bits_get_ue(b);
	}
	if (bits_get(b, 1))
		bits_skip(b, 65); /* timing */
	bool nal_hrd = bits_get(b, 1);
	if (nal_hrd)
		skip_hrd(b);
	bool vcl_hrd = bits_get(b, 1);
	if (vcl_hrd)
		skip_hrd(b);
	if (nal_hrd || vcl_hrd)
		bits_skip(b, 1);
	bits_skip(b, 1);
	if (!bits_get(b, 1))
		return -1;
	bits_skip(b, 1);
	for (int i = 0; i < 4; i++)
		(void)bits_get_ue(b);
	uint32_t reorder = bits_get_ue(b);
	return b->error || reorder > 16 ? -1 : (int)reorder;
}

/* Returns pic_order_cnt_type: with 2 the order of decoding is the order of showing. */
static uint32_t order_fields(struct bits *b)
{
	(void)bits_get_ue(b); /* log2_max_frame_num_minus4 */
	uint32_t type = bits_get_ue(b);
	if (type == 0) {
		(void)bits_get_ue(b);
	} else if (type == 1) {
		bits_skip(b, 1);
		(void)bits_get_se(b);
		(void)bits_get_se(b);
		uint32_t count = bits_get_ue(b);
		for (uint32_t i = 0; i < count && i < 256; i++)
			(void)bits_get_se(b);
	}
	return type;
}

static int size_fields(struct bits *b, struct h264_sps *s)
{
	uint32_t columns = bits_get_ue(b) + 1, rows = bits_get_ue(b) + 1;
	bool frames_only = bits_get(b, 1);
	if (!frames_only)
		bits_skip(b, 1);
	bits_skip(b, 1);
	if (columns > SIDE_MAX / 16 || rows > SIDE_MAX / 16)
		return ERR_FORMAT;
	uint32_t width = columns * 16, height = rows * 16 * (frames_only ? 1 : 2);
	if (bits_get(b, 1)) {
		uint32_t unit_x = s->chroma_format == 1 || s->chroma_format == 2 ? 2 : 1;
		uint32_t unit_y = (s->chroma_format == 1 ? 2 : 1) * (frames_only ? 1 : 2);
		uint64_t left = bits_get_ue(b), right = bits_get_ue(b), top = bits_get_ue(b),
			 bottom = bits_get_ue(b);
		if ((left + right) * unit_x >= width || (top + bottom) * unit_y >= height)
			return ERR_FORMAT;
		width -= (uint32_t)(left + right) * unit_x;
		height -= (uint32_t)(top + bottom) * unit_y;
	}
	s->width = width;
	s->height = height;
	return b->error;
}

int h264_sps_parse(const struct nal *nal, struct h264_sps *ret_sps)
{
	struct bits b = payload(nal);
	struct h264_sps s = {.chroma_format = 1, .luma_depth = 8, .chroma_depth = 8};
	s.profile = (uint8_t)bits_get(&b, 8);
	s.constraints = (uint8_t)bits_get(&b, 8);
	s.level = (uint8_t)bits_get(&b, 8);
	s.id = bits_get_ue(&b);
	if (has_chroma_fields(s.profile))
		chroma_fields(&b, &s);
	if (s.id > 31 || s.chroma_format > 3 || s.luma_depth > 14 || s.chroma_depth > 14)
		return b.error ? b.error : ERR_FORMAT;
	uint32_t order = order_fields(&b);
	(void)bits_get_ue(&b); /* max_num_ref_frames */
	bits_skip(&b, 1);
	int error = size_fields(&b, &s);
	if (error)
		return error;
	s.reorder = bits_get(&b, 1) ? vui_reorder(&b) : -1;
	if (s.profile == 66 || order == 2)
		s.reorder = 0;
	*ret_sps = s;
	return 0;
}

int h264_set_id(const struct nal *nal)
{
	struct bits b = payload(nal);
	if (h264_nal_type(nal) == H264_SPS)
		bits_skip(&b, 24);
	uint32_t id = bits_get_ue(&b);
	return b.error || id > 255 ? -1 : (int)id;
}

int h264_slice_parse(const struct nal *nal, struct h264_slice *ret_slice)
{
	struct bits b = payload(nal);
	uint32_t first_macroblock = bits_get_ue(&b), type = bits_get_ue(&b);
	if (b.error)
		return b.error;
	if (type > 9)
		return ERR_FORMAT;
	*ret_slice = (struct h264_slice){
		.first = first_macroblock == 0, .intra = type % 5 == 2 || type % 5 == 4};
	return 0;
}

/* Message types and sizes are sums of 255s and a last byte. */
static uint32_t sei_number(struct bits *b)
{
	uint32_t sum = 0, byte;
	do {
		byte = bits_get(b, 8);
		sum += byte;
	} while (byte == 255 && sum < 1u << 20 && !b->error);
	return sum;
}

bool h264_has_recovery_point(const struct nal *nal)
{
	struct bits b = payload(nal);
	/* two bytes at least are left for a message: the last byte is the stop bit's */
	while (!b.error && b.len - b.at > 2) {
		uint32_t type = sei_number(&b), size = sei_number(&b);
		if (type == 6)
			return !b.error;
		if (size > b.len - b.at)
			break;
		bits_skip(&b, size * 8);
	}
	return false;
}
