/* SPDX-License-Identifier: Apache-2.0 */
/* The map read and changed. Every change is decided on what was read just before and written under
 * the guard that it is still so; one that lost against another's is decided again. What is asked
 * for meanwhile waits and goes together.
 *
 *	          nothing to change, read alone
 *	IDLE <-------------------------------- READING <--+
 *	  |  ^                                   ^ |      | after a moment: another wrote
 *	  |  |            wanted                 | |      |
 *	  +--|-----------------------------------+ v      |
 *	     +--------------------------------- WRITING --+ */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/ownership/members_impl.h"

#define PAUSE_MAX_NS (50 * NS_PER_MS)

static void read_map(struct members *m);

static void finish(struct members *m, struct members_change *change, int status)
{
	list_remove(&change->node);
	change->status = status;
	change->done(change);
	m->operations--; /* never the last: the machine's own operation, or the caller's, is counted */
}

static void finish_all(struct members *m, struct list *list, int status)
{
	struct list ended;
	list_init(&ended);
	list_splice(&ended, list); /* what is asked for by those that end comes after */
	while (!list_empty(&ended)) {
		struct members_change *c = list_entry(ended.next, struct members_change, node);
		finish(m, c, c->status ? c->status : status);
	}
}

static void go_on(struct members *m)
{
	if (m->map_busy || members_over(m) || loop_timer_armed(&m->map_pause))
		return;
	if (m->map_wanted || !list_empty(&m->changes))
		read_map(m);
}

static void on_pause(struct loop_timer *timer)
{
	go_on(container_of(timer, struct members, map_pause));
}

static void try_again(struct members *m)
{
	list_splice(&m->applying, &m->changes);
	list_splice(&m->changes, &m->applying);
	m->map_refusals++;
	m->map_pause.fire = on_pause;
	int64_t pause = (int64_t)(loop_random(m->config.loop) % (uint64_t)PAUSE_MAX_NS);
	/* without memory for a timer at once */
	if (loop_timer_start(m->config.loop, &m->map_pause, pause))
		go_on(m);
}

/* --- writing --- */

static bool has_join(const struct members *m)
{
	list_each (node, &m->applying)
		if (list_entry(node, struct members_change, node)->edit.kind == EDIT_JOIN)
			return true;
	return false;
}

/* On a store of our own that is full nobody else needs to read the map: it counts all the same. */
static void on_trouble(struct settle *s, int error)
{
	struct members *m = container_of(s, struct members, map_write);
	(void)error;
	if (!m->config.alone || !has_join(m))
		return;
	m->unsaved = true;
	settle_cancel(s);
}

static void on_written(struct settle *s)
{
	struct members *m = container_of(s, struct members, map_write);
	int status = m->unsaved && s->status == -ECANCELED ? 0 : s->status;
	const struct cluster_map *written = m->written;
	m->written = NULL;
	m->map_busy = m->unsaved = false;
	slice_drop(&m->map_body);
	m->operations++; /* while changes end */
	if (status == ERR_GUARD && !members_over(m)) {
		cluster_map_unref(&written);
		try_again(m);
	} else {
		if (status)
			cluster_map_unref(&written);
		else
			members_adopt(m, written, true);
		finish_all(m, &m->applying, status);
	}
	go_on(m);
	m->operations--;
	members_end(m);
}

static void write_map(struct members *m, struct buf *body, uint64_t base)
{
	char was[ATTR_U64_SIZE + 1], is[ATTR_U64_SIZE + 1];
	attr_u64_format(base, was);
	attr_u64_format(m->written->epoch, is);
	m->map_body = slice_of(body, 0, body->len);
	m->map_write.done = on_written;
	m->map_write.trouble = on_trouble;
	settle_begin(&m->map_write, &m->tenure, STORE_META, MAP_NAME, ATTR_MAP_VER);
	if (base)
		settle_guard_equal(&m->map_write, ATTR_MAP_VER, was);
	else
		settle_guard_absent(&m->map_write);
	settle_set(&m->map_write, ATTR_MAP_VER, is);
	settle_body_whole(&m->map_write, &m->map_body, 1);
	m->map_busy = true;
	members_begin(m);
	settle_submit(&m->map_write);
}

