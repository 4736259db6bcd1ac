/* SPDX-License-Identifier: Apache-2.0 */
/* steppe camera add, list, show, remove: the register of cameras. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timetext.h"
#include "proto/names.h"
#include "tools/media/url.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/columns.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

struct camera_args {
	const char *name, *division, *site, *source, *policy, *prefix;
	struct option_list groups;
};

static const struct option add_options[] = {
	{"name", 'n', OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct camera_args, name),
		"what people call it"},
	{"division", 'd', OPTION_STRING, "CODE", NULL, NULL, offsetof(struct camera_args, division),
		"administrative division (GB/T 2260 or your own)"},
	{"site", 0, OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct camera_args, site),
		"where it hangs"},
	{"source", 0, OPTION_STRING, "URL", NULL, NULL, offsetof(struct camera_args, source),
		"its address, without a password"},
	{"group", 'g', OPTION_LIST, "NAME", NULL, NULL, offsetof(struct camera_args, groups),
		"a group it belongs to; may be given several times"},
	{"policy", 0, OPTION_STRING, "NAME", NULL, NULL, offsetof(struct camera_args, policy),
		"its own retention policy, before those of groups and divisions"},
	{.name = NULL},
};

static const struct option list_options[] = {
	{"prefix", 'p', OPTION_STRING, "TEXT", NULL, NULL, offsetof(struct camera_args, prefix),
		"only ids or divisions that begin so"},
	{.name = NULL},
};

static enum exit_code check_id(const struct command_call *call)
{
	if (camera_id_is_valid(call->words[0]))
		return ENDED_OK;
	complainf(call, NULL,
		"\"%.80s\" is not a camera id: letters, digits, dots, dashes and underscores, at "
		"most 64, and no \"..\"",
		call->words[0]);
	return ENDED_USAGE;
}

static enum exit_code open_for_one(struct command_call *call, struct cluster *cluster)
{
	enum exit_code code = check_id(call);
	return code ? code : cluster_open(cluster, call);
}

static enum exit_code add_run(struct command_call *call, const void *args)
{
	const struct camera_args *a = args;
	struct cluster cluster;
	char doing[128];
	enum exit_code code = check_id(call);
	if (code)
		return code;
	if (a->source && url_has_password(a->source)) {
		complain(call, "the address of a camera in the register must not hold its password",
			"passwords: in the recorder's configuration");
		return ENDED_USAGE;
	}
	if ((code = cluster_open(&cluster, call)))
		return code;
	struct steppe_camera camera = STEPPE_INIT(steppe_camera);
	camera.id = call->words[0];
	camera.name = a->name ? a->name : "";
	camera.division = a->division ? a->division : "";
	camera.site = a->site ? a->site : "";
	camera.source = a->source ? a->source : "";
	camera.policy = a->policy ? a->policy : "";
	camera.groups = a->groups.items;
	camera.group_count = a->groups.count;
	snprintf(doing, sizeof(doing), "adding %s", camera.id);
	int error = steppe_camera_put(cluster.steppe, &camera);
	code = error ? complain_of(call, error, doing) : ENDED_OK;
	if (!code && !call->quiet)
		printf("%s is registered\n", camera.id);
	cluster_close(&cluster);
	return code;
}

#define CAMERA_TEXTS 5 /* id, name, division, site, source */

struct kept {
	char *texts[CAMERA_TEXTS];
	int64_t added_us;
	bool removed;
};

/* A walk over cameras on its way to the terminal. */
struct listing {
	const struct command_call *call;
	const struct camera_args *args;
	struct columns columns;
	struct json json;
	struct kept *kept;
	size_t count, room;
	bool failed; /* memory is short */
};

static void json_camera(struct json *j, const struct steppe_camera *camera)
{
	json_open(j, '{');
	json_member_string(j, "id", camera->id);
	json_member_string(j, "name", camera->name);
	json_member_string(j, "division", camera->division);
	json_member_string(j, "site", camera->site);
	json_member_string(j, "source", camera->source);
	json_member_string(j, "policy", camera->policy);
	json_key(j, "groups");
	json_open(j, '[');
	for (size_t i = 0; i < camera->group_count; i++)
		json_string(j, camera->groups[i]);
	json_close(j, ']');
	json_member_int(j, "added_us", camera->added_us);
	json_member_bool(j, "removed", camera->removed);
	json_close(j, '}');
}

static bool wanted(const struct listing *l, const struct steppe_camera *camera)
{
	const char *prefix = l->args->prefix;
	size_t len = prefix ? strlen(prefix) : 0;
	return len == 0 || strncmp(camera->id, prefix, len) == 0 ||
	       (camera->division && strncmp(camera->division, prefix, len) == 0);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* Kept until all are there: the cluster has an order of its own. */
static bool keep_one(void *user, const struct steppe_camera *camera)
{
	struct listing *l = user;
	if (!wanted(l, camera))
		return true;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct kept *more = realloc(l->kept, room * sizeof(*more));
		if (!more) {
			l->failed = true;
			return false;
		}
		l->kept = more;
		l->room = room;
	}
	const char *from[] = {
		camera->id, camera->name, camera->division, camera->site, camera->source};
	struct kept *k = &l->kept[l->count];
	*k = (struct kept){.added_us = camera->added_us, .removed = camera->removed};
	for (size_t i = 0; i < CAMERA_TEXTS; i++)
		if (!(k->texts[i] = strdup(or_empty(from[i]))))
			l->failed = true;
	l->count++;
	return !l->failed;
}

static int by_id(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	return strcmp(x->texts[0], y->texts[0]);
}

