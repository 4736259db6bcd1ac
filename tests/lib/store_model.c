/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_model_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const struct store_backend_ops backend_ops;

static struct model *model_of(struct store_backend *backend)
{
	CHECK(backend->ops == &backend_ops);
	return container_of(backend, struct model, backend);
}

static void default_latency(int64_t *min_ns, int64_t *max_ns)
{
	if (!*max_ns) {
		*min_ns = NS_PER_MS / 2;
		*max_ns = 5 * NS_PER_MS;
	}
}

struct store_backend *store_model_new(
	struct sim_world *world, const struct store_model_options *options)
{
	struct model *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->backend.ops = &backend_ops;
	m->world = world;
	m->options = options ? *options : (struct store_model_options){0};
	if (!m->options.pool_count)
		m->options.pool_count = 2;
	CHECK(m->options.pool_count >= 2 && m->options.pool_count <= STORE_POOLS_MAX);
	for (int i = 0; i < m->options.pool_count; i++)
		if (!m->options.pools[i].alignment)
			m->options.pools[i].alignment = 4096;
	default_latency(&m->options.write_min_ns, &m->options.write_max_ns);
	default_latency(&m->options.read_min_ns, &m->options.read_max_ns);
	if (!m->options.unknown_after_ns)
		m->options.unknown_after_ns = 30 * NS_PER_SECOND;
	if (!m->options.late_max_ns)
		m->options.late_max_ns = 60 * NS_PER_SECOND;
	model_objects_init(&m->objects);
	list_init(&m->stores);
	list_init(&m->faults);
	list_init(&m->parked);
	list_init(&m->orphans);
	return &m->backend;
}

struct store_model_options *store_model_options(struct store_backend *backend)
{
	return &model_of(backend)->options;
}

static void model_close(struct store_backend *backend)
{
	struct model *m = model_of(backend);
	CHECK(list_empty(&m->stores));
	list_each_safe (parked, &m->parked)
		model_op_free(list_entry(parked, struct model_op, node));
	list_each_safe (orphan, &m->orphans)
		model_op_free(list_entry(orphan, struct model_op, node));
	list_each_safe (fault, &m->faults)
		store_model_withdraw(list_entry(fault, struct store_model_fault, node));
	model_objects_fini(&m->objects);
	free(m);
}

static void model_store_free(struct store *s, struct loop_task *closed)
{
	struct model_store *store = container_of(s, struct model_store, store);
	store->closed = closed;
	model_ops_cancel_some(store);
	model_store_end_if_idle(store);
}

static struct store *model_store_new(struct store_backend *backend, struct loop *loop)
{
	static const struct store_ops ops = {.kind = "model",
		.write = model_submit_write,
		.read = model_submit_read,
		.list = model_submit_list,
		.space = model_submit_space,
		.free = model_store_free};
	struct model *m = model_of(backend);
	struct model_store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	store->store =
		(struct store){.ops = &ops, .loop = loop, .pool_count = m->options.pool_count};
	for (int i = 0; i < m->options.pool_count; i++)
		store->store.alignment[i] = m->options.pools[i].alignment;
	store->model = m;
	store->number = ++m->stores_made;
	list_init(&store->ops);
	list_append(&m->stores, &store->node);
	return &store->store;
}

static const struct store_backend_ops backend_ops = {
	.store_new = model_store_new, .close = model_close};

void model_store_end_if_idle(struct model_store *store)
{
	if (!store->closed || store->answering || !list_empty(&store->ops))
		return;
	struct loop *loop = store->store.loop;
	struct loop_task *closed = store->closed;
	list_remove(&store->node);
	free(store);
	loop_post(loop, closed);
}

void store_model_plan(struct store_backend *backend, struct store_model_fault *fault)
{
	CHECK(!fault->planned);
	fault->planned = true;
	list_append(&model_of(backend)->faults, &fault->node);
}

void store_model_withdraw(struct store_model_fault *fault)
{
	if (fault->planned)
		list_remove(&fault->node);
	fault->planned = false;
}

void store_model_stall(struct store_backend *backend, struct store *s, bool stalled)
{
	struct model *m = model_of(backend);
	if (s)
		container_of(s, struct model_store, store)->stalled = stalled;
	else
		m->stalled = stalled;
	model_ops_resume(m);
}

