/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fragmenter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/errors.h"
#include "client/fragment_cut.h"

#define SAMPLE_MAX                                                                                 \
	(FRAGMENT_BODY_MAX -                                                                       \
		(UINT32_C(128) << 10)) /* leaves room for moof and a second of sound  \
						     */
#define NO_CLOCK_ERROR 2000000u        /* of a time of receipt before anything better is known */

static const struct {
	enum bmff_media media;
	enum bmff_codec codec;
} codecs[] = {
	[STEPPE_H264] = {BMFF_VIDEO, BMFF_H264},
	[STEPPE_H265] = {BMFF_VIDEO, BMFF_H265},
	[STEPPE_AAC] = {BMFF_AUDIO, BMFF_AAC},
	[STEPPE_PCMA] = {BMFF_AUDIO, BMFF_PCMA},
	[STEPPE_PCMU] = {BMFF_AUDIO, BMFF_PCMU},
	[STEPPE_MJPEG] = {BMFF_VIDEO, BMFF_MJPEG},
	[STEPPE_METADATA] = {BMFF_METADATA, BMFF_TEXT_METADATA},
};

static int track_read(const struct steppe_track *from, unsigned index, struct bmff_track *ret_track)
{
	struct steppe_track t = {0};
	if (from->size < offsetof(struct steppe_track, config_len) + sizeof(t.config_len))
		return -EINVAL;
	t = *from;
	if (t.codec < STEPPE_H264 || t.codec > STEPPE_METADATA || (t.config_len && !t.config))
		return -EINVAL;
	*ret_track = (struct bmff_track){
		.id = index + 1,
		.media = codecs[t.codec].media,
		.codec = codecs[t.codec].codec,
		.timescale = t.timescale,
		.width = t.width,
		.height = t.height,
		.channels = t.channels,
		.sample_rate = t.sample_rate,
		.config = t.config,
		.config_len = t.config_len,
	};
	return 0;
}

static void drop_pending(struct fragmenter *f)
{
	for (unsigned i = 0; i < f->track_count; i++) {
		payload_drop(&f->tracks[i].payload);
		f->tracks[i].count = 0;
	}
	f->pending_bytes = 0;
}

/* Sets the tracks of a fragmenter without pending samples. */
static int set_tracks(struct fragmenter *f, const struct steppe_track *tracks, unsigned count)
{
	if (count == 0 || count > FRAGMENT_TRACKS_MAX)
		return -EINVAL;
	struct bmff_init init = {.track_count = (uint8_t)count};
	for (unsigned i = 0; i < count; i++) {
		int rc = track_read(&tracks[i], i, &init.tracks[i]);
		if (rc < 0)
			return rc;
	}
	struct buf *built;
	int rc = bmff_init_build(&init, &built);
	if (rc < 0)
		return rc;
	buf_unref(&f->init);
	f->init = built;
	f->track_count = count;
	f->master = count;
	for (unsigned i = 0; i < count; i++) {
		struct fragmenter_track *t = &f->tracks[i];
		/* memory is kept, and so is where the track's time ended */
		*t = (struct fragmenter_track){
			.media = init.tracks[i].media,
			.timescale = init.tracks[i].timescale,
			.pending = t->pending,
			.room = t->room,
			.payload = t->payload,
			.out_end = t->timescale == init.tracks[i].timescale ? t->out_end : 0,
		};
		if (f->master == count && t->media == BMFF_VIDEO)
			f->master = i;
	}
	if (f->master == count)
		f->master = 0;
	f->time.set = false;
	f->wait_sync = f->discontinuous = true;
	f->reordered = false;
	return 0;
}

int fragmenter_init(struct fragmenter *f, const struct steppe_track *tracks, unsigned count)
{
	*f = (struct fragmenter){.end_us = -1, .last_capture_us = -1};
	list_init(&f->made);
	return set_tracks(f, tracks, count);
}

