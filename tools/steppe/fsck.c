/* SPDX-License-Identifier: Apache-2.0 */
/* steppe fsck: is what is stored what was recorded? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/timetext.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/fsckreport.h"
#include "tools/steppe/human.h"
#include "tools/steppe/stop.h"
#include "tools/steppe/term.h"

struct fsck_args {
	const char *stream, *store;
	bool quick, deep, rebuild;
};

static const struct option fsck_options[] = {
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL, offsetof(struct fsck_args, stream),
		"the camera's stream"},
	{"quick", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fsck_args, quick),
		"only the index against the objects' attributes: a stat a chunk"},
	{"deep", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fsck_args, deep),
		"every byte: checksums and SHA-256; reads all of it"},
	{"rebuild-index", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fsck_args, rebuild),
		"make the index anew from the chunks, then check"},
	{"store", 0, OPTION_STRING, "URL", NULL, NULL, offsetof(struct fsck_args, store),
		"check a local store that no daemon has open (file:///srv/video), without a "
		"cluster"},
	{.name = NULL},
};

void fsckreport_begin(struct fsckreport *r)
{
	r->json.to = stdout;
	if (r->call->json) {
		json_open(&r->json, '{');
		json_key(&r->json, "findings");
		json_open(&r->json, '[');
	}
	progress_start(&r->progress, "checking", 0, r->call->quiet);
}

void fsckreport_progress(struct fsckreport *r, uint64_t bytes)
{
	pthread_mutex_lock(&r->lock);
	progress_update(&r->progress, r->bytes + bytes);
	pthread_mutex_unlock(&r->lock);
}

void fsckreport_stream(struct fsckreport *r, const char *stream, uint64_t of)
{
	pthread_mutex_lock(&r->lock);
	if (of > 1)
		snprintf(r->doing, sizeof(r->doing), "checking %" PRIu64 " of %" PRIu64 ", %s",
			r->begun + 1, of, stream);
	else
		snprintf(r->doing, sizeof(r->doing), "checking %s", stream);
	r->begun++;
	r->progress.what = r->doing;
	progress_update(&r->progress, r->bytes);
	pthread_mutex_unlock(&r->lock);
}

void fsckreport_checked(struct fsckreport *r, uint64_t chunks, uint64_t bytes)
{
	pthread_mutex_lock(&r->lock);
	r->streams++;
	r->chunks += chunks;
	r->bytes += bytes;
	pthread_mutex_unlock(&r->lock);
}

void fsckreport_failed(struct fsckreport *r, int error, const char *stream)
{
	pthread_mutex_lock(&r->lock);
	r->failed++;
	(void)complain_of(r->call, error, stream); /* the code is the walk's to choose */
	pthread_mutex_unlock(&r->lock);
}

static void print_finding(
	struct fsckreport *r, const char *stream, const struct steppe_fsck_finding *f)
{
	r->findings++;
	r->repaired += f->repaired;
	if (r->call->json) {
		json_open(&r->json, '{');
		json_member_string(&r->json, "stream", stream);
		json_member_string(&r->json, "object", f->object);
		json_member_string(&r->json, "what", f->what);
		json_member_int(&r->json, "from_us", f->from_us);
		json_member_int(&r->json, "to_us", f->to_us);
		json_member_bool(&r->json, "repaired", f->repaired);
		json_close(&r->json, '}');
		return;
	}
	bool colour = term_has_colour(stdout);
	progress_end(&r->progress);
	printf("%s%s%s: %s", term_code(f->repaired ? TERM_GREEN : TERM_RED, colour),
		f->repaired ? "repaired" : "finding", term_code(TERM_PLAIN, colour), f->object);
	if (f->to_us > 0) {
		char from[TIMETEXT_MAX], to[TIMETEXT_MAX];
		timetext_format((struct wall){f->from_us}, r->call->utc, from);
		timetext_format((struct wall){f->to_us}, r->call->utc, to);
		printf(" (%s to %s)", from, to);
	}
	printf(": %s\n", f->what);
}

void fsckreport_finding(
	struct fsckreport *r, const char *stream, const struct steppe_fsck_finding *f)
{
	pthread_mutex_lock(&r->lock);
	print_finding(r, stream, f);
	pthread_mutex_unlock(&r->lock);
}

static void print_sum(const struct fsckreport *r, uint64_t open)
{
	static const char *const levels[] = {"", "index", "index and tables", "every byte"};
	char chunks[HUMAN_MAX], bytes[HUMAN_MAX];
	bool colour = term_has_colour(stdout);
	human_count(r->chunks, chunks);
	human_bytes(r->bytes, bytes);
	printf("%" PRIu64 " stream%s, %s chunks, %s checked (%s): ", r->streams,
		r->streams == 1 ? "" : "s", chunks, bytes, levels[r->level]);
	if (r->failed > 0)
		printf("%s%" PRIu64 " could not be checked%s; ", term_code(TERM_RED, colour),
			r->failed, term_code(TERM_PLAIN, colour));
	if (open == 0 && r->failed > 0)
		printf("nothing was found in the others\n");
	else if (open == 0)
		printf("%sall is well%s%s\n", term_code(TERM_GREEN, colour),
			term_code(TERM_PLAIN, colour), r->repaired ? " now" : "");
	else
		printf("%s%" PRIu64 " finding%s%s; docs/operate/fsck.md says what each means\n",
			term_code(TERM_RED, colour), open, open == 1 ? "" : "s",
			term_code(TERM_PLAIN, colour));
}

