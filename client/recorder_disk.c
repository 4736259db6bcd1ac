/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's spool: one job at a time on the worker, the most urgent first. */
#include <errno.h>

#include "base/errors.h"
#include "client/recorder.h"

#define READ_AHEAD   (UINT32_C(2) << 20) /* of bodies waiting to be sent */
#define BATCH_BYTES  (UINT32_C(2) << 20)
#define SYNC_NS      (10 * NS_PER_SECOND)
#define DROP_NUMBERS 64 /* delivered before the ring is told; or all of it */
#define SEGMENTS     8  /* of which the limit is made, so that room comes back in pieces */

static void on_work(struct worker_job *job);
static void on_done(struct worker_job *job);

int recorder_disk_open(struct steppe_recorder *r, const char *dir)
{
	struct recorder_disk *d = &r->disk;
	uint64_t fresh[LANES];
	for (size_t i = 0; i < LANES; i++)
		fresh[i] = core_random(r->core) | 1;
	int rc = spool_dir_open(dir, r->stream, fresh, &d->dir);
	uint64_t segment = r->spool_limit / SEGMENTS;
	if (segment > UINT64_C(16) << 20)
		segment = 0;
	for (size_t i = 0; rc == 0 && i < LANES; i++) {
		rc = spool_open(&d->dir, (uint8_t)i, segment, &d->ring[i]);
		if (rc == 0)
			d->extent[i] = spool_extent(d->ring[i]);
	}
	d->state = d->dir.state;
	d->job.work = on_work;
	d->job.done = on_done;
	return rc;
}

void recorder_disk_fini(struct steppe_recorder *r)
{
	for (size_t i = 0; i < LANES; i++)
		spool_free(&r->disk.ring[i]);
	spool_dir_close(&r->disk.dir);
}

/* --- choosing what to do --- */

static void submit(struct steppe_recorder *r, enum recorder_work work, unsigned lane)
{
	r->disk.work = work;
	r->disk.lane = lane;
	r->disk.busy = true;
	worker_submit(r->core->worker, &r->disk.job);
}

static bool choose_save(struct steppe_recorder *r)
{
	struct recorder_disk *d = &r->disk;
	if (!d->state_dirty)
		return false;
	for (size_t i = 0; i < LANES; i++) {
		const struct lane *l = &r->lanes[i];
		d->state.lane[i].session = l->session;
		d->state.lane[i].base = l->base;
		d->state.lane[i].durable = l->durable;
	}
	d->state.captured_until_us = r->status.captured_until_us;
	d->state_dirty = false;
	submit(r, WORK_SAVE, 0);
	return true;
}

static bool choose_drop(struct steppe_recorder *r)
{
	struct recorder_disk *d = &r->disk;
	for (unsigned i = 0; i < LANES; i++) {
		const struct spool_extent *x = &d->extent[i];
		uint64_t durable = lane_told(&r->lanes[i]);
		if (x->count == 0 || durable < x->first || durable == d->dropped[i])
			continue;
		if (durable < x->last && durable - d->dropped[i] < DROP_NUMBERS)
			continue;
		d->number = d->dropped[i] = durable;
		submit(r, WORK_DROP, i);
		return true;
	}
	return false;
}

bool recorder_disk_told(const struct steppe_recorder *r)
{
	for (size_t i = 0; i < LANES; i++)
		if (r->lanes[i].untold.from <= r->lanes[i].untold.until)
			return false;
	return true;
}

static bool choose_tell(struct steppe_recorder *r)
{
	struct recorder_disk *d = &r->disk;
	for (unsigned i = 0; i < LANES && !d->failed; i++) {
		struct lane_untold *u = &r->lanes[i].untold;
		/* what an earlier program had in memory alone nobody can tell of */
		if (d->extent[i].count == 0 || d->extent[i].first > u->until ||
			d->extent[i].last < u->from)
			u->until = 0;
		if (u->from > u->until)
			continue;
		d->number = u->from;
		d->until = u->until;
		d->batch_count = d->batch_done = 0;
		submit(r, WORK_TELL, i);
		return true;
	}
	return false;
}