void fragmenter_fini(struct fragmenter *f)
{
	if (!f->made.next)
		return;
	drop_pending(f);
	for (unsigned i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		free(f->tracks[i].pending);
	item_free_all(&f->made);
	buf_unref(&f->init);
	*f = (struct fragmenter){0};
}

int fragmenter_tracks(struct fragmenter *f, const struct steppe_track *tracks, unsigned count)
{
	int rc = fragmenter_flush(f);
	/* a fragment lost for want of memory does not keep the new configuration away */
	int set = set_tracks(f, tracks, count);
	return set < 0 ? set : rc;
}

/* What is pending was lost or must not be followed. */
static void broken(struct fragmenter *f)
{
	drop_pending(f);
	f->wait_sync = f->discontinuous = true;
}

static int emit(struct fragmenter *f, const struct fragment_cut *cut)
{
	struct item *item;
	int rc = fragment_cut(f, cut, &item);
	if (rc < 0) {
		broken(f);
		return rc;
	}
	if (!item)
		return 0;
	f->made_bytes += item_bytes(item);
	list_append(&f->made, &item->node);
	return 0;
}

int fragmenter_flush(struct fragmenter *f)
{
	return emit(f, &(struct fragment_cut){.next_known = false});
}

int fragmenter_gap(struct fragmenter *f, enum steppe_gap cause)
{
	int rc = fragmenter_flush(f);
	f->gap_cause = (uint8_t)cause;
	f->wait_sync = f->discontinuous = true;
	return rc;
}

struct item *fragmenter_take(struct fragmenter *f)
{
	struct list *node = list_pop(&f->made);
	if (!node)
		return NULL;
	f->made_bytes -= item_bytes(item_of(node));
	return item_of(node);
}

/* --- time --- */

/* A new relation of ticks and time begins at `s`. tfdt counts wall time, so that a program that
 * starts again goes on where it should; but it never goes back. */
static void anchor(struct fragmenter *f, const struct steppe_sample *s, int64_t wall_us)
{
	struct fragmenter_track *m = &f->tracks[f->master];
	timebase_anchor(&f->time, m->timescale, s->pts, wall_us);
	int64_t shift_us = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < f->track_count; i++) {
			struct fragmenter_track *t = &f->tracks[i];
			/* zero of the track's ticks on the scale of tfdt: (wall - pts / timescale),
			 * and a minute, lest it be negative */
			__int128 zero =
				(__int128)(wall_us + shift_us + 60 * US_PER_SECOND) * m->timescale -
				(__int128)s->pts * US_PER_SECOND;
			t->out_offset = (int64_t)(zero * t->timescale /
						  ((__int128)US_PER_SECOND * m->timescale));
		}
		int64_t back = m->out_end - (s->dts + m->out_offset);
		if (back <= 0)
			break;
		shift_us = (int64_t)((__int128)back * US_PER_SECOND / m->timescale) + 1;
	}
	f->discontinuous = true;
}

/* The clock of a sample of the master track. */
static int keep_time(struct fragmenter *f, const struct steppe_sample *s, struct wall now)
{
	bool known = s->wall_us >= 0;
	if (known) {
		f->clock_source = (enum clock_source)s->clock;
		f->clock_error_us = s->clock_error_us;
	}
	if (!f->time.set) {
		if (!known) {
			f->clock_source = CLOCK_RECEIPT;
			f->clock_error_us = NO_CLOCK_ERROR;
		}
		anchor(f, s, known ? s->wall_us : now.us);
		return 0;
	}
	if (!known)
		return 0;
	if (timebase_stepped(&f->time, s->pts, s->wall_us)) {
		int rc = emit(f, &(struct fragment_cut){.next_known = true, .next_dts = s->dts});
		if (rc < 0)
			return rc;
		anchor(f, s, s->wall_us);
	} else if (f->tracks[f->master].count == 0) {
		timebase_slew(&f->time, s->pts, s->wall_us);
	}
	return 0;
}

/* --- samples --- */

