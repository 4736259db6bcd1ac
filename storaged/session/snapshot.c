/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: what a window is made of at one instant, kept for ten minutes so that a clip's bytes
 * never change. Making one sends the chunks' tables; later READs name chunks by their place in it.
 * It lives in this daemon's memory alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/metrics.h"
#include "storaged/session/owned_view.h"

#define LIFE_US       (600 * US_PER_SECOND)
#define SNAPSHOTS_MAX 1024 /* a loop; at the limit the oldest goes */
#define CHUNKS_MAX    10000
#define READ_MAX      (4u << 20)

struct snapshot_chunk {
	struct chunk_id id;
	uint8_t pool;
	uint64_t len; /* bytes that are durable */
};

struct snapshot {
	struct list node;
	uint8_t id[16]; /* the first byte is the loop's number */
	char stream[STREAM_NAME_MAX + 1];
	struct wall expires;
	size_t count;
	struct snapshot_chunk chunks[];
};

static void drop(struct service *s, struct snapshot *snapshot)
{
	list_remove(&snapshot->node);
	s->snapshot_count--;
	metrics_gauge_add(METRIC_SNAPSHOTS, -1);
	free(snapshot);
}

void snapshot_drop_all(struct service *s)
{
	list_each_safe (node, &s->snapshots)
		drop(s, list_entry(node, struct snapshot, node));
}

/* Drops what has run out, oldest first, and comes again when the next one does. */
static void on_timer(struct loop_timer *timer)
{
	struct service *s = container_of(timer, struct service, snapshot_timer);
	int64_t now_us = loop_wall(s->config.loop).us;
	while (!list_empty(&s->snapshots)) {
		struct snapshot *oldest = list_entry(s->snapshots.next, struct snapshot, node);
		if (oldest->expires.us > now_us)
			break;
		drop(s, oldest);
	}
	if (!list_empty(&s->snapshots))
		(void)loop_timer_start(s->config.loop, timer,
			10 * NS_PER_SECOND); /* without it they go at the limit */
}

static void keep(struct service *s, struct snapshot *snapshot)
{
	if (s->snapshot_count >= SNAPSHOTS_MAX)
		drop(s, list_entry(s->snapshots.next, struct snapshot, node));
	list_append(&s->snapshots, &snapshot->node);
	s->snapshot_count++;
	metrics_gauge_add(METRIC_SNAPSHOTS, 1);
	s->snapshot_timer.fire = on_timer;
	if (!loop_timer_armed(&s->snapshot_timer))
		(void)loop_timer_start(s->config.loop, &s->snapshot_timer, 10 * NS_PER_SECOND);
}

static struct snapshot *find(struct service *s, const ProtobufCBinaryData *id)
{
	list_each (node, &s->snapshots) {
		struct snapshot *snapshot = list_entry(node, struct snapshot, node);
		if (id->len == sizeof(snapshot->id) && memcmp(id->data, snapshot->id, id->len) == 0)
			return snapshot;
	}
	return NULL;
}

/* --- making one
 * --------------------------------------------------------------------------------------------------------------
 */

struct making {
	struct request request;
	struct service *service;
	struct owned_view look;
	struct view *view;
	struct reader_table table;
	struct snapshot *snapshot; /* being filled */
	char stream[STREAM_NAME_MAX + 1];
	size_t next; /* of the view's chunks */
	bool gone, busy;
};

static void finish(struct making *m)
{
	request_detach(&m->request);
	if (m->busy)
		return;
	view_free(&m->view);
	free(m->snapshot);
	free(m);
}

