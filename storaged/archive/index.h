/* SPDX-License-Identifier: Apache-2.0 */
/* The time index: a partition a stream and UTC day, `idx/<camera>/<profile>/<YYYYMMDD>`, fixed-size
 * records in order of sealing; and the stream's days object `idx/<camera>/<profile>/days`. Pure
 * codecs; docs/format/index.md. Partition attributes: ver (epoch 16 hex, n 16 hex), pins (list of
 * hold id, from, to). */
#pragma once

#include "storaged/archive/chunk.h"

#define INDEX_RECORD_SIZE 192
#define INDEX_RECORDS_MAX 20000 /* a partition; about 3.8 MB */
#define INDEX_LEVEL       1
#define INDEX_GAPS_MAX    4 /* inside one chunk; the cutter ends a chunk before a fifth */

enum index_state { INDEX_LIVE = 1, INDEX_DROPPING = 2, INDEX_TOMBSTONE = 3 };
enum index_flags {
	INDEX_EMPTY = 1 << 0,   /* no fragments: a husk of a takeover */
	INDEX_OVERLAP = 1 << 1, /* overlaps footage indexed before */
	INDEX_BACKFILL = 1 << 2,
	INDEX_DOUBTFUL =
		1 << 3, /* retention counts from receipt: the capture clock is not trusted */
	INDEX_CLOCK_BACK = 1 << 4,
	INDEX_THINNED = 1 << 5,
	INDEX_DAMAGED = 1 << 6,
	INDEX_RECOVERED = 1 << 7, /* sealed by a later owner */
};
struct index_record {
	uint8_t state, pool;
	uint16_t flags;
	struct chunk_id chunk;
	struct wall start, end, retention;
	uint64_t bytes;       /* of the object */
	uint64_t seal_offset; /* of the steppe-seal box; everything needed for tables is from here
				 to the end */
	uint32_t fragments;
	uint32_t samples[FRAGMENT_TRACKS_MAX], syncs[FRAGMENT_TRACKS_MAX];
	struct gap gap_before;           /* `to` is the chunk's start */
	struct gap gaps[INDEX_GAPS_MAX]; /* inside the chunk, ascending */
	uint8_t gap_count;
	uint64_t session;   /* whose fragments it holds: first_seq and on */
	uint64_t first_seq; /* 0: no fragments */
	uint32_t head_len;  /* init segment and steppe-chunk box */
	uint32_t init_crc;  /* CRC-32C of the init segment: equal means same codec configuration */
	uint8_t lane, end_reason, rule; /* rule: of a tombstone */
	uint8_t digest[16];             /* prefix of the chunk's digest */
};
/* What a chunk's own bytes say, for its record. */
struct index_source {
	const struct chunk_header *header;
	const struct chunk_seal *seal;
	const struct chunk_table *table;
	uint8_t pool;
	uint64_t bytes; /* of the object */
	uint32_t head_len;
	uint32_t init_crc;
};
/* The record of a sealed chunk, state INDEX_LIVE: the same whether the writer, a later owner or a
 * rebuild makes it. INDEX_OVERLAP is the caller's to add: it derives from the partition. */
void index_record_make(const struct index_source *from, struct index_record *ret_record);
/* How long a picture lasts in its footage, for judging gaps; 0 when that cannot be told. */
int64_t index_record_frame_us(const struct index_record *r);

void index_record_encode(
	const struct index_record *r, uint8_t to[INDEX_RECORD_SIZE]); /* with a CRC of its own */
int index_record_decode(const void *data, struct index_record *ret_record);

/* The records of a partition's body. */
struct index_partition {
	struct index_record *records;
	size_t count;
	size_t damaged; /* records whose CRC was wrong, left out */
};
int index_partition_decode(const void *data, size_t len, struct index_partition *ret_partition);
void index_partition_fini(struct index_partition *p);

struct index_version {
	uint64_t epoch, n;
};
void index_version_format(const struct index_version *v, char to[33]);
int index_version_parse(const void *text, size_t len, struct index_version *ret_version);

void index_partition_name(char to[STORE_NAME_MAX + 1], const char *stream, int32_t day);
/* The stream and day of a partition's name; -EINVAL for another name. */
int index_partition_name_parse(
	const char *name, char ret_stream[STREAM_NAME_MAX + 1], int32_t *ret_day);
void index_days_name(char to[STORE_NAME_MAX + 1], const char *stream);

#define INDEX_DAYS_MAX 40000 /* more than a century */
struct index_day {
	int32_t day;
	uint64_t bytes;
	uint16_t seconds[96];             /* recorded in each quarter-hour */
	uint32_t gap_seconds[GAP_CAUSES]; /* by enum gap_cause */
};
struct index_days {
	struct index_day *days; /* ascending */
	size_t count;
};
int index_days_encode(const struct index_days *d, struct buf **ret_buf);
int index_days_decode(const void *data, size_t len, struct index_days *ret_days);
void index_days_fini(struct index_days *d);
/* The entry of `day`, added with zeroes when there is none; NULL when memory is short. Valid until
 * the next call. */
struct index_day *index_days_put(struct index_days *d, int32_t day);
/* What the days object says of a day, from the records of its partition and of the day before
 * (whose last chunk may reach in). Seconds count footage once however many chunks hold it; bytes
 * are of the objects that begin on the day. 0 or -ENOMEM. */
int index_day_make(
	const struct index_record *records, size_t count, int32_t day, struct index_day *ret_day);
