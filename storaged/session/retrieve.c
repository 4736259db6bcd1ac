/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/retrieve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/gaps.h"
#include "storaged/metrics.h"

#define FEW_DAYS 3 /* a window of more asks first which there are */

static struct retrieve *of_request(struct request *req)
{
	return container_of(req, struct retrieve, request);
}

static void drop_tables(struct retrieve *r)
{
	for (size_t i = 0; i < r->chunk_count; i++) {
		if (r->chunks[i].loaded)
			reader_table_release(r->service->config.reader, &r->chunks[i].table);
		r->chunks[i].loaded = false;
	}
}

static void drop_group(struct retrieve *r)
{
	retrieve_drop_plan(r);
	drop_tables(r);
	memset(r->chunks, 0, sizeof(r->chunks));
	r->chunk_count = 0;
}

/* Frees the machine once nothing of it is under way. */
static void release(struct retrieve *r)
{
	if (r->state != RETRIEVE_ENDED || r->operations)
		return;
	drop_group(r);
	view_free(&r->view);
	index_days_fini(&r->days);
	buf_unref(&r->init);
	free(r);
}

bool retrieve_operation_ended(struct retrieve *r)
{
	r->operations--;
	if (r->state != RETRIEVE_ENDED)
		return false;
	release(r);
	return true;
}

static void end(struct retrieve *r)
{
	if (r->state == RETRIEVE_ENDED)
		return;
	r->state = RETRIEVE_ENDED;
	request_detach(&r->request);
	tail_end(r);
	admit_fetch_end(r->service->config.admit);
	metrics_gauge_add(METRIC_FETCHES, -1);
	drop_tables(r); /* reads of the store may outlast the reader, which wants its tables back */
	release(r);
}

void retrieve_finish(struct retrieve *r, int refusal)
{
	if (refusal) {
		request_refuse(&r->request, refusal, 0, NULL);
	} else {
		Steppe__Wire__FetchEnd message = STEPPE__WIRE__FETCH_END__INIT;
		message.fragments = r->sent_fragments;
		message.bytes = r->sent_bytes;
		request_send(&r->request, FRAME_FETCH_END, &message.base, NULL, 0);
	}
	end(r);
}

/* --- slices
 * ------------------------------------------------------------------------------------------------------------------
 */

/* Whether a day has an index; *ret_next: the next listed day after it, *ret_previous: the one
 * before (INT32_MAX, INT32_MIN: none). Without a list every day may have one. */
