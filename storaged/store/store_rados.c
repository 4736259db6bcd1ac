/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a Ceph cluster: pools of RADOS. One connection and two threads a process
 * (ceph_queue, ceph_walk), whatever the number of loops; answers come back by loop_post.
 * docs/design/rados-store.md has the whole picture. */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/store/ceph_queue.h"
#include "storaged/store/ceph_walk.h"
#include "storaged/store/store_impl.h"

#define MIN_SIZE 2 /* copies at least, unless the url says otherwise */

struct rados_backend {
	struct store_backend backend;
	struct ceph_settings settings;
	struct ceph_queue *queue;
	struct ceph_walk *walk;
	char words[STORE_URL_MAX + 1]; /* what the settings point into */
};

struct store_rados {
	struct store store;
	struct rados_backend *backend;
	atomic_uint refs; /* its owner's, and one for each request under way */
	struct loop_task *closed;
	struct loop_task release;
};

static struct store_rados *self(struct store *s)
{
	return container_of(s, struct store_rados, store);
}

static void release(struct loop_task *task)
{
	struct store_rados *s = container_of(task, struct store_rados, release);
	struct loop_task *closed = s->closed;
	free(s);
	closed->run(closed);
}

/* The last reference goes on whatever thread finished the last request. The loop runs what is
 * posted in order, so every done() has run when the store goes. */
static void unref(struct store_rados *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		loop_post(s->store.loop, &s->release);
}

static void write_finished(struct ceph_op *op, int status)
{
	struct store_write *req = op->req.write;
	struct store_rados *s = req->impl;
	ceph_op_free(op);
	store_write_post(&s->store, req, status);
	unref(s);
}

static void read_finished(struct ceph_op *op, int status)
{
	struct store_read *req = op->req.read;
	struct store_rados *s = req->impl;
	if (!status) {
		req->attrs = op->attrs;
		req->body = op->body;
		req->size = req->want_attrs ? op->size : 0;
		op->attrs = NULL;
		op->body = NULL;
	}
	ceph_op_free(op);
	store_read_post(&s->store, req, status);
	unref(s);
}

static void submit(struct store_rados *s, struct ceph_op *op)
{
	op->owner = s;
	op->asked_at = loop_now(s->store.loop);
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	ceph_queue_submit(s->backend->queue, op);
}

static void rados_write(struct store *base, struct store_write *req, int pool, const char *name,
	const struct store_edits *edits)
{
	struct ceph_op *op = ceph_op_write(req, pool, name, edits);
	if (!op) {
		store_write_post(base, req, -ENOMEM);
		return;
	}
	req->impl = self(base);
	op->finished = write_finished;
	submit(self(base), op);
}

static void rados_read(struct store *base, struct store_read *req, int pool, const char *name)
{
	/* no object is longer, and the answer's memory is made before its length is known */
	if (req->len > STORE_OBJECT_MAX)
		req->len = STORE_OBJECT_MAX;
	struct ceph_op *op = ceph_op_read(req, pool, name);
	if (!op) {
		store_read_post(base, req, -ENOMEM);
		return;
	}
	req->impl = self(base);
	op->finished = read_finished;
	submit(self(base), op);
}

static void job_finished(struct ceph_walk_job *job, int status)
{
	struct store_rados *s = self(job->store);
	if (job->list)
		store_list_post(&s->store, job->list, status);
	else
		store_space_post(&s->store, job->space, status);
	free(job);
	unref(s);
}

static struct ceph_walk_job *new_job(struct store_rados *s, int pool)
{
	struct ceph_walk_job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->finished = job_finished;
	job->store = &s->store;
	job->pool = pool;
	return job;
}

static void submit_job(struct store_rados *s, struct ceph_walk_job *job)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	ceph_walk_submit(s->backend->walk, job);
}

static void rados_list(struct store *base, struct store_list *req, int pool, const char *prefix)
{
	struct ceph_walk_job *job = new_job(self(base), pool);
	if (!job) {
		store_list_post(base, req, -ENOMEM);
		return;
	}
	job->list = req;
	(void)snprintf(job->prefix, sizeof(job->prefix), "%s", prefix); /* store.c limits it */
	submit_job(self(base), job);
}

static void rados_space(struct store *base, struct store_space *req, int pool)
{
	struct ceph_walk_job *job = new_job(self(base), pool);
	if (!job) {
		store_space_post(base, req, -ENOMEM);
		return;
	}
	job->space = req;
	submit_job(self(base), job);
}

