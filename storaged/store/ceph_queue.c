/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/ceph_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Each lane has half of what is allowed altogether. The bytes bound what librados copies: it holds
 * a second copy of every body in flight. */
#define LANE_OPS_MAX   (CEPH_IN_FLIGHT_OPS_MAX / 2)
#define LANE_BYTES_MAX (CEPH_IN_FLIGHT_BYTES_MAX / 2)

#define RECONNECT_FIRST_NS (NS_PER_SECOND / 2)
#define RECONNECT_LAST_NS  (10 * NS_PER_SECOND)

enum { LANE_META, LANE_DATA, LANES };

struct lane {
	struct list waiting;
	size_t ops, bytes; /* in flight */
};

struct ceph_queue {
	const struct ceph_settings *settings;
	uint32_t alignment[STORE_POOLS_MAX];
	pthread_t thread;
	bool thread_started;
	pthread_cond_t wake; /* the thread's */
	pthread_mutex_t lock;
	/* under the lock */
	struct lane lanes[LANES];
	struct ceph_conn *conn; /* NULL between connections */
	struct list retired;    /* connections that were lost, while something still uses them */
	struct mono reconnect_at;
	int64_t reconnect_delay_ns;
	bool sleeping, closing;
	int health;
	char health_words[256];
};

/* The clock of loops: it counts suspension. */
static struct mono now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (struct mono){t.tv_sec * NS_PER_SECOND + t.tv_nsec};
}

static struct lane *lane_of(struct ceph_queue *q, const struct ceph_op *op)
{
	return &q->lanes[op->pool == STORE_META ? LANE_META : LANE_DATA];
}

static void wake(struct ceph_queue *q)
{
	if (q->sleeping)
		pthread_cond_signal(&q->wake);
}

void ceph_queue_submit(struct ceph_queue *q, struct ceph_op *op)
{
	op->queue = q;
	pthread_mutex_lock(&q->lock);
	list_append(&lane_of(q, op)->waiting, &op->node);
	wake(q);
	pthread_mutex_unlock(&q->lock);
}

void ceph_queue_withdraw(struct ceph_queue *q, const void *owner, struct list *ret_ops)
{
	pthread_mutex_lock(&q->lock);
	for (int i = 0; i < LANES; i++) {
		list_each_safe (node, &q->lanes[i].waiting) {
			struct ceph_op *op = list_entry(node, struct ceph_op, node);
			/* one that was asked before has been sent: its next step will be, too */
			if (op->owner != owner || op->conn)
				continue;
			list_remove(node);
			list_append(ret_ops, node);
		}
	}
	pthread_mutex_unlock(&q->lock);
}

/* The connection will not be used any more; it is closed when nothing is in flight on it. */
static void retire(struct ceph_queue *q, struct ceph_conn *conn)
{
	if (conn != q->conn)
		return;
	q->conn = NULL;
	list_append(&q->retired, &conn->node);
	q->reconnect_at = now();
	q->reconnect_delay_ns = RECONNECT_FIRST_NS;
	q->health = -ESHUTDOWN;
	(void)snprintf(q->health_words, sizeof(q->health_words),
		"the Ceph cluster has blocklisted this daemon; connecting anew");
}

/* On a thread of librados: `op` has its answer. As soon as the connection has no users it may be
 * closed, which waits for the return of this. */
static void answered(struct ceph_op *op, int rc)
{
	struct ceph_queue *q = op->queue;
	struct lane *lane = lane_of(q, op);
	struct ceph_conn *conn = op->conn;
	size_t cost = op->cost_bytes;
	int status = 0;
	bool settled = ceph_op_answered(op, rc, &status);
	if (settled)
		op->finished(op, status);
	pthread_mutex_lock(&q->lock);
	lane->ops--;
	lane->bytes -= cost;
	if (rc == -ESHUTDOWN || rc == -ENOTCONN)
		retire(q, conn);
	if (!settled)
		list_prepend(&lane->waiting, &op->node);
	conn->users--;
	wake(q);
	pthread_mutex_unlock(&q->lock);
}

static bool too_old(const struct ceph_op *op)
{
	return now().ns - op->asked_at.ns > CEPH_QUEUE_AGE_MAX_NS;
}

/* Takes what may be sent now into `batch`, counting it as in flight, and what is too old into
 * `old`. */
static void take(struct ceph_queue *q, struct lane *lane, struct list *batch, struct list *old)
{
	while (!list_empty(&lane->waiting)) {
		struct ceph_op *op = list_entry(lane->waiting.next, struct ceph_op, node);
		if (too_old(op)) {
			list_remove(&op->node);
			list_append(old, &op->node);
			continue;
		}
		/* something larger than the limit goes alone */
		bool room =
			lane->ops == 0 || (lane->ops < LANE_OPS_MAX &&
						  lane->bytes + op->cost_bytes <= LANE_BYTES_MAX);
		if (!q->conn || !room)
			return;
		list_remove(&op->node);
		list_append(batch, &op->node);
		op->conn = q->conn;
		lane->ops++;
		lane->bytes += op->cost_bytes;
		q->conn->users++;
	}
}

/* Without the lock: librados copies bodies here, and may block. */
static void send_batch(struct list *batch)
{
	for (struct list *node; (node = list_pop(batch));) {
		struct ceph_op *op = list_entry(node, struct ceph_op, node);
		int rc = ceph_conn_ask(op->conn, op, answered);
		if (rc)
			answered(op, rc);
	}
}

static void expire(struct list *old)
{
	for (struct list *node; (node = list_pop(old));) {
		struct ceph_op *op = list_entry(node, struct ceph_op, node);
		op->finished(op, -ETIMEDOUT);
	}
}

