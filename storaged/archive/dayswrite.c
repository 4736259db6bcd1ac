/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/dayswrite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/rules.h"

/*	            +-- refused --------------------------------+
 *	            v                                           |
 *	IDLE --> READING days --> BEFORE <--> OWN --> WRITING --+--> IDLE
 *	              |            (for each day of the round)  ^
 *	              +-- only a day to be named ---------------+
 *
 * BEFORE reads the partition of the day before, whose last chunk may reach into the day; OWN the
 * day's own. */
enum dayswrite_state {
	DAYSWRITE_IDLE,
	DAYSWRITE_READING,
	DAYSWRITE_BEFORE,
	DAYSWRITE_OWN,
	DAYSWRITE_WRITING,
};
static const char *const state_names[] = {"idle", "reading", "before", "own", "writing"};
static const unsigned may[] = {
	[DAYSWRITE_IDLE] = MACHINE_TO(DAYSWRITE_READING),
	[DAYSWRITE_READING] = MACHINE_TO(DAYSWRITE_IDLE) | MACHINE_TO(DAYSWRITE_BEFORE) |
			      MACHINE_TO(DAYSWRITE_WRITING),
	[DAYSWRITE_BEFORE] = MACHINE_TO(DAYSWRITE_IDLE) | MACHINE_TO(DAYSWRITE_OWN),
	[DAYSWRITE_OWN] = MACHINE_TO(DAYSWRITE_IDLE) | MACHINE_TO(DAYSWRITE_BEFORE) |
			  MACHINE_TO(DAYSWRITE_WRITING),
	[DAYSWRITE_WRITING] = MACHINE_TO(DAYSWRITE_IDLE) | MACHINE_TO(DAYSWRITE_READING),
};
static const struct machine_kind kind = {"dayswrite", state_names, may};

static void step(struct dayswrite *dw);

static void move(struct dayswrite *dw, enum dayswrite_state to)
{
	machine_move(&kind, &dw->state, to, &dw->tenure->trace, dw->tenure->stream);
}

static void drop_round(struct dayswrite *dw)
{
	index_days_fini(&dw->days);
	index_partition_fini(&dw->before);
	index_partition_fini(&dw->own);
	buf_unref(&dw->body);
	dw->at = 0;
	dw->naming = false;
}

static void stop_timers(struct dayswrite *dw)
{
	retry_stop(&dw->retry);
	loop_timer_stop(&dw->period);
}

static void fail(struct dayswrite *dw, int status)
{
	drop_round(dw);
	stop_timers(dw); /* the quarter-hour may have begun again during the round */
	dw->stopped = true;
	move(dw, DAYSWRITE_IDLE);
	dw->failed(dw, status);
}

/* The pause ends in the state it began in. */
static void pause_round(struct dayswrite *dw)
{
	retry_later(&dw->retry, dw->tenure->loop);
}

static bool has_work(const struct dayswrite *dw)
{
	return dw->asked || (dw->dirty_count && dw->hurry);
}

/* --- timing --- */

static void on_period(struct loop_timer *timer)
{
	dayswrite_flush(container_of(timer, struct dayswrite, period));
}

static void arm_period(struct dayswrite *dw)
{
	if (!dw->dirty_count || loop_timer_armed(&dw->period) || dw->stopped)
		return;
	/* streams that were taken together must not count together */
	int64_t spread =
		(int64_t)(loop_random(dw->tenure->loop) % (uint64_t)(DAYSWRITE_PERIOD_NS / 10));
	dw->period.fire = on_period;
	if (loop_timer_start(dw->tenure->loop, &dw->period, DAYSWRITE_PERIOD_NS - spread))
		dayswrite_flush(dw);
}

/* --- writing --- */

static void end_round(struct dayswrite *dw)
{
	bool listed = dw->naming;
	memmove(dw->dirty, dw->dirty + dw->round,
		(dw->dirty_count - dw->round) * sizeof(dw->dirty[0]));
	dw->dirty_count -= dw->round;
	dw->round = 0;
	dw->hurry = dw->hurry && dw->dirty_count;
	if (listed)
		dw->asked = false;
	drop_round(dw);
	retry_reset(&dw->retry);
	move(dw, DAYSWRITE_IDLE);
	if (has_work(dw))
		retry_soon(&dw->retry, dw->tenure->loop);
	arm_period(dw);
	if (listed)
		dw->listed(dw);
	else
		dw->settled(dw);
}

static void on_written(struct settle *s)
{
	struct dayswrite *dw = container_of(s, struct dayswrite, settle);
	buf_unref(&dw->body);
	switch (s->status) {
	case 0:
		end_round(dw);
		break;
	case ERR_GUARD:
	case -EEXIST:
	case -ENOENT:
		drop_round(dw); /* another wrote in between: count again on what is there now */
		move(dw, DAYSWRITE_READING);
		step(dw);
		break;
	default:
		fail(dw, s->status);
	}
}