static void rados_free(struct store *base, struct loop_task *closed)
{
	struct store_rados *s = self(base);
	struct list unsent;
	list_init(&unsent);
	s->closed = closed;
	s->release.run = release;
	ceph_queue_withdraw(s->backend->queue, s, &unsent);
	for (struct list *node; (node = list_pop(&unsent));) {
		struct ceph_op *op = list_entry(node, struct ceph_op, node);
		op->finished(op, -ECANCELED);
	}
	ceph_walk_cancel(s->backend->walk, &s->store);
	unref(s);
}

static struct store *backend_store_new(struct store_backend *base, struct loop *loop)
{
	static const struct store_ops ops = {.kind = "rados",
		.write = rados_write,
		.read = rados_read,
		.list = rados_list,
		.space = rados_space,
		.free = rados_free};
	struct rados_backend *b = container_of(base, struct rados_backend, backend);
	struct store_rados *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->store.ops = &ops;
	s->store.loop = loop;
	s->store.pool_count = b->settings.pool_count;
	for (int i = 0; i < b->settings.pool_count; i++)
		s->store.alignment[i] = ceph_queue_alignment(b->queue, i);
	s->backend = b;
	atomic_init(&s->refs, 1);
	return &s->store;
}

static void backend_close(struct store_backend *base)
{
	struct rados_backend *b = container_of(base, struct rados_backend, backend);
	ceph_walk_stop(&b->walk);
	ceph_queue_close(&b->queue);
	free(b);
}

static int backend_health(struct store_backend *base, char *why, size_t why_size)
{
	struct rados_backend *b = container_of(base, struct rados_backend, backend);
	return ceph_queue_health(b->queue, why, why_size);
}

/* The value of a parameter, in the backend's own memory; or NULL. */
static const char *own_param(struct rados_backend *b, const struct store_url *url, const char *key)
{
	const char *value = store_url_param(url, key);
	return value ? b->words + (value - url->text) : NULL;
}

static int read_url(
	struct rados_backend *b, const struct store_url *url, char *why, size_t why_size)
{
	static const char *const keys[] = {
		"conf", "meta", "data", "cold", "id", "namespace", "min_size", NULL};
	static const char *const pools[] = {"meta", "data", "cold"};
	struct ceph_settings *s = &b->settings;
	int rc = store_url_check_keys(url, keys, why, why_size);
	if (rc)
		return rc;
	if (*url->path) {
		(void)snprintf(why, why_size,
			"a Ceph store's url has no path; it reads "
			"rados://?conf=/etc/ceph/ceph.conf&meta=POOL&data=POOL");
		return ERR_CONFIG;
	}
	s->conf = own_param(b, url, "conf");
	s->user = own_param(b, url, "id");
	if (!s->user)
		s->user = "admin";
	s->name_space = own_param(b, url, "namespace");
	const char *min_size = own_param(b, url, "min_size");
	s->min_size = MIN_SIZE;
	if (min_size && (min_size[0] < '1' || min_size[0] > '9' || min_size[1])) {
		(void)snprintf(why, why_size, "min_size in the Ceph store's url is 1 to 9, not %s",
			min_size);
		return ERR_CONFIG;
	}
	if (min_size)
		s->min_size = (uint64_t)(min_size[0] - '0');
	for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
		s->pools[i] = own_param(b, url, pools[i]);
		if (s->pools[i])
			s->pool_count = (int)i + 1;
		else if (i != STORE_COLD) {
			(void)snprintf(
				why, why_size, "the Ceph store's url lacks %s=POOL", pools[i]);
			return ERR_CONFIG;
		}
	}
	return 0;
}

int store_rados_open(
	const struct store_url *url, struct store_backend **ret_backend, char *why, size_t why_size)
{
	static const struct store_backend_ops ops = {
		.store_new = backend_store_new, .close = backend_close, .health = backend_health};
	struct rados_backend *b = calloc(1, sizeof(*b));
	if (!b) {
		(void)snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	b->backend.ops = &ops;
	static_assert(
		sizeof(b->words) == sizeof(url->text), "offsets in one are offsets in the other");
	memcpy(b->words, url->text, sizeof(b->words));
	int rc = read_url(b, url, why, why_size);
	if (!rc)
		rc = ceph_queue_open(&b->settings, &b->queue, why, why_size);
	if (!rc) {
		rc = ceph_walk_start(b->queue, &b->walk);
		if (rc)
			(void)snprintf(why, why_size, "no thread for Ceph: %s", strerror(-rc));
	}
	if (rc)
		backend_close(&b->backend);
	else
		*ret_backend = &b->backend;
	return rc;
}
