/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of real footage, for judging them with players: media files are read with libavformat,
 * fragments of a second are built with proto/bmff, and the rest is as a writer does it. */
#pragma once

#include "tests/lib/footage.h"

/* The first `seconds` of the video of `path`, from a sync sample on, padded to `alignment` (0: not
 * at all) and sealed. 0, or -1 when the file cannot be used. */
int footage_media_chunk(struct footage_chunk *c, const char *path, int seconds, uint32_t alignment);
