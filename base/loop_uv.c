/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop_uv.h"

#include <sys/random.h>
#include <time.h>

static struct loop_uv *self(struct loop *loop)
{
	return container_of(loop, struct loop_uv, loop);
}

static struct mono now(struct loop *loop)
{
	(void)loop;
	/* boottime counts suspension: an operation decided before a suspend must be seen as old
	 * after it */
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (struct mono){t.tv_sec * NS_PER_SECOND + t.tv_nsec};
}

static struct wall wall(struct loop *loop)
{
	(void)loop;
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct wall){t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000};
}

/* splitmix64 (Steele, Lea, Flood 2014) from a seed of the kernel's. */
static uint64_t random64(struct loop *loop)
{
	uint64_t z = self(loop)->random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void rearm(struct loop *loop);

static void turn(struct loop_uv *l)
{
	loop_run_due(&l->loop);
	rearm(&l->loop);
}

static void on_timer(uv_timer_t *timer)
{
	turn(container_of(timer, struct loop_uv, timer));
}

static void on_idle(uv_idle_t *idle)
{
	turn(container_of(idle, struct loop_uv, idle));
}

static void rearm(struct loop *loop)
{
	struct loop_uv *l = self(loop);
	/* with tasks ready the next turn comes at once, looks at the timers, and plans what comes
	 * after it */
	if (!list_empty(&loop->ready)) {
		uv_idle_start(&l->idle, on_idle);
		return;
	}
	uv_idle_stop(&l->idle);
	struct mono deadline;
	if (loop_next_deadline(loop, &deadline)) {
		int64_t wait_ns = deadline.ns - now(loop).ns;
		uint64_t wait_ms =
			wait_ns > 0 ? (uint64_t)((wait_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
		uv_update_time(&l->uv);
		uv_timer_start(&l->timer, on_timer, wait_ms, 0);
	} else {
		uv_timer_stop(&l->timer);
	}
}

static void post(struct loop *loop, struct loop_task *task)
{
	struct loop_uv *l = self(loop);
	pthread_mutex_lock(&l->lock);
	list_append(&l->mailbox, &task->node);
	pthread_mutex_unlock(&l->lock);
	uv_async_send(&l->doorbell);
}

/* Rings coalesce: whatever is in the mailbox is taken at once. */
static void on_doorbell(uv_async_t *doorbell)
{
	struct loop_uv *l = container_of(doorbell, struct loop_uv, doorbell);
	pthread_mutex_lock(&l->lock);
	list_splice(&l->loop.ready, &l->mailbox);
	pthread_mutex_unlock(&l->lock);
	turn(l);
}

int loop_uv_init(struct loop_uv *l)
{
	static const struct loop_ops ops = {
		.now = now, .wall = wall, .random = random64, .rearm = rearm, .post = post};
	int rc = uv_loop_init(&l->uv);
	if (rc)
		return rc;
	loop_init(&l->loop, &ops);
	list_init(&l->mailbox);
	pthread_mutex_init(&l->lock, NULL);
	/* these three cannot fail on an initialised loop but for the doorbell's descriptor */
	uv_timer_init(&l->uv, &l->timer);
	uv_idle_init(&l->uv, &l->idle);
	rc = uv_async_init(&l->uv, &l->doorbell, on_doorbell);
	if (!rc && getrandom(&l->random_state, sizeof(l->random_state), 0) < 0)
		l->random_state = (uint64_t)now(&l->loop).ns;
	if (rc) {
		uv_loop_close(&l->uv);
		pthread_mutex_destroy(&l->lock);
	}
	return rc;
}

void loop_uv_run(struct loop_uv *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_uv_stop(struct loop_uv *l)
{
	uv_stop(&l->uv);
}

void loop_uv_fini(struct loop_uv *l)
{
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_close((uv_handle_t *)&l->doorbell, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&l->uv) == 0);
	pthread_mutex_destroy(&l->lock);
	loop_fini(&l->loop);
}
