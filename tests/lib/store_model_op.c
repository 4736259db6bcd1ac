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

static void plan(struct model_op *op, int64_t delay_ns)
{
	CHECK(loop_timer_start(&op->model->world->loop, &op->timer, delay_ns) == 0);
}

/* Half of a round trip. */
static int64_t latency_ns(struct model_op *op)
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
	if (!op->status && m->observer)
		m->observer(m->observer_user, op->pool, op->name);
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
	plan(op, unknown ? op->model->options.unknown_after_ns : latency_ns(op));
}

static bool is_held(const struct model_op *op)
{
	if (op->stage == MODEL_ARRIVING && op->fate == STORE_MODEL_STUCK &&
		op->stuck_at == op->model->releases)
		return true;
	return op->model->stalled || (op->store && op->store->stalled);
}

void model_op_apply_late(struct model_op *op)
{
	struct model *m = op->model;
	m->counters.parked--;
	m->counters.writes_late++;
	apply(op);
	model_op_free(op);
}

static void proceed(struct loop_timer *timer)
{
	struct model_op *op = container_of(timer, struct model_op, timer);
	op->waiting = is_held(op);
	if (op->waiting)
		return;
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

/* The fate of the next operation: a planned one, or one drawn from the odds. */
static enum store_model_fate draw_fate(
	struct model *m, bool reads, const char *name, int64_t *ret_late_ns)
{
	const struct store_model_options *o = &m->options;
	list_each_safe (node, &m->faults) {
		struct store_model_fault *f = list_entry(node, struct store_model_fault, node);
		if (f->reads != reads ||
			(f->prefix && strncmp(name, f->prefix, strlen(f->prefix)) != 0))
			continue;
		if (f->skip) {
			f->skip--;
			continue;
		}
		if (f->times <= 1)
			store_model_withdraw(f);
		else
			f->times--;
		*ret_late_ns = f->late_ns;
		return f->fate;
	}
	*ret_late_ns = (int64_t)sim_random_in(m->world, 0, (uint64_t)o->late_max_ns);
	unsigned dice = (unsigned)sim_random_in(m->world, 0, 9999);
	if (reads)
		return dice < o->read_eio ? STORE_MODEL_EIO : STORE_MODEL_NORMAL;
	const struct {
		unsigned odds;
		enum store_model_fate fate;
	} table[] = {{o->unknown_applied, STORE_MODEL_UNKNOWN_APPLIED},
		{o->unknown_lost, STORE_MODEL_UNKNOWN_LOST},
		{o->unknown_late, STORE_MODEL_UNKNOWN_LATE}, {o->write_eio, STORE_MODEL_EIO}};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (dice < table[i].odds)
			return table[i].fate;
		dice -= table[i].odds;
	}
	return STORE_MODEL_NORMAL;
}

static struct model_op *op_new(
	struct model *m, enum model_op_kind kind, const char *name, size_t bytes)
{
	struct model_op *op = calloc(1, sizeof(*op) + bytes);
	if (!op)
		return NULL;
	op->model = m;
	op->kind = kind;
	op->timer.fire = proceed;
	list_init(&op->node);
	(void)snprintf(op->name, sizeof(op->name), "%s", name); /* store.c limits names */
	return op;
}

/* Sends `op` off on behalf of `s`. */
static void depart(struct store *s, struct model_op *op, void *req, int pool)
{
	struct model_store *store = container_of(s, struct model_store, store);
	CHECK(!store->closed);
	op->store = store;
	op->req = req;
	op->pool = pool;
	op->stuck_at = op->model->releases;
	list_append(&store->ops, &op->node);
	op->model->counters.in_flight++;
	plan(op, latency_ns(op));
}

static const void *keep(uint8_t **to, const void *from, size_t len)
{
	uint8_t *kept = *to;
	if (len)
		memcpy(kept, from, len);
	*to += len;
	return kept;
}

static size_t bytes_of(const struct store_edits *edits)
{
	size_t bytes = 0;
	for (size_t i = 0; i < edits->guard_count; i++)
		if (edits->guards[i].kind >= STORE_ATTR_EQUAL)
			bytes += strlen(edits->guards[i].attr) + 1 + edits->guards[i].value_len;
	for (size_t i = 0; i < edits->attr_count; i++)
		bytes += strlen(edits->attrs[i].name) + 1 + edits->attrs[i].len;
	for (size_t i = 0; i < edits->body_count; i++)
		bytes += edits->body[i].len;
	return bytes;
}

