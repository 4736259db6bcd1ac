/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/fetch_plan.h"

#include <errno.h>
#include <stdlib.h>

/* A unit: fragments [first, last) of a chunk. */
struct unit {
	uint8_t chunk;
	uint32_t first, last;
	struct wall start;
};

struct plan {
	const struct plan_chunk *chunks;
	size_t count;
	const struct plan_window *window;
	struct unit *units;
	size_t unit_count;
	struct plan_item *items;
	size_t item_count;
};

static const struct table_fragment *fragment_of(const struct plan *p, uint8_t chunk, uint32_t index)
{
	return &p->chunks[chunk].table->fragments[index];
}

static int64_t end_us(const struct table_fragment *f)
{
	return f->capture.us + f->duration_us;
}

/* Whether a chunk of a higher epoch holds the same fragment. */
static bool is_shadowed(const struct plan *p, uint8_t chunk, uint64_t seq)
{
	const struct plan_chunk *mine = &p->chunks[chunk];
	for (size_t i = 0; i < p->count; i++) {
		const struct plan_chunk *other = &p->chunks[i];
		if (other->id.epoch <= mine->id.epoch ||
			other->table->session != mine->table->session || !other->fragments)
			continue;
		if (seq >= other->table->fragments[0].seq &&
			seq <= other->table->fragments[other->fragments - 1].seq)
			return true;
	}
	return false;
}

/* Notes the unit if it belongs to this slice and reaches into the window. */
static void add_unit(struct plan *p, const struct unit *u)
{
	const struct plan_window *w = p->window;
	int64_t last_end = 0;
	for (uint32_t i = u->first; i < u->last; i++) {
		int64_t end = end_us(fragment_of(p, u->chunk, i));
		last_end = end > last_end ? end : last_end;
	}
	bool ours =
		u->start.us < w->slice_to.us && (u->start.us >= w->slice_from.us || w->first_slice);
	if (ours && u->start.us < w->to.us && last_end > w->from.us)
		p->units[p->unit_count++] = *u;
}

static void find_units(struct plan *p, uint8_t chunk)
{
	const struct plan_chunk *c = &p->chunks[chunk];
	struct unit u = {.chunk = chunk};
	for (uint32_t i = 0; i < c->fragments; i++) {
		const struct table_fragment *f = &c->table->fragments[i];
		if (i == 0 || (f->flags & FRAGMENT_SYNC)) {
			if (i > 0)
				add_unit(p, &u);
			u.first = i;
			u.start = f->capture;
		}
		u.last = i + 1;
	}
	if (c->fragments)
		add_unit(p, &u);
}

static int by_start(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;
	if (x->start.us != y->start.us)
		return x->start.us < y->start.us ? -1 : 1;
	if (x->chunk != y->chunk)
		return x->chunk < y->chunk ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static bool before_cursor(const struct plan *p, const struct unit *u,
	const struct table_fragment *f, const struct plan_cursor *cursor)
{
	if (!cursor || !cursor->any)
		return false;
	if (u->start.us == cursor->unit.us)
		return f->capture.us <= cursor->capture.us;
	return p->window->backward ? u->start.us > cursor->unit.us : u->start.us < cursor->unit.us;
}

static void add_item(struct plan *p, const struct unit *u, uint32_t index, bool prefix_only)
{
	p->items[p->item_count++] = (struct plan_item){
		.chunk = u->chunk,
		.gap_cause = fragment_of(p, u->chunk, index)->gap_cause,
		.prefix_only = prefix_only,
		.first_of_chunk = index == 0,
		.fragment = index,
		.unit = u->start,
	};
}

static void add_whole_unit(struct plan *p, const struct unit *u, const struct plan_cursor *cursor)
{
	for (uint32_t i = u->first; i < u->last; i++) {
		const struct table_fragment *f = fragment_of(p, u->chunk, i);
		if (f->capture.us >= p->window->to.us)
			break;
		if (!before_cursor(p, u, f, cursor) && !is_shadowed(p, u->chunk, f->seq))
			add_item(p, u, i, false);
	}
}

static void add_sync(
	struct plan *p, const struct unit *u, const struct plan_cursor *cursor, int64_t *last_us)
{
	const struct plan_window *w = p->window;
	const struct table_fragment *f = fragment_of(p, u->chunk, u->first);
	int64_t apart_us = w->backward ? *last_us - f->capture.us : f->capture.us - *last_us;
	if (!(f->flags & FRAGMENT_SYNC) || f->capture.us < w->from.us || f->capture.us >= w->to.us)
		return;
	if (before_cursor(p, u, f, cursor) || is_shadowed(p, u->chunk, f->seq))
		return;
	if (*last_us >= 0 && apart_us < w->sync_every_us)
		return;
	*last_us = f->capture.us;
	add_item(p, u, u->first, true);
}

int plan_window(const struct plan_chunk *chunks, size_t count, const struct plan_window *w,
	const struct plan_cursor *cursor, struct plan_item **ret_items, size_t *ret_count)
{
	struct plan p = {.chunks = chunks, .count = count, .window = w};
	size_t fragments = 0;
	for (size_t i = 0; i < count; i++)
		fragments += chunks[i].fragments;
	/* there are no more units, and no more items, than fragments */
	p.units = malloc((fragments + 1) * sizeof(*p.units));
	p.items = malloc((fragments + 1) * sizeof(*p.items));
	if (!p.units || !p.items) {
		free(p.units);
		free(p.items);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		find_units(&p, (uint8_t)i);
	qsort(p.units, p.unit_count, sizeof(*p.units), by_start);
	int64_t last_us = cursor && cursor->any ? cursor->capture.us : -1;
	for (size_t i = 0; i < p.unit_count; i++) {
		const struct unit *u = &p.units[w->backward ? p.unit_count - 1 - i : i];
		if (w->sync_only)
			add_sync(&p, u, cursor, &last_us);
		else
			add_whole_unit(&p, u, cursor);
	}
	free(p.units);
	*ret_items = p.items;
	*ret_count = p.item_count;
	return 0;
}

static int compare_ids(const struct chunk_id *a, const struct chunk_id *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

int plan_tail(const struct plan_chunk *chunks, size_t count, const struct plan_cursor *cursor,
	struct plan_item **ret_items, size_t *ret_count)
{
	size_t fragments = 0, item_count = 0, order_count = 0;
	uint8_t order[PLAN_CHUNKS_MAX];
	for (size_t i = 0; i < count && i < PLAN_CHUNKS_MAX; i++) {
		if (chunks[i].lane != LANE_LIVE ||
			(cursor->live && compare_ids(&chunks[i].id, &cursor->chunk) < 0))
			continue;
		size_t at = order_count++;
		for (; at > 0 && compare_ids(&chunks[order[at - 1]].id, &chunks[i].id) > 0; at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)i;
		fragments += chunks[i].fragments;
	}
	struct plan_item *items = malloc((fragments + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t n = 0; n < order_count; n++) {
		const struct plan_chunk *c = &chunks[order[n]];
		bool same = cursor->live && compare_ids(&c->id, &cursor->chunk) == 0;
		for (uint32_t i = same ? cursor->fragment + 1 : 0; i < c->fragments; i++)
			items[item_count++] = (struct plan_item){
				.chunk = order[n],
				.gap_cause = c->table->fragments[i].gap_cause,
				.first_of_chunk = i == 0,
				.fragment = i,
				.unit = c->table->fragments[i].capture,
			};
	}
	*ret_items = items;
	*ret_count = item_count;
	return 0;
}
