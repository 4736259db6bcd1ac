/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>

void loop_init(struct loop *loop, const struct loop_ops *ops)
{
	*loop = (struct loop){.ops = ops};
	list_init(&loop->ready);
}

void loop_fini(struct loop *loop)
{
	for (uint32_t i = 0; i < loop->heap_len; i++)
		loop->heap[i]->heap_index = 0;
	free(loop->heap);
	loop->heap = NULL;
	loop->heap_len = loop->heap_size = 0;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	list_append(&loop->ready, &task->node);
	loop->ops->rearm(loop);
}

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->deadline.ns != b->deadline.ns ? a->deadline.ns < b->deadline.ns
						: a->order < b->order;
}

static void place(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
	loop->heap[index] = timer;
	timer->heap_index = index + 1;
}

static void sift_up(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
	for (; index; index = (index - 1) / 2) {
		struct loop_timer *parent = loop->heap[(index - 1) / 2];
		if (!earlier(timer, parent))
			break;
		place(loop, index, parent);
	}
	place(loop, index, timer);
}

static void sift_down(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
	for (;;) {
		uint32_t child = 2 * index + 1;
		if (child >= loop->heap_len)
			break;
		if (child + 1 < loop->heap_len && earlier(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!earlier(loop->heap[child], timer))
			break;
		place(loop, index, loop->heap[child]);
		index = child;
	}
	place(loop, index, timer);
}

int loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ns)
{
	loop_timer_stop(timer);
	if (loop->heap_len == loop->heap_size) {
		uint32_t size = loop->heap_size ? 2 * loop->heap_size : 64;
		struct loop_timer **heap = realloc(loop->heap, size * sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		loop->heap = heap;
		loop->heap_size = size;
	}
	timer->loop = loop;
	struct mono now = loop_now(loop);
	if (delay_ns > INT64_MAX - now.ns)
		delay_ns = INT64_MAX - now.ns; /* for ever */
	timer->deadline = mono_add_ns(now, delay_ns > 0 ? delay_ns : 0);
	timer->order = loop->order++;
	sift_up(loop, loop->heap_len++, timer);
	if (timer->heap_index == 1)
		loop->ops->rearm(loop);
	return 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (!timer->heap_index)
		return;
	struct loop *loop = timer->loop;
	uint32_t index = timer->heap_index - 1;
	timer->heap_index = 0;
	struct loop_timer *last = loop->heap[--loop->heap_len];
	if (last == timer)
		return;
	if (index && earlier(last, loop->heap[(index - 1) / 2]))
		sift_up(loop, index, last);
	else
		sift_down(loop, index, last);
}

bool loop_next_deadline(const struct loop *loop, struct mono *ret_deadline)
{
	if (!loop->heap_len)
		return false;
	*ret_deadline = loop->heap[0]->deadline;
	return true;
}

bool loop_run_due(struct loop *loop)
{
	/* only what is ready now: a task that defers itself waits for the next turn, so that input
	 * is not starved */
	struct list batch;
	list_init(&batch);
	list_splice(&batch, &loop->ready);
	for (struct list *node; (node = list_pop(&batch));) {
		struct loop_task *task = list_entry(node, struct loop_task, node);
		task->run(task);
	}
	struct mono now = loop_now(loop);
	uint64_t order = loop->order; /* a timer armed by another's firing waits as well */
	while (loop->heap_len && loop->heap[0]->deadline.ns <= now.ns &&
		loop->heap[0]->order < order) {
		struct loop_timer *timer = loop->heap[0];
		loop_timer_stop(timer);
		timer->fire(timer);
	}
	return !list_empty(&loop->ready);
}