static struct model_op *write_new(
	struct model *m, const char *name, const struct store_edits *edits)
{
	struct model_op *op = op_new(m, MODEL_WRITE, name, bytes_of(edits));
	if (!op)
		return NULL;
	uint8_t *to = op->bytes;
	op->edits = *edits;
	for (size_t i = 0; i < edits->guard_count; i++) {
		op->guards[i] = edits->guards[i];
		if (edits->guards[i].kind < STORE_ATTR_EQUAL)
			continue;
		op->guards[i].attr =
			keep(&to, edits->guards[i].attr, strlen(edits->guards[i].attr) + 1);
		op->guards[i].value = keep(&to, edits->guards[i].value, edits->guards[i].value_len);
	}
	for (size_t i = 0; i < edits->attr_count; i++) {
		op->attrs[i] = edits->attrs[i];
		op->attrs[i].name =
			keep(&to, edits->attrs[i].name, strlen(edits->attrs[i].name) + 1);
		op->attrs[i].value = keep(&to, edits->attrs[i].value, edits->attrs[i].len);
	}
	op->body.data = to;
	for (size_t i = 0; i < edits->body_count; i++)
		(void)keep(&to, edits->body[i].data, edits->body[i].len); /* one after the other */
	op->body.len = (size_t)(to - op->body.data);
	op->edits.guards = op->guards;
	op->edits.attrs = op->attrs;
	op->edits.body = &op->body;
	op->edits.body_count = edits->body_count ? 1 : 0;
	return op;
}

void model_submit_write(struct store *s, struct store_write *req, int pool, const char *name,
	const struct store_edits *edits)
{
	struct model_store *store = container_of(s, struct model_store, store);
	struct model *m = store->model;
	list_each (node, &store->ops) {
		const struct model_op *other = list_entry(node, struct model_op, node);
		/* the seam's rule for callers: one write in flight an object */
		CHECK(other->kind != MODEL_WRITE || other->pool != pool ||
			strcmp(other->name, name) != 0);
	}
	int64_t late_ns;
	enum store_model_fate fate = draw_fate(m, false, name, &late_ns);
	struct model_op *op = write_new(m, name, edits), *twin = NULL;
	if (op && fate == STORE_MODEL_UNKNOWN_LATE)
		twin = write_new(m, name, edits);
	if (!op || (fate == STORE_MODEL_UNKNOWN_LATE && !twin)) {
		free(op);
		store_write_post(s, req, -ENOMEM);
		return;
	}
	op->fate = fate;
	depart(s, op, req, pool);
	if (!twin)
		return;
	twin->pool = pool;
	twin->stage = MODEL_PARKED;
	list_append(&m->parked, &twin->node);
	m->counters.parked++;
	plan(twin, m->options.unknown_after_ns + late_ns);
}

void model_submit_read(struct store *s, struct store_read *req, int pool, const char *name)
{
	struct model *m = container_of(s, struct model_store, store)->model;
	struct model_op *op = op_new(m, MODEL_READ, name, 0);
	if (!op) {
		store_read_post(s, req, -ENOMEM);
		return;
	}
	int64_t unused;
	op->fate = draw_fate(m, true, name, &unused);
	depart(s, op, req, pool);
}

void model_submit_list(struct store *s, struct store_list *req, int pool, const char *prefix)
{
	struct model_op *op =
		op_new(container_of(s, struct model_store, store)->model, MODEL_LIST, prefix, 0);
	if (op)
		depart(s, op, req, pool);
	else
		store_list_post(s, req, -ENOMEM);
}

void model_submit_space(struct store *s, struct store_space *req, int pool)
{
	struct model_op *op =
		op_new(container_of(s, struct model_store, store)->model, MODEL_SPACE, "", 0);
	if (op)
		depart(s, op, req, pool);
	else
		store_space_post(s, req, -ENOMEM);
}

static void resume_list(struct list *ops)
{
	list_each_safe (node, ops) {
		struct model_op *op = list_entry(node, struct model_op, node);
		if (op->waiting && !is_held(op)) {
			op->waiting = false;
			plan(op, latency_ns(op));
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
			plan(op, (int64_t)sim_random_in(
					 m->world, 0, (uint64_t)m->options.late_max_ns));
	}
}
