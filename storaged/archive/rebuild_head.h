/* SPDX-License-Identifier: Apache-2.0 */
/* A head made anew from the chunks of its stream. Pure. What does not derive from media is lost
 * with a head: holds that reach into the future, sweeps, an open gap. */
#pragma once

#include "storaged/archive/head.h"

/* A chunk as far as a head is concerned; in order of id. */
struct rebuild_link {
	struct chunk_id id;
	bool sealed;
	uint8_t lane;
	int32_t day;
	uint64_t session, last_seq; /* 0: no fragments */
	struct wall end;
	uint8_t digest[DIGEST_SIZE]; /* when sealed */
};

/* Takes note of one more chunk. 0, or ERR_LIMIT: more chunks are open than a head can name; the
 * head is unchanged then. */
int rebuild_head_add(struct head *h, const struct rebuild_link *link);
