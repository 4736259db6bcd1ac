/* SPDX-License-Identifier: Apache-2.0 */
/* Turns access units as cameras and demuxers give them (start codes or length prefixes, parameter
 * sets among the pictures) into samples as Steppe stores them: NAL units behind four-byte lengths,
 * parameter sets in the configuration record, and says where decoding can start. Pure. */
#pragma once

#include "tools/media/paramsets.h"

struct accessunit {
	/* private */
	struct paramsets sets;
	unsigned length_size; /* of the source's prefixes; 0: start codes */
	bool pending;         /* sets changed in a place where decoding cannot start */
	uint8_t *out;
	size_t out_room;
};

struct accessunit_result {
	const uint8_t *data;  /* the sample; valid until the next conversion */
	size_t len;           /* 0: nothing but parameter sets, no sample */
	bool sync, sync_open; /* as in steppe_sample */
	bool config_changed;  /* the configuration record is another from this sample on (only with
				 sync) */
	bool damaged;         /* a length prefix pointed past the end */
};

void accessunit_init(struct accessunit *a, enum steppe_codec codec);
void accessunit_fini(struct accessunit *a);
/* Takes the source's configuration, if it has one: a record or start-code separated sets. 0 or a
 * negative code. */
int accessunit_configure(struct accessunit *a, const void *config, size_t len);
/* Converts one access unit. 0; ERR_LIMIT when it is larger than a fragment may be; -ENOMEM. */
int accessunit_convert(
	struct accessunit *a, const void *data, size_t len, struct accessunit_result *ret_result);
/* Whether the unit of `len` bytes begins with a slice that continues a picture: then it belongs to
 * the unit before. */
bool accessunit_continues(const struct accessunit *a, const void *data, size_t len);
