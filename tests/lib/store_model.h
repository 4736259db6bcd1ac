/* SPDX-License-Identifier: Apache-2.0 */
/* A store in memory on virtual time, with the guards and answers of store.h and with faults.
 * Several stores (of several nodes' loops) share one backend, so that nodes can fence one another;
 * delays come from the world's seed.
 *
 * It also holds its callers to the seam: more than one write in flight an object and store is
 * CHECKed. */
#pragma once

#include "storaged/store/store.h"
#include "tests/lib/sim_loop.h"

struct store_model_pool {
	uint32_t alignment;      /* 0: 4096 */
	bool erasure_coded;      /* writes at the end only, from aligned offsets */
	uint64_t capacity_bytes; /* 0: no limit */
};

struct store_model_options {
	int pool_count; /* 0: two, META and DATA */
	struct store_model_pool pools[STORE_POOLS_MAX];
	/* latencies, drawn evenly for each operation; all zero: 0.5 to 5 ms */
	int64_t write_min_ns, write_max_ns, read_min_ns, read_max_ns;
	/* how many of 10,000 operations meet a fault of their own; see enum store_model_fate */
	unsigned unknown_applied, unknown_lost, unknown_late, write_eio, read_eio;
	int64_t unknown_after_ns; /* when an unknown outcome is told; 0: 30 s */
	int64_t late_max_ns;      /* most that a late write is parked after that; 0: 60 s */
};

/* The backend; store_new, store_free and store_backend_close of store.h work with it. NULL when
 * memory is short. A store must be on a sim_loop of `world`. */
struct store_backend *store_model_new(
	struct sim_world *world, const struct store_model_options *options);
/* The odds and limits of the backend, to be changed between events. */
struct store_model_options *store_model_options(struct store_backend *model);

/* What becomes of one operation. */
enum store_model_fate {
	STORE_MODEL_NORMAL,
	STORE_MODEL_UNKNOWN_APPLIED, /* a write: applied, told as ERR_UNKNOWN */
	STORE_MODEL_UNKNOWN_LOST,    /* a write: never applied, told as ERR_UNKNOWN */
	STORE_MODEL_UNKNOWN_LATE,    /* a write: told as ERR_UNKNOWN, judged and applied later */
	STORE_MODEL_EIO,             /* nothing done, -EIO */
	STORE_MODEL_ENOSPC,          /* a write: nothing done, -ENOSPC */
	STORE_MODEL_CHECKSUM,        /* a read: ERR_CHECKSUM */
	STORE_MODEL_STUCK,           /* waits until store_model_release */
};

/* A fault planned by a test; the caller's memory until it is withdrawn or used up. */
struct store_model_fault {
	enum store_model_fate fate;
	bool reads;         /* meets reads, else writes */
	const char *prefix; /* of the objects' names; NULL: any */
	unsigned skip;      /* operations that pass before */
	unsigned times;     /* operations it then meets; at least 1 */
	int64_t late_ns;    /* STORE_MODEL_UNKNOWN_LATE: applied so long after the answer */
	/* private */
	struct list node;
	bool planned;
};
void store_model_plan(struct store_backend *model, struct store_model_fault *fault);
void store_model_withdraw(struct store_model_fault *fault);

/* While stalled, operations of `s` (NULL: of every store) wait, answers included. */
void store_model_stall(struct store_backend *model, struct store *s, bool stalled);
/* Cuts the way between the node of `s` and the backend: requests do not get there, or answers do not
 * come back, or both. Who waits is told ERR_UNKNOWN (a read: -ETIMEDOUT) unknown_after_ns later; a
 * write that had not got there may still arrive, up to late_max_ns after that. Opened again, what
 * still waits goes on. */
void store_model_cut(struct store *s, bool requests, bool replies);
/* A store's number, by which an observer knows who made a change: 1, 2, 3 ... in the order of
 * store_new. */
unsigned store_model_number(struct store *s);
/* Operations that are STUCK go on. */
void store_model_release(struct store_backend *model);
/* Writes parked to be applied late are applied now, in the order of submission. */
void store_model_apply_parked(struct store_backend *model);
/* kill -9 of the node of *s: answers never come, operations on the way are dropped or still apply,
 * by the seed. Frees *s. Kill its loop first. */
void store_model_kill(struct store **s);

/* Damage and inspection. Objects as they are now: */
bool store_model_exists(struct store_backend *model, int pool, const char *name);
/* The bytes, writable (poke away); NULL when there is no object. Valid until the next event. */
uint8_t *store_model_bytes(
	struct store_backend *model, int pool, const char *name, size_t *ret_len);
/* The attribute's bytes; *ret_len 0 when there is none. */
const void *store_model_attr(
	struct store_backend *model, int pool, const char *name, const char *attr, size_t *ret_len);
/* Puts an object there, or takes it away (data NULL), past all guards and faults. */
void store_model_put(
	struct store_backend *model, int pool, const char *name, const void *data, size_t len);
void store_model_put_attr(struct store_backend *model, int pool, const char *name, const char *attr,
	const char *value);
/* Calls each(user, pool, name) for each object, ordered by pool and name. */
void store_model_each(struct store_backend *model,
	void (*each)(void *user, int pool, const char *name), void *user);

struct store_model_counters {
	uint64_t writes_applied, writes_refused, writes_unknown, writes_late, reads, reads_failed;
	uint64_t parked;    /* now: yet to be applied late */
	uint64_t in_flight; /* now: not answered yet */
};
struct store_model_counters store_model_counters(const struct store_backend *model);

/* A change that was applied. */
struct store_model_change {
	int pool;
	const char *name;
	const struct store_edits *edits; /* one part of a body at most */
	unsigned origin;                 /* number of the store that asked for it, alive or not */
	bool late;                       /* it was told as unknown, or its node had died */
};
/* Told after each change was applied, for tests of invariants; set to NULL by default. */
typedef void (*store_model_observer_fn)(void *user, const struct store_model_change *change);
void store_model_observe(struct store_backend *model, store_model_observer_fn observer, void *user);
