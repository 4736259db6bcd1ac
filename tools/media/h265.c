/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/h265.h"

#include "base/errors.h"
#include "tools/media/bits.h"

#define SIDE_MAX 16384u

static struct bits payload(const struct nal *nal)
{
	return nal->len < 2 ? bits_reader(nal->data, 0) : bits_reader(nal->data + 2, nal->len - 2);
}

static void profile_tier_level(struct bits *b, struct h265_sps *s)
{
	for (size_t i = 0; i < sizeof(s->profile_tier); i++)
		s->profile_tier[i] = (uint8_t)bits_get(b, 8);
	s->level = (uint8_t)bits_get(b, 8);
	bool has_profile[8] = {false}, has_level[8] = {false};
	for (unsigned i = 0; i + 1 < s->sub_layers; i++) {
		has_profile[i] = bits_get(b, 1);
		has_level[i] = bits_get(b, 1);
	}
	if (s->sub_layers > 1)
		bits_skip(b, 2 * (9 - s->sub_layers));
	for (unsigned i = 0; i + 1 < s->sub_layers; i++) {
		if (has_profile[i])
			bits_skip(b, 88);
		if (has_level[i])
			bits_skip(b, 8);
	}
}

static int size_fields(struct bits *b, struct h265_sps *s)
{
	s->chroma_format = bits_get_ue(b);
	if (s->chroma_format == 3)
		bits_skip(b, 1);
	uint32_t width = bits_get_ue(b), height = bits_get_ue(b);
	if (s->chroma_format > 3 || width == 0 || height == 0 || width > SIDE_MAX ||
		height > SIDE_MAX)
		return ERR_FORMAT;
	if (bits_get(b, 1)) {
		uint32_t unit_x = s->chroma_format == 1 || s->chroma_format == 2 ? 2 : 1;
		uint32_t unit_y = s->chroma_format == 1 ? 2 : 1;
		uint64_t left = bits_get_ue(b), right = bits_get_ue(b), top = bits_get_ue(b),
			 bottom = bits_get_ue(b);
		if ((left + right) * unit_x >= width || (top + bottom) * unit_y >= height)
			return ERR_FORMAT;
		width -= (uint32_t)(left + right) * unit_x;
		height -= (uint32_t)(top + bottom) * unit_y;
	}
	s->width = width;
	s->height = height;
	return 0;
}

int h265_sps_parse(const struct nal *nal, struct h265_sps *ret_sps)
{
	struct bits b = payload(nal);
	struct h265_sps s = {0};
	bits_skip(&b, 4);
	s.sub_layers = bits_get(&b, 3) + 1;
	s.nested = bits_get(&b, 1);
	if (s.sub_layers > 7)
		return ERR_FORMAT;
	profile_tier_level(&b, &s);
	s.id = bits_get_ue(&b);
	int error = size_fields(&b, &s);
	if (error)
		return b.error ? b.error : error;
	s.luma_depth = 8 + bits_get_ue(&b);
	s.chroma_depth = 8 + bits_get_ue(&b);
	(void)bits_get_ue(&b); /* log2_max_pic_order_cnt_lsb_minus4 */
	unsigned first = bits_get(&b, 1) ? 0 : s.sub_layers - 1;
	uint32_t reorder = 0;
	for (unsigned i = first; i < s.sub_layers; i++) {
		(void)bits_get_ue(&b);
		reorder = bits_get_ue(&b);
		(void)bits_get_ue(&b);
	}
	if (b.error)
		return b.error;
	if (s.id > 15 || s.luma_depth > 16 || s.chroma_depth > 16 || reorder > 16)
		return ERR_FORMAT;
	s.reorder = (int)reorder;
	*ret_sps = s;
	return 0;
}

int h265_set_id(const struct nal *nal)
{
	struct bits b = payload(nal);
	switch (h265_nal_type(nal)) {
	case H265_VPS: {
		uint32_t id = bits_get(&b, 4);
		return b.error ? -1 : (int)id;
	}
	case H265_SPS: {
		struct h265_sps sps;
		return h265_sps_parse(nal, &sps) ? -1 : (int)sps.id;
	}
	default: {
		uint32_t id = bits_get_ue(&b);
		return b.error || id > 63 ? -1 : (int)id;
	}
	}
}

bool h265_slice_is_first(const struct nal *nal)
{
	return nal->len > 2 && nal->data[2] & 0x80;
}
