/* SPDX-License-Identifier: Apache-2.0 */
/* steppe record: cameras and files into the cluster. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/media/url.h"
#include "tools/steppe/camerasfile.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/recordview.h"
#include "tools/steppe/stop.h"

struct record_args {
	const char *stream, *user, *cameras, *spool, *ledger;
	struct wall start;
	int pace, transport, clock;
	bool loop, no_audio, no_spool;
	int64_t grace_us, timeout_us, duration_us;
};

enum { PACE_DEFAULT, PACE_REAL, PACE_FAST };
static const char *const paces[] = {"default", "real", "fast", NULL};
static const char *const transports[] = {"tcp", "udp", NULL};
static const char *const clocks[] = {"auto", "receipt", NULL};

static const struct option record_options[] = {
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL,
		offsetof(struct record_args, stream), "which stream of the camera this is"},
	{"cameras", 0, OPTION_FILE, "FILE", NULL, NULL, offsetof(struct record_args, cameras),
		"record all cameras of a YAML file"},
	{"start", 0, OPTION_TIME, "TIME", NULL, NULL, offsetof(struct record_args, start),
		"files: when the first picture was taken"},
	{"pace", 0, OPTION_CHOICE, "PACE", "default", paces, offsetof(struct record_args, pace),
		"files: in their own time, or as fast as they can be kept; the default is fast "
		"with --start, else real"},
	{"loop", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct record_args, loop),
		"files: again and again"},
	{"transport", 0, OPTION_CHOICE, "KIND", "tcp", transports,
		offsetof(struct record_args, transport), "RTSP: how the media come"},
	{"user", 'u', OPTION_STRING, "NAME", NULL, NULL, offsetof(struct record_args, user),
		"the camera's user; its password see below"},
	{"clock", 0, OPTION_CHOICE, "KIND", "auto", clocks, offsetof(struct record_args, clock),
		"the camera's own time if it sends any, or always the time of receipt"},
	{"no-audio", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct record_args, no_audio),
		"leave the sound out"},
	{"timeout", 0, OPTION_DURATION, "TIME", "10s", NULL,
		offsetof(struct record_args, timeout_us),
		"connect again to a camera that is silent for so long"},
	{"duration", 0, OPTION_DURATION, "TIME", "0s", NULL,
		offsetof(struct record_args, duration_us), "end after so long; 0s is never"},
	{"spool", 0, OPTION_FILE, "DIR", NULL, NULL, offsetof(struct record_args, spool),
		"where footage waits while the cluster is away, instead of the configured "
		"directory"},
	{"no-spool", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct record_args, no_spool),
		"wait in memory alone"},
	{"grace", 0, OPTION_DURATION, "TIME", "30s", NULL, offsetof(struct record_args, grace_us),
		"at the end, wait so long for all to be kept"},
	{"ledger", 0, OPTION_FILE, "FILE", NULL, NULL, offsetof(struct record_args, ledger),
		"append a JSON line for each fragment the cluster has acknowledged"},
	{.name = NULL},
};

/* All that is recorded by this process. */
struct recorder {
	struct command_call *call;
	const struct record_args *args;
	struct cluster cluster;
	struct camerasfile file;
	char stream[CLUSTER_STREAM_MAX];
	char *spool_dir;
	struct ledger ledger;
	struct recording **recordings;
	struct recordview_row *rows;
	size_t count;
	struct recordview view;
};

/* --- setting up --- */

/* mkdir -p; the spool is nobody else's business. */
static int make_directory(char *path)
{
	for (char *p = path + 1;; p++) {
		char c = *p;
		if (c != '/' && c)
			continue;
		*p = 0;
		int failed = mkdir(path, 0700) && errno != EEXIST;
		*p = c;
		if (failed)
			return -errno;
		if (!c)
			return access(path, W_OK) ? -errno : 0;
	}
}

static enum exit_code set_up_spool(struct recorder *r)
{
	if (r->args->no_spool)
		return ENDED_OK;
	r->spool_dir =
		r->args->spool ? strdup(r->args->spool) : config_spool_dir(&r->cluster.config);
	int error = r->spool_dir ? make_directory(r->spool_dir) : -ENOMEM;
	if (!error)
		return ENDED_OK;
	complainf(r->call, "--spool DIR, spool: {dir: DIR} in the configuration, or --no-spool",
		"the spool %s: %s", r->spool_dir ? r->spool_dir : "", strerror(-error));
	return ENDED_FAILURE;
}

