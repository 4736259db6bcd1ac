/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the keeper share. */
#pragma once

#include "storaged/archive/recover.h"
#include "storaged/archive/take.h"
#include "storaged/ownership/keeper.h"

/*	             lost a race, store error: askers are told
 *	TAKING ---------------------------------------------------> freed
 *	  |  ^
 *	  |  | somebody asks meanwhile
 *	  v  |
 *	READY --> YIELDING --------------------------------------> freed
 *	  |  fenced, and somebody asks: TAKING
 *	  |  idle, stopping    |
 *	  |                    | askers still hold it
 *	  +--> OVER <----------+  no longer found; freed when the last one releases it
 *	   fenced, dropped
 *
 *	TAKING, YIELDING --> LENT --> TAKING, freed      a rebuild owns it; what asks meanwhile
 * waits */
enum keep_state { KEEP_TAKING, KEEP_READY, KEEP_YIELDING, KEEP_OVER, KEEP_LENT };

/* A stream of ours. */
struct keep {
	struct list node; /* of its bucket; OVER: of the keeper's list of those */
	struct keeper *keeper;
	char stream[STREAM_NAME_MAX + 1];
	unsigned state;
	bool create;       /* an asker wants it made */
	struct take *take; /* TAKING */
	struct writer *writer;
	struct writer_life life;
	struct list askers; /* wait for the take */
	struct list holders;
	struct list confirming, to_confirm; /* wait for the read of the head under way; for the
					       next */
	struct store_read confirm_read;
	unsigned held;
	struct list moves;        /* who waits for it to be given up */
	struct keeper_lend *lend; /* whom it is lent to, or waits to be */
	struct loop_timer idle;
};

struct keeper {
	struct writer_config config;
	struct recover_gate gate;
	char owner[ATTR_OWNER_MAX + 1];
	uint32_t streams_max, count;
	int64_t idle_yield_ns;
	bool stopping;
	uint32_t bucket_count;
	struct list *buckets;
	struct list over;
	struct loop_timer deadline;
	struct loop_task *stopped;
};

/* --- keeper.c --- */
void keep_move(struct keep *keep, enum keep_state to);
struct keep *keep_find(struct keeper *k, const char *stream);
/* A stream that nobody has yet, TAKING; NULL when memory is short. */
struct keep *keep_new(struct keeper *k, const char *stream);
/* Nobody asks for it or holds it any more. May be the end of a keeper that stops. */
void keep_free(struct keep *keep);
void keep_start_take(struct keep *keep);
void keep_refuse_askers(struct keep *keep, int status);

/* --- keeper_move.c --- */
static inline bool keep_is_moving(const struct keep *keep)
{
	return !list_empty(&keep->moves);
}
/* READY: lets go of the stream. */
void keep_yield_to_move(struct keep *keep);
/* The writer has ended: who holds it is told; none may be left of them afterwards. */
void keep_tell_over(struct keep *keep, int status);
/* It is not ours any more. */
void keep_end_moves(struct keep *keep);

/* The asker's done() comes, with the writer, which it then holds; or with a refusal. */
void keep_grant(struct keep *keep, struct keeper_take *req);
void keep_answer(struct keeper *k, struct keeper_take *req, int status);
/* A holder fewer. May be the end of the keep. */
void keep_unhold(struct keep *keep);

/* --- keeper_confirm.c --- */
/* READY: the asker gets the writer once the head was read and is still ours. */
void keep_confirm(struct keep *keep, struct keeper_take *req);

/* --- keeper_lend.c --- */
/* The stream is nobody's here: it goes to who waits for it. */
void keep_lend(struct keep *keep);
/* The same, while others hold the writer that has ended. */
void keep_lend_anew(struct keep *keep);
/* Who waits for it, if anybody, does not get it. */
void keep_refuse_lend(struct keep *keep, int status);
/* READY: lets go of the stream for who waits for it. */
void keep_yield_to_lend(struct keep *keep);
