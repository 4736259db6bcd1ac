/* SPDX-License-Identifier: Apache-2.0 */
/* The backend of the local store: what its opening (store_local_open.c) and its work
 * (store_local.c) share. */
#pragma once

#include <pthread.h>

#include "storaged/store/store_local_batch.h"

#define LOCAL_READERS    4
#define LOCAL_SEEN_SLOTS 4096 /* a power of two, several times the writes of a batch */

struct local_backend {
	struct store_backend backend;
	struct local_batch batch;
	pthread_t writer, readers[LOCAL_READERS];
	int reader_count;
	bool writer_runs;
	char paths[STORE_POOLS_MAX][LOCAL_HOME_PATH_MAX];
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t write_waits, look_waits;
	struct list writes, looks;
	unsigned write_count, wanted; /* of writes that wait; at which number the writer is woken */
	bool closing;
	int store_count;
	/* the writer's */
	uint64_t seen[LOCAL_SEEN_SLOTS]; /* objects of the batch being gathered, by hash */
};

struct local_store {
	struct store store;
	struct local_backend *backend;
	struct loop_task end;
	struct loop_task *closed; /* under the backend's lock, as in_flight */
	unsigned in_flight;
};

/* A store on `loop`; NULL when memory is short. */
struct store *local_store_new(struct store_backend *backend, struct loop *loop);
/* What the threads run, on a struct local_backend, until it is closing and their queue is empty. */
void *local_run_writer(void *arg);
void *local_run_reader(void *arg);
