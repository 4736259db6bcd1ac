/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL "Read": the head, then the partitions of the window, then the chunks of intents that no
 * partition knew. In this order a chunk that moves from one to the next meanwhile is met at least
 * once.
 *
 *	HEAD ---> DAYS ---> PARTITIONS ---> INTENTS ---> (done)
 *	  |         ^ only for long windows   ^ of ours those alone that are not recovered yet
 *	  +---> (done)  no head; not ours any more
 *
 * For a stream of ours the head only proves that it still is: what is not in the index is in the
 * writer's memory, of which a copy is taken before the partitions are read, so that what is indexed
 * meanwhile is met twice rather than never. */
#include "storaged/archive/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/chunk_survey.h"
#include "storaged/archive/reader_impl.h"
#include "storaged/archive/reader_partitions.h"
#include "storaged/archive/rules.h"
#include "storaged/archive/view.h"

#define SHORT_DAYS       4   /* windows of more days ask the days object which of them exist */
#define DAYS_UNKNOWN_MAX 400 /* days looked for one by one when there is no days object */
/* A chunk that reaches into the window began at most so long before. */
#define LOOK_BACK_US (CHUNK_LENGTH_MAX_US + 60 * US_PER_SECOND)

enum view_state { VIEW_HEAD, VIEW_DAYS, VIEW_PARTITIONS, VIEW_INTENTS };

struct view_op {
	struct reader *reader;
	struct reader_view *req;
	struct writer *writer;
	char stream[STREAM_NAME_MAX + 1];
	struct wall from, to;
	enum view_state state;
	int status; /* the first thing that went wrong */
	struct head_wait head_wait;
	bool exists;
	struct head head;
	struct gap open_gap;
	struct reader_days days_req;
	struct partitions partitions;
	size_t damaged; /* chunks of intents of which nothing can be read */
	struct view_chunk open[HEAD_INTENTS_MAX];
	size_t open_count;
	uint8_t next_intent;
	struct store_read chunk_read;
	struct chunk_attrs chunk;
};

/* --- the end --- */

static void finish(struct view_op *op)
{
	struct reader_view *req = op->req;
	struct reader *r = op->reader;
	int rc = op->status;
	req->view = NULL;
	if (rc == 0) {
		const struct view_evidence e = {
			.stream = op->stream,
			.from = op->from,
			.to = op->to,
			.exists = op->exists,
			.records = op->partitions.records,
			.record_count = op->partitions.record_count,
			.damaged = op->damaged + op->partitions.damaged,
			.open = op->open,
			.open_count = op->open_count,
			.open_gap = op->open_gap,
			.now = loop_wall(r->loop),
		};
		rc = view_make(&e, &req->view);
	}
	for (size_t i = 0; i < op->open_count; i++)
		view_chunk_fini(&op->open[i]);
	partitions_fini(&op->partitions);
	free(op);
	req->impl = NULL;
	req->status = rc;
	reader_leave(r);
	req->done(req);
}

static void fail(struct view_op *op, int status)
{
	if (op->status == 0)
		op->status = status;
}

static bool ends_early(struct view_op *op)
{
	if (op->reader->closing)
		fail(op, -ECANCELED);
	return op->status < 0;
}

/* The days of which chunks can lie in the window. */
static int32_t first_day(const struct view_op *op)
{
	return wall_day((struct wall){op->from.us > LOOK_BACK_US ? op->from.us - LOOK_BACK_US : 0});
}

static int32_t last_day(const struct view_op *op)
{
	return wall_day((struct wall){op->to.us - 1});
}

/* --- intents: chunks that no partition knew --- */

static void intents_step(struct view_op *op);

static bool is_indexed(const struct view_op *op, const struct chunk_id *id)
{
	for (size_t i = 0; i < op->partitions.record_count; i++) {
		const struct chunk_id *known = &op->partitions.records[i].chunk;
		if (known->epoch == id->epoch && known->seq == id->seq)
			return true;
	}
	return false;
}

static int take_chunk(struct view_op *op, const struct buf *body)
{
	struct chunk_survey s = {0};
	int rc = chunk_survey(&s, body->data, body->len);
	if (rc == ERR_DAMAGED) {
		op->damaged++;
		rc = 0;
	} else if (rc == 0 && s.table.fragment_count > 0) {
		struct buf *init = s.head_known ? buf_copy(body->data, s.init_len) : NULL;
		const struct head_intent *intent = &op->head.intents[op->next_intent - 1];
		const struct view_open from = {
			.id = intent->chunk,
			.lane = intent->lane,
			.len = op->chunk.len,
			.fragments = s.table.fragment_count,
			.head_len = (uint32_t)s.head_len,
			.table = &s.table,
			.init = init,
			.gap_before = s.header.gap_before,
		};
		rc = init ? view_chunk_open(&from, &op->open[op->open_count]) : -ENOMEM;
		if (rc == 0) {
			if (s.damaged)
				op->open[op->open_count].record.flags |= INDEX_DAMAGED;
			op->open_count++;
		}
		buf_unref(&init);
	}
	chunk_survey_fini(&s);
	return rc;
}

