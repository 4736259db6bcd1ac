/* SPDX-License-Identifier: Apache-2.0 */
/* steppe fetch and steppe follow: fragments as they are, listed or as one fragmented MP4. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/timetext.h"
#include "tools/media/fmp4.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/fetching.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/manifest.h"
#include "tools/steppe/outfile.h"
#include "tools/steppe/progress.h"
#include "tools/steppe/stop.h"
#include "tools/steppe/term.h"

struct fetch_args {
	const char *stream, *out, *purpose, *case_id;
	struct wall from, to;
	int64_t sync_every_us;
	uint32_t limit;
	bool sync_only, backward, force;
};

static const struct option fetch_options[] = {
	{"from", 'f', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct fetch_args, from),
		"begin of the window"},
	{"to", 't', OPTION_TIME, "TIME", "now", NULL, offsetof(struct fetch_args, to),
		"end of the window"},
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL, offsetof(struct fetch_args, stream),
		"the cameras' stream"},
	{"out", 'o', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct fetch_args, out),
		"write a fragmented MP4 instead of a list; - is standard output"},
	{"sync-only", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fetch_args, sync_only),
		"sync pictures alone"},
	{"sync-every", 0, OPTION_DURATION, "TIME", "0s", NULL,
		offsetof(struct fetch_args, sync_every_us),
		"sync pictures alone, at most one each so long"},
	{"backward", 'b', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fetch_args, backward),
		"the newest first"},
	{"limit", 'n', OPTION_COUNT, "N", "0", NULL, offsetof(struct fetch_args, limit),
		"end after so many fragments; 0 is never"},
	{"purpose", 'p', OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct fetch_args, purpose),
		"what for, for the audit record"},
	{"case", 0, OPTION_STRING, "ID", NULL, NULL, offsetof(struct fetch_args, case_id),
		"the case it belongs to"},
	{"force", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fetch_args, force),
		"replace a file that is there"},
	{.name = NULL},
};

static const struct option follow_options[] = {
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL, offsetof(struct fetch_args, stream),
		"the cameras' stream"},
	{"from", 'f', OPTION_TIME, "TIME", "now", NULL, offsetof(struct fetch_args, from),
		"begin earlier than now"},
	{"out", 'o', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct fetch_args, out),
		"write a fragmented MP4 instead of a list; - is standard output"},
	{"limit", 'n', OPTION_COUNT, "N", "0", NULL, offsetof(struct fetch_args, limit),
		"end after so many fragments; 0 is never"},
	{"purpose", 'p', OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct fetch_args, purpose),
		"what for, for the audit record"},
	{"case", 0, OPTION_STRING, "ID", NULL, NULL, offsetof(struct fetch_args, case_id),
		"the case it belongs to"},
	{"force", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct fetch_args, force),
		"replace a file that is there"},
	{.name = NULL},
};

#define STREAMS_MAX 64

struct listing {
	struct fetching fetching;
	const struct command_call *call;
	const struct fetch_args *args;
	bool follow, shows_stream;
	char names[STREAMS_MAX][CLUSTER_STREAM_MAX];
	struct json json;
	struct fmp4 fmp4;
	struct outfile out;
	bool to_file;
	struct progress progress;
	int error;
};

static int64_t wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

static void list_json(struct listing *l, const struct steppe_fragment *f)
{
	struct json *j = &l->json;
	json_open(j, '{');
	json_member_string(j, "stream", l->names[f->stream]);
	json_member_int(j, "capture_us", f->capture_us);
	json_member_uint(j, "duration_us", f->duration_us);
	json_member_string(j, "clock", manifest_clock_word(f->clock));
	json_member_uint(j, "clock_error_us", f->clock_error_us);
	json_member_uint(j, "bytes", f->len);
	json_member_uint(j, "init_bytes", f->init_len);
	json_member_bool(j, "sync", f->sync);
	json_member_bool(j, "prefix_only", f->prefix_only);
	json_member_bool(j, "discontinuity", f->discontinuity);
	json_member_bool(j, "damaged", f->damaged);
	json_member_string(j, "gap_before", f->gap_cause ? steppe_gap_text(f->gap_cause) : NULL);
	char session[20];
	snprintf(session, sizeof(session), "%016" PRIx64, f->session);
	json_member_string(j, "session", session);
	json_member_uint(j, "seq", f->seq);
	json_key(j, "digest");
	json_hex(j, f->digest, 32);
	if (l->follow)
		json_member_int(j, "behind_us", wall_us() - f->capture_us - f->duration_us);
	json_close(j, '}');
	json_end(j);
}

static void list_text(const struct listing *l, const struct steppe_fragment *f)
{
	char at[TIMETEXT_MAX], duration[HUMAN_MAX], bytes[HUMAN_MAX], behind[HUMAN_MAX];
	bool colour = term_has_colour(stdout);
	timetext_format((struct wall){f->capture_us / 1000 * 1000}, l->call->utc, at);
	human_span(f->duration_us, duration);
	human_bytes(f->len, bytes);
	if (l->shows_stream)
		printf("%-20s ", l->names[f->stream]);
	if (f->gap_cause)
		printf("%sgap: %s%s\n", term_code(TERM_YELLOW, colour),
			steppe_gap_text(f->gap_cause), term_code(TERM_PLAIN, colour));
	printf("%-29s  %6s  %8s  %-4s  %s%s%s", at, duration, bytes, f->sync ? "sync" : "",
		manifest_clock_word(f->clock), f->discontinuity ? "  new run" : "",
		f->damaged ? "  DAMAGED" : "");
	if (l->follow) {
		human_span(wall_us() - f->capture_us - f->duration_us, behind);
		printf("  %s behind", behind);
	}
	putchar('\n');
}

static bool on_fragment(struct fetching *fetching, const struct steppe_fragment *f)
{
	struct listing *l = container_of(fetching, struct listing, fetching);
	if (l->to_file) {
		l->error = fmp4_take(&l->fmp4, f);
		progress_update(&l->progress, fetching->bytes);
	} else if (l->call->json) {
		list_json(l, f);
	} else if (!l->call->quiet) {
		list_text(l, f);
	}
	if (!l->to_file && fflush(stdout))
		l->error = -EPIPE;
	return !l->error && (l->args->limit == 0 || fetching->fragments < l->args->limit);
}

static int write_out(void *user, const void *data, size_t len)
{
	return outfile_write(user, data, len);
}

/* All that stands between the options and the cluster: names, window, file. */
static enum exit_code set_up(struct listing *l, const char *streams[STREAMS_MAX + 1])
{
	const struct fetch_args *a = l->args;
	if (l->call->word_count > STREAMS_MAX) {
		complainf(l->call, NULL, "at most %d cameras at a time", STREAMS_MAX);
		return ENDED_USAGE;
	}
	for (unsigned i = 0; i < l->call->word_count; i++) {
		enum exit_code code =
			cluster_name_stream(l->call, l->call->words[i], a->stream, l->names[i]);
		if (code)
			return code;
		streams[i] = l->names[i];
	}
	if (!l->follow && (a->from.us < 0 || a->from.us >= a->to.us)) {
		complain(l->call, "it needs a window: --from TIME before --to TIME", NULL);
		return ENDED_USAGE;
	}
	if (!a->out)
		return ENDED_OK;
	if (l->call->word_count > 1 || a->backward || a->sync_only || a->sync_every_us > 0) {
		complain(l->call, "a file holds one camera, forwards, with all its pictures",
			"a list: without -o");
		return ENDED_USAGE;
	}
	int error = outfile_open(&l->out, a->out, a->force);
	if (error) {
		complainf(l->call, error == -EEXIST ? "--force, or another file" : NULL, "%s: %s",
			a->out, strerror(-error));
		return ENDED_FAILURE;
	}
	l->to_file = true;
	l->fmp4.write = write_out;
	l->fmp4.user = &l->out;
	return ENDED_OK;
}

