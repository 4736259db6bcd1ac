/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's state for STATUS: each loop writes down its own part, the last one to do so answers
 * on the asker's loop. */
#include <stdlib.h>
#include <string.h>

#include "storaged/metrics.h"
#include "storaged/server_impl.h"
#include "storaged/version.h"

struct row {
	char stream[STREAM_NAME_MAX + 1];
	char recorder[128];
	struct writer_stats stats;
	uint64_t bytes_per_second;
};

struct part {
	struct loop_task task;
	struct gather *gather;
	struct server_loop *loop;
	struct row *rows;
	size_t count, room;
};

struct gather {
	struct server *server;
	struct admin_status *req;
	struct loop_task answer;
	atomic_uint left;
	struct part parts[];
};

/* Memory that runs out leaves streams out of the answer rather than the answer. */
static void add_writer(void *user, struct writer *w)
{
	struct part *p = user;
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct row *rows = realloc(p->rows, room * sizeof(*rows));
		if (!rows)
			return;
		p->rows = rows;
		p->room = room;
	}
	struct row *row = &p->rows[p->count++];
	*row = (struct row){0};
	strncpy(row->stream, writer_stream(w), sizeof(row->stream) - 1);
	writer_stats(w, &row->stats);
}

static int by_stream(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->stream, ((const struct row *)b)->stream);
}

static void add_recorder(
	void *user, const char *stream, const char *recorder, uint64_t bytes_per_second)
{
	struct part *p = user;
	struct row key = {0};
	strncpy(key.stream, stream, sizeof(key.stream) - 1);
	struct row *row =
		p->count ? bsearch(&key, p->rows, p->count, sizeof(*p->rows), by_stream) : NULL;
	if (!row)
		return;
	strncpy(row->recorder, recorder, sizeof(row->recorder) - 1);
	row->bytes_per_second = bytes_per_second;
}

static void free_gather(struct gather *g)
{
	for (unsigned i = 0; i < g->server->loop_count; i++)
		free(g->parts[i].rows);
	free(g);
}

static void fill_pools(struct server *s, Steppe__Wire__StatusReply *reply,
	Steppe__Wire__PoolStatus *pools, Steppe__Wire__PoolStatus **pointers)
{
	int count = store_pool_count(s->loops[0].store);
	for (int i = 0; i < count; i++) {
		steppe__wire__pool_status__init(pointers[i] = &pools[i]);
		pools[i].pool = (uint32_t)i;
		health_space(&s->health, i, &pools[i].total_bytes, &pools[i].used_bytes);
	}
	reply->pools = pointers;
	reply->n_pools = (size_t)count;
}

static void fill_stream(Steppe__Wire__StreamStatus *to, struct row *row)
{
	steppe__wire__stream_status__init(to);
	to->stream = row->stream;
	to->recorder = row->recorder;
	to->epoch = row->stats.epoch;
	to->recording = row->recorder[0] != 0;
	to->durable_until_us = row->stats.durable_until.us;
	to->bytes_per_second = row->bytes_per_second;
	to->open_chunk_bytes = row->stats.open_chunk_bytes;
}

static void fill_streams(struct gather *g, Steppe__Wire__StatusReply *reply,
	Steppe__Wire__StreamStatus *streams, Steppe__Wire__StreamStatus **pointers)
{
	size_t n = 0;
	for (unsigned i = 0; i < g->server->loop_count; i++) {
		for (size_t k = 0; k < g->parts[i].count; k++, n++)
			fill_stream(pointers[n] = &streams[n], &g->parts[i].rows[k]);
	}
	reply->streams = pointers;
	reply->n_streams = n;
}

static void on_answer(struct loop_task *task)
{
	struct gather *g = container_of(task, struct gather, answer);
	struct server *s = g->server;
	size_t count = 0;
	for (unsigned i = 0; i < s->loop_count; i++)
		count += g->parts[i].count;
	Steppe__Wire__StatusReply reply = STEPPE__WIRE__STATUS_REPLY__INIT;
	Steppe__Wire__PoolStatus pools[STORE_POOLS_MAX], *pool_pointers[STORE_POOLS_MAX];
	Steppe__Wire__StreamStatus *streams = calloc(count + 1, sizeof(*streams));
	Steppe__Wire__StreamStatus **pointers = calloc(count + 1, sizeof(*pointers));
	reply.node = s->config->node;
	reply.software = (char *)(uintptr_t)STEPPE_SOFTWARE;
	reply.cluster = (ProtobufCBinaryData){.len = CLUSTER_ID_SIZE, .data = s->cluster.id};
	reply.format_level = s->cluster.format_level;
	reply.now_us = loop_wall(g->req->loop).us;
	reply.started_us = s->started_us;
	reply.store = s->config->store;
	reply.connections = (uint32_t)metrics_get(METRIC_CONNECTIONS);
	reply.streams_open = (uint32_t)metrics_get(METRIC_RECORDING);
	reply.bytes_in = metrics_get(METRIC_INGEST_BYTES);
	reply.bytes_out = metrics_get(METRIC_FETCHED_BYTES);
	reply.health = (char *)(uintptr_t)health_text(health_now());
	fill_pools(s, &reply, pools, pool_pointers);
	if (g->req->streams && streams && pointers)
		fill_streams(g, &reply, streams, pointers);
	g->req->done(g->req, &reply);
	free(streams);
	free(pointers);
	free_gather(g);
}

static void on_part(struct loop_task *task)
{
	struct part *p = container_of(task, struct part, task);
	struct gather *g = p->gather;
	if (g->req->streams && p->loop->keeper) {
		keeper_each(p->loop->keeper, add_writer, p);
		if (p->count)
			qsort(p->rows, p->count, sizeof(*p->rows), by_stream);
		service_each_recorder(g->server->services[p->loop->index], add_recorder, p);
	}
	if (atomic_fetch_sub(&g->left, 1) == 1)
		loop_post(g->req->loop, &g->answer);
}

static void on_no_memory(struct loop_task *task)
{
	struct admin_status *req = container_of(task, struct admin_status, task);
	req->done(req, NULL);
}

void server_status(void *owner, struct admin_status *req)
{
	struct server *s = owner;
	struct gather *g = calloc(1, sizeof(*g) + s->loop_count * sizeof(g->parts[0]));
	if (!g) {
		req->task.run = on_no_memory;
		loop_defer(req->loop, &req->task);
		return;
	}
	*g = (struct gather){.server = s, .req = req, .answer = {.run = on_answer}};
	atomic_init(&g->left, s->loop_count);
	for (unsigned i = 0; i < s->loop_count; i++) {
		g->parts[i] =
			(struct part){.task = {.run = on_part}, .gather = g, .loop = &s->loops[i]};
		loop_post(&s->loops[i].uv.loop, &g->parts[i].task);
	}
}
