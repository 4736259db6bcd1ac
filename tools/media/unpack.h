/* SPDX-License-Identifier: Apache-2.0 */
/* Takes stored fragments apart into samples with their civil times. Pure. */
#pragma once

#include "client/steppe.h"
#include "proto/bmff.h"

struct unpacked {
	unsigned track;
	const uint8_t *data; /* borrowed from the fragment */
	size_t len;
	int64_t pts_us, dts_us; /* civil time */
	int64_t duration_us;
	bool sync;
};

struct unpack {
	struct bmff_init init;    /* of the last fragment; its tracks borrow from `init_copy` */
	struct unpacked *samples; /* of the last fragment: track by track, in decoding order */
	size_t count;
	bool init_changed; /* with the last fragment: also true for the first */
	/* private */
	struct buf *init_copy;
	struct bmff_sample *parsed;
	size_t room;
};

/* A zeroed unpack is ready. Takes one fragment apart: 0; ERR_FORMAT and others for bytes that are
 * none; -ENOMEM. Of a sync prefix only the sync sample is given. A damaged fragment gives no
 * samples. */
int unpack_take(struct unpack *u, const struct steppe_fragment *fragment);
void unpack_fini(struct unpack *u);
