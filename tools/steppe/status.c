/* SPDX-License-Identifier: Apache-2.0 */
/* steppe status: how the daemon is, and with --streams what it records. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timetext.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/columns.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

struct status_args {
	bool streams;
};

static const struct option status_options[] = {
	{"streams", 's', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct status_args, streams),
		"each stream that is open, too"},
	{.name = NULL},
};

static const char *const pool_names[8] = {
	"meta", "data", "cold", "pool 3", "pool 4", "pool 5", "pool 6", "pool 7"};

static void print_json(const struct steppe_status *s, bool streams)
{
	struct json j = {.to = stdout};
	json_open(&j, '{');
	json_member_string(&j, "node", s->node);
	json_member_string(&j, "software", s->software);
	json_member_string(&j, "store", s->store);
	json_member_string(&j, "health", s->health);
	json_member_int(&j, "now_us", s->now_us);
	json_member_int(&j, "started_us", s->started_us);
	json_member_uint(&j, "connections", s->connections);
	json_member_uint(&j, "streams_open", s->streams_open);
	json_member_uint(&j, "bytes_in", s->bytes_in);
	json_member_uint(&j, "bytes_out", s->bytes_out);
	json_key(&j, "pools");
	json_open(&j, '[');
	for (unsigned i = 0; i < s->pools && i < 8; i++) {
		json_open(&j, '{');
		json_member_string(&j, "name", pool_names[i]);
		json_member_uint(&j, "total_bytes", s->pool_total[i]);
		json_member_uint(&j, "used_bytes", s->pool_used[i]);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	if (streams) {
		json_key(&j, "streams");
		json_open(&j, '[');
		for (size_t i = 0; i < s->stream_count; i++) {
			const struct steppe_stream_status *t = &s->streams[i];
			json_open(&j, '{');
			json_member_string(&j, "stream", t->stream);
			json_member_bool(&j, "recording", t->recording);
			json_member_string(&j, "recorder", t->recorder);
			json_member_uint(&j, "epoch", t->epoch);
			json_member_int(&j, "durable_until_us", t->durable_until_us);
			json_member_uint(&j, "bytes_per_second", t->bytes_per_second);
			json_member_uint(&j, "open_chunk_bytes", t->open_chunk_bytes);
			json_close(&j, '}');
		}
		json_close(&j, ']');
	}
	json_close(&j, '}');
	json_end(&j);
}

static void print_pools(const struct steppe_status *s, bool colour)
{
	for (unsigned i = 0; i < s->pools && i < 8; i++) {
		char used[HUMAN_MAX], total[HUMAN_MAX];
		human_bytes(s->pool_used[i], used);
		human_bytes(s->pool_total[i], total);
		double share = s->pool_total[i] > 0
				       ? (double)s->pool_used[i] * 100 / (double)s->pool_total[i]
				       : 0;
		enum term_colour c = share > 95 ? TERM_RED : share > 85 ? TERM_YELLOW : TERM_PLAIN;
		printf("%-9s %s of %s, %s%.0f %%%s\n", pool_names[i], used, total,
			term_code(c, colour), share, term_code(TERM_PLAIN, colour));
	}
}

static void print_streams(
	const struct command_call *call, const struct steppe_status *s, bool colour)
{
	static const char *const heads[] = {
		"STREAM", "STATE", "KEPT UNTIL", "LAG", "RATE", "RECORDER"};
	struct columns columns = {
		.count = 6, .heads = heads, .right = 1u << 3 | 1u << 4, .bold_heads = colour};
	struct wall now = {s->now_us};
	for (size_t i = 0; i < s->stream_count; i++) {
		const struct steppe_stream_status *t = &s->streams[i];
		char until[HUMAN_MAX], lag[HUMAN_MAX] = "-", rate[HUMAN_MAX];
		human_time((struct wall){t->durable_until_us}, now, call->utc, until);
		if (t->durable_until_us > 0 && t->recording)
			human_span(s->now_us - t->durable_until_us, lag);
		human_rate(t->bytes_per_second * 8, rate);
		columns_add(&columns,
			(const char *const[]){t->stream, t->recording ? "recording" : "idle", until,
				lag, rate, t->recorder ? t->recorder : ""});
	}
	if (s->stream_count > 0) {
		putchar('\n');
		(void)columns_print(
			&columns, stdout, "\n"); /* memory running short here costs a table */
	}
}

struct shown {
	const struct command_call *call;
	bool streams, done;
};

static void show(void *user, const struct steppe_status *s)
{
	struct shown *w = user;
	bool colour = term_has_colour(stdout);
	char started[TIMETEXT_MAX], up[HUMAN_MAX], in[HUMAN_MAX], out[HUMAN_MAX];
	w->done = true;
	if (w->call->json) {
		print_json(s, w->streams);
		return;
	}
	timetext_format((struct wall){s->started_us / US_PER_SECOND * US_PER_SECOND}, w->call->utc,
		started);
	human_span(s->now_us - s->started_us, up);
	human_bytes(s->bytes_in, in);
	human_bytes(s->bytes_out, out);
	bool well = strcmp(s->health, "ok") == 0;
	printf("%-9s %s (%s)\n", "node", s->node, s->software);
	printf("%-9s %s%s%s\n", "health", term_code(well ? TERM_GREEN : TERM_RED, colour),
		s->health, term_code(TERM_PLAIN, colour));
	printf("%-9s %s\n", "store", s->store);
	print_pools(s, colour);
	printf("%-9s %s, up %s\n", "started", started, up);
	printf("%-9s %u open, %u connections; %s in, %s out\n", "streams", s->streams_open,
		s->connections, in, out);
	if (w->streams)
		print_streams(w->call, s, colour);
}

static enum exit_code status_run(struct command_call *call, const void *args)
{
	const struct status_args *a = args;
	struct cluster cluster;
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	struct shown w = {call, a->streams, false};
	int error = steppe_status(cluster.steppe, a->streams, show, &w);
	if (error)
		code = complain_of(call, error, "the status");
	cluster_close(&cluster);
	return code;
}

const struct command command_status = {
	.name = "status",
	.words = "",
	.brief = "how the daemon and its store are, and what it records",
	.about = "With --streams a line for each open stream: until when its footage is kept, how "
		 "far that is behind, and who records it.",
	.examples = "steppe status --streams",
	.options = status_options,
	.args_size = sizeof(struct status_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = status_run,
};
