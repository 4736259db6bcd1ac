/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/fetching.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/list.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/stop.h"

#define QUEUE_BYTES (8u << 20)

/* A fragment with bytes of its own behind it. */
struct entry {
	struct list node;
	struct steppe_fragment fragment;
	size_t bytes;
	uint8_t data[];
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t bell;
	struct list entries;
	size_t bytes;
	bool paused, done, failed;
	int status, refusal;
	char reason[160];
};

static bool on_fragment(void *user, const struct steppe_fragment *f)
{
	struct queue *q = user;
	struct entry *e = malloc(sizeof(*e) + f->init_len + f->len);
	pthread_mutex_lock(&q->lock);
	if (e) {
		e->fragment = *f;
		e->bytes = f->init_len + f->len;
		memcpy(e->data, f->init, f->init_len);
		if (f->len > 0)
			memcpy(e->data + f->init_len, f->body, f->len);
		e->fragment.init = e->data;
		e->fragment.body = e->data + f->init_len;
		list_append(&q->entries, &e->node);
		q->bytes += e->bytes;
	}
	q->failed = q->failed || !e;
	q->paused = q->bytes >= QUEUE_BYTES;
	bool go_on = !q->paused;
	pthread_cond_signal(&q->bell);
	pthread_mutex_unlock(&q->lock);
	return go_on;
}

static void on_done(void *user, int status)
{
	struct queue *q = user;
	const char *reason = NULL;
	pthread_mutex_lock(&q->lock);
	q->refusal = status == STEPPE_E_REFUSED ? steppe_last_refusal(&reason) : 0;
	snprintf(q->reason, sizeof(q->reason), "%s", reason ? reason : "");
	q->done = true;
	q->status = status;
	pthread_cond_signal(&q->bell);
	pthread_mutex_unlock(&q->lock);
}

/* The next entry, or NULL after a while without one. */
static struct entry *take(struct queue *q, struct steppe_fetch *fetch)
{
	struct entry *e = NULL;
	bool resume = false;
	pthread_mutex_lock(&q->lock);
	if (list_empty(&q->entries) && !q->done) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200 * NS_PER_MS;
		until.tv_sec += until.tv_nsec / NS_PER_SECOND;
		until.tv_nsec %= NS_PER_SECOND;
		pthread_cond_timedwait(&q->bell, &q->lock, &until);
	}
	struct list *node = list_pop(&q->entries);
	if (node) {
		e = list_entry(node, struct entry, node);
		q->bytes -= e->bytes;
		resume = q->paused && q->bytes < QUEUE_BYTES / 2 && !q->done;
		q->paused = q->paused && !resume;
	}
	pthread_mutex_unlock(&q->lock);
	if (resume)
		steppe_fetch_resume(fetch);
	return e;
}

static bool is_done(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	bool done = q->done;
	pthread_mutex_unlock(&q->lock);
	return done;
}

/* After the last fragment that is wanted: throws the rest away until done() has come. */
static void drain(struct queue *q, struct steppe_fetch *fetch)
{
	if (!is_done(q))
		steppe_fetch_stop(fetch);
	for (;;) {
		bool done = is_done(q);
		struct entry *e = take(q, fetch);
		free(e);
		if (done && !e)
			return;
	}
}

int fetching_run(
	struct fetching *f, struct steppe *steppe, const struct steppe_fetch_options *options)
{
	struct queue q = {.done = false};
	struct steppe_fetch_options o = *options;
	struct steppe_fetch *fetch;
	pthread_mutex_init(&q.lock, NULL);
	pthread_cond_init(&q.bell, NULL);
	list_init(&q.entries);
	o.fragment = on_fragment;
	o.done = on_done;
	o.user = &q;
	bool enough = false;
	int error = steppe_fetch(steppe, &o, &fetch);
	if (!error) {
		while (!enough && !stop_asked()) {
			bool done = is_done(&q);
			struct entry *e = take(&q, fetch);
			if (!e && done)
				break;
			if (e) {
				f->fragments++;
				f->bytes += e->fragment.len;
				enough = !f->fragment(f, &e->fragment);
			}
			free(e);
		}
		drain(&q, fetch);
		bool stopped = enough || stop_asked();
		error = q.failed ? -ENOMEM : stopped && q.status == -ECANCELED ? 0 : q.status;
		f->refusal = q.refusal;
		snprintf(f->refusal_reason, sizeof(f->refusal_reason), "%s", q.reason);
	}
	pthread_cond_destroy(&q.bell);
	pthread_mutex_destroy(&q.lock);
	return error;
}

enum exit_code fetching_complain(
	const struct fetching *f, const struct command_call *call, int error, const char *doing)
{
	if (error == STEPPE_E_REFUSED && f->refusal)
		return complain_refusal(call, f->refusal, f->refusal_reason, doing);
	return complain_of(call, error, doing);
}
