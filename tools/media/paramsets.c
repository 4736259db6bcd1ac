/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/paramsets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/errors.h"
#include "tools/media/h264.h"
#include "tools/media/h265.h"

void paramsets_init(struct paramsets *p, enum steppe_codec codec)
{
	*p = (struct paramsets){.codec = codec};
}

void paramsets_fini(struct paramsets *p)
{
	for (unsigned i = 0; i < p->count; i++)
		free(p->sets[i].data);
	p->count = 0;
}

static uint8_t type_of(enum steppe_codec codec, const struct nal *nal)
{
	return (uint8_t)(codec == STEPPE_H264 ? h264_nal_type(nal) : h265_nal_type(nal));
}

bool paramsets_is_set(enum steppe_codec codec, const struct nal *nal)
{
	uint8_t type = type_of(codec, nal);
	return codec == STEPPE_H264 ? type == H264_SPS || type == H264_PPS
				    : type >= H265_VPS && type <= H265_PPS;
}

/* The set of the same type and id, or NULL. */
static struct paramset *find(const struct paramsets *p, uint8_t type, int id)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->sets[i].type == type && p->sets[i].id == id)
			return (struct paramset *)&p->sets[i];
	return NULL;
}

static int id_of(enum steppe_codec codec, const struct nal *nal)
{
	return codec == STEPPE_H264 ? h264_set_id(nal) : h265_set_id(nal);
}

static bool same(const struct paramset *set, const struct nal *nal)
{
	return set->len == nal->len && memcmp(set->data, nal->data, nal->len) == 0;
}

bool paramsets_would_change(const struct paramsets *p, const struct nal *nal)
{
	const struct paramset *old = find(p, type_of(p->codec, nal), id_of(p->codec, nal));
	return !old || !same(old, nal);
}

int paramsets_put(struct paramsets *p, const struct nal *nal)
{
	int id = id_of(p->codec, nal);
	if (id < 0 || !paramsets_is_set(p->codec, nal))
		return ERR_FORMAT;
	if (nal->len > PARAMSET_SIZE_MAX)
		return ERR_LIMIT;
	uint8_t type = type_of(p->codec, nal);
	struct paramset *set = find(p, type, id);
	if (set && same(set, nal))
		return 0;
	uint8_t *data = malloc(nal->len);
	if (!data)
		return -ENOMEM;
	memcpy(data, nal->data, nal->len);
	if (!set && p->count == PARAMSETS_MAX) {
		free(p->sets[0].data);
		memmove(p->sets, p->sets + 1, (PARAMSETS_MAX - 1) * sizeof(p->sets[0]));
		p->count--;
	}
	if (!set)
		set = &p->sets[p->count++];
	else
		free(set->data);
	*set = (struct paramset){.type = type, .id = id, .data = data, .len = (uint16_t)nal->len};
	return 1;
}

/* `count` sets, each behind a 16-bit length. */
static int load_array(struct paramsets *p, struct bytes *b, unsigned count)
{
	for (unsigned i = 0; i < count && !b->error; i++) {
		size_t len = bytes_get_u16(b);
		const uint8_t *data = bytes_get_view(b, len);
		struct nal nal = {data, len};
		if (!data || len == 0)
			return ERR_FORMAT;
		/* sets of no use to us (SEI in an hvcC) are left out */
		if (!paramsets_is_set(p->codec, &nal))
			continue;
		int put = paramsets_put(p, &nal);
		if (put < 0)
			return put;
	}
	return b->error ? ERR_FORMAT : 0;
}

static int load_avcc(struct paramsets *p, struct bytes *b, unsigned *ret_length_size)
{
	bytes_skip(b, 4);
	unsigned length_size = (bytes_get_u8(b) & 3u) + 1;
	int error = load_array(p, b, bytes_get_u8(b) & 0x1fu);
	if (!error)
		error = load_array(p, b, bytes_get_u8(b));
	if (!error)
		*ret_length_size = length_size;
	return error;
}

static int load_hvcc(struct paramsets *p, struct bytes *b, unsigned *ret_length_size)
{
	bytes_skip(b, 21);
	unsigned length_size = (bytes_get_u8(b) & 3u) + 1;
	unsigned arrays = bytes_get_u8(b);
	for (unsigned i = 0; i < arrays; i++) {
		bytes_skip(b, 1);
		int error = load_array(p, b, bytes_get_u16(b));
		if (error)
			return error;
	}
	if (b->error)
		return ERR_FORMAT;
	*ret_length_size = length_size;
	return 0;
}

int paramsets_load(struct paramsets *p, const void *config, size_t len, unsigned *ret_length_size)
{
	const uint8_t *c = config;
	if (len >= 7 && c[0] == 1) {
		struct bytes b = bytes_reader(config, len);
		return p->codec == STEPPE_H264 ? load_avcc(p, &b, ret_length_size)
					       : load_hvcc(p, &b, ret_length_size);
	}
	struct nal_scan scan = nal_scan_annexb(config, len);
	struct nal nal;
	while (nal_next(&scan, &nal)) {
		if (!paramsets_is_set(p->codec, &nal))
			continue;
		int put = paramsets_put(p, &nal);
		if (put < 0)
			return put;
	}
	*ret_length_size = 0;
	return 0;
}