/* A connection that nobody uses any more, taken out of the retired ones; or NULL. */
static struct ceph_conn *unused_connection(struct ceph_queue *q)
{
	list_each (node, &q->retired) {
		struct ceph_conn *conn = list_entry(node, struct ceph_conn, node);
		if (conn->users)
			continue;
		list_remove(node);
		return conn;
	}
	return NULL;
}

/* Called and returns with the lock held, which is given up meanwhile. */
static void reconnect(struct ceph_queue *q)
{
	struct ceph_conn *conn = NULL;
	char words[sizeof(q->health_words)] = "";
	pthread_mutex_unlock(&q->lock);
	int rc = ceph_conn_open(q->settings, &conn, words, sizeof(words));
	pthread_mutex_lock(&q->lock);
	q->conn = conn;
	q->health = rc;
	memcpy(q->health_words, words, sizeof(words));
	q->reconnect_at = mono_add_ns(now(), q->reconnect_delay_ns);
	q->reconnect_delay_ns *= 2;
	if (q->reconnect_delay_ns > RECONNECT_LAST_NS)
		q->reconnect_delay_ns = RECONNECT_LAST_NS;
}

/* Waits until there may be something to do. While something is stuck, the time passing is enough.
 * / */
static void sleep_until_woken(struct ceph_queue *q)
{
	bool stuck = !q->conn;
	for (int i = 0; i < LANES; i++)
		stuck |= !list_empty(&q->lanes[i].waiting);
	q->sleeping = true;
	if (stuck) {
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += RECONNECT_FIRST_NS;
		t.tv_sec += t.tv_nsec / NS_PER_SECOND;
		t.tv_nsec %= NS_PER_SECOND;
		(void)pthread_cond_timedwait(&q->wake, &q->lock, &t); /* both ends are fine */
	} else {
		pthread_cond_wait(&q->wake, &q->lock);
	}
	q->sleeping = false;
}

static bool idle(const struct ceph_queue *q)
{
	return list_empty(&q->retired) && (!q->conn || !q->conn->users);
}

/* One round of the thread's work, with the lock held at both ends. False when there was none. */
static bool work(struct ceph_queue *q)
{
	struct ceph_conn *unused = unused_connection(q);
	struct list batch, old;
	list_init(&batch);
	list_init(&old);
	for (int i = 0; i < LANES; i++)
		take(q, &q->lanes[i], &batch, &old);
	if (unused || !list_empty(&batch) || !list_empty(&old)) {
		pthread_mutex_unlock(&q->lock);
		send_batch(&batch);
		expire(&old);
		ceph_conn_close(&unused);
		pthread_mutex_lock(&q->lock);
		return true;
	}
	if (!q->conn && !q->closing && now().ns >= q->reconnect_at.ns) {
		reconnect(q);
		return true;
	}
	return false;
}

static void *run(void *arg)
{
	struct ceph_queue *q = arg;
	pthread_mutex_lock(&q->lock);
	while (!q->closing || !idle(q))
		if (!work(q))
			sleep_until_woken(q);
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static int start_thread(struct ceph_queue *q, char *why, size_t why_size)
{
	int rc = -pthread_create(&q->thread, NULL, run, q);
	q->thread_started = !rc;
	if (!rc)
		(void)pthread_setname_np(q->thread, "store-submit"); /* for people's eyes alone */
	if (rc)
		(void)snprintf(why, why_size, "no thread for Ceph: %s", strerror(-rc));
	return rc;
}

int ceph_queue_open(const struct ceph_settings *settings, struct ceph_queue **ret_queue, char *why,
	size_t why_size)
{
	struct ceph_queue *q = calloc(1, sizeof(*q));
	if (!q) {
		(void)snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	q->settings = settings;
	list_init(&q->retired);
	for (int i = 0; i < LANES; i++)
		list_init(&q->lanes[i].waiting);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&q->lock, NULL);
	int rc = ceph_conn_open(settings, &q->conn, why, why_size);
	/* once: an operator who lowers it for a repair must not lock out those that reconnect */
	if (!rc)
		rc = ceph_conn_check_copies(q->conn, why, why_size);
	if (!rc) {
		memcpy(q->alignment, q->conn->alignment, sizeof(q->alignment));
		rc = start_thread(q, why, why_size);
	}
	if (rc)
		ceph_queue_close(&q);
	else
		*ret_queue = q;
	return rc;
}

void ceph_queue_close(struct ceph_queue **slot)
{
	struct ceph_queue *q = *slot;
	*slot = NULL;
	if (!q)
		return;
	if (q->thread_started) {
		pthread_mutex_lock(&q->lock);
		q->closing = true;
		wake(q);
		pthread_mutex_unlock(&q->lock);
		pthread_join(q->thread, NULL);
	}
	for (int i = 0; i < LANES; i++)
		CHECK(list_empty(&q->lanes[i].waiting));
	ceph_conn_close(&q->conn);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

struct ceph_conn *ceph_queue_borrow(struct ceph_queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct ceph_conn *conn = q->conn;
	if (conn)
		conn->users++;
	pthread_mutex_unlock(&q->lock);
	return conn;
}

void ceph_queue_return(struct ceph_queue *q, struct ceph_conn *conn)
{
	pthread_mutex_lock(&q->lock);
	conn->users--;
	wake(q);
	pthread_mutex_unlock(&q->lock);
}

uint32_t ceph_queue_alignment(const struct ceph_queue *q, int pool)
{
	return q->alignment[pool];
}

int ceph_queue_health(struct ceph_queue *q, char *why, size_t why_size)
{
	pthread_mutex_lock(&q->lock);
	int rc = q->health;
	if (rc)
		(void)snprintf(why, why_size, "%s", q->health_words);
	pthread_mutex_unlock(&q->lock);
	return rc;
}
