/* SPDX-License-Identifier: Apache-2.0 */
/* Whether recordings can be taken, judged each second: does the store answer, is there room, do
 * writes succeed. Each change is a line in the log; /health, /metrics and STATUS tell the state.
 *
 *	silent   the store does not answer, or says itself that it is cut off
 *	full     a pool has no room, or writes were refused for want of it and none succeeded since
 *	failing  writes failed, or nobody knows of them, and none succeeded since
 *
 * Belongs to one loop; health_now is for any thread. */
#pragma once

#include <stdatomic.h>

#include "storaged/store/store.h"

/* X(name, word, text) */
#define HEALTH_STATES(X)                                                                           \
	X(OK, "ok", "ok")                                                                          \
	X(FULL, "full", "the store is full: recordings are refused")                               \
	X(FAILING, "failing", "writes to the store fail: recordings are not kept")                 \
	X(SILENT, "silent", "the store does not answer: recordings are not kept")

enum health_state {
#define HEALTH_ENUM(name, word, text) HEALTH_##name,
	HEALTH_STATES(HEALTH_ENUM)
#undef HEALTH_ENUM
};

/* Something that goes wrong with writes: from its first sign until one succeeds. */
struct health_trouble {
	uint64_t signs;   /* counted up to the last look */
	struct mono last; /* sign */
	bool lasts;
};

struct health {
	/* set by the owner */
	struct loop *loop;
	struct store *store;
	struct store_backend *backend; /* NULL: one that is always there */
	/* private */
	struct loop_timer timer;
	struct store_space space;
	struct mono asked, ask_next;
	bool asking, stopped;
	int pool, pool_count; /* asked about; in all */
	int space_status;
	atomic_uint_fast64_t total[STORE_POOLS_MAX], used[STORE_POOLS_MAX];
	struct health_trouble full, failing;
	uint64_t done; /* writes of footage, up to the last look */
};

void health_start(struct health *h);
/* Nothing is asked any more; what is under way ends with the store. */
void health_stop(struct health *h);
/* What a pool has and what of it is used, as the store said last. Any thread. */
void health_space(const struct health *h, int pool, uint64_t *ret_total, uint64_t *ret_used);

/* Of this process. Any thread. */
enum health_state health_now(void);
const char *health_text(enum health_state state);
