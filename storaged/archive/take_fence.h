/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL Take 4, for one intent: raises the epoch of its chunk, or plants a husk where there is
 * none, and notes what the chunk holds after that. From then on its content is final (F1, F2). Part
 * of a take. */
#pragma once

#include "storaged/archive/retry.h"
#include "storaged/archive/settle.h"
#include "storaged/archive/writer_life.h"

struct take;

struct fence {
	void (*done)(struct fence *f); /* set by the user; once, later */
	struct take *take;             /* the user's */
	int status; /* 0, ERR_FENCED (a later owner was here), -ECANCELED, ERR_FORMAT ... */
	struct writer_found found;
	bool absent; /* there is no chunk, and none was planted: only when RULE_FENCE_INTENTS is off
		      */
	/* private */
	const struct tenure *tenure;
	unsigned state;
	bool cancelled;
	struct store_read read;
	struct settle settle;
	struct retry retry;
};
void fence_start(struct fence *f, const struct tenure *tenure, const struct head_intent *intent);
void fence_cancel(struct fence *f);
