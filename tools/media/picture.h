/* SPDX-License-Identifier: Apache-2.0 */
/* One picture of footage as a JPEG file: decodes from the sync picture on, and keeps the last
 * picture shown at or before the wanted instant. */
#pragma once

#include "tools/media/unpack.h"

struct picture;

/* 0 or -ENOMEM. */
int picture_new(int64_t at_us, struct picture **ret_picture);
/* Takes the samples of a fragment; fragments come in order, the first begins with a sync picture.
 * 0, -ENOTSUP (a codec nobody here decodes), -ENOMEM. Pictures that do not decode are left out. */
int picture_take(struct picture *p, const struct unpack *fragment);
/* Ends decoding and gives the JPEG and the instant it was taken. -ENODATA when no picture came
 * before the wanted instant. */
int picture_finish(struct picture *p, struct buf **ret_jpeg, int64_t *ret_us);
void picture_free(struct picture **p);
