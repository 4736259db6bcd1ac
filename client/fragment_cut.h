/* SPDX-License-Identifier: Apache-2.0 */
/* Where a fragmenter cuts, and the making of the fragment. Pure; works on the fragmenter's pending
 * samples. */
#pragma once

#include "client/fragmenter.h"

#define FRAGMENT_CUT_BYTES (UINT32_C(1) << 20)

struct fragment_cut {
	bool next_known; /* the master track's next sample is there: its decoding time ends the last
			    one */
	int64_t next_dts;
};

/* Whether the fragment must end before sample `s` of the master track. */
bool fragment_cut_before(const struct fragmenter *f, const struct steppe_sample *s);
/* Whether a next sample at `dts` is so late that the one before cannot have lasted until then. */
bool fragment_cut_hole(const struct fragmenter_track *master, int64_t dts);
/* Takes what is pending, but samples of other tracks that begin after the cut, and makes an item of
 * it; NULL when nothing is pending. After a failure what was pending is of no use any more. */
int fragment_cut(struct fragmenter *f, const struct fragment_cut *cut, struct item **ret_item);
