/* SPDX-License-Identifier: Apache-2.0 */
/* steppe snapshot: the picture that was shown at an instant, as a JPEG. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/timetext.h"
#include "tools/media/picture.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/fetching.h"
#include "tools/steppe/json.h"
#include "tools/steppe/outfile.h"

struct snapshot_args {
	const char *stream, *out, *purpose, *case_id;
	struct wall at;
	int64_t within_us;
	bool force;
};

static const struct option snapshot_options[] = {
	{"at", 'a', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct snapshot_args, at),
		"the instant"},
	{"out", 'o', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct snapshot_args, out),
		"FILE.jpg; - is standard output"},
	{"within", 0, OPTION_DURATION, "TIME", "10s", NULL,
		offsetof(struct snapshot_args, within_us),
		"when nothing was shown at the instant, the last picture of so long before"},
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL,
		offsetof(struct snapshot_args, stream), "the camera's stream"},
	{"purpose", 'p', OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct snapshot_args, purpose),
		"what for, for the audit record"},
	{"case", 0, OPTION_STRING, "ID", NULL, NULL, offsetof(struct snapshot_args, case_id),
		"the case it belongs to"},
	{"force", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct snapshot_args, force),
		"replace a file that is there"},
	{.name = NULL},
};

struct shot {
	struct fetching fetching;
	struct unpack unpack;
	struct picture *picture;
	int error;
};

static bool on_fragment(struct fetching *fetching, const struct steppe_fragment *f)
{
	struct shot *s = container_of(fetching, struct shot, fetching);
	s->error = unpack_take(&s->unpack, f);
	if (!s->error)
		s->error = picture_take(s->picture, &s->unpack);
	return !s->error;
}

static int save(const struct snapshot_args *a, const struct buf *jpeg)
{
	struct outfile out;
	int error = outfile_open(&out, a->out, a->force);
	if (error)
		return error;
	error = outfile_write(&out, jpeg->data, jpeg->len);
	if (!error)
		error = outfile_commit(&out);
	outfile_drop(&out);
	return error;
}

static enum exit_code say(
	const struct command_call *call, const struct snapshot_args *a, int64_t at_us)
{
	char at[TIMETEXT_MAX];
	timetext_format((struct wall){at_us}, call->utc, at);
	if (call->json) {
		struct json j = {.to = stdout};
		json_open(&j, '{');
		json_member_string(&j, "file", a->out);
		json_member_int(&j, "picture_us", at_us);
		json_close(&j, '}');
		json_end(&j);
	} else if (!call->quiet) {
		fprintf(stderr, "%s: the picture of %s\n", a->out, at);
	}
	return ENDED_OK;
}

static enum exit_code take(struct shot *s, struct cluster *c, const struct command_call *call,
	const struct snapshot_args *a, const char *stream)
{
	const char *streams[] = {stream, NULL};
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	struct buf *jpeg = NULL;
	int64_t at_us = 0;
	o.streams = streams;
	o.from_us = a->at.us > a->within_us ? a->at.us - a->within_us : 0;
	o.to_us = a->at.us + 1;
	o.purpose = a->purpose;
	o.case_id = a->case_id;
	s->fetching.fragment = on_fragment;
	int error = fetching_run(&s->fetching, c->steppe, &o);
	if (error)
		return fetching_complain(&s->fetching, call, error, stream);
	error = s->error ? s->error : picture_finish(s->picture, &jpeg, &at_us);
	if (error == -ENODATA) {
		complainf(call, "a greater --within, or steppe timeline CAMERA",
			"no picture of %s was shown then, nor shortly before", stream);
		return ENDED_NOTHING;
	}
	if (error)
		return complain_of(call, error, stream);
	error = save(a, jpeg);
	buf_unref(&jpeg);
	if (error) {
		complainf(call, error == -EEXIST ? "--force, or another file" : NULL, "%s: %s",
			a->out, strerror(-error));
		return ENDED_FAILURE;
	}
	return say(call, a, at_us);
}

static enum exit_code snapshot_run(struct command_call *call, const void *args)
{
	const struct snapshot_args *a = args;
	char stream[CLUSTER_STREAM_MAX];
	struct cluster cluster;
	if (!a->out || a->at.us < 0) {
		complain(call, "it needs --at TIME and -o FILE.jpg", NULL);
		return ENDED_USAGE;
	}
	enum exit_code code = cluster_name_stream(call, call->words[0], a->stream, stream);
	if (!code)
		code = cluster_open(&cluster, call);
	if (code)
		return code;
	struct shot shot = {.error = 0};
	int error = picture_new(a->at.us, &shot.picture);
	code = error ? complain_of(call, error, stream) : take(&shot, &cluster, call, a, stream);
	unpack_fini(&shot.unpack);
	picture_free(&shot.picture);
	cluster_close(&cluster);
	return code;
}

const struct command command_snapshot = {
	.name = "snapshot",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "the picture that was shown at an instant, as a JPEG",
	.about = "The last picture with a presentation time at or before TIME. It is decoded and "
		 "encoded anew: for looking, not for proving.",
	.examples = "steppe snapshot gate-7 --at \"2026-11-23 21:40:03\" -o van.jpg",
	.options = snapshot_options,
	.args_size = sizeof(struct snapshot_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = snapshot_run,
};
