/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a stream's days object: a day is named there before its partition is created, and its
 * totals are made anew from the partition a quarter-hour after something was indexed in it. Totals
 * are derived: what a crash leaves out of date, the next owner's first round mends. */
#pragma once

#include "storaged/archive/index.h"
#include "storaged/archive/retry.h"
#include "storaged/archive/settle.h"

#define DAYSWRITE_DIRTY_MAX 64
#define DAYSWRITE_PERIOD_NS (900 * NS_PER_SECOND)

struct dayswrite {
	/* set by the user */
	void (*listed)(
		struct dayswrite *dw); /* the day asked for with dayswrite_list is named now */
	void (*settled)(struct dayswrite *dw); /* a round is over */
	void (*failed)(struct dayswrite *dw,
		int status); /* the stream must be given up; -ECANCELED after a stop */
	/* private */
	const struct tenure *tenure;
	unsigned state;
	bool stopped, asked, hurry;
	int32_t asked_day;
	int32_t dirty[DAYSWRITE_DIRTY_MAX];
	unsigned dirty_count;
	unsigned round, at; /* days of this round: dirty[0 .. round), the one being counted */
	bool naming;        /* asked_day is in what this round writes */
	struct index_days days;
	struct index_version ver;
	struct index_partition before, own;
	struct buf *body;
	struct slice part;
	struct store_read read;
	struct settle settle;
	struct retry retry;
	struct loop_timer period;
};

void dayswrite_init(struct dayswrite *dw, const struct tenure *tenure);
/* Names `day` now; listed() follows. One at a time. */
void dayswrite_list(struct dayswrite *dw, int32_t day);
/* Something was indexed on `day`: its totals are made anew within a quarter-hour. */
void dayswrite_touch(struct dayswrite *dw, int32_t day);
/* Does now what the quarter-hour would do; settled() follows if there is anything. */
void dayswrite_flush(struct dayswrite *dw);
/* The totals of `day` are yet to be made. */
bool dayswrite_is_dirty(const struct dayswrite *dw, int32_t day);
/* Totals wait to be made, or a round is under way. */
bool dayswrite_busy(const struct dayswrite *dw);
void dayswrite_stop(struct dayswrite *dw);
void dayswrite_fini(struct dayswrite *dw);
