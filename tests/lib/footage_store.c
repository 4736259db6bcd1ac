/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/footage_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storaged/archive/attrs.h"

void footage_store_open(struct footage_store *s, const char *stream)
{
	*s = (struct footage_store){.epoch = 3};
	snprintf(s->stream, sizeof(s->stream), "%s", stream);
	sim_world_init(&s->world, 7);
	sim_loop_init(&s->loop, &s->world);
	sim_loop_step_wall(&s->loop, FOOTAGE_START_US + US_PER_DAY - s->world.wall.us);
	s->model = store_model_new(&s->world, NULL);
	CHECK(s->model);
	s->store = store_new(s->model, &s->loop.loop);
	CHECK(s->store);
}

static void on_closed(struct loop_task *task)
{
	container_of(task, struct footage_store, closed)->is_closed = true;
}

void footage_store_close(struct footage_store *s)
{
	s->closed.run = on_closed;
	store_free(&s->store, &s->closed);
	footage_store_wait(s, &s->is_closed);
	store_backend_close(&s->model);
	sim_loop_fini(&s->loop);
	sim_world_fini(&s->world);
}

static bool is_set(void *user)
{
	return *(const bool *)user;
}

void footage_store_wait(struct footage_store *s, const bool *flag)
{
	CHECK(sim_run_until(&s->world, is_set, (void *)(uintptr_t)flag, 3600 * NS_PER_SECOND));
}

static void put_number(
	struct footage_store *s, int pool, const char *name, const char *attr, uint64_t v)
{
	char text[ATTR_U64_SIZE + 1];
	attr_u64_format(v, text);
	store_model_put_attr(s->model, pool, name, attr, text);
}

void footage_store_head(struct footage_store *s)
{
	char name[STORE_NAME_MAX + 1];
	struct buf *buf = NULL;
	CHECK(head_encode(&s->head, &buf) == 0);
	head_name(name, s->stream);
	store_model_put(s->model, STORE_META, name, buf->data, buf->len);
	put_number(s, STORE_META, name, ATTR_EPOCH, s->epoch);
	put_number(s, STORE_META, name, ATTR_VER, 1);
	store_model_put_attr(s->model, STORE_META, name, ATTR_OWNER, "n1:1");
	buf_unref(&buf);
}

void footage_store_object(struct footage_store *s, const struct footage_chunk *c)
{
	char name[STORE_NAME_MAX + 1], last[2 * ATTR_U64_SIZE + 1];
	chunk_name(name, s->stream, &c->header.id);
	store_model_put(s->model, STORE_DATA, name, c->bytes ? (const void *)c->bytes : "",
		c->len); /* a husk has no bytes */
	put_number(s, STORE_DATA, name, ATTR_EP, c->header.id.epoch);
	put_number(s, STORE_DATA, name, ATTR_LEN, c->len);
	chunk_last_format(c->table.session, c->last_seq, last);
	store_model_put_attr(s->model, STORE_DATA, name, ATTR_LAST, last);
	store_model_put_attr(s->model, STORE_DATA, name, ATTR_STATE,
		c->sealed ? ATTR_STATE_SEALED : ATTR_STATE_OPEN);
	if (c->sealed)
		return;
	s->head.intents[s->head.intent_count++] = (struct head_intent){
		c->header.id, wall_day(c->start), c->table.session, c->header.lane};
	footage_store_head(s);
}

void footage_store_record(struct footage_store *s, const struct index_record *r)
{
	char name[STORE_NAME_MAX + 1], text[33];
	size_t len = 0;
	index_partition_name(name, s->stream, wall_day(r->start));
	const uint8_t *old = store_model_exists(s->model, STORE_META, name)
				     ? store_model_bytes(s->model, STORE_META, name, &len)
				     : NULL;
	uint8_t *body = malloc(len + INDEX_RECORD_SIZE);
	CHECK(body);
	if (len)
		memcpy(body, old, len);
	index_record_encode(r, body + len);
	store_model_put(s->model, STORE_META, name, body, len + INDEX_RECORD_SIZE);
	const struct index_version v = {s->epoch, len / INDEX_RECORD_SIZE + 1};
	index_version_format(&v, text);
	store_model_put_attr(s->model, STORE_META, name, ATTR_VER, text);
	free(body);
}

void footage_store_chunk(struct footage_store *s, const struct footage_chunk *c)
{
	footage_store_object(s, c);
	footage_store_record(s, &c->record);
}

void footage_store_days(struct footage_store *s, const int32_t *days, size_t count)
{
	struct index_days d = {0};
	struct buf *buf = NULL;
	char name[STORE_NAME_MAX + 1], text[33];
	for (size_t i = 0; i < count; i++)
		CHECK(index_days_put(&d, days[i]));
	CHECK(index_days_encode(&d, &buf) == 0);
	index_days_name(name, s->stream);
	store_model_put(s->model, STORE_META, name, buf->data, buf->len);
	const struct index_version v = {s->epoch, 1};
	index_version_format(&v, text);
	store_model_put_attr(s->model, STORE_META, name, ATTR_VER, text);
	buf_unref(&buf);
	index_days_fini(&d);
}

struct footage_cost footage_store_cost(struct footage_store *s)
{
	struct footage_cost cost = {0};
	for (int pool = 0; pool < store_pool_count(s->store); pool++) {
		struct store_counters *c = &s->store->counters[pool];
		*(pool == STORE_META ? &cost.meta_reads : &cost.data_reads) += c->reads;
		cost.lists += c->lists;
		cost.writes += c->writes + c->removes;
		cost.bytes_read += c->bytes_read;
		*c = (struct store_counters){0};
	}
	return cost;
}
