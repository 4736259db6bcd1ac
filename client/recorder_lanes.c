/* SPDX-License-Identifier: Apache-2.0 */
/* Which lane a fragment goes to. */
#include "client/recorder.h"

static bool live_is_open(const struct steppe_recorder *r)
{
	const struct lane *live = &r->lanes[LANE_LIVE];
	if (r->state != RECORDER_RECORDING || !live->next_known)
		return false;
	/* a daemon that cannot keep up: what it is behind is worth less than what is now */
	return !recorder_has_spool(r) || lane_unsent_bytes(live) < r->inlet.limit / 4;
}

/* The lane of the group of pictures that `item` begins. */
static int choose_lane(const struct steppe_recorder *r)
{
	if (live_is_open(r))
		return LANE_LIVE;
	if (!recorder_has_spool(r))
		return RECORDER_HOLD;
	return r->spooling || r->late || r->state == RECORDER_RECORDING ? LANE_BACKFILL
									: RECORDER_HOLD;
}

/* Takes the item in any case. */
static void enter_lane(struct steppe_recorder *r, struct item *item, int lane)
{
	if (lane == RECORDER_HOLD) {
		list_append(&r->holding, &item->node);
		r->holding_bytes += item_bytes(item);
		return;
	}
	struct lane *l = &r->lanes[lane];
	if (l->discarding && !(item->header.flags & FRAGMENT_SYNC)) {
		recorder_dropped(r, 1);
		item_free(&item);
		return;
	}
	l->discarding = false;
	if (lane_push(l, item) < 0) {
		/* short of memory for a checksum: what depends on it cannot be decoded */
		l->discarding = true;
		recorder_dropped(r, 1);
		item_free(&item);
	}
}

/* What was held goes where the moment allows. */
void recorder_settle(struct steppe_recorder *r)
{
	int lane = choose_lane(r);
	if (list_empty(&r->holding) || lane == RECORDER_HOLD)
		return;
	struct list items, *node;
	list_init(&items);
	list_splice(&items, &r->holding);
	r->holding_bytes = 0;
	while ((node = list_pop(&items)))
		enter_lane(r, item_of(node), lane);
	if (r->group_lane == RECORDER_HOLD)
		r->group_lane = lane;
}

void recorder_take_in(struct steppe_recorder *r)
{
	struct list items, *node;
	list_init(&items);
	recorder_inlet_take(r, &items);
	while ((node = list_pop(&items))) {
		struct item *item = item_of(node);
		int64_t end_us = fragment_end(&item->header).us;
		if (end_us > r->status.captured_until_us)
			r->status.captured_until_us = end_us;
		r->status.fragments++;
		r->status.bytes += item_bytes(item);
		buf_unref(&r->init);
		r->init = buf_ref(item->init);
		/* a group whose first fragments wait goes on waiting behind them */
		if (item->header.flags & FRAGMENT_SYNC && list_empty(&r->holding))
			r->group_lane = choose_lane(r);
		enter_lane(r, item, r->group_lane);
	}
}

void recorder_renew_broken(struct steppe_recorder *r)
{
	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &r->lanes[i];
		if (!lane_must_renew(l))
			continue;
		core_log(r->core, 1, "a session ends before damage stream=%s lane=%zu", r->stream,
			i);
		recorder_renew(r, l, l->lost_until);
		if (r->state == RECORDER_OPENING || r->state == RECORDER_RECORDING)
			recorder_retry(r, 0);
	}
}
