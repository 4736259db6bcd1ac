/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/pins.h"
#include "storaged/archive/writer_impl.h"

/*	IDLE --> INTENDING --> FLAGGING --> REMOVING --> BURYING --> IDLE
 *	             |          ^    |          |           ^
 *	             |          +----+          +-----------+
 *	             |     until nothing        nothing may be removed yet -> IDLE
 *	             |     was left to flag
 *	             +--> IDLE   stopped
 *
 * FLAGGING is repeated until it changes nothing: only what was read as dropping goes on. */
enum sweep_state { SWEEP_IDLE, SWEEP_INTENDING, SWEEP_FLAGGING, SWEEP_REMOVING, SWEEP_BURYING };
static const char *const state_names[] = {"idle", "intending", "flagging", "removing", "burying"};
static const unsigned may[] = {
	[SWEEP_IDLE] = MACHINE_TO(SWEEP_INTENDING),
	[SWEEP_INTENDING] = MACHINE_TO(SWEEP_FLAGGING) | MACHINE_TO(SWEEP_IDLE),
	[SWEEP_FLAGGING] = MACHINE_TO(SWEEP_REMOVING) | MACHINE_TO(SWEEP_IDLE),
	[SWEEP_REMOVING] = MACHINE_TO(SWEEP_BURYING) | MACHINE_TO(SWEEP_IDLE),
	[SWEEP_BURYING] = MACHINE_TO(SWEEP_IDLE),
};
static const struct machine_kind kind = {"sweep", state_names, may};

static void move(struct sweep *s, enum sweep_state to)
{
	const struct tenure *t = &s->writer->tenure;
	machine_move(&kind, &s->state, to, &t->trace, t->stream);
}

static struct head *head_of(struct sweep *s)
{
	return &s->writer->head;
}

/* --- the intent --- */

static int find_intent(const struct head *head, int32_t day)
{
	for (unsigned i = 0; i < head->sweep_count; i++)
		if (head->sweeps[i].kind == HEAD_SWEEP && head->sweeps[i].day == day)
			return (int)i;
	return -1;
}

static int put_intent(struct sweep *s)
{
	struct head *head = head_of(s);
	if (find_intent(head, s->req->day) >= 0)
		return 0;
	if (head->sweep_count == HEAD_SWEEPS_MAX)
		return -EBUSY;
	head->sweeps[head->sweep_count++] =
		(struct head_sweep){.kind = HEAD_SWEEP, .day = s->req->day};
	s->writer->head_stale = true;
	s->intent_settled = false;
	return 0;
}

/* Nothing of the day is dropping any more. It goes with the head's next write. */
static void clear_intent(struct sweep *s)
{
	struct head *head = head_of(s);
	int at = find_intent(head, s->req->day);
	if (at < 0)
		return;
	head->sweeps[at] = head->sweeps[--head->sweep_count];
	memset(&head->sweeps[head->sweep_count], 0, sizeof(head->sweeps[0]));
	s->writer->head_stale = true;
	for (unsigned i = 0; i < s->seen_count; i++)
		if (s->seen[i].day == s->req->day)
			s->seen[i--] = s->seen[--s->seen_count];
}

void sweep_head_composed(struct sweep *s)
{
	s->intent_composed =
		s->state == SWEEP_INTENDING && find_intent(head_of(s), s->req->day) >= 0;
}

void sweep_head_written(struct sweep *s)
{
	s->intent_settled |= s->intent_composed;
	s->intent_composed = false;
}

/* --- the end of a request --- */

static void finish(struct sweep *s, int status)
{
	struct writer_sweep *req = s->req;
	struct writer *w = s->writer;
	if (s->state != SWEEP_INTENDING)
		indexwrite_resume(&w->indexwrite);
	if (!status && !req->left)
		clear_intent(s);
	if (req->removed) {
		dayswrite_touch(&w->dayswrite, req->day);
		if (wall_day(s->reach) > req->day)
			dayswrite_touch(&w->dayswrite, wall_day(s->reach));
	}
	free(s->chunks);
	s->chunks = NULL;
	s->count = s->room = s->next = 0;
	s->req = NULL;
	loop_timer_stop(&s->pace);
	move(s, SWEEP_IDLE);
	req->status = status;
	req->done(req);
	writer_poke(w);
}

/* Ends the request, or the whole stream when another owns it. */
static void end_with(struct sweep *s, int status)
{
	struct writer *w = s->writer;
	finish(s, status);
	if (status == ERR_FENCED)
		writer_lost(w, status);
}

