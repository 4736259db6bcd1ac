/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/take.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "storaged/archive/rules.h"

/*	IDLE --> LOOKING --> RAISING ----> CONFIRMING --> FENCING --> PARTITIONS --> IDLE: READY
 *	            |           2              ^ 3            4           5            6
 *	            +------> CREATING ---------+
 *	            1
 *
 * The numbers are PROTOCOL's. Every state may end in IDLE with a failure; what is under way then
 * ends first. */
enum take_state {
	TAKE_IDLE,
	TAKE_LOOKING,
	TAKE_CREATING,
	TAKE_RAISING,
	TAKE_CONFIRMING,
	TAKE_FENCING,
	TAKE_PARTITIONS,
};
static const char *const state_names[] = {
	"idle", "looking", "creating", "raising", "confirming", "fencing", "partitions"};
static const unsigned may[] = {
	[TAKE_IDLE] = MACHINE_TO(TAKE_LOOKING),
	[TAKE_LOOKING] =
		MACHINE_TO(TAKE_RAISING) | MACHINE_TO(TAKE_CREATING) | MACHINE_TO(TAKE_IDLE),
	[TAKE_CREATING] = MACHINE_TO(TAKE_CONFIRMING) | MACHINE_TO(TAKE_IDLE),
	[TAKE_RAISING] = MACHINE_TO(TAKE_CONFIRMING) | MACHINE_TO(TAKE_IDLE),
	[TAKE_CONFIRMING] = MACHINE_TO(TAKE_FENCING) | MACHINE_TO(TAKE_IDLE),
	[TAKE_FENCING] = MACHINE_TO(TAKE_PARTITIONS) | MACHINE_TO(TAKE_IDLE),
	[TAKE_PARTITIONS] = MACHINE_TO(TAKE_IDLE),
};
static const struct machine_kind kind = {"take", state_names, may};

static void move(struct take *t, enum take_state to)
{
	machine_move(&kind, &t->state, to, &t->tenure.trace, t->tenure.stream);
}

static void finish(struct take *t, int status)
{
	loop_timer_stop(&t->limit);
	retry_stop(&t->retry);
	buf_unref(&t->body);
	t->status = t->failed ? t->failed : status;
	move(t, TAKE_IDLE);
	t->done(t);
}

/* What a failure below means for those who ask. */
static int refusal_of(int status)
{
	switch (status) {
	case ERR_FENCED:
	case ERR_GUARD:
	case -EEXIST:
		return -REFUSAL_TAKING_OVER; /* another was faster */
	case -ECANCELED:
		return -REFUSAL_STOPPING;
	default:
		return -REFUSAL_STORE;
	}
}

static void make_body(struct take *t)
{
	t->part = (struct slice){.buf = t->body, .data = t->body->data, .len = t->body->len};
}

/* --- 6: ready --- */

static void make_writer(struct take *t)
{
	struct writer_found found[HEAD_INTENTS_MAX];
	size_t count = 0;
	for (unsigned i = 0; i < t->head.intent_count; i++)
		if (!t->fences[i].absent)
			found[count++] = t->fences[i].found;
	const struct writer_start start = {.tenure = &t->tenure,
		.head = &t->head,
		.ver = t->ver,
		.found = found,
		.found_count = count};
	int rc = writer_new(t->config, &start, t->life, &t->writer);
	finish(t, rc ? -REFUSAL_STORE : 0);
}

/* --- 5: partitions --- */

static void on_raised(struct raise *r)
{
	struct take *t = container_of(r, struct take, raise);
	if (t->failed || r->status)
		finish(t, refusal_of(r->status));
	else
		make_writer(t);
}

static void raise_partitions(struct take *t)
{
	move(t, TAKE_PARTITIONS);
	t->raise.done = on_raised;
	raise_start(&t->raise, &t->tenure, &t->head);
}

/* --- 4: chunks --- */

static void cancel_fences(struct take *t)
{
	for (unsigned i = 0; i < t->head.intent_count; i++)
		fence_cancel(&t->fences[i]);
}

static void fences_over(struct take *t)
{
	if (t->failed)
		finish(t, t->failed);
	else
		raise_partitions(t);
}

static void on_fenced(struct fence *f)
{
	struct take *t = f->take;
	t->fencing--;
	if (f->status && !t->failed) {
		t->failed = refusal_of(f->status);
		cancel_fences(t);
	}
	if (!t->fencing)
		fences_over(t);
}

static void fence_chunks(struct take *t)
{
	move(t, TAKE_FENCING);
	/* all at once: counted first, since the last one to end goes on */
	t->fencing = t->head.intent_count;
	if (!t->fencing) {
		fences_over(t);
		return;
	}
	for (unsigned i = 0; i < t->head.intent_count; i++) {
		t->fences[i].take = t;
		t->fences[i].done = on_fenced;
		fence_start(&t->fences[i], &t->tenure, &t->head.intents[i]);
	}
}

/* --- 3: epoch and body, of one read (F7) --- */

static void confirm(struct take *t);

static int judge(struct take *t)
{
	struct head_attrs attrs;
	int rc = head_attrs_read(&t->read, &attrs);
	if (rc)
		return rc;
	bool mine = attrs.epoch == t->tenure.epoch && !strcmp(attrs.owner, t->tenure.owner);
	if (!mine && rule_holds(RULE_TAKE_CONFIRMED))
		return ERR_FENCED;
	t->ver = attrs.ver;
	return head_decode(t->read.body->data, t->read.body->len, &t->head);
}

