/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL rule S for the writes of one object: an operation is sent, and sent again byte for byte
 * under the same guards, until its outcome is known; a refusal is classified by reading the object
 * once. One operation at a time; nothing that depends on it starts before done().
 *
 * An operation decided more than 60 s ago is not sent (F3): the head is read first, and only while
 * it still names this owner does the operation count as decided anew, at the time that read began. */
#pragma once

#include "base/loop.h"
#include "proto/names.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/machine.h"
#include "storaged/store/store.h"

#define SETTLE_AGE_MAX_NS   (60 * NS_PER_SECOND)
#define SETTLE_PAUSE_MIN_NS (50 * NS_PER_MS)
#define SETTLE_PAUSE_MAX_NS (5 * NS_PER_SECOND)

/* What owning a stream consists of; shared by all machines that write its objects. */
struct tenure {
	struct loop *loop;
	struct store *store;
	char stream[STREAM_NAME_MAX + 1];
	char owner[ATTR_OWNER_MAX + 1]; /* "node:nonce" */
	uint64_t epoch;                 /* 0: not taken yet */
	struct machine_trace trace;
};

struct settle {
	/* Set by the user. The operation is over: `status`. May submit the next one. */
	void (*done)(struct settle *s);
	/* May be NULL. An attempt failed with `error` (-ENOSPC, -EIO, ERR_UNKNOWN ...) and will be
	 * repeated until settle_cancel. */
	void (*trouble)(struct settle *s, int error);
	/* 0: applied. ERR_FENCED: the object carries a higher epoch. ERR_GUARD, -EEXIST: refused,
	 * and what is there is neither ours nor newer: read and decide again. -ENOENT: there is no
	 * such object. -ECANCELED: given up; it may have been applied or may be yet. -ETIMEDOUT:
	 * too old to be sent, and there is no tenure to renew it under. */
	int status;
	/* private */
	const struct tenure *tenure;
	unsigned state, resume;
	bool cancelled;
	unsigned failures;
	struct mono decided, check_began;
	const char *epoch_attr;
	int pool;
	char name[STORE_NAME_MAX + 1];
	struct store_guard guards[3];
	struct store_attr attrs[5];
	struct store_edits edits;
	uint16_t values_len;
	char values[256];
	struct store_write write;
	struct store_read read;
	struct loop_timer timer;
	struct loop_task task;
};

/* Begins an operation on object `name`; the calls after it add to it, settle_submit sends it.
 * `epoch_attr` is the attribute whose first 16 digits are the epoch. The tenure must outlive the
 * operation. The settle must be idle. */
void settle_begin(struct settle *s, const struct tenure *tenure, int pool, const char *name,
	const char *epoch_attr);
void settle_guard_absent(struct settle *s);
void settle_guard_exists(struct settle *s);
void settle_guard_equal(struct settle *s, const char *attr, const char *value);
void settle_guard_below(struct settle *s, const char *attr, const char *value);
/* Copies a short text value. */
void settle_set(struct settle *s, const char *attr, const char *value);
/* Borrows the value until done(). */
void settle_set_bytes(struct settle *s, const char *attr, const void *value, size_t len);
/* Borrow the parts until done(). */
void settle_body_at(struct settle *s, uint64_t offset, const struct slice *parts, size_t count);
void settle_body_whole(struct settle *s, const struct slice *parts, size_t count);
void settle_submit(struct settle *s);

/* Sends nothing more; done() still comes, later, with -ECANCELED, if an operation is under way. */
void settle_cancel(struct settle *s);
bool settle_busy(const struct settle *s);

/* A pause before attempt `failures`+1: doubles from the least to the most, spread so that streams
 * do not move in step. */
int64_t settle_pause_ns(struct loop *loop, unsigned failures);
