/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/settle.h"

#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/head.h"
#include "storaged/archive/rules.h"

/*	            too old                     still ours
 *	IDLE ---------------------> CHECKING ------------+
 *	  |                            ^                 |
 *	  | submit            too old  |                 v
 *	  +------------------------> PAUSING <------- SENDING --> IDLE: done, or a final error
 *	                               ^   unknown,      |
 *	                               |   failed        v refused
 *	                               +------------- READING --> IDLE: done, by what is there
 *
 * ENDING: given up while nothing was in flight; done() is on its way. */
enum settle_state {
	SETTLE_IDLE,
	SETTLE_SENDING,
	SETTLE_READING,
	SETTLE_CHECKING,
	SETTLE_PAUSING,
	SETTLE_ENDING,
};
static const char *const state_names[] = {
	"idle", "sending", "reading", "checking", "pausing", "ending"};
static const unsigned may[] = {
	[SETTLE_IDLE] = MACHINE_TO(SETTLE_SENDING) | MACHINE_TO(SETTLE_CHECKING),
	[SETTLE_SENDING] =
		MACHINE_TO(SETTLE_IDLE) | MACHINE_TO(SETTLE_READING) | MACHINE_TO(SETTLE_PAUSING),
	[SETTLE_READING] = MACHINE_TO(SETTLE_IDLE) | MACHINE_TO(SETTLE_PAUSING),
	[SETTLE_CHECKING] =
		MACHINE_TO(SETTLE_IDLE) | MACHINE_TO(SETTLE_SENDING) | MACHINE_TO(SETTLE_PAUSING),
	[SETTLE_PAUSING] = MACHINE_TO(SETTLE_SENDING) | MACHINE_TO(SETTLE_READING) |
			   MACHINE_TO(SETTLE_CHECKING) | MACHINE_TO(SETTLE_ENDING) |
			   MACHINE_TO(SETTLE_IDLE),
	[SETTLE_ENDING] = MACHINE_TO(SETTLE_IDLE),
};
static const struct machine_kind kind = {"settle", state_names, may};

static void send_or_check(struct settle *s);
static void read_back(struct settle *s);

static void move(struct settle *s, enum settle_state to)
{
	machine_move(&kind, &s->state, to, &s->tenure->trace, s->name);
}

void settle_begin(struct settle *s, const struct tenure *tenure, int pool, const char *name,
	const char *epoch_attr)
{
	CHECK(s->state == SETTLE_IDLE);
	CHECK(strlen(name) <= STORE_NAME_MAX);
	s->tenure = tenure;
	s->pool = pool;
	memcpy(s->name, name, strlen(name) + 1);
	s->epoch_attr = epoch_attr;
	s->cancelled = false;
	s->failures = 0;
	s->values_len = 0;
	s->edits = (struct store_edits){.guards = s->guards, .attrs = s->attrs};
}

/* Values live in the machine, so that the same bytes can be sent again whatever became of the
 * caller's. */
static const char *keep(struct settle *s, const char *value, size_t len)
{
	CHECK(s->values_len + len <= sizeof(s->values));
	char *place = s->values + s->values_len;
	memcpy(place, value, len);
	s->values_len = (uint16_t)(s->values_len + len);
	return place;
}

static void add_guard(
	struct settle *s, enum store_guard_kind guard, const char *attr, const char *value)
{
	CHECK(s->edits.guard_count < ARRAY_LEN(s->guards));
	size_t len = value ? strlen(value) : 0;
	s->guards[s->edits.guard_count++] = (struct store_guard){.kind = guard,
		.attr = attr,
		.value = value ? keep(s, value, len) : NULL,
		.value_len = len};
}

void settle_guard_absent(struct settle *s)
{
	add_guard(s, STORE_ABSENT, NULL, NULL);
}

void settle_guard_exists(struct settle *s)
{
	add_guard(s, STORE_EXISTS, NULL, NULL);
}

void settle_guard_equal(struct settle *s, const char *attr, const char *value)
{
	add_guard(s, STORE_ATTR_EQUAL, attr, value);
}

void settle_guard_below(struct settle *s, const char *attr, const char *value)
{
	add_guard(s, STORE_ATTR_BELOW, attr, value);
}