static void write_days(struct dayswrite *dw)
{
	char name[STORE_NAME_MAX + 1], before[33], after[33];
	/* a century of days and more: then the oldest stay, and new ones are not counted */
	bool full = dw->days.count >= INDEX_DAYS_MAX;
	dw->naming = dw->asked;
	if (dw->asked && !full && !index_days_put(&dw->days, dw->asked_day)) {
		pause_round(dw);
		return;
	}
	if (index_days_encode(&dw->days, &dw->body)) {
		pause_round(dw);
		return;
	}
	dw->part = (struct slice){.buf = dw->body, .data = dw->body->data, .len = dw->body->len};
	index_days_name(name, dw->tenure->stream);
	index_version_format(&dw->ver, before);
	index_version_format(&(struct index_version){dw->tenure->epoch, dw->ver.n + 1}, after);
	settle_begin(&dw->settle, dw->tenure, STORE_META, name, ATTR_VER);
	if (dw->ver.n)
		settle_guard_equal(&dw->settle, ATTR_VER, before);
	else
		settle_guard_absent(&dw->settle);
	settle_set(&dw->settle, ATTR_VER, after);
	settle_body_whole(&dw->settle, &dw->part, 1);
	settle_submit(&dw->settle);
}

/* --- counting --- */

/* The totals of dirty[at] from the two partitions; -ENOMEM. */
static int count_day(struct dayswrite *dw)
{
	size_t count = dw->before.count + dw->own.count;
	struct index_day made;
	struct index_record *records = malloc((count ? count : 1) * sizeof(*records));
	if (!records)
		return -ENOMEM;
	memcpy(records, dw->before.records, dw->before.count * sizeof(*records));
	memcpy(records + dw->before.count, dw->own.records, dw->own.count * sizeof(*records));
	int rc = index_day_make(records, count, dw->dirty[dw->at], &made);
	free(records);
	struct index_day *day = rc || !count ? NULL : index_days_put(&dw->days, made.day);
	if (day)
		*day = made;
	else if (!rc && count && dw->days.count < INDEX_DAYS_MAX)
		rc = -ENOMEM;
	return rc;
}

static void on_partition(struct store_read *read)
{
	struct dayswrite *dw = container_of(read, struct dayswrite, read);
	struct index_partition p = {0};
	int rc = read->status;
	if (!rc)
		rc = index_partition_decode(read->body->data, read->body->len, &p);
	else if (rc == -ENOENT)
		rc = index_partition_decode(NULL, 0, &p);
	store_read_release(read);
	if (dw->stopped || rc == -ECANCELED) {
		index_partition_fini(&p);
		fail(dw, -ECANCELED);
		return;
	}
	if (rc && rc != ERR_LIMIT && rc != ERR_VERSION) {
		pause_round(dw);
		return;
	}
	if (dw->state == DAYSWRITE_BEFORE) {
		dw->before = p;
		move(dw, DAYSWRITE_OWN);
		step(dw);
		return;
	}
	dw->own = p;
	/* a partition that this program cannot read keeps the totals it has */
	if (!rc && count_day(dw) == -ENOMEM) {
		index_partition_fini(&dw->own);
		pause_round(dw);
		return;
	}
	index_partition_fini(&dw->before);
	index_partition_fini(&dw->own);
	dw->at++;
	move(dw, dw->at < dw->round ? DAYSWRITE_BEFORE : DAYSWRITE_WRITING);
	step(dw);
}

static void read_partition(struct dayswrite *dw, int32_t day)
{
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, dw->tenure->stream, day > 0 ? day : 0);
	dw->read = (struct store_read){.done = on_partition,
		.want_body = true,
		.len = (size_t)INDEX_RECORDS_MAX * INDEX_RECORD_SIZE};
	store_read(dw->tenure->store, &dw->read, STORE_META, name);
}

/* --- reading --- */

static bool names(const struct index_days *days, int32_t day)
{
	for (size_t i = days->count; i--;)
		if (days->days[i].day == day)
			return true;
	return false;
}

static int judge(struct dayswrite *dw)
{
	size_t len;
	const void *ver = store_read_attr(&dw->read, ATTR_VER, &len);
	int rc = index_version_parse(ver, len, &dw->ver);
	if (rc)
		return rc;
	if (rule_holds(RULE_PARTITION_EPOCH) && dw->ver.epoch > dw->tenure->epoch)
		return ERR_FENCED;
	rc = index_days_decode(dw->read.body->data, dw->read.body->len, &dw->days);
	/* what is damaged is derived: it is made anew, day by day and by a rebuild */
	return rc == ERR_FORMAT || rc == ERR_CHECKSUM || rc == ERR_TRUNCATED ? 0 : rc;
}

