/* SPDX-License-Identifier: Apache-2.0 */
/* H.264 of any size for measuring: valid and decodable. A key frame is a small picture of raw
 * samples (I_PCM), the others repeat it; random bytes in a SEI message of user data make the size.
 * Pictures are made once and shown again, so that what is measured is not their making. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/steppe.h"

#define BENCHMEDIA_SIDE 64u /* of the picture, in samples */
#define BENCHMEDIA_KEPT 32u /* pictures of a kind before the first comes again */

/* A picture that was made: its noise, which stays, and its slice, which tells the frame's number. */
struct benchmedia_picture {
	uint8_t *bytes;
	size_t size;  /* that was asked for */
	size_t slice; /* where its slice begins */
};

struct benchmedia {
	uint8_t config[64]; /* avcC */
	size_t config_len;
	uint8_t *noise; /* random bytes without emulation */
	size_t noise_len;
	uint8_t *key; /* the key frame's slice, length-prefixed */
	size_t key_len;
	struct benchmedia_picture kept[2][BENCHMEDIA_KEPT]; /* repeats, key frames */
	unsigned next[2];
	unsigned frame_num; /* since the key frame */
};

/* `seed`: which noise. -ENOMEM. */
int benchmedia_init(struct benchmedia *m, uint64_t seed);
void benchmedia_fini(struct benchmedia *m);
/* The track these pictures are of; its configuration lives as long as `m`. */
struct steppe_track benchmedia_track(const struct benchmedia *m);
/* A picture of about `size` bytes, valid until BENCHMEDIA_KEPT more were asked for; NULL when
 * memory is short. */
const uint8_t *benchmedia_frame(struct benchmedia *m, bool key, size_t size, size_t *ret_len);
