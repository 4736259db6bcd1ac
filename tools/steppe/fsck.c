/* SPDX-License-Identifier: Apache-2.0 */
/* steppe fsck: is what is stored what was recorded? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timetext.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/fsckreport.h"
#include "tools/steppe/human.h"
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
	progress_update(&r->progress, r->bytes + bytes);
}

void fsckreport_finding(
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

static void print_sum(const struct fsckreport *r, uint64_t open)
{
	static const char *const levels[] = {"", "index", "index and tables", "every byte"};
	char chunks[HUMAN_MAX], bytes[HUMAN_MAX];
	bool colour = term_has_colour(stdout);
	human_count(r->chunks, chunks);
	human_bytes(r->bytes, bytes);
	printf("%" PRIu64 " stream%s, %s chunks, %s checked (%s): ", r->streams,
		r->streams == 1 ? "" : "s", chunks, bytes, levels[r->level]);
	if (open == 0)
		printf("%sall is well%s%s\n", term_code(TERM_GREEN, colour),
			term_code(TERM_PLAIN, colour), r->repaired ? " now" : "");
	else
		printf("%s%" PRIu64 " finding%s%s; docs/operate/fsck.md says what each means\n",
			term_code(TERM_RED, colour), open, open == 1 ? "" : "s",
			term_code(TERM_PLAIN, colour));
}

enum exit_code fsckreport_end(struct fsckreport *r, int error, const char *what)
{
	uint64_t open = r->findings - r->repaired;
	progress_end(&r->progress);
	if (r->call->json) {
		json_close(&r->json, ']');
		json_member_int(&r->json, "level", r->level);
		json_member_uint(&r->json, "streams", r->streams);
		json_member_uint(&r->json, "chunks", r->chunks);
		json_member_uint(&r->json, "bytes", r->bytes);
		json_member_uint(&r->json, "repaired", r->repaired);
		json_member_bool(&r->json, "complete", error == 0);
		json_close(&r->json, '}');
		json_end(&r->json);
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

/* The finding of the daemon, with the stream's name to it. */
struct through {
	struct fsckreport *report;
	const char *stream;
};

static void on_finding(void *user, const struct steppe_fsck_finding *finding)
{
	struct through *t = user;
	fsckreport_finding(t->report, t->stream, finding);
}

static enum exit_code fsck_online(struct fsckreport *r, const char *stream)
{
	struct cluster cluster;
	struct steppe_fsck_result result = {0};
	struct through through = {r, stream};
	enum exit_code code = cluster_open(&cluster, r->call);
	if (code)
		return code;
	fsckreport_begin(r);
	int error = steppe_fsck(
		cluster.steppe, stream, r->level, r->rebuild, on_finding, &through, &result);
	r->streams = 1;
	r->chunks = result.chunks;
	r->bytes = result.bytes;
	code = fsckreport_end(r, error, stream);
	cluster_close(&cluster);
	return code;
}

static enum exit_code fsck_run(struct command_call *call, const void *args)
{
	const struct fsck_args *a = args;
	char stream[CLUSTER_STREAM_MAX];
	struct fsckreport r = {.call = call,
		.level = a->deep    ? 3
			 : a->quick ? 1
				    : 2,
		.rebuild = a->rebuild};
	if (a->deep && a->quick) {
		complain(call, "--quick and --deep exclude each other", NULL);
		return ENDED_USAGE;
	}
	if (call->word_count == 0 && !a->store) {
		complain(call, "which camera?",
			"steppe fsck CAMERA, or --store file:///DIR for all of a store that no "
			"daemon has open");
		return ENDED_USAGE;
	}
	if (call->word_count > 0) {
		enum exit_code code = cluster_name_stream(call, call->words[0], a->stream, stream);
		if (code)
			return code;
	}
	return a->store ? fsck_offline(&r, a->store, call->word_count ? stream : NULL)
			: fsck_online(&r, stream);
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
		 "Through the daemon that owns the camera, while it records; or, with --store, "
		 "directly on a local store that no daemon has open. "
		 "It only reads, unless --rebuild-index makes the index anew from the chunks.",
	.examples = "steppe fsck gate-7 --deep\n# a whole store, with storaged stopped\nsteppe "
		    "fsck --store file:///srv/video",
	.options = fsck_options,
	.args_size = sizeof(struct fsck_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = fsck_run,
};
