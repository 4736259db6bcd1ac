/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void open_store(struct probe *p, struct loop *loop)
{
	assert_non_null(p->backend);
	p->store = store_new(p->backend, loop);
	assert_non_null(p->store);
}

void probe_open_model(struct probe *p, const struct store_model_options *options)
{
	*p = (struct probe){.simulated = true};
	sim_world_init(&p->world, 1);
	sim_loop_init(&p->sim, &p->world);
	p->backend = store_model_new(&p->world, options);
	open_store(p, &p->sim.loop);
}

void probe_open_url(struct probe *p, const char *url)
{
	char why[300] = "";
	*p = (struct probe){0};
	assert_int_equal(loop_uv_init(&p->uv), 0);
	if (store_backend_open(url, &p->backend, why, sizeof(why)))
		fail_msg("%s does not open: %s", url, why);
	open_store(p, &p->uv.loop);
}

void probe_share(struct probe *p, const struct probe *other)
{
	*p = (struct probe){.shared = true, .backend = other->backend};
	assert_int_equal(loop_uv_init(&p->uv), 0);
	open_store(p, &p->uv.loop);
}

static void on_closed(struct loop_task *task)
{
	struct probe *p = container_of(task, struct probe, closed);
	p->is_closed = true;
}

static void turn(struct probe *p)
{
	if (p->simulated)
		assert_true(sim_step(&p->world));
	else
		uv_run(&p->uv.uv, UV_RUN_ONCE);
}

void probe_wait(struct probe *p, const int *flag)
{
	while (!*(const volatile int *)flag)
		turn(p);
}

void probe_close(struct probe *p)
{
	p->closed.run = on_closed;
	store_free(&p->store, &p->closed);
	assert_null(p->store);
	while (!p->is_closed)
		turn(p);
	if (!p->shared)
		store_backend_close(&p->backend);
	if (p->simulated) {
		sim_loop_fini(&p->sim);
		sim_world_fini(&p->world);
	} else {
		loop_uv_fini(&p->uv);
	}
}

static void on_written(struct store_write *req)
{
	struct probe_write *w = container_of(req, struct probe_write, req);
	w->status = req->status;
	--*w->left;
}

void probe_write_all(struct probe *p, struct probe_write *writes, unsigned count)
{
	int left = (int)count;
	for (unsigned i = 0; i < count; i++) {
		writes[i].left = &left;
		writes[i].req = (struct store_write){.done = on_written};
		store_write(
			p->store, &writes[i].req, writes[i].pool, writes[i].name, &writes[i].edits);
		assert_int_equal(left, count); /* never inside the call */
	}
	while (left)
		turn(p);
}

int probe_write(struct probe *p, int pool, const char *name, const struct store_edits *edits)
{
	struct probe_write w = {.pool = pool, .name = name, .edits = *edits};
	probe_write_all(p, &w, 1);
	return w.status;
}

int probe_remove(struct probe *p, int pool, const char *name)
{
	return probe_write(p, pool, name, &(struct store_edits){.body_kind = STORE_BODY_REMOVE});
}

/* A request of another kind and whether it was answered. */
struct asking {
	struct store_read read;
	struct store_space space;
	struct store_list list;
	struct probe_listing *listing;
	int answered;
};

static void on_read(struct store_read *req)
{
	container_of(req, struct asking, read)->answered++;
}

void probe_get(struct probe *p, int pool, const char *name, struct probe_object *ret_object)
{
	/* most are small, and the memory for what is asked for is made before the size is known */
	struct asking a = {.read.len = 1 << 20};
	for (;;) {
		size_t len = a.read.len;
		a = (struct asking){.read = {.done = on_read,
					    .want_attrs = true,
					    .want_body = true,
					    .len = len}};
		store_read(p->store, &a.read, pool, name);
		assert_int_equal(a.answered, 0);
		probe_wait(p, &a.answered);
		if (a.read.status || a.read.size <= len)
			break;
		store_read_release(&a.read);
		a.read.len = STORE_OBJECT_MAX;
	}
	*ret_object =
		(struct probe_object){.status = a.read.status, .size = a.read.size, .read = a.read};
}

void probe_drop(struct probe_object *object)
{
	store_read_release(&object->read);
}

int probe_range(struct probe *p, int pool, const char *name, uint64_t offset, size_t len,
	struct buf **ret_body)
{
	struct asking a = {
		.read = {.done = on_read, .want_body = true, .offset = offset, .len = len}};
	store_read(p->store, &a.read, pool, name);
	probe_wait(p, &a.answered);
	*ret_body = a.read.body;
	a.read.body = NULL;
	store_read_release(&a.read);
	return a.read.status;
}

static void on_space(struct store_space *req)
{
	container_of(req, struct asking, space)->answered++;
}

int probe_space(struct probe *p, int pool, uint64_t *ret_total, uint64_t *ret_used)
{
	struct asking a = {.space = {.done = on_space}};
	store_space(p->store, &a.space, pool);
	probe_wait(p, &a.answered);
	*ret_total = a.space.total_bytes;
	*ret_used = a.space.used_bytes;
	return a.space.status;
}

static void on_listed(struct store_list *req)
{
	container_of(req, struct asking, list)->answered++;
}

static void on_each(struct store_list *req, const char *name, uint64_t size)
{
	struct probe_listing *l = container_of(req, struct asking, list)->listing;
	if (l->count == ARRAY_LEN(l->entries))
		return; /* full: the first ones are shown */
	(void)snprintf(l->entries[l->count].name, sizeof(l->entries[0].name), "%s", name);
	l->entries[l->count++].size = size;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(
		((const struct probe_listed *)a)->name, ((const struct probe_listed *)b)->name);
}

void probe_list(struct probe *p, int pool, const char *prefix, struct probe_listing *ret_listing)
{
	struct asking a = {.list = {.each = on_each, .done = on_listed}, .listing = ret_listing};
	ret_listing->count = 0;
	store_list(p->store, &a.list, pool, prefix);
	assert_int_equal(a.answered, 0);
	probe_wait(p, &a.answered);
	ret_listing->status = a.list.status;
	qsort(ret_listing->entries, ret_listing->count, sizeof(ret_listing->entries[0]), by_name);
}

void probe_remove_all(struct probe *p, int pool, const char *prefix)
{
	struct probe_listing *l = malloc(sizeof(*l));
	assert_non_null(l);
	do {
		probe_list(p, pool, prefix, l);
		assert_int_equal(l->status, 0);
		for (unsigned i = 0; i < l->count; i++)
			assert_int_equal(probe_remove(p, pool, l->entries[i].name), 0);
	} while (l->count);
	free(l);
}

struct slice probe_bytes(uint64_t seed, size_t len)
{
	struct buf *b = buf_new(len);
	assert_non_null(b);
	uint64_t x = seed * 2 + 1;
	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		b->data[i] = (uint8_t)(x >> (56 - 8 * (i % 8)));
	}
	return (struct slice){.buf = b, .data = b->data, .len = len};
}
