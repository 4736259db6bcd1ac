/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clip_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

#define FRAGMENTS_MAX (UINT32_C(1) << 22)

/* A fragment, by its number. */
struct ref {
	uint64_t session, seq, epoch;
	uint32_t source, fragment;
};

/* Fragments `first` .. `first + count` of the sorted references. */
struct run {
	size_t first, count;
	size_t needed; /* of them, from the start; 0: the run is not shown */
	int64_t capture_us;
	bool leads; /* pictures before its open sync are shown: they need the run before it */
	bool whole; /* needed by the run after it: nothing may be left out at its end */
};

struct chooser {
	const struct clip_source *sources;
	const unsigned *masters;
	const struct clip_window *window;
	struct ref *refs;
	size_t ref_count;
	struct run *runs;
	size_t run_count;
};

unsigned clip_master_track(const struct bmff_init *init)
{
	for (unsigned i = 0; i < init->track_count; i++)
		if (init->tracks[i].media == BMFF_VIDEO)
			return i;
	return 0;
}

static const struct table_fragment *fragment_of(const struct clip_source *s, uint32_t fragment)
{
	return &s->table->fragments[fragment];
}

const struct bmff_sample *clip_samples(
	const struct clip_source *source, uint32_t fragment, unsigned track, uint32_t *ret_count)
{
	const struct table_fragment *f = fragment_of(source, fragment);
	*ret_count = f->run[track].sample_count;
	return source->table->tracks[track].samples + f->run[track].first_sample;
}

struct clip_clock clip_clock_of(
	const struct clip_source *source, uint32_t fragment, unsigned master)
{
	uint32_t count;
	const struct bmff_sample *samples = clip_samples(source, fragment, master, &count);
	struct clip_clock clock = {
		.capture_us = fragment_of(source, fragment)->capture.us,
		.timescale = source->table->tracks[master].timescale,
	};
	int64_t dts = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || dts + samples[i].cts_offset < clock.first_pts)
			clock.first_pts = dts + samples[i].cts_offset;
		dts += samples[i].duration;
	}
	return clock;
}

/* Rounded up: capture times are rounded to the nearest microsecond, so that a picture never counts
 * as earlier than the whole microsecond in which it is shown, which is what people read off a list
 * of times and ask for. */
int64_t clip_clock_wall(const struct clip_clock *clock, int64_t pts)
{
	int64_t ticks = pts - clock->first_pts;
	return clock->capture_us + ticks / clock->timescale * US_PER_SECOND +
	       (ticks % clock->timescale * US_PER_SECOND + clock->timescale - 1) / clock->timescale;
}

/* How many samples of the fragment, in decoding order, what the window shows of it needs; 0: it
 * shows nothing. */
static uint32_t samples_needed(const struct chooser *c, const struct ref *r)
{
	const struct clip_source *s = &c->sources[r->source];
	const struct table_fragment *f = fragment_of(s, r->fragment);
	/* a second more than its duration says: this is but the quick answer */
	if (f->capture.us >= c->window->to_us ||
		f->capture.us + f->duration_us + US_PER_SECOND < c->window->from_us)
		return 0;
	uint32_t count, needed = 0;
	const struct bmff_sample *samples =
		clip_samples(s, r->fragment, c->masters[r->source], &count);
	struct clip_clock clock = clip_clock_of(s, r->fragment, c->masters[r->source]);
	int64_t dts = 0;
	for (uint32_t i = 0; i < count; i++) {
		int64_t wall = clip_clock_wall(&clock, dts + samples[i].cts_offset);
		if (clip_window_shows(c->window, wall))
			needed = i + 1;
		dts += samples[i].duration;
	}
	return needed;
}

/* --- runs --- */

static int by_number(const void *a, const void *b)
{
	const struct ref *x = a, *y = b;
	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->epoch > y->epoch ? -1 : x->epoch < y->epoch;
}

static int by_capture(const void *a, const void *b)
{
	const struct run *x = a, *y = b;
	if (x->capture_us != y->capture_us)
		return x->capture_us < y->capture_us ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int collect(struct chooser *c, size_t count)
{
	size_t total = 0;
	for (size_t i = 0; i < count; i++)
		total += c->sources[i].table->fragment_count;
	if (total > FRAGMENTS_MAX)
		return ERR_LIMIT;
	c->refs = calloc(total ? total : 1, sizeof(*c->refs));
	c->runs = calloc(total ? total : 1, sizeof(*c->runs));
	if (!c->refs || !c->runs)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < c->sources[i].table->fragment_count; j++)
			c->refs[c->ref_count++] = (struct ref){
				.session = c->sources[i].table->session,
				.seq = fragment_of(&c->sources[i], j)->seq,
				.epoch = c->sources[i].epoch,
				.source = (uint32_t)i,
				.fragment = j,
			};
	qsort(c->refs, c->ref_count, sizeof(*c->refs), by_number);
	size_t kept = 0;
	for (size_t i = 0; i < c->ref_count; i++)
		if (kept == 0 || c->refs[kept - 1].session != c->refs[i].session ||
			c->refs[kept - 1].seq != c->refs[i].seq)
			c->refs[kept++] = c->refs[i];
	c->ref_count = kept;
	return 0;
}

static bool same_init(const struct clip_source *a, const struct clip_source *b)
{
	return a == b || (a->init_len == b->init_len && !memcmp(a->init, b->init, a->init_len));
}

