/* SPDX-License-Identifier: Apache-2.0 */
/* steppe export: a window as files that open anywhere, with a manifest that proves them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timetext.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/exporting.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/stop.h"
#include "tools/steppe/term.h"

struct export_args {
	const char *stream, *out, *manifest, *purpose, *case_id;
	struct wall from, to;
	int gaps;
	bool force, no_manifest;
};

static const char *const gap_words[] = {"keep", "close", NULL};

static const struct option export_options[] = {
	{"out", 'o', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct export_args, out),
		"FILE.mp4 or FILE.mkv; - streams an MP4 to standard output"},
	{"from", 'f', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct export_args, from),
		"the first frame is the first at or after this"},
	{"to", 't', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct export_args, to),
		"the last frame is the last before this"},
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL,
		offsetof(struct export_args, stream), "the camera's stream"},
	{"gaps", 'g', OPTION_CHOICE, "HOW", "keep", gap_words, offsetof(struct export_args, gaps),
		"hold the last picture through a gap, or close it up"},
	{"purpose", 'p', OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct export_args, purpose),
		"what for, for the cluster's audit record and the manifest"},
	{"case", 0, OPTION_STRING, "ID", NULL, NULL, offsetof(struct export_args, case_id),
		"the case it belongs to"},
	{"manifest", 'm', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct export_args, manifest),
		"where the manifest goes, instead of FILE.manifest.json"},
	{"no-manifest", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct export_args, no_manifest),
		"write none"},
	{"force", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct export_args, force),
		"replace files that are there"},
	{.name = NULL},
};

const char *export_plain_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

enum exit_code export_file_failed(const struct exporting *e, const char *path, int error)
{
	const char *advice = error == -EEXIST   ? "--force, or another file"
			     : error == -ENOSPC ? "make room, or another disk"
						: NULL;
	complainf(e->call, advice, "%s: %s", path, strerror(-error));
	return ENDED_FAILURE;
}

static enum exit_code write_manifest(struct exporting *e, const char *path)
{
	FILE *to = fopen(path, e->force ? "we" : "wxe");
	if (!to)
		return export_file_failed(e, path, -errno);
	manifest_write(&e->manifest, to);
	bool bad = ferror(to) || fflush(to);
	bad = fclose(to) || bad;
	return bad ? export_file_failed(e, path, -errno) : ENDED_OK;
}

static enum exit_code finish_manifest(struct exporting *e, const struct export_args *a)
{
	struct manifest *m = &e->manifest;
	char *path = NULL;
	if (a->no_manifest || (strcmp(e->path, "-") == 0 && !a->manifest))
		return ENDED_OK;
	snprintf(m->stream, sizeof(m->stream), "%s", e->stream);
	snprintf(m->software, sizeof(m->software), "steppe %s", steppe_version());
	snprintf(m->purpose, sizeof(m->purpose), "%s", a->purpose ? a->purpose : "");
	snprintf(m->case_id, sizeof(m->case_id), "%s", a->case_id ? a->case_id : "");
	m->made_us = e->call->now.us;
	m->from_us = e->from.us;
	m->to_us = e->to.us;
	m->close_gaps = e->close_gaps;
	if (manifest_seal(m) || (!a->manifest && asprintf(&path, "%s.manifest.json", e->path) < 0))
		return complain_of(e->call, -ENOMEM, "the manifest");
	enum exit_code code = write_manifest(e, path ? path : a->manifest);
	if (!code && !e->call->quiet && !e->call->json)
		fprintf(stderr, "manifest %s: steppe verify proves the files by it\n",
			path ? path : a->manifest);
	free(path);
	return code;
}

/* What a person must know before they rely on the file. */
static void print_sum(const struct exporting *e)
{
	const struct manifest *m = &e->manifest;
	char start[TIMETEXT_MAX], end[TIMETEXT_MAX], bytes[HUMAN_MAX], frames[HUMAN_MAX],
		span[HUMAN_MAX];
	timetext_format((struct wall){m->start_us}, e->call->utc, start);
	timetext_format((struct wall){m->end_us}, e->call->utc, end);
	for (size_t i = 0; i < m->file_count; i++) {
		human_bytes(m->files[i].bytes, bytes);
		fprintf(stderr, "%s  %s\n", m->files[i].name, bytes);
	}
	human_count(e->frames, frames);
	human_span(m->end_us - m->start_us, span);
	fprintf(stderr, "%s pictures, %s, from %s to %s\n", frames, span, start, end);
	int64_t missing = 0;
	uint32_t error_us = 0;
	for (size_t i = 0; i < m->gap_count; i++)
		missing += m->gaps[i].end_us - m->gaps[i].start_us;
	for (size_t i = 0; i < m->fragment_count; i++)
		error_us = m->fragments[i].clock_error_us > error_us
				   ? m->fragments[i].clock_error_us
				   : error_us;
	if (m->gap_count > 0) {
		human_span(missing, span);
		fprintf(stderr, "%s%zu gap%s in it, %s missing; they are in the manifest%s\n",
			term_code(TERM_YELLOW, term_has_colour(stderr)), m->gap_count,
			m->gap_count == 1 ? "" : "s", span,
			term_code(TERM_PLAIN, term_has_colour(stderr)));
	}
	if (error_us > 0) {
		human_span(error_us, span);
		fprintf(stderr, "times are right to %s\n", span);
	}
}

