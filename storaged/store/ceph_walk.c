/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/ceph_walk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct ceph_walk {
	struct ceph_queue *queue;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the thread's: a job, the end of a handing over, the end */
	/* under the lock */
	struct list jobs;
	struct ceph_walk_job *running;
	bool stopping;
};

/* On the loop: shows what the thread has found, then lets it go on. */
static void hand_entries(struct loop_task *task)
{
	struct ceph_walk_job *job = container_of(task, struct ceph_walk_job, hand);
	struct ceph_walk *w = job->walk;
	for (unsigned i = 0; i < job->count; i++) {
		/* each() may free the store; only this loop cancels, so the flag may be read here
		 * / */
		if (job->cancelled)
			break;
		job->list->each(job->list, job->entries[i].name, job->entries[i].size);
	}
	pthread_mutex_lock(&w->lock);
	job->handed = false;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

/* Has the loop show the job's entries and waits until it did: one batch is all the memory that a
 * listing takes. */
static int hand_over(struct ceph_walk *w, struct ceph_walk_job *job)
{
	pthread_mutex_lock(&w->lock);
	if (job->count && !job->cancelled) {
		job->handed = true;
		job->hand.run = hand_entries;
		loop_post(job->store->loop, &job->hand);
		while (job->handed)
			pthread_cond_wait(&w->wake, &w->lock);
	}
	int rc = job->cancelled ? -ECANCELED : 0;
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static int list_objects(struct ceph_walk *w, struct ceph_walk_job *job, struct ceph_conn *conn)
{
	struct ceph_listing *listing = NULL;
	bool ended = false;
	job->entries = malloc(CEPH_ENTRIES_MAX * sizeof(*job->entries));
	int rc = job->entries ? ceph_listing_open(conn, job->pool, job->prefix, &listing) : -ENOMEM;
	while (!rc && !ended) {
		int count = ceph_listing_next(listing, job->entries, CEPH_ENTRIES_MAX, &ended);
		job->count = count > 0 ? (unsigned)count : 0;
		rc = count < 0 ? count : hand_over(w, job);
	}
	ceph_listing_close(&listing);
	free(job->entries);
	return rc;
}

static int ask_space(struct ceph_walk_job *job, struct ceph_conn *conn)
{
	return ceph_conn_space(conn, job->pool, &job->space->total_bytes, &job->space->used_bytes);
}

static void do_job(struct ceph_walk *w, struct ceph_walk_job *job)
{
	struct ceph_conn *conn = ceph_queue_borrow(w->queue);
	int rc = -ENOTCONN;
	if (conn) {
		rc = job->list ? list_objects(w, job, conn) : ask_space(job, conn);
		ceph_queue_return(w->queue, conn);
	}
	if (rc && rc != -ECANCELED && rc != -ENOMEM && rc != -ETIMEDOUT)
		rc = -EIO;
	pthread_mutex_lock(&w->lock);
	w->running = NULL;
	pthread_mutex_unlock(&w->lock);
	job->finished(job, rc);
}

static void *run(void *arg)
{
	struct ceph_walk *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct list *node = list_pop(&w->jobs);
		if (node) {
			w->running = list_entry(node, struct ceph_walk_job, node);
			struct ceph_walk_job *job = w->running;
			pthread_mutex_unlock(&w->lock);
			do_job(w, job);
			pthread_mutex_lock(&w->lock);
		} else if (w->stopping) {
			break;
		} else {
			pthread_cond_wait(&w->wake, &w->lock);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int ceph_walk_start(struct ceph_queue *queue, struct ceph_walk **ret_walk)
{
	struct ceph_walk *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->queue = queue;
	list_init(&w->jobs);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	int rc = -pthread_create(&w->thread, NULL, run, w);
	if (rc) {
		pthread_cond_destroy(&w->wake);
		pthread_mutex_destroy(&w->lock);
		free(w);
		return rc;
	}
	(void)pthread_setname_np(w->thread, "store-walk"); /* for people's eyes alone */
	*ret_walk = w;
	return 0;
}

void ceph_walk_stop(struct ceph_walk **slot)
{
	struct ceph_walk *w = *slot;
	*slot = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	CHECK(list_empty(&w->jobs));
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void ceph_walk_submit(struct ceph_walk *w, struct ceph_walk_job *job)
{
	job->walk = w;
	pthread_mutex_lock(&w->lock);
	list_append(&w->jobs, &job->node);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void ceph_walk_cancel(struct ceph_walk *w, const struct store *store)
{
	struct list cancelled;
	list_init(&cancelled);
	pthread_mutex_lock(&w->lock);
	if (w->running && w->running->store == store)
		w->running->cancelled = true;
	list_each_safe (node, &w->jobs) {
		struct ceph_walk_job *job = list_entry(node, struct ceph_walk_job, node);
		if (job->store != store)
			continue;
		list_remove(node);
		list_append(&cancelled, node);
	}
	pthread_mutex_unlock(&w->lock);
	for (struct list *node; (node = list_pop(&cancelled));) {
		struct ceph_walk_job *job = list_entry(node, struct ceph_walk_job, node);
		job->finished(job, -ECANCELED);
	}
}
