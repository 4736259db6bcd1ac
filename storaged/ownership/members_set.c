/* SPDX-License-Identifier: Apache-2.0 */
/* An admin's words about a node. One that is removed loses its id first, so that a daemon which
 * comes back meanwhile cannot go on, and leaves the map after. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/ownership/members_impl.h"

struct setting {
	struct members *members;
	struct members_set *req;
	struct settle mark;
	struct members_change change;
	struct loop_task task;
	int status;
};

static void answer(struct setting *s, int status)
{
	struct members *m = s->members;
	struct members_set *req = s->req;
	free(s);
	req->status = status;
	req->done(req);
	members_end(m);
}

static void on_changed(struct members_change *change)
{
	struct setting *s = container_of(change, struct setting, change);
	answer(s, change->status);
}

static void change_map(struct setting *s)
{
	struct members_set *req = s->req;
	s->change = (struct members_change){.done = on_changed,
		.edit = {.kind = req->remove ? EDIT_REMOVE : EDIT_SET,
			.id = req->id,
			.state = req->state,
			.weight = req->weight}};
	members_change(s->members, &s->change);
}

static void on_marked(struct settle *mark)
{
	struct setting *s = container_of(mark, struct setting, mark);
	int status = mark->status;
	if (!s->req->remove) /* let in again: it enters the map by itself */
		answer(s, status == ERR_GUARD ? -ENOENT : status);
	else if (status == ERR_GUARD)
		answer(s, -EBUSY); /* its daemon has come back */
	else if (status && status != -ENOENT)
		answer(s, status);
	else
		change_map(s);
}

/* Sets the nonce of node/<id> from one value to another. */
static void mark(struct setting *s, const char *from, const char *to)
{
	char name[STORE_NAME_MAX + 1];
	snprintf(name, sizeof(name), "node/%s", s->req->id);
	s->mark.done = on_marked;
	settle_begin(&s->mark, &s->members->tenure, STORE_META, name, ATTR_NONCE);
	settle_guard_equal(&s->mark, ATTR_NONCE, from);
	settle_set(&s->mark, ATTR_NONCE, to);
	settle_submit(&s->mark);
}

static void on_begin(struct loop_task *task)
{
	struct setting *s = container_of(task, struct setting, task);
	struct members *m = s->members;
	const struct members_set *req = s->req;
	if (m->stopping || !m->joined || !camera_id_is_valid(req->id)) {
		answer(s, m->stopping || !m->joined ? -ECANCELED : -EINVAL);
		return;
	}
	int index = cluster_map_find(m->map, req->id);
	char nonce[ATTR_U64_SIZE + 1];
	if (index < 0 && !req->remove && req->state == PLACEMENT_IN) {
		mark(s, NONCE_REMOVED, "");
	} else if (index >= 0 && req->remove && m->map->nodes[index].alive) {
		answer(s, -EBUSY);
	} else if (index >= 0 && req->remove) {
		attr_u64_format(m->map->nodes[index].boot_nonce, nonce);
		mark(s, nonce, NONCE_REMOVED);
	} else {
		change_map(s);
	}
}

static void on_no_memory(struct loop_task *task)
{
	struct members_set *req = container_of(task, struct members_set, task);
	req->status = -ENOMEM;
	req->done(req);
}

void members_set(struct members *m, struct members_set *req)
{
	struct setting *s = calloc(1, sizeof(*s));
	if (!s) {
		req->task = (struct loop_task){.run = on_no_memory};
		loop_defer(m->config.loop, &req->task);
		return;
	}
	*s = (struct setting){.members = m, .req = req, .task = {.run = on_begin}};
	members_begin(m);
	loop_defer(m->config.loop, &s->task);
}
