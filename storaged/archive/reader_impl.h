/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the reader share. */
#pragma once

#include "base/check.h"
#include "base/list.h"
#include "storaged/archive/head.h"
#include "storaged/archive/reader.h"
#include "storaged/archive/reader_cache.h"

struct reader {
	struct loop *loop;
	struct store *store;
	struct cache cache;
	struct list head_reads; /* struct head_read: one a stream that is being looked at */
	unsigned active;        /* requests under way */
	bool closing;
	struct loop_task *closed;
};

/* Every request is counted from its start to its done(): the reader is freed when none is left. */
static inline void reader_enter(struct reader *r)
{
	r->active++;
}
/* Just before done(). */
void reader_leave(struct reader *r);

/* One who waits for a stream's head as it is at some moment after it asked. */
struct head_wait {
	void (*done)(struct head_wait *wait,
		const struct store_read *read); /* read->status; valid during the call */
	struct list node;                       /* private */
};
/* Reads the head of a stream; a read that has begun already does not do for those who ask later,
 * who share the next. Returns 0, or -ENOMEM and nothing will be done. */
int reader_head(struct reader *r, const char *stream, struct head_wait *wait);
