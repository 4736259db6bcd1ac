/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the model store share. */
#pragma once

#include "storaged/store/store_impl.h"
#include "tests/lib/store_model.h"
#include "tests/lib/store_model_objects.h"

struct model {
	struct store_backend backend;
	struct sim_world *world;
	struct store_model_options options;
	struct model_objects objects;
	struct list stores, faults;
	struct list parked;  /* writes to be applied late, in order of submission */
	struct list orphans; /* operations of killed nodes on their way */
	bool stalled;
	uint64_t releases; /* calls of store_model_release */
	unsigned stores_made;
	struct store_model_counters counters;
	store_model_observer_fn observer;
	void *observer_user;
};

struct model_store {
	struct store store;
	struct model *model;
	struct list node;
	struct list ops; /* not answered yet */
	unsigned number;
	bool stalled, requests_cut, replies_cut;
	unsigned answering; /* depth of done() calls under way */
	struct loop_task *closed;
};

enum model_op_kind { MODEL_WRITE, MODEL_READ, MODEL_LIST, MODEL_SPACE };

/* An operation's way; it may wait, stalled or stuck, at the end of each step:
 *
 *	ARRIVING --(applied, or not)--> RETURNING --> ANSWERING --> freed
 *
 * A write that is told as unknown and applies late has a twin that nobody waits for:
 *
 *	PARKED --(applied, or refused)--> freed */
enum model_op_stage { MODEL_ARRIVING, MODEL_RETURNING, MODEL_ANSWERING, MODEL_PARKED };

struct model_op {
	struct list node; /* in its store's ops, or in the model's parked or orphans */
	struct model *model;
	struct model_store *store; /* NULL: nobody waits for the answer any more */
	unsigned origin;           /* number of the store that it came from */
	enum model_op_kind kind;
	enum model_op_stage stage;
	enum store_model_fate fate;
	bool waiting;
	uint64_t stuck_at; /* model->releases when it got stuck */
	int status;
	struct loop_timer timer; /* on the world's loop */
	struct loop_task task;   /* on the store's loop: the answer */
	void *req;               /* struct store_write, store_read, store_list or store_space */
	int pool;
	char name[STORE_NAME_MAX + 1];
	/* a write's edits, copied */
	struct store_edits edits;
	struct store_guard guards[STORE_GUARDS_MAX];
	struct store_attr attrs[STORE_ATTRS_MAX];
	struct slice body;
	uint8_t bytes[]; /* of all names and values above, then the body */
};

void model_submit_write(struct store *s, struct store_write *req, int pool, const char *name,
	const struct store_edits *edits);
void model_submit_read(struct store *s, struct store_read *req, int pool, const char *name);
void model_submit_list(struct store *s, struct store_list *req, int pool, const char *prefix);
void model_submit_space(struct store *s, struct store_space *req, int pool);

/* A write's operation with a copy of its edits; NULL when memory is short. */
struct model_op *model_write_new(
	struct model *m, const char *name, const struct store_edits *edits);
/* Parks `twin`, a copy of the write `op`, to be applied so much later. */
void model_op_park(const struct model_op *op, struct model_op *twin, int64_t late_ns);
/* Goes on in so long; what goes on is model_op_proceed. */
void model_op_plan(struct model_op *op, int64_t delay_ns);
void model_op_proceed(struct loop_timer *timer);
/* Half of a round trip. */
int64_t model_op_latency_ns(struct model_op *op);
void model_op_free(struct model_op *op);
/* Applies a parked write now and frees it. */
void model_op_apply_late(struct model_op *op);
/* Lets operations go on that wait for nothing any more. */
void model_ops_resume(struct model *m);
/* The store closes: some of what has not arrived was never submitted. */
void model_ops_cancel_some(struct model_store *store);
/* The node is gone: drops answers and, by the seed, drops, delays or passes on what has not
 * arrived. */
void model_ops_orphan(struct model_store *store);
/* Frees a closing store when nothing of it is under way, and has its closed() run. */
void model_store_end_if_idle(struct model_store *store);