static enum exit_code finish(struct listing *l, int error)
{
	if (error)
		return fetching_complain(&l->fetching, l->call, error, l->names[0]);
	if (l->error == -EPIPE)
		return ENDED_OK; /* the reader of our output has had enough */
	if (!l->error && l->to_file)
		l->error = outfile_commit(&l->out);
	if (l->error) {
		complainf(l->call, NULL, "%s: %s", l->to_file ? l->args->out : "standard output",
			steppe_error_text(l->error));
		return ENDED_FAILURE;
	}
	if (l->fetching.fragments == 0 && !stop_asked()) {
		complainf(l->call, "steppe timeline CAMERA tells what there is",
			"there is no footage of %s in this window", l->names[0]);
		return ENDED_NOTHING;
	}
	return ENDED_OK;
}

static enum exit_code run(struct listing *l)
{
	struct cluster cluster;
	const char *streams[STREAMS_MAX + 1] = {NULL};
	const struct fetch_args *a = l->args;
	enum exit_code code = set_up(l, streams);
	if (!code)
		code = cluster_open(&cluster, l->call);
	if (!code) {
		struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
		o.streams = streams;
		o.from_us = a->from.us;
		o.to_us = l->follow ? WALL_MAX_US : a->to.us;
		o.sync_only = a->sync_only || a->sync_every_us > 0;
		o.sync_every_us = a->sync_every_us;
		o.backward = a->backward;
		o.follow = l->follow;
		o.purpose = a->purpose;
		o.case_id = a->case_id;
		l->fetching.fragment = on_fragment;
		l->shows_stream = l->call->word_count > 1;
		int error = stop_catch();
		if (!error) {
			progress_start(&l->progress, "fetching", 0, l->call->quiet || !l->to_file);
			error = fetching_run(&l->fetching, cluster.steppe, &o);
			progress_end(&l->progress);
		}
		code = finish(l, error);
		cluster_close(&cluster);
	}
	if (l->to_file)
		outfile_drop(&l->out);
	fmp4_fini(&l->fmp4);
	return code;
}

