/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/catalog_impl.h"

#define WALK_MAX 10000u /* cameras an answer has at most */

/*	MAP ---> SHARD <--+      each shard that the map names, from that of `after` on
 *	          |  +----+
 *	          +---> (done)   one camera more than wanted was seen, or there are no more shards */
struct walk_op {
	struct catalog *catalog;
	struct catalog_walk *req;
	struct store_read read;
	uint8_t map[CATALOG_MAP_SIZE];
	char after[CAMERA_ID_MAX + 1];
	uint32_t limit, room;
	uint16_t first; /* the shard of `after` */
	uint32_t next;  /* shard to be looked at */
};

static void finish(struct walk_op *op, int status)
{
	struct catalog_walk *req = op->req;
	struct catalog *c = op->catalog;
	free(op);
	req->impl = NULL;
	req->status = status;
	if (status < 0) {
		catalog_walk_release(req);
		req->more = false;
	}
	catalog_leave(c);
	req->done(req);
}

static int add(struct walk_op *op, const Steppe__Wire__Camera *camera)
{
	struct catalog_walk *req = op->req;
	if (req->count == op->room) {
		uint32_t room = op->room ? 2 * op->room : 64;
		Steppe__Wire__Camera **grown = realloc(req->cameras, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		req->cameras = grown;
		op->room = room;
	}
	Steppe__Wire__Camera *copy = camera_copy(camera);
	if (!copy)
		return -ENOMEM;
	req->cameras[req->count++] = copy;
	return 0;
}

static int take_shard(struct walk_op *op, uint32_t number, const struct buf *body)
{
	struct catalog_shard shard;
	int rc = catalog_shard_read(&shard, body);
	for (size_t i = 0; rc == 0 && shard.list && i < shard.list->n_cameras && !op->req->more;
		i++) {
		const Steppe__Wire__Camera *camera = shard.list->cameras[i];
		bool before = number == op->first && strcmp(camera->id, op->after) <= 0;
		if ((camera->removed && !op->req->removed_too) || before)
			continue;
		if (op->req->count == op->limit)
			op->req->more = true;
		else
			rc = add(op, camera);
	}
	catalog_shard_fini(&shard);
	return rc;
}

static void step(struct walk_op *op);

static void on_shard(struct store_read *read)
{
	struct walk_op *op = container_of(read, struct walk_op, read);
	int rc = read->status;
	/* the map names a shard before it is made */
	if (rc == 0 || rc == -ENOENT)
		rc = take_shard(op, op->next - 1, rc == 0 ? read->body : NULL);
	store_read_release(read);
	if (rc < 0)
		finish(op, rc);
	else
		step(op);
}

static void step(struct walk_op *op)
{
	if (op->catalog->closing) {
		finish(op, -ECANCELED);
		return;
	}
	while (!op->req->more && op->next < CATALOG_SHARDS) {
		uint32_t number = op->next++;
		if (!(op->map[number / 8] & 0x80u >> number % 8))
			continue;
		char name[STORE_NAME_MAX + 1];
		catalog_shard_name(name, (uint16_t)number);
		op->read = (struct store_read){
			.done = on_shard, .want_body = true, .len = CATALOG_SHARD_MAX};
		store_read(op->catalog->store, &op->read, STORE_META, name);
		return;
	}
	finish(op, 0);
}

static void on_map(struct store_read *read)
{
	struct walk_op *op = container_of(read, struct walk_op, read);
	int rc = read->status;
	if (rc == 0 && read->body->len != CATALOG_MAP_SIZE)
		rc = ERR_DAMAGED;
	if (rc == 0)
		memcpy(op->map, read->body->data, CATALOG_MAP_SIZE);
	store_read_release(read);
	if (rc == -ENOENT)
		finish(op, 0); /* no camera was ever added */
	else if (rc < 0)
		finish(op, rc);
	else
		step(op);
}

static void on_failed(struct loop_task *task)
{
	struct catalog_walk *req = container_of(task, struct catalog_walk, task);
	struct catalog *c = req->impl;
	req->impl = NULL;
	catalog_leave(c);
	req->done(req);
}

void catalog_walk(struct catalog *c, struct catalog_walk *req, const char *after, uint32_t limit)
{
	struct walk_op *op = calloc(1, sizeof(*op));
	bool named = after[0] != 0;
	catalog_enter(c);
	req->cameras = NULL;
	req->count = 0;
	req->more = false;
	if (!op || (named && !camera_id_is_valid(after))) {
		req->status = op ? -EINVAL : -ENOMEM;
		free(op);
		req->impl = c;
		req->task.run = on_failed;
		loop_defer(c->loop, &req->task);
		return;
	}
	op->catalog = c;
	op->req = req;
	op->limit = limit < WALK_MAX ? limit : WALK_MAX;
	strcpy(op->after, after);
	op->first = named ? catalog_shard_of(after) : 0;
	op->next = op->first;
	req->impl = op;
	op->read =
		(struct store_read){.done = on_map, .want_body = true, .len = CATALOG_MAP_SIZE + 1};
	store_read(c->store, &op->read, STORE_META, CATALOG_MAP_NAME);
}

void catalog_walk_release(struct catalog_walk *req)
{
	for (size_t i = 0; i < req->count; i++)
		steppe__wire__camera__free_unpacked(req->cameras[i], NULL);
	free(req->cameras);
	req->cameras = NULL;
	req->count = 0;
}