void settle_set_bytes(struct settle *s, const char *attr, const void *value, size_t len)
{
	CHECK(s->edits.attr_count < ARRAY_LEN(s->attrs));
	s->attrs[s->edits.attr_count++] =
		(struct store_attr){.name = attr, .value = value, .len = len};
}

void settle_set(struct settle *s, const char *attr, const char *value)
{
	size_t len = strlen(value);
	settle_set_bytes(s, attr, keep(s, value, len), len);
}

static void set_body(
	struct settle *s, enum store_body_kind body, const struct slice *parts, size_t count)
{
	s->edits.body_kind = body;
	s->edits.body = parts;
	s->edits.body_count = count;
}

void settle_body_at(struct settle *s, uint64_t offset, const struct slice *parts, size_t count)
{
	set_body(s, STORE_BODY_WRITE_AT, parts, count);
	s->edits.offset = offset;
}

void settle_body_whole(struct settle *s, const struct slice *parts, size_t count)
{
	set_body(s, STORE_BODY_WHOLE, parts, count);
}

bool settle_busy(const struct settle *s)
{
	return s->state != SETTLE_IDLE;
}

int64_t settle_pause_ns(struct loop *loop, unsigned failures)
{
	int64_t pause = SETTLE_PAUSE_MIN_NS;
	for (unsigned i = 1; i < failures && pause < SETTLE_PAUSE_MAX_NS; i++)
		pause *= 2;
	if (pause > SETTLE_PAUSE_MAX_NS)
		pause = SETTLE_PAUSE_MAX_NS;
	return pause / 2 + (int64_t)(loop_random(loop) % (uint64_t)pause);
}

static void finish(struct settle *s, int status)
{
	s->status = s->cancelled ? -ECANCELED : status;
	move(s, SETTLE_IDLE);
	s->done(s); /* the last act: s may be gone or busy again */
}

static void resume_now(struct settle *s)
{
	if (s->cancelled)
		finish(s, -ECANCELED);
	else if (s->resume == SETTLE_READING)
		read_back(s);
	else
		send_or_check(s);
}

static void on_timer(struct loop_timer *timer)
{
	resume_now(container_of(timer, struct settle, timer));
}

static void on_task(struct loop_task *task)
{
	resume_now(container_of(task, struct settle, task));
}

/* Tries `resume` again after a while. */
static void pause_then(struct settle *s, enum settle_state resume, int error)
{
	if (s->cancelled) {
		finish(s, -ECANCELED);
		return;
	}
	s->resume = resume;
	s->failures++;
	move(s, SETTLE_PAUSING);
	s->timer.fire = on_timer;
	s->task.run = on_task;
	/* without memory for a timer the next turn of the loop must do */
	if (loop_timer_start(
		    s->tenure->loop, &s->timer, settle_pause_ns(s->tenure->loop, s->failures)))
		loop_defer(s->tenure->loop, &s->task);
	if (s->trouble)
		s->trouble(s, error); /* may cancel */
}

/* Whether the bytes read back are those of the whole body sent. */
static bool body_equal(const struct settle *s)
{
	const struct buf *b = s->read.body;
	size_t at = 0;
	for (size_t i = 0; i < s->edits.body_count; i++) {
		const struct slice *part = &s->edits.body[i];
		if (!b || b->len - at < part->len ||
			memcmp(b->data + at, part->data, part->len) != 0)
			return false;
		at += part->len;
	}
	return at == s->read.size;
}

/* What the object says of a refused operation. */
static int judge(const struct settle *s)
{
	size_t len;
	uint64_t epoch = 0;
	const char *stored = store_read_attr(&s->read, s->epoch_attr, &len);
	if (len >= ATTR_U64_SIZE)
		(void)attr_u64_parse(stored, ATTR_U64_SIZE,
			&epoch); /* what is no number is below ours: decide again */
	bool judged = rule_holds(RULE_PARTITION_EPOCH) || strcmp(s->epoch_attr, ATTR_VER) != 0;
	if (judged && s->tenure->epoch && epoch > s->tenure->epoch)
		return ERR_FENCED;
	for (size_t i = 0; i < s->edits.attr_count; i++) {
		const void *value = store_read_attr(&s->read, s->attrs[i].name, &len);
		if (len != s->attrs[i].len || memcmp(value, s->attrs[i].value, len) != 0)
			return ERR_GUARD;
	}
	return s->edits.body_kind != STORE_BODY_WHOLE || body_equal(s) ? 0 : ERR_GUARD;
}

