/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/source.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/media/clockmap.h"
#include "tools/media/input.h"
#include "tools/media/url.h"

#define STACK_BYTES    (512u << 10) /* there may be two thousand of these threads */
#define WAIT_FIRST_S   1
#define WAIT_MOST_S    30
#define GOOD_RUN_US    (60 * US_PER_SECOND) /* after so long a new trouble is a new beginning */
#define JUMP_BACK_US   US_PER_SECOND
#define JUMP_AHEAD_US  (10 * US_PER_SECOND)
#define PATIENCE_UNITS 100 /* pictures without a word of the sound: it is given up */
/* Where media time begins: room below for sound that begins before the picture. */
#define FIRST_MEDIA_US (10 * US_PER_SECOND)

/* Media time is one time base for all tracks and all connections: what libavformat counts, plus
 * `shift_us`. */
struct source {
	struct source_options options;
	char *url; /* with the password */
	struct source_sink *sink;
	struct input input;
	struct clockmap clock;
	pthread_t thread;
	atomic_bool stopping;
	atomic_llong camera_ahead_us;
	pthread_mutex_t lock; /* for `bell` alone */
	pthread_cond_t bell;
	/* the source's thread only */
	bool told_tracks; /* the sink knows the tracks */
	bool begun;       /* the first picture of this run was handed out */
	bool fresh_run;   /* the next sample begins a run: its shift is to be found */
	bool live;
	int64_t shift_us, end_media_us, last_media_us, last_receipt_us;
	int64_t pace_media_us;
	struct timespec pace_start;
	int wait_s;
	unsigned waited_units;
};

static int64_t wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

static bool is_stopping(const struct source *s)
{
	return atomic_load_explicit(&s->stopping, memory_order_relaxed);
}