/* Whether what the lane has in memory alone is to go to disk: always what is backfilled, everything
 * at the end and in an outage that lasts, and what grows too large. */
static bool wants_append(const struct steppe_recorder *r, const struct lane *l)
{
	return l->lane == LANE_BACKFILL || r->state == RECORDER_ENDED || r->spooling ||
	       l->memory_bytes > r->inlet.limit / 2;
}

static bool choose_append(struct steppe_recorder *r)
{
	struct recorder_disk *d = &r->disk;
	uint64_t used = d->extent[0].disk_bytes + d->extent[1].disk_bytes;
	for (unsigned i = 0; i < LANES && !d->failed; i++) {
		struct lane *l = &r->lanes[i];
		if (!wants_append(r, l))
			continue;
		d->batch_count = d->batch_done = 0;
		size_t bytes = 0;
		struct item *first = lane_first_in_memory(l);
		for (struct list *node = first ? &first->node : &l->items; node != &l->items;
			node = node->next) {
			struct item *item = item_of(node);
			bytes += item_bytes(item) + SPOOL_RECORD_SIZE + FRAGMENT_HEADER_SIZE +
				 item->init->len;
			d->full = used + bytes > r->spool_limit;
			if (d->full || d->batch_count == RECORDER_BATCH ||
				(d->batch_count && bytes > BATCH_BYTES))
				break;
			d->batch[d->batch_count++] = item;
			item->busy = true;
		}
		if (d->batch_count == 0)
			continue;
		submit(r, WORK_APPEND, i);
		return true;
	}
	return false;
}

static bool choose_read(struct steppe_recorder *r)
{
	struct recorder_disk *d = &r->disk;
	if (r->state != RECORDER_RECORDING)
		return false;
	for (unsigned i = 0; i < LANES; i++) {
		struct lane *l = &r->lanes[i];
		const struct spool_extent *x = &d->extent[i];
		if (!l->opened || x->count == 0 || l->read_next > x->last ||
			l->loaded_bytes >= READ_AHEAD)
			continue;
		d->number = l->read_next;
		d->until = UINT64_MAX;
		d->batch_count = d->batch_done = 0;
		submit(r, WORK_READ, i);
		return true;
	}
	return false;
}

static bool choose_sync(struct steppe_recorder *r)
{
	struct recorder_disk *d = &r->disk;
	bool last = r->state == RECORDER_ENDED;
	struct mono now = loop_now(r->core->loop);
	if (!d->unsynced || d->failed || (!last && now.ns - d->synced_at.ns < SYNC_NS))
		return false;
	d->unsynced = false;
	d->synced_at = now;
	d->state_dirty = true; /* how far capture came goes with it */
	submit(r, WORK_SYNC, 0);
	return true;
}

bool recorder_disk_step(struct steppe_recorder *r)
{
	if (!recorder_has_spool(r))
		return false;
	if (r->disk.busy)
		return true;
	return choose_save(r) || choose_tell(r) || choose_drop(r) || choose_append(r) ||
	       choose_read(r) || choose_sync(r);
}

/* --- on the worker's thread: touches the rings, the folder and the batch, which are its own while
 * the job lasts --- */

static void work_append(struct recorder_disk *d)
{
	while (d->rc == 0 && d->batch_done < d->batch_count) {
		d->rc = spool_append(d->ring[d->lane], d->batch[d->batch_done]);
		d->batch_done += d->rc == 0;
	}
}

static void work_read(struct recorder_disk *d)
{
	size_t bytes = 0;
	while (d->rc == 0 && d->batch_count < RECORDER_BATCH && bytes < READ_AHEAD / 2 &&
		d->number <= d->until) {
		struct item *item;
		uint64_t number;
		d->rc = spool_read(d->ring[d->lane], d->number, &item, &number);
		if (d->rc == ERR_DAMAGED)
			d->number = number;
		if (d->rc < 0)
			break;
		bytes += item_bytes(item);
		d->number = number + 1;
		d->batch[d->batch_count++] = item;
	}
}

