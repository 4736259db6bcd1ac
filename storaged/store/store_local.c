/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: queues and threads between the loops and the files. One thread writes, in
 * batches (see store_local_batch.h): while one batch is being made durable the next one gathers, so
 * that the busier the store, the more writes share a sync. A few threads read. Both queues are
 * bounded by their callers: one write in flight an object, and reads by the credit of those who
 * asked. */
#include "storaged/store/store_local_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "storaged/store/store_local_read.h"

#define BATCH_BYTES_MAX ((uint64_t)64 << 20) /* a batch ends with the write that passes it */
#define BATCH_WRITES    1024
#define LINGER_MAX_NS   (2 * NS_PER_MS)

enum look_kind { LOOK_READ, LOOK_NAMES, LOOK_SPACE };

/* A read, a listing or a question for space that waits for a reader. */
struct look {
	struct list node;
	struct local_store *owner;
	enum look_kind kind;
	void *req; /* struct store_read, store_list or store_space */
	int pool, status;
	struct loop_task show;   /* of a page of names, on the loop */
	struct local_page *page; /* of a listing */
	char name[STORE_NAME_MAX + 1];
};

static struct local_store *self(struct store *s)
{
	return container_of(s, struct local_store, store);
}

/* Life of a store on a loop, its end. */

static void end_store(struct loop_task *task)
{
	struct local_store *s = container_of(task, struct local_store, end);
	struct local_backend *b = s->backend;
	struct loop_task *closed = s->closed;
	pthread_mutex_lock(&b->lock);
	b->store_count--;
	pthread_mutex_unlock(&b->lock);
	free(s);
	closed->run(closed);
}

/* The answer of one request was posted; the last one of a closing store is followed by its end.
 * Under the lock. */
static void answered(struct local_store *s)
{
	s->in_flight--;
	if (s->closed && !s->in_flight)
		loop_post(s->store.loop, &s->end);
}

static void free_write(struct local_write *w)
{
	for (size_t i = 0; i < w->edits.body_count; i++) {
		struct buf *b = w->edits.body[i].buf;
		buf_unref(&b);
	}
	free(w);
}

static void answer_write(struct local_backend *b, struct local_write *w, int status)
{
	struct local_store *s = w->owner;
	struct store_write *req = w->req;
	free_write(w);
	pthread_mutex_lock(&b->lock);
	store_write_post(&s->store, req, status);
	answered(s);
	pthread_mutex_unlock(&b->lock);
}

static void answer_look(struct local_backend *b, struct look *l, int status)
{
	struct local_store *s = l->owner;
	enum look_kind kind = l->kind;
	void *req = l->req;
	free(l->page);
	free(l);
	pthread_mutex_lock(&b->lock);
	if (kind == LOOK_READ)
		store_read_post(&s->store, req, status);
	else if (kind == LOOK_NAMES)
		store_list_post(&s->store, req, status);
	else
		store_space_post(&s->store, req, status);
	answered(s);
	pthread_mutex_unlock(&b->lock);
}

static void local_store_free(struct store *store, struct loop_task *closed)
{
	struct local_store *s = self(store);
	struct local_backend *b = s->backend;
	struct list writes, looks;
	list_init(&writes);
	list_init(&looks);
	pthread_mutex_lock(&b->lock);
	list_each_safe (node, &b->writes) {
		if (list_entry(node, struct local_write, node)->owner != s)
			continue;
		b->write_count--;
		list_remove(node);
		list_append(&writes, node);
	}
	list_each_safe (look_node, &b->looks) {
		if (list_entry(look_node, struct look, node)->owner != s)
			continue;
		list_remove(look_node);
		list_append(&looks, look_node);
	}
	s->in_flight++; /* this call, lest the store end before everything is posted */
	s->closed = closed;
	pthread_mutex_unlock(&b->lock);
	for (struct list *node; (node = list_pop(&writes));)
		answer_write(b, list_entry(node, struct local_write, node), -ECANCELED);
	for (struct list *node; (node = list_pop(&looks));)
		answer_look(b, list_entry(node, struct look, node), -ECANCELED);
	pthread_mutex_lock(&b->lock);
	answered(s);
	pthread_mutex_unlock(&b->lock);
}

/* Writes on their way to the writer. */

static const void *keep(uint8_t **to, const void *from, size_t len)
{
	uint8_t *kept = *to;
	if (len)
		memcpy(kept, from, len);
	*to += len;
	return kept;
}

/* Bytes for copies of what the edits point at, but for the body's. */
static size_t size_of_copies(const struct store_edits *e)
{
	size_t size = e->body_count * sizeof(struct slice) +
		      e->guard_count * sizeof(struct store_guard) +
		      e->attr_count * sizeof(struct store_attr);
	for (size_t i = 0; i < e->guard_count; i++)
		if (e->guards[i].kind >= STORE_ATTR_EQUAL)
			size += strlen(e->guards[i].attr) + 1 + e->guards[i].value_len;
	for (size_t i = 0; i < e->attr_count; i++)
		size += strlen(e->attrs[i].name) + 1 + e->attrs[i].len;
	return size;
}

