/* SPDX-License-Identifier: Apache-2.0 */
/* One write of a batch: judged against the index as the batch has changed it so far, its body
 * written, the index changed. On the writer's thread. */
#pragma once

#include "storaged/store/store_local_batch.h"

/* Leaves the write's outcome in w->status. Returns non-zero when the index's write under way must
 * be given up: ERR_LIMIT (its map is too small), -ENOSPC, or another code, after which this write
 * has failed. */
int local_apply(struct local_batch *b, struct local_write *w);
