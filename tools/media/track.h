/* SPDX-License-Identifier: Apache-2.0 */
/* One track of an opened source: packets as libavformat reads them in, samples out. Belongs to the
 * source's thread. */
#pragma once

#include <libavformat/avformat.h>

#include "tools/media/accessunit.h"
#include "tools/media/gather.h"
#include "tools/media/reorder.h"

/* A whole picture or audio frame, times in ticks of the track's own timescale. */
struct track_unit {
	const uint8_t *data; /* valid until the track is called again */
	size_t len;
	int64_t pts, dts;
	int64_t duration;  /* 0: not known */
	int64_t sender_us; /* civil time by the sender's reports; -1: none */
	int64_t receipt_us;
	bool sync, sync_open;
	bool tracks_changed; /* the description is another from this unit on */
};

struct track {
	int stream_index;
	struct steppe_track description; /* complete when ready */
	bool ready;                      /* the description is known */
	/* private */
	AVRational base;
	bool nal_units; /* packets are NAL units, to be gathered; they have no decoding times */
	bool is_video;
	struct accessunit unit;
	struct gather gather;
	struct reorder reorder;
	bool reorder_known;
	struct buf *config;
	int64_t usual_duration, last_dts;
	bool has_last;
	uint64_t damaged;
};

/* Whether a stream can be kept as a track. */
bool track_is_supported(const AVCodecParameters *par);
/* Prepares a track for `st`. `nal_units`: the demuxer does not put access units together. 0 or a
 * negative code. */
int track_init(struct track *t, const AVStream *st, bool nal_units);
void track_fini(struct track *t);
/* Takes one packet (NULL: the end). 1 and a unit, when one is complete; 0 when not yet; a negative
 * code. */
int track_take(
	struct track *t, const AVPacket *packet, int64_t receipt_us, struct track_unit *ret_unit);
/* A new run of time begins: what was held back is dropped. */
void track_restart(struct track *t);
