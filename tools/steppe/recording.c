/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

#define HELD_BACK_BYTES (8u << 20) /* of a fast source: not durable yet, before it must wait */
#define CLOSED_NOT_YET  1

struct recording {
	struct source_sink sink;
	struct recording_options options;
	struct steppe *steppe;
	struct source *source;
	struct steppe_recorder
		*recorder; /* made by the source's thread with the first tracks; under the lock */
	pthread_mutex_t lock;
	pthread_cond_t bell; /* more became durable, or it ends */
	struct recording_view view;
	bool ending, end_asked;
	int timeout_ms;
	uint64_t bytes_before;
	struct mono measured;
};

static void tell(struct recording *r)
{
	if (r->options.changed)
		r->options.changed();
}

/* --- what the recorder tells, on libsteppe's thread --- */

static void on_changed(void *user, const struct steppe_recorder_status *status)
{
	struct recording *r = user;
	const char *reason = NULL;
	pthread_mutex_lock(&r->lock);
	r->view.recorder = *status;
	if (status->refusal && steppe_last_refusal(&reason) && reason)
		snprintf(r->view.refusal_reason, sizeof(r->view.refusal_reason), "%s", reason);
	pthread_cond_broadcast(&r->bell);
	pthread_mutex_unlock(&r->lock);
	tell(r);
}

static void on_durable(void *user, uint64_t session, uint64_t seq, int64_t capture_us,
	uint32_t duration_us, const uint8_t *digest)
{
	struct recording *r = user;
	struct ledger *l = r->options.ledger;
	pthread_mutex_lock(&l->lock);
	fprintf(l->to,
		"{\"stream\":\"%s\",\"session\":\"%016" PRIx64 "\",\"seq\":%" PRIu64
		",\"capture_us\":%" PRId64 ",\"duration_us\":%" PRIu32 ",\"digest\":\"",
		r->options.stream, session, seq, capture_us, duration_us);
	for (int i = 0; i < 32; i++)
		fprintf(l->to, "%02x", digest[i]);
	fputs("\"}\n", l->to);
	fflush(l->to);
	pthread_mutex_unlock(&l->lock);
}

static void on_closed(void *user, int status)
{
	struct recording *r = user;
	pthread_mutex_lock(&r->lock);
	r->recorder = NULL;
	r->view.closed = status;
	if (status == 0 && r->view.last_us > r->view.recorder.durable_until_us)
		r->view.recorder.durable_until_us = r->view.last_us;
	pthread_mutex_unlock(&r->lock);
	tell(r);
}

/* --- what the source tells, on its thread --- */

/* Which spool, and who has it: what a person needs to end it. */
static void tell_spool_is_busy(struct recording *r)
{
	long pid = steppe_spool_holder(r->options.spool_dir, r->options.stream);
	char path[64], name[64] = "", who[96] = "another recorder";
	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	FILE *comm = pid > 0 ? fopen(path, "re") : NULL;
	if (comm && fgets(name, sizeof(name), comm))
		name[strcspn(name, "\n")] = 0;
	if (comm)
		(void)fclose(comm); /* it was only read */
	if (pid > 0)
		snprintf(who, sizeof(who), "process %ld%s%s%s", pid, name[0] ? " (" : "", name,
			name[0] ? ")" : "");
	pthread_mutex_lock(&r->lock);
	r->view.spool_busy = true;
	snprintf(r->view.words, sizeof(r->view.words), "its spool in %s is in use by %s",
		r->options.spool_dir, who);
	pthread_mutex_unlock(&r->lock);
}