static enum exit_code end(struct fsckreport *r, int error, const char *what)
{
	uint64_t open = r->findings - r->repaired;
	progress_end(&r->progress);
	if (r->call->json && r->json.to) {
		json_close(&r->json, ']');
		json_member_int(&r->json, "level", r->level);
		json_member_uint(&r->json, "streams", r->streams);
		json_member_uint(&r->json, "chunks", r->chunks);
		json_member_uint(&r->json, "bytes", r->bytes);
		json_member_uint(&r->json, "repaired", r->repaired);
		json_member_uint(&r->json, "failed", r->failed);
		json_member_bool(&r->json, "complete", error == 0 && r->failed == 0);
		json_close(&r->json, '}');
		json_end(&r->json);
	}
	if (error == -EINTR) {
		complainf(r->call, NULL,
			"stopped: %" PRIu64 " stream%s checked, %" PRIu64 " finding%s so far",
			r->streams, r->streams == 1 ? "" : "s", open, open == 1 ? "" : "s");
		return ENDED_INTERRUPTED;
	}
	if (error == -ENOENT) {
		complainf(r->call, NULL, "there is nothing of %s", what);
		return ENDED_NOTHING;
	}
	if (error)
		return complain_of(r->call, error, what);
	if (!r->call->json && (!r->call->quiet || open > 0))
		print_sum(r, open);
	return open > 0 ? ENDED_DAMAGED : ENDED_OK;
}

enum exit_code fsckreport_end(struct fsckreport *r, int error, const char *what)
{
	/* for good: what a signal or the last answer ends nobody adds to */
	pthread_mutex_lock(&r->lock);
	return end(r, error, what);
}

/* --- Ctrl-C: what was found so far is told, and the process's end ends the question --- */

static void *watch(void *arg)
{
	struct fsckreport *r = arg;
	while (!stop_asked())
		stop_wait(-1);
	(void)fsckreport_end(r, -EINTR, "checking");
	fflush(NULL);
	_exit(ENDED_INTERRUPTED);
}

static int watch_signals(struct fsckreport *r)
{
	pthread_t thread;
	int error = stop_catch();
	if (!error)
		error = -pthread_create(&thread, NULL, watch, r);
	return error ? error : -pthread_detach(thread);
}

static enum exit_code fsck_run(struct command_call *call, const void *args)
{
	const struct fsck_args *a = args;
	char stream[CLUSTER_STREAM_MAX];
	/* for the thread that waits for signals, which may outlive this call */
	static struct fsckreport r = {.lock = PTHREAD_MUTEX_INITIALIZER};
	r.call = call;
	r.level = a->deep ? 3 : a->quick ? 1 : 2;
	r.rebuild = a->rebuild;
	if (a->deep && a->quick) {
		complain(call, "--quick and --deep exclude each other", NULL);
		return ENDED_USAGE;
	}
	if (call->word_count > 0) {
		enum exit_code code = cluster_name_stream(call, call->words[0], a->stream, stream);
		if (code)
			return code;
	}
	int error = watch_signals(&r);
	if (error)
		return complain_of(call, error, "signals");
	if (a->store)
		return fsck_offline(&r, a->store, call->word_count ? stream : NULL);
	return call->word_count ? fsck_online(&r, stream) : fsck_all(&r, a->stream);
}

const struct command command_fsck = {
	.name = "fsck",
	.words = "[CAMERA]",
	.most_words = 1,
	.brief = "check that what is stored is what was recorded",
	.about = "Three levels. --quick: the index against the objects, a stat a chunk (a camera's "
		 "month in about a second). Else also every "
		 "header, seal and table, two small reads a chunk. --deep: every byte against its "
		 "checksums and SHA-256, as long as reading takes.\n\n"
		 "Through the daemons that own the cameras, while they record: one camera, or "
		 "without CAMERA all that are registered, one after the other. Or, with --store, "
		 "directly on a local store that no daemon has open. "
		 "It only reads, unless --rebuild-index makes the index anew from the chunks.",
	.examples = "steppe fsck gate-7 --deep\n# all registered cameras, through their "
		    "daemons\nsteppe fsck --json\n# a whole store, with storaged stopped\nsteppe "
		    "fsck --store file:///srv/video",
	.options = fsck_options,
	.args_size = sizeof(struct fsck_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = fsck_run,
};