static int send_chunk(struct making *m, const struct chunk_table *table, struct buf *init,
	const struct chunk_seal *seal)
{
	const struct view_chunk *c = &m->view->chunks[m->next];
	char name[STORE_NAME_MAX + 1];
	struct buf *encoded = NULL;
	int rc = chunk_table_encode(table, &encoded);
	if (rc)
		return rc;
	chunk_name(name, m->stream, &c->record.chunk);
	Steppe__Wire__SnapshotChunk message = STEPPE__WIRE__SNAPSHOT_CHUNK__INIT;
	message.index = (uint32_t)m->snapshot->count;
	message.name = name;
	message.epoch = c->record.chunk.epoch;
	message.init_len = (uint32_t)init->len;
	message.gap_cause = c->record.gap_before.cause;
	message.flags = c->record.flags;
	uint8_t digests[2][DIGEST_SIZE];
	if (seal) {
		memcpy(digests[0], seal->previous_digest, DIGEST_SIZE);
		memcpy(digests[1], seal->digest, DIGEST_SIZE);
		message.previous_digest =
			(ProtobufCBinaryData){.len = DIGEST_SIZE, .data = digests[0]};
		message.digest = (ProtobufCBinaryData){.len = DIGEST_SIZE, .data = digests[1]};
	}
	struct slice body[] = {slice_of(init, 0, init->len), slice_of(encoded, 0, encoded->len)};
	request_send(&m->request, FRAME_SNAPSHOT_CHUNK, &message.base, body, 2);
	slice_drop(&body[0]);
	slice_drop(&body[1]);
	buf_unref(&encoded);
	m->snapshot->chunks[m->snapshot->count++] = (struct snapshot_chunk){
		.id = c->record.chunk, .pool = c->record.pool, .len = c->record.bytes};
	return 0;
}

static void send_end(struct making *m)
{
	struct service *s = m->service;
	struct snapshot *snapshot = m->snapshot;
	if (!snapshot->count) {
		request_refuse(&m->request, REFUSAL_GONE, 0, "nothing is recorded in this window");
		return;
	}
	Steppe__Wire__SnapshotEnd message = STEPPE__WIRE__SNAPSHOT_END__INIT;
	Steppe__Wire__GapSpan *gaps = calloc(m->view->gap_count + 1, sizeof(*gaps));
	Steppe__Wire__GapSpan **pointers = calloc(m->view->gap_count + 1, sizeof(*pointers));
	if (gaps && pointers) {
		for (size_t i = 0; i < m->view->gap_count; i++) {
			steppe__wire__gap_span__init(pointers[i] = &gaps[i]);
			gaps[i].start_us = m->view->gaps[i].from.us;
			gaps[i].end_us = m->view->gaps[i].to.us;
			gaps[i].cause = m->view->gaps[i].cause;
		}
		message.n_gaps = m->view->gap_count;
		message.gaps = pointers;
		message.id =
			(ProtobufCBinaryData){.len = sizeof(snapshot->id), .data = snapshot->id};
		message.chunks = (uint32_t)snapshot->count;
		message.expires_us = snapshot->expires.us;
		request_send(&m->request, FRAME_SNAPSHOT_END, &message.base, NULL, 0);
		m->snapshot = NULL;
		keep(s, snapshot);
	} else {
		request_refuse(&m->request, REFUSAL_OVERLOAD, 0, NULL);
	}
	free(gaps);
	free(pointers);
}

static void go_on(struct making *m);

static void on_table(struct reader_table *table)
{
	struct making *m = container_of(table, struct making, table);
	m->busy = false;
	if (table->status) {
		int refusal =
			table->status == -ENOENT ? REFUSAL_GONE : refusal_of_error(table->status);
		request_refuse(&m->request, refusal, 0, NULL);
		finish(m);
		return;
	}
	bool sealed = m->view->chunks[m->next].record.seal_offset != 0;
	int rc = m->gone ? -ECANCELED
			 : send_chunk(m, table->table, table->init, sealed ? &table->seal : NULL);
	reader_table_release(m->service->config.reader, table);
	if (rc) {
		request_refuse(&m->request, refusal_of_error(rc), 0, NULL);
		finish(m);
		return;
	}
	m->next++;
	go_on(m);
}

