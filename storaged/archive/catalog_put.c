/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/catalog_impl.h"

/* Puts of one catalogue are done one after the other; others (of other loops and daemons) are met
 * by guards.
 *
 *	READ ---> WRITE ---> (done)
 *	 ^ |        |
 *	 | +--------+  refused: another was faster; or it was us, and the answer got lost
 *	 |
 *	 +--> MAP_READ <--> MAP_WRITE     for a shard that is new: the map names it before it is
 * there
 *
 * A write of unknown outcome is sent again as it was, under the same guard. */
enum put_state { PUT_READ, PUT_MAP_READ, PUT_MAP_WRITE, PUT_WRITE };

#define ROUNDS_MAX   32 /* of being overtaken */
#define UNKNOWNS_MAX 20 /* of one write */
#define PAUSE_NS     (250 * NS_PER_MS)

struct catalog_put_op {
	struct list node;
	struct catalog *catalog;
	struct catalog_put *req;
	enum put_state state;
	Steppe__Wire__Camera *asked; /* as the caller wants it */
	Steppe__Wire__Camera *made;  /* as it will be stored */
	char name[STORE_NAME_MAX + 1];
	uint16_t shard;
	bool shard_exists, map_exists;
	bool named; /* the map names the shard */
	uint64_t shard_ver, map_ver;
	struct buf *body; /* of the shard or the map, being written */
	bool maybe_applied;
	unsigned rounds, unknowns;
	struct store_read read;
	struct store_write write;
	struct loop_timer timer;
	struct loop_task task;
};

static void run_first(struct catalog *c);

static void finish(struct catalog_put_op *op, int status)
{
	struct catalog_put *req = op->req;
	struct catalog *c = op->catalog;
	if (status == 0)
		catalog_remember(c, op->shard, op->body);
	else if (op->made)
		steppe__wire__camera__free_unpacked(op->made, NULL);
	req->camera = status == 0 ? op->made : NULL;
	steppe__wire__camera__free_unpacked(op->asked, NULL);
	buf_unref(&op->body);
	loop_timer_stop(&op->timer);
	list_remove(&op->node);
	free(op);
	req->impl = NULL;
	req->status = status;
	if (!list_empty(&c->puts))
		run_first(c);
	catalog_leave(c);
	req->done(req);
}

/* --- writing --- */

static void start_read(struct catalog_put_op *op, enum put_state state);

static void submit(struct catalog_put_op *op)
{
	bool map = op->state == PUT_MAP_WRITE, exists = map ? op->map_exists : op->shard_exists;
	uint64_t ver = map ? op->map_ver : op->shard_ver;
	char was[ATTR_U64_SIZE + 1], is[ATTR_U64_SIZE + 1];
	attr_u64_format(ver, was);
	attr_u64_format(ver + 1, is);
	const struct store_guard absent = {.kind = STORE_ABSENT};
	const struct store_guard same = {STORE_ATTR_EQUAL, ATTR_VER, was, ATTR_U64_SIZE};
	const struct store_attr next = {ATTR_VER, is, ATTR_U64_SIZE};
	struct slice body = {op->body, op->body->data, op->body->len};
	const struct store_edits edits = {
		.guards = exists ? &same : &absent,
		.guard_count = 1,
		.attrs = &next,
		.attr_count = 1,
		.body_kind = STORE_BODY_WHOLE,
		.body = &body,
		.body_count = 1,
	};
	store_write(op->catalog->store, &op->write, STORE_META, map ? CATALOG_MAP_NAME : op->name,
		&edits);
}

static void on_pause(struct loop_timer *timer)
{
	submit(container_of(timer, struct catalog_put_op, timer));
}

static void on_written(struct store_write *write)
{
	struct catalog_put_op *op = container_of(write, struct catalog_put_op, write);
	int rc = write->status;
	bool refused = rc == ERR_GUARD || rc == -EEXIST || rc == -ENOENT;
	if (rc == ERR_UNKNOWN && ++op->unknowns < UNKNOWNS_MAX) {
		op->maybe_applied = true;
		rc = loop_timer_start(op->catalog->loop, &op->timer, PAUSE_NS);
		if (rc == 0)
			return;
		rc = ERR_UNKNOWN;
	} else if (rc == 0 && op->state == PUT_MAP_WRITE) {
		op->named = true;
		start_read(op, PUT_READ);
		return;
	} else if (refused && ++op->rounds < ROUNDS_MAX) {
		start_read(op, op->state == PUT_MAP_WRITE ? PUT_MAP_READ : PUT_READ);
		return;
	}
	finish(op, rc == -EEXIST || rc == -ENOENT ? ERR_GUARD : rc);
}

