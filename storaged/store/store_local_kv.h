/* SPDX-License-Identifier: Apache-2.0 */
/* The local store's index: an LMDB file that maps names to records and holds small bodies, the list
 * of files to be removed and a few counters. Its commit is the instant at which a batch of changes
 * happens. docs/format/local-store.md has every byte.
 *
 * One thread writes (local_kv_begin ... commit or abort); any number of threads look, each with a
 * local_kv_look of its own. LMDB's codes do not leave this file: -errno, and ERR_LIMIT for a map
 * that is too small. */
#pragma once

#include <lmdb.h>
#include <pthread.h>

#include "storaged/store/store_local_record.h"

#define LOCAL_BLOCK                                                                                \
	16368 /* bytes of a small body one value holds: with LMDB's header exactly four pages */
#define LOCAL_ID_SIZE 16

struct local_space {
	uint64_t bytes, objects;
};

/* What changes with each commit beside the objects. */
struct local_totals {
	uint64_t next_id; /* for bodies */
	struct local_space pools[STORE_POOLS_MAX];
};

struct local_kv {
	uint8_t store_id[LOCAL_ID_SIZE]; /* of the store; its directories carry it too */
	MDB_txn *txn;                    /* the write under way */
	struct local_totals now;         /* as the write under way will leave them */
	/* private */
	MDB_env *env;
	MDB_dbi objects, blocks, garbage, state;
	size_t map_size;
	pthread_rwlock_t map_lock; /* held shared while looking, alone while the map moves */
	bool map_lock_made;
	struct local_totals committed;
	uint8_t value[LOCAL_RECORD_MAX];
	uint8_t block[LOCAL_BLOCK];
};

/* Opens or makes the file; 0, or a negative code with words in `why`. On failure nothing is left
 * open. */
int local_kv_open(struct local_kv *kv, const char *path, char *why, size_t why_size);
void local_kv_close(struct local_kv *kv);

int local_kv_begin(struct local_kv *kv);
/* Durable when it returns 0. ERR_UNKNOWN: it may or may not be, and nothing can be written any
 * more. Others: nothing changed. The write is over in any case. */
int local_kv_commit(struct local_kv *kv);
void local_kv_abort(struct local_kv *kv);
/* Makes room after ERR_LIMIT; no write may be under way. */
int local_kv_grow(struct local_kv *kv);

/* A view of one instant, for a thread that only looks. The map cannot grow while it lasts: be
 * quick. */
struct local_kv_look {
	struct local_kv *kv;
	MDB_txn *txn;
};
int local_kv_look(struct local_kv *kv, struct local_kv_look *ret_look);
void local_kv_look_end(struct local_kv_look *look);

/* The record of an object, or -ENOENT. The attributes' values live until the next change or the end
 * of the look. `txn` is kv->txn or a look's, here and below. */
int local_kv_get(struct local_kv *kv, MDB_txn *txn, int pool, const char *name,
	struct local_record *ret_record);
/* Fills `into` with bytes of a small body from `offset`; -EIO when they are not all there. */
int local_kv_get_body(
	struct local_kv *kv, MDB_txn *txn, uint64_t id, uint64_t offset, struct buf *into);
int local_kv_get_space(struct local_kv *kv, MDB_txn *txn, int pool, struct local_space *ret_space);

/* Puts the record `after` in the place of one whose size was `before` (NULL: there was none).
 * Values of `after` may be what local_kv_get lent. */
int local_kv_put(struct local_kv *kv, int pool, const char *name, const uint64_t *before,
	const struct local_record *after);
int local_kv_remove(struct local_kv *kv, int pool, const char *name, uint64_t size);
/* Writes parts into a small body that has r->size bytes now; `offset` lies not past its end. A
 * block that is written keeps the bytes around: say r->size 0 for a body that is written anew. */
int local_kv_put_body(struct local_kv *kv, const struct local_record *r, uint64_t offset,
	const struct slice *parts, size_t count);
/* Removes the blocks of a small body that begin at byte `keep` or later. */
int local_kv_cut_body(struct local_kv *kv, const struct local_record *r, uint64_t keep);

/* Files to be removed: an object's name and which of its two files. Adding or dropping twice is
 * harmless. */
int local_kv_garbage_add(struct local_kv *kv, int pool, const char *name, uint8_t file);
int local_kv_garbage_drop(struct local_kv *kv, int pool, const char *name, uint8_t file);

/* What a walk over names is told; the walker embeds it. */
struct local_kv_visit {
	/* true: go on */
	bool (*each)(
		struct local_kv_visit *visit, int pool, const char *name, uint64_t size_or_file);
};
/* Walks the files to be removed. Nothing may be changed meanwhile. */
int local_kv_garbage_walk(struct local_kv *kv, MDB_txn *txn, struct local_kv_visit *visit);
/* Walks a pool's objects that begin with `prefix`, from the first one after the name `after` (""
 * for all). */
struct local_kv_range {
	int pool;
	const char *prefix, *after;
};
int local_kv_walk(struct local_kv *kv, MDB_txn *txn, const struct local_kv_range *range,
	struct local_kv_visit *visit);