static void on_work(struct worker_job *job)
{
	struct recorder_disk *d = container_of(job, struct recorder_disk, job);
	d->rc = 0;
	switch (d->work) {
	case WORK_SAVE:
		d->state.generation = d->dir.state.generation;
		d->dir.state = d->state;
		d->rc = spool_dir_save(&d->dir);
		break;
	case WORK_APPEND:
		work_append(d);
		break;
	case WORK_READ:
		/* what goes out must not be forgotten by a power cut: its number would be given
		 * again */
		d->rc = spool_sync(d->ring[d->lane]);
		work_read(d);
		break;
	case WORK_TELL:
		work_read(d);
		break;
	case WORK_DROP:
		d->rc = spool_drop(d->ring[d->lane], d->number);
		break;
	case WORK_SYNC:
		for (size_t i = 0; i < LANES && d->rc == 0; i++)
			d->rc = spool_sync(d->ring[i]);
		break;
	}
}

/* --- back on the loop --- */

static void appended(struct steppe_recorder *r, struct lane *l)
{
	struct recorder_disk *d = &r->disk;
	for (unsigned i = 0; i < d->batch_count; i++)
		if (item_idle(d->batch[i]) && i < d->batch_done)
			lane_spooled(l, d->batch[i]);
	d->unsynced = d->unsynced || d->batch_done;
}

static void was_read(struct steppe_recorder *r, struct lane *l)
{
	struct recorder_disk *d = &r->disk;
	for (unsigned i = 0; i < d->batch_count; i++) {
		struct item *item = d->batch[i];
		/* the connection it was read for may be gone, or it may have become durable */
		if (!l->opened || item->number < l->read_next) {
			item_free(&item);
			continue;
		}
		if (item->number > l->read_next) /* a segment whose end was damaged */
			lane_lose(l, l->read_next, item->number - 1);
		if (!lane_load(l, item))
			recorder_dropped(r, 1);
	}
	if (d->rc == ERR_DAMAGED && d->number >= l->read_next) {
		core_log(r->core, 0, "the spool is damaged stream=%s number=%llu", r->stream,
			(unsigned long long)d->number);
		recorder_dropped(r, 1);
		lane_lose(l, l->read_next, d->number);
	}
}

static void was_told(struct steppe_recorder *r, struct lane *l)
{
	struct recorder_disk *d = &r->disk;
	int rc = d->rc;
	for (unsigned i = 0; i < d->batch_count; i++) {
		struct item *item = d->batch[i];
		int sealed = item->number <= d->until ? lane_prepare_untold(l, item) : -ENODATA;
		if (sealed == 0)
			recorder_durable(r, item);
		else if (sealed != -ENODATA)
			rc = sealed;
		item_free(&item);
	}
	l->untold.from = d->rc == ERR_DAMAGED ? d->number + 1 : d->number;
	if (d->rc == -ENODATA)
		l->untold.until = 0;
	if (rc < 0 && rc != -ENODATA)
		core_log(r->core, 0, "what became durable cannot be told of stream=%s err=%s",
			r->stream, err_text(rc));
}

static void on_done(struct worker_job *job)
{
	struct steppe_recorder *r = container_of(job, struct steppe_recorder, disk.job);
	struct recorder_disk *d = &r->disk;
	struct lane *l = &r->lanes[d->lane];
	d->busy = false;
	for (size_t i = 0; i < LANES; i++)
		d->extent[i] = spool_extent(d->ring[i]);
	if (d->work == WORK_APPEND)
		appended(r, l);
	else if (d->work == WORK_READ)
		was_read(r, l);
	else if (d->work == WORK_TELL)
		was_told(r, l);
	if (d->rc < 0 && d->rc != -ENODATA && d->rc != ERR_DAMAGED) {
		core_log(
			r->core, 0, "the spool fails stream=%s err=%s", r->stream, err_text(d->rc));
		d->failed = true; /* until the next tick */
		if (d->work == WORK_SAVE)
			d->state_dirty = r->state != RECORDER_ENDED;
	}
	d->batch_count = d->batch_done = 0;
	recorder_step(r);
}