static bool follows(const struct chooser *c, const struct ref *before, const struct ref *r)
{
	return before->session == r->session && before->seq + 1 == r->seq &&
	       same_init(&c->sources[before->source], &c->sources[r->source]);
}

static bool is_sync(const struct chooser *c, const struct ref *r)
{
	return fragment_of(&c->sources[r->source], r->fragment)->flags & FRAGMENT_SYNC;
}

/* Whether the window shows a picture that precedes the open sync sample it is coded after. */
static bool shows_leading(const struct chooser *c, const struct ref *r)
{
	const struct clip_source *s = &c->sources[r->source];
	uint32_t count;
	const struct bmff_sample *samples =
		clip_samples(s, r->fragment, c->masters[r->source], &count);
	if (!(fragment_of(s, r->fragment)->flags & FRAGMENT_SYNC_OPEN) || count == 0)
		return false;
	struct clip_clock clock = clip_clock_of(s, r->fragment, c->masters[r->source]);
	int64_t dts = 0, sync_pts = samples[0].cts_offset;
	for (uint32_t i = 0; i < count; i++) {
		int64_t pts = dts + samples[i].cts_offset;
		if (pts < sync_pts && clip_window_shows(c->window, clip_clock_wall(&clock, pts)))
			return true;
		dts += samples[i].duration;
	}
	return false;
}

/* What does not hang on a sync sample cannot be decoded and is in no run. */
static void cut_runs(struct chooser *c)
{
	struct run *run = NULL;
	for (size_t i = 0; i < c->ref_count; i++) {
		const struct ref *r = &c->refs[i];
		if (is_sync(c, r)) {
			run = &c->runs[c->run_count++];
			run->first = i;
			run->capture_us =
				fragment_of(&c->sources[r->source], r->fragment)->capture.us;
			run->leads = shows_leading(c, r);
		} else if (run && !follows(c, &c->refs[i - 1], r)) {
			run = NULL;
		}
		if (!run)
			continue;
		run->count++;
		if (samples_needed(c, r))
			run->needed = run->count;
	}
	/* from the end, so that a run taken for its follower's sake can itself ask for nothing more */
	for (size_t i = c->run_count; i > 1; i--) {
		struct run *r = &c->runs[i - 1], *before = &c->runs[i - 2];
		if (r->needed && r->leads && before->first + before->count == r->first &&
			follows(c, &c->refs[r->first - 1], &c->refs[r->first])) {
			before->needed = before->count;
			before->whole = true;
		}
	}
}

static bool ticks_continue(const struct chooser *c, const struct ref *before, const struct ref *r,
	uint32_t before_count)
{
	const struct clip_source *a = &c->sources[before->source], *b = &c->sources[r->source];
	const struct table_fragment *fa = fragment_of(a, before->fragment),
				    *fb = fragment_of(b, r->fragment);
	unsigned master = c->masters[r->source];
	if (!follows(c, before, r) || fb->flags & FRAGMENT_DISCONTINUITY)
		return false;
	if (before_count != fa->run[master].sample_count)
		return false;
	/* in one chunk ticks must go forward; a chunk of its own begins anew */
	return a != b || fb->run[master].sample_count == 0 ||
	       fb->run[master].decode_time > fa->run[master].decode_time;
}

static void flatten(const struct chooser *c, struct clip_step *steps, size_t *ret_count)
{
	size_t n = 0;
	const struct ref *before = NULL;
	for (size_t i = 0; i < c->run_count; i++) {
		const struct run *run = &c->runs[i];
		for (size_t j = 0; j < run->needed; j++) {
			const struct ref *r = &c->refs[run->first + j];
			const struct clip_source *s = &c->sources[r->source];
			unsigned master = c->masters[r->source];
			struct clip_step *step = &steps[n];
			*step = (struct clip_step){.source = r->source, .fragment = r->fragment};
			step->master_count = fragment_of(s, r->fragment)->run[master].sample_count;
			uint32_t needed = samples_needed(c, r);
			if (j + 1 == run->needed && needed && !run->whole)
				step->master_count = needed;
			step->new_file = before && !same_init(&c->sources[before->source], s);
			step->continues =
				before && ticks_continue(c, before, r, steps[n - 1].master_count);
			before = r;
			n++;
		}
	}
	*ret_count = n;
}

int clip_steps_choose(const struct clip_source *sources, const unsigned *masters, size_t count,
	const struct clip_window *window, struct clip_step **ret_steps, size_t *ret_count)
{
	struct chooser c = {.sources = sources, .masters = masters, .window = window};
	struct clip_step *steps = NULL;
	int rc = collect(&c, count);
	if (rc < 0)
		goto fail;
	cut_runs(&c);
	qsort(c.runs, c.run_count, sizeof(*c.runs), by_capture);
	size_t total = 0;
	for (size_t i = 0; i < c.run_count; i++)
		total += c.runs[i].needed;
	steps = total ? calloc(total, sizeof(*steps)) : NULL;
	if (total && !steps) {
		rc = -ENOMEM;
		goto fail;
	}
	if (total)
		flatten(&c, steps, &total);
	*ret_steps = steps;
	*ret_count = total;
fail:
	free(c.refs);
	free(c.runs);
	return rc;
}