static enum exit_code open_ledger(struct recorder *r)
{
	if (!r->args->ledger)
		return ENDED_OK;
	r->ledger.to = fopen(r->args->ledger, "ae");
	if (r->ledger.to)
		return ENDED_OK;
	complainf(r->call, NULL, "%s: %s", r->args->ledger, strerror(errno));
	return ENDED_FAILURE;
}

/* The options of one source, from the command line or the file, with the password from where it may
 * stand. */
static struct source_options source_of(struct recorder *r, struct source_options o)
{
	const char *user = NULL, *password = NULL;
	if (!o.password && config_find_password(&r->cluster.config, o.url, &user, &password)) {
		o.user = o.user ? o.user : user;
		o.password = password;
	}
	if (!o.password)
		o.password = getenv("STEPPE_SOURCE_PASSWORD");
	o.timeout_s = (int)(r->args->timeout_us / US_PER_SECOND);
	return o;
}

static struct source_options source_of_words(struct recorder *r)
{
	const struct record_args *a = r->args;
	bool fast = a->pace == PACE_FAST || (a->pace == PACE_DEFAULT && a->start.us >= 0);
	return source_of(r, (struct source_options){.url = r->call->words[1],
				    .user = a->user,
				    .transport = a->transport ? SOURCE_UDP : SOURCE_TCP,
				    .clock = a->clock ? SOURCE_CLOCK_RECEIPT : SOURCE_CLOCK_AUTO,
				    .no_audio = a->no_audio,
				    .loop = a->loop,
				    .fast = fast,
				    .start = a->start});
}

static int start_one(struct recorder *r, const char *stream, const struct source_options *source)
{
	struct recording_options o = {.stream = stream,
		.source = *source,
		.spool_dir = r->spool_dir,
		.spool_limit = r->cluster.config.spool_limit,
		.memory_limit = r->cluster.config.memory_limit,
		.ledger = &r->ledger,
		.changed = stop_ring};
	r->rows[r->count] = (struct recordview_row){.stream = stream};
	int error = recording_start(r->cluster.steppe, &o, &r->recordings[r->count]);
	if (!error)
		r->count++;
	return error;
}

static enum exit_code start_all(struct recorder *r)
{
	size_t count = r->args->cameras ? r->file.count : 1;
	int error = 0;
	r->recordings = calloc(count, sizeof(struct recording *));
	r->rows = calloc(count, sizeof(*r->rows));
	if (!r->recordings || !r->rows)
		error = -ENOMEM;
	for (size_t i = 0; i < count && !error; i++) {
		struct source_options o = r->args->cameras ? source_of(r, r->file.entries[i].source)
							   : source_of_words(r);
		error = start_one(r, r->args->cameras ? r->file.entries[i].stream : r->stream, &o);
	}
	return error ? complain_of(r->call, error, "starting") : ENDED_OK;
}

/* --- running --- */

static struct mono mono_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (struct mono){t.tv_sec * NS_PER_SECOND + t.tv_nsec};
}

static struct wall wall_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct wall){t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000};
}

static void look(struct recorder *r, bool tick)
{
	struct mono now = mono_now();
	for (size_t i = 0; i < r->count; i++) {
		if (tick)
			recording_tick(r->recordings[i], now);
		recording_view(r->recordings[i], &r->rows[i].view);
	}
	r->view.now = wall_now();
}

/* Refused in a way that waiting does not mend. One stream alone then ends; among many the others go
 * on. */
static bool refused_for_ever(const struct recorder *r)
{
	return !r->args->cameras && r->rows[0].view.recorder.refused_for_good;
}

static bool all_over(struct recorder *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (!recording_is_over(r->recordings[i]))
			return false;
	return true;
}

static bool all_closed(const struct recorder *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->rows[i].view.closed > 0)
			return false;
	return true;
}

/* Shows what happens until `done`; once a second, and sooner for what is no terminal when something
 * changed. */
