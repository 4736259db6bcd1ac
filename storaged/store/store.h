/* SPDX-License-Identifier: Apache-2.0 */
/* Objects by name, each with bytes and a few small attributes, in a handful of numbered pools.
 * Knows nothing of video.
 *
 * Every change is one atomic operation on one object, under guards; all correctness above rests on
 * that alone. There are no transactions over objects, no locks and no rows. Two real
 * implementations (store_rados.c, store_local.c) and a model for the simulator answer alike;
 * tests/unit/store_conformance holds them to it.
 *
 * Threads: a `struct store` belongs to one loop. Every call is made on that loop's thread and every
 * done() runs there, exactly once, never inside the call. Operations on different objects complete
 * in any order. The caller keeps at most one write in flight an object (CHECKed by the model
 * store). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

#define STORE_NAME_MAX                                                                             \
	255 /* bytes of an object's name; [A-Za-z0-9._/-] only, no "", "." or ".." between slashes \
	     */
#define STORE_ATTR_NAME_MAX  15          /* bytes of an attribute's name */
#define STORE_ATTR_VALUE_MAX 4096        /* bytes of an attribute's value */
#define STORE_ATTRS_MAX      8           /* attributes an object may have */
#define STORE_OBJECT_MAX     (64u << 20) /* bytes of an object */
#define STORE_GUARDS_MAX     8           /* guards of one write */
#define STORE_BODY_PARTS_MAX 1024        /* slices a write's body may be made of */

/* Pools by number. Small mutable objects live in META, footage in DATA, moved footage in COLD and
 * above. */
enum { STORE_META = 0, STORE_DATA = 1, STORE_COLD = 2, STORE_POOLS_MAX = 8 };

/* What must hold for a write to happen. All guards but ABSENT also demand that the object exists. */
enum store_guard_kind {
	STORE_ABSENT,     /* the object does not exist: the write creates it, exclusively */
	STORE_EXISTS,     /* the object exists */
	STORE_ATTR_EQUAL, /* the attribute's bytes equal `value`; an absent attribute is the empty
			     value */
	STORE_ATTR_BELOW, /* the attribute's bytes are less than `value` as memcmp orders them,
			     shorter first on a tie */
};

struct store_guard {
	enum store_guard_kind kind;
	const char *attr; /* for STORE_ATTR_* */
	const void *value;
	size_t value_len;
};

struct store_attr {
	const char *name;
	const void *value;
	size_t len;
};

enum store_body_kind {
	STORE_BODY_NONE,     /* attributes alone (or creating an empty object) */
	STORE_BODY_WRITE_AT, /* write the body at `offset`; offset may not exceed the size (no
				holes): -EINVAL */
	STORE_BODY_WHOLE,    /* the body becomes the whole object; META pool only */
	STORE_BODY_REMOVE,   /* the object and its attributes are removed; no attrs, no body */
};

/* One atomic change. A write without STORE_ABSENT never creates an object: it answers -ENOENT. */
struct store_edits {
	const struct store_guard *guards;
	size_t guard_count;
	const struct store_attr *attrs; /* set after the guards were judged */
	size_t attr_count;
	enum store_body_kind body_kind;
	uint64_t offset;
	const struct slice *body; /* parts, written one after the other */
	size_t body_count;
};

struct store;

/* A write under way: the caller's memory, embedded in what it is about. */
struct store_write {
	void (*done)(struct store_write *req); /* once, later; then req is yours again */
	/* 0; ERR_GUARD (an attribute guard did not hold); -EEXIST (STORE_ABSENT did not hold);
	 * -ENOENT (the object is not there); ERR_UNKNOWN (it may have happened, or may happen
	 * later: PROTOCOL rule S); -ENOSPC (refused for want of space, nothing changed); -ECANCELED
	 * (never submitted: the store is closing); -EIO and others (nothing changed). */
	int status;
	/* private */
	struct store *store;
	uint8_t pool;
	struct loop_task task;
	void *impl;
};

/* Applies `edits` to object `name` of `pool` all at once if every guard holds, or changes nothing.
 * Durable on every acting replica when done() sees 0. Borrows req until done(); takes references of
 * its own to the body's buffers and copies everything else before it returns. Bad arguments (limits
 * above) answer -EINVAL through done(). */
void store_write(struct store *s, struct store_write *req, int pool, const char *name,
	const struct store_edits *edits);

struct store_read {
	void (*done)(struct store_read *req); /* once, later; then req is yours again */
	/* what is wanted, set by the caller */
	bool want_attrs;
	bool want_body;
	uint64_t offset; /* of the body's range */
	size_t len;      /* most bytes wanted; fewer come when the object ends earlier */
	/* what came, valid when status is 0 */
	int status; /* 0, -ENOENT, -EIO, ERR_CHECKSUM (the store found rot), -ETIMEDOUT, -ECANCELED
		     */
	uint64_t size;    /* of the whole object, when attributes were wanted */
	struct buf *body; /* given to the caller when the body was wanted, else NULL */
	/* private; read attributes with store_read_attr */
	struct store_read_attrs *attrs;
	struct store *store;
	uint8_t pool;
	struct loop_task task;
	void *impl;
};

