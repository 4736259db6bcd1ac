/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter sets of an H.264 or H.265 stream as they stand, and the decoder configuration
 * record (avcC, hvcC; ISO/IEC 14496-15) made of them. Cameras send sets in the stream again and
 * again, and change them when their settings change. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "client/steppe.h"
#include "tools/media/nal.h"

#define PARAMSETS_MAX     48    /* sets kept; of more the oldest goes */
#define PARAMSET_SIZE_MAX 8192u /* bytes of one set */

struct paramset {
	uint8_t type; /* of the NAL unit */
	int id;
	uint8_t *data;
	uint16_t len;
};

struct paramsets {
	enum steppe_codec codec; /* STEPPE_H264 or STEPPE_H265 */
	unsigned count;
	struct paramset sets[PARAMSETS_MAX]; /* in order of first appearance */
};

void paramsets_init(struct paramsets *p, enum steppe_codec codec);
void paramsets_fini(struct paramsets *p);
/* Whether the NAL unit is a parameter set of the codec. */
bool paramsets_is_set(enum steppe_codec codec, const struct nal *nal);
/* Keeps a copy of a parameter set. 1 when it is new or differs from the one it replaces, 0 when
 * nothing changed, ERR_FORMAT, ERR_LIMIT (larger than PARAMSET_SIZE_MAX), -ENOMEM. */
int paramsets_put(struct paramsets *p, const struct nal *nal);
/* Whether the stream would change if the set were put. */
bool paramsets_would_change(const struct paramsets *p, const struct nal *nal);
/* Takes over the sets of a configuration record, or of start-code separated sets, as demuxers hand
 * them out. Gives the size of the length prefixes that samples of such a source have (0: start
 * codes). 0, ERR_FORMAT, -ENOMEM. */
int paramsets_load(struct paramsets *p, const void *config, size_t len, unsigned *ret_length_size);
/* Whether there is all a decoder needs. */
bool paramsets_complete(const struct paramsets *p);
/* The configuration record; samples then have length prefixes of four bytes. ERR_FORMAT while
 * incomplete; -ENOMEM. Gives it. */
int paramsets_config(const struct paramsets *p, struct buf **ret_config);

struct paramsets_picture {
	uint16_t width, height;
	int reorder; /* -1: not said */
};
/* What the sequence parameter set says of the pictures; ERR_FORMAT while there is none that makes
 * sense. */
int paramsets_picture(const struct paramsets *p, struct paramsets_picture *ret_picture);