/* Applies what waits; 1: `draft` was changed. What a change is refused for is noted in it. */
static int apply(struct members *m, struct cluster_draft *draft)
{
	bool changed = false;
	list_splice(&m->applying, &m->changes);
	list_each (node, &m->applying) {
		struct members_change *c = list_entry(node, struct members_change, node);
		int rc = members_edit_apply(draft, &c->edit);
		c->status = rc < 0 ? rc : 0;
		changed |= rc > 0;
	}
	return changed;
}

/* Decides what the map becomes and writes it; a code when that cannot be done. */
static int change_map(struct members *m, const struct cluster_map *base)
{
	struct cluster_draft draft;
	struct buf *body = NULL;
	int rc = cluster_draft_init(&draft, base, 1);
	if (rc)
		return rc;
	rc = apply(m, &draft);
	if (rc > 0) {
		int64_t now_us = members_time_us(m);
		draft.message.epoch++;
		if (draft.message.time_us < now_us)
			draft.message.time_us = now_us;
		rc = cluster_map_new(&draft.message, &m->written);
		body = rc ? NULL : members_pack(&draft.message.base, CLUSTER_MAP_SIZE);
		if (!rc && !body)
			rc = -ENOMEM;
		if (!rc && body->len > CLUSTER_MAP_MAX)
			rc = ERR_LIMIT;
		if (!rc)
			write_map(m, body, base ? base->epoch : 0);
		else
			cluster_map_unref(&m->written);
		buf_unref(&body);
	}
	cluster_draft_fini(&draft);
	return rc;
}

/* --- reading --- */

static int take_map(const struct store_read *read, const struct cluster_map **ret_map)
{
	size_t len;
	uint64_t ver;
	const struct cluster_map *map;
	if (read->status)
		return read->status;
	const void *text = store_read_attr(read, ATTR_MAP_VER, &len);
	int rc = attr_u64_parse(text, len, &ver);
	if (!rc)
		rc = cluster_map_parse(read->body->data, read->body->len, &map);
	if (rc)
		return rc;
	if (map->epoch != ver || !ver) {
		cluster_map_unref(&map);
		return ERR_FORMAT;
	}
	*ret_map = map;
	return 0;
}

static void on_map(struct store_read *read)
{
	struct members *m = container_of(read, struct members, map_read);
	const struct cluster_map *map = NULL;
	int status = take_map(read, &map);
	store_read_release(read);
	m->map_busy = m->map_wanted = false;
	m->operations++; /* while changes end */
	if (!members_over(m)) {
		if (map)
			members_adopt(m, cluster_map_ref(map), false);
		if (!status || status == -ENOENT)
			status = list_empty(&m->changes) ? 0 : change_map(m, map);
		if (status)
			list_splice(&m->applying, &m->changes);
		if (!m->map_busy)
			finish_all(m, &m->applying, status);
	}
	cluster_map_unref(&map);
	go_on(m);
	m->operations--;
	members_end(m);
}

static void read_map(struct members *m)
{
	m->map_busy = true;
	m->map_read = (struct store_read){
		.done = on_map, .want_attrs = true, .want_body = true, .len = CLUSTER_MAP_MAX};
	members_begin(m);
	store_read(m->config.store, &m->map_read, STORE_META, MAP_NAME);
}

/* --- asking --- */

void members_change(struct members *m, struct members_change *change)
{
	change->status = 0;
	members_begin(m);
	list_append(&m->changes, &change->node);
	go_on(m);
}

void members_refresh(struct members *m)
{
	m->map_wanted = true;
	go_on(m);
}

void members_cancel_changes(struct members *m)
{
	m->operations++;
	finish_all(m, &m->changes, -ECANCELED);
	if (settle_busy(&m->map_write))
		settle_cancel(&m->map_write); /* its end ends the others */
	else
		finish_all(m, &m->applying, -ECANCELED);
	m->operations--;
}
