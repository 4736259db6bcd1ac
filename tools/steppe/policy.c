/* SPDX-License-Identifier: Apache-2.0 */
/* steppe policy set, remove, list, assign, unassign, explain: how long footage is kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/names.h"
#include "tools/steppe/cluster.h"
#include "tools/steppe/columns.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

struct policy_args {
	int64_t floor, ceiling;
	uint32_t priority;
	const char *division, *group;
	bool all, forever;
};

static const struct option set_options[] = {
	{"floor", 'f', OPTION_DURATION, "TIME", NULL, NULL, offsetof(struct policy_args, floor),
		"nothing younger is deleted (30d, 12h)"},
	{"ceiling", 0, OPTION_DURATION, "TIME", NULL, NULL, offsetof(struct policy_args, ceiling),
		"everything older is deleted; the floor when not given"},
	{"forever", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct policy_args, forever),
		"without a ceiling: nothing is deleted by age"},
	{"class", 0, OPTION_COUNT, "0..9", "5", NULL, offsetof(struct policy_args, priority),
		"the lower gives way first when the store is full"},
	{.name = NULL},
};

static const struct option target_options[] = {
	{"all", 'a', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct policy_args, all),
		"all cameras"},
	{"division", 'd', OPTION_STRING, "CODE", NULL, NULL, offsetof(struct policy_args, division),
		"cameras of a division, or of all that begin so: 15, 1501, 150102"},
	{"group", 'g', OPTION_STRING, "NAME", NULL, NULL, offsetof(struct policy_args, group),
		"cameras of a group"},
	{.name = NULL},
};

/* --- ages --- */

/* "30 d", "36 h"; ages are set in round numbers and shown so. */
static const char *age(int64_t us, char to[HUMAN_MAX])
{
	const int64_t day = INT64_C(86400000000), hour = INT64_C(3600000000);
	if (us % day == 0)
		snprintf(to, HUMAN_MAX, "%lld d", (long long)(us / day));
	else if (us % hour == 0)
		snprintf(to, HUMAN_MAX, "%lld h", (long long)(us / hour));
	else
		human_span(us, to);
	return to;
}

static const char *ceiling(const struct steppe_policy *p, char to[HUMAN_MAX])
{
	return p->ceiling_us ? age(p->ceiling_us, to) : "none";
}

/* --- changing --- */

static enum exit_code end(
	struct command_call *call, struct cluster *cluster, int error, const char *doing)
{
	enum exit_code code = error ? complain_of(call, error, doing) : ENDED_OK;
	cluster_close(cluster);
	return code;
}

static enum exit_code set_run(struct command_call *call, const void *args)
{
	const struct policy_args *a = args;
	struct cluster cluster;
	char doing[128], floor[HUMAN_MAX], top[HUMAN_MAX];
	struct steppe_policy policy = STEPPE_INIT(steppe_policy);
	policy.name = call->words[0];
	policy.floor_us = a->floor;
	policy.ceiling_us = a->forever ? 0 : a->ceiling ? a->ceiling : a->floor;
	policy.priority = a->priority;
	if (!a->floor || (a->forever && a->ceiling)) {
		complain(call,
			a->floor ? "--forever is to have no ceiling" : "a policy needs a --floor",
			"steppe policy set public --floor 30d --ceiling 90d");
		return ENDED_USAGE;
	}
	if (policy.ceiling_us && policy.ceiling_us < policy.floor_us) {
		complain(call, "the ceiling is below the floor", NULL);
		return ENDED_USAGE;
	}
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	snprintf(doing, sizeof(doing), "setting %s", policy.name);
	int error = steppe_policy_put(cluster.steppe, &policy);
	if (!error && !call->quiet)
		printf("%s: kept for at least %s, %s %s\n", policy.name,
			age(policy.floor_us, floor),
			policy.ceiling_us ? "deleted after" : "never deleted by age",
			policy.ceiling_us ? age(policy.ceiling_us, top) : "");
	return end(call, &cluster, error, doing);
}

static enum exit_code remove_run(struct command_call *call, const void *args)
{
	(void)args;
	struct cluster cluster;
	char doing[128];
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	snprintf(doing, sizeof(doing), "removing %s", call->words[0]);
	int error = steppe_policy_remove(cluster.steppe, call->words[0]);
	if (!error && !call->quiet)
		printf("%s is removed\n", call->words[0]);
	return end(call, &cluster, error, doing);
}

static enum exit_code read_target(struct command_call *call, const struct policy_args *a,
	struct steppe_policy_assignment *ret_assignment)
{
	if (a->all + !!a->division + !!a->group != 1) {
		complain(call, "say which cameras: --all, --division CODE or --group NAME",
			"a single camera: steppe camera add CAMERA --policy NAME");
		return ENDED_USAGE;
	}
	ret_assignment->kind = a->all        ? STEPPE_POLICY_ALL
			       : a->division ? STEPPE_POLICY_DIVISION
					     : STEPPE_POLICY_GROUP;
	ret_assignment->target = a->all ? "" : a->division ? a->division : a->group;
	return ENDED_OK;
}

