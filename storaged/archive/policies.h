/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's policies: one object, `cat/policies` of the META pool, a protobuf body written whole
 * under its `ver`. Loop thread only; docs/format/catalogue.md. */
#pragma once

#include "base/loop.h"
#include "proto/policy.h"
#include "storaged/store/store.h"

struct policies_get {
	void (*done)(struct policies_get *req); /* once, later */
	int status; /* 0 (also when none were ever made), ERR_DAMAGED, -EIO ... */
	Steppe__Wire__Policies
		*policies; /* given: steppe__wire__policies__free_unpacked(.., NULL) */
	/* private */
	struct store_read read;
};
void policies_get(struct store *store, struct policies_get *req);

struct policies_edit {
	void (*done)(struct policies_edit *req);
	/* 0; ERR_GUARD: the version is not the stored one; -ENOENT: no such policy or assignment;
	 * -EBUSY: a policy to be removed is assigned; -EINVAL, ERR_LIMIT; the store's. `words` say
	 * more. */
	int status;
	const char *words;
	Steppe__Wire__Policies *policies; /* as stored now, given when status is 0 */
	/* private */
	struct loop *loop;
	struct store *store;
	Steppe__Wire__PoliciesEdit *edit;
	bool exists;
	uint64_t ver;
	unsigned rounds, unknowns;
	struct buf *body;
	struct store_read read;
	struct store_write write;
	struct loop_timer pause;
	struct loop_task task;
};
/* Copies the edit. */
void policies_edit(struct loop *loop, struct store *store, struct policies_edit *req,
	const Steppe__Wire__PoliciesEdit *edit);

/* Applies one change; pure. 0, or as policies_edit, with words. */
int policies_apply(Steppe__Wire__Policies *policies, const Steppe__Wire__PoliciesEdit *edit,
	const char **ret_words);
