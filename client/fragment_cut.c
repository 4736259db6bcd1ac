/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fragment_cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "client/clip_track.h"

bool fragment_cut_hole(const struct fragmenter_track *m, int64_t dts)
{
	int64_t late = dts - m->last_dts - m->last_duration;
	if (m->last_duration == 0)
		return dts - m->last_dts > 10 * (int64_t)m->timescale;
	return late > 2 * m->last_duration && late > m->timescale / 2;
}

/* Presentation of what is pending: earliest, and end of the latest (whose duration is that of its
 * decoding). */
struct shown {
	int64_t first, last, end;
	bool reordered;
};

static struct shown shown_of(const struct fragmenter_track *t)
{
	struct shown shown = {.first = t->pending[0].pts, .last = t->pending[0].pts};
	int64_t delay = t->pending[0].pts - t->pending[0].dts;
	for (uint32_t i = 0; i < t->count; i++) {
		const struct fragmenter_sample *s = &t->pending[i];
		if (s->pts < shown.first)
			shown.first = s->pts;
		if (s->pts >= shown.last) {
			shown.last = s->pts;
			shown.end = s->pts + s->duration;
		}
		shown.reordered = shown.reordered || s->pts - s->dts != delay;
	}
	return shown;
}

/* With pictures out of order: whether all that is pending is shown before all that comes. That can
 * be told when pictures are even: they then fill the time that decoding them took. */
static bool cut_is_clean(const struct fragmenter_track *m, const struct steppe_sample *s)
{
	struct shown shown = shown_of(m);
	int64_t span = s->dts - m->pending[0].dts;
	int64_t picture = span / m->count;
	int64_t uneven = shown.last + picture - shown.first - span;
	return s->pts > shown.last && uneven <= picture / 2 && uneven >= -picture / 2;
}

bool fragment_cut_before(const struct fragmenter *f, const struct steppe_sample *s)
{
	const struct fragmenter_track *m = &f->tracks[f->master];
	if (m->count == 0)
		return false;
	bool video = m->media == BMFF_VIDEO;
	if ((video && s->sync) || f->pending_bytes + s->len > FRAGMENT_CUT_BYTES ||
		m->count >= FRAGMENTER_SAMPLES_MAX)
		return true;
	int64_t age = s->dts - m->pending[0].dts;
	int64_t last = s->dts - m->pending[m->count - 1].dts;
	if (age + last > m->timescale)
		return true;
	return age >= (int64_t)m->timescale * 3 / 4 && f->reordered && cut_is_clean(m, s);
}

/* Durations as they will be written: from decoding time to decoding time; the last as far as it is
 * known. True when it is a guess. */
static bool settle_durations(struct fragmenter_track *t, uint32_t count, bool known, int64_t next)
{
	for (uint32_t i = 0; i + 1 < count; i++)
		t->pending[i].duration = t->pending[i + 1].dts - t->pending[i].dts;
	struct fragmenter_sample *last = &t->pending[count - 1];
	if (known && next > last->dts && next - last->dts <= UINT32_MAX) {
		last->duration = next - last->dts;
		return false;
	}
	if (last->duration)
		return false;
	last->duration = t->last_duration ? t->last_duration : t->timescale / 25 + 1;
	return true;
}

/* How many samples of another track begin before the cut. */
static uint32_t samples_before(
	const struct fragmenter *f, unsigned track, const struct fragment_cut *cut)
{
	const struct fragmenter_track *t = &f->tracks[track], *m = &f->tracks[f->master];
	uint32_t n = t->count;
	if (!cut->next_known)
		return n;
	int64_t until = clip_rescale(cut->next_dts, m->timescale, t->timescale);
	while (n > 0 && t->pending[n - 1].dts >= until)
		n--;
	return n;
}

/* What a track gives to the fragment. */
struct part {
	unsigned track;
	uint32_t count; /* of its pending samples, from the first */
	size_t bytes;
};