static void watch(struct recorder *r, bool closing)
{
	struct mono next = mono_now(), start = next;
	for (;;) {
		struct mono now = mono_now();
		bool tick = now.ns >= next.ns;
		if (tick)
			next = mono_add_ns(now, NS_PER_SECOND);
		look(r, tick);
		if (tick || !r->view.live)
			recordview_show(&r->view, r->rows, r->count);
		if (closing ? all_closed(r) : stop_asked() || all_over(r) || refused_for_ever(r))
			return;
		if (!closing && r->args->duration_us > 0 &&
			now.ns - start.ns > r->args->duration_us * 1000)
			return;
		int64_t wait_ms = (next.ns - now.ns) / NS_PER_MS + 1;
		stop_wait(wait_ms < 50 ? 50 : (int)wait_ms);
	}
}

static void end_all(struct recorder *r)
{
	int64_t grace_ms = r->args->grace_us / 1000;
	for (size_t i = 0; i < r->count; i++)
		recording_end(r->recordings[i], grace_ms > INT32_MAX ? -1 : (int)grace_ms);
	watch(r, true);
	recordview_end(&r->view);
}

/* --- the sum --- */

static enum exit_code sum_of(struct recorder *r, const struct recordview_row *row)
{
	const struct recording_view *v = &row->view;
	char span[HUMAN_MAX], bytes[HUMAN_MAX], until[HUMAN_MAX], waiting[HUMAN_MAX];
	bool quiet = r->call->quiet || r->call->json;
	if (v->end == RECORDING_FAILED && !v->opened) {
		complainf(r->call,
			v->spool_busy ? "end that recorder, or give this one a spool of its own: "
					"--spool DIR"
				      : NULL,
			"%s: %s", row->stream, v->words);
		return ENDED_FAILURE;
	}
	if (v->recorder.refused_for_good) {
		(void)complain_refusal(
			r->call, v->recorder.refusal, v->refusal_reason, row->stream);
		return ENDED_REFUSED;
	}
	if (!v->opened) {
		complainf(r->call, NULL, "%s: nothing came to be recorded%s%s", row->stream,
			v->words[0] ? ": " : "", v->words);
		return ENDED_NOTHING;
	}
	human_span(v->last_us - v->first_us, span);
	human_bytes(v->recorder.bytes, bytes);
	human_time((struct wall){v->recorder.durable_until_us}, wall_now(), r->call->utc, until);
	if (!quiet)
		printf("%s: %s, %s in %" PRIu64 " fragments, kept until %s\n", row->stream, span,
			bytes, v->recorder.fragments, until);
	if (v->recorder.dropped_fragments || v->lost_samples)
		complainf(r->call, "a larger spool: limit in the configuration",
			"%s: footage was lost for want of room in the spool", row->stream);
	if (v->closed == 0)
		return v->end == RECORDING_FAILED ? ENDED_FAILURE : ENDED_OK;
	bool refused = v->recorder.refusal && !v->recorder.connected;
	human_bytes(v->recorder.memory_bytes + v->recorder.spool_bytes, waiting);
	complainf(r->call,
		r->spool_dir ? "the same again: what waits in the spool goes out first" : NULL,
		"%s: %s not yet kept by the cluster%s%s%s%s%s", row->stream, waiting,
		refused ? " (" : "", refused ? v->refusal_reason : "", refused ? ")" : "",
		r->spool_dir ? "; they wait in " : ", and lost", r->spool_dir ? r->spool_dir : "");
	return ENDED_NOT_DURABLE;
}

static enum exit_code sum(struct recorder *r)
{
	enum exit_code code = ENDED_OK;
	look(r, false);
	for (size_t i = 0; i < r->count; i++) {
		enum exit_code one = sum_of(r, &r->rows[i]);
		code = code ? code : one;
		if (r->call->json)
			recordview_json(&r->view, &r->rows[i]);
	}
	return code;
}

/* --- the command --- */

