/* SPDX-License-Identifier: Apache-2.0 */
/* H.264 of any size for measuring: valid and decodable, as cheap to make as a copy. A key frame is
 * a small picture of raw samples (I_PCM), the others repeat it; random bytes in a SEI message of
 * user data make the size. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/steppe.h"

#define BENCHMEDIA_SIDE 64u /* of the picture, in samples */

struct benchmedia {
	uint8_t config[64]; /* avcC */
	size_t config_len;
	uint8_t *noise; /* random bytes without emulation */
	size_t noise_len;
	uint8_t *key; /* the key frame's slice, length-prefixed */
	size_t key_len;
	uint8_t *out;
	size_t out_room;
	unsigned frame_num; /* since the key frame */
};

/* `seed`: which noise. -ENOMEM. */
int benchmedia_init(struct benchmedia *m, uint64_t seed);
void benchmedia_fini(struct benchmedia *m);
/* The track these pictures are of; its configuration lives as long as `m`. */
struct steppe_track benchmedia_track(const struct benchmedia *m);
/* A picture of about `size` bytes, valid until the next call; NULL when memory is short. */
const uint8_t *benchmedia_frame(struct benchmedia *m, bool key, size_t size, size_t *ret_len);