static unsigned count_type(const struct paramsets *p, uint8_t type)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->count; i++)
		n += p->sets[i].type == type;
	return n;
}

bool paramsets_complete(const struct paramsets *p)
{
	struct paramsets_picture picture;
	if (paramsets_picture(p, &picture))
		return false;
	if (p->codec == STEPPE_H264)
		return count_type(p, H264_PPS) > 0;
	return count_type(p, H265_PPS) > 0 && count_type(p, H265_VPS) > 0;
}

static const struct paramset *newest(const struct paramsets *p, uint8_t type)
{
	for (unsigned i = p->count; i > 0; i--)
		if (p->sets[i - 1].type == type)
			return &p->sets[i - 1];
	return NULL;
}

int paramsets_picture(const struct paramsets *p, struct paramsets_picture *ret_picture)
{
	const struct paramset *set = newest(p, p->codec == STEPPE_H264 ? H264_SPS : H265_SPS);
	if (!set)
		return ERR_FORMAT;
	struct nal nal = {set->data, set->len};
	struct h264_sps avc = {0};
	struct h265_sps hevc = {0};
	int error =
		p->codec == STEPPE_H264 ? h264_sps_parse(&nal, &avc) : h265_sps_parse(&nal, &hevc);
	if (error)
		return ERR_FORMAT;
	*ret_picture = p->codec == STEPPE_H264 ? (struct paramsets_picture){(uint16_t)avc.width,
							 (uint16_t)avc.height, avc.reorder}
					       : (struct paramsets_picture){(uint16_t)hevc.width,
							 (uint16_t)hevc.height, hevc.reorder};
	return 0;
}

static void put_type(struct bytes *b, const struct paramsets *p, uint8_t type)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->sets[i].type != type)
			continue;
		bytes_put_u16(b, p->sets[i].len);
		bytes_put(b, p->sets[i].data, p->sets[i].len);
	}
}

static void put_avcc(struct bytes *b, const struct paramsets *p, const struct h264_sps *sps)
{
	bytes_put_u8(b, 1);
	bytes_put_u8(b, sps->profile);
	bytes_put_u8(b, sps->constraints);
	bytes_put_u8(b, sps->level);
	bytes_put_u8(b, 0xfc | 3);
	bytes_put_u8(b, (uint8_t)(0xe0 | count_type(p, H264_SPS)));
	put_type(b, p, H264_SPS);
	bytes_put_u8(b, (uint8_t)count_type(p, H264_PPS));
	put_type(b, p, H264_PPS);
	if (sps->profile == 66 || sps->profile == 77 || sps->profile == 88)
		return;
	bytes_put_u8(b, (uint8_t)(0xfc | sps->chroma_format));
	bytes_put_u8(b, (uint8_t)(0xf8 | (sps->luma_depth - 8)));
	bytes_put_u8(b, (uint8_t)(0xf8 | (sps->chroma_depth - 8)));
	bytes_put_u8(b, 0);
}

static void put_hvcc(struct bytes *b, const struct paramsets *p, const struct h265_sps *sps)
{
	bytes_put_u8(b, 1);
	bytes_put(b, sps->profile_tier, sizeof(sps->profile_tier));
	bytes_put_u8(b, sps->level);
	bytes_put_u16(b, 0xf000);
	bytes_put_u8(b, 0xfc);
	bytes_put_u8(b, (uint8_t)(0xfc | sps->chroma_format));
	bytes_put_u8(b, (uint8_t)(0xf8 | (sps->luma_depth - 8)));
	bytes_put_u8(b, (uint8_t)(0xf8 | (sps->chroma_depth - 8)));
	bytes_put_u16(b, 0);
	bytes_put_u8(b, (uint8_t)(sps->sub_layers << 3 | (sps->nested ? 4u : 0u) | 3u));
	bytes_put_u8(b, 3);
	for (uint8_t type = H265_VPS; type <= H265_PPS; type++) {
		bytes_put_u8(b, (uint8_t)(0x80 | type));
		bytes_put_u16(b, (uint16_t)count_type(p, type));
		put_type(b, p, type);
	}
}

int paramsets_config(const struct paramsets *p, struct buf **ret_config)
{
	const struct paramset *set = newest(p, p->codec == STEPPE_H264 ? H264_SPS : H265_SPS);
	struct h264_sps avc;
	struct h265_sps hevc;
	if (!paramsets_complete(p) || !set)
		return ERR_FORMAT;
	struct nal nal = {set->data, set->len};
	if (p->codec == STEPPE_H264 ? h264_sps_parse(&nal, &avc) : h265_sps_parse(&nal, &hevc))
		return ERR_FORMAT;
	size_t len = 64;
	for (unsigned i = 0; i < p->count; i++)
		len += 2u + p->sets[i].len;
	struct buf *config = buf_new(len);
	if (!config)
		return -ENOMEM;
	struct bytes b = bytes_writer(config->data, len);
	if (p->codec == STEPPE_H264)
		put_avcc(&b, p, &avc);
	else
		put_hvcc(&b, p, &hevc);
	if (b.error) {
		buf_unref(&config);
		return ERR_LIMIT;
	}
	config->len = b.at;
	*ret_config = config;
	return 0;
}
