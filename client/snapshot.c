/* SPDX-License-Identifier: Apache-2.0 */
#include "client/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

#define CHUNKS_MAX 20000

struct taking {
	struct ask ask;
	struct snapshot s;
};

void snapshot_fini(struct snapshot *s)
{
	for (size_t i = 0; i < s->chunk_count; i++) {
		buf_unref(&s->chunks[i].init);
		chunk_table_fini(&s->chunks[i].table);
	}
	free(s->chunks);
	free(s->gaps);
	*s = (struct snapshot){0};
}

static int add_chunk(
	struct snapshot *s, const Steppe__Wire__SnapshotChunk *m, const struct slice *body)
{
	if (m->index != s->chunk_count || m->init_len == 0 || m->init_len > FRAGMENT_INIT_MAX ||
		m->init_len > body->len)
		return ERR_FORMAT;
	if (!m->name || strlen(m->name) > SNAPSHOT_NAME_MAX)
		return ERR_FORMAT;
	if (s->chunk_count == CHUNKS_MAX)
		return ERR_LIMIT;
	if (s->chunk_count == s->chunk_room) {
		size_t room = s->chunk_room ? 2 * s->chunk_room : 16;
		struct snapshot_chunk *chunks = realloc(s->chunks, room * sizeof(*chunks));
		if (!chunks)
			return -ENOMEM;
		s->chunks = chunks;
		s->chunk_room = room;
	}
	struct snapshot_chunk *c = &s->chunks[s->chunk_count++];
	*c = (struct snapshot_chunk){.epoch = m->epoch};
	memcpy(c->name, m->name, strlen(m->name) + 1);
	c->init = buf_copy(body->data, m->init_len);
	if (!c->init)
		return -ENOMEM;
	return chunk_table_decode(&c->table, body->data + m->init_len, body->len - m->init_len);
}

static int on_chunk(struct snapshot *s, const struct frame *frame)
{
	Steppe__Wire__SnapshotChunk *m =
		steppe__wire__snapshot_chunk__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!m)
		return ERR_FORMAT;
	/* a question asked again after the channel was lost begins anew */
	if (m->index == 0)
		snapshot_fini(s);
	int rc = add_chunk(s, m, &frame->body);
	steppe__wire__snapshot_chunk__free_unpacked(m, NULL);
	return rc;
}

static int take_end(struct snapshot *s, const Steppe__Wire__SnapshotEnd *m)
{
	if (m->chunks != s->chunk_count || m->id.len == 0 || m->id.len > sizeof(s->id))
		return ERR_FORMAT;
	s->gaps = calloc(m->n_gaps + 1, sizeof(*s->gaps));
	if (!s->gaps)
		return -ENOMEM;
	memcpy(s->id, m->id.data, m->id.len);
	s->id_len = m->id.len;
	s->expires_us = m->expires_us;
	for (size_t i = 0; i < m->n_gaps; i++)
		s->gaps[s->gap_count++] = (struct steppe_gap_span){
			.start_us = m->gaps[i]->start_us,
			.end_us = m->gaps[i]->end_us,
			.cause = (int)m->gaps[i]->cause,
		};
	return 1;
}

static int on_answer(struct ask *ask, const struct frame *frame)
{
	struct taking *t = container_of(ask, struct taking, ask);
	if (frame->header.type == FRAME_SNAPSHOT_CHUNK)
		return on_chunk(&t->s, frame);
	if (frame->header.type != FRAME_SNAPSHOT_END)
		return ERR_FORMAT;
	Steppe__Wire__SnapshotEnd *m =
		steppe__wire__snapshot_end__unpack(NULL, frame->header.meta_len, frame->meta);
	if (!m)
		return ERR_FORMAT;
	snprintf(t->s.daemon, sizeof(t->s.daemon), "%s", ask_daemon(ask));
	int rc = take_end(&t->s, m);
	steppe__wire__snapshot_end__free_unpacked(m, NULL);
	return rc;
}

int snapshot_take(struct core *core, const struct snapshot_query *q, struct snapshot *ret_snapshot)
{
	Steppe__Wire__Snapshot m = STEPPE__WIRE__SNAPSHOT__INIT;
	/* the generated structure has no const, packing does not write */
	m.stream = (char *)q->stream;
	m.from_us = q->from_us;
	m.to_us = q->to_us;
	m.purpose = (char *)(q->purpose ? q->purpose : "");
	m.case_id = (char *)(q->case_id ? q->case_id : "");
	struct taking t = {0};
	t.ask = (struct ask){
		.type = FRAME_SNAPSHOT,
		.meta = &m.base,
		.camera = q->camera,
		.any = &m.any,
		.answer = on_answer,
	};
	int rc = ask_wait(core, &t.ask);
	if (rc < 0)
		snapshot_fini(&t.s);
	else
		*ret_snapshot = t.s;
	return rc;
}

bool snapshot_same_fragment(
	const struct snapshot_chunk *a, uint32_t fragment, const struct snapshot_chunk *b)
{
	if (fragment >= a->table.fragment_count || fragment >= b->table.fragment_count)
		return false;
	const struct table_fragment *x = &a->table.fragments[fragment],
				    *y = &b->table.fragments[fragment];
	return x->seq == y->seq && x->offset == y->offset && x->body_len == y->body_len &&
	       memcmp(x->digest, y->digest, sizeof(x->digest)) == 0;
}
