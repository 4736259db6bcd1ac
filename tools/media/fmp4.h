/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments as one fragmented MP4 that players take as a stream: decoding times, which begin anew
 * in each chunk, run on. Pure. */
#pragma once

#include "tools/media/unpack.h"

struct fmp4 {
	int (*write)(void *user, const void *data,
		size_t len); /* 0 or a negative code, which ends the stream */
	void *user;
	/* private */
	struct unpack unpack;
	struct buf *body;
	int64_t offset_us, end_us, last_us;
	bool begun;
};

/* Writes a fragment, its init segment first whenever that changes. Gaps are closed. 0 or a negative
 * code. */
int fmp4_take(struct fmp4 *f, const struct steppe_fragment *fragment);
void fmp4_fini(struct fmp4 *f);