/* Sends chunk after chunk; those that must be read come one at a time, and a full queue waits for
 * drained(). */
static void go_on(struct making *m)
{
	while (m->next < m->view->chunk_count && m->request.conn) {
		struct view_chunk *c = &m->view->chunks[m->next];
		if (channel_is_full(m->request.conn->ch))
			return;
		if (!c->table) {
			m->busy = true;
			m->table = (struct reader_table){.done = on_table};
			reader_table(m->service->config.reader, &m->table, m->stream, &c->record);
			return;
		}
		int rc = send_chunk(m, c->table, c->init, NULL);
		if (rc) {
			request_refuse(&m->request, refusal_of_error(rc), 0, NULL);
			break;
		}
		m->next++;
	}
	if (m->request.conn)
		send_end(m);
	finish(m);
}

/* Room for the answer: the id, and what each chunk is at this instant. */
static struct snapshot *snapshot_new(struct making *m)
{
	struct service *s = m->service;
	struct snapshot *snapshot =
		calloc(1, sizeof(*snapshot) + m->view->chunk_count * sizeof(snapshot->chunks[0]));
	if (!snapshot)
		return NULL;
	list_init(&snapshot->node);
	uint64_t random[2] = {loop_random(s->config.loop), loop_random(s->config.loop)};
	memcpy(snapshot->id, random, sizeof(snapshot->id));
	snapshot->id[0] = s->config.loop_index;
	memcpy(snapshot->stream, m->stream, sizeof(snapshot->stream));
	snapshot->expires.us = loop_wall(s->config.loop).us + LIFE_US;
	return snapshot;
}

static void on_view(struct owned_view *look)
{
	struct making *m = container_of(look, struct making, look);
	m->busy = false;
	m->view = look->view;
	if (m->gone) {
		finish(m);
		return;
	}
	if (look->status)
		request_refuse(&m->request, refusal_of_error(look->status), 0, NULL);
	else if (!m->view->exists)
		request_refuse(&m->request, REFUSAL_UNKNOWN_STREAM, 0, NULL);
	else if (m->view->chunk_count > CHUNKS_MAX)
		request_refuse(&m->request, REFUSAL_TOO_LARGE, 0,
			"the window has more than %d chunks; ask for a shorter one", CHUNKS_MAX);
	else if (!(m->snapshot = snapshot_new(m)))
		request_refuse(&m->request, REFUSAL_OVERLOAD, 0, NULL);
	if (m->snapshot)
		go_on(m);
	else
		finish(m);
}

static void on_making_frame(struct request *req, const struct frame *frame)
{
	(void)req;
	(void)frame; /* nothing but STOP makes sense, and it does not come this way */
}

static void on_making_drained(struct request *req)
{
	struct making *m = container_of(req, struct making, request);
	if (!m->busy)
		go_on(m);
}

static void on_making_gone(struct request *req)
{
	struct making *m = container_of(req, struct making, request);
	m->gone = true;
	finish(m);
}

static const struct request_ops making_ops = {
	.frame = on_making_frame, .drained = on_making_drained, .gone = on_making_gone};

static void begin(struct conn *conn, uint32_t stream, const Steppe__Wire__Snapshot *ask)
{
	if (!conn_judge_window(conn, stream, ask->stream, ask->from_us, ask->to_us))
		return;
	struct making *m = calloc(1, sizeof(*m));
	if (!m || request_attach(&m->request, &making_ops, conn, stream)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		free(m);
		return;
	}
	char purpose[AUDIT_TEXT], case_id[AUDIT_TEXT];
	audit(conn, "clip", "stream=%s from_us=%lld to_us=%lld purpose=%s case=%s", ask->stream,
		(long long)ask->from_us, (long long)ask->to_us, audit_text(purpose, ask->purpose),
		audit_text(case_id, ask->case_id));
	m->service = conn->service;
	memcpy(m->stream, ask->stream, strlen(ask->stream) + 1);
	m->busy = true;
	m->look.done = on_view;
	owned_view(m->service, &m->look, m->stream, (struct wall){ask->from_us},
		(struct wall){ask->to_us});
}

