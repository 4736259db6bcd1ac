/* SPDX-License-Identifier: Apache-2.0 */
/* What a writer is made of. Private to the room but for its making and ending, which are the
 * keeper's (writer_life). */
#pragma once

#include "storaged/archive/dayswrite.h"
#include "storaged/archive/headwrite.h"
#include "storaged/archive/openchunk.h"
#include "storaged/archive/recover.h"
#include "storaged/archive/sweep.h"
#include "storaged/archive/writer.h"
#include "storaged/archive/writer_life.h"

#define WRITER_T_SAFE_US   (24 * 3600 * US_PER_SECOND) /* PROTOCOL F3, G4 */
#define LANE_UNDURABLE_MAX (64u << 20) /* bytes; a session's own credit is far below */

/*	RECORDING --> FINISHING --> YIELDING --> ENDED
 *	    |             |             |
 *	    +-------------+-------------+--> DROPPING --> ENDED */
enum writer_state {
	WRITER_RECORDING, /* READY: sessions may open */
	WRITER_FINISHING, /* no sessions; chunks are sealed, indexed and cleared */
	WRITER_YIELDING,  /* the last head write */
	WRITER_DROPPING, /* fenced, or given up: nothing is submitted any more; waits for what is in
			    flight */
	WRITER_ENDED,    /* touches the store no more */
};

/* A recorder's session, known as long as the head knows it. */
struct lane {
	struct list node;
	struct writer *writer;
	struct writer_session *user; /* attached now; may be NULL */
	uint64_t session;
	uint8_t lane;
	bool closed;
	bool listed; /* belongs into the head: something of it was taken */
	uint64_t received, durable;
	struct wall durable_until, last_append;
	struct mono active; /* of the last append */
	size_t undurable_bytes;
	struct buf *init;
	struct timeline scales; /* not started: timescales alone */
	bool has_video;
	struct openchunk *open; /* takes fragments */
	uint32_t ordinal;       /* of its next chunk */
	struct gap gap;         /* reported and not yet ended by a fragment */
	struct wall end;        /* of the last fragment taken; 0: not known */
	int trouble;            /* the refusal that attempts fail with; 0: none */
	bool changed;           /* progress() is due */
	int failed;             /* ... with this refusal */
	struct loop_timer silence;
};

struct writer {
	struct tenure tenure;
	uint8_t cluster[16];
	struct cutter_limits limits;
	struct writer_life *life;
	unsigned state;
	bool yield;
	int reason;       /* DROPPING, ENDED: the refusal sessions are told */
	int status;       /* ... and what the keeper is told */
	struct head head; /* what is carried on: holds, sweeps, the chain; sessions and intents are
			     composed */
	bool head_stale;  /* something of the head has changed that no chunk will carry along */
	struct headwrite headwrite;
	struct indexwrite indexwrite;
	struct dayswrite dayswrite;
	struct recover recover;
	struct sweep sweep;
	struct list lanes, chunks, watches;
	struct list superseded; /* users to be told so */
	unsigned lane_count;
	uint32_t next_seq;    /* of a chunk in this epoch */
	struct wall kept_end; /* last_end as the head holds it */
	struct wall live_end; /* of live footage; 0: not known */
	bool changed;         /* watches are due */
	bool ended_told;
	struct retry turn;         /* one step a turn of the loop */
	uint64_t bytes, fragments; /* made durable in this tenure */
};

/* --- the writer (writer.c) --- */
/* Something happened: the writer's step runs at the next turn of the loop. */
void writer_poke(struct writer *w);
/* The stream cannot go on under this tenure: everything in memory is dropped, sessions are told
 * `refusal`; the keeper learns `status`. The next owner (perhaps ourselves) takes the stream as
 * after a crash. */
void writer_give_up(struct writer *w, int refusal, int status);
/* What an operation's final status means for the stream; ERR_FENCED: another owns it. */
void writer_lost(struct writer *w, int status);
/* An attempt on behalf of `lane` (NULL: of the whole stream) failed and will be repeated. */
void writer_trouble(struct writer *w, struct lane *lane, int error, unsigned failures);
/* --- the head (writer_head.c) --- */
void writer_compose_head(struct headwrite *hw, struct head *ret_head);
void writer_head_written(struct headwrite *hw);
/* Whether the intent of a chunk may go with the next head write. */
bool writer_may_clear(const struct writer *w, const struct openchunk *c);
bool writer_head_is_due(const struct writer *w);

/* --- chunks among themselves (chain.c) --- */
bool writer_id_before(const struct chunk_id *a, const struct chunk_id *b);
/* Names the chunk that `c` follows: the newest of the live lane before it. */
void writer_chain_name(const struct writer *w, struct openchunk *c);
/* The digest of the chunk that `c` follows, if it will ever be known: false while that chunk is
 * being sealed. */
bool writer_chain(struct writer *w, struct openchunk *c);
/* A chunk's seal is settled: chunks that follow it learn its digest, its record goes to the index. */
void writer_sealed(struct writer *w, struct openchunk *c);
/* Whether the session of `c` has an older chunk that is not sealed (F6). */
bool writer_must_wait(const struct writer *w, const struct openchunk *c);

/* --- lanes (lane.c) --- */
void lane_free(struct lane **lane);
struct lane *lane_find(const struct writer *w, uint64_t session);
/* Adds a lane, forgetting one that may be forgotten (G4) when there are eight: 0, -ENOMEM,
 * ERR_LIMIT. */
int lane_new(struct writer *w, uint64_t session, struct lane **ret_lane);
/* A piece of the lane is durable now. */
void lane_durable(struct lane *lane, const struct piece *piece);
/* What the user may read of the lane. */
void lane_update_user(struct lane *lane);
/* The user's session is told at the next turn; `failed` 0 or a refusal, which detaches it. */
void lane_tell(struct lane *lane, int failed);
/* The chunk that takes fragments, if there is one, takes no more. */
void lane_end_chunk(struct lane *lane, enum chunk_end reason);
/* Tells users what is due; they may call anything. */
void lanes_tell(struct writer *w);
