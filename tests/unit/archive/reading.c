/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/archive/reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_closed(struct loop_task *task)
{
	container_of(task, struct reading, closed)->is_closed = true;
}

void reading_open(struct reading *x)
{
	const struct reader_config config = {.loop = &x->s.loop.loop, .store = x->s.store};
	assert_int_equal(reader_new(&config, &x->reader), 0);
}

void reading_close(struct reading *x)
{
	x->closed.run = on_closed;
	x->is_closed = false;
	reader_free(&x->reader, &x->closed);
	footage_store_wait(&x->s, &x->is_closed);
}

int reading_setup(void **state)
{
	struct reading *x = calloc(1, sizeof(*x));
	footage_store_open(&x->s, STREAM);
	footage_start(&x->f, STREAM, true);
	reading_open(x);
	*state = x;
	return 0;
}

int reading_teardown(void **state)
{
	struct reading *x = *state;
	reading_close(x);
	footage_store_close(&x->s);
	free(x);
	return 0;
}

void reading_on_view(struct reader_view *req)
{
	struct reading_question *q = container_of(req, struct reading_question, req);
	assert_false(q->told);
	assert_true((req->status == 0) == (req->view != NULL));
	q->told = true;
}

struct view *reading_ask(
	struct reading *x, int64_t from_s, int64_t to_s, struct writer *writer, int *ret_status)
{
	struct reading_question q = {.req.done = reading_on_view};
	reader_view(x->reader, &q.req, STREAM, (struct wall){FOOTAGE_START_US + from_s * S},
		(struct wall){FOOTAGE_START_US + to_s * S}, writer);
	assert_false(q.told);
	footage_store_wait(&x->s, &q.told);
	*ret_status = q.req.status;
	return q.req.view;
}

const char *reading_words(const struct view *v)
{
	static char text[2000];
	static const char letter[GAP_CAUSES] = "-ucnrftxd";
	struct view_span *spans = NULL;
	size_t count = 0;
	text[0] = 0;
	assert_int_equal(view_spans(v, &spans, &count), 0);
	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%g-%g ",
			(double)(spans[i].start.us - FOOTAGE_START_US) / 1e6,
			(double)(spans[i].end.us - FOOTAGE_START_US) / 1e6);
	for (size_t i = 0; i < v->gap_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%g-%g%c ",
			(double)(v->gaps[i].from.us - FOOTAGE_START_US) / 1e6,
			(double)(v->gaps[i].to.us - FOOTAGE_START_US) / 1e6,
			letter[v->gaps[i].cause]);
	if (text[0])
		text[strlen(text) - 1] = 0;
	free(spans);
	return text;
}

void reading_expect(struct reading *x, int64_t from_s, int64_t to_s, const char *want)
{
	int status;
	struct view *v = reading_ask(x, from_s, to_s, NULL, &status);
	assert_int_equal(status, 0);
	assert_string_equal(reading_words(v), want);
	view_free(&v);
}

void reading_record(struct reading *x)
{
	struct footage_chunk c;
	for (uint32_t seq = 1; seq <= 3; seq++) {
		struct gap gap = {{x->f.at.us}, {0}, seq == 3 ? GAP_CAMERA_OFF : GAP_NONE};
		if (seq == 3)
			x->f.at.us += 20 * S;
		footage_chunk_begin(&c, &x->f, 3, seq);
		c.header.gap_before = gap;
		for (int i = 0; i < 10; i++)
			footage_chunk_add(&c, &x->f, GAP_NONE);
		footage_chunk_seal(&c, CHUNK_END_FULL, NULL);
		footage_store_chunk(&x->s, &c);
		footage_chunk_fini(&c);
	}
	footage_store_head(&x->s);
}

void reading_on_days(struct reader_days *req)
{
	container_of(req, struct reading_days_question, req)->told = true;
}
