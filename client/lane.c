/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lane.h"

#include "base/errors.h"

void lane_init(struct lane *l, uint8_t lane, uint64_t session, uint64_t base, uint64_t durable)
{
	*l = (struct lane){
		.lane = lane,
		.session = session,
		.base = base,
		.durable = durable > base ? durable : base,
	};
	l->next = l->read_next = l->durable + 1;
	l->untold.from = 1;
	list_init(&l->items);
}

void lane_fini(struct lane *l)
{
	if (!l->items.next)
		return;
	item_free_all(&l->items);
	buf_unref(&l->init_told);
	*l = (struct lane){0};
}

/* --- holding --- */

static void account(struct lane *l, const struct item *item, bool held)
{
	size_t *bytes = item->in_spool ? &l->loaded_bytes : &l->memory_bytes;
	*bytes = held ? *bytes + item_bytes(item) : *bytes - item_bytes(item);
}

static struct item *after(const struct lane *l, const struct item *item)
{
	return item->node.next == &l->items ? NULL : item_of(item->node.next);
}

static void drop(struct lane *l, struct item *item)
{
	if (l->unsent == item)
		l->unsent = after(l, item);
	account(l, item, false);
	item_free(&item);
}

static int seal_for(const struct lane *l, struct item *item, uint64_t session, uint64_t base)
{
	struct fragment_header *h = &item->header;
	uint64_t seq = item->number - base;
	if (item->sealed && h->session == session && h->seq == seq && h->lane == l->lane)
		return 0;
	/* sealed before for another session: a checksum made anew must not cover up damage */
	if (item->sealed) {
		int rc = fragment_check_crc(h, item->body->data);
		if (rc < 0)
			return rc;
	}
	h->session = session;
	h->seq = seq;
	h->lane = l->lane;
	item->sealed = false;
	int rc = fragment_seal(h, item->body->data, true);
	item->sealed = rc == 0;
	return rc;
}

int lane_prepare(const struct lane *l, struct item *item)
{
	return seal_for(l, item, l->session, l->base);
}

int lane_prepare_untold(const struct lane *l, struct item *item)
{
	return seal_for(l, item, l->untold.session, l->untold.base);
}

uint64_t lane_told(const struct lane *l)
{
	bool all = l->untold.from > l->untold.until;
	return all || l->durable < l->untold.from ? l->durable : l->untold.from - 1;
}

int lane_push(struct lane *l, struct item *item)
{
	item->number = l->next;
	int rc = lane_prepare(l, item);
	if (rc < 0) {
		item->number = 0;
		return rc;
	}
	l->next++;
	list_append(&l->items, &item->node);
	account(l, item, true);
	if (!l->unsent)
		l->unsent = item;
	return 0;
}

struct item *lane_first_in_memory(const struct lane *l)
{
	list_each (node, &l->items)
		if (!item_of(node)->in_spool)
			return item_of(node);
	return NULL;
}

bool lane_load(struct lane *l, struct item *item)
{
	l->read_next = item->number + 1;
	if (l->discarding && !(item->header.flags & FRAGMENT_SYNC)) {
		if (!l->lost_from)
			l->lost_from = item->number;
		l->lost_until = item->number;
		item_free(&item);
		return false;
	}
	l->discarding = false;
	struct item *behind = lane_first_in_memory(l);
	list_append(behind ? &behind->node : &l->items, &item->node);
	account(l, item, true);
	if (!l->unsent || l->unsent == behind)
		l->unsent = item;
	return true;
}

void lane_spooled(struct lane *l, struct item *item)
{
	account(l, item, false);
	item->in_spool = true;
	if (item->sent) {
		l->read_next = item->number + 1;
		buf_unref(&item->body);
		return;
	}
	if (l->unsent == item)
		l->unsent = after(l, item);
	item_free(&item);
}

uint64_t lane_unsent_bytes(const struct lane *l)
{
	uint64_t bytes = 0;
	for (const struct item *item = l->unsent; item; item = after(l, item))
		bytes += item_bytes(item);
	return bytes;
}

uint64_t lane_first(const struct lane *l, uint64_t spool_first)
{
	uint64_t first = l->durable + 1;
	const struct item *item = item_first((struct list *)&l->items);
	if (spool_first && (!item || spool_first < item->number))
		return spool_first > first ? spool_first : first;
	return item ? item->number : first;
}

