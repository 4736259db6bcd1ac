/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/take_raise.h"

#include <errno.h>
#include <stdlib.h>

#include "base/errors.h"
#include "storaged/archive/pins.h"

/*	IDLE --> LISTING --> READING <--> WRITING --> IDLE
 *	   |    which days      ^  for each day
 *	   +--------------------+ no hold is half placed: the sweeps name the days */
enum raise_state { RAISE_IDLE, RAISE_LISTING, RAISE_READING, RAISE_WRITING };
static const char *const state_names[] = {"idle", "listing", "reading", "writing"};
static const unsigned may[] = {
	[RAISE_IDLE] = MACHINE_TO(RAISE_LISTING),
	[RAISE_LISTING] = MACHINE_TO(RAISE_READING) | MACHINE_TO(RAISE_IDLE),
	[RAISE_READING] =
		MACHINE_TO(RAISE_WRITING) | MACHINE_TO(RAISE_READING) | MACHINE_TO(RAISE_IDLE),
	[RAISE_WRITING] = MACHINE_TO(RAISE_READING) | MACHINE_TO(RAISE_IDLE),
};
static const struct machine_kind kind = {"raise", state_names, may};

static void read_next(struct raise *r);

static void move(struct raise *r, enum raise_state to)
{
	machine_move(&kind, &r->state, to, &r->tenure->trace, r->tenure->stream);
}

static void finish(struct raise *r, int status)
{
	r->status = r->cancelled && status ? -ECANCELED : status;
	retry_stop(&r->retry);
	buf_unref(&r->pins);
	free(r->days);
	r->days = NULL;
	move(r, RAISE_IDLE);
	r->done(r);
}

/* --- which days --- */

static bool is_placing(const struct head *head)
{
	for (unsigned i = 0; i < head->hold_count; i++)
		if (head->holds[i].state == HOLD_PLACING)
			return true;
	return false;
}

static bool is_held(const struct head *head, int32_t day)
{
	for (unsigned i = 0; i < head->hold_count; i++) {
		const struct head_hold *hold = &head->holds[i];
		if (hold->state == HOLD_PLACING && pins_touch(hold->from, hold->to, day))
			return true;
	}
	return false;
}

static int gather(struct raise *r, const struct index_days *days)
{
	r->days = malloc((HEAD_SWEEPS_MAX + days->count) * sizeof(*r->days));
	if (!r->days)
		return -ENOMEM;
	for (unsigned i = 0; i < r->head->sweep_count; i++)
		r->days[r->day_count++] = r->head->sweeps[i].day;
	for (size_t i = 0; i < days->count; i++)
		if (is_held(r->head, days->days[i].day))
			r->days[r->day_count++] = days->days[i].day;
	return 0;
}

static void on_days(struct store_read *read)
{
	struct raise *r = container_of(read, struct raise, read);
	struct index_days days = {0};
	int rc = read->status == -ENOENT ? 0 : read->status;
	if (!read->status)
		rc = index_days_decode(read->body->data, read->body->len, &days);
	store_read_release(read);
	if (!rc)
		rc = gather(r, &days);
	index_days_fini(&days);
	if (r->cancelled || rc == -ECANCELED) {
		finish(r, -ECANCELED);
	} else if (rc == ERR_FORMAT || rc == ERR_CHECKSUM || rc == ERR_VERSION ||
		   rc == ERR_TRUNCATED) {
		finish(r, rc);
	} else if (rc) {
		retry_later(&r->retry, r->tenure->loop);
	} else {
		move(r, RAISE_READING);
		read_next(r);
	}
}

static void list_days(struct raise *r)
{
	char name[STORE_NAME_MAX + 1];
	if (!is_placing(r->head)) {
		const struct index_days none = {0};
		if (gather(r, &none)) {
			retry_later(&r->retry, r->tenure->loop);
			return;
		}
		move(r, RAISE_READING);
		read_next(r);
		return;
	}
	index_days_name(name, r->tenure->stream);
	r->read = (struct store_read){.done = on_days, .want_body = true, .len = STORE_OBJECT_MAX};
	store_read(r->tenure->store, &r->read, STORE_META, name);
}

