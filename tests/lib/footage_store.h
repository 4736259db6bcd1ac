/* SPDX-License-Identifier: Apache-2.0 */
/* An archived stream in a model store, put there as a writer would have left it: for tests of
 * whatever reads. */
#pragma once

#include "storaged/archive/head.h"
#include "tests/lib/footage.h"
#include "tests/lib/store_model.h"

struct footage_store {
	struct sim_world world;
	struct sim_loop loop;
	struct store_backend *model;
	struct store *store;
	char stream[STREAM_NAME_MAX + 1];
	uint64_t epoch;
	struct head head; /* change it, then footage_store_head */
	struct loop_task closed;
	bool is_closed;
};
void footage_store_open(struct footage_store *s, const char *stream);
/* Frees store, model, loop and world. */
void footage_store_close(struct footage_store *s);
/* (Re)writes the head. */
void footage_store_head(struct footage_store *s);
/* A chunk object with its attributes: sealed, or open with the intent in the head (which is
 * rewritten). */
void footage_store_object(struct footage_store *s, const struct footage_chunk *c);
/* Appends a record to the partition of its day, under the next version. */
void footage_store_record(struct footage_store *s, const struct index_record *r);
/* A sealed chunk: object and record. */
void footage_store_chunk(struct footage_store *s, const struct footage_chunk *c);
/* The days object, naming these days. */
void footage_store_days(struct footage_store *s, const int32_t *days, size_t count);
/* What was asked of both pools since the last call. */
struct footage_cost {
	uint64_t meta_reads, data_reads, lists, writes, bytes_read;
};
struct footage_cost footage_store_cost(struct footage_store *s);
/* Runs until *flag is true; fails the process when nothing is left to happen before. */
void footage_store_wait(struct footage_store *s, const bool *flag);