/* Waits until the monotonic instant, or less when the source is stopped. */
static void sleep_until(struct source *s, const struct timespec *until)
{
	pthread_mutex_lock(&s->lock);
	while (!is_stopping(s) && pthread_cond_timedwait(&s->bell, &s->lock, until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&s->lock);
}

static void say(struct source *s, enum source_state state, const char *words)
{
	s->sink->state(s->sink, state, words);
}

/* --- times */

static int64_t ticks_us(const struct track *t, int64_t ticks)
{
	return av_rescale(ticks, US_PER_SECOND, t->description.timescale);
}

static int64_t us_ticks(const struct track *t, int64_t us)
{
	return av_rescale(us, t->description.timescale, US_PER_SECOND);
}

/* Whole seconds can be said exactly in ticks of every track, so times within a run keep their
 * distances to the tick. */
static int64_t whole_seconds(int64_t us)
{
	return us >= 0 ? us / US_PER_SECOND * US_PER_SECOND
		       : -((-us + US_PER_SECOND - 1) / US_PER_SECOND * US_PER_SECOND);
}

/* Finds the shift of a run that begins with this unit: the first at ten seconds, later ones where
 * the last left off. */
static void begin_run(struct source *s, const struct track *t, const struct track_unit *u)
{
	int64_t dts_us = ticks_us(t, u->dts);
	bool first = s->end_media_us == 0;
	int64_t at_us = FIRST_MEDIA_US;
	if (!first && s->live) {
		int64_t elapsed_us = u->receipt_us - s->last_receipt_us;
		at_us = s->last_media_us + (elapsed_us > 0 ? elapsed_us : 0);
		at_us = at_us > s->end_media_us ? at_us : s->end_media_us;
	} else if (!first) {
		at_us = s->end_media_us;
	}
	s->shift_us = at_us - dts_us;
	if (first)
		s->shift_us = at_us - whole_seconds(dts_us);
	else if (s->live)
		s->shift_us = whole_seconds(s->shift_us) + US_PER_SECOND;
	if (s->live && !first)
		clockmap_restart(&s->clock);
	s->fresh_run = false;
}

/* Whether the camera began to count anew: times that jump as no clock does. */
static bool jumped(
	const struct source *s, unsigned index, int64_t media_us, const struct track_unit *u)
{
	int64_t ahead_us = media_us - s->last_media_us;
	if (ahead_us < (index == 0 ? -JUMP_BACK_US : -JUMP_AHEAD_US))
		return true;
	return s->live && ahead_us - (u->receipt_us - s->last_receipt_us) > JUMP_AHEAD_US;
}

static void pace(struct source *s, int64_t media_us)
{
	if (s->live || s->options.fast)
		return;
	if (s->pace_media_us == 0) {
		s->pace_media_us = media_us;
		clock_gettime(CLOCK_MONOTONIC, &s->pace_start);
	}
	int64_t ahead_us = media_us - s->pace_media_us;
	if (ahead_us <= 0)
		return;
	int64_t ns = s->pace_start.tv_nsec + ahead_us % US_PER_SECOND * 1000;
	struct timespec until = {
		s->pace_start.tv_sec + ahead_us / US_PER_SECOND + ns / NS_PER_SECOND,
		ns % NS_PER_SECOND};
	sleep_until(s, &until);
}

/* --- samples */

static int tell_tracks(struct source *s)
{
	struct steppe_track tracks[INPUT_TRACKS_MAX];
	for (unsigned i = 0; i < s->input.track_count; i++)
		tracks[i] = s->input.tracks[i].description;
	s->told_tracks = true;
	return s->sink->tracks(s->sink, tracks, s->input.track_count);
}

static bool all_ready(const struct source *s)
{
	for (unsigned i = 0; i < s->input.track_count; i++)
		if (!s->input.tracks[i].ready)
			return false;
	return true;
}

static int hand_out(struct source *s, unsigned index, const struct track_unit *u)
{
	const struct track *t = &s->input.tracks[index];
	int64_t media_us = ticks_us(t, u->pts) + s->shift_us;
	struct clockmap_reading reading = {media_us, u->receipt_us, u->sender_us};
	bool first_ever = s->end_media_us == 0;
	struct clockmap_result at = clockmap_take(&s->clock, &reading);
	atomic_store_explicit(&s->camera_ahead_us, s->clock.camera_ahead_us, memory_order_relaxed);
	struct steppe_sample sample = STEPPE_INIT(steppe_sample);
	sample.track = index;
	sample.data = u->data;
	sample.len = u->len;
	sample.pts = u->pts + us_ticks(t, s->shift_us);
	sample.dts = u->dts + us_ticks(t, s->shift_us);
	sample.duration = u->duration;
	sample.sync = u->sync;
	sample.sync_open = u->sync_open;
	sample.wall_us = at.wall_us;
	sample.clock = at.source;
	sample.clock_error_us = at.error_us;
	sample.discontinuity = at.stepped && !first_ever;
	int64_t end_us = ticks_us(t, u->dts + (u->duration > 0 ? u->duration : t->usual_duration)) +
			 s->shift_us;
	s->end_media_us = end_us > s->end_media_us ? end_us : s->end_media_us;
	pace(s, ticks_us(t, u->dts) + s->shift_us);
	return s->sink->sample(s->sink, &sample);
}

/* Whether the unit must be left out: tracks are not all known, pictures cannot be decoded yet, or
 * the sound is of a run that has not begun with its picture. Finds on the way that a new run
 * begins. */
static bool hold_back(struct source *s, unsigned index, const struct track_unit *u)
{
	const struct track *t = &s->input.tracks[index];
	if (!all_ready(s)) {
		if (index == 0 && t->ready && ++s->waited_units > PATIENCE_UNITS)
			input_drop_unready(&s->input);
		return true;
	}
	bool starts = index == 0 && u->sync;
	if (!s->begun)
		return !starts;
	if (s->fresh_run || !jumped(s, index, ticks_us(t, u->dts) + s->shift_us, u))
		return false;
	if (index == 0) {
		s->fresh_run = true;
		s->begun = starts;
	}
	return !starts;
}

static int take(struct source *s, unsigned index, const struct track_unit *u)
{
	const struct track *t = &s->input.tracks[index];
	if (hold_back(s, index, u))
		return 0;
	if (s->fresh_run)
		begin_run(s, t, u);
	if (!s->begun)
		say(s, SOURCE_RUNNING, s->input.note);
	s->begun = true;
	if (!s->told_tracks || u->tracks_changed) {
		int error = tell_tracks(s);
		if (error < 0)
			return error;
	}
	int error = hand_out(s, index, u);
	if (index == 0) {
		s->last_media_us = ticks_us(t, u->dts) + s->shift_us;
		s->last_receipt_us = u->receipt_us;
	}
	return error;
}

/* Reads until the end or a failure: AVERROR_EOF, -ECANCELED, other codes. *ret_sink tells that the
 * sink wants no more. */
static int pump(struct source *s, bool *ret_sink)
{
	while (!is_stopping(s)) {
		struct track_unit unit;
		int index = input_read(&s->input, &unit);
		if (index < 0)
			return index;
		int error = take(s, (unsigned)index, &unit);
		if (error < 0) {
			*ret_sink = true;
			return error;
		}
	}
	return -ECANCELED;
}

/* --- life */

static int open_input(struct source *s, char *why, size_t why_size)
{
	struct input_options o = {.url = s->url,
		.rtsp = url_is_rtsp(s->url),
		.udp = s->options.transport == SOURCE_UDP,
		.live = s->live,
		.no_audio = s->options.no_audio,
		.timeout_s = s->options.timeout_s};
	s->input.stopping = &s->stopping;
	s->begun = s->told_tracks = false;
	s->fresh_run = true;
	s->waited_units = 0;
	return input_open(&s->input, &o, why, why_size);
}

/* A file's first picture was taken when the user says; else now, or so that a fast one ends now. */
static void declare_start(struct source *s)
{
	if (s->live)
		return;
	int64_t start_us = s->options.start.us;
	int64_t duration_us = input_duration_us(&s->input);
	if (start_us < 0) {
		start_us = wall_us();
		if (s->options.fast && duration_us > 0)
			start_us -= duration_us;
	}
	clockmap_init(&s->clock, CLOCKMAP_DECLARED, start_us);
}

static enum steppe_gap cause_of(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -ECONNRESET:
	case -EPIPE:
	case -ECONNABORTED:
		return STEPPE_GAP_NETWORK;
	default:
		return STEPPE_GAP_CAMERA_OFF;
	}
}

