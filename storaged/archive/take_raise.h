/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL Take 5: raises the version of each partition that a sweep, a move or a half-placed hold
 * of the head names, and puts the head's holds into its pins, so that nothing an earlier owner has
 * under way can change it any more (H5, H6). The intents themselves stay in the head. Part of a
 * take. */
#pragma once

#include "storaged/archive/index.h"
#include "storaged/archive/head.h"
#include "storaged/archive/retry.h"
#include "storaged/archive/settle.h"

struct raise {
	void (*done)(struct raise *r); /* set by the user; once, later */
	int status;                    /* 0, ERR_FENCED, -ECANCELED, ERR_FORMAT, ERR_LIMIT */
	/* private */
	const struct tenure *tenure;
	const struct head *head;
	unsigned state;
	bool cancelled;
	int32_t *days;
	size_t day_count, at;
	struct buf *pins;
	struct store_read read;
	struct settle settle;
	struct retry retry;
};
/* Borrows the head until done(). */
void raise_start(struct raise *r, const struct tenure *tenure, const struct head *head);
void raise_cancel(struct raise *r);
