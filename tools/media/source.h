/* SPDX-License-Identifier: Apache-2.0 */
/* A camera or a file as a source of samples. Opens whatever libavformat opens, connects again for
 * ever to what is live, and hands out samples as libsteppe takes them, with their civil time. Each
 * source has a thread of its own, on which the sink is called. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "client/steppe.h"

enum source_state {
	SOURCE_CONNECTING,
	SOURCE_RUNNING, /* samples come */
	SOURCE_WAITING, /* connects again after a while */
	SOURCE_ENDED,   /* for good: the file's end, or source_stop */
	SOURCE_FAILED,  /* for good: cannot be recorded as it is */
};

struct source_sink {
	/* The tracks, before the first sample and whenever they change; video first. Borrowed. A
	 * negative code ends the source. */
	int (*tracks)(struct source_sink *sink, const struct steppe_track *tracks, unsigned count);
	/* One sample; blocking here holds the source back. Borrowed. A negative code ends the
	 * source. */
	int (*sample)(struct source_sink *sink, const struct steppe_sample *sample);
	/* Nothing came since the last sample, for this reason. */
	void (*interrupted)(struct source_sink *sink, enum steppe_gap cause);
	/* `words` for a person, without passwords; the last call has SOURCE_ENDED or SOURCE_FAILED. */
	void (*state)(struct source_sink *sink, enum source_state state, const char *words);
};

enum source_transport { SOURCE_TCP, SOURCE_UDP };
enum source_clock { SOURCE_CLOCK_AUTO, SOURCE_CLOCK_RECEIPT };

struct source_options {
	const char *url;                 /* copied */
	const char *user, *password;     /* copied; may be NULL */
	enum source_transport transport; /* RTSP */
	enum source_clock clock;
	bool no_audio;
	bool loop;         /* files: again and again */
	bool fast;         /* files: as fast as they can be read, not in their own time */
	struct wall start; /* files: when the first picture was taken; us -1: now (so that it ends
			      now, when fast) */
	int timeout_s;     /* of silence before a live source is connected to again; 0: 10 */
};

struct source;

/* Starts the thread. 0, -ENOMEM, -EAGAIN. Borrows the sink until source_free. */
int source_start(
	const struct source_options *options, struct source_sink *sink, struct source **ret_source);
/* Asks it to end; the last state comes soon. Any thread; harmless twice. */
void source_stop(struct source *source);
/* Stops, waits for the thread, frees, sets *source to NULL. */
void source_free(struct source **source);
/* How far the camera's clock is ahead of this machine's, as its sender reports say; 0 when it sends
 * none. */
int64_t source_camera_ahead_us(const struct source *source);
