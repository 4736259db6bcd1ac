/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the partitions of some days of a stream: a few at a time, through the cache, of which an
 * entry counts only if its version is still the store's. A version never comes again, so a read of
 * attributes alone settles that, whoever owns the stream. */
#pragma once

#include "storaged/archive/reader_impl.h"

#define PARTITIONS_AT_ONCE 8

struct partition_read {
	struct partitions *all; /* NULL: free */
	struct store_read read;
	struct cache_entry *cached; /* what memory has of it */
	char name[STORE_NAME_MAX + 1];
};

struct partitions {
	/* set by the user, the rest zero */
	struct reader *reader;
	const char *stream;
	int32_t *days; /* at least one; freed by partitions_fini */
	size_t day_count;
	void (*done)(struct partitions *p); /* once, later */
	/* result */
	int status; /* 0, ERR_DAMAGED (a partition without a version), ERR_LIMIT (too many records),
		       ERR_VERSION, -ECANCELED, -EIO ... */
	struct index_record *records; /* freed by partitions_fini */
	size_t record_count;
	size_t damaged; /* records that could not be read */
	/* private */
	size_t record_room, next_day;
	unsigned reading;
	struct partition_read reads[PARTITIONS_AT_ONCE];
};
void partitions_read(struct partitions *p);
void partitions_fini(struct partitions *p);