static enum exit_code change_target(
	struct command_call *call, const struct policy_args *a, const char *policy)
{
	struct cluster cluster;
	struct steppe_policy_assignment to = STEPPE_INIT(steppe_policy_assignment);
	enum exit_code code = read_target(call, a, &to);
	if (!code)
		code = cluster_open(&cluster, call);
	if (code)
		return code;
	to.policy = policy;
	int error = steppe_policy_assign(cluster.steppe, &to);
	if (!error && !call->quiet)
		printf("%s%s: %s\n",
			a->all        ? "all cameras"
			: a->division ? "division "
				      : "group ",
			a->all ? "" : to.target, policy[0] ? policy : "nothing assigned");
	return end(call, &cluster, error, policy[0] ? "assigning" : "taking away");
}

static enum exit_code assign_run(struct command_call *call, const void *args)
{
	return change_target(call, args, call->words[0]);
}

static enum exit_code unassign_run(struct command_call *call, const void *args)
{
	return change_target(call, args, "");
}

/* --- looking --- */

static const char *const kinds[] = {"", "all", "division", "group"};

static void policies_json(const struct steppe_policies *all)
{
	struct json j = {.to = stdout};
	json_open(&j, '{');
	json_key(&j, "policies");
	json_open(&j, '[');
	for (size_t i = 0; i < all->policy_count; i++) {
		const struct steppe_policy *p = &all->policies[i];
		json_open(&j, '{');
		json_member_string(&j, "name", p->name);
		json_member_int(&j, "floor_us", p->floor_us);
		json_member_int(&j, "ceiling_us", p->ceiling_us);
		json_member_uint(&j, "class", p->priority);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_key(&j, "assignments");
	json_open(&j, '[');
	for (size_t i = 0; i < all->assignment_count; i++) {
		const struct steppe_policy_assignment *a = &all->assignments[i];
		json_open(&j, '{');
		json_member_string(&j, "kind", kinds[a->kind & 3]);
		json_member_string(&j, "target", a->target);
		json_member_string(&j, "policy", a->policy);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

/* "all, division 1501, group schools": to whom a policy is assigned. */
static void assigned_to(const struct steppe_policies *all, const char *policy, char to[256])
{
	size_t at = 0;
	to[0] = '\0';
	for (size_t i = 0; i < all->assignment_count; i++) {
		const struct steppe_policy_assignment *a = &all->assignments[i];
		if (strcmp(a->policy, policy) != 0)
			continue;
		int n = snprintf(to + at, 256 - at, "%s%s%s%s", at ? ", " : "", kinds[a->kind & 3],
			a->target[0] ? " " : "", a->target);
		if (n < 0 || (at += (size_t)n) >= 255) {
			memcpy(to + 251, " ...", 5);
			return;
		}
	}
}

struct listing {
	const struct command_call *call;
	int error;
};

static void list_all(void *user, const struct steppe_policies *all)
{
	static const char *const heads[] = {"POLICY", "FLOOR", "CEILING", "CLASS", "ASSIGNED TO"};
	struct listing *l = user;
	if (l->call->json) {
		policies_json(all);
		return;
	}
	if (!all->policy_count) {
		fputs("no policies are set: all footage is kept; steppe policy set NAME --floor "
		      "30d makes one\n",
			stderr);
		return;
	}
	struct columns columns = {.count = 5,
		.heads = heads,
		.right = 1 << 1 | 1 << 2 | 1 << 3,
		.bold_heads = term_has_colour(stdout)};
	for (size_t i = 0; i < all->policy_count; i++) {
		const struct steppe_policy *p = &all->policies[i];
		char floor[HUMAN_MAX], top[HUMAN_MAX], priority[8], whom[256];
		snprintf(priority, sizeof(priority), "%u", p->priority % 10);
		assigned_to(all, p->name, whom);
		columns_add(&columns, (const char *const[]){p->name, age(p->floor_us, floor),
					      ceiling(p, top), priority, whom});
	}
	l->error = columns_print(&columns, stdout, "\n");
}

static enum exit_code list_run(struct command_call *call, const void *args)
{
	(void)args;
	struct cluster cluster;
	struct listing l = {.call = call};
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	int error = steppe_policies(cluster.steppe, list_all, &l);
	return end(call, &cluster, error ? error : l.error, "the policies");
}

static void explain_one(void *user, const struct steppe_policy_found *f)
{
	static const char *const why[] = {"nobody", "camera", "group", "division", "all"};
	const struct command_call *call = ((struct listing *)user)->call;
	char floor[HUMAN_MAX], top[HUMAN_MAX];
	if (call->json) {
		struct json j = {.to = stdout};
		json_open(&j, '{');
		json_member_string(&j, "camera", call->words[0]);
		json_member_string(&j, "policy", f->policy ? f->policy->name : NULL);
		json_member_string(&j, "why", why[f->why]);
		json_member_string(&j, "target", f->target);
		if (f->policy) {
			json_member_int(&j, "floor_us", f->policy->floor_us);
			json_member_int(&j, "ceiling_us", f->policy->ceiling_us);
		}
		json_close(&j, '}');
		json_end(&j);
	} else if (!f->policy) {
		printf("%s: no policy holds; everything is kept\n", call->words[0]);
	} else {
		printf("%s: %s, because it is %s%s\n"
		       "kept for at least %s; ceiling %s\n",
			call->words[0], f->policy->name,
			f->why == STEPPE_POLICY_OF_CAMERA     ? "the camera's own"
			: f->why == STEPPE_POLICY_OF_GROUP    ? "that of its group "
			: f->why == STEPPE_POLICY_OF_DIVISION ? "that of its division "
							      : "that of all cameras",
			f->target, age(f->policy->floor_us, floor), ceiling(f->policy, top));
	}
}

static enum exit_code explain_run(struct command_call *call, const void *args)
{
	(void)args;
	struct cluster cluster;
	struct listing l = {.call = call};
	char doing[128];
	if (!camera_id_is_valid(call->words[0])) {
		complainf(call, NULL, "\"%.80s\" is not a camera id", call->words[0]);
		return ENDED_USAGE;
	}
	enum exit_code code = cluster_open(&cluster, call);
	if (code)
		return code;
	snprintf(doing, sizeof(doing), "camera %s", call->words[0]);
	int error = steppe_policy_explain(cluster.steppe, call->words[0], explain_one, &l);
	return end(call, &cluster, error, doing);
}

/* --- the table --- */

const struct command command_policy_set = {
	.name = "policy set",
	.words = "NAME",
	.least_words = 1,
	.most_words = 1,
	.brief = "make a policy, or change one: how long footage is kept",
	.about =
		"Footage younger than the floor is never deleted; footage older than the ceiling "
		"is "
		"not shown any more within an hour, and its bytes are gone within a day. Ages "
		"count "
		"from when it was recorded.\n\nA policy holds for nobody until it is assigned. One "
		"that is changed holds for old footage too, from the next round on: within the "
		"hour.",
	.examples =
		"steppe policy set public --floor 30d --ceiling 90d\nsteppe policy set keysites "
		"--floor 90d\nsteppe policy set cases --floor 365d --forever",
	.options = set_options,
	.args_size = sizeof(struct policy_args),
	.uses = USES_CLUSTER,
	.run = set_run,
};

const struct command command_policy_remove = {
	.name = "policy remove",
	.words = "NAME",
	.least_words = 1,
	.most_words = 1,
	.brief = "remove a policy that is assigned to nobody",
	.about = "Refused while it is assigned: steppe policy list shows to whom.",
	.examples = "steppe policy remove public",
	.args_size = sizeof(struct policy_args),
	.uses = USES_CLUSTER,
	.run = remove_run,
};

const struct command command_policy_list = {
	.name = "policy list",
	.words = "",
	.brief = "the policies and to whom they are assigned",
	.about = "",
	.examples = "steppe policy list",
	.args_size = sizeof(struct policy_args),
	.uses = USES_CLUSTER | USES_JSON,
	.run = list_run,
};

const struct command command_policy_assign = {
	.name = "policy assign",
	.words = "NAME",
	.least_words = 1,
	.most_words = 1,
	.brief = "let a policy hold for all cameras, a division or a group",
	.about = "The nearest wins: a camera's own, then its groups' (the longest floor, then the "
		 "shortest ceiling), then that of the longest beginning of its division's code, "
		 "then that of all.",
	.examples = "steppe policy assign public --all\nsteppe policy assign keysites --division "
		    "1501\nsteppe policy assign keysites --group schools",
	.options = target_options,
	.args_size = sizeof(struct policy_args),
	.uses = USES_CLUSTER,
	.run = assign_run,
};

const struct command command_policy_unassign = {
	.name = "policy unassign",
	.words = "",
	.brief = "take away what is assigned to all cameras, a division or a group",
	.about = "Without any policy everything is kept.",
	.examples = "steppe policy unassign --group schools",
	.options = target_options,
	.args_size = sizeof(struct policy_args),
	.uses = USES_CLUSTER,
	.run = unassign_run,
};

const struct command command_policy_explain = {
	.name = "policy explain",
	.words = "CAMERA",
	.least_words = 1,
	.most_words = 1,
	.brief = "which policy holds for a camera, and why",
	.about = "",
	.examples = "steppe policy explain gate-7",
	.args_size = sizeof(struct policy_args),
	.uses = USES_CLUSTER | USES_JSON,
	.run = explain_run,
};
