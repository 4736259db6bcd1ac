/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL rule W: writes a stream's head whole, under {exists, epoch == mine, ver == v}, ver = v +
 * 1; a changed body only after the earlier write is settled. What is to be written is asked for at
 * the last moment, so that wants that come together, or while a write is under way, share one
 * write. */
#pragma once

#include "storaged/archive/head.h"
#include "storaged/archive/retry.h"
#include "storaged/archive/settle.h"

struct headwrite {
	/* set by the user */
	void (*compose)(struct headwrite *hw,
		struct head *ret_head); /* fill what the head must hold now; *ret_head is zeroed */
	void (*written)(struct headwrite *hw); /* what was composed last is settled */
	void (*failed)(struct headwrite *hw,
		int status); /* the stream must be given up; ERR_FENCED, -ECANCELED ... */
	void (*trouble)(
		struct headwrite *hw, int error); /* an attempt failed and will be repeated */
	/* private */
	const struct tenure *tenure;
	uint64_t ver;
	bool wanted, yielding, stopped;
	unsigned failures; /* attempts of the write under way */
	struct buf *body;
	struct slice part;
	struct settle settle;
	struct retry retry;
};

/* Prepares a head whose attribute `ver` was read under this tenure. */
void headwrite_init(struct headwrite *hw, const struct tenure *tenure, uint64_t ver);
/* Writes soon: at the next turn of the loop, or when the write under way is settled. */
void headwrite_want(struct headwrite *hw);
/* The same, and gives the stream up in that write: owner = "". Nothing may be wanted afterwards. */
void headwrite_yield(struct headwrite *hw);
/* A write is wanted or under way. */
bool headwrite_busy(const struct headwrite *hw);
/* Writes no more; failed(-ECANCELED) comes later if a write is under way. */
void headwrite_stop(struct headwrite *hw);
void headwrite_fini(struct headwrite *hw);
