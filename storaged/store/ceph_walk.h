/* SPDX-License-Identifier: Apache-2.0 */
/* A thread for the questions that librados only answers blocking and that nobody waits for in the
 * data path: listings and the space of pools. One at a time. */
#pragma once

#include "storaged/store/ceph_queue.h"

struct ceph_walk;

struct ceph_walk_job {
	/* Called once, on the thread; the job is then its maker's again. */
	void (*finished)(struct ceph_walk_job *job, int status);
	struct store *store;
	int pool;
	struct store_list *list;   /* one of the two */
	struct store_space *space; /* total and used are set when the status is 0 */
	char prefix[STORE_NAME_MAX + 1];
	/* private */
	struct list node;
	struct ceph_walk *walk;
	bool cancelled, handed; /* under the lock; handed: the loop has the entries */
	struct loop_task hand;
	unsigned count;
	struct ceph_entry *entries;
};

int ceph_walk_start(struct ceph_queue *queue, struct ceph_walk **ret_walk);
/* Ends the thread; no job may be left. NULL is fine. */
void ceph_walk_stop(struct ceph_walk **walk);
void ceph_walk_submit(struct ceph_walk *walk, struct ceph_walk_job *job);
/* The jobs of `store` end with -ECANCELED soon, without another entry shown. On the store's loop. */
void ceph_walk_cancel(struct ceph_walk *walk, const struct store *store);
