/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's side that any thread may call: samples become fragments under a lock, the loop
 * takes them. */
#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "client/cluster.h"
#include "client/recorder.h"

#define MEMORY_LIMIT (UINT64_C(16) << 20)
#define STALL_NS                                                                                   \
	(2 * NS_PER_SECOND) /* what is pending for so long is not held back for its duration's     \
			       sake */

/* --- what the loop does --- */

static void on_bell(struct loop_task *task)
{
	struct steppe_recorder *r = container_of(task, struct steppe_recorder, inlet.bell);
	/* here and nowhere else: a step for another reason takes what was made, but the bell may
	 * still be in the loop's mailbox and must not be posted twice */
	pthread_mutex_lock(&r->inlet.lock);
	r->inlet.rung = false;
	pthread_mutex_unlock(&r->inlet.lock);
	recorder_step(r);
}

int recorder_inlet_init(struct steppe_recorder *r, const struct steppe_recorder_options *o)
{
	struct recorder_inlet *in = &r->inlet;
	int rc = fragmenter_init(&in->fragmenter, o->tracks, o->track_count);
	if (rc < 0)
		return rc;
	pthread_mutex_init(&in->lock, NULL);
	in->bell.run = on_bell;
	in->limit = o->memory_limit ? o->memory_limit : MEMORY_LIMIT;
	in->drop_cause = STEPPE_GAP_NETWORK;
	in->status =
		(struct steppe_recorder_status){.durable_until_us = -1, .captured_until_us = -1};
	r->init = buf_ref(in->fragmenter.init);
	return 0;
}

void recorder_inlet_fini(struct steppe_recorder *r)
{
	struct recorder_inlet *in = &r->inlet;
	if (!in->bell.run)
		return;
	fragmenter_fini(&in->fragmenter);
	pthread_mutex_destroy(&in->lock);
	in->bell.run = NULL;
}

void recorder_inlet_take(struct steppe_recorder *r, struct list *ret_items)
{
	struct recorder_inlet *in = &r->inlet;
	pthread_mutex_lock(&in->lock);
	struct fragmenter *f = &in->fragmenter;
	in->held += f->made_bytes;
	f->made_bytes = 0;
	list_splice(ret_items, &f->made);
	uint8_t cause = f->end_us >= 0 ? f->gap_cause : STEPPE_GAP_NONE;
	if (cause != r->gap_cause || f->end_us != r->gap_from_us)
		r->gap_told = false;
	r->gap_cause = cause;
	r->gap_from_us = f->end_us;
	r->status.dropped_fragments += in->dropped;
	in->dropped = 0;
	pthread_mutex_unlock(&in->lock);
}

void recorder_inlet_flush(struct steppe_recorder *r, bool now)
{
	struct recorder_inlet *in = &r->inlet;
	pthread_mutex_lock(&in->lock);
	bool stalled = in->fragmenter.pending_bytes &&
		       loop_now(r->core->loop).ns - in->last_write.ns >= STALL_NS;
	if (now || stalled)
		(void)fragmenter_flush(
			&in->fragmenter); /* what memory was short for is counted as a hole */
	pthread_mutex_unlock(&in->lock);
}

void recorder_inlet_publish(struct steppe_recorder *r)
{
	struct recorder_inlet *in = &r->inlet;
	uint64_t held = r->holding_bytes;
	for (size_t i = 0; i < LANES; i++)
		held += r->lanes[i].memory_bytes + r->lanes[i].loaded_bytes;
	pthread_mutex_lock(&in->lock);
	in->held = held;
	in->drop_cause = r->status.refusal ? STEPPE_GAP_REFUSED : STEPPE_GAP_NETWORK;
	r->status.memory_bytes = held + in->fragmenter.made_bytes + in->fragmenter.pending_bytes;
	in->status = r->status;
	pthread_mutex_unlock(&in->lock);
}

/* --- what any thread does --- */

int steppe_record(struct steppe *s, const struct steppe_recorder_options *options,
	struct steppe_recorder **ret_recorder)
{
	struct steppe_recorder *r;
	int rc = recorder_new(cluster_core(s), options, &r);
	if (rc < 0)
		return rc;
	loop_post(r->core->loop, &r->start);
	*ret_recorder = r;
	return 0;
}

long steppe_spool_holder(const char *spool_dir, const char *stream)
{
	bool named = spool_dir && stream && stream_name_split(stream, NULL, NULL) == 0;
	return named ? spool_dir_holder(spool_dir, stream) : 0;
}

/* Under the lock. */
static void ring(struct steppe_recorder *r)
{
	struct recorder_inlet *in = &r->inlet;
	if (in->rung)
		return;
	in->rung = true;
	loop_post(r->core->loop, &in->bell);
}

/* There is no room for the sample. What depends on it is of no use either: nothing is taken until a
 * sync sample finds room, and the next fragment tells of the hole. */