static int open_recorder(struct recording *r, const struct steppe_track *tracks, unsigned count)
{
	struct steppe_recorder_options o = STEPPE_INIT(steppe_recorder_options);
	struct steppe_recorder *recorder;
	o.stream = r->options.stream;
	o.tracks = tracks;
	o.track_count = count;
	o.spool_dir = r->options.spool_dir;
	o.spool_limit = r->options.spool_limit;
	o.memory_limit = r->options.memory_limit;
	o.changed = on_changed;
	o.durable = r->options.ledger && r->options.ledger->to ? on_durable : NULL;
	o.user = r;
	int error = steppe_record(r->steppe, &o, &recorder);
	if (error == -EBUSY)
		tell_spool_is_busy(r);
	if (error)
		return error;
	pthread_mutex_lock(&r->lock);
	r->recorder = recorder;
	r->view.opened = true;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static int on_tracks(struct source_sink *sink, const struct steppe_track *tracks, unsigned count)
{
	struct recording *r = container_of(sink, struct recording, sink);
	return r->recorder ? steppe_recorder_tracks(r->recorder, tracks, count)
			   : open_recorder(r, tracks, count);
}

/* A file that is read fast must not run ahead of what is durable. */
static void hold_back(struct recording *r)
{
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	pthread_mutex_lock(&r->lock);
	for (;;) {
		steppe_recorder_status(r->recorder, &status);
		if (r->end_asked || status.memory_bytes + status.spool_bytes < HELD_BACK_BYTES)
			break;
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		pthread_cond_timedwait(&r->bell, &r->lock, &until);
	}
	pthread_mutex_unlock(&r->lock);
}

static int on_sample(struct source_sink *sink, const struct steppe_sample *sample)
{
	struct recording *r = container_of(sink, struct recording, sink);
	if (r->options.source.fast)
		hold_back(r);
	int error = steppe_recorder_write(r->recorder, sample);
	pthread_mutex_lock(&r->lock);
	if (r->view.first_us < 0)
		r->view.first_us = sample->wall_us;
	r->view.last_us = sample->wall_us;
	r->view.lost_samples += error == -EAGAIN;
	pthread_mutex_unlock(&r->lock);
	return error == -EAGAIN ? 0 : error;
}

static void on_interrupted(struct source_sink *sink, enum steppe_gap cause)
{
	struct recording *r = container_of(sink, struct recording, sink);
	if (!r->recorder)
		return;
	/* both only shape what comes next: a failure shows at the next write */
	(void)steppe_recorder_flush(r->recorder);
	(void)steppe_recorder_gap(r->recorder, cause);
}

static void close_recorder(struct recording *r);

static void on_state(struct source_sink *sink, enum source_state state, const char *words)
{
	struct recording *r = container_of(sink, struct recording, sink);
	pthread_mutex_lock(&r->lock);
	r->view.source = state;
	if (!r->view.spool_busy)
		snprintf(r->view.words, sizeof(r->view.words), "%s", words);
	if (state == SOURCE_ENDED)
		r->view.end = RECORDING_DONE;
	else if (state == SOURCE_FAILED)
		r->view.end = RECORDING_FAILED;
	bool close = r->view.end != RECORDING_GOES_ON && r->end_asked;
	pthread_mutex_unlock(&r->lock);
	if (close)
		close_recorder(r);
	tell(r);
}

/* --- life --- */

int recording_start(struct steppe *steppe, const struct recording_options *options,
	struct recording **ret_recording)
{
	struct recording *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->sink = (struct source_sink){on_tracks, on_sample, on_interrupted, on_state};
	r->options = *options;
	r->steppe = steppe;
	r->view.first_us = r->view.last_us = r->view.recorder.durable_until_us = -1;
	r->view.closed = CLOSED_NOT_YET;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->bell, NULL);
	int error = source_start(&options->source, &r->sink, &r->source);
	if (error) {
		recording_free(&r);
		return error;
	}
	*ret_recording = r;
	return 0;
}

void recording_view(struct recording *r, struct recording_view *ret_view)
{
	pthread_mutex_lock(&r->lock);
	if (r->recorder) {
		struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
		steppe_recorder_status(r->recorder, &status);
		r->view.recorder = status;
	}
	*ret_view = r->view;
	pthread_mutex_unlock(&r->lock);
	ret_view->camera_ahead_us = source_camera_ahead_us(r->source);
}

void recording_tick(struct recording *r, struct mono now)
{
	struct recording_view v;
	recording_view(r, &v);
	int64_t elapsed_ns = now.ns - r->measured.ns;
	if (r->measured.ns > 0 && elapsed_ns > 0) {
		double bits =
			(double)(v.recorder.bytes - r->bytes_before) * 8e9 / (double)elapsed_ns;
		pthread_mutex_lock(&r->lock);
		/* fragments come once a second: smoothed over a few */
		double before = (double)r->view.bits_per_second;
		r->view.bits_per_second =
			(uint64_t)(before == 0 ? bits : before * 0.7 + bits * 0.3);
		pthread_mutex_unlock(&r->lock);
	}
	r->measured = now;
	r->bytes_before = v.recorder.bytes;
}

bool recording_is_over(struct recording *r)
{
	pthread_mutex_lock(&r->lock);
	bool over = r->view.end != RECORDING_GOES_ON;
	pthread_mutex_unlock(&r->lock);
	return over;
}

/* Once, when the source is over and the end was asked for. */
static void close_recorder(struct recording *r)
{
	pthread_mutex_lock(&r->lock);
	struct steppe_recorder *recorder = r->ending ? NULL : r->recorder;
	bool nothing = !r->ending && !r->recorder;
	r->ending = true;
	if (nothing)
		r->view.closed = 0;
	pthread_mutex_unlock(&r->lock);
	if (!recorder)
		return;
	struct steppe_recorder_status status = STEPPE_INIT(steppe_recorder_status);
	steppe_recorder_status(recorder, &status);
	pthread_mutex_lock(&r->lock);
	r->view.recorder = status;
	pthread_mutex_unlock(&r->lock);
	steppe_recorder_end(recorder, r->timeout_ms, on_closed, r);
}

void recording_end(struct recording *r, int timeout_ms)
{
	pthread_mutex_lock(&r->lock);
	bool over = r->view.end != RECORDING_GOES_ON;
	r->end_asked = true;
	r->timeout_ms = timeout_ms;
	pthread_cond_broadcast(&r->bell);
	pthread_mutex_unlock(&r->lock);
	if (over)
		close_recorder(r);
	else
		source_stop(r->source);
}

void recording_free(struct recording **recording)
{
	struct recording *r = *recording;
	if (!r)
		return;
	*recording = NULL;
	source_free(&r->source);
	pthread_cond_destroy(&r->bell);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
