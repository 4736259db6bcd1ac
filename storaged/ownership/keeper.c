/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/ownership/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/hash.h"
#include "base/log.h"
#include "proto/refusal.h"
#include "storaged/ownership/keeper_impl.h"

#define STREAMS_DEFAULT 10000u
#define IDLE_DEFAULT_NS (600 * NS_PER_SECOND)
#define BUCKETS_MIN     64u
#define BUCKETS_MAX     16384u
#define KEEPER_SEED     UINT64_C(0x6b656570)

static const char *const state_names[] = {"taking", "ready", "yielding", "over", "lent"};
static const unsigned may[] = {
	[KEEP_TAKING] = MACHINE_TO(KEEP_READY) | MACHINE_TO(KEEP_LENT),
	[KEEP_READY] = MACHINE_TO(KEEP_YIELDING) | MACHINE_TO(KEEP_OVER) | MACHINE_TO(KEEP_TAKING),
	[KEEP_YIELDING] = MACHINE_TO(KEEP_TAKING) | MACHINE_TO(KEEP_OVER) | MACHINE_TO(KEEP_LENT),
	[KEEP_OVER] = 0,
	[KEEP_LENT] = MACHINE_TO(KEEP_TAKING),
};
static const struct machine_kind kind = {"keep", state_names, may};

void keep_move(struct keep *keep, enum keep_state to)
{
	machine_move(&kind, &keep->state, to, &keep->keeper->config.trace, keep->stream);
}

/* --- streams --- */

static struct list *bucket_of(struct keeper *k, const char *stream)
{
	return &k->buckets[hash64(KEEPER_SEED, stream, strlen(stream)) & (k->bucket_count - 1)];
}

struct keep *keep_find(struct keeper *k, const char *stream)
{
	struct list *bucket = bucket_of(k, stream);
	list_each (node, bucket) {
		struct keep *keep = list_entry(node, struct keep, node);
		if (!strcmp(keep->stream, stream))
			return keep;
	}
	return NULL;
}

static void end_stop(struct keeper *k)
{
	struct loop_task *stopped = k->stopped;
	loop_timer_stop(&k->deadline);
	loop_defer(k->config.loop, stopped);
	free(k->buckets);
	free(k);
}

void keep_free(struct keep *keep)
{
	struct keeper *k = keep->keeper;
	CHECK(list_empty(&keep->askers) && !keep->held);
	keep_end_moves(keep);
	list_remove(&keep->node);
	loop_timer_stop(&keep->idle);
	writer_free(&keep->writer);
	free(keep->take);
	free(keep);
	k->count--;
	if (k->stopping && !k->count)
		end_stop(k);
}

/* --- answering --- */

static void on_answer(struct loop_task *task)
{
	struct keeper_take *req = container_of(task, struct keeper_take, task);
	req->done(req);
}

void keep_answer(struct keeper *k, struct keeper_take *req, int status)
{
	req->status = status;
	req->task = (struct loop_task){.run = on_answer};
	loop_defer(k->config.loop, &req->task);
}

void keep_grant(struct keep *keep, struct keeper_take *req)
{
	loop_timer_stop(&keep->idle);
	keep->held++;
	list_append(&keep->holders, &req->node);
	req->keep = keep;
	req->writer = keep->writer;
	keep_answer(keep->keeper, req, 0);
}

/* Those who did not ask for the stream to be made get -ENOENT when it does not exist; the others
 * wait on. */
void keep_refuse_askers(struct keep *keep, int status)
{
	list_each_safe (node, &keep->askers) {
		struct keeper_take *req = list_entry(node, struct keeper_take, node);
		if (status == -ENOENT && req->create)
			continue;
		list_remove(node);
		keep_answer(keep->keeper, req, status);
	}
}

/* --- taking --- */

static void on_idle(struct loop_timer *timer);

static void arm_idle(struct keep *keep)
{
	keep->idle.fire = on_idle;
	/* without memory for the timer it stays ours until it is asked for and released again */
	(void)loop_timer_start(keep->keeper->config.loop, &keep->idle, keep->keeper->idle_yield_ns);
}