static void print_one(struct listing *l, const struct kept *k)
{
	if (l->call->json) {
		const struct steppe_camera camera = {.size = sizeof(camera),
			.id = k->texts[0],
			.name = k->texts[1],
			.division = k->texts[2],
			.site = k->texts[3],
			.source = k->texts[4],
			.added_us = k->added_us,
			.removed = k->removed};
		json_camera(&l->json, &camera);
	} else if (l->call->quiet) {
		puts(k->texts[0]);
	} else {
		char added[TIMETEXT_MAX];
		timetext_format((struct wall){k->added_us}, l->call->utc, added);
		added[10] = 0;
		columns_add(&l->columns, (const char *const[]){k->texts[0], k->texts[1],
						 k->texts[2], k->texts[3], added});
	}
}

static void free_kept(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		for (size_t t = 0; t < CAMERA_TEXTS; t++)
			free(l->kept[i].texts[t]);
	free(l->kept);
}

static enum exit_code list_run(struct command_call *call, const void *args)
{
	static const char *const heads[] = {"CAMERA", "NAME", "DIVISION", "SITE", "ADDED"};
	struct cluster cluster;
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	struct listing l = {.call = call,
		.args = args,
		.json.to = stdout,
		.columns = {.count = 5, .heads = heads, .bold_heads = term_has_colour(stdout)}};
	if (call->json)
		json_open(&l.json, '[');
	int error = steppe_camera_list(cluster.steppe, keep_one, &l);
	if (!error && l.failed)
		error = -ENOMEM;
	if (!error && l.count > 0)
		qsort(l.kept, l.count, sizeof(*l.kept), by_id);
	for (size_t i = 0; i < l.count && !error; i++)
		print_one(&l, &l.kept[i]);
	if (call->json) {
		json_close(&l.json, ']');
		json_end(&l.json);
	} else if (!error && !call->quiet && l.count > 0) {
		columns_sort(&l.columns);
		error = columns_print(&l.columns, stdout, "\n");
	}
	if (error)
		code = complain_of(call, error, "the list of cameras");
	else if (l.count == 0 && !call->json && !call->quiet)
		fputs("no cameras are registered; steppe camera add CAMERA adds one\n", stderr);
	free_kept(&l);
	cluster_close(&cluster);
	return code;
}

static bool show_one(void *user, const struct steppe_camera *camera)
{
	struct listing *l = user;
	l->count++;
	if (l->call->json) {
		json_camera(&l->json, camera);
		json_end(&l->json);
		return false;
	}
	char added[TIMETEXT_MAX];
	timetext_format((struct wall){camera->added_us}, l->call->utc, added);
	const char *const rows[][2] = {{"camera", camera->id}, {"name", camera->name},
		{"division", camera->division}, {"site", camera->site}, {"source", camera->source},
		{"policy", camera->policy}, {"added", added},
		{"removed", camera->removed ? "yes" : NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i][1] && rows[i][1][0])
			printf("%-9s %s\n", rows[i][0], rows[i][1]);
	return false;
}

static enum exit_code show_run(struct command_call *call, const void *args)
{
	(void)args;
	struct cluster cluster;
	char doing[128];
	enum exit_code code = open_for_one(call, &cluster);
	if (code)
		return code;
	struct listing l = {.call = call, .json.to = stdout};
	snprintf(doing, sizeof(doing), "camera %s", call->words[0]);
	int error = steppe_camera_get(cluster.steppe, call->words[0], show_one, &l);
	if (error == -ENOENT || (!error && l.count == 0)) {
		complainf(call, "steppe camera list", "there is no camera %s", call->words[0]);
		code = ENDED_NOTHING;
	} else if (error) {
		code = complain_of(call, error, doing);
	}
	cluster_close(&cluster);
	return code;
}

static enum exit_code remove_run(struct command_call *call, const void *args)
{
	(void)args;
	struct cluster cluster;
	char doing[128];
	enum exit_code code = open_for_one(call, &cluster);
	if (code)
		return code;
	snprintf(doing, sizeof(doing), "removing %s", call->words[0]);
	int error = steppe_camera_remove(cluster.steppe, call->words[0]);
	if (error)
		code = complain_of(call, error, doing);
	else if (!call->quiet)
		printf("%s is removed from the register; its footage stays until retention takes "
		       "it\n",
			call->words[0]);
	cluster_close(&cluster);
	return code;
}

const struct command command_camera_add = {
	.name = "camera add",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "register a camera, or change what is registered of it",
	.about = "Recorders may write the streams of registered cameras alone. An id has letters, "
		 "digits, dots, dashes and underscores, "
		 "at most 64; a 20-digit GB/T 28181 id fits.",
	.examples = "steppe camera add gate-7 --name \"East gate\" --division 150102 --site \"Bus "
		    "station\"",
	.options = add_options,
	.args_size = sizeof(struct camera_args),
	.uses = USES_CLUSTER,
	.run = add_run,
};

const struct command command_camera_list = {
	.name = "camera list",
	.words = "",
	.brief = "the registered cameras",
	.about = "One line each; with --quiet the ids alone.",
	.examples = "steppe camera list\nsteppe camera list --prefix 1501 --json",
	.options = list_options,
	.args_size = sizeof(struct camera_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = list_run,
};

const struct command command_camera_show = {
	.name = "camera show",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "all that is registered of a camera",
	.about = "",
	.examples = "steppe camera show gate-7",
	.args_size = sizeof(struct camera_args),
	.uses = USES_CLUSTER | USES_JSON | USES_TIMES,
	.run = show_run,
};

const struct command command_camera_remove = {
	.name = "camera remove",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "take a camera out of the register; footage is never touched",
	.about = "Nothing more is recorded of it. What was recorded stays, can be looked at and "
		 "exported, until retention takes it.",
	.examples = "steppe camera remove gate-7",
	.args_size = sizeof(struct camera_args),
	.uses = USES_CLUSTER,
	.run = remove_run,
};
