/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the model store on their way through time and faults. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "tests/lib/store_model_impl.h"

void model_op_free(struct model_op *op)
{
	loop_timer_stop(&op->timer);
	list_remove(&op->node);
	free(op);
}

void model_op_plan(struct model_op *op, int64_t delay_ns)
{
	CHECK(loop_timer_start(&op->model->world->loop, &op->timer, delay_ns) == 0);
}

/* Half of a round trip. */
int64_t model_op_latency_ns(struct model_op *op)
{
	const struct store_model_options *o = &op->model->options;
	bool write = op->kind == MODEL_WRITE;
	uint64_t min = (uint64_t)(write ? o->write_min_ns : o->read_min_ns);
	uint64_t max = (uint64_t)(write ? o->write_max_ns : o->read_max_ns);
	return (int64_t)(sim_random_in(op->model->world, min, max > min ? max : min) / 2);
}

/* The answer, on the loop of the store. */
static void answer(struct loop_task *task)
{
	struct model_op *op = container_of(task, struct model_op, task);
	struct model_store *store = op->store;
	struct model *m = op->model;
	enum model_op_kind kind = op->kind;
	void *req = op->req;
	int status = op->status, pool = op->pool;
	char prefix[STORE_NAME_MAX + 1];
	memcpy(prefix, op->name, sizeof(prefix));
	m->counters.in_flight--;
	/* off the list before done(), which may submit the next write to the same object */
	model_op_free(op);
	store->answering++;
	if (kind == MODEL_WRITE) {
		store_write_finish(req, status);
	} else if (kind == MODEL_READ) {
		struct store_read *read = req;
		read->status = status;
		if (status)
			store_read_release(read);
		if (read->body)
			store->store.counters[pool].bytes_read += read->body->len;
		read->done(read);
	} else if (kind == MODEL_SPACE) {
		struct store_space *space = req;
		space->status = status;
		space->done(space);
	} else {
		struct store_list *list = req;
		list->status = status;
		for (size_t i = 0; !status && i < MODEL_BUCKETS; i++) {
			list_each (node, &m->objects.buckets[i]) {
				struct model_object *o =
					list_entry(node, struct model_object, node);
				if (o->pool == pool &&
					strncmp(o->name, prefix, strlen(prefix)) == 0)
					list->each(list, o->name, o->size);
			}
		}
		list->done(list);
	}
	store->answering--;
	model_store_end_if_idle(store);
}

static void apply(struct model_op *op)
{
	struct model *m = op->model;
	op->status = model_objects_apply(
		&m->objects, &m->options.pools[op->pool], op->pool, op->name, &op->edits);
	if (op->status)
		m->counters.writes_refused++;
	else
		m->counters.writes_applied++;
	if (op->status || !m->observer)
		return;
	const struct store_model_change change = {.pool = op->pool,
		.name = op->name,
		.edits = &op->edits,
		.origin = op->origin,
		.late = !op->store};
	m->observer(m->observer_user, &change);
}

static int take_body(struct store_read *req, const struct model_object *o)
{
	size_t from = req->offset < o->size ? (size_t)req->offset : o->size;
	size_t len = req->len < o->size - from ? req->len : o->size - from;
	req->body = len ? buf_copy(o->data + from, len) : buf_new(0);
	return req->body ? 0 : -ENOMEM;
}

static int take_attrs(struct store_read *req, const struct model_object *o)
{
	size_t bytes = 0;
	for (size_t i = 0; i < o->attr_count; i++)
		bytes += o->attrs[i].len;
	req->attrs = store_read_attrs_new(bytes);
	if (!req->attrs)
		return -ENOMEM;
	for (size_t i = 0; i < o->attr_count; i++)
		store_read_attrs_add(
			req->attrs, o->attrs[i].name, o->attrs[i].value, o->attrs[i].len);
	req->size = o->size;
	return 0;
}

static int look(struct model_op *op)
{
	struct store_read *req = op->req;
	const struct model_object *o = model_objects_find(&op->model->objects, op->pool, op->name);
	int rc = o ? 0 : -ENOENT;
	if (!rc && req->want_attrs)
		rc = take_attrs(req, o);
	if (!rc && req->want_body)
		rc = take_body(req, o);
	op->model->counters.reads++;
	return rc;
}

static int measure(struct model_op *op)
{
	struct store_space *req = op->req;
	uint64_t capacity = op->model->options.pools[op->pool].capacity_bytes;
	req->total_bytes = capacity ? capacity : UINT64_C(1) << 40;
	req->used_bytes = op->model->objects.used_bytes[op->pool];
	return 0;
}

static void arrive_write(struct model_op *op)
{
	switch (op->fate) {
	case STORE_MODEL_UNKNOWN_LOST:
	case STORE_MODEL_UNKNOWN_LATE: /* its twin is parked */
		op->status = ERR_UNKNOWN;
		break;
	case STORE_MODEL_UNKNOWN_APPLIED:
		apply(op);
		op->status = ERR_UNKNOWN;
		break;
	case STORE_MODEL_EIO:
		op->status = -EIO;
		break;
	case STORE_MODEL_ENOSPC:
		op->status = -ENOSPC;
		break;
	default:
		apply(op);
	}
}

