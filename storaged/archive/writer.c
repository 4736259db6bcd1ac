/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "storaged/archive/openchunk_write.h"
#include "storaged/archive/writer_impl.h"

static const char *const state_names[] = {
	"recording", "finishing", "yielding", "dropping", "ended"};
static const unsigned may[] = {
	[WRITER_RECORDING] = MACHINE_TO(WRITER_FINISHING) | MACHINE_TO(WRITER_DROPPING),
	[WRITER_FINISHING] = MACHINE_TO(WRITER_YIELDING) | MACHINE_TO(WRITER_DROPPING) |
			     MACHINE_TO(WRITER_ENDED),
	[WRITER_YIELDING] = MACHINE_TO(WRITER_DROPPING) | MACHINE_TO(WRITER_ENDED),
	[WRITER_DROPPING] = MACHINE_TO(WRITER_ENDED),
	[WRITER_ENDED] = 0,
};
static const struct machine_kind kind = {"writer", state_names, may};

static void move(struct writer *w, enum writer_state to)
{
	machine_move(&kind, &w->state, to, &w->tenure.trace, w->tenure.stream);
}

void writer_poke(struct writer *w)
{
	if (w->state != WRITER_ENDED)
		retry_soon(&w->turn, w->tenure.loop);
}

static struct openchunk *chunk_of(struct list *node)
{
	return list_entry(node, struct openchunk, node);
}

static struct lane *lane_of(struct list *node)
{
	return list_entry(node, struct lane, node);
}

/* --- index and days --- */

static void on_indexed(struct indexwrite *iw, struct indexwrite_item *item)
{
	struct writer *w = container_of(iw, struct writer, indexwrite);
	struct openchunk *c = container_of(item, struct openchunk, item);
	if (c->state == OPENCHUNK_SEALING) {
		openchunk_submit_seal(c); /* RULE_SEAL_FIRST is switched off */
		return;
	}
	dayswrite_touch(&w->dayswrite, c->day);
	if (c->table.fragment_count && wall_day(item->record.end) != c->day)
		dayswrite_touch(&w->dayswrite, wall_day(item->record.end));
	openchunk_indexed(c);
	w->changed = true;
	writer_poke(w);
}

static void on_list_day(struct indexwrite *iw, int32_t day)
{
	struct writer *w = container_of(iw, struct writer, indexwrite);
	dayswrite_list(&w->dayswrite, day);
}

static void on_listed(struct dayswrite *dw)
{
	struct writer *w = container_of(dw, struct writer, dayswrite);
	indexwrite_day_listed(&w->indexwrite);
}

static void on_days_settled(struct dayswrite *dw)
{
	writer_poke(container_of(dw, struct writer, dayswrite));
}

/* --- trouble --- */

void writer_give_up(struct writer *w, int refusal, int status)
{
	if (w->state >= WRITER_DROPPING)
		return;
	move(w, WRITER_DROPPING);
	w->reason = refusal;
	w->status = status;
	list_each (node, &w->lanes) {
		struct lane *lane = lane_of(node);
		loop_timer_stop(&lane->silence);
		lane_tell(lane, refusal);
	}
	list_each (node, &w->chunks)
		openchunk_stop(chunk_of(node));
	headwrite_stop(&w->headwrite);
	indexwrite_stop(&w->indexwrite);
	dayswrite_stop(&w->dayswrite);
	recover_stop(&w->recover);
	sweep_stop(&w->sweep);
	writer_poke(w);
}

void writer_lost(struct writer *w, int status)
{
	if (status == ERR_FENCED)
		writer_give_up(w, REFUSAL_NOT_OWNER, status);
	else if (status == -ECANCELED)
		writer_give_up(w, REFUSAL_STOPPING, status);
	else
		/* an object of ours is not as we left it: what is durable is for a new take to find
		 * out */
		writer_give_up(w, REFUSAL_STORE, status);
	writer_poke(w);
}

void writer_fenced(struct writer *w)
{
	writer_lost(w, ERR_FENCED);
}

static int refusal_of(int error, unsigned failures)
{
	if (error == -ENOSPC || error == -EDQUOT)
		return REFUSAL_FULL;
	/* may pass: the second attempt is made before anyone is told */
	if ((error == ERR_UNKNOWN || error == -ENOMEM || error == -ETIMEDOUT) && failures < 2)
		return 0;
	return REFUSAL_STORE;
}

/* Head and index hold up only those whose chunk still waits for its intent. */
static bool is_held_up(const struct lane *lane)
{
	return lane->open && lane->open->state == OPENCHUNK_PLANNED && !lane->open->intent_settled;
}

