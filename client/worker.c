/* SPDX-License-Identifier: Apache-2.0 */
#include "client/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct worker {
	struct loop *loop;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list jobs; /* under the lock, as is: */
	bool stopping;
};

static void on_done(struct loop_task *task)
{
	struct worker_job *job = container_of(task, struct worker_job, task);
	job->done(job);
}

static struct worker_job *next_job(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (list_empty(&w->jobs) && !w->stopping)
		pthread_cond_wait(&w->wake, &w->lock);
	struct list *node = list_pop(&w->jobs);
	pthread_mutex_unlock(&w->lock);
	return node ? list_entry(node, struct worker_job, node) : NULL;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct worker_job *job;
	while ((job = next_job(w))) {
		job->work(job);
		loop_post(w->loop, &job->task);
	}
	return NULL;
}

/* The program's signals are not for threads of a library. */
static int start_thread(struct worker *w)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = -pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int worker_new(struct loop *loop, bool threaded, struct worker **ret_worker)
{
	struct worker *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->threaded = threaded;
	list_init(&w->jobs);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	int rc = threaded ? start_thread(w) : 0;
	if (rc < 0) {
		w->threaded = false;
		worker_free(&w);
		return rc;
	}
	*ret_worker = w;
	return 0;
}

void worker_submit(struct worker *w, struct worker_job *job)
{
	job->worker = w;
	job->task.run = on_done;
	if (!w->threaded) {
		job->work(job);
		loop_defer(w->loop, &job->task);
		return;
	}
	pthread_mutex_lock(&w->lock);
	list_append(&w->jobs, &job->node);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void worker_free(struct worker **slot)
{
	struct worker *w = *slot;
	*slot = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	if (w->threaded)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
