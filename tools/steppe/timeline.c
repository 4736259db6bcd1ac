/* SPDX-License-Identifier: Apache-2.0 */
/* steppe timeline: what there is of a stream, in a window or day by day. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/timetext.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/drawing.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

struct timeline_args {
	const char *stream;
	struct wall from, to, day;
	uint32_t gap_lines, days;
};

static const struct option timeline_options[] = {
	{"stream", 's', OPTION_STRING, "PROFILE", "main", NULL,
		offsetof(struct timeline_args, stream), "the camera's stream"},
	{"from", 'f', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct timeline_args, from),
		"begin of the window"},
	{"to", 't', OPTION_TIME, "TIME", NULL, NULL, offsetof(struct timeline_args, to),
		"end of the window (now, when only --from is given)"},
	{"day", 'd', OPTION_TIME, "DATE", NULL, NULL, offsetof(struct timeline_args, day),
		"the whole day in which this time lies"},
	{"gap-lines", 0, OPTION_COUNT, "N", "12", NULL, offsetof(struct timeline_args, gap_lines),
		"list at most so many gaps, the latest"},
	{"days", 0, OPTION_COUNT, "N", "35", NULL, offsetof(struct timeline_args, days),
		"without a window: show so many days one by one, earlier ones by month"},
	{.name = NULL},
};

/* Midnight of the day `t` lies in, and the next. */
static void whole_day(struct wall t, bool utc, struct wall *ret_from, struct wall *ret_to)
{
	time_t s = t.us / US_PER_SECOND;
	struct tm tm;
	if (utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	struct tm next = tm;
	next.tm_mday++;
	ret_from->us = (int64_t)(utc ? timegm(&tm) : mktime(&tm)) * US_PER_SECOND;
	ret_to->us = (int64_t)(utc ? timegm(&next) : mktime(&next)) * US_PER_SECOND;
}

static void print_window_json(const char *stream, const struct steppe_timeline *t)
{
	char camera[CLUSTER_STREAM_MAX];
	const char *profile = cluster_split(stream, camera);
	struct json j = {.to = stdout};
	json_open(&j, '{');
	json_member_string(&j, "camera", camera);
	json_member_string(&j, "stream", profile);
	json_key(&j, "spans");
	json_open(&j, '[');
	for (size_t i = 0; i < t->span_count; i++) {
		json_open(&j, '{');
		json_member_int(&j, "start_us", t->spans[i].start_us);
		json_member_int(&j, "end_us", t->spans[i].end_us);
		json_member_uint(&j, "bytes", t->spans[i].bytes);
		json_member_uint(&j, "fragments", t->spans[i].fragments);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_key(&j, "gaps");
	json_open(&j, '[');
	for (size_t i = 0; i < t->gap_count; i++) {
		json_open(&j, '{');
		json_member_int(&j, "start_us", t->gaps[i].start_us);
		json_member_int(&j, "end_us", t->gaps[i].end_us);
		json_member_string(&j, "cause", steppe_gap_text(t->gaps[i].cause));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

static void print_days_json(const char *stream, const struct steppe_day *days, size_t count)
{
	char camera[CLUSTER_STREAM_MAX], date[TIMETEXT_MAX];
	const char *profile = cluster_split(stream, camera);
	struct json j = {.to = stdout};
	json_open(&j, '{');
	json_member_string(&j, "camera", camera);
	json_member_string(&j, "stream", profile);
	json_key(&j, "days");
	json_open(&j, '[');
	for (size_t i = 0; i < count; i++) {
		timetext_format((struct wall){days[i].day * US_PER_DAY}, true, date);
		date[10] = 0;
		json_open(&j, '{');
		json_member_string(&j, "date", date);
		json_member_uint(&j, "bytes", days[i].bytes);
		json_member_uint(&j, "seconds", days[i].seconds);
		json_key(&j, "quarter_seconds");
		json_open(&j, '[');
		for (int q = 0; q < 96; q++)
			json_uint(&j, days[i].quarter_seconds[q]);
		json_close(&j, ']');
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

static struct drawing drawing_of(const struct command_call *call)
{
	return (struct drawing){.to = stdout,
		.columns = term_columns(stdout),
		.colour = term_has_colour(stdout),
		.unicode = term_has_unicode(),
		.utc = call->utc,
		.now = call->now};
}

static enum exit_code nothing(const struct command_call *call, const char *stream, bool window)
{
	complainf(call,
		window ? "the same without --from and --to, to see on which days there is something"
		       : "steppe camera list",
		"there is no footage of %s%s", stream, window ? " in this window" : "");
	return ENDED_NOTHING;
}

static enum exit_code show_window(struct cluster *c, const struct command_call *call,
	const char *stream, const struct timeline_args *a)
{
	char doing[160];
	struct steppe_timeline *timeline;
	snprintf(doing, sizeof(doing), "the timeline of %s", stream);
	int error = steppe_timeline_get(c->steppe, stream, a->from.us, a->to.us, &timeline);
	if (error)
		return complain_of(call, error, doing);
	enum exit_code code = ENDED_OK;
	if (call->json) {
		print_window_json(stream, timeline);
	} else if (timeline->span_count == 0) {
		code = nothing(call, stream, true);
	} else {
		struct drawing d = drawing_of(call);
		struct bar bar = {stream, a->from, a->to, timeline, a->gap_lines};
		bar_draw(&d, &bar);
	}
	steppe_free(timeline);
	return code;
}

static enum exit_code show_days(struct cluster *c, const struct command_call *call,
	const char *stream, const struct timeline_args *a)
{
	char doing[160];
	struct steppe_day *days;
	size_t count;
	snprintf(doing, sizeof(doing), "the days of %s", stream);
	int error = steppe_days_get(c->steppe, stream, &days, &count);
	if (error)
		return complain_of(call, error, doing);
	enum exit_code code = ENDED_OK;
	if (call->json) {
		print_days_json(stream, days, count);
	} else if (count == 0) {
		code = nothing(call, stream, false);
	} else {
		struct drawing d = drawing_of(call);
		struct calendar calendar = {stream, days, count, a->days};
		if (calendar_draw(&d, &calendar))
			code = complain_of(call, -ENOMEM, doing);
		else if (!call->quiet)
			printf("one day: steppe timeline %s --day DATE\n", call->words[0]);
	}
	steppe_free(days);
	return code;
}

static enum exit_code timeline_run(struct command_call *call, const void *args)
{
	struct timeline_args a = *(const struct timeline_args *)args;
	char stream[CLUSTER_STREAM_MAX];
	struct cluster cluster;
	enum exit_code code = cluster_name_stream(call, call->words[0], a.stream, stream);
	if (code)
		return code;
	bool window = a.from.us >= 0 || a.to.us >= 0 || a.day.us >= 0;
	if (a.day.us >= 0) {
		whole_day(a.day, call->utc, &a.from, &a.to);
	} else if (window) {
		a.to = a.to.us >= 0 ? a.to : call->now;
		a.from = a.from.us >= 0
				 ? a.from
				 : (struct wall){a.to.us > US_PER_DAY ? a.to.us - US_PER_DAY : 0};
	}
	if (window && a.from.us >= a.to.us) {
		complain(call, "the window ends before it begins",
			"--from TIME must be before --to TIME");
		return ENDED_USAGE;
	}
	code = cluster_open(&cluster, call);
	if (code)
		return code;
	code = window ? show_window(&cluster, call, stream, &a)
		      : show_days(&cluster, call, stream, &a);
	cluster_close(&cluster);
	return code;
}

const struct command command_timeline = {
	.name = "timeline",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "what there is of a camera, and what is missing and why",
	.about = "With a window (--from, --to or --day): a bar of what was kept, the gaps in it by "
		 "cause, and how complete it is. "
		 "Without: a calendar, a line for each day with footage, a cell for each half "
		 "hour.\n\n"
		 "Signs in the bar: full cells are kept without a hole; shaded ones in part; a "
		 "letter is the cause of what is missing: "
		 "c camera off, n network, r recorder stopped, ! refused, t thinned, x expired, D "
		 "damaged, ? unknown; a dot: nothing is known.\n\n"
		 "JSON of a window: "
		 "{\"camera\",\"stream\",\"spans\":[{\"start_us\",\"end_us\",\"bytes\","
		 "\"fragments\"}],"
		 "\"gaps\":[{\"start_us\",\"end_us\",\"cause\"}]}. JSON of days has UTC days with "
		 "the seconds kept in each quarter of an hour.",
	.examples = "# which days\nsteppe timeline gate-7\n# yesterday evening\nsteppe timeline "
		    "gate-7 --from \"2026-11-22 18:00\" --to \"2026-11-23 00:00\"\n"
		    "# the last hour, for a program\nsteppe timeline gate-7 --from -1h --json",
	.options = timeline_options,
	.args_size = sizeof(struct timeline_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = timeline_run,
};