void store_model_cut(struct store *s, bool requests, bool replies)
{
	struct model_store *store = container_of(s, struct model_store, store);
	store->requests_cut = requests;
	store->replies_cut = replies;
	model_ops_resume(store->model);
}

unsigned store_model_number(struct store *s)
{
	return container_of(s, struct model_store, store)->number;
}

void store_model_release(struct store_backend *backend)
{
	struct model *m = model_of(backend);
	m->releases++;
	model_ops_resume(m);
}

void store_model_apply_parked(struct store_backend *backend)
{
	struct model *m = model_of(backend);
	list_each_safe (node, &m->parked)
		model_op_apply_late(list_entry(node, struct model_op, node));
}

void store_model_kill(struct store **slot)
{
	struct model_store *store = container_of(*slot, struct model_store, store);
	*slot = NULL;
	model_ops_orphan(store);
	list_remove(&store->node);
	free(store);
}

bool store_model_exists(struct store_backend *backend, int pool, const char *name)
{
	return model_objects_find(&model_of(backend)->objects, pool, name) != NULL;
}

uint8_t *store_model_bytes(
	struct store_backend *backend, int pool, const char *name, size_t *ret_len)
{
	static uint8_t empty[1];
	struct model_object *o = model_objects_find(&model_of(backend)->objects, pool, name);
	*ret_len = o ? o->size : 0;
	return o && !o->data ? empty : o ? o->data : NULL;
}

const void *store_model_attr(struct store_backend *backend, int pool, const char *name,
	const char *attr, size_t *ret_len)
{
	struct model_object *o = model_objects_find(&model_of(backend)->objects, pool, name);
	const struct model_attr *a = o ? model_object_attr(o, attr) : NULL;
	*ret_len = a ? a->len : 0;
	return a ? (const void *)a->value : "";
}

void store_model_put(
	struct store_backend *backend, int pool, const char *name, const void *data, size_t len)
{
	struct model *m = model_of(backend);
	struct model_object *o = model_objects_find(&m->objects, pool, name);
	if (o && !data) {
		model_objects_remove(&m->objects, o);
		return;
	}
	if (!data)
		return;
	if (!o)
		o = model_objects_add(&m->objects, pool, name);
	CHECK(o);
	m->objects.used_bytes[pool] -= o->size;
	o->size = 0;
	CHECK(model_object_write(&m->objects, o, 0, &(struct slice){.data = data, .len = len}) ==
		0);
}

void store_model_put_attr(struct store_backend *backend, int pool, const char *name,
	const char *attr, const char *value)
{
	struct model_object *o = model_objects_find(&model_of(backend)->objects, pool, name);
	CHECK(o);
	CHECK(model_object_set_attr(o, attr, value, strlen(value)) == 0);
}

static int by_pool_and_name(const void *a, const void *b)
{
	const struct model_object *x = *(struct model_object *const *)a,
				  *y = *(struct model_object *const *)b;
	return x->pool != y->pool ? x->pool - y->pool : strcmp(x->name, y->name);
}

void store_model_each(struct store_backend *backend,
	void (*each)(void *user, int pool, const char *name), void *user)
{
	struct model_objects *objects = &model_of(backend)->objects;
	struct model_object **sorted = calloc(objects->count + 1, sizeof(struct model_object *));
	size_t n = 0;
	CHECK(sorted);
	for (size_t i = 0; i < MODEL_BUCKETS; i++)
		list_each (node, &objects->buckets[i])
			sorted[n++] = list_entry(node, struct model_object, node);
	qsort(sorted, n, sizeof(struct model_object *), by_pool_and_name);
	for (size_t i = 0; i < n; i++)
		each(user, sorted[i]->pool, sorted[i]->name);
	free(sorted);
}

struct store_model_counters store_model_counters(const struct store_backend *backend)
{
	return container_of(backend, struct model, backend)->counters;
}

void store_model_observe(
	struct store_backend *backend, store_model_observer_fn observer, void *user)
{
	model_of(backend)->observer = observer;
	model_of(backend)->observer_user = user;
}
