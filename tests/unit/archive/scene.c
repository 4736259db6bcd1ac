/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void scene_start(struct scene *s, const struct store_model_options *options)
{
	*s = (struct scene){0};
	rig_start(&s->rig, 1, options);
	s->node = rig_node_start(&s->rig);
	s->recorder = rig_recorder(&s->rig, STREAM, LANE_LIVE, 0x51);
}

void scene_go(struct scene *s)
{
	recorder_go(s->recorder, s->node);
	assert_true(recorder_wait_open(s->recorder, 10 * NS_PER_SECOND));
}

/* The recorders stop, everything becomes durable, the daemon ends; what is there then is in
 * s->found. */
void scene_rest(struct scene *s)
{
	for (unsigned i = 0; i < s->rig.recorder_count; i++) {
		s->rig.recorders[i].running = false;
		assert_true(recorder_drain(&s->rig.recorders[i], 60 * NS_PER_SECOND));
	}
	rig_node_stop(s->node);
	oracle_demand_rest(&s->rig, STREAM);
	oracle_fini(&s->found);
	assert_true(oracle_read(&s->found, &s->rig, STREAM));
}

void scene_end(struct scene *s)
{
	oracle_fini(&s->found);
	rig_end(&s->rig);
}

struct writer_session *session_of(struct recorder *r)
{
	assert_true(r->connection && r->connection->open);
	return &r->connection->session;
}

int scene_append(struct recorder *r, struct footage *f, uint16_t flags)
{
	struct fragment_header h;
	f->flags |= flags;
	struct buf *body = footage_fragment(f, &h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	int rc = writer_append(session_of(r), &h, &slice, h.capture);
	slice_drop(&slice);
	return rc;
}