static struct local_write *write_new(const char *name, const struct store_edits *e)
{
	struct local_write *w = malloc(sizeof(*w) + size_of_copies(e));
	if (!w)
		return NULL;
	*w = (struct local_write){.edits = *e};
	memcpy(w->name, name, strlen(name) + 1);
	/* structures first, so that they are aligned */
	uint8_t *to = (uint8_t *)(w + 1);
	struct slice *body = (struct slice *)(void *)to;
	(void)keep(&to, e->body, e->body_count * sizeof(*body));
	struct store_guard *guards = (struct store_guard *)(void *)to;
	(void)keep(&to, e->guards, e->guard_count * sizeof(*guards));
	struct store_attr *attrs = (struct store_attr *)(void *)to;
	(void)keep(&to, e->attrs, e->attr_count * sizeof(*attrs));
	for (size_t i = 0; i < e->body_count; i++)
		if (body[i].buf)
			buf_ref(body[i].buf);
	for (size_t i = 0; i < e->guard_count; i++) {
		if (guards[i].kind < STORE_ATTR_EQUAL)
			continue;
		guards[i].attr = keep(&to, guards[i].attr, strlen(guards[i].attr) + 1);
		guards[i].value = keep(&to, guards[i].value, guards[i].value_len);
	}
	for (size_t i = 0; i < e->attr_count; i++) {
		attrs[i].name = keep(&to, attrs[i].name, strlen(attrs[i].name) + 1);
		attrs[i].value = keep(&to, attrs[i].value, attrs[i].len);
	}
	w->edits.body = body;
	w->edits.guards = guards;
	w->edits.attrs = attrs;
	return w;
}

static void local_store_write(struct store *store, struct store_write *req, int pool,
	const char *name, const struct store_edits *edits)
{
	struct local_store *s = self(store);
	struct local_backend *b = s->backend;
	struct local_write *w = write_new(name, edits);
	if (!w) {
		store_write_post(store, req, -ENOMEM);
		return;
	}
	w->owner = s;
	w->req = req;
	w->pool = pool;
	pthread_mutex_lock(&b->lock);
	s->in_flight++;
	list_append(&b->writes, &w->node);
	bool awaited = ++b->write_count == b->wanted;
	pthread_mutex_unlock(&b->lock);
	if (awaited)
		pthread_cond_signal(&b->write_waits);
}

/* True when no write of the batch is of this object (or of one that looks the same, which then
 * waits for nothing). */
static bool is_first_of_object(struct local_backend *b, const struct local_write *w)
{
	uint64_t hash = hash64((uint64_t)w->pool, w->name, strlen(w->name)) | 1;
	size_t i = hash / 2 % LOCAL_SEEN_SLOTS;
	while (b->seen[i] && b->seen[i] != hash)
		i = (i + 1) % LOCAL_SEEN_SLOTS;
	bool first = !b->seen[i];
	b->seen[i] = hash;
	return first;
}

/* Takes a batch off the queue; what is of an object that has a write in it waits for the next one.
 * Under the lock. */
static void gather(struct local_backend *b, struct list *batch)
{
	uint64_t bytes = 0;
	int count = 0;
	memset(b->seen, 0, sizeof(b->seen));
	list_each_safe (node, &b->writes) {
		struct local_write *w = list_entry(node, struct local_write, node);
		if (bytes >= BATCH_BYTES_MAX || count == BATCH_WRITES)
			return;
		if (!is_first_of_object(b, w))
			continue;
		for (size_t i = 0; i < w->edits.body_count; i++)
			bytes += w->edits.body[i].len;
		count++;
		b->write_count--;
		list_remove(node);
		list_append(batch, node);
	}
}

/* Waits until there is something to do. Streams that were just answered come back at once with
 * their next write: those are waited for a little, or they would miss the batch and the next one,
 * too, and each batch would have half of them. Under the lock. */
