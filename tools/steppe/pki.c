/* SPDX-License-Identifier: Apache-2.0 */
/* steppe pki init, issue, renew, revoke, list: the certificates of nodes, recorders and people. */
#include "proto/pki.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timetext.h"
#include "proto/channel.h"
#include "proto/pki_files.h"
#include "tools/steppe/columns.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/term.h"

struct pki_args {
	const char *name, *config_out;
	struct option_list roles, hosts, cluster;
	uint32_t days;
	bool force;
};

static const struct option init_options[] = {
	{"name", 'n', OPTION_STRING, "TEXT", "steppe", NULL, offsetof(struct pki_args, name),
		"what the cluster is called"},
	{.name = NULL},
};

static const struct option issue_options[] = {
	{"role", 'r', OPTION_LIST, "ROLE", NULL, NULL, offsetof(struct pki_args, roles),
		"node, recorder, investigator or admin; several with commas"},
	{"host", 0, OPTION_LIST, "HOST", NULL, NULL, offsetof(struct pki_args, hosts),
		"names and addresses of a node (localhost, 127.0.0.1 and ::1 when none is given)"},
	{"days", 'd', OPTION_COUNT, "N", "397", NULL, offsetof(struct pki_args, days),
		"how long it is valid"},
	{"config-out", 'o', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct pki_args, config_out),
		"write a configuration that uses it"},
	{"cluster", 0, OPTION_LIST, "HOST:PORT", "127.0.0.1:7600", NULL,
		offsetof(struct pki_args, cluster), "the daemons that configuration names"},
	{"force", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct pki_args, force),
		"replace the configuration if it is there"},
	{.name = NULL},
};

static const struct option renew_options[] = {
	{"days", 'd', OPTION_COUNT, "N", "397", NULL, offsetof(struct pki_args, days),
		"how long the new one is valid"},
	{.name = NULL},
};

static enum exit_code failed(
	const struct command_call *call, int error, const char *why, const char *advice)
{
	complain(call, why, advice);
	return error == -EINVAL ? ENDED_USAGE : error == -ENOENT ? ENDED_NOTHING : ENDED_FAILURE;
}

static enum exit_code init_run(struct command_call *call, const void *args)
{
	const struct pki_args *a = args;
	char why[256];
	int error = pki_init(call->words[0], a->name, why, sizeof(why));
	if (error)
		return failed(call, error, why,
			error == -EEXIST
				? "steppe pki issue DIR NAME --role ROLE makes certificates with it"
				: NULL);
	if (!call->quiet)
		printf("%s holds the authority of \"%s\" now\n"
		       "keep %s/ca.key where nobody else can read it, with a copy elsewhere: "
		       "whoever has it can make any certificate\n"
		       "next: steppe pki issue %s node1 --role node --host NAME\n",
			call->words[0], a->name, call->words[0], call->words[0]);
	return ENDED_OK;
}

static int parse_roles(const struct option_list *list, unsigned *ret_roles, const char **ret_bad)
{
	unsigned roles = 0;
	for (unsigned i = 0; i < list->count; i++) {
		unsigned role = channel_role_of(list->items[i]);
		*ret_bad = list->items[i];
		if (!role)
			return -EINVAL;
		roles |= role;
	}
	*ret_roles = roles;
	return 0;
}