static void on_confirmed(struct store_read *read)
{
	struct take *t = container_of(read, struct take, read);
	bool again = read->status && read->status != -ENOENT && read->status != -ECANCELED;
	int rc = read->status ? read->status : judge(t);
	store_read_release(read);
	if (t->failed)
		finish(t, t->failed);
	else if (again)
		retry_later(&t->retry, t->tenure.loop);
	else if (rc)
		finish(t, refusal_of(rc));
	else
		fence_chunks(t);
}

static void confirm(struct take *t)
{
	char name[STORE_NAME_MAX + 1];
	head_name(name, t->tenure.stream);
	t->read = (struct store_read){
		.done = on_confirmed, .want_attrs = true, .want_body = true, .len = HEAD_SIZE};
	store_read(t->tenure.store, &t->read, STORE_META, name);
}

/* --- 1, 2: the epoch --- */

static void on_settled(struct settle *s)
{
	struct take *t = container_of(s, struct take, settle);
	if (t->failed || s->status) {
		finish(t, refusal_of(s->status));
		return;
	}
	move(t, TAKE_CONFIRMING);
	confirm(t);
}

static void begin(struct take *t, char epoch[ATTR_U64_SIZE + 1])
{
	char name[STORE_NAME_MAX + 1];
	head_name(name, t->tenure.stream);
	t->settle.done = on_settled;
	settle_begin(&t->settle, &t->tenure, STORE_META, name, ATTR_EPOCH);
	attr_u64_format(t->tenure.epoch, epoch);
	settle_set(&t->settle, ATTR_EPOCH, epoch);
	settle_set(&t->settle, ATTR_OWNER, t->tenure.owner);
}

/* G1: also from ourselves, so that nothing an earlier tenure has under way passes a guard. */
static void raise_epoch(struct take *t, uint64_t found)
{
	char epoch[ATTR_U64_SIZE + 1];
	t->tenure.epoch = found + 1;
	move(t, TAKE_RAISING);
	begin(t, epoch);
	settle_guard_below(&t->settle, ATTR_EPOCH, epoch);
	settle_submit(&t->settle);
}

static void create_head(struct take *t)
{
	char epoch[ATTR_U64_SIZE + 1], ver[ATTR_U64_SIZE + 1];
	const struct head empty = {0};
	int rc = head_encode(&empty, &t->body);
	if (rc) {
		finish(t, -REFUSAL_STORE);
		return;
	}
	make_body(t);
	t->tenure.epoch = 1;
	move(t, TAKE_CREATING);
	begin(t, epoch);
	settle_guard_absent(&t->settle);
	attr_u64_format(0, ver);
	settle_set(&t->settle, ATTR_VER, ver);
	settle_body_whole(&t->settle, &t->part, 1);
	settle_submit(&t->settle);
}

static void on_looked(struct store_read *read)
{
	struct take *t = container_of(read, struct take, read);
	struct head_attrs attrs;
	bool again = read->status && read->status != -ENOENT && read->status != -ECANCELED;
	int rc = read->status ? read->status : head_attrs_read(read, &attrs);
	store_read_release(read);
	if (t->failed)
		finish(t, t->failed);
	else if (again)
		retry_later(&t->retry, t->tenure.loop);
	else if (rc == -ENOENT && t->create)
		create_head(t);
	else if (rc)
		finish(t, rc == -ENOENT ? rc : refusal_of(rc));
	else
		raise_epoch(t, attrs.epoch);
}

static void look(struct take *t)
{
	char name[STORE_NAME_MAX + 1];
	head_name(name, t->tenure.stream);
	t->read = (struct store_read){.done = on_looked, .want_attrs = true};
	store_read(t->tenure.store, &t->read, STORE_META, name);
}

/* --- life --- */

static void again(struct retry *r)
{
	struct take *t = container_of(r, struct take, retry);
	if (t->failed)
		finish(t, t->failed);
	else if (t->state == TAKE_LOOKING)
		look(t);
	else
		confirm(t);
}

static void on_limit(struct loop_timer *timer)
{
	take_cancel(container_of(timer, struct take, limit), REFUSAL_STORE);
}

void take_start(struct take *t, const struct writer_config *config, const char *stream,
	const char *owner, bool create)
{
	CHECK(t->state == TAKE_IDLE);
	CHECK(strlen(stream) <= STREAM_NAME_MAX && strlen(owner) <= ATTR_OWNER_MAX);
	t->config = config;
	t->create = create;
	t->tenure = (struct tenure){
		.loop = config->loop, .store = config->store, .trace = config->trace};
	snprintf(t->tenure.stream, sizeof(t->tenure.stream), "%s", stream);
	snprintf(t->tenure.owner, sizeof(t->tenure.owner), "%s", owner);
	t->retry.again = again;
	t->limit.fire = on_limit;
	/* without memory for the limit the take simply has none */
	(void)loop_timer_start(config->loop, &t->limit, TAKE_LIMIT_NS);
	move(t, TAKE_LOOKING);
	look(t);
}

void take_cancel(struct take *t, int refusal)
{
	if (t->state == TAKE_IDLE || t->failed)
		return;
	t->failed = -refusal;
	settle_cancel(&t->settle);
	cancel_fences(t);
	raise_cancel(&t->raise);
	if (retry_armed(&t->retry))
		retry_soon(&t->retry, t->tenure.loop);
}
