/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the local store: blocking, for the readers' threads, any number at once and beside the
 * writer. */
#pragma once

#include "storaged/store/store_local_batch.h"

/* Fills in what `req` wants of the object; 0 or the status. */
int local_read(struct local_batch *b, struct store_read *req, int pool, const char *name);

#define LOCAL_PAGE 256

/* Some names of a pool, to be shown on a loop. */
struct local_page {
	size_t count;
	struct {
		char name[STORE_NAME_MAX + 1];
		uint64_t size;
	} entries[LOCAL_PAGE];
};

/* The names with `prefix` that come after the last one of *page (with none: from the first on). An
 * empty page is the end. */
int local_read_names(struct local_batch *b, int pool, const char *prefix, struct local_page *page);
int local_read_space(struct local_batch *b, struct store_space *req, int pool);
