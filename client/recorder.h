/* SPDX-License-Identifier: Apache-2.0 */
/* A stream being recorded: samples in from any thread, fragments out to its daemon over every
 * failure, until it ends.
 *
 *	WAITING --channel--> OPENING --OPENED--> RECORDING --ended, all durable--> CLOSING
 * --CLOSED--> ENDED ^                    |                    |                               |
 *	   +--pause-- refused, lost, redirected <----+-------------------------------+--> ENDED
 *	any state --end, time is up--> ENDED, what is not durable goes to the spool
 *
 * Where a fragment goes is decided where decoding can begin, so that a group of pictures stays in
 * one lane: live while the stream is being recorded; held in memory for a moment when it is not;
 * and when that lasts, to the backfill lane's spool. docs/design/client.md.
 *
 * Split: recorder.c (life), recorder_lanes.c (decisions), recorder_inlet.c (any thread),
 * recorder_wire.c (frames), recorder_disk.c (spool). */
#pragma once

#include <pthread.h>

#include "client/core.h"
#include "client/fragmenter.h"
#include "client/lane.h"
#include "client/refused.h"
#include "client/spool.h"
#include "client/steppe.h"

enum recorder_state {
	RECORDER_WAITING,
	RECORDER_OPENING,
	RECORDER_RECORDING,
	RECORDER_CLOSING,
	RECORDER_ENDED
};

#define RECORDER_HOLD (-1) /* in place of a lane: not decided yet */

/* What any thread may touch, under the lock. */
struct recorder_inlet {
	pthread_mutex_t lock;
	struct fragmenter fragmenter;
	struct loop_task bell;      /* rung when something is made */
	bool rung, dead;            /* rung: the bell is on its way */
	uint64_t limit;             /* of memory */
	uint64_t held;              /* that the loop holds */
	bool dropping;              /* no room: until a sync sample finds some */
	enum steppe_gap drop_cause; /* what a hole made now is due to */
	int64_t drop_dts;           /* of the last dropped sample that was counted */
	uint64_t dropped;           /* about a fragment each */
	struct mono last_write;
	struct steppe_recorder_status status; /* a copy */
};

enum recorder_work { WORK_SAVE, WORK_TELL, WORK_APPEND, WORK_READ, WORK_DROP, WORK_SYNC };
#define RECORDER_BATCH 16

/* What the worker does next for this recorder; one thing at a time. */
struct recorder_disk {
	struct spool_dir dir; /* fd -1: no spool */
	struct spool *ring[LANES];
	struct spool_extent extent[LANES]; /* as of the last job */
	struct worker_job job;
	bool busy, failed, full;
	enum recorder_work work;
	unsigned lane;
	struct item *batch[RECORDER_BATCH];
	unsigned batch_count, batch_done;
	uint64_t number; /* read from, dropped to; then: read to, or which is damaged */
	uint64_t until;  /* read no further */
	uint64_t dropped[LANES];
	struct spool_state state; /* to be saved */
	bool state_dirty, unsynced;
	struct mono synced_at;
	int rc;
};

struct steppe_recorder {
	struct core *core;
	struct call call;
	struct exchange exchange;
	char stream[STREAM_NAME_MAX + 1], camera[CAMERA_ID_MAX + 1];
	uint64_t spool_limit;
	void (*changed)(void *user, const struct steppe_recorder_status *status);
	void (*durable)(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
		uint32_t duration_us, const uint8_t *digest);
	void *user;
	struct recorder_inlet inlet;

	/* loop thread from here on */
	enum recorder_state state;
	struct loop_timer pause, tick, deadline;
	struct lane lanes[LANES];
	struct list holding; /* fragments without a lane, from a sync one on */
	size_t holding_bytes;
	struct buf *init;         /* of the last fragment, or of the tracks at the start */
	int group_lane;           /* of the group of pictures that is coming in, or RECORDER_HOLD */
	bool spooling;            /* the outage lasts: to disk with everything */
	struct mono out_since;    /* not RECORDING since then */
	unsigned refusals;        /* in a row */
	uint64_t stuck_at[LANES]; /* where the daemon was when it refused for what it had got */
	unsigned stuck;
	uint8_t gap_cause; /* of a hole that is still open */
	int64_t gap_from_us;
	bool gap_told;
	bool channel_ready;      /* OPEN can be sent */
	struct mono answered_at; /* since then the daemon owes an answer, if it owes one */
	struct steppe_recorder_status status;
	struct recorder_disk disk;

