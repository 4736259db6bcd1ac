/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody's heartbeat, read once for whoever asks for status. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storaged/ownership/members_impl.h"

struct survey {
	struct members *members;
	struct members_survey *req;
	struct loop_task task;
	size_t left;
	struct survey_read {
		struct store_read read;
		struct survey *survey;
		size_t index;
	} reads[];
};

static void answer(struct survey *s)
{
	struct members_survey *req = s->req;
	struct members *m = s->members;
	req->leader = m->config.alone ? m->config.node : m->leader_id;
	req->done(req);
	for (size_t i = 0; i < req->beat_count; i++)
		if (req->beats[i])
			steppe__wire__node_beat__free_unpacked(req->beats[i], NULL);
	free(req->beats);
	req->beats = NULL;
	free(s);
	members_end(m);
}

static void on_read(struct store_read *read)
{
	struct survey_read *r = container_of(read, struct survey_read, read);
	struct survey *s = r->survey;
	if (!read->status)
		s->req->beats[r->index] =
			steppe__wire__node_beat__unpack(NULL, read->body->len, read->body->data);
	store_read_release(read);
	if (--s->left == 0)
		answer(s);
}

/* Nobody else is there, and nothing was written. */
static void describe_self(struct survey *s)
{
	struct members *m = s->members;
	Steppe__Wire__NodeBeat beat;
	m->load = (struct members_load){0};
	if (m->config.ops->load)
		m->config.ops->load(m->config.owner, &m->load);
	members_describe(m, &beat);
	struct buf *b = members_pack(&beat.base, NODE_BEAT_SIZE);
	if (b)
		s->req->beats[0] = steppe__wire__node_beat__unpack(NULL, b->len, b->data);
	buf_unref(&b);
}

static void on_begin(struct loop_task *task)
{
	struct survey *s = container_of(task, struct survey, task);
	struct members *m = s->members;
	char name[STORE_NAME_MAX + 1];
	s->left = m->config.alone ? 0 : s->req->beat_count;
	if (!s->left) {
		if (m->config.alone && s->req->beat_count)
			describe_self(s);
		answer(s);
		return;
	}
	for (size_t i = 0; i < s->req->beat_count; i++) {
		struct survey_read *r = &s->reads[i];
		snprintf(name, sizeof(name), "node/%s", s->req->map->nodes[i].id);
		*r = (struct survey_read){.survey = s,
			.index = i,
			.read = {.done = on_read, .want_body = true, .len = BEAT_READ_MAX}};
		store_read(m->config.store, &r->read, STORE_META, name);
	}
}

static void on_refused(struct loop_task *task)
{
	struct members_survey *req = container_of(task, struct members_survey, task);
	req->done(req);
}

void members_survey(struct members *m, struct members_survey *req)
{
	size_t count = m->joined ? m->map->node_count : 0;
	req->beats = calloc(count + 1, sizeof(*req->beats));
	req->beat_count = count;
	req->leader = "";
	req->map = NULL;
	struct survey *s = calloc(1, sizeof(*s) + count * sizeof(s->reads[0]));
	req->status = s && req->beats && m->joined ? 0 : m->joined ? -ENOMEM : -ECANCELED;
	if (req->status) {
		free(req->beats);
		free(s);
		req->beats = NULL;
		req->beat_count = 0;
		req->task = (struct loop_task){.run = on_refused};
		loop_defer(m->config.loop, &req->task);
		return;
	}
	*s = (struct survey){.members = m, .req = req, .task = {.run = on_begin}};
	req->map = cluster_map_ref(m->map);
	members_begin(m);
	loop_defer(m->config.loop, &s->task);
}