static void drop(struct recorder_inlet *in, const struct steppe_sample *s)
{
	struct fragmenter *f = &in->fragmenter;
	if (s->track != f->master)
		return;
	if (!in->dropping) {
		(void)fragmenter_gap(f, in->drop_cause); /* pending samples lost for want of memory
							    are part of the hole */
		in->dropping = true;
		in->drop_dts = s->dts;
		in->dropped++;
	} else if (s->dts - in->drop_dts >= f->tracks[f->master].timescale ||
		   s->dts < in->drop_dts) {
		in->drop_dts = s->dts;
		in->dropped++;
	}
}

int steppe_recorder_write(struct steppe_recorder *r, const struct steppe_sample *sample)
{
	struct recorder_inlet *in = &r->inlet;
	struct fragmenter *f = &in->fragmenter;
	struct wall now = loop_wall(r->core->loop);
	pthread_mutex_lock(&in->lock);
	uint64_t used = in->held + f->made_bytes + f->pending_bytes + sample->len;
	/* after a drop some room is waited for, lest every second sample be lost */
	uint64_t limit = in->dropping ? in->limit - in->limit / 8 : in->limit;
	int rc = in->dead ? ERR_CLOSED : 0;
	if (rc == 0 && used > limit) {
		drop(in, sample);
		rc = -EAGAIN;
	} else if (rc == 0) {
		in->dropping = in->dropping && !(sample->track == f->master && sample->sync);
		rc = fragmenter_write(f, sample, now);
		in->last_write = loop_now(r->core->loop);
	}
	if (!list_empty(&f->made))
		ring(r);
	pthread_mutex_unlock(&in->lock);
	return rc;
}

int steppe_recorder_tracks(
	struct steppe_recorder *r, const struct steppe_track *tracks, unsigned count)
{
	pthread_mutex_lock(&r->inlet.lock);
	int rc =
		r->inlet.dead ? ERR_CLOSED : fragmenter_tracks(&r->inlet.fragmenter, tracks, count);
	ring(r);
	pthread_mutex_unlock(&r->inlet.lock);
	return rc;
}

int steppe_recorder_gap(struct steppe_recorder *r, enum steppe_gap cause)
{
	if (cause <= STEPPE_GAP_NONE || cause > STEPPE_GAP_REFUSED)
		return -EINVAL;
	pthread_mutex_lock(&r->inlet.lock);
	int rc = r->inlet.dead ? ERR_CLOSED : fragmenter_gap(&r->inlet.fragmenter, cause);
	ring(r);
	pthread_mutex_unlock(&r->inlet.lock);
	return rc;
}

int steppe_recorder_flush(struct steppe_recorder *r)
{
	pthread_mutex_lock(&r->inlet.lock);
	int rc = r->inlet.dead ? ERR_CLOSED : fragmenter_flush(&r->inlet.fragmenter);
	ring(r);
	pthread_mutex_unlock(&r->inlet.lock);
	return rc;
}

void steppe_recorder_status(struct steppe_recorder *r, struct steppe_recorder_status *status)
{
	size_t size = status->size;
	pthread_mutex_lock(&r->inlet.lock);
	struct steppe_recorder_status now = r->inlet.status;
	const struct fragmenter *f = &r->inlet.fragmenter;
	now.dropped_fragments += r->inlet.dropped;
	/* as steppe_recorder_write counts it: callers hold back by this, and the loop may not have
	 * turned since */
	now.memory_bytes = r->inlet.held + f->made_bytes + f->pending_bytes;
	pthread_mutex_unlock(&r->inlet.lock);
	now.size = size;
	memcpy(status, &now, size < sizeof(now) ? size : sizeof(now));
}

/* --- the end --- */

static void on_end(struct loop_task *task)
{
	struct steppe_recorder *r = container_of(task, struct steppe_recorder, end);
	recorder_end(r, r->end_timeout_ms, r->closed, r->closed_user);
}

void steppe_recorder_end(struct steppe_recorder *r, int timeout_ms,
	void (*closed)(void *user, int status), void *user)
{
	/* no lock: from here on the recorder is the loop's alone */
	r->closed = closed;
	r->closed_user = user;
	r->end_timeout_ms = timeout_ms;
	r->end.run = on_end;
	loop_post(r->core->loop, &r->end);
}

static void wake(void *user, int status)
{
	waiter_wake(user, status, NULL);
}

int steppe_recorder_close(struct steppe_recorder **slot, int timeout_ms)
{
	struct steppe_recorder *r = *slot;
	int rc;
	struct waiter *w = waiter_new(r->core, &rc);
	if (!w)
		return rc;
	*slot = NULL;
	steppe_recorder_end(r, timeout_ms, wake, w);
	return waiter_wait(&w);
}