static int judge(const struct fragmenter *f, const struct steppe_sample *s)
{
	if (s->size < offsetof(struct steppe_sample, discontinuity) + sizeof(s->discontinuity))
		return -EINVAL;
	const int64_t ticks_max = INT64_C(1) << 60;
	if (s->track >= f->track_count || !s->data || s->len == 0 || s->duration < 0 ||
		s->duration > INT32_MAX || s->pts - s->dts > INT32_MAX ||
		s->pts - s->dts < INT32_MIN)
		return -EINVAL;
	if (s->dts > ticks_max || s->dts < -ticks_max || s->wall_us > WALL_MAX_US ||
		(unsigned)s->clock > STEPPE_CLOCK_NTP)
		return -EINVAL;
	return s->len > SAMPLE_MAX ? ERR_LIMIT : 0;
}

static int append(struct fragmenter *f, struct fragmenter_track *t, const struct steppe_sample *s)
{
	if (t->count == t->room) {
		uint32_t room = t->room ? 2 * t->room : 64;
		struct fragmenter_sample *pending = realloc(t->pending, room * sizeof(*pending));
		if (!pending)
			return -ENOMEM;
		t->pending = pending;
		t->room = room;
	}
	int rc = payload_add(&t->payload, s->data, s->len);
	if (rc < 0)
		return rc;
	struct fragmenter_sample *to = &t->pending[t->count++];
	*to = (struct fragmenter_sample){
		.dts = s->dts,
		.pts = s->pts,
		.duration = s->duration,
		.len = (uint32_t)s->len,
		.sync = s->sync || t->media != BMFF_VIDEO,
		.sync_open = s->sync_open,
	};
	if (t->running && s->dts > t->last_dts)
		t->last_duration = s->dts - t->last_dts;
	else if (s->duration)
		t->last_duration = s->duration;
	t->last_dts = s->dts;
	t->running = true;
	f->pending_bytes += s->len;
	return 0;
}

/* What a sample of the master track does to what is pending. */
static int meet_master(struct fragmenter *f, const struct steppe_sample *s, struct wall now)
{
	struct fragmenter_track *m = &f->tracks[f->master];
	bool back = m->running && s->dts <= m->last_dts;
	if (s->discontinuity || back) {
		int rc = fragmenter_flush(f);
		if (rc < 0)
			return rc;
		f->wait_sync = f->discontinuous = true;
		f->time.set = false;
		for (unsigned i = 0; i < f->track_count; i++) {
			f->tracks[i].running = false;
			f->tracks[i].last_duration = 0;
		}
	}
	if (f->wait_sync && m->media == BMFF_VIDEO && !s->sync)
		return 1;
	if (f->wait_sync)
		drop_pending(f); /* sound that came before it */
	f->wait_sync = false;
	int rc = 0;
	if (m->running && fragment_cut_hole(m, s->dts)) {
		/* ticks jumped: the last picture did not last until now, there is a hole */
		rc = fragmenter_flush(f);
		f->discontinuous = true;
	} else if (fragment_cut_before(f, s)) {
		rc = emit(f, &(struct fragment_cut){.next_known = true, .next_dts = s->dts});
	}
	if (rc < 0)
		return rc;
	return keep_time(f, s, now);
}

/* What a sample of another track does: 1: it is left out. */
static int meet_other(struct fragmenter *f, const struct steppe_sample *s)
{
	struct fragmenter_track *t = &f->tracks[s->track];
	if (f->wait_sync || (t->running && s->dts <= t->last_dts && !s->discontinuity))
		return 1;
	if (t->count >= FRAGMENTER_SAMPLES_MAX || f->pending_bytes + s->len > FRAGMENT_CUT_BYTES)
		return fragmenter_flush(f);
	return 0;
}

int fragmenter_write(struct fragmenter *f, const struct steppe_sample *s, struct wall now)
{
	int rc = judge(f, s);
	if (rc == ERR_LIMIT && s->track == f->master) {
		(void)fragmenter_flush(
			f); /* the sample's own refusal is what the caller must know */
		f->wait_sync = f->discontinuous = true;
	}
	if (rc < 0)
		return rc;
	rc = s->track == f->master ? meet_master(f, s, now) : meet_other(f, s);
	if (rc > 0) {
		f->skipped++;
		return 0;
	}
	if (rc == 0)
		rc = append(f, &f->tracks[s->track], s);
	if (rc < 0 && s->track == f->master)
		broken(f);
	return rc;
}
