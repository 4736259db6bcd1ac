/* SPDX-License-Identifier: Apache-2.0 */
/* One stream being recorded: a source on its thread, a recorder of libsteppe behind it, and what a
 * table shows of both. */
#pragma once

#include <pthread.h>
#include <stdio.h>

#include "client/steppe.h"
#include "tools/media/source.h"

/* Where acknowledged fragments are written down, for all recordings of a process. */
struct ledger {
	FILE *to; /* NULL: nowhere */
	pthread_mutex_t lock;
};

struct recording_options {
	const char *stream; /* "camera/profile"; borrowed while recording */
	struct source_options source;
	const char *spool_dir; /* NULL: memory alone */
	uint64_t spool_limit, memory_limit;
	struct ledger *ledger;
	void (*changed)(void); /* something to show; any thread; may be NULL */
};

enum recording_end { RECORDING_GOES_ON, RECORDING_DONE, RECORDING_FAILED };

struct recording_view {
	enum source_state source;
	char words[192]; /* of the source's state */
	enum recording_end end;
	bool opened;     /* a recorder exists: footage has come */
	bool spool_busy; /* it failed because another recorder uses its spool */
	struct steppe_recorder_status recorder;
	char refusal_reason[128];
	int64_t first_us, last_us; /* capture times of the footage; -1 before */
	int64_t camera_ahead_us;
	uint64_t bits_per_second; /* of the last seconds */
	uint64_t lost_samples;
	int closed; /* 1 while it is being closed, 0 closed with all durable, negative: closed
		       without */
};

struct recording;

/* Starts; 0 or a negative code. */
int recording_start(struct steppe *steppe, const struct recording_options *options,
	struct recording **ret_recording);
void recording_view(struct recording *r, struct recording_view *ret_view);
/* To be called about once a second: measures the bit rate. */
void recording_tick(struct recording *r, struct mono now);
/* Ends the source, then the recorder: flushes, and waits for what is not durable up to
 * `timeout_ms`. Later view.closed is 0 or negative. Never blocks. */
void recording_end(struct recording *r, int timeout_ms);
/* Waits for the source's thread and frees; the recorder must be closed. */
void recording_free(struct recording **r);
/* What is recorded is ended by its source, or is over for good (refused for ever, source failed). */
bool recording_is_over(struct recording *r);