static void await_writes(
	struct local_backend *b, unsigned last_count, int64_t last_ns, bool entries_wait)
{
	b->wanted = 1;
	while (list_empty(&b->writes) && !b->closing && !entries_wait)
		pthread_cond_wait(&b->write_waits, &b->lock);
	int64_t linger_ns = last_ns / 8 < LINGER_MAX_NS ? last_ns / 8 : LINGER_MAX_NS;
	if (last_count < 2 || !linger_ns)
		return;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += linger_ns;
	if (until.tv_nsec >= NS_PER_SECOND) {
		until.tv_nsec -= NS_PER_SECOND;
		until.tv_sec++;
	}
	b->wanted = last_count;
	while (b->write_count < b->wanted && !b->closing)
		if (pthread_cond_timedwait(&b->write_waits, &b->lock, &until))
			return;
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

void *local_run_writer(void *arg)
{
	struct local_backend *b = arg;
	bool entries_wait = local_batch_collect(&b->batch);
	unsigned last_count = 0;
	int64_t last_ns = 0;
	for (;;) {
		struct list batch;
		list_init(&batch);
		pthread_mutex_lock(&b->lock);
		await_writes(b, last_count, last_ns, entries_wait);
		bool ends = list_empty(&b->writes) && b->closing;
		unsigned waiting = b->write_count;
		gather(b, &batch);
		last_count = waiting - b->write_count;
		pthread_mutex_unlock(&b->lock);
		int64_t start_ns = now_ns();
		if (!list_empty(&batch) || entries_wait)
			local_batch_run(&b->batch, &batch);
		last_ns = now_ns() - start_ns;
		for (struct list *node; (node = list_pop(&batch));) {
			struct local_write *w = list_entry(node, struct local_write, node);
			answer_write(b, w, w->status);
		}
		if (ends)
			return NULL;
		/* a batch of entries alone that came to nothing is not repeated for its own sake */
		entries_wait = !b->batch.gone_count && local_batch_collect(&b->batch);
	}
}

/* Looks on their way to the readers. */

static void enqueue_look(struct local_backend *b, struct look *l)
{
	list_append(&b->looks, &l->node);
	pthread_cond_signal(&b->look_waits);
}

static struct look *look_new(struct store *store, enum look_kind kind, void *req, int pool)
{
	struct look *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->owner = self(store);
	l->kind = kind;
	l->req = req;
	l->pool = pool;
	list_init(&l->node);
	return l;
}

static void submit_look(struct look *l)
{
	struct local_backend *b = l->owner->backend;
	pthread_mutex_lock(&b->lock);
	l->owner->in_flight++;
	enqueue_look(b, l);
	pthread_mutex_unlock(&b->lock);
}

static void local_store_read(
	struct store *store, struct store_read *req, int pool, const char *name)
{
	struct look *l = look_new(store, LOOK_READ, req, pool);
	if (!l) {
		store_read_post(store, req, -ENOMEM);
		return;
	}
	memcpy(l->name, name, strlen(name) + 1);
	submit_look(l);
}

static void local_store_space(struct store *store, struct store_space *req, int pool)
{
	struct look *l = look_new(store, LOOK_SPACE, req, pool);
	if (l)
		submit_look(l);
	else
		store_space_post(store, req, -ENOMEM);
}

/* Shows a page on the loop and has the next one read. */
static void show_page(struct loop_task *task)
{
	struct look *l = container_of(task, struct look, show);
	struct local_backend *b = l->owner->backend;
	struct store_list *req = l->req;
	for (size_t i = 0; i < l->page->count; i++)
		req->each(req, l->page->entries[i].name, l->page->entries[i].size);
	pthread_mutex_lock(&b->lock);
	bool goes_on = !l->owner->closed;
	if (goes_on)
		enqueue_look(b, l);
	pthread_mutex_unlock(&b->lock);
	if (!goes_on)
		answer_look(b, l, -ECANCELED);
}

static void local_store_list(
	struct store *store, struct store_list *req, int pool, const char *prefix)
{
	struct look *l = look_new(store, LOOK_NAMES, req, pool);
	if (l)
		l->page = calloc(1, sizeof(*l->page));
	if (!l || !l->page) {
		free(l);
		store_list_post(store, req, -ENOMEM);
		return;
	}
	l->show.run = show_page;
	memcpy(l->name, prefix, strlen(prefix) + 1);
	submit_look(l);
}

static void serve(struct local_backend *b, struct look *l)
{
	if (l->kind == LOOK_READ) {
		answer_look(b, l, local_read(&b->batch, l->req, l->pool, l->name));
	} else if (l->kind == LOOK_SPACE) {
		answer_look(b, l, local_read_space(&b->batch, l->req, l->pool));
	} else {
		int rc = local_read_names(&b->batch, l->pool, l->name, l->page);
		if (rc || l->page->count == 0)
			answer_look(b, l, rc);
		else
			loop_post(l->owner->store.loop, &l->show);
	}
}

void *local_run_reader(void *arg)
{
	struct local_backend *b = arg;
	for (;;) {
		pthread_mutex_lock(&b->lock);
		while (list_empty(&b->looks) && !b->closing)
			pthread_cond_wait(&b->look_waits, &b->lock);
		struct list *node = list_pop(&b->looks);
		pthread_mutex_unlock(&b->lock);
		if (!node)
			return NULL;
		serve(b, list_entry(node, struct look, node));
	}
}

/* Life of a store, its beginning. */

struct store *local_store_new(struct store_backend *backend, struct loop *loop)
{
	static const struct store_ops ops = {.kind = "file",
		.write = local_store_write,
		.read = local_store_read,
		.list = local_store_list,
		.space = local_store_space,
		.free = local_store_free};
	struct local_backend *b = container_of(backend, struct local_backend, backend);
	struct local_store *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->store = (struct store){.ops = &ops, .loop = loop, .pool_count = b->batch.pool_count};
	for (int i = 0; i < b->batch.pool_count; i++)
		s->store.alignment[i] = 4096;
	s->backend = b;
	s->end.run = end_store;
	pthread_mutex_lock(&b->lock);
	b->store_count++;
	pthread_mutex_unlock(&b->lock);
	return &s->store;
}
