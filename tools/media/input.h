/* SPDX-License-Identifier: Apache-2.0 */
/* An opened source: libavformat's context and the tracks that are kept of it. Belongs to one
 * thread; every call may block until the deadline or until `stopping` is set. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "tools/media/track.h"

#define INPUT_TRACKS_MAX 2 /* one of video, one of sound */

struct input_options {
	const char *url; /* with credentials, if any */
	bool rtsp, udp, live, no_audio;
	int timeout_s;
};

struct input {
	struct track tracks[INPUT_TRACKS_MAX]; /* video first */
	unsigned track_count;
	char note[160]; /* what is not kept and why; "" when all is */
	atomic_bool *stopping;
	/* private */
	AVFormatContext *context;
	AVPacket *packet;
	int64_t deadline_ns;
	bool live;
	int timeout_s;
};

/* Opens it; on failure returns a negative code (libavformat's or ours) and words for a person. */
int input_open(struct input *in, const struct input_options *options, char *why, size_t why_size);
void input_close(struct input *in);
/* The next complete unit of any track: its index, or a negative code: AVERROR_EOF after the last. */
int input_read(struct input *in, struct track_unit *ret_unit);
/* Gives up the tracks after the first that are still not known, and notes it. */
void input_drop_unready(struct input *in);
/* Back to the beginning. */
int input_rewind(struct input *in);
/* Microseconds; -1: not known. */
int64_t input_duration_us(const struct input *in);
/* Words for a code of input_open or input_read. */
void input_error_text(int code, char *to, size_t size);
