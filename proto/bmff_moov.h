/* SPDX-License-Identifier: Apache-2.0 */
/* The boxes of `moov` that init segments (bmff_init.c) and progressive files (bmff_progressive.c)
 * share; private to the two. All append at the cursor, whose errors stick. */
#pragma once

#include "proto/bmff.h"

/* As bmff_box_begin and bmff_full_box_begin, by name. */
size_t moov_begin(struct bytes *b, const char name[5]);
size_t moov_begin_full(struct bytes *b, const char name[5], uint8_t version, uint32_t flags);

/* Durations: in the movie's timescale, but mdhd's, which is in the track's. */
void moov_put_mvhd(struct bytes *b, uint32_t timescale, uint64_t duration, uint32_t next_track);
void moov_put_tkhd(struct bytes *b, const struct bmff_track *t, uint64_t duration);
void moov_put_mdhd(struct bytes *b, uint32_t timescale, uint64_t duration);
void moov_put_hdlr(struct bytes *b, enum bmff_media media);
/* The media header of the kind, and a dinf that says: in this file. */
void moov_put_media(struct bytes *b, enum bmff_media media);
/* One sample entry: the track's own verbatim, or made from its configuration. */
void moov_put_stsd(struct bytes *b, const struct bmff_track *t);