static void on_days(struct store_read *read)
{
	struct dayswrite *dw = container_of(read, struct dayswrite, read);
	dw->ver = (struct index_version){0};
	int rc = read->status == -ENOENT ? 0 : read->status ? read->status : judge(dw);
	store_read_release(read);
	if (dw->stopped)
		rc = -ECANCELED;
	if (rc == ERR_FENCED || rc == -ECANCELED) {
		fail(dw, rc);
		return;
	}
	if (rc) {
		pause_round(dw);
		return;
	}
	dw->round = dw->hurry ? dw->dirty_count : 0;
	if (!dw->round && (!dw->asked || names(&dw->days, dw->asked_day))) {
		dw->naming = dw->asked;
		end_round(dw);
		return;
	}
	move(dw, dw->round ? DAYSWRITE_BEFORE : DAYSWRITE_WRITING);
	step(dw);
}

static void read_days(struct dayswrite *dw)
{
	char name[STORE_NAME_MAX + 1];
	index_days_name(name, dw->tenure->stream);
	dw->read = (struct store_read){
		.done = on_days, .want_attrs = true, .want_body = true, .len = STORE_OBJECT_MAX};
	store_read(dw->tenure->store, &dw->read, STORE_META, name);
}

/* --- the machine --- */

static void step(struct dayswrite *dw)
{
	switch ((enum dayswrite_state)dw->state) {
	case DAYSWRITE_IDLE:
		if (!has_work(dw))
			return;
		loop_timer_stop(&dw->period);
		move(dw, DAYSWRITE_READING);
		read_days(dw);
		return;
	case DAYSWRITE_READING:
		drop_round(dw);
		read_days(dw);
		return;
	case DAYSWRITE_BEFORE:
		read_partition(dw, dw->dirty[dw->at] - 1);
		return;
	case DAYSWRITE_OWN:
		read_partition(dw, dw->dirty[dw->at]);
		return;
	case DAYSWRITE_WRITING:
		write_days(dw);
		return;
	}
}

static void again(struct retry *r)
{
	step(container_of(r, struct dayswrite, retry));
}

static void on_trouble(struct settle *s, int error)
{
	/* the days object is derived: nobody waits for it but a new day's first record, whose chunk
	 * keeps its intent */
	(void)s;
	(void)error;
}

void dayswrite_init(struct dayswrite *dw, const struct tenure *tenure)
{
	dw->tenure = tenure;
	dw->settle.done = on_written;
	dw->settle.trouble = on_trouble;
	dw->retry.again = again;
}

void dayswrite_list(struct dayswrite *dw, int32_t day)
{
	CHECK(!dw->asked);
	if (dw->stopped)
		return;
	dw->asked = true;
	dw->asked_day = day;
	if (dw->state == DAYSWRITE_IDLE)
		retry_soon(&dw->retry, dw->tenure->loop);
}

void dayswrite_touch(struct dayswrite *dw, int32_t day)
{
	if (dw->stopped)
		return;
	/* days of a round under way were perhaps read already */
	for (unsigned i = dw->round; i < dw->dirty_count; i++)
		if (dw->dirty[i] == day)
			return;
	if (dw->dirty_count == DAYSWRITE_DIRTY_MAX)
		return; /* a backfill over many days: the days left out are made by later touches
			   and by a rebuild */
	dw->dirty[dw->dirty_count++] = day;
	if (dw->dirty_count > DAYSWRITE_DIRTY_MAX / 2)
		dayswrite_flush(dw);
	else
		arm_period(dw);
}

void dayswrite_flush(struct dayswrite *dw)
{
	if (!dw->dirty_count || dw->stopped)
		return;
	dw->hurry = true;
	if (dw->state == DAYSWRITE_IDLE)
		retry_soon(&dw->retry, dw->tenure->loop);
}

bool dayswrite_is_dirty(const struct dayswrite *dw, int32_t day)
{
	for (unsigned i = 0; i < dw->dirty_count; i++)
		if (dw->dirty[i] == day)
			return true;
	return false;
}

bool dayswrite_busy(const struct dayswrite *dw)
{
	return dw->state != DAYSWRITE_IDLE || (!dw->stopped && (dw->asked || dw->dirty_count));
}

void dayswrite_stop(struct dayswrite *dw)
{
	if (dw->stopped)
		return;
	dw->stopped = true;
	bool waits = retry_armed(&dw->retry);
	stop_timers(dw);
	if (settle_busy(&dw->settle)) {
		settle_cancel(&dw->settle);
	} else if (waits && dw->state != DAYSWRITE_IDLE) {
		drop_round(dw); /* nothing is in flight */
		move(dw, DAYSWRITE_IDLE);
	}
}

void dayswrite_fini(struct dayswrite *dw)
{
	CHECK(dw->state == DAYSWRITE_IDLE);
	CHECK(!retry_armed(&dw->retry) && !loop_timer_armed(&dw->period));
	drop_round(dw);
}