/* --- flagging --- */

/* How long this owner has known that chunks of the day are dropping. */
static int64_t known_us(struct sweep *s)
{
	struct mono now = loop_now(s->writer->tenure.loop);
	for (unsigned i = 0; i < s->seen_count; i++)
		if (s->seen[i].day == s->req->day)
			return (now.ns - s->seen[i].since.ns) / 1000;
	if (s->seen_count < HEAD_SWEEPS_MAX)
		s->seen[s->seen_count++] = (struct sweep_seen){s->req->day, now};
	return 0;
}

static bool add_chunk(struct sweep *s, const struct index_record *r)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct sweep_chunk *grown = realloc(s->chunks, room * sizeof(*grown));
		if (!grown)
			return false;
		s->chunks = grown;
		s->room = room;
	}
	s->chunks[s->count++] = (struct sweep_chunk){.id = r->chunk, .pool = r->pool};
	return true;
}

static void on_flag_begin(struct indexedit *ie, const void *pins, size_t len)
{
	struct sweep *s = container_of(ie, struct sweep, edit);
	s->pins = pins;
	s->pins_len = len;
	s->count = 0;
	s->flagging = s->req->left = 0;
}

static bool on_flag(struct indexedit *ie, struct index_record *r)
{
	struct sweep *s = container_of(ie, struct sweep, edit);
	const struct writer_sweep *req = s->req;
	if (r->state == INDEX_DROPPING) {
		bool old = retention_is_settled(r, req->now, req->safe_us) ||
			   known_us(s) >= req->safe_us;
		if (!old || !add_chunk(s, r))
			s->req->left++;
		return false;
	}
	if (!retention_is_due(r, &req->rule, req->now) ||
		pins_hold(s->pins, s->pins_len, head_of(s), r->start, r->end))
		return false;
	r->state = INDEX_DROPPING;
	r->rule = RETENTION_CEILING;
	s->flagging++;
	return true;
}

/* --- removing --- */

static void on_removed(struct store_write *write)
{
	struct sweep_remove *r = container_of(write, struct sweep_remove, write);
	struct sweep *s = r->sweep;
	r->sweep = NULL;
	s->removing--;
	/* What may or may not have happened is asked for again: removing twice does no harm. What
	 * fails stays dropping for the next sweep. */
	if (write->status == 0 || write->status == -ENOENT)
		r->chunk->removed = true;
	writer_poke(s->writer);
}

static void remove_chunk(struct sweep *s, struct sweep_remove *r, struct sweep_chunk *c)
{
	char name[STORE_NAME_MAX + 1];
	const struct store_guard exists = {.kind = STORE_EXISTS};
	const struct store_edits edits = {
		.guards = &exists, .guard_count = 1, .body_kind = STORE_BODY_REMOVE};
	chunk_name(name, s->writer->tenure.stream, &c->id);
	*r = (struct sweep_remove){.sweep = s, .chunk = c, .write = {.done = on_removed}};
	s->removing++;
	s->paced++;
	store_write(s->writer->tenure.store, &r->write, c->pool, name, &edits);
}

static void on_pace(struct loop_timer *timer)
{
	struct sweep *s = container_of(timer, struct sweep, pace);
	s->paced = 0;
	writer_poke(s->writer);
}

/* So many at once, and so many in a tenth of a second. */
static void remove_next(struct sweep *s)
{
	unsigned most = (s->req->removes_per_second + 9) / 10;
	for (unsigned i = 0; i < SWEEP_REMOVES_AT_ONCE && s->next < s->count; i++) {
		if (s->paced >= most) {
			/* without memory for a timer it is not held back */
			if (loop_timer_armed(&s->pace) || !loop_timer_start(s->writer->tenure.loop,
								  &s->pace, 100 * NS_PER_MS))
				return;
			s->paced = 0;
		}
		if (!s->removes[i].sweep)
			remove_chunk(s, &s->removes[i], &s->chunks[s->next++]);
	}
}

/* --- burying --- */

static int compare_chunks(const void *a, const void *b)
{
	const struct chunk_id *x = &((const struct sweep_chunk *)a)->id;
	const struct chunk_id *y = &((const struct sweep_chunk *)b)->id;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return (x->gen > y->gen) - (x->gen < y->gen);
}

static bool was_removed(const struct sweep *s, const struct index_record *r)
{
	const struct sweep_chunk key = {.id = r->chunk};
	const struct sweep_chunk *c =
		bsearch(&key, s->chunks, s->count, sizeof(key), compare_chunks);
	return c && c->removed && c->pool == r->pool;
}

