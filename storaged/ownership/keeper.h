/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the streams this daemon owns on one loop: takes (PROTOCOL "Take"), holds, yields. The only
 * maker of writers. */
#pragma once

#include "base/loop.h"
#include "storaged/archive/cutter.h"
#include "storaged/archive/machine.h"
#include "storaged/archive/writer.h"
#include "storaged/store/store.h"

struct keeper;

struct keeper_config {
	struct loop *loop;
	struct store *store;
	const char *node; /* id of this daemon; borrowed for the keeper's life */
	uint64_t boot_nonce;
	uint8_t cluster[16];
	struct cutter_limits limits;
	uint32_t streams_max;       /* at a time; 0: 10,000 */
	struct machine_trace trace; /* told of every machine's moves; zeroes: nobody */
	int64_t idle_yield_ns; /* a stream nobody writes or follows is sealed and forgotten after
				  this (its head stays ours); 0: 10 min */
};
int keeper_new(const struct keeper_config *config, struct keeper **ret_keeper);

/* A request for a stream that is READY. Embedded by the asker. */
struct keeper_take {
	void (*done)(struct keeper_take *req);
	int status; /* 0, or a refusal as a negative: -(REFUSAL_STORE), -(REFUSAL_TAKING_OVER) (lost
		     * a race: ask again),
		     * -(REFUSAL_STREAMS), -(REFUSAL_OVERLOAD) (no memory), -(REFUSAL_STOPPING), or
		     * -ENOENT (see create) */
	struct writer *writer; /* valid while the asker holds it (keeper_release) */
	/* May be NULL. While it is held: the writer has ended. 0: in order, all that was taken is
	 * durable; ERR_FENCED: another daemon has it; or an error. May release it. */
	void (*over)(struct keeper_take *req, int status);
	bool create; /* make the head when the stream never existed; else -ENOENT: there is no such
			stream */
	/* What was taken before this request is confirmed by a read of the head that begins after
	 * it, and taken anew when it has become another's meanwhile. For who answers from the
	 * writer's memory what nothing would correct later. */
	bool confirm;
	/* private */
	struct keeper *keeper;
	struct keep *keep;
	struct list node;
	struct loop_task task;
};
/* Many askers of one stream share one take. */
void keeper_take(struct keeper *k, struct keeper_take *req, const char *stream);
/* The asker (whose done() saw status 0) no longer uses the writer. Due also after the writer ended:
 * until then its calls are harmless and answer NOT_OWNER or STOPPING. */
void keeper_release(struct keeper_take *req);

/* A stream let go of for somebody who must own it himself: a rebuild of its index. Embedded by the
 * asker. */
struct keeper_lend {
	void (*done)(struct keeper_lend *req);
	int status; /* 0: nobody here touches the stream until keeper_return; or a refusal as a
		     * negative: -(REFUSAL_CONFLICT) (lent already), -(REFUSAL_NOT_OWNER) (another
		     * daemon took it), -(REFUSAL_STREAMS), -(REFUSAL_OVERLOAD), -(REFUSAL_STOPPING) */
	/* private */
	struct keeper *keeper;
	struct keep *keep;
	struct loop_task task;
};
/* Batches finish, chunks are sealed and indexed, the stream is yielded; sessions get
 * progress(TAKING_OVER). Who asks for it meanwhile waits. */
void keeper_lend(struct keeper *k, struct keeper_lend *req, const char *stream);
/* The asker (whose done() saw status 0) is through with it: it is taken again for whoever waits. */
void keeper_return(struct keeper_lend *req);

/* A stream given up for the daemon that should own it. Embedded by the asker. */
struct keeper_move {
	void (*done)(struct keeper_move *req); /* once, later: this daemon does not hold it */
	/* private */
	struct keeper *keeper;
	struct list node;
	struct loop_task task;
};
/* Sessions get progress(NOT_OWNER), batches finish, chunks are sealed and indexed, the stream is
 * yielded; then those who hold it are told over(), and done() comes. Who asks for it meanwhile is
 * answered TAKING_OVER. */
void keeper_move(struct keeper *k, struct keeper_move *req, const char *stream);
/* Whether this daemon has the stream or is about to: no other may without fencing it. */
bool keeper_holds(struct keeper *k, const char *stream);

/* The writer of a stream that is owned and READY now, or NULL; not held: valid until the loop
 * turns. */
struct writer *keeper_find(struct keeper *k, const char *stream);
/* For each owned stream; the keeper must not be changed meanwhile. */
void keeper_each(struct keeper *k, void (*each)(void *user, struct writer *w), void *user);

/* Stops: no more takes; sessions get progress(STOPPING); batches finish, chunks are sealed and
 * indexed, streams yielded; then stopped() runs and *slot, already NULL, is no more. Takes as long
 * as the store does; after `deadline_ns` it leaves the rest to the next owner. Waits for askers to
 * release what they hold. */
void keeper_free(struct keeper **slot, int64_t deadline_ns, struct loop_task *stopped);
