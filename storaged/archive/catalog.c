/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/archive/catalog_impl.h"

#define MEMORY_BYTES (16u << 20)

/* --- life --- */

int catalog_new(struct loop *loop, struct store *store, struct catalog **ret_catalog)
{
	struct catalog *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->store = store;
	list_init(&c->ages);
	list_init(&c->puts);
	*ret_catalog = c;
	return 0;
}

static void forget(struct catalog *c, struct catalog_memory *m)
{
	list_remove(&m->age);
	c->memory_bytes -= sizeof(*m) + (m->body ? m->body->len : 0);
	c->memory[m->shard] = NULL;
	buf_unref(&m->body);
	free(m);
}

static void finish(struct catalog *c)
{
	struct loop_task *closed = c->closed;
	struct loop *loop = c->loop;
	CHECK(list_empty(&c->puts));
	while (!list_empty(&c->ages))
		forget(c, list_entry(c->ages.next, struct catalog_memory, age));
	free(c);
	loop_defer(loop, closed);
}

void catalog_enter(struct catalog *c)
{
	c->active++;
}

void catalog_leave(struct catalog *c)
{
	CHECK(c->active > 0);
	if (--c->active == 0 && c->closing)
		finish(c);
}

void catalog_free(struct catalog **slot, struct loop_task *closed)
{
	struct catalog *c = *slot;
	*slot = NULL;
	c->closing = true;
	c->closed = closed;
	if (c->active == 0)
		finish(c);
}

void catalog_remember(struct catalog *c, uint16_t shard, struct buf *body)
{
	if (c->memory[shard])
		forget(c, c->memory[shard]);
	struct catalog_memory *m = calloc(1, sizeof(*m));
	if (!m)
		return;
	m->shard = shard;
	m->body = body ? buf_ref(body) : NULL;
	m->read_at = loop_now(c->loop);
	c->memory[shard] = m;
	c->memory_bytes += sizeof(*m) + (body ? body->len : 0);
	list_append(&c->ages, &m->age);
	while (c->memory_bytes > MEMORY_BYTES)
		forget(c, list_entry(c->ages.next, struct catalog_memory, age));
}

/* --- get --- */

struct get_op {
	struct catalog *catalog;
	struct catalog_get *req;
	struct store_read read;
	struct buf *body; /* of an answer from memory */
	char id[CAMERA_ID_MAX + 1];
	int status;
};

static int find(const struct get_op *op, const struct buf *body, Steppe__Wire__Camera **ret_camera)
{
	struct catalog_shard shard;
	int rc = catalog_shard_read(&shard, body);
	if (rc < 0)
		return rc;
	const Steppe__Wire__Camera *camera = catalog_shard_find(&shard, op->id);
	if (!camera || (camera->removed && !op->req->removed_too))
		rc = -ENOENT;
	else
		*ret_camera = camera_copy(camera);
	catalog_shard_fini(&shard);
	return rc == 0 && !*ret_camera ? -ENOMEM : rc;
}

static void finish_get(struct get_op *op, int status)
{
	struct catalog_get *req = op->req;
	struct catalog *c = op->catalog;
	buf_unref(&op->body);
	free(op);
	req->impl = NULL;
	req->status = status;
	catalog_leave(c);
	req->done(req);
}

static void on_shard(struct store_read *read)
{
	struct get_op *op = container_of(read, struct get_op, read);
	int rc = read->status;
	if (rc == 0 || rc == -ENOENT) {
		struct buf *body = rc == 0 ? read->body : NULL;
		catalog_remember(op->catalog, catalog_shard_of(op->id), body);
		rc = find(op, body, &op->req->camera);
	}
	store_read_release(read);
	finish_get(op, rc);
}

static void on_get_known(struct loop_task *task)
{
	struct catalog_get *req = container_of(task, struct catalog_get, task);
	struct get_op *op = req->impl;
	int rc = op->status;
	if (rc == 0)
		rc = find(op, op->body, &req->camera);
	finish_get(op, rc);
}

static void on_get_failed(struct loop_task *task)
{
	struct catalog_get *req = container_of(task, struct catalog_get, task);
	struct catalog *c = req->impl;
	req->impl = NULL;
	catalog_leave(c);
	req->done(req);
}

void catalog_get(struct catalog *c, struct catalog_get *req, const char *id)
{
	struct get_op *op = calloc(1, sizeof(*op));
	catalog_enter(c);
	req->camera = NULL;
	if (!op) {
		req->status = -ENOMEM;
		req->impl = c;
		req->task.run = on_get_failed;
		loop_defer(c->loop, &req->task);
		return;
	}
	op->catalog = c;
	op->req = req;
	req->impl = op;
	req->task.run = on_get_known;
	if (!camera_id_is_valid(id)) {
		op->status = -ENOENT; /* no camera is called so */
		loop_defer(c->loop, &req->task);
		return;
	}
	strcpy(op->id, id);
	uint16_t shard = catalog_shard_of(id);
	const struct catalog_memory *m = c->memory[shard];
	if (req->max_age_ns > 0 && m && loop_now(c->loop).ns - m->read_at.ns <= req->max_age_ns) {
		op->body = m->body ? buf_ref(m->body) : NULL;
		loop_defer(c->loop, &req->task);
		return;
	}
	char name[STORE_NAME_MAX + 1];
	catalog_shard_name(name, shard);
	op->read =
		(struct store_read){.done = on_shard, .want_body = true, .len = CATALOG_SHARD_MAX};
	store_read(c->store, &op->read, STORE_META, name);
}
