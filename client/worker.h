/* SPDX-License-Identifier: Apache-2.0 */
/* A thread for work that may wait for a disk, so that the loop never does. Jobs are done in the
 * order they came. */
#pragma once

#include "base/loop.h"

struct worker;

/* Embedded in what it is about. */
struct worker_job {
	void (*work)(struct worker_job *job); /* on the worker's thread; touches what the job alone
						 may touch meanwhile */
	void (*done)(struct worker_job *job); /* once, later, on the loop that submitted it */
	/* private */
	struct worker *worker;
	struct list node;
	struct loop_task task;
};

/* Gives a worker for jobs of `loop`. With `threaded` false jobs are done at once inside of
 * worker_submit (done() still comes later): for virtual time. -ENOMEM, -EAGAIN. */
int worker_new(struct loop *loop, bool threaded, struct worker **ret_worker);
/* Loop thread. Borrows the job until done(). */
void worker_submit(struct worker *worker, struct worker_job *job);
/* Every job's done() must have come. Null-safe. */
void worker_free(struct worker **worker);