static void on_chunk_body(struct store_read *read)
{
	struct view_op *op = container_of(read, struct view_op, chunk_read);
	int rc = read->status;
	if (rc == 0)
		rc = take_chunk(op, read->body);
	store_read_release(read);
	if (rc < 0 && rc != -ENOENT)
		fail(op, rc);
	intents_step(op);
}

static void read_chunk(
	struct view_op *op, void (*done)(struct store_read *), bool attrs, size_t len)
{
	char name[STORE_NAME_MAX + 1];
	chunk_name(name, op->stream, &op->head.intents[op->next_intent - 1].chunk);
	op->chunk_read = (struct store_read){
		.done = done, .want_attrs = attrs, .want_body = !attrs, .len = len};
	store_read(op->reader->store, &op->chunk_read, STORE_DATA, name);
}

static void on_chunk_attrs(struct store_read *read)
{
	struct view_op *op = container_of(read, struct view_op, chunk_read);
	int rc = read->status;
	if (rc == 0)
		rc = chunk_attrs_read(read, &op->chunk);
	store_read_release(read);
	/* not there: not made yet, and nothing of it acknowledged */
	if (rc == 0 && op->chunk.len > 0 && op->chunk.len <= STORE_OBJECT_MAX && !ends_early(op)) {
		read_chunk(op, on_chunk_body, false, (size_t)op->chunk.len);
		return;
	}
	if (rc < 0 && rc != -ENOENT)
		fail(op, rc);
	intents_step(op);
}

static void intents_step(struct view_op *op)
{
	while (!ends_early(op) && op->next_intent < op->head.intent_count) {
		const struct head_intent *intent = &op->head.intents[op->next_intent++];
		bool near = intent->day >= first_day(op) &&
			    intent->day <= wall_day((struct wall){op->to.us - 1});
		if (near && !is_indexed(op, &intent->chunk)) {
			read_chunk(op, on_chunk_attrs, true, 0);
			return;
		}
	}
	finish(op);
}

/* --- which days --- */

/* All days of the window, or those of them that the days object names. */
static int choose_days(struct view_op *op, const struct index_days *known)
{
	int32_t first = first_day(op), last = last_day(op);
	if (!known && last - first >= DAYS_UNKNOWN_MAX) {
		int32_t tomorrow = wall_day(loop_wall(op->reader->loop)) + 1;
		last = last < tomorrow ? last : tomorrow;
		first = last - first >= DAYS_UNKNOWN_MAX ? last - DAYS_UNKNOWN_MAX + 1 : first;
		if (last < first)
			last = first;
	}
	size_t room = known ? known->count : (size_t)(last - first) + 1;
	int32_t *days = malloc((room + 1) * sizeof(*days));
	struct partitions *p = &op->partitions;
	if (!days)
		return -ENOMEM;
	p->days = days;
	for (int32_t day = first; !known && day <= last; day++)
		days[p->day_count++] = day;
	for (size_t i = 0; known && i < known->count; i++)
		if (known->days[i].day >= first && known->days[i].day <= last)
			days[p->day_count++] = known->days[i].day;
	return 0;
}

static void after_partitions(struct view_op *op)
{
	if (op->partitions.status < 0)
		fail(op, op->partitions.status);
	if (ends_early(op)) {
		finish(op);
		return;
	}
	op->state = VIEW_INTENTS;
	intents_step(op);
}

static void on_partitions(struct partitions *p)
{
	after_partitions(container_of(p, struct view_op, partitions));
}

static void start_partitions(struct view_op *op, const struct index_days *known)
{
	op->state = VIEW_PARTITIONS;
	op->partitions = (struct partitions){
		.reader = op->reader, .stream = op->stream, .done = on_partitions};
	int rc = choose_days(op, known);
	if (rc < 0)
		fail(op, rc);
	if (rc < 0 || op->partitions.day_count == 0)
		after_partitions(op);
	else
		partitions_read(&op->partitions);
}