static void on_taken(struct take *take)
{
	struct keep *keep = container_of(take->life, struct keep, life);
	int status = take->status;
	keep->writer = take->writer;
	free(keep->take);
	keep->take = NULL;
	if (status) {
		if (status != -ENOENT)
			log_warn("stream not taken stream=%s refusal=%s", keep->stream,
				refusal_word(-status));
		keep_refuse_askers(keep, status);
		keep_end_moves(keep);
		if (keep->keeper->stopping)
			keep_refuse_lend(keep, -REFUSAL_STOPPING);
		if (keep->lend)
			keep_lend(keep);
		else if (list_empty(&keep->askers))
			keep_free(keep);
		else
			keep_start_take(keep);
		return;
	}
	keep_move(keep, KEEP_READY);
	log_info("stream taken stream=%s epoch=%" PRIu64, keep->stream, writer_epoch(keep->writer));
	for (struct list *node; (node = list_pop(&keep->askers));) {
		struct keeper_take *req = list_entry(node, struct keeper_take, node);
		if (req->confirm)
			keep_confirm(keep, req); /* it came when the take had begun already */
		else
			keep_grant(keep, req);
	}
	if (keep->keeper->stopping) {
		keep_move(keep, KEEP_YIELDING);
		writer_finish(keep->writer, true, REFUSAL_STOPPING);
	} else if (keep->lend) {
		keep_yield_to_lend(keep);
	} else if (keep_is_moving(keep)) {
		keep_yield_to_move(keep);
	} else if (!keep->held) {
		arm_idle(keep);
	}
}

static bool wants_create(const struct keep *keep)
{
	list_each (node, &keep->askers)
		if (list_entry(node, struct keeper_take, node)->create)
			return true;
	return false;
}

void keep_start_take(struct keep *keep)
{
	struct keeper *k = keep->keeper;
	keep->take = calloc(1, sizeof(*keep->take));
	if (!keep->take) {
		keep_refuse_askers(keep, -REFUSAL_OVERLOAD);
		keep_refuse_lend(keep, -REFUSAL_OVERLOAD);
		keep_free(keep);
		return;
	}
	keep->take->done = on_taken;
	keep->take->life = &keep->life;
	take_start(keep->take, &k->config, keep->stream, k->owner, wants_create(keep));
}

static void on_ended(struct writer_life *life, int status)
{
	struct keep *keep = container_of(life, struct keep, life);
	struct keeper *k = keep->keeper;
	loop_timer_stop(&keep->idle);
	if (status == ERR_FENCED)
		log_warn("stream lost to another daemon stream=%s", keep->stream);
	else if (status)
		log_warn("stream given up stream=%s err=\"%s\"", keep->stream, err_text(status));
	if (k->stopping)
		keep_refuse_lend(keep, -REFUSAL_STOPPING);
	else if (status)
		keep_refuse_lend(keep, status == ERR_FENCED ? -REFUSAL_NOT_OWNER : -REFUSAL_STORE);
	if (keep_is_moving(keep)) /* they are told where to go */
		keep_refuse_askers(keep, -REFUSAL_TAKING_OVER);
	keep_tell_over(keep, status);
	loop_timer_stop(&keep->idle); /* armed by the last of them */
	if (keep->held) {
		/* its askers learn of it from their sessions and watches; whoever asks now gets a
		 * new tenure */
		keep_move(keep, KEEP_OVER);
		keep_refuse_askers(keep, -REFUSAL_TAKING_OVER);
		list_remove(&keep->node);
		list_append(&k->over, &keep->node);
		keep_end_moves(keep);
		if (keep->lend)
			keep_lend_anew(keep);
		return;
	}
	writer_free(&keep->writer);
	if (keep->lend) {
		keep_lend(keep);
		return;
	}
	if (list_empty(&keep->askers) || k->stopping) {
		keep_refuse_askers(keep, -REFUSAL_STOPPING);
		keep_free(keep);
		return;
	}
	keep_end_moves(keep);
	keep_move(keep, KEEP_TAKING);
	keep_start_take(keep);
}

static void on_idle(struct loop_timer *timer)
{
	struct keep *keep = container_of(timer, struct keep, idle);
	if (!writer_is_idle(keep->writer)) {
		arm_idle(keep);
		return;
	}
	keep_move(keep, KEEP_YIELDING);
	writer_finish(keep->writer, false, REFUSAL_STOPPING);
}

struct keep *keep_new(struct keeper *k, const char *stream)
{
	struct keep *keep = calloc(1, sizeof(*keep));
	if (!keep)
		return NULL;
	keep->keeper = k;
	keep->life.ended = on_ended;
	list_init(&keep->askers);
	list_init(&keep->holders);
	list_init(&keep->moves);
	list_init(&keep->confirming);
	list_init(&keep->to_confirm);
	snprintf(keep->stream, sizeof(keep->stream), "%s", stream);
	list_append(bucket_of(k, stream), &keep->node);
	k->count++;
	return keep;
}

