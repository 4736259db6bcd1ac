/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of a local store: that they are ours, that nobody else has them, and how much
 * room they have.
 *
 *	steppe-store    what this is: level, id, which pools; written last when a store is made
 *	lock            flocked by the daemon that has the store; its process id for people
 *	kv.mdb          the index (and kv.mdb-lock)
 *	reserve         room kept so that a full disk still takes removals
 *	data/           pool 1: one file an object
 *
 * A further pool's directory has steppe-store, lock and data/ alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storaged/store/store.h"

#define LOCAL_HOME_PATH_MAX 4096
#define LOCAL_RESERVE       ((uint64_t)4 << 20)

struct local_home {
	const char *path; /* borrowed from the opener */
	int dir, data;    /* descriptors; -1: not open */
	bool is_new;      /* has no steppe-store yet */
	int pool;         /* STORE_META: the main one */
	/* private */
	int lock;
};

/* Opens the directory, made when its parent exists, and locks it. `pool`: STORE_META for the main
 * one, or the pool it holds. -EBUSY: another process has it; ERR_VERSION, ERR_CONFIG, -errno; words
 * in `why`. On failure nothing is open. */
int local_home_open(
	struct local_home *home, const char *path, int pool, char *why, size_t why_size);
void local_home_close(struct local_home *home);
/* Checks that the directory belongs to the store `id`, or marks a new one as such, durably. */
int local_home_claim(struct local_home *home, const uint8_t id[16], char *why, size_t why_size);

/* Bytes that bodies may still take: what is free but for a margin that indexes and heads live on
 * when it is full. */
uint64_t local_home_room(const struct local_home *home);
/* Bytes of the file system, and bytes of it that are free for us. */
int local_home_space(const struct local_home *home, uint64_t *ret_total, uint64_t *ret_free);

/* Gives the reserve's room back to the file system. False when there was none. */
bool local_home_release_reserve(struct local_home *home);
/* Makes the reserve if it is not there. Failure is no harm: it is tried again. */
void local_home_make_reserve(struct local_home *home);