/* A double-quoted YAML scalar. */
static void yaml_quoted(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static void print_config(
	FILE *to, const char *dir, const char *name, const struct option_list *cluster)
{
	const char *const files[][2] = {{"ca", "ca"}, {"cert", name}, {"key", name}};
	fputs("cluster: [", to);
	for (unsigned i = 0; i < cluster->count; i++) {
		fputs(i ? ", " : "", to);
		yaml_quoted(to, cluster->items[i]);
	}
	fputs("]\ntls:\n", to);
	for (int i = 0; i < 3; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s.%s", dir, files[i][1], i == 2 ? "key" : "crt");
		fprintf(to, "  %s: ", files[i][0]);
		yaml_quoted(to, path);
		fputc('\n', to);
	}
}

static enum exit_code write_config(struct command_call *call, const struct pki_args *a)
{
	char *dir = realpath(call->words[0], NULL);
	FILE *to = dir ? fopen(a->config_out, a->force ? "we" : "wxe") : NULL;
	if (!to) {
		int error = errno;
		free(dir);
		complainf(call, error == EEXIST ? "--force, or another file" : NULL, "%s: %s",
			a->config_out, strerror(error));
		return ENDED_FAILURE;
	}
	print_config(to, dir, call->words[1], &a->cluster);
	bool bad = ferror(to);
	bad = fclose(to) || bad;
	free(dir);
	if (bad) {
		complainf(call, NULL, "%s: %s", a->config_out, strerror(errno));
		return ENDED_FAILURE;
	}
	if (!call->quiet)
		printf("%s uses it: steppe status --config %s\n", a->config_out, a->config_out);
	return ENDED_OK;
}

static enum exit_code issue_run(struct command_call *call, const void *args)
{
	const struct pki_args *a = args;
	char why[256], roles_text[CHANNEL_ROLES_TEXT];
	const char *bad = NULL;
	unsigned roles = 0;
	if (parse_roles(&a->roles, &roles, &bad)) {
		complainf(call, NULL,
			"--role: \"%.40s\" is not node, recorder, investigator or admin", bad);
		return ENDED_USAGE;
	}
	if (!roles) {
		complain(call, "what may it do?", "--role node, recorder, investigator or admin");
		return ENDED_USAGE;
	}
	if (a->config_out && !a->force && access(a->config_out, F_OK) == 0) {
		complainf(call, "--force, or another file", "%s is there already", a->config_out);
		return ENDED_FAILURE;
	}
	struct pki_issue what = {.name = call->words[1],
		.roles = roles,
		.days = (int)a->days,
		.hosts = a->hosts.count ? a->hosts.items : NULL};
	int error = pki_issue(call->words[0], &what, why, sizeof(why));
	if (error)
		return failed(call, error, why, NULL);
	channel_roles_text(roles, roles_text);
	if (!call->quiet)
		printf("%s/%s.crt and .key: %s, valid for %" PRIu32 " days\n", call->words[0],
			call->words[1], roles_text, a->days);
	return a->config_out ? write_config(call, a) : ENDED_OK;
}

static enum exit_code renew_run(struct command_call *call, const void *args)
{
	const struct pki_args *a = args;
	char why[256];
	int error = pki_renew(call->words[0], call->words[1], (int)a->days, why, sizeof(why));
	if (error)
		return failed(call, error, why, "steppe pki list DIR");
	if (!call->quiet)
		printf("%s/%s.crt is new, valid for %" PRIu32
		       " days; a daemon takes it at SIGHUP, the old one is good until it ends\n",
			call->words[0], call->words[1], a->days);
	return ENDED_OK;
}

static enum exit_code revoke_run(struct command_call *call, const void *args)
{
	(void)args;
	char why[256];
	int error = pki_revoke(call->words[0], call->words[1], why, sizeof(why));
	if (error)
		return failed(call, error, why, "steppe pki list DIR");
	if (!call->quiet)
		printf("%s is revoked: copy %s/crl.pem to the nodes and send storaged SIGHUP\n",
			call->words[1], call->words[0]);
	return ENDED_OK;
}

static const char *state_of(const struct pki_row *row, struct wall now)
{
	if (row->revoked)
		return "revoked";
	if (row->to_s * US_PER_SECOND < now.us)
		return "ended";
	return (row->to_s * US_PER_SECOND - now.us) / US_PER_DAY < 30 ? "ends soon" : "valid";
}

static void list_json(const struct pki_rows *rows, struct wall now)
{
	struct json j = {.to = stdout};
	json_open(&j, '[');
	for (size_t i = 0; i < rows->count; i++) {
		char roles[CHANNEL_ROLES_TEXT];
		channel_roles_text(rows->rows[i].roles, roles);
		json_open(&j, '{');
		json_member_string(&j, "name", rows->rows[i].name);
		json_member_string(&j, "serial", rows->rows[i].serial);
		json_member_string(&j, "roles", roles);
		json_member_string(&j, "state", state_of(&rows->rows[i], now));
		json_member_int(&j, "not_after_us", rows->rows[i].to_s * US_PER_SECOND);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_end(&j);
}

static int list_text(const struct command_call *call, const struct pki_rows *rows)
{
	static const char *const heads[] = {"NAME", "ROLES", "STATE", "VALID UNTIL", "SERIAL"};
	struct columns columns = {
		.count = 5, .heads = heads, .bold_heads = term_has_colour(stdout)};
	for (size_t i = 0; i < rows->count; i++) {
		char roles[CHANNEL_ROLES_TEXT], until[TIMETEXT_MAX];
		channel_roles_text(rows->rows[i].roles, roles);
		timetext_format(
			(struct wall){rows->rows[i].to_s * US_PER_SECOND}, call->utc, until);
		columns_add(&columns,
			(const char *const[]){rows->rows[i].name, roles,
				state_of(&rows->rows[i], call->now), until, rows->rows[i].serial});
	}
	return rows->count > 0 ? columns_print(&columns, stdout, "\n") : 0;
}

static enum exit_code list_run(struct command_call *call, const void *args)
{
	(void)args;
	char why[256] = "";
	struct pki_dir dir;
	struct pki_rows rows = {0};
	int error = pki_dir_open(&dir, call->words[0], false, why, sizeof(why));
	if (error)
		return failed(call, error, why, NULL);
	error = pki_rows_read(&dir, &rows);
	pki_dir_close(&dir);
	if (error)
		return failed(call, error, why, NULL);
	if (call->json)
		list_json(&rows, call->now);
	else
		error = list_text(call, &rows);
	pki_rows_fini(&rows);
	return error ? failed(call, error, "memory is short", NULL) : ENDED_OK;
}

const struct command command_pki_init = {
	.name = "pki init",
	.words = "DIR",
	.least_words = 1,
	.most_words = 1,
	.brief = "make a certificate authority in a directory",
	.about = "The cluster knows its nodes, recorders and people by certificates. Any authority "
		 "will do as long as leaves carry "
		 "the SAN URI \"steppe:role:NAME\"; this makes a small one of plain PEM files.",
	.examples = "steppe pki init /etc/steppe/pki --name county-7",
	.options = init_options,
	.args_size = sizeof(struct pki_args),
	.run = init_run,
};

const struct command command_pki_issue = {
	.name = "pki issue",
	.words = "DIR NAME",
	.least_words = 2,
	.most_words = 2,
	.brief = "make a certificate for a node, a recorder or a person",
	.about = "Roles: a node is a storaged; a recorder writes streams; an investigator looks "
		 "and exports; an admin changes what is "
		 "registered and kept. With --config-out also a configuration for steppe that uses "
		 "the certificate.",
	.examples = "steppe pki issue /etc/steppe/pki node1 --role node --host node1.example.org\n"
		    "steppe pki issue pki joe --role investigator --config-out "
		    "~/.config/steppe/config.yaml --cluster node1.example.org:7600",
	.options = issue_options,
	.args_size = sizeof(struct pki_args),
	.run = issue_run,
};

const struct command command_pki_renew = {
	.name = "pki renew",
	.words = "DIR NAME",
	.least_words = 2,
	.most_words = 2,
	.brief = "a new certificate for the same name, roles and key",
	.about = "The old one stays valid until it ends, so nothing is interrupted.",
	.examples = "steppe pki renew pki node1",
	.options = renew_options,
	.args_size = sizeof(struct pki_args),
	.run = renew_run,
};

const struct command command_pki_revoke = {
	.name = "pki revoke",
	.words = "DIR NAME",
	.least_words = 2,
	.most_words = 2,
	.brief = "declare every certificate of a name invalid",
	.about = "Daemons refuse it once they have the new crl.pem and were told by SIGHUP.",
	.examples = "steppe pki revoke pki joe",
	.args_size = sizeof(struct pki_args),
	.run = revoke_run,
};

const struct command command_pki_list = {
	.name = "pki list",
	.words = "DIR",
	.least_words = 1,
	.most_words = 1,
	.brief = "the certificates an authority has made",
	.about = "\"ends soon\" is less than thirty days away: steppe pki renew.",
	.examples = "steppe pki list pki",
	.args_size = sizeof(struct pki_args),
	.uses = USES_JSON | USES_TIMES,
	.run = list_run,
};