void writer_trouble(struct writer *w, struct lane *lane, int error, unsigned failures)
{
	int refusal = refusal_of(error, failures);
	if (!refusal)
		return;
	list_each (node, &w->lanes) {
		struct lane *one = lane_of(node);
		if (one != lane && (lane || !is_held_up(one)))
			continue;
		one->trouble = refusal;
		lane_tell(one, refusal);
	}
}

static void on_head_failed(struct headwrite *hw, int status)
{
	writer_lost(container_of(hw, struct writer, headwrite), status);
}

static void on_head_trouble(struct headwrite *hw, int error)
{
	writer_trouble(container_of(hw, struct writer, headwrite), NULL, error, hw->failures);
}

static void on_index_failed(struct indexwrite *iw, int status)
{
	writer_lost(container_of(iw, struct writer, indexwrite), status);
}

static void on_index_trouble(struct indexwrite *iw, int error)
{
	writer_trouble(container_of(iw, struct writer, indexwrite), NULL, error, 2);
}

static void on_days_failed(struct dayswrite *dw, int status)
{
	writer_lost(container_of(dw, struct writer, dayswrite), status);
}

/* --- the step --- */

static void step_chunks(struct writer *w)
{
	list_each_safe (node, &w->chunks) {
		struct openchunk *c = chunk_of(node);
		openchunk_step(c);
		if (c->state == OPENCHUNK_INDEXED && !writer_may_clear(w, c))
			dayswrite_flush(&w->dayswrite);
	}
	recover_step(&w->recover);
	if (writer_head_is_due(w))
		headwrite_want(&w->headwrite);
}

/* Everything is sealed and indexed, and nothing is under way but perhaps the clearing. */
static bool all_indexed(const struct writer *w)
{
	list_each (node, &w->chunks)
		if (chunk_of(node)->state != OPENCHUNK_INDEXED)
			return false;
	return !indexwrite_busy(&w->indexwrite) && !recover_busy(&w->recover) &&
	       !sweep_busy(&w->sweep);
}

static void step_finishing(struct writer *w)
{
	if (!all_indexed(w))
		return;
	dayswrite_flush(&w->dayswrite);
	if (dayswrite_busy(&w->dayswrite) || headwrite_busy(&w->headwrite))
		return;
	if (w->yield) {
		move(w, WRITER_YIELDING);
		headwrite_yield(&w->headwrite);
	} else if (list_empty(&w->chunks)) {
		move(w, WRITER_ENDED);
	}
}

static void step_yielding(struct writer *w)
{
	if (!headwrite_busy(&w->headwrite))
		move(w, WRITER_ENDED);
}

static void step_dropping(struct writer *w)
{
	list_each (node, &w->chunks)
		if (openchunk_busy(chunk_of(node)))
			return;
	if (headwrite_busy(&w->headwrite) || indexwrite_busy(&w->indexwrite) ||
		dayswrite_busy(&w->dayswrite) || recover_busy(&w->recover) || sweep_busy(&w->sweep))
		return;
	move(w, WRITER_ENDED);
}

static void tell_watches(struct writer *w)
{
	struct list all;
	list_init(&all);
	if (w->state != WRITER_RECORDING) {
		for (struct list *node; (node = list_pop(&w->watches));) {
			struct writer_watch *watch = list_entry(node, struct writer_watch, node);
			watch->gone(watch);
		}
		return;
	}
	if (!w->changed)
		return;
	w->changed = false;
	/* a watch may stop itself or others, or start new ones, while it is told */
	list_splice(&all, &w->watches);
	for (struct list *node; (node = list_pop(&all));) {
		struct writer_watch *watch = list_entry(node, struct writer_watch, node);
		list_append(&w->watches, node);
		watch->changed(watch);
	}
}

static void on_turn(struct retry *turn)
{
	struct writer *w = container_of(turn, struct writer, turn);
	sweep_step(&w->sweep); /* may want the head written */
	if (w->state < WRITER_YIELDING)
		step_chunks(w);
	if (w->state == WRITER_FINISHING)
		step_finishing(w);
	else if (w->state == WRITER_YIELDING)
		step_yielding(w);
	else if (w->state == WRITER_DROPPING)
		step_dropping(w);
	lanes_tell(w);
	tell_watches(w);
	if (w->state == WRITER_ENDED && !w->ended_told) {
		w->ended_told = true;
		retry_stop(&w->turn);
		w->life->ended(w->life, w->status); /* the last act */
	}
}

/* --- life --- */