static void on_read(struct store_read *read)
{
	struct settle *s = container_of(read, struct settle, read);
	int status = read->status;
	if (!status)
		status = judge(s);
	else if (status != -ENOENT && status != -ECANCELED) {
		store_read_release(read);
		pause_then(s, SETTLE_READING, status);
		return;
	}
	store_read_release(read);
	finish(s, status);
}

static void read_back(struct settle *s)
{
	bool whole = s->edits.body_kind == STORE_BODY_WHOLE;
	size_t len = 0;
	for (size_t i = 0; whole && i < s->edits.body_count; i++)
		len += s->edits.body[i].len;
	s->read = (struct store_read){
		.done = on_read, .want_attrs = true, .want_body = whole, .len = len};
	move(s, SETTLE_READING);
	store_read(s->tenure->store, &s->read, s->pool, s->name);
}

static void on_write(struct store_write *write)
{
	struct settle *s = container_of(write, struct settle, write);
	switch (write->status) {
	case 0:
	case -ECANCELED: /* never sent: the store is closing */
	case -EINVAL:
		finish(s, write->status);
		break;
	case ERR_GUARD:
	case -EEXIST:
	case -ENOENT:
		if (s->cancelled)
			finish(s, -ECANCELED);
		else
			read_back(s);
		break;
	default:
		if (write->status == ERR_UNKNOWN && !rule_holds(RULE_SETTLED)) {
			finish(s, 0);
			break;
		}
		/* Unknown, or nothing changed: the same bytes again. An error that changed nothing
		 * does not end it either: an attempt before it may have an unknown outcome. */
		pause_then(s, SETTLE_SENDING, write->status);
	}
}

static void send(struct settle *s)
{
	s->write = (struct store_write){.done = on_write};
	move(s, SETTLE_SENDING);
	store_write(s->tenure->store, &s->write, s->pool, s->name, &s->edits);
}

static void on_checked(struct store_read *read)
{
	struct settle *s = container_of(read, struct settle, read);
	struct head_attrs head;
	int status = read->status ? read->status : head_attrs_read(read, &head);
	store_read_release(read);
	if (status == -ENOENT || status == -ECANCELED || status == ERR_FORMAT) {
		finish(s, status);
	} else if (status) {
		pause_then(s, SETTLE_SENDING, status);
	} else if (head.epoch != s->tenure->epoch || strcmp(head.owner, s->tenure->owner) != 0) {
		finish(s, ERR_FENCED);
	} else {
		s->decided = s->check_began;
		if (s->cancelled)
			finish(s, -ECANCELED);
		else
			send(s);
	}
}

/* F3: what was decided long ago is not sent on the strength of that decision. */
static void send_or_check(struct settle *s)
{
	struct mono now = loop_now(s->tenure->loop);
	if (now.ns - s->decided.ns <= SETTLE_AGE_MAX_NS) {
		send(s);
		return;
	}
	if (!s->tenure->epoch) {
		finish(s, -ETIMEDOUT);
		return;
	}
	char head[STORE_NAME_MAX + 1];
	head_name(head, s->tenure->stream);
	s->check_began = now;
	s->read = (struct store_read){.done = on_checked, .want_attrs = true};
	move(s, SETTLE_CHECKING);
	store_read(s->tenure->store, &s->read, STORE_META, head);
}

void settle_submit(struct settle *s)
{
	s->decided = loop_now(s->tenure->loop);
	send(s);
}

void settle_cancel(struct settle *s)
{
	if (s->state == SETTLE_IDLE || s->cancelled)
		return;
	s->cancelled = true;
	if (s->state != SETTLE_PAUSING || !loop_timer_armed(&s->timer))
		return; /* the answer, or the task, ends it */
	loop_timer_stop(&s->timer);
	move(s, SETTLE_ENDING);
	loop_defer(s->tenure->loop, &s->task);
}