static enum exit_code fetch_run(struct command_call *call, const void *args)
{
	struct listing l = {.call = call, .args = args, .json.to = stdout};
	return run(&l);
}

static enum exit_code follow_run(struct command_call *call, const void *args)
{
	struct listing l = {.call = call, .args = args, .json.to = stdout, .follow = true};
	return run(&l);
}

const struct command command_fetch = {
	.name = "fetch",
	.words = "CAMERA...",
	.least_words = 1,
	.most_words = STREAMS_MAX,
	.brief = "fragments of a window as they are stored, listed or as a fragmented MP4",
	.about = "For programs and for a look underneath; steppe export makes files for people. "
		 "Fragments that overlap the window come whole, "
		 "after those needed to decode them. Those of several cameras come merged by time.",
	.examples =
		"# a sync picture a minute, backwards from ten\nsteppe fetch gate-7 --from "
		"\"2026-11-23 08:00\" --to \"2026-11-23 22:00\" --sync-every 1m --backward --json",
	.options = fetch_options,
	.args_size = sizeof(struct fetch_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = fetch_run,
};

const struct command command_follow = {
	.name = "follow",
	.words = "CAMERA...",
	.least_words = 1,
	.most_words = STREAMS_MAX,
	.brief = "watch footage arrive: a list, or a live MP4 for a player",
	.about = "Each fragment as soon as it is durable. With -o - a fragmented MP4 that players "
		 "take from a pipe. Ctrl-C ends it.",
	.examples = "steppe follow gate-7\nsteppe follow gate-7 -o - | ffplay -fflags nobuffer -",
	.options = follow_options,
	.args_size = sizeof(struct fetch_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = follow_run,
};
