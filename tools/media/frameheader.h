/* SPDX-License-Identifier: Apache-2.0 */
/* Small headers of audio frames and pictures that carry what their container does not tell. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An ADTS header in front of an AAC frame (ISO/IEC 14496-3, 1.A.3.2). */
struct adts {
	size_t header_len, frame_len;
	uint32_t sample_rate;
	uint16_t channels;
	uint8_t config[2]; /* the AudioSpecificConfig it stands for */
};
/* 0, or ERR_FORMAT for what is no ADTS header, a reserved rate or channels told elsewhere. */
int adts_parse(const void *data, size_t len, struct adts *ret_adts);
/* The size of a JPEG picture, from its frame header; ERR_FORMAT. */
int jpeg_size(const void *data, size_t len, uint16_t *ret_width, uint16_t *ret_height);