/* Reads attributes, size and a range of bytes as they were at one instant between two writes.
 * Borrows req until done(). Afterwards the caller drops `body` and calls store_read_release. */
void store_read(struct store *s, struct store_read *req, int pool, const char *name);

/* The attribute `name` of a finished read: its bytes, valid until store_read_release; *ret_len 0
 * and a non-NULL pointer when the object has no such attribute. */
const void *store_read_attr(const struct store_read *req, const char *name, size_t *ret_len);
/* Frees what a finished read holds (attributes; the body if it is still there). Harmless twice. */
void store_read_release(struct store_read *req);

struct store_list {
	/* Each name that begins with the prefix, in no order; runs on the loop. The string is valid
	 * during the call. */
	void (*each)(struct store_list *req, const char *name, uint64_t size);
	void (*done)(struct store_list *req);
	int status;
	/* private */
	struct loop_task task;
	void *impl;
};

/* Walks the whole pool: for fsck and rebuilds alone, never in the data path. Objects made or
 * removed meanwhile may or may not be shown. */
void store_list(struct store *s, struct store_list *req, int pool, const char *prefix);

struct store_space {
	void (*done)(struct store_space *req);
	int status;
	uint64_t total_bytes,
		used_bytes; /* as the pool's own accounting says; used counts one copy */
	/* private */
	struct loop_task task;
	void *impl;
};

/* How full a pool is. */
void store_space(struct store *s, struct store_space *req, int pool);

/* What every write's end in `pool` should be padded to, and what an erasure-coded pool demands of
 * offsets: a power of two or a multiple of one; 4096 on replicated pools and local files. Constant
 * for the life of the store. */
uint32_t store_alignment(const struct store *s, int pool);
/* Pools are 0 .. this-1. */
int store_pool_count(const struct store *s);
/* "file" or "rados"; for status and logs. */
const char *store_kind(const struct store *s);

/* The process-wide part behind the stores of all loops. */
struct store_backend;

/* Opens the store that `url` names, blocking:
 *	file:///srv/video                      directory, made when its parent exists
 *	file:///srv/video?cold=/mnt/big        pool 2 elsewhere
 *	rados://?conf=/etc/ceph/ceph.conf&meta=POOL&data=POOL[&cold=POOL][&id=USER][&namespace=NS]
 *	    [&min_size=N]                  pools that acknowledge with fewer copies are refused; 2
 * On failure returns a negative code and writes words for a person to `why` (what to do included).
 * -EBUSY: another daemon has the directory. ERR_CONFIG: the url. */
int store_backend_open(
	const char *url, struct store_backend **ret_backend, char *why, size_t why_size);
/* 0 while requests reach what is stored; else a negative code, and words for a person in `why`.
 * From any thread. A store that is cut off finds back by itself; requests meanwhile end with
 * -ETIMEDOUT or ERR_UNKNOWN. */
int store_backend_health(struct store_backend *backend, char *why, size_t why_size);
/* A store for use on `loop`, or NULL when memory is short. */
struct store *store_new(struct store_backend *backend, struct loop *loop);
/* Stops `s`: what was not submitted completes with -ECANCELED, what was completes as it will; then
 * closed() runs on the loop and *slot, already NULL, is no more. */
void store_free(struct store **slot, struct loop_task *closed);
/* Closes the backend, blocking; every store must be freed before. */
void store_backend_close(struct store_backend **backend);

/* What an implementation provides; store.c checks arguments and dispatches. */
struct store_ops {
	const char *kind;
	void (*write)(struct store *, struct store_write *, int pool, const char *name,
		const struct store_edits *);
	void (*read)(struct store *, struct store_read *, int pool, const char *name);
	void (*list)(struct store *, struct store_list *, int pool, const char *prefix);
	void (*space)(struct store *, struct store_space *, int pool);
	void (*free)(struct store *, struct loop_task *closed);
};

/* Counters of what was asked, by pool; tests of "cost follows the answer" read them. */
struct store_counters {
	uint64_t writes, removes, reads, lists, bytes_written, bytes_read;
	/* what became of writes and removals; refused by their guards: none of these */
	uint64_t done, no_space, failed;
};
const struct store_counters *store_counters(const struct store *s, int pool);

/* The common part, first in each implementation's own structure. */
struct store {
	const struct store_ops *ops;
	struct loop *loop;
	int pool_count;
	uint32_t alignment[STORE_POOLS_MAX];
	struct store_counters counters[STORE_POOLS_MAX];
};