static void init_machines(struct writer *w, struct recover_gate *gate, uint64_t ver)
{
	list_init(&w->lanes);
	list_init(&w->chunks);
	list_init(&w->watches);
	list_init(&w->superseded);
	w->turn.again = on_turn;
	w->headwrite.compose = writer_compose_head;
	w->headwrite.written = writer_head_written;
	w->headwrite.failed = on_head_failed;
	w->headwrite.trouble = on_head_trouble;
	headwrite_init(&w->headwrite, &w->tenure, ver);
	w->indexwrite.indexed = on_indexed;
	w->indexwrite.list_day = on_list_day;
	w->indexwrite.failed = on_index_failed;
	w->indexwrite.trouble = on_index_trouble;
	indexwrite_init(&w->indexwrite, &w->tenure, &w->head);
	w->dayswrite.listed = on_listed;
	w->dayswrite.settled = on_days_settled;
	w->dayswrite.failed = on_days_failed;
	dayswrite_init(&w->dayswrite, &w->tenure);
	recover_init(&w->recover, w, gate);
	sweep_init(&w->sweep, w);
}

/* A session is durable up to the greater of what the head says and what its chunks hold (F1). */
static int add_session(
	struct writer *w, const struct head_session *known, const struct writer_found *found)
{
	uint64_t session = known ? known->session : found->last_session;
	struct lane *lane = lane_find(w, session);
	int rc = lane ? 0 : lane_new(w, session, &lane);
	if (rc)
		return rc;
	uint64_t last = known ? known->last_seq : found->last_seq;
	lane->listed = true;
	if (last > lane->durable)
		lane->durable = lane->received = last;
	lane->last_append = known                  ? known->last_append
			    : lane->last_append.us ? lane->last_append
						   : loop_wall(w->tenure.loop);
	lane->closed |= known && known->closed;
	return 0;
}

static int add_found(struct writer *w, const struct writer_found *found)
{
	struct openchunk *c;
	int rc = found->last_session ? add_session(w, NULL, found) : 0;
	if (!rc)
		rc = openchunk_new_recovering(w, found, &c);
	if (rc)
		return rc;
	/* oldest first */
	struct list *place = w->chunks.next;
	while (place != &w->chunks && writer_id_before(&chunk_of(place)->header.id, &c->header.id))
		place = place->next;
	list_append(place, &c->node);
	return 0;
}

int writer_new(const struct writer_config *config, const struct writer_start *start,
	struct writer_life *life, struct writer **ret_writer)
{
	struct writer *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->tenure = *start->tenure;
	w->limits = config->limits;
	memcpy(w->cluster, config->cluster, sizeof(w->cluster));
	w->life = life;
	w->head = *start->head;
	w->live_end = w->kept_end = w->head.last_end;
	w->next_seq = 1;
	init_machines(w, config->gate, start->ver);
	int rc = 0;
	for (unsigned i = 0; !rc && i < start->head->session_count; i++)
		rc = add_session(w, &start->head->sessions[i], NULL);
	for (size_t i = 0; !rc && i < start->found_count; i++)
		rc = add_found(w, &start->found[i]);
	if (rc) {
		w->state = WRITER_ENDED;
		writer_free(&w);
		return rc;
	}
	/* totals that the owner before did not live to bring up to date */
	int32_t last = wall_day(w->head.last_end);
	if (last)
		dayswrite_touch(&w->dayswrite, last - 1);
	if (last)
		dayswrite_touch(&w->dayswrite, last);
	writer_poke(w);
	*ret_writer = w;
	return 0;
}

void writer_free(struct writer **slot)
{
	struct writer *w = *slot;
	*slot = NULL;
	if (!w)
		return;
	CHECK(w->state == WRITER_ENDED);
	retry_stop(&w->turn);
	list_each_safe (node, &w->chunks) {
		struct openchunk *c = chunk_of(node);
		openchunk_free(&c);
	}
	list_each_safe (node, &w->lanes) {
		struct lane *lane = lane_of(node);
		if (lane->user)
			lane->user->impl = NULL;
		lane_free(&lane);
	}
	headwrite_stop(&w->headwrite);
	indexwrite_stop(&w->indexwrite);
	dayswrite_stop(&w->dayswrite);
	recover_stop(&w->recover);
	headwrite_fini(&w->headwrite);
	indexwrite_fini(&w->indexwrite);
	dayswrite_fini(&w->dayswrite);
	sweep_fini(&w->sweep);
	free(w);
}

void writer_finish(struct writer *w, bool yield, int refusal)
{
	if (w->state != WRITER_RECORDING)
		return;
	move(w, WRITER_FINISHING);
	w->yield = yield;
	w->reason = refusal;
	sweep_stop(&w->sweep); /* the next owner goes on with it */
	list_each (node, &w->lanes) {
		struct lane *lane = lane_of(node);
		lane_end_chunk(
			lane, refusal == REFUSAL_NOT_OWNER ? CHUNK_END_OWNER : CHUNK_END_STOP);
		lane_tell(lane, refusal);
	}
	writer_poke(w);
}

void writer_drop(struct writer *w, int refusal)
{
	writer_give_up(w, refusal, -ECANCELED);
}