void snapshot_begin(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Snapshot *ask = conn_unpack(conn, frame, &steppe__wire__snapshot__descriptor);
	if (!ask)
		return;
	begin(conn, frame->header.stream, ask);
	steppe__wire__snapshot__free_unpacked(ask, NULL);
}

/* --- reading one
 * -------------------------------------------------------------------------------------------------------------
 */

struct reading {
	struct request request;
	struct service *service;
	struct store_read read;
	char name[STORE_NAME_MAX + 1];
	uint8_t pool;
	bool gone, started;
};

/* A peer that asks for more than it takes is held back by its own queue: the read begins when there
 * is room. */
static void start_reading(struct reading *r)
{
	if (r->started || channel_is_full(r->request.conn->ch))
		return;
	r->started = true;
	store_read(r->service->config.store, &r->read, r->pool, r->name);
}

static void on_read(struct store_read *read)
{
	struct reading *r = container_of(read, struct reading, read);
	if (r->gone) {
		;
	} else if (read->status) {
		request_refuse(&r->request, refusal_of_error(read->status), 0, NULL);
	} else if (read->body->len != read->len) {
		request_refuse(&r->request, REFUSAL_DAMAGED, 0, "the chunk is shorter than it was");
	} else {
		Steppe__Wire__ReadReply reply = STEPPE__WIRE__READ_REPLY__INIT;
		reply.offset = read->offset;
		struct slice body = slice_of(read->body, 0, read->body->len);
		request_send(&r->request, FRAME_READ_REPLY, &reply.base, &body, 1);
		slice_drop(&body);
		metrics_add(METRIC_FETCHED_BYTES, read->len);
	}
	request_detach(&r->request);
	store_read_release(read);
	free(r);
}

static void on_reading_frame(struct request *req, const struct frame *frame)
{
	(void)req;
	(void)frame;
}

static void on_reading_drained(struct request *req)
{
	start_reading(container_of(req, struct reading, request));
}

static void on_reading_gone(struct request *req)
{
	struct reading *r = container_of(req, struct reading, request);
	r->gone = true;
	if (!r->started)
		free(r);
}

static const struct request_ops reading_ops = {
	.frame = on_reading_frame, .drained = on_reading_drained, .gone = on_reading_gone};

static void read_range(struct conn *conn, uint32_t stream, const Steppe__Wire__Read *ask)
{
	struct snapshot *snapshot = find(conn->service, &ask->snapshot);
	if (!snapshot || ask->chunk >= snapshot->count) {
		conn_refuse(conn, stream, REFUSAL_SNAPSHOT, NULL);
		return;
	}
	const struct snapshot_chunk *c = &snapshot->chunks[ask->chunk];
	if (!ask->length || ask->length > READ_MAX || ask->offset > c->len ||
		ask->length > c->len - ask->offset) {
		conn_refuse(
			conn, stream, REFUSAL_PROTOCOL, "a range outside what the snapshot holds");
		return;
	}
	struct reading *r = calloc(1, sizeof(*r));
	if (!r || request_attach(&r->request, &reading_ops, conn, stream)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		free(r);
		return;
	}
	r->service = conn->service;
	r->pool = c->pool;
	chunk_name(r->name, snapshot->stream, &c->id);
	r->read = (struct store_read){
		.done = on_read, .want_body = true, .offset = ask->offset, .len = ask->length};
	start_reading(r);
}

void snapshot_read(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Read *ask = conn_unpack(conn, frame, &steppe__wire__read__descriptor);
	if (!ask)
		return;
	read_range(conn, frame->header.stream, ask);
	steppe__wire__read__free_unpacked(ask, NULL);
}