void lane_renew(struct lane *l, uint64_t session, uint64_t base)
{
	l->session = session;
	l->base = base;
	if (l->durable < base)
		l->durable = base;
	if (l->read_next <= base)
		l->read_next = base + 1;
	if (l->next <= base)
		l->next = base + 1;
	l->lost_from = l->lost_until = 0;
}

/* --- a connection --- */

void lane_reset(struct lane *l)
{
	list_each_safe (node, &l->items) {
		struct item *item = item_of(node);
		item->sent = false;
		if (item->in_spool)
			drop(l, item);
	}
	l->unsent = item_first(&l->items);
	l->read_next = l->durable + 1;
	l->opened = false;
	l->credit = l->sent_bytes = 0;
	buf_unref(&l->init_told);
}

static void durable_until(struct lane *l, uint64_t number, lane_durable_fn *fn, void *user)
{
	for (struct item *item; (item = item_first(&l->items)) && item->number <= number;) {
		fn(user, item);
		drop(l, item);
	}
	if (number > l->durable)
		l->durable = number;
	if (l->read_next <= number)
		l->read_next = number + 1;
}

void lane_opened(
	struct lane *l, uint64_t next_seq, uint64_t credit, lane_durable_fn *fn, void *user)
{
	uint64_t number = l->base + next_seq - 1;
	const struct item *first = item_first(&l->items);
	uint64_t until = first && first->number <= number ? first->number - 1 : number;
	if (until > l->durable)
		l->untold = (struct lane_untold){l->durable + 1, until, l->session, l->base};
	durable_until(l, number, fn, user);
	if (l->next <= number)
		l->next = number + 1;
	l->next_known = true;
	l->opened = true;
	l->opened_at = l->send_next = number + 1;
	l->credit = credit;
	l->sent_bytes = 0;
}

struct item *lane_sendable(const struct lane *l)
{
	struct item *item = l->unsent;
	if (!l->opened || !item || !item->body || item->busy)
		return NULL;
	if (item->number != l->send_next) /* what is before it is in the spool, or lost */
		return NULL;
	return l->sent_bytes + item->body->len <= l->credit ? item : NULL;
}

void lane_sent(struct lane *l, struct item *item, struct buf *init)
{
	item->sent = true;
	l->send_next = item->number + 1;
	l->sent_bytes += item->body->len;
	l->unsent = after(l, item);
	if (l->init_told != init) {
		buf_unref(&l->init_told);
		l->init_told = buf_ref(init);
	}
	if (item->in_spool) {
		account(l, item, false);
		buf_unref(&item->body);
	}
}

bool lane_ack(
	struct lane *l, uint64_t durable_seq, uint64_t credit, lane_durable_fn *fn, void *user)
{
	uint64_t number = l->base + durable_seq;
	if (!l->opened || (number > l->durable && number >= l->next))
		return false;
	durable_until(l, number, fn, user);
	if (credit > l->credit)
		l->credit = credit;
	return true;
}

unsigned lane_discard_run(struct lane *l)
{
	unsigned count = 0;
	l->discarding = true;
	l->lost_from = l->durable + 1;
	for (struct item *item; (item = item_first(&l->items));) {
		if (count && item->header.flags & FRAGMENT_SYNC) {
			l->discarding = false;
			break;
		}
		l->lost_until = item->number;
		drop(l, item);
		count++;
	}
	return count;
}

unsigned lane_begin_with_sync(struct lane *l)
{
	unsigned count = 0;
	struct item *item;
	while ((item = item_first(&l->items)) && !(item->header.flags & FRAGMENT_SYNC)) {
		l->lost_until = item->number;
		drop(l, item);
		count++;
	}
	l->discarding = !item;
	return count;
}

void lane_lose(struct lane *l, uint64_t from, uint64_t until)
{
	if (!l->lost_from)
		l->lost_from = from;
	l->lost_until = until;
	l->discarding = true;
	if (l->read_next <= until)
		l->read_next = until + 1;
}

void lane_forget(struct lane *l, struct item *item)
{
	lane_lose(l, item->number, item->number);
	drop(l, item);
}

bool lane_must_renew(const struct lane *l)
{
	return l->lost_from && l->lost_until >= l->lost_from && l->durable + 1 >= l->lost_from;
}
