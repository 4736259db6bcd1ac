/* SPDX-License-Identifier: Apache-2.0 */
/* Changes records of a partition in place: reads it, lets the user change what it must, and writes
 * the changed stretch back under {exists, ver == read}, until it is settled. No step makes an object
 * grow, so it works on a full store. Beside it nobody of this owner may write the partition:
 * indexwrite_pause(). */
#pragma once

#include "storaged/archive/index.h"
#include "storaged/archive/retry.h"
#include "storaged/archive/settle.h"

struct indexedit {
	/* Set by the user. The partition was read: what was told of an earlier read is void. */
	void (*begin)(struct indexedit *ie, const void *pins, size_t pins_len);
	/* Each of its records; true: it was changed. */
	bool (*record)(struct indexedit *ie, struct index_record *record);
	void (*done)(struct indexedit *ie); /* once, later */
	/* 0: what was changed is settled. -ENOENT: no partition; ERR_FENCED; -ECANCELED; ERR_FORMAT,
	 * ERR_VERSION: a partition that cannot be read. */
	int status;
	bool changed; /* something was */
	/* private */
	const struct tenure *tenure;
	unsigned state;
	bool cancelled;
	int32_t day;
	struct index_version ver;
	struct buf *body;
	struct slice part;
	struct store_read read;
	struct settle settle;
	struct retry retry;
};

void indexedit_init(struct indexedit *ie, const struct tenure *tenure);
void indexedit_start(struct indexedit *ie, int32_t day);
/* done() still comes, with -ECANCELED unless it is over anyway. */
void indexedit_cancel(struct indexedit *ie);
bool indexedit_busy(const struct indexedit *ie);
void indexedit_fini(struct indexedit *ie);