static int make_run(struct fragmenter *f, struct part *part, struct bmff_run *ret_run)
{
	struct fragmenter_track *t = &f->tracks[part->track];
	struct bmff_sample *samples = calloc(part->count, sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	for (uint32_t i = 0; i < part->count; i++) {
		const struct fragmenter_sample *s = &t->pending[i];
		samples[i] = (struct bmff_sample){
			.size = s->len,
			.duration = (uint32_t)s->duration,
			.cts_offset = (int32_t)(s->pts - s->dts),
			.sync = s->sync,
		};
		part->bytes += s->len;
	}
	int64_t decode_time = t->pending[0].dts + t->out_offset;
	if (decode_time < t->out_end)
		decode_time = t->out_end; /* rounding between tracks, or sound that overlaps a new
					     beginning */
	*ret_run = (struct bmff_run){
		.track_id = part->track + 1,
		.decode_time = (uint64_t)decode_time,
		.sample_count = part->count,
		.samples = samples,
	};
	return 0;
}

/* Capture time and duration: of the master track, or of the only one that has something. */
static void set_times(
	struct fragmenter *f, unsigned track, uint32_t count, struct fragment_header *h)
{
	struct fragmenter_track *t = &f->tracks[track];
	uint32_t all = t->count;
	t->count = count;
	struct shown shown = shown_of(t);
	t->count = all;
	uint32_t scale = f->tracks[f->master].timescale;
	int64_t first = clip_rescale(shown.first, t->timescale, scale);
	int64_t end = clip_rescale(shown.end, t->timescale, scale);
	if (track == f->master)
		f->reordered = shown.reordered;
	int64_t capture_us = timebase_at(&f->time, first);
	int64_t duration_us = timebase_at(&f->time, end) - capture_us;
	h->capture.us = capture_us < 0 ? 0 : capture_us > WALL_MAX_US ? WALL_MAX_US : capture_us;
	h->duration_us = duration_us < 0                    ? 0
			 : duration_us > 60 * US_PER_SECOND ? 60 * US_PER_SECOND
							    : (uint32_t)duration_us;
}

static void set_flags(struct fragmenter *f, bool has_master, struct fragment_header *h)
{
	const struct fragmenter_track *m = &f->tracks[f->master];
	if (m->media != BMFF_VIDEO)
		h->flags |= FRAGMENT_SYNC | FRAGMENT_NO_VIDEO;
	else if (has_master && m->pending[0].sync)
		h->flags |= FRAGMENT_SYNC | (m->pending[0].sync_open ? FRAGMENT_SYNC_OPEN : 0);
	if (f->discontinuous)
		h->flags |= FRAGMENT_DISCONTINUITY;
	if (f->last_capture_us >= 0 && h->capture.us < f->last_capture_us)
		h->flags |= FRAGMENT_CLOCK_BACK;
	h->clock_source = (uint8_t)f->clock_source;
	h->clock_error_us = f->clock_error_us;
}

/* The samples are in the fragment, their bytes too. */
static void take_pending(struct fragmenter *f, const struct part *part, const struct bmff_run *run)
{
	struct fragmenter_track *t = &f->tracks[part->track];
	t->out_end = (int64_t)run->decode_time;
	for (uint32_t i = 0; i < part->count; i++)
		t->out_end += t->pending[i].duration;
	f->pending_bytes -= part->bytes;
	memmove(t->pending, t->pending + part->count,
		(t->count - part->count) * sizeof(*t->pending));
	t->count -= part->count;
}

/* Head and media of the parts. The first part's bytes, nearly all, stay where they are; the others'
 * are put behind. */
static int make_body(struct fragmenter *f, const struct part *parts, const struct bmff_run *runs,
	size_t count, struct fragment_header *h, struct buf **ret_body)
{
	size_t samples = 0, bytes = 0;
	for (size_t i = 0; i < count; i++) {
		samples += parts[i].count;
		bytes += parts[i].bytes;
	}
	size_t head = BMFF_FRAGMENT_HEAD_SIZE(count, samples), first = parts[0].bytes;
	if (head + bytes > FRAGMENT_BODY_MAX)
		return ERR_LIMIT;
	struct buf *body;
	int rc =
		payload_take(&f->tracks[parts[0].track].payload, first, head, bytes - first, &body);
	if (rc < 0)
		return rc;
	rc = bmff_fragment_head(runs, count, h, body->data);
	if (rc < 0) {
		buf_unref(&body);
		return rc;
	}
	uint8_t *to = body->data + head + first;
	for (size_t i = 1; i < count; i++) {
		payload_move(&f->tracks[parts[i].track].payload, parts[i].bytes, to);
		to += parts[i].bytes;
	}
	*ret_body = body;
	return 0;
}

static int make_item(
	struct fragmenter *f, struct fragment_header *h, struct buf *body, struct item **ret_item)
{
	struct item *item = item_new(h, f->init, body);
	if (!item)
		return -ENOMEM;
	if (f->gap_cause && f->end_us >= 0 && f->end_us < h->capture.us) {
		item->gap_cause = f->gap_cause;
		item->gap_from_us = f->end_us;
	}
	*ret_item = item;
	return 0;
}

/* The parts as one item; what is pending of them is gone then. */
static int join(struct fragmenter *f, const struct part *parts, const struct bmff_run *runs,
	size_t count, struct fragment_header *h, struct item **ret_item)
{
	struct buf *body;
	struct item *item;
	set_times(f, parts[0].track, parts[0].count, h);
	set_flags(f, parts[0].track == f->master, h);
	h->seq = ++f->serial; /* until it is numbered: what mfhd shows */
	int rc = make_body(f, parts, runs, count, h, &body);
	if (rc < 0)
		return rc;
	rc = make_item(f, h, body, &item);
	buf_unref(&body);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		take_pending(f, &parts[i], &runs[i]);
	f->end_us = fragment_end(&item->header).us;
	f->last_capture_us = item->header.capture.us;
	f->discontinuous = false;
	f->gap_cause = 0;
	*ret_item = item;
	return 0;
}

int fragment_cut(struct fragmenter *f, const struct fragment_cut *cut, struct item **ret_item)
{
	struct part parts[FRAGMENT_TRACKS_MAX] = {0};
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t n = 0;
	int rc = 0;
	struct item *item = NULL;
	struct fragment_header h = {0};
	for (unsigned k = 0; rc == 0 && k < f->track_count; k++) {
		/* the master's first, so that its sync sample is first in mdat */
		unsigned i = k == 0 ? f->master : k <= f->master ? k - 1 : k;
		struct fragmenter_track *t = &f->tracks[i];
		uint32_t count = i == f->master ? t->count : samples_before(f, i, cut);
		if (count == 0)
			continue;
		bool master = i == f->master;
		int64_t next = master             ? cut->next_dts
			       : count < t->count ? t->pending[count].dts
						  : 0;
		bool known = master ? cut->next_known : count < t->count;
		if (settle_durations(t, count, known, next) && (master || n == 0))
			h.flags |= FRAGMENT_ESTIMATED_DURATION;
		parts[n] = (struct part){.track = i, .count = count};
		rc = make_run(f, &parts[n], &runs[n]);
		n += rc == 0;
	}
	if (rc == 0 && n > 0)
		rc = join(f, parts, runs, n, &h, &item);
	if (rc == 0)
		*ret_item = item;
	while (n > 0)
		free((struct bmff_sample *)runs[--n].samples);
	return rc;
}
