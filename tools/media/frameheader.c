/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/frameheader.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/errors.h"

static const uint32_t rates[] = {
	96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};

int adts_parse(const void *data, size_t len, struct adts *ret_adts)
{
	struct bytes b = bytes_reader(data, len);
	uint16_t sync = bytes_get_u16(&b);
	uint32_t fields = bytes_get_u32(&b);
	bytes_skip(&b, 1);
	if (b.error || (sync & 0xfff6) != 0xfff0)
		return ERR_FORMAT;
	unsigned profile = fields >> 30, rate = fields >> 26 & 15, channels = fields >> 22 & 7;
	size_t header_len = sync & 1 ? 7 : 9, frame_len = fields >> 5 & 0x1fff;
	if (rate >= ARRAY_LEN(rates) || channels == 0 || frame_len <= header_len || frame_len > len)
		return ERR_FORMAT;
	unsigned config = (profile + 1) << 11 | rate << 7 | channels << 3;
	*ret_adts = (struct adts){.header_len = header_len,
		.frame_len = frame_len,
		.sample_rate = rates[rate],
		.channels = (uint16_t)(channels == 7 ? 8 : channels),
		.config = {(uint8_t)(config >> 8), (uint8_t)config}};
	return 0;
}

int jpeg_size(const void *data, size_t len, uint16_t *ret_width, uint16_t *ret_height)
{
	struct bytes b = bytes_reader(data, len);
	if (bytes_get_u16(&b) != 0xffd8)
		return ERR_FORMAT;
	while (!b.error) {
		uint16_t marker = bytes_get_u16(&b);
		uint16_t size = bytes_get_u16(&b);
		bool frame = marker >= 0xffc0 && marker <= 0xffcf && marker != 0xffc4 &&
			     marker != 0xffc8 && marker != 0xffcc;
		if (marker < 0xff00 || size < 2)
			return ERR_FORMAT;
		if (!frame) {
			bytes_skip(&b, size - 2u);
			continue;
		}
		bytes_skip(&b, 1);
		uint16_t height = bytes_get_u16(&b), width = bytes_get_u16(&b);
		if (b.error || width == 0 || height == 0)
			return ERR_FORMAT;
		*ret_width = width;
		*ret_height = height;
		return 0;
	}
	return ERR_FORMAT;
}