static void print_json(const struct exporting *e)
{
	const struct manifest *m = &e->manifest;
	struct json j = {.to = stdout};
	json_open(&j, '{');
	json_member_string(&j, "stream", e->stream);
	json_member_int(&j, "start_us", m->start_us);
	json_member_int(&j, "end_us", m->end_us);
	json_member_uint(&j, "pictures", e->frames);
	json_member_uint(&j, "gaps", m->gap_count);
	json_key(&j, "files");
	json_open(&j, '[');
	for (size_t i = 0; i < m->file_count; i++) {
		json_open(&j, '{');
		json_member_string(&j, "name", m->files[i].name);
		json_member_uint(&j, "bytes", m->files[i].bytes);
		json_key(&j, "sha256");
		json_hex(&j, m->files[i].sha256, 32);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len >= end_len && strcasecmp(text + len - end_len, end) == 0;
}

static enum exit_code check(const struct command_call *call, const struct export_args *a)
{
	if (!a->out || a->from.us < 0 || a->to.us < 0) {
		complain(call, "it needs --from TIME, --to TIME and -o FILE.mp4",
			"steppe export --help");
		return ENDED_USAGE;
	}
	if (a->from.us >= a->to.us) {
		complain(call, "the window ends before it begins",
			"--from TIME must be before --to TIME");
		return ENDED_USAGE;
	}
	if (call->json && strcmp(a->out, "-") == 0) {
		complain(call, "--json and -o - both want standard output", NULL);
		return ENDED_USAGE;
	}
	if (ends_with(a->out, ".mkv") && a->gaps) {
		complain(call, "gaps can be closed in MP4 files alone", "-o FILE.mp4");
		return ENDED_USAGE;
	}
	return ENDED_OK;
}

static enum exit_code export_run(struct command_call *call, const void *args)
{
	const struct export_args *a = args;
	struct exporting e = {.call = call,
		.path = a->out,
		.force = a->force,
		.close_gaps = a->gaps == 1,
		.purpose = a->purpose,
		.case_id = a->case_id,
		.from = a->from,
		.to = a->to};
	enum exit_code code = check(call, a);
	if (!code)
		code = cluster_name_stream(call, call->words[0], a->stream, e.stream);
	if (!code)
		code = cluster_open(&e.cluster, call);
	if (code)
		return code;
	int error = stop_catch();
	code = error                       ? complain_of(call, error, "signals")
	       : ends_with(a->out, ".mkv") ? export_mkv(&e)
					   : export_clip(&e);
	if (!code && !call->quiet && !call->json)
		print_sum(&e);
	if (!code)
		code = finish_manifest(&e, a);
	if (!code && call->json)
		print_json(&e);
	manifest_fini(&e.manifest);
	cluster_close(&e.cluster);
	return code;
}

const struct command command_export = {
	.name = "export",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "a window of time as a file that opens anywhere",
	.about = "MP4: exactly the frames with FROM <= presentation time < TO, not re-encoded, "
		 "times from zero. Where the codec "
		 "configuration changes (a camera that changes its resolution), a new file begins: "
		 "FILE.1.mp4, FILE.2.mp4. A gap is the last "
		 "picture before it, held, or closed up.\n\n"
		 "Matroska: the same pictures, but from the sync picture at or before FROM, which "
		 "is said.\n\n"
		 "Beside the file goes FILE.manifest.json: what was asked for, the files' hashes, "
		 "how the times are known and how far they can "
		 "be off, the gaps with their causes, and the digest of every fragment as the "
		 "recorder made it. steppe verify proves the files by it.",
	.examples = "steppe export gate-7 --from \"2026-11-23 21:38\" --to \"2026-11-23 21:45\" -o "
		    "gate-7.mp4 --case K-2026-117\n"
		    "# look at it without a file\nsteppe export gate-7 --from -10m --to now -o - | "
		    "ffplay -",
	.options = export_options,
	.args_size = sizeof(struct export_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = export_run,
};
