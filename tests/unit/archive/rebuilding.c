/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/rebuilding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_finding(struct rebuilding_desk *x, const struct fsck_finding *finding)
{
	char stream[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	size_t len = strlen(x->findings);
	const char *mark = finding->repaired ? "" : "!";
	if (chunk_name_parse(finding->object, stream, &id) == 0)
		snprintf(x->findings + len, sizeof(x->findings) - len, "%u: %s%s; ", id.seq,
			finding->what, mark);
	else
		snprintf(x->findings + len, sizeof(x->findings) - len, "%s%s; ", finding->what,
			mark);
}

static void on_finding(struct rebuild *r, const struct fsck_finding *finding)
{
	add_finding(container_of(r, struct rebuilding_desk, rebuild), finding);
}

static void on_done(struct rebuild *r)
{
	struct rebuilding_desk *x = container_of(r, struct rebuilding_desk, rebuild);
	assert_false(x->done);
	x->done = true;
}

void rebuilding_start(struct rebuilding_desk *x)
{
	x->findings[0] = 0;
	x->done = false;
	x->rebuild = (struct rebuild){
		.loop = &x->s.loop.loop,
		.store = x->s.store,
		.stream = STREAM,
		.owner = "fsck:77",
		.finding = on_finding,
		.done = on_done,
	};
	rebuild_start(&x->rebuild);
	assert_false(x->done);
}

const char *rebuilding_run(struct rebuilding_desk *x)
{
	rebuilding_start(x);
	footage_store_wait(&x->s, &x->done);
	return x->findings;
}

static void on_fsck_finding(struct fsck *f, const struct fsck_finding *finding)
{
	add_finding(container_of(f, struct rebuilding_desk, fsck), finding);
}

static void on_fsck_done(struct fsck *f)
{
	container_of(f, struct rebuilding_desk, fsck)->done = true;
}

const char *rebuilding_check(struct rebuilding_desk *x)
{
	x->findings[0] = 0;
	x->done = false;
	x->fsck = (struct fsck){
		.loop = &x->s.loop.loop,
		.store = x->s.store,
		.stream = STREAM,
		.level = PROBE_DEEP,
		.list = true,
		.finding = on_fsck_finding,
		.done = on_fsck_done,
	};
	fsck_start(&x->fsck);
	footage_store_wait(&x->s, &x->done);
	assert_int_equal(x->fsck.status, 0);
	return x->findings;
}

/* Chunks of two epochs over midnight, one after a hole, one with a hole inside, one overlapping,
 * chained. */
int rebuilding_setup(void **state)
{
	struct rebuilding_desk *x = calloc(1, sizeof(*x));
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	footage_store_open(&x->s, STREAM);
	footage_start(&x->f, STREAM, true);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct footage_chunk *c = &x->chunks[i];
		struct gap gap = {x->f.at, {0}, i == 3 ? GAP_CAMERA_OFF : GAP_NONE};
		if (i == 3)
			x->f.at.us += 10800 * US_PER_SECOND;
		if (i == 2)
			x->f.at.us -= 2 * US_PER_SECOND;
		gap.to = x->f.at;
		footage_chunk_begin(c, &x->f, i < 2 ? 2 : 3, i + 1);
		c->header.gap_before = gap;
		/* the header is in the bytes already */
		struct buf *head = NULL;
		assert_int_equal(chunk_head_build(&c->header, c->bytes, c->init_len, &head), 0);
		memcpy(c->bytes, head->data, head->len);
		buf_unref(&head);
		for (int k = 0; k < 6; k++) {
			if (i == 1 && k == 3)
				x->f.at.us += 7 * US_PER_SECOND;
			footage_chunk_add(c, &x->f, i == 1 && k == 3 ? GAP_NETWORK : GAP_NONE);
		}
		footage_chunk_seal(c, i == 1 ? CHUNK_END_RECOVERED : CHUNK_END_FULL,
			i ? x->chunks[i - 1].seal.digest : NULL);
		if (i == 2)
			c->record.flags |= INDEX_OVERLAP;
		footage_store_chunk(&x->s, c);
	}
	x->s.head.sessions[x->s.head.session_count++] = (struct head_session){
		x->f.session, x->f.seq, x->chunks[CHUNKS - 1].seal.end, false};
	x->s.head.last_chunk = x->chunks[CHUNKS - 1].header.id;
	memcpy(x->s.head.last_digest, x->chunks[CHUNKS - 1].seal.digest, DIGEST_SIZE);
	x->s.head.last_end = x->chunks[CHUNKS - 1].seal.end;
	footage_store_head(&x->s);
	footage_store_days(&x->s, (const int32_t[]){today, today + 1}, 2);
	*state = x;
	return 0;
}

int rebuilding_teardown(void **state)
{
	struct rebuilding_desk *x = *state;
	for (int i = 0; i < CHUNKS; i++)
		footage_chunk_fini(&x->chunks[i]);
	footage_store_close(&x->s);
	free(x);
	return 0;
}

const char *rebuilding_partition(int day)
{
	static char name[STORE_NAME_MAX + 1];
	index_partition_name(name, STREAM, wall_day((struct wall){FOOTAGE_START_US}) + day);
	return name;
}

const char *rebuilding_head_of(void)
{
	static char name[STORE_NAME_MAX + 1];
	head_name(name, STREAM);
	return name;
}

const char *rebuilding_days_of(void)
{
	static char name[STORE_NAME_MAX + 1];
	index_days_name(name, STREAM);
	return name;
}

void rebuilding_lose(struct rebuilding_desk *x, const char *name)
{
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
}

struct rebuilding_copy rebuilding_copy_of(struct rebuilding_desk *x, const char *name)
{
	struct rebuilding_copy c;
	const uint8_t *bytes = store_model_bytes(x->s.model, STORE_META, name, &c.len);
	assert_non_null(bytes);
	c.data = malloc(c.len + 1);
	memcpy(c.data, bytes, c.len);
	return c;
}

void rebuilding_assert_as_before(
	struct rebuilding_desk *x, const char *name, struct rebuilding_copy *before)
{
	size_t len;
	const uint8_t *bytes = store_model_bytes(x->s.model, STORE_META, name, &len);
	assert_non_null(bytes);
	assert_int_equal(len, before->len);
	assert_memory_equal(bytes, before->data, len);
	free(before->data);
}

void rebuilding_assert_attr(
	struct rebuilding_desk *x, const char *name, const char *attr, const char *want)
{
	size_t len;
	const void *value = store_model_attr(x->s.model, STORE_META, name, attr, &len);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(value, want, len);
}
