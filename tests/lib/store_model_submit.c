/* SPDX-License-Identifier: Apache-2.0 */
/* How operations of the model store begin: their fate is drawn, their edits are copied. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/lib/store_model_impl.h"

void model_op_park(const struct model_op *op, struct model_op *twin, int64_t late_ns)
{
	struct model *m = twin->model;
	twin->pool = op->pool;
	twin->origin = op->origin;
	twin->stage = MODEL_PARKED;
	list_append(&m->parked, &twin->node);
	m->counters.parked++;
	model_op_plan(twin, late_ns);
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
	op->timer.fire = model_op_proceed;
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
	op->origin = store->number;
	op->req = req;
	op->pool = pool;
	op->stuck_at = op->model->releases;
	list_append(&store->ops, &op->node);
	op->model->counters.in_flight++;
	model_op_plan(op, model_op_latency_ns(op));
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

struct model_op *model_write_new(struct model *m, const char *name, const struct store_edits *edits)
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
	struct model_op *op = model_write_new(m, name, edits), *twin = NULL;
	if (op && fate == STORE_MODEL_UNKNOWN_LATE)
		twin = model_write_new(m, name, edits);
	if (!op || (fate == STORE_MODEL_UNKNOWN_LATE && !twin)) {
		free(op);
		store_write_post(s, req, -ENOMEM);
		return;
	}
	op->fate = fate;
	depart(s, op, req, pool);
	if (twin)
		model_op_park(op, twin, m->options.unknown_after_ns + late_ns);
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