/* --- each day --- */

static void on_written(struct settle *s)
{
	struct raise *r = container_of(s, struct raise, settle);
	buf_unref(&r->pins);
	switch (s->status) {
	case 0:
		r->at++;
		break;
	case ERR_GUARD:
	case -ENOENT:
		break; /* another wrote in between: read again */
	default:
		finish(r, s->status);
		return;
	}
	move(r, RAISE_READING);
	read_next(r);
}

static void write_day(struct raise *r, const struct index_version *ver)
{
	char name[STORE_NAME_MAX + 1], before[33], after[33];
	move(r, RAISE_WRITING);
	index_partition_name(name, r->tenure->stream, r->days[r->at]);
	index_version_format(ver, before);
	index_version_format(&(struct index_version){r->tenure->epoch, ver->n + 1}, after);
	settle_begin(&r->settle, r->tenure, STORE_META, name, ATTR_VER);
	settle_guard_exists(&r->settle);
	settle_guard_equal(&r->settle, ATTR_VER, before);
	settle_set(&r->settle, ATTR_VER, after);
	if (r->pins->len)
		settle_set_bytes(&r->settle, ATTR_PINS, r->pins->data, r->pins->len);
	settle_submit(&r->settle);
}

/* 0: to be written; 1: ours already; or an error. */
static int judge(struct raise *r, struct index_version *ret_ver)
{
	size_t len;
	const void *text = store_read_attr(&r->read, ATTR_VER, &len);
	int rc = index_version_parse(text, len, ret_ver);
	if (rc)
		return rc;
	if (ret_ver->epoch > r->tenure->epoch)
		return ERR_FENCED;
	if (ret_ver->epoch == r->tenure->epoch)
		return 1;
	const void *pins = store_read_attr(&r->read, ATTR_PINS, &len);
	return pins_add_holds(pins, len, r->head, r->days[r->at], &r->pins);
}

static void on_partition(struct store_read *read)
{
	struct raise *r = container_of(read, struct raise, read);
	struct index_version ver;
	int rc = read->status == -ENOENT ? 1 : read->status ? read->status : judge(r, &ver);
	store_read_release(read);
	if (r->cancelled || rc == -ECANCELED) {
		finish(r, -ECANCELED);
		return;
	}
	switch (rc) {
	case 0:
		write_day(r, &ver);
		break;
	case 1: /* absent, or raised: nothing an earlier owner sends can pass its guard */
		r->at++;
		read_next(r);
		break;
	case ERR_FENCED:
	case ERR_FORMAT:
	case ERR_LIMIT:
		finish(r, rc);
		break;
	default:
		retry_later(&r->retry, r->tenure->loop);
	}
}

static void read_next(struct raise *r)
{
	char name[STORE_NAME_MAX + 1];
	if (r->at == r->day_count) {
		finish(r, 0);
		return;
	}
	index_partition_name(name, r->tenure->stream, r->days[r->at]);
	r->read = (struct store_read){.done = on_partition, .want_attrs = true};
	store_read(r->tenure->store, &r->read, STORE_META, name);
}

/* --- the machine --- */

static void again(struct retry *retry)
{
	struct raise *r = container_of(retry, struct raise, retry);
	if (r->cancelled)
		finish(r, -ECANCELED);
	else if (r->state == RAISE_LISTING)
		list_days(r);
	else
		read_next(r);
}

void raise_start(struct raise *r, const struct tenure *tenure, const struct head *head)
{
	r->tenure = tenure;
	r->head = head;
	r->settle.done = on_written;
	r->retry.again = again;
	move(r, RAISE_LISTING);
	retry_soon(&r->retry, tenure->loop); /* done() never comes inside this call */
}

void raise_cancel(struct raise *r)
{
	if (r->state == RAISE_IDLE || r->cancelled)
		return;
	r->cancelled = true;
	settle_cancel(&r->settle);
	if (retry_armed(&r->retry))
		retry_soon(&r->retry, r->tenure->loop);
}