/* A live source went: says why, waits, and waits longer each time. */
static void wait_for_it(struct source *s, int error, const char *words, int64_t run_us)
{
	char line[256];
	if (run_us > GOOD_RUN_US || s->wait_s == 0)
		s->wait_s = WAIT_FIRST_S;
	s->sink->interrupted(s->sink, cause_of(error));
	snprintf(line, sizeof(line), "%.180s; again in %d s", words, s->wait_s);
	say(s, SOURCE_WAITING, line);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += s->wait_s;
	sleep_until(s, &until);
	s->wait_s = s->wait_s * 2 > WAIT_MOST_S ? WAIT_MOST_S : s->wait_s * 2;
}

/* One opening of the source to its end. True when it is over for good, with `state` and `words`. */
static bool run_once(struct source *s, enum source_state *state, char *words, size_t size)
{
	bool sink_ended = false;
	int64_t start_us = wall_us();
	say(s, SOURCE_CONNECTING, "");
	int error = open_input(s, words, size);
	if (!error) {
		if (s->end_media_us == 0)
			declare_start(s);
		error = pump(s, &sink_ended);
		while (error == AVERROR_EOF && s->options.loop && !s->live && s->begun &&
			input_rewind(&s->input) >= 0) {
			s->fresh_run = true;
			error = pump(s, &sink_ended);
		}
		input_error_text(error, words, size);
	}
	bool any = s->begun;
	input_close(&s->input);
	*state = SOURCE_FAILED;
	if (is_stopping(s) || (error == AVERROR_EOF && !s->live && any)) {
		*state = SOURCE_ENDED;
		words[0] = 0;
		return true;
	}
	if (error == AVERROR_EOF && !s->live)
		snprintf(words, size, "not one picture in it can be decoded");
	if (!s->live || sink_ended || error == -ENOTSUP || error == AVERROR_PROTOCOL_NOT_FOUND ||
		error == -ENOMEM)
		return true;
	wait_for_it(s, error, words, any ? wall_us() - start_us : 0);
	*state = SOURCE_ENDED;
	words[0] = 0;
	return is_stopping(s);
}

static void *source_main(void *user)
{
	struct source *s = user;
	enum source_state state;
	char words[256] = "";
	while (!run_once(s, &state, words, sizeof(words)))
		;
	say(s, state, words);
	return NULL;
}

static void destroy(struct source *s)
{
	if (s->url)
		explicit_bzero(s->url, strlen(s->url));
	free(s->url);
	pthread_cond_destroy(&s->bell);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Signals are the main thread's business. */
static int start_thread(struct source *s)
{
	pthread_attr_t attr;
	sigset_t all, before;
	if (pthread_attr_init(&attr))
		return -ENOMEM;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = -pthread_create(&s->thread, &attr, source_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

int source_start(
	const struct source_options *options, struct source_sink *sink, struct source **ret_source)
{
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->bell, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&s->lock, NULL);
	s->options = *options;
	s->sink = sink;
	s->url = url_with_credentials(options->url, options->user, options->password);
	s->live = url_is_live(options->url);
	s->options.url = s->options.user = s->options.password = NULL;
	clockmap_init(&s->clock,
		options->clock == SOURCE_CLOCK_RECEIPT ? CLOCKMAP_RECEIPT : CLOCKMAP_AUTO, 0);
	int error = s->url ? start_thread(s) : -ENOMEM;
	if (error) {
		destroy(s);
		return error;
	}
	*ret_source = s;
	return 0;
}

void source_stop(struct source *s)
{
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stopping, true);
	pthread_cond_broadcast(&s->bell);
	pthread_mutex_unlock(&s->lock);
}

void source_free(struct source **source)
{
	struct source *s = *source;
	if (!s)
		return;
	*source = NULL;
	source_stop(s);
	pthread_join(s->thread, NULL);
	destroy(s);
}

int64_t source_camera_ahead_us(const struct source *s)
{
	return atomic_load_explicit(&s->camera_ahead_us, memory_order_relaxed);
}