static enum exit_code check_words(struct recorder *r)
{
	const struct record_args *a = r->args;
	struct command_call *call = r->call;
	char why[512];
	if (a->cameras) {
		if (call->word_count > 0 || a->start.us >= 0) {
			complain(call, "with --cameras, cameras and sources stand in the file",
				NULL);
			return ENDED_USAGE;
		}
		if (camerasfile_load(&r->file, a->cameras, why, sizeof(why)) == 0)
			return ENDED_OK;
		complain(call, why, NULL);
		return ENDED_USAGE;
	}
	if (call->word_count != 2) {
		complain(call, "it needs a camera and a source, or --cameras FILE",
			"steppe record --help");
		return ENDED_USAGE;
	}
	if (url_has_password(call->words[1])) {
		memset(call->words[1], '*', strlen(call->words[1])); /* what ps shows from now on */
		complain(call,
			"a password does not belong on the command line: others see it there, and "
			"it stays in the shell's history",
			"--user NAME with the password in $STEPPE_SOURCE_PASSWORD, or passwords: "
			"in the configuration");
		return ENDED_USAGE;
	}
	if (a->start.us >= 0 && url_is_live(call->words[1])) {
		complain(call, "--start is for files: a camera's pictures are taken now", NULL);
		return ENDED_USAGE;
	}
	return cluster_name_stream(call, call->words[0], a->stream, r->stream);
}

static void free_all(struct recorder *r)
{
	for (size_t i = 0; i < r->count; i++)
		recording_free(&r->recordings[i]);
	free(r->recordings);
	free(r->rows);
	free(r->spool_dir);
	if (r->ledger.to)
		fclose(r->ledger.to);
	pthread_mutex_destroy(&r->ledger.lock);
	camerasfile_fini(&r->file);
}

static enum exit_code record_run(struct command_call *call, const void *args)
{
	struct recorder r = {.call = call, .args = args};
	pthread_mutex_init(&r.ledger.lock, NULL);
	enum exit_code code = check_words(&r);
	if (!code && (code = cluster_open(&r.cluster, call)) == ENDED_OK) {
		int error = stop_catch();
		code = error ? complain_of(call, error, "signals") : set_up_spool(&r);
		if (!code)
			code = open_ledger(&r);
		if (!code) {
			recordview_init(&r.view, call, r.args->cameras != NULL);
			code = start_all(&r);
			if (!code)
				watch(&r, false);
			end_all(&r);
			code = code ? code : sum(&r);
		}
		for (size_t i = 0; i < r.count; i++)
			recording_free(&r.recordings[i]);
		cluster_close(&r.cluster);
	}
	free_all(&r);
	return code;
}

const struct command command_record = {
	.name = "record",
	.words = "[CAMERA SOURCE]",
	.most_words = 2,
	.brief = "record a camera or a file, or all cameras of a file",
	.about =
		"SOURCE is whatever libavformat opens: rtsp:// addresses, files, MPEG transport "
		"streams over UDP. H.264, H.265 and Motion "
		"JPEG are kept, with AAC or G.711 sound. A live source that goes is connected to "
		"again for ever; the hole gets its cause.\n\n"
		"Times are the camera's own when it sends RTCP sender reports, else those of "
		"receipt; of a file they run from --start.\n\n"
		"\"kept until\" is the promise: everything before that instant survives crashes "
		"and is found by every later query. What is not "
		"kept yet waits in memory, then in the spool directory, survives this program, and "
		"goes out when the cluster is back while "
		"live footage goes on. Ctrl-C and SIGTERM end it in an orderly way: the last "
		"footage is made durable first.\n\n"
		"Passwords never stand on the command line. They come from the environment "
		"(STEPPE_SOURCE_PASSWORD, with --user), from "
		"passwords: in the configuration, or from the file of cameras:\n\n"
		"  passwords:\n    - {source: \"rtsp://10.1.2.\", user: admin, password: "
		"secret}\n\n"
		"The file for --cameras:\n\n"
		"  cameras:\n    - {camera: gate-7, source: \"rtsp://10.1.2.3/stream1\", user: "
		"admin, password_env: GATE_PASSWORD}\n"
		"    - {camera: gate-8, source: \"rtsp://10.1.2.4/stream1\", transport: udp, "
		"audio: no}\n\n"
		"Other keys there: stream, password, password_file, clock (auto or receipt), loop.",
	.examples = "# a camera\nsteppe record gate-7 rtsp://10.1.2.3/stream1 --user admin\n"
		    "# a file, taken last Monday at eight\nsteppe record gate-7 monday.mp4 --start "
		    "2026-11-23T08:00:00+08:00\n"
		    "# a hundred cameras, with a table\nsteppe record --cameras cameras.yaml",
	.options = record_options,
	.args_size = sizeof(struct record_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = record_run,
};