	bool started, opened_once, ending;
	bool late;      /* the deadline has passed, or nothing more is to be waited for */
	bool refused;   /* ... because the daemon will not have it, however long one waits */
	bool confirmed; /* the daemon said CLOSED */
	int end_status;
	struct loop_task start, end;
	int end_timeout_ms;
	void (*closed)(void *user, int status);
	void *closed_user;
};

/* --- recorder.c --- */

/* Makes one; any thread. -EINVAL, -ENOMEM, or what opening the spool failed with (-EBUSY: another
 * recorder uses it). */
int recorder_new(struct core *core, const struct steppe_recorder_options *options,
	struct steppe_recorder **ret_recorder);
/* Loop thread: begins, in a later turn. */
void recorder_start(struct steppe_recorder *r);
/* As steppe_recorder_end, on the loop. */
void recorder_end(struct steppe_recorder *r, int timeout_ms, void (*closed)(void *user, int status),
	void *user);
/* Frees one that has ended or never began. */
void recorder_free(struct steppe_recorder **recorder);
/* Does what can be done now: decides lanes, sends, works the disk, ends. */
void recorder_step(struct steppe_recorder *r);
/* Leaves the connection behind: waits `pause_ns` (0: as the router does) and tries again. */
void recorder_retry(struct steppe_recorder *r, int64_t pause_ns);
/* Tells the program and its threads. */
void recorder_changed(struct steppe_recorder *r);
static inline bool recorder_has_spool(const struct steppe_recorder *r)
{
	return r->disk.dir.fd >= 0;
}
/* Nothing is left that is not durable. */
bool recorder_all_durable(const struct steppe_recorder *r);
/* A fragment became durable: counted, and told to the program. A lane_durable_fn. */
void recorder_durable(void *user, const struct item *item);
/* A fragment that is given up: counted. */
void recorder_dropped(struct steppe_recorder *r, unsigned count);
/* A new session for the lane, past what will not be delivered. */
void recorder_renew(struct steppe_recorder *r, struct lane *l, uint64_t base);

/* --- recorder_lanes.c --- */

/* Takes what the inlet has made into lanes, or holds it. */
void recorder_take_in(struct steppe_recorder *r);
/* What was held goes where the moment allows. */
void recorder_settle(struct steppe_recorder *r);
/* Lanes of which something will not be delivered go on in another session. */
void recorder_renew_broken(struct steppe_recorder *r);

/* --- recorder_inlet.c --- */
int recorder_inlet_init(struct steppe_recorder *r, const struct steppe_recorder_options *options);
void recorder_inlet_fini(struct steppe_recorder *r);
/* Takes what is made to `ret_items`, and whether a hole is open. */
void recorder_inlet_take(struct steppe_recorder *r, struct list *ret_items);
/* Makes a fragment of what is pending: at the end, or when nothing came for two seconds. */
void recorder_inlet_flush(struct steppe_recorder *r, bool now);
/* Publishes how much memory is held and what the status is. */
void recorder_inlet_publish(struct steppe_recorder *r);

/* --- recorder_wire.c --- */
extern const struct exchange_ops recorder_exchange_ops;
/* Sends OPEN once there is a channel and the state it speaks of is on disk; then what may be sent. */
void recorder_send(struct steppe_recorder *r);
void recorder_send_close(struct steppe_recorder *r);

/* --- recorder_disk.c --- */
int recorder_disk_open(struct steppe_recorder *r, const char *dir);
void recorder_disk_fini(struct steppe_recorder *r);
/* Nothing that became durable while the spool alone had it is still to be told to the program. */
bool recorder_disk_told(const struct steppe_recorder *r);
/* Starts the next job if there is one to do; true while one is going on. */
bool recorder_disk_step(struct steppe_recorder *r);