void keeper_take(struct keeper *k, struct keeper_take *req, const char *stream)
{
	req->keeper = k;
	req->keep = NULL;
	req->writer = NULL;
	list_init(&req->node);
	if (k->stopping) {
		keep_answer(k, req, -REFUSAL_STOPPING);
		return;
	}
	struct keep *keep = keep_find(k, stream);
	if (keep && keep->state == KEEP_READY) {
		if (req->confirm)
			keep_confirm(keep, req);
		else
			keep_grant(keep, req);
		return;
	}
	if (keep && keep_is_moving(keep)) {
		keep_answer(k, req, -REFUSAL_TAKING_OVER);
		return;
	}
	if (keep) {
		list_append(&keep->askers, &req->node);
		return;
	}
	if (k->count >= k->streams_max) {
		keep_answer(k, req, -REFUSAL_STREAMS);
		return;
	}
	keep = keep_new(k, stream);
	if (!keep) {
		keep_answer(k, req, -REFUSAL_OVERLOAD);
		return;
	}
	req->confirm = false; /* the take itself reads the head after this */
	list_append(&keep->askers, &req->node);
	keep_start_take(keep);
}

void keeper_release(struct keeper_take *req)
{
	struct keep *keep = req->keep;
	req->keep = NULL;
	req->writer = NULL;
	list_remove(&req->node);
	keep_unhold(keep);
}

void keep_unhold(struct keep *keep)
{
	CHECK(keep && keep->held);
	if (--keep->held)
		return;
	if (keep->state == KEEP_OVER)
		keep_free(keep);
	else if (keep->state == KEEP_READY)
		arm_idle(keep);
}

/* --- looking --- */

struct writer *keeper_find(struct keeper *k, const char *stream)
{
	struct keep *keep = keep_find(k, stream);
	return keep && keep->state == KEEP_READY ? keep->writer : NULL;
}

void keeper_each(struct keeper *k, void (*each)(void *user, struct writer *w), void *user)
{
	for (uint32_t i = 0; i < k->bucket_count; i++)
		list_each (node, &k->buckets[i]) {
			struct keep *keep = list_entry(node, struct keep, node);
			if (keep->state == KEEP_READY)
				each(user, keep->writer);
		}
}

/* --- life --- */

int keeper_new(const struct keeper_config *config, struct keeper **ret_keeper)
{
	struct keeper *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->streams_max = config->streams_max ? config->streams_max : STREAMS_DEFAULT;
	k->idle_yield_ns = config->idle_yield_ns ? config->idle_yield_ns : IDLE_DEFAULT_NS;
	k->bucket_count = BUCKETS_MIN;
	while (k->bucket_count < k->streams_max && k->bucket_count < BUCKETS_MAX)
		k->bucket_count *= 2;
	k->buckets = calloc(k->bucket_count, sizeof(*k->buckets));
	int len = snprintf(
		k->owner, sizeof(k->owner), "%s:%016" PRIx64, config->node, config->boot_nonce);
	if (!k->buckets || len < 0 || (size_t)len >= sizeof(k->owner)) {
		int rc = k->buckets ? -EINVAL : -ENOMEM;
		free(k->buckets);
		free(k);
		return rc;
	}
	for (uint32_t i = 0; i < k->bucket_count; i++)
		list_init(&k->buckets[i]);
	list_init(&k->over);
	recover_gate_init(&k->gate);
	k->config = (struct writer_config){.loop = config->loop,
		.store = config->store,
		.limits = config->limits,
		.gate = &k->gate,
		.trace = config->trace};
	memcpy(k->config.cluster, config->cluster, sizeof(k->config.cluster));
	*ret_keeper = k;
	return 0;
}

static void stop_keep(struct keep *keep)
{
	loop_timer_stop(&keep->idle);
	if (keep->state == KEEP_TAKING) {
		take_cancel(keep->take, REFUSAL_STOPPING);
	} else if (keep->state == KEEP_READY) {
		keep_move(keep, KEEP_YIELDING);
		writer_finish(keep->writer, true, REFUSAL_STOPPING);
	}
}

static void on_deadline(struct loop_timer *timer)
{
	struct keeper *k = container_of(timer, struct keeper, deadline);
	for (uint32_t i = 0; i < k->bucket_count; i++)
		list_each (node, &k->buckets[i]) {
			struct keep *keep = list_entry(node, struct keep, node);
			if (keep->state == KEEP_YIELDING)
				writer_drop(keep->writer, REFUSAL_STOPPING);
		}
}

void keeper_free(struct keeper **slot, int64_t deadline_ns, struct loop_task *stopped)
{
	struct keeper *k = *slot;
	*slot = NULL;
	k->stopping = true;
	k->stopped = stopped;
	if (!k->count) {
		end_stop(k);
		return;
	}
	k->deadline.fire = on_deadline;
	/* without memory for the timer there is no deadline: the store's own limits end what is
	 * under way */
	(void)loop_timer_start(k->config.loop, &k->deadline, deadline_ns);
	for (uint32_t i = 0; i < k->bucket_count; i++)
		list_each (node, &k->buckets[i])
			stop_keep(list_entry(node, struct keep, node));
}