static void arrive(struct model_op *op)
{
	if (op->kind == MODEL_WRITE) {
		arrive_write(op);
	} else if (op->kind == MODEL_READ) {
		if (op->fate == STORE_MODEL_EIO || op->fate == STORE_MODEL_CHECKSUM) {
			op->status = op->fate == STORE_MODEL_EIO ? -EIO : ERR_CHECKSUM;
			op->model->counters.reads_failed++;
		} else {
			op->status = look(op);
		}
	} else if (op->kind == MODEL_SPACE) {
		op->status = measure(op);
	}
	bool unknown = op->kind == MODEL_WRITE && op->status == ERR_UNKNOWN;
	op->model->counters.writes_unknown += unknown;
	op->stage = MODEL_RETURNING;
	model_op_plan(op, unknown ? op->model->options.unknown_after_ns : model_op_latency_ns(op));
}

static bool is_cut_off(const struct model_op *op)
{
	return op->store && ((op->stage == MODEL_ARRIVING && op->store->requests_cut) ||
				    (op->stage == MODEL_RETURNING && op->store->replies_cut));
}

static bool is_held(const struct model_op *op)
{
	if (op->stage == MODEL_ARRIVING && op->fate == STORE_MODEL_STUCK &&
		op->stuck_at == op->model->releases)
		return true;
	return op->model->stalled || (op->store && op->store->stalled) || is_cut_off(op);
}

/* Nobody waits for longer than this across a cut. What had not arrived may yet. */
static void expire(struct model_op *op)
{
	struct model *m = op->model;
	bool write = op->kind == MODEL_WRITE;
	if (write && op->stage == MODEL_ARRIVING && sim_random_in(m->world, 0, 2) > 0) {
		struct model_op *twin = model_write_new(m, op->name, &op->edits);
		if (twin)
			model_op_park(op, twin,
				(int64_t)sim_random_in(
					m->world, 0, (uint64_t)m->options.late_max_ns));
	}
	op->status = write ? ERR_UNKNOWN : -ETIMEDOUT;
	m->counters.writes_unknown += write;
	m->counters.reads_failed += !write;
	op->waiting = false;
	op->stage = MODEL_ANSWERING;
	op->task.run = answer;
	loop_post(op->store->store.loop, &op->task);
}

void model_op_apply_late(struct model_op *op)
{
	struct model *m = op->model;
	m->counters.parked--;
	m->counters.writes_late++;
	apply(op);
	model_op_free(op);
}

void model_op_proceed(struct loop_timer *timer)
{
	struct model_op *op = container_of(timer, struct model_op, timer);
	bool expired = op->waiting && is_cut_off(op);
	op->waiting = is_held(op);
	if (expired) {
		expire(op);
		return;
	}
	if (op->waiting) {
		if (is_cut_off(op))
			model_op_plan(op, op->model->options.unknown_after_ns);
		return;
	}
	switch (op->stage) {
	case MODEL_ARRIVING:
		arrive(op);
		if (!op->store) /* of a killed node: nobody to answer */
			model_op_free(op);
		break;
	case MODEL_RETURNING:
		op->stage = MODEL_ANSWERING;
		op->task.run = answer;
		loop_post(op->store->store.loop, &op->task);
		break;
	case MODEL_PARKED:
		model_op_apply_late(op);
		break;
	case MODEL_ANSWERING:
		CHECK(false);
	}
}

static void resume_list(struct list *ops)
{
	list_each_safe (node, ops) {
		struct model_op *op = list_entry(node, struct model_op, node);
		if (op->waiting && !is_held(op)) {
			op->waiting = false;
			model_op_plan(op, model_op_latency_ns(op));
		} else if (op->waiting && is_cut_off(op) && !loop_timer_armed(&op->timer)) {
			model_op_plan(op, op->model->options.unknown_after_ns);
		}
	}
}

void model_ops_resume(struct model *m)
{
	list_each (node, &m->stores)
		resume_list(&list_entry(node, struct model_store, node)->ops);
	resume_list(&m->parked);
	resume_list(&m->orphans);
}

void model_ops_cancel_some(struct model_store *store)
{
	list_each_safe (node, &store->ops) {
		struct model_op *op = list_entry(node, struct model_op, node);
		if (op->stage != MODEL_ARRIVING || op->waiting ||
			op->fate == STORE_MODEL_UNKNOWN_LATE)
			continue;
		if (sim_random(store->model->world) & 1)
			continue;
		op->status = -ECANCELED;
		op->stage = MODEL_RETURNING;
	}
}

void model_ops_orphan(struct model_store *store)
{
	struct model *m = store->model;
	list_each_safe (node, &store->ops) {
		struct model_op *op = list_entry(node, struct model_op, node);
		m->counters.in_flight--;
		if (op->kind == MODEL_READ)
			store_read_release(op->req); /* what it had found already */
		bool on_its_way = op->kind == MODEL_WRITE && op->stage == MODEL_ARRIVING;
		if (!on_its_way || sim_random_in(m->world, 0, 2) == 0) {
			model_op_free(op);
			continue;
		}
		op->store = NULL;
		op->req = NULL;
		list_remove(&op->node);
		list_append(&m->orphans, &op->node);
		/* of the rest a half is late, for as long as a lost reply could be */
		if (!op->waiting && sim_random(m->world) & 1)
			model_op_plan(op, (int64_t)sim_random_in(
						  m->world, 0, (uint64_t)m->options.late_max_ns));
	}
}
