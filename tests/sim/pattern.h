/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures that say which they are: every byte follows from the camera and the picture's number, so
 * that whoever meets one, in an object or in a viewer's hands, can tell whether it was ever shown
 * and is unchanged. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PATTERN_SIZE_MIN 24

/* Pictures of one fragment, consecutive. */
struct pattern_run {
	unsigned camera;
	uint64_t first;
	unsigned count;
};

/* A picture as a sample of H.264: one NAL unit with its length before it. */
void pattern_make(uint8_t *to, size_t len, unsigned camera, uint64_t number);
/* Which picture it is; ERR_DAMAGED when it is none, or was changed. */
int pattern_read(const uint8_t *data, size_t len, unsigned *ret_camera, uint64_t *ret_number);
/* The pictures of a fragment's body; ERR_DAMAGED when they are not consecutive pictures of one
 * camera. */
int pattern_read_fragment(const uint8_t *body, size_t len, struct pattern_run *ret_run);