static void start_write(struct catalog_put_op *op, enum put_state state)
{
	op->state = state;
	op->unknowns = 0;
	if (state == PUT_WRITE)
		op->maybe_applied = false;
	submit(op);
}

/* --- deciding --- */

static bool is_same_camera(const Steppe__Wire__Camera *a, const Steppe__Wire__Camera *b)
{
	size_t len = steppe__wire__camera__get_packed_size(a);
	if (len != steppe__wire__camera__get_packed_size(b))
		return false;
	uint8_t *bytes = malloc(2 * len + 1);
	if (!bytes)
		return false;
	(void)steppe__wire__camera__pack(a, bytes); /* both write `len` bytes */
	(void)steppe__wire__camera__pack(b, bytes + len);
	bool same = memcmp(bytes, bytes + len, len) == 0;
	free(bytes);
	return same;
}

static bool has_profile(const Steppe__Wire__Camera *camera, const char *profile)
{
	for (size_t i = 0; i < camera->n_profiles; i++)
		if (strcmp(camera->profiles[i], profile) == 0)
			return true;
	return false;
}

/* What was ever recorded of a camera is never forgotten, whatever an admin writes: its footage could
 * not be found by retention any more. */
static int keep_profiles(Steppe__Wire__Camera *made, const Steppe__Wire__Camera *stored)
{
	for (size_t i = 0; i < stored->n_profiles; i++) {
		if (has_profile(made, stored->profiles[i]))
			continue;
		char **grown = realloc(made->profiles, (made->n_profiles + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		made->profiles = grown;
		made->profiles[made->n_profiles] = strdup(stored->profiles[i]);
		if (!made->profiles[made->n_profiles])
			return -ENOMEM;
		made->n_profiles++;
	}
	return 0;
}

/* What the shard will hold after the camera it holds now (or NULL). */
static int make_camera(struct catalog_put_op *op, const Steppe__Wire__Camera *stored)
{
	uint64_t wanted = op->asked->version;
	if (wanted != 0 && !stored)
		return -ENOENT;
	if (wanted != 0 && wanted != stored->version)
		return ERR_GUARD;
	if (op->made)
		steppe__wire__camera__free_unpacked(op->made, NULL);
	op->made = camera_copy(op->asked);
	if (!op->made)
		return -ENOMEM;
	op->made->version = stored ? stored->version + 1 : 1;
	if (stored && keep_profiles(op->made, stored))
		return -ENOMEM;
	if (stored)
		op->made->added_us = stored->added_us;
	else if (op->made->added_us == 0)
		op->made->added_us = loop_wall(op->catalog->loop).us;
	return 0;
}

/* 1: our write, of which the answer got lost, had been applied. */
static int decide(struct catalog_put_op *op, const struct buf *body)
{
	struct catalog_shard shard;
	struct buf *made = NULL;
	int rc = catalog_shard_read(&shard, body);
	const Steppe__Wire__Camera *stored =
		rc == 0 ? catalog_shard_find(&shard, op->asked->id) : NULL;
	if (rc == 0 && op->maybe_applied && op->made && stored && is_same_camera(stored, op->made))
		rc = 1;
	if (rc == 0)
		rc = make_camera(op, stored);
	if (rc == 0)
		rc = catalog_shard_with(&shard, op->made, &made);
	catalog_shard_fini(&shard);
	if (rc == 0) {
		buf_unref(&op->body);
		op->body = made;
	}
	return rc;
}

/* What was read has a version: 0 and the number, 0 for an object that is absent; ERR_DAMAGED. */
static int read_ver(const struct store_read *read, uint64_t *ret_ver)
{
	size_t len;
	if (read->status == -ENOENT) {
		*ret_ver = 0;
		return 0;
	}
	if (read->status < 0)
		return read->status;
	const void *value = store_read_attr(read, ATTR_VER, &len);
	return attr_u64_parse(value, len, ret_ver) < 0 ? ERR_DAMAGED : 0;
}

static void after_shard(struct catalog_put_op *op)
{
	int rc = read_ver(&op->read, &op->shard_ver);
	op->shard_exists = op->read.status == 0;
	if (rc < 0) {
		store_read_release(&op->read);
		finish(op, rc);
		return;
	}
	rc = decide(op, op->shard_exists ? op->read.body : NULL);
	store_read_release(&op->read);
	if (rc != 0)
		finish(op, rc > 0 ? 0 : rc);
	else if (op->shard_exists || op->named)
		start_write(op, PUT_WRITE);
	else
		start_read(op, PUT_MAP_READ);
}

static void after_map(struct catalog_put_op *op)
{
	struct buf *map = NULL;
	int rc = read_ver(&op->read, &op->map_ver);
	op->map_exists = op->read.status == 0;
	if (rc == 0 && op->map_exists && op->read.body->len != CATALOG_MAP_SIZE)
		rc = ERR_DAMAGED;
	if (rc == 0) {
		map = buf_new(CATALOG_MAP_SIZE);
		rc = map ? 0 : -ENOMEM;
	}
	if (map && op->map_exists)
		memcpy(map->data, op->read.body->data, CATALOG_MAP_SIZE);
	else if (map)
		memset(map->data, 0, CATALOG_MAP_SIZE);
	store_read_release(&op->read);
	if (rc < 0) {
		finish(op, rc);
		return;
	}
	const uint8_t bit = (uint8_t)(0x80u >> op->shard % 8);
	op->named = map->data[op->shard / 8] & bit;
	map->data[op->shard / 8] |= bit;
	buf_unref(&op->body);
	op->body = map;
	if (op->named)
		start_read(op, PUT_READ);
	else
		start_write(op, PUT_MAP_WRITE);
}

static void on_read(struct store_read *read)
{
	struct catalog_put_op *op = container_of(read, struct catalog_put_op, read);
	if (op->state == PUT_MAP_READ)
		after_map(op);
	else
		after_shard(op);
}

static void start_read(struct catalog_put_op *op, enum put_state state)
{
	bool map = state == PUT_MAP_READ;
	op->state = state;
	op->read = (struct store_read){
		.done = on_read,
		.want_attrs = true,
		.want_body = true,
		.len = map ? CATALOG_MAP_SIZE + 1 : CATALOG_SHARD_MAX,
	};
	store_read(op->catalog->store, &op->read, STORE_META, map ? CATALOG_MAP_NAME : op->name);
}

/* --- asking --- */

static void run_first(struct catalog *c)
{
	start_read(list_entry(c->puts.next, struct catalog_put_op, node), PUT_READ);
}

static void on_refused(struct loop_task *task)
{
	struct catalog_put *req = container_of(task, struct catalog_put, task);
	struct catalog *c = req->impl;
	req->impl = NULL;
	catalog_leave(c);
	req->done(req);
}

void catalog_put(struct catalog *c, struct catalog_put *req, const Steppe__Wire__Camera *camera)
{
	struct catalog_put_op *op = calloc(1, sizeof(*op));
	bool valid = camera_id_is_valid(camera->id);
	catalog_enter(c);
	req->camera = NULL;
	if (op && valid && !c->closing)
		op->asked = camera_copy(camera);
	if (!op || !op->asked) {
		req->status = !valid ? -EINVAL : c->closing ? -ECANCELED : -ENOMEM;
		free(op);
		req->impl = c;
		req->task.run = on_refused;
		loop_defer(c->loop, &req->task);
		return;
	}
	op->catalog = c;
	op->req = req;
	op->shard = catalog_shard_of(camera->id);
	catalog_shard_name(op->name, op->shard);
	op->write.done = on_written;
	op->timer.fire = on_pause;
	req->impl = op;
	bool idle = list_empty(&c->puts);
	list_append(&c->puts, &op->node);
	if (idle)
		run_first(c);
}
