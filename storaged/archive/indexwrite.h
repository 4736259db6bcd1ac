/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL Record 6: puts the records of sealed chunks into their day's partition, one after the
 * other. A record is there exactly once, whatever was sent twice or applied late: before a write
 * whose ground is not known the partition is read. */
#pragma once

#include "storaged/archive/head.h"
#include "storaged/archive/index.h"
#include "storaged/archive/retry.h"
#include "storaged/archive/settle.h"

/* A record to be put there; embedded in its chunk. */
struct indexwrite_item {
	struct index_record record; /* INDEX_OVERLAP is added when it proves true */
	int32_t day;
	/* private */
	struct list node;
};

struct indexwrite {
	/* set by the user */
	void (*indexed)(struct indexwrite *iw, struct indexwrite_item *item); /* settled */
	/* A day's partition is about to be created: indexwrite_day_listed() must follow when the
	 * days object lists it. */
	void (*list_day)(struct indexwrite *iw, int32_t day);
	void (*failed)(struct indexwrite *iw,
		int status); /* the stream must be given up; -ECANCELED after a stop */
	void (*trouble)(struct indexwrite *iw, int error);
	/* private */
	const struct tenure *tenure;
	const struct head *head; /* whose holds a new partition inherits */
	unsigned state;
	bool stopped, paused;
	struct list queue;
	/* the partition written last: known without reading, since nobody else may write it while
	 * its epoch is ours */
	bool known;
	int32_t day;
	struct index_version ver;
	uint64_t size;
	struct wall end; /* the greatest of its records */
	uint8_t record[INDEX_RECORD_SIZE];
	struct buf *body, *pins;
	struct slice part;
	struct store_read read;
	struct settle settle;
	struct retry retry;
};

void indexwrite_init(struct indexwrite *iw, const struct tenure *tenure, const struct head *head);
/* Queues a record. Borrows it until indexed(). */
void indexwrite_put(struct indexwrite *iw, struct indexwrite_item *item);
void indexwrite_day_listed(struct indexwrite *iw);
/* Records of `day`'s partition as far as is known without reading; 0 when it is not. */
uint64_t indexwrite_records(const struct indexwrite *iw, int32_t day);
bool indexwrite_busy(const struct indexwrite *iw);
/* Whether partitions may be written by another machine of this owner from now on: records put
 * meanwhile wait for indexwrite_resume. False while something is under way. */
bool indexwrite_pause(struct indexwrite *iw);
void indexwrite_resume(struct indexwrite *iw);
/* Writes no more and forgets the queue; failed(-ECANCELED) comes later if something is under way. */
void indexwrite_stop(struct indexwrite *iw);
void indexwrite_fini(struct indexwrite *iw);