static void on_bury_begin(struct indexedit *ie, const void *pins, size_t len)
{
	struct sweep *s = container_of(ie, struct sweep, edit);
	(void)pins;
	(void)len;
	s->req->removed = s->req->left = 0;
	s->req->removed_bytes = 0;
	s->reach = (struct wall){0};
}

static bool on_bury(struct indexedit *ie, struct index_record *r)
{
	struct sweep *s = container_of(ie, struct sweep, edit);
	if (r->state != INDEX_DROPPING)
		return false;
	if (!was_removed(s, r)) {
		s->req->left++;
		return false;
	}
	r->state = INDEX_TOMBSTONE;
	s->req->removed++;
	s->req->removed_bytes += r->bytes;
	if (r->end.us > s->reach.us)
		s->reach = r->end;
	return true;
}

/* --- the machine --- */

static void flag(struct sweep *s)
{
	s->edit.begin = on_flag_begin;
	s->edit.record = on_flag;
	indexedit_start(&s->edit, s->req->day);
}

static void bury(struct sweep *s)
{
	qsort(s->chunks, s->count, sizeof(*s->chunks), compare_chunks);
	s->edit.begin = on_bury_begin;
	s->edit.record = on_bury;
	move(s, SWEEP_BURYING);
	indexedit_start(&s->edit, s->req->day);
}

static void on_edited(struct indexedit *ie)
{
	struct sweep *s = container_of(ie, struct sweep, edit);
	if (ie->status || s->state == SWEEP_BURYING) {
		end_with(s, ie->status == -ENOENT ? 0 : ie->status);
	} else if (ie->changed) {
		s->req->flagged += s->flagging;
		flag(s);
	} else if (s->count) {
		move(s, SWEEP_REMOVING);
		writer_poke(s->writer);
	} else {
		end_with(s, 0);
	}
}

static void step_intending(struct sweep *s)
{
	int rc = s->stopped ? -ECANCELED : put_intent(s);
	if (rc) {
		finish(s, rc);
	} else if (s->intent_settled && indexwrite_pause(&s->writer->indexwrite)) {
		move(s, SWEEP_FLAGGING);
		flag(s);
	}
}

static void step_removing(struct sweep *s)
{
	if (!s->stopped)
		remove_next(s);
	if (s->removing)
		return;
	if (s->stopped)
		finish(s, -ECANCELED);
	else if (s->next == s->count)
		bury(s);
}

void sweep_step(struct sweep *s)
{
	if (s->state == SWEEP_INTENDING)
		step_intending(s);
	else if (s->state == SWEEP_REMOVING)
		step_removing(s);
}

/* --- life --- */

void sweep_init(struct sweep *s, struct writer *w)
{
	s->writer = w;
	s->edit.done = on_edited;
	s->pace.fire = on_pace;
	indexedit_init(&s->edit, &w->tenure);
}

static void on_refused(struct loop_task *task)
{
	struct writer_sweep *req = container_of(task, struct writer_sweep, task);
	req->done(req);
}

void writer_sweep(struct writer *w, struct writer_sweep *req)
{
	struct sweep *s = &w->sweep;
	CHECK(!s->req);
	req->status = -ECANCELED;
	req->flagged = req->removed = req->left = 0;
	req->removed_bytes = 0;
	if (w->state != WRITER_RECORDING) {
		req->task = (struct loop_task){.run = on_refused};
		loop_defer(w->tenure.loop, &req->task);
		return;
	}
	s->req = req;
	s->intent_settled = find_intent(&w->head, req->day) >= 0 && !w->head_stale;
	s->intent_composed = false;
	move(s, SWEEP_INTENDING);
	writer_poke(w);
}

size_t writer_sweeps(const struct writer *w, int32_t days[HEAD_SWEEPS_MAX])
{
	size_t count = 0;
	for (unsigned i = 0; i < w->head.sweep_count; i++)
		if (w->head.sweeps[i].kind == HEAD_SWEEP)
			days[count++] = w->head.sweeps[i].day;
	return count;
}

bool sweep_busy(const struct sweep *s)
{
	return s->state != SWEEP_IDLE;
}

void sweep_stop(struct sweep *s)
{
	s->stopped = true;
	indexedit_cancel(&s->edit);
}

void sweep_fini(struct sweep *s)
{
	CHECK(s->state == SWEEP_IDLE && !s->removing);
	indexedit_fini(&s->edit);
}
