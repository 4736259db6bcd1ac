/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/take_fence.h"

#include <errno.h>

#include "base/errors.h"
#include "storaged/archive/rules.h"

/*	IDLE --> RAISING <--> PLANTING      no such chunk: a husk; one after all: raise it
 *	            |            |
 *	            +-> LOOKING <+          what the chunk holds, read after the raise
 *	                   |
 *	                 IDLE               done */
enum fence_state { FENCE_IDLE, FENCE_RAISING, FENCE_PLANTING, FENCE_LOOKING };
static const char *const state_names[] = {"idle", "raising", "planting", "looking"};
static const unsigned may[] = {
	[FENCE_IDLE] = MACHINE_TO(FENCE_RAISING) | MACHINE_TO(FENCE_LOOKING),
	[FENCE_RAISING] = MACHINE_TO(FENCE_PLANTING) | MACHINE_TO(FENCE_LOOKING) |
			  MACHINE_TO(FENCE_IDLE) | MACHINE_TO(FENCE_RAISING),
	[FENCE_PLANTING] =
		MACHINE_TO(FENCE_RAISING) | MACHINE_TO(FENCE_LOOKING) | MACHINE_TO(FENCE_IDLE),
	[FENCE_LOOKING] = MACHINE_TO(FENCE_IDLE) | MACHINE_TO(FENCE_RAISING),
};
static const struct machine_kind kind = {"fence", state_names, may};

static void look(struct fence *f);

static void move(struct fence *f, enum fence_state to)
{
	machine_move(&kind, &f->state, to, &f->tenure->trace, f->tenure->stream);
}

static void finish(struct fence *f, int status)
{
	f->status = f->cancelled && status ? -ECANCELED : status;
	retry_stop(&f->retry);
	move(f, FENCE_IDLE);
	f->done(f);
}

static void begin(struct fence *f, char epoch[ATTR_U64_SIZE + 1])
{
	char name[STORE_NAME_MAX + 1];
	chunk_name(name, f->tenure->stream, &f->found.intent.chunk);
	settle_begin(&f->settle, f->tenure, STORE_DATA, name, ATTR_EP);
	attr_u64_format(f->tenure->epoch, epoch);
}

static void raise_epoch(struct fence *f)
{
	char epoch[ATTR_U64_SIZE + 1];
	move(f, FENCE_RAISING);
	begin(f, epoch);
	settle_guard_exists(&f->settle);
	settle_guard_below(&f->settle, ATTR_EP, epoch);
	settle_set(&f->settle, ATTR_EP, epoch);
	settle_submit(&f->settle);
}

/* F2: the create of the chunk may be on its way. Where there is a husk it is refused. */
static void plant(struct fence *f)
{
	char epoch[ATTR_U64_SIZE + 1], len[ATTR_U64_SIZE + 1];
	move(f, FENCE_PLANTING);
	begin(f, epoch);
	settle_guard_absent(&f->settle);
	settle_set(&f->settle, ATTR_EP, epoch);
	attr_u64_format(0, len);
	settle_set(&f->settle, ATTR_LEN, len);
	settle_set(&f->settle, ATTR_STATE, ATTR_STATE_OPEN);
	settle_submit(&f->settle);
}

static void on_settled(struct settle *s)
{
	struct fence *f = container_of(s, struct fence, settle);
	if (f->cancelled) {
		finish(f, -ECANCELED);
		return;
	}
	if (!rule_holds(RULE_FENCE_INTENTS)) {
		finish(f, 0); /* on the strength of what was read before */
		return;
	}
	switch (s->status) {
	case 0:
		move(f, FENCE_LOOKING);
		look(f);
		break;
	case -ENOENT:
		if (!rule_holds(RULE_HUSK)) {
			f->absent = true;
			finish(f, 0);
			break;
		}
		if (f->state == FENCE_RAISING)
			plant(f);
		else
			raise_epoch(f);
		break;
	case -EEXIST:
	case ERR_GUARD:
		raise_epoch(f);
		break;
	default:
		finish(f, s->status);
	}
}

static void note(struct fence *f, const struct chunk_attrs *attrs)
{
	f->found.len = attrs->len;
	f->found.sealed = attrs->sealed;
	f->found.last_session = attrs->last_session;
	f->found.last_seq = attrs->last_seq;
}

static void on_look(struct store_read *read)
{
	struct fence *f = container_of(read, struct fence, read);
	struct chunk_attrs attrs;
	int rc = read->status ? read->status : chunk_attrs_read(read, &attrs);
	store_read_release(read);
	if (f->cancelled || rc == ERR_FORMAT || rc == -ECANCELED) {
		finish(f, f->cancelled ? -ECANCELED : rc);
	} else if (rc == -ENOENT && !rule_holds(RULE_FENCE_INTENTS)) {
		f->absent = true;
		finish(f, 0);
	} else if (rc) {
		retry_later(&f->retry, f->tenure->loop);
	} else if (attrs.ep > f->tenure->epoch) {
		finish(f, ERR_FENCED);
	} else if (attrs.ep < f->tenure->epoch) {
		note(f, &attrs); /* not final yet */
		raise_epoch(f);
	} else {
		note(f, &attrs);
		finish(f, 0);
	}
}

static void look(struct fence *f)
{
	char name[STORE_NAME_MAX + 1];
	chunk_name(name, f->tenure->stream, &f->found.intent.chunk);
	f->read = (struct store_read){.done = on_look, .want_attrs = true};
	store_read(f->tenure->store, &f->read, STORE_DATA, name);
}

static void again(struct retry *r)
{
	look(container_of(r, struct fence, retry));
}

void fence_start(struct fence *f, const struct tenure *tenure, const struct head_intent *intent)
{
	f->tenure = tenure;
	f->found = (struct writer_found){.intent = *intent};
	f->settle.done = on_settled;
	f->retry.again = again;
	if (rule_holds(RULE_FENCE_INTENTS)) {
		raise_epoch(f);
	} else {
		move(f, FENCE_LOOKING);
		look(f);
	}
}

static void cancelled(struct retry *r)
{
	finish(container_of(r, struct fence, retry), -ECANCELED);
}

void fence_cancel(struct fence *f)
{
	if (f->state == FENCE_IDLE || f->cancelled)
		return;
	f->cancelled = true;
	settle_cancel(&f->settle);
	if (retry_armed(&f->retry)) {
		f->retry.again = cancelled;
		retry_soon(&f->retry, f->tenure->loop);
	}
}