static void on_days(struct reader_days *req)
{
	struct view_op *op = container_of(req, struct view_op, days_req);
	bool known = req->status == 0;
	struct index_days days = req->days; /* op, with the request, may end below */
	bool lost = req->status == ERR_CHECKSUM || req->status == ERR_FORMAT ||
		    req->status == ERR_TRUNCATED;
	/* A days object that is damaged can be done without, but not for a century; of one that is
	 * not there the last DAYS_UNKNOWN_MAX days are tried, since it comes before the first
	 * partition unless it was lost. */
	if (!known && !lost && req->status != -ENOENT)
		fail(op, req->status);
	else if (lost && last_day(op) - first_day(op) >= DAYS_UNKNOWN_MAX)
		fail(op, ERR_DAMAGED);
	if (ends_early(op))
		finish(op);
	else
		start_partitions(op, known ? &days : NULL);
	index_days_fini(&days);
}

static void start_days(struct view_op *op)
{
	if (last_day(op) - first_day(op) < SHORT_DAYS) {
		start_partitions(op, NULL);
		return;
	}
	op->state = VIEW_DAYS;
	op->days_req = (struct reader_days){.done = on_days};
	reader_days(op->reader, &op->days_req, op->stream);
}

/* --- the head --- */

/* Copies what is durable of the chunks that the writer has not indexed. */
static int take_open_chunks(struct view_op *op)
{
	struct writer_open_chunk chunks[HEAD_INTENTS_MAX];
	size_t count = writer_open_chunks(op->writer, chunks);
	for (size_t i = 0; i < count; i++) {
		const struct writer_open_chunk *c = &chunks[i];
		if (!c->table) {
			/* of an earlier owner, and not recovered yet: read like anybody's intent */
			op->head.intents[op->head.intent_count++] = (struct head_intent){
				.chunk = c->id, .day = c->day, .lane = c->lane};
			continue;
		}
		const struct view_open from = {
			.id = c->id,
			.lane = c->lane,
			.len = c->durable_len,
			.fragments = c->durable_fragments,
			.head_len = c->head_len,
			.table = c->table,
			.init = c->init,
			.gap_before = c->gap_before,
		};
		if (c->durable_fragments == 0)
			continue;
		int rc = view_chunk_open(&from, &op->open[op->open_count]);
		if (rc < 0)
			return rc;
		op->open_count++;
	}
	op->open_gap = writer_open_gap(op->writer);
	return 0;
}

static int take_head(struct view_op *op, const struct store_read *read)
{
	struct head_attrs attrs;
	if (read->status == -ENOENT)
		return op->writer ? ERR_FENCED : 0;
	if (read->status < 0)
		return read->status;
	op->exists = true;
	if (op->writer) {
		/* of our own only whether it still is ours */
		bool ours = head_attrs_read(read, &attrs) == 0 &&
			    attrs.epoch == writer_epoch(op->writer);
		if (!ours && rule_holds(RULE_OWNER_READS))
			return ERR_FENCED;
		return take_open_chunks(op);
	}
	int rc = head_decode(read->body->data, read->body->len, &op->head);
	if (rc < 0)
		return rc == ERR_VERSION ? rc : ERR_DAMAGED;
	op->open_gap = op->head.open_gap;
	return 0;
}

static void on_head(struct head_wait *wait, const struct store_read *read)
{
	struct view_op *op = container_of(wait, struct view_op, head_wait);
	if (!ends_early(op)) {
		int rc = take_head(op, read);
		if (rc < 0)
			fail(op, rc);
	}
	if (ends_early(op) || !op->exists)
		finish(op);
	else
		start_days(op);
}

/* --- asking --- */

static void on_refused(struct loop_task *task)
{
	struct reader_view *req = container_of(task, struct reader_view, task);
	struct reader *r = req->impl;
	req->impl = NULL;
	reader_leave(r);
	req->done(req);
}

void reader_view(struct reader *r, struct reader_view *req, const char *stream, struct wall from,
	struct wall to, struct writer *writer)
{
	int rc = -ENOMEM;
	struct view_op *op = calloc(1, sizeof(*op));
	reader_enter(r);
	req->view = NULL;
	if (!wall_is_valid(from) || !wall_is_valid(to) || from.us >= to.us ||
		stream_name_split(stream, NULL, NULL) < 0)
		rc = -EINVAL;
	else if (r->closing)
		rc = -ECANCELED;
	else if (op) {
		*op = (struct view_op){
			.reader = r, .req = req, .writer = writer, .from = from, .to = to};
		strcpy(op->stream, stream);
		op->head_wait.done = on_head;
		rc = reader_head(r, stream, &op->head_wait);
	}
	if (rc == 0) {
		req->impl = op;
		return;
	}
	free(op);
	req->status = rc;
	req->impl = r;
	req->task.run = on_refused;
	loop_defer(r->loop, &req->task);
}
