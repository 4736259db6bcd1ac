/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to a Ceph cluster and what can be asked over it. Behind this header is librados. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "storaged/store/store.h"

struct ceph_op;

/* Most bytes and operations that the queue may have in flight; librados, which blocks at its own
 * limits, is told more. */
#define CEPH_IN_FLIGHT_OPS_MAX   8192
#define CEPH_IN_FLIGHT_BYTES_MAX (size_t)(384u << 20)

struct ceph_settings {
	const char *conf; /* path of the configuration; NULL: where Ceph looks by itself */
	const char *user; /* without "client." */
	const char *name_space;
	const char *pools[STORE_POOLS_MAX];
	int pool_count;
	uint64_t min_size; /* a replicated pool that acknowledges with fewer copies is refused */
};

struct ceph_conn {
	struct list node; /* for whoever keeps it */
	unsigned users;   /* the same: operations in flight and others who need it */
	uint32_t alignment[STORE_POOLS_MAX];
	bool striped[STORE_POOLS_MAX]; /* erasure-coded */
	/* private */
	const struct ceph_settings *settings;
	void *cluster;
	void *pools[STORE_POOLS_MAX];
	char *gather; /* a body of many parts, put together; used by the submitting thread */
	size_t gather_size;
};

/* Connects, opens the pools and makes sure that the user may read and write them; blocks. Borrows
 * `settings` for the life of the connection. On failure writes words for a person to `why`. */
int ceph_conn_open(const struct ceph_settings *settings, struct ceph_conn **ret_conn, char *why,
	size_t why_size);
/* Whether no replicated pool acknowledges what has fewer copies than settings->min_size: what one
 * copy acknowledges, one disk loses. An erasure-coded pool counts shards; there Ceph's own default is
 * what is wanted. 0, ERR_CONFIG, or what asking failed with; blocks. */
int ceph_conn_check_copies(struct ceph_conn *conn, char *why, size_t why_size);
/* Disconnects; blocks. Nothing may be in flight (a completion that is returning is waited for).
 * NULL is fine. */
void ceph_conn_close(struct ceph_conn **conn);

/* Asks for the operation's current step. Returns 0, and answered() will run once on a thread of
 * librados, with the answer already in the operation; or a negative code, and nothing was sent.
 * Blocks when librados thinks it is too busy: never on a loop. One thread at a time. */
int ceph_conn_ask(
	struct ceph_conn *conn, struct ceph_op *op, void (*answered)(struct ceph_op *op, int rc));

/* An object as a listing shows it. */
struct ceph_entry {
	char name[STORE_NAME_MAX + 1];
	uint64_t size;
};
struct ceph_listing;
#define CEPH_ENTRIES_MAX 128
/* All of these block. */
int ceph_listing_open(
	struct ceph_conn *conn, int pool, const char *prefix, struct ceph_listing **ret_listing);
/* Gives the next objects whose names have the prefix, at most `max` (of CEPH_ENTRIES_MAX); their
 * number (0 does not mean the end) or a negative code. *ret_ended: there are no more. */
int ceph_listing_next(
	struct ceph_listing *listing, struct ceph_entry *entries, unsigned max, bool *ret_ended);
void ceph_listing_close(struct ceph_listing **listing);

/* How much the pool may hold and holds, in bytes of one copy. Blocks. */
int ceph_conn_space(struct ceph_conn *conn, int pool, uint64_t *ret_total, uint64_t *ret_used);
