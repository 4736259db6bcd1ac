/* SPDX-License-Identifier: Apache-2.0 */
/* One stream being recorded over one connection: what its life (ingest.c) and its lanes' frames
 * (ingest_lane.c) share. */
#pragma once

#include "proto/names.h"
#include "storaged/session/machines.h"

enum ingest_state {
	INGEST_LOOKUP,
	INGEST_TAKING,
	INGEST_SETTLING,
	INGEST_RECORDING,
	INGEST_CLOSING,
	INGEST_MOVING, /* the stream is given up: what was taken becomes durable */
	INGEST_ENDED
};

struct ingest_lane {
	struct writer_session session;
	struct ingest *ingest;
	uint8_t lane;
	bool wanted, open;
	uint64_t sent_bytes; /* body bytes that came since OPENED, duplicates too */
	uint64_t credit;     /* granted in total; never falls */
	uint64_t acked_received, acked_durable;
	size_t accounted_bytes; /* of undurable ones, in admit and metrics */
	struct mono taken_at;   /* when the last fragment came */
};

struct ingest {
	struct request request;
	struct service *service;
	struct list node; /* in the service */
	enum ingest_state state;
	char stream[STREAM_NAME_MAX + 1];
	char camera[CAMERA_ID_MAX + 1];
	char recorder[128];
	uint64_t boot_nonce;
	struct buf *init;
	struct ingest_lane lanes[LANES];
	struct catalog_get lookup;
	struct catalog_put note;
	struct keeper_take take;
	struct loop_timer ack_timer;
	struct mono heard_at;
	struct mono rate_since;
	uint64_t rate_bytes, bytes_per_second;
	bool admitted, operating /* a lookup, note or take is under way */, taken, seal;
	bool opened;  /* the recorder was told so */
	bool closing; /* MOVING: the recorder has closed */
};

/* Ends the recording with a refusal (`lane`: 1 + the lane it is about, 0 all), or ends it; what the
 * lanes took still becomes durable. */
void ingest_refuse(struct ingest *in, int refusal, uint32_t lane);
void ingest_end(struct ingest *in);

/* Opens the wanted lanes on the writer that was taken; 0 or a refusal; *ret_lane: 1 + the lane it
 * is about. */
int ingest_open_lanes(struct ingest *in, uint32_t *ret_lane);
/* Answers OPENED once everything is durable that an earlier connection sent. The answer says which
 * number comes next: were it one that was taken already, a recorder that lost its memory would give
 * it to other footage, which would be dropped as a repetition and acknowledged. */
void ingest_settle(struct ingest *in);
/* Puts down what the lane's undurable bytes are now, in the limits of the process and its metrics. */
void ingest_account(struct ingest_lane *lane, size_t undurable);
/* The stream is not ours any more. 0: all that was taken is durable. */
void ingest_over(struct ingest *in, int status);
/* The ack timer's callback. */
void ingest_on_ack_timer(struct loop_timer *timer);
/* A frame of a stream that is being recorded; 0 or the refusal that ends it; *ret_lane as above. */
int ingest_frame(struct ingest *in, const struct frame *frame, uint32_t *ret_lane);