static bool is_listed(
	const struct retrieve *r, int32_t day, int32_t *ret_next, int32_t *ret_previous)
{
	size_t low = 0, high = r->days.count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (r->days.days[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	bool listed = low < r->days.count && r->days.days[low].day == day;
	*ret_previous = low ? r->days.days[low - 1].day : INT32_MIN;
	low += listed;
	*ret_next = low < r->days.count ? r->days.days[low].day : INT32_MAX;
	return listed || !r->has_days;
}

static int64_t midnight_us(int32_t day)
{
	return day == INT32_MIN ? INT64_MIN : day == INT32_MAX ? INT64_MAX : day * US_PER_DAY;
}

/* Sets the slice that begins (forward) or ends (backward) at `edge`, inside the window. */
static void set_slice(struct retrieve *r, int64_t edge_us)
{
	struct plan_window *w = &r->window;
	int32_t day = wall_day((struct wall){w->backward ? edge_us - 1 : edge_us}), next, previous;
	bool listed = is_listed(r, day, &next, &previous);
	if (w->backward) {
		int64_t from_us =
			listed ? midnight_us(day)
			       : midnight_us(previous == INT32_MIN ? previous : previous + 1);
		w->slice_to.us = edge_us;
		w->slice_from.us = from_us > w->from.us ? from_us : w->from.us;
	} else {
		int64_t to_us = midnight_us(listed ? day + 1 : next);
		w->slice_from.us = edge_us;
		w->slice_to.us = to_us < w->to.us ? to_us : w->to.us;
	}
	w->first_slice = w->slice_from.us == w->from.us;
}

static bool next_slice(struct retrieve *r)
{
	const struct plan_window *w = &r->window;
	if (w->backward ? w->slice_from.us <= w->from.us : w->slice_to.us >= w->to.us)
		return false;
	set_slice(r, w->backward ? w->slice_from.us : w->slice_to.us);
	r->reviewed = false;
	return true;
}

static void start_group(struct retrieve *r);

static void on_view(struct owned_view *request)
{
	struct retrieve *r = container_of(request, struct retrieve, view_request);
	if (!request->status)
		r->view = request->view;
	request->view = NULL;
	if (retrieve_operation_ended(r))
		return;
	if (request->status) {
		retrieve_finish(r, refusal_of_error(request->status));
	} else if (!r->view->exists) {
		retrieve_finish(r, REFUSAL_UNKNOWN_STREAM);
	} else {
		r->next_chunk = r->window.backward ? r->view->chunk_count : 0;
		start_group(r);
	}
}

void retrieve_view(struct retrieve *r)
{
	struct wall from = r->window.slice_from, to = r->window.slice_to;
	if (r->at_edge)
		tail_window(r, &from, &to);
	drop_group(r);
	view_free(&r->view);
	r->state = RETRIEVE_VIEWING;
	r->operations++;
	r->view_request.done = on_view;
	owned_view(r->service, &r->view_request, r->stream, from, to);
}

static void on_days(struct reader_days *request)
{
	struct retrieve *r = container_of(request, struct retrieve, days_request);
	if (!request->status)
		r->days = request->days;
	if (retrieve_operation_ended(r))
		return;
	if (request->status && request->status != -ENOENT) {
		retrieve_finish(r, refusal_of_error(request->status));
		return;
	}
	/* a stream without the list has no index yet: it is written before a day's first record */
	r->has_days = true;
	retrieve_start(r);
}

void retrieve_start(struct retrieve *r)
{
	const struct plan_window *w = &r->window;
	if (!r->has_days && w->to.us - w->from.us > FEW_DAYS * US_PER_DAY) {
		r->operations++;
		r->days_request = (struct reader_days){.done = on_days};
		reader_days(r->service->config.reader, &r->days_request, r->stream);
		return;
	}
	set_slice(r, w->backward ? w->to.us : w->from.us);
	retrieve_view(r);
}

/* --- groups of chunks
 * --------------------------------------------------------------------------------------------------------
 */

static void on_loaded(struct retrieve *r);

/* Whether a chunk is gone, or its bytes say nothing; else the store has trouble that will pass, and
 * what it holds must not be left out. */
static bool is_lost(int status)
{
	return status == -ENOENT || status == ERR_VERSION ||
	       refusal_of_error(status) == REFUSAL_DAMAGED;
}

static void on_table(struct reader_table *table)
{
	struct retrieve_chunk *c = container_of(table, struct retrieve_chunk, table);
	struct retrieve *r = c->retrieve;
	int status = table->status;
	c->loading = false;
	c->loaded = !status;
	c->lost = status && is_lost(status);
	if (c->lost)
		r->pending_cause = status == -ENOENT ? GAP_EXPIRED : GAP_DAMAGED;
	if (retrieve_operation_ended(r))
		return;
	if (status && !c->lost)
		retrieve_finish(r, refusal_of_error(status));
	else
		on_loaded(r);
}

/* Whether a chunk before `next` reaches past `reach_us`. Chunks are in the order of their starts,
 * so that one that began early may end late: a live chunk that was open before an outage and after
 * it, around what was backfilled. */
static bool reached_from_before(const struct view *v, size_t next, int64_t reach_us)
{
	for (size_t i = 0; i < next; i++)
		if (v->chunks[i].record.end.us > reach_us)
			return true;
	return false;
}

/* The next chunks that overlap one another in time: they must be put in order together. */
static void choose_group(struct retrieve *r)
{
	struct view *v = r->view;
	bool backward = r->window.backward;
	int64_t reach_us = backward ? INT64_MAX : INT64_MIN;
	while (r->chunk_count < PLAN_CHUNKS_MAX) {
		if (backward ? r->next_chunk == 0 : r->next_chunk == v->chunk_count)
			break;
		struct view_chunk *c = &v->chunks[backward ? r->next_chunk - 1 : r->next_chunk];
		const struct index_record *rec = &c->record;
		if (r->chunk_count && (backward ? !reached_from_before(v, r->next_chunk, reach_us)
						: rec->start.us >= reach_us))
			break;
		if (backward)
			reach_us = rec->start.us < reach_us ? rec->start.us : reach_us;
		else
			reach_us = rec->end.us > reach_us ? rec->end.us : reach_us;
		r->next_chunk = backward ? r->next_chunk - 1 : r->next_chunk + 1;
		r->chunks[r->chunk_count++] = (struct retrieve_chunk){.view = c, .retrieve = r};
	}
}

static void start_group(struct retrieve *r)
{
	drop_group(r);
	choose_group(r);
	r->state = RETRIEVE_LOADING;
	if (!r->chunk_count) {
		if (!r->at_edge && next_slice(r))
			retrieve_view(r);
		else if (r->follow)
			tail_wait(r);
		else
			retrieve_finish(r, 0);
		return;
	}
	for (size_t i = 0; i < r->chunk_count; i++) {
		struct retrieve_chunk *c = &r->chunks[i];
		if (c->view->table)
			continue;
		c->loading = true;
		c->table.done = on_table;
		r->operations++;
		reader_table(r->service->config.reader, &c->table, r->stream, &c->view->record);
	}
	on_loaded(r);
}

static const struct chunk_table *table_of(const struct retrieve_chunk *c)
{
	return c->loaded ? c->table.table : c->view->table;
}

/* Once every table of the group is there: makes the plan and goes on to send it. */
static void on_loaded(struct retrieve *r)
{
	struct plan_chunk chunks[PLAN_CHUNKS_MAX];
	static const struct chunk_table nothing;
	for (size_t i = 0; i < r->chunk_count; i++) {
		const struct retrieve_chunk *c = &r->chunks[i];
		if (c->loading)
			return;
		const struct chunk_table *table = c->lost ? &nothing : table_of(c);
		chunks[i] = (struct plan_chunk){
			.table = table,
			.fragments = table->fragment_count,
			.id = c->view->record.chunk,
			.lane = c->view->record.lane,
		};
	}
	bool tail = r->at_edge && r->cursor.live;
	int rc = tail ? plan_tail(chunks, r->chunk_count, &r->cursor, &r->items, &r->item_count)
		      : plan_window(chunks, r->chunk_count, &r->window, &r->cursor, &r->items,
				&r->item_count);
	if (rc) {
		retrieve_finish(r, REFUSAL_OVERLOAD);
		return;
	}
	r->state = RETRIEVE_SENDING;
	retrieve_send(r);
}

/* Of a chunk whose seal is damaged the table was made of what is left, and its record knows how far it
 * went. */
static bool lost_its_end(const struct retrieve_chunk *c)
{
	return c->loaded && c->table.seal.end.us < c->view->record.end.us - GAP_LEAST_US;
}

void retrieve_group_done(struct retrieve *r)
{
	for (size_t i = 0; i < r->chunk_count && !r->window.backward; i++)
		if (lost_its_end(&r->chunks[i]))
			r->pending_cause = GAP_DAMAGED;
	start_group(r);
}

/* --- frames
 * ------------------------------------------------------------------------------------------------------------------
 */

static void on_frame(struct request *req, const struct frame *frame)
{
	struct retrieve *r = of_request(req);
	Steppe__Wire__FetchCredit *more = NULL;
	if (frame->header.type == FRAME_FETCH_CREDIT)
		more = steppe__wire__fetch_credit__unpack(
			NULL, frame->header.meta_len, frame->meta);
	if (!more) {
		retrieve_finish(r, REFUSAL_PROTOCOL);
		return;
	}
	r->credit = more->credit > r->credit ? more->credit : r->credit;
	steppe__wire__fetch_credit__free_unpacked(more, NULL);
	if (r->state == RETRIEVE_SENDING)
		retrieve_send(r);
}

static void on_drained(struct request *req)
{
	struct retrieve *r = of_request(req);
	if (r->state == RETRIEVE_SENDING)
		retrieve_send(r);
}

static void on_gone(struct request *req)
{
	end(of_request(req));
}

static const struct request_ops retrieve_ops = {
	.frame = on_frame, .drained = on_drained, .gone = on_gone};

static void begin(struct conn *conn, const struct frame *frame, const Steppe__Wire__Fetch *fetch)
{
	struct service *s = conn->service;
	uint32_t stream = frame->header.stream;
	int64_t to_us = fetch->follow && !fetch->to_us ? WALL_MAX_US : fetch->to_us;
	if (!conn_judge_window(conn, stream, fetch->stream, fetch->from_us, to_us))
		return;
	if (fetch->backward && fetch->follow) {
		conn_refuse(conn, stream, REFUSAL_PROTOCOL, "a fetch cannot follow backwards");
		return;
	}
	if (!admit_fetch(s->config.admit)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		return;
	}
	struct retrieve *r = calloc(1, sizeof(*r));
	if (!r || request_attach(&r->request, &retrieve_ops, conn, stream)) {
		free(r);
		admit_fetch_end(s->config.admit);
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		return;
	}
	metrics_gauge_add(METRIC_FETCHES, 1);
	r->service = s;
	memcpy(r->stream, fetch->stream, strlen(fetch->stream) + 1);
	r->window = (struct plan_window){
		.from = {fetch->from_us},
		.to = {to_us},
		.backward = fetch->backward,
		.sync_only = fetch->sync_only,
		.sync_every_us = fetch->sync_every_us,
	};
	r->follow = fetch->follow;
	r->credit = fetch->credit;
	char purpose[AUDIT_TEXT], case_id[AUDIT_TEXT];
	audit(conn, "fetch",
		"stream=%s from_us=%lld to_us=%lld follow=%d sync_only=%d purpose=%s case=%s",
		r->stream, (long long)fetch->from_us, (long long)to_us, fetch->follow,
		fetch->sync_only, audit_text(purpose, fetch->purpose),
		audit_text(case_id, fetch->case_id));
	if (r->follow)
		tail_begin(r);
	else
		retrieve_start(r);
}

void retrieve_begin(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Fetch *fetch = conn_unpack(conn, frame, &steppe__wire__fetch__descriptor);
	if (!fetch)
		return;
	begin(conn, frame, fetch);
	steppe__wire__fetch__free_unpacked(fetch, NULL);
}
