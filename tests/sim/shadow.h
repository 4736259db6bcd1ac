/* SPDX-License-Identifier: Apache-2.0 */
/* What the oracle knows of one stream's objects, kept from change to change so that each costs what
 * it changes. Private to the oracle: shadow_chunk.c (data pool), shadow_index.c (head, partitions). */
#pragma once

#include "proto/digest.h"
#include "storaged/archive/chunk.h"
#include "storaged/archive/head.h"
#include "storaged/archive/index.h"
#include "tests/sim/oracle.h"

struct shadow_fragment {
	struct shadow_chunk *chunk;
	uint8_t digest[DIGEST_SIZE];
	struct pattern_run run;
	bool acknowledged;
};

/* Of a recorder; its numbers begin with 1. */
struct shadow_session {
	struct list node;
	uint64_t id;
	struct shadow_fragment *fragments; /* by number - 1 */
	uint64_t count, room;
	uint64_t next_picture; /* none before it may follow */
};

struct shadow_chunk {
	struct list node;
	struct chunk_id id;
	char name[STORE_NAME_MAX + 1];
	uint64_t ep, len, scanned;
	uint32_t crc; /* of `len` bytes */
	uint32_t fragments;
	bool sealed, intended, recorded;
	bool acknowledged; /* something of it is */
};

struct shadow_day {
	struct list node;
	int32_t day;
	size_t records;
	struct index_version ver;
};

struct shadow {
	struct list node;
	struct world *world;
	unsigned camera;
	char stream[STREAM_NAME_MAX + 1];
	struct list sessions, chunks, days;
	uint64_t epoch, ver;
	unsigned taker;                               /* origin that raised the epoch */
	unsigned owner;                               /* the same, once it is READY; else 0 */
	struct head_intent intents[HEAD_INTENTS_MAX]; /* in the head */
	unsigned intent_count;
	uint8_t *shown; /* by picture: in how many fragments it lies */
	uint64_t shown_room;
};

void shadow_init(struct shadow *s, struct world *w, unsigned camera);
void shadow_fini(struct shadow *s);
/* A promise is broken by a change of this object. */
void shadow_problem(struct shadow *s, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The stream is READY's, and the change is not by that daemon. */
bool shadow_is_foreign(const struct shadow *s, const struct store_model_change *change);
/* The number of an attribute's first 16 digits; 0 when there is none. */
uint64_t shadow_attr(struct shadow *s, int pool, const char *name, const char *attr);

/* Whether the head names the chunk. */
bool shadow_is_intended(const struct shadow *s, const struct chunk_id *id);
struct shadow_chunk *shadow_chunk_find(struct shadow *s, const struct chunk_id *id);
struct shadow_fragment *shadow_fragment_find(
	const struct shadow *s, uint64_t session, uint64_t seq);

void shadow_chunk_changed(
	struct shadow *s, const struct store_model_change *change, const struct chunk_id *id);
void shadow_head_changed(struct shadow *s, const struct store_model_change *change);
void shadow_partition_changed(
	struct shadow *s, const struct store_model_change *change, int32_t day);
/* P6: what a record says is what the chunk's bytes say. */
void shadow_check_record(
	struct shadow *s, struct shadow_chunk *chunk, const struct index_record *record);
/* Every chunk of which something was acknowledged is named by the head or has its record. */
void shadow_check_named(struct shadow *s, const char *because);
void shadow_demand_rest(struct shadow *s);
