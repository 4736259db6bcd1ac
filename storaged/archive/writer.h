/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one owned stream: sessions of a recorder in, chunks, head and index out, in the order
 * PROTOCOL's "Record" gives. Made by the keeper once the stream is READY (taken, every intent
 * fenced); knows nothing of connections. Loop thread only. */
#pragma once

#include "base/loop.h"
#include "storaged/archive/cutter.h"
#include "storaged/archive/head.h"
#include "storaged/archive/index.h"
#include "storaged/archive/retention.h"
#include "storaged/store/store.h"

struct writer;
struct writer_session;

/* One recorder's lane, embedded in the session room's own structure. */
struct writer_session {
	/* set by the user before writer_session_open */
	uint64_t session;
	uint8_t lane;
	uint64_t from_seq; /* lowest number the recorder still holds */
	/* More is durable, or the lane failed: `failed` is 0 or the refusal the recorder must be
	 * told (STORE, FULL, NOT_OWNER, STOPPING...), after which the session is closed. Never
	 * inside a call on the session. */
	void (*progress)(struct writer_session *s, int failed);
	/* read by the user */
	uint64_t received; /* last number taken on this session, or found taken by an earlier one */
	uint64_t durable;  /* last number acknowledged as durable; never beyond `received` */
	struct wall durable_until; /* capture end of that */
	size_t undurable_bytes;    /* taken, not durable: what credit is computed from */
	/* private */
	struct writer *writer;
	struct list node;
	void *impl;
};

/* Begins or resumes a session: 0 with `durable` and `received` as an earlier connection left them,
 * or a refusal number as a negative. What lies between the two becomes durable by itself: a
 * recorder that remembers sends it again and it is dropped, but one that crashed would give its
 * numbers to other footage, so only progress() at durable == received says what is next:
 * -(REFUSAL_SESSION_FORGOTTEN),
 * -(REFUSAL_MALFORMED_MEDIA) for the init, -(REFUSAL_STREAMS) when all eight sessions are live. Of
 * two sessions with the same number the later supersedes: the earlier gets progress(SUPERSEDED).
 * `init` is referenced. */
int writer_session_open(struct writer *w, struct writer_session *s, struct buf *init);

/* Takes one fragment whose header and CRC the caller has checked. 0; or a refusal as a negative:
 * -(REFUSAL_SEQUENCE) a number is missing,
 * -(REFUSAL_NO_SYNC), -(REFUSAL_MALFORMED_MEDIA), -(REFUSAL_TIME), -ENOMEM ... A number already
 * received is dropped and 0 returned. References the body; when its buffer
 * is not shared, rebases its tfdt in place and writes what surrounds it in a chunk into the room
 * before and behind it (FRAME_ROOM_*), else makes copies. */
int writer_append(struct writer_session *s, const struct fragment_header *h,
	const struct slice *body, struct wall receipt);
/* The codec configuration from the next fragment on. */
int writer_init(struct writer_session *s, struct buf *init);
/* A hole reported by the recorder. */
int writer_gap(struct writer_session *s, const struct gap *gap, bool open);
/* Writes what is waiting now. progress() tells as usual. */
void writer_flush(struct writer_session *s);
/* Ends the session (no progress() afterwards). What was taken still becomes durable. `seal`: the
 * recorder ends for good: flush, seal the chunk, mark the session closed; else the chunk stays open
 * for it to come back (60 s of silence seal it). */
void writer_session_close(struct writer_session *s, bool seal);

/* What readers may see of a stream that is being written: everything durable. `table` and `init`
 * are NULL for a chunk of an earlier owner whose recovery is still under way: it is final and is
 * read from the store by its own headers, up to durable_len. */
struct writer_open_chunk {
	struct chunk_id id;
	uint8_t lane;
	uint64_t durable_len;       /* bytes of the object that are durable */
	uint32_t durable_fragments; /* of the table */
	const struct chunk_table *table;
	struct buf *init;
	uint32_t head_len;
	struct gap gap_before;
	int32_t day;
};
/* The chunks not yet in the index (open or being sealed): at most HEAD_INTENTS_MAX; pointers valid
 * until the loop turns. */
size_t writer_open_chunks(
	const struct writer *w, struct writer_open_chunk chunks[HEAD_INTENTS_MAX]);
/* An open gap at the live edge, if one is known. */
struct gap writer_open_gap(const struct writer *w);
const char *writer_stream(const struct writer *w);
uint64_t writer_epoch(const struct writer *w);

/* Told whenever something became durable or indexed, for followers of the live edge. */
struct writer_watch {
	void (*changed)(struct writer_watch *watch);
	void (*gone)(struct writer_watch *watch); /* the writer ends: ownership lost or stopping */
	struct list node;
};
void writer_watch_start(struct writer *w, struct writer_watch *watch);
void writer_watch_stop(struct writer_watch *watch);

/* Deletes what of one day has passed its ceiling (PROTOCOL Delete, sweep.h); embedded by the asker. */
struct writer_sweep {
	void (*done)(struct writer_sweep *req); /* once, later */
	int32_t day;
	struct retention_rule rule;
	struct wall now; /* cluster time, by which ages are judged */
	int64_t safe_us; /* PROTOCOL's T_safe */
	unsigned removes_per_second;
	/* 0: swept as far as it may be now; -EBUSY: as many days are being swept as may be; ERR_FENCED,
	 * -ECANCELED (the next owner goes on), ERR_FORMAT ... */
	int status;
	uint32_t flagged;       /* chunks that from now on are not shown */
	uint32_t removed, left; /* chunks removed; dropping ones that may not be removed yet */
	uint64_t removed_bytes;
	struct loop_task task; /* private */
};
/* One at a time a writer. The asker holds the stream until done(). */
void writer_sweep(struct writer *w, struct writer_sweep *req);
/* Days of which a sweep was begun and not finished: they are to be swept again. */
size_t writer_sweeps(const struct writer *w, int32_t days[HEAD_SWEEPS_MAX]);

/* For status and metrics. */
struct writer_stats {
	uint64_t epoch, bytes, fragments, open_chunk_bytes, memory_bytes;
	struct wall durable_until;
	bool recording;
};
void writer_stats(const struct writer *w, struct writer_stats *ret_stats);
