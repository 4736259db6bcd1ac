/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/help.h"

static const struct option common[] = {
	{"config", 'c', OPTION_FILE, "FILE", NULL, NULL, offsetof(struct command_call, config),
		"the cluster's addresses and certificates, instead of $STEPPE_CONFIG or "
		"~/.config/steppe/config.yaml"},
	{"cluster", 0, OPTION_LIST, "HOST:PORT", NULL, NULL, offsetof(struct command_call, cluster),
		"daemons to begin with, instead of the configuration's; any of the cluster's will "
		"do, several are for when one is down"},
	{"json", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct command_call, json),
		"print data for programs, as JSON"},
	{"utc", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct command_call, utc),
		"print times in UTC instead of the local zone"},
	{"quiet", 'q', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct command_call, quiet),
		"print nothing but results and errors"},
	{"verbose", 'v', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct command_call, verbose),
		"tell what happens underneath"},
	{"help", 'h', OPTION_FLAG, NULL, NULL, NULL, offsetof(struct command_call, help),
		"print this"},
	{.name = NULL},
};

const struct option *command_common_options(void)
{
	return common;
}

bool command_has_common(const struct command *c, const struct option *o)
{
	switch (o->name[0]) {
	case 'c':
		return c->uses & USES_CLUSTER;
	case 'j':
		return c->uses & USES_JSON;
	case 'u':
		return c->uses & USES_TIMES;
	default:
		return true;
	}
}

const struct command *command_find(int argc, char **argv, int *ret_used)
{
	const struct command *found = NULL;
	for (size_t i = 0; commands[i]; i++) {
		const char *name = commands[i]->name, *space = strchr(name, ' ');
		size_t first = space ? (size_t)(space - name) : strlen(name);
		if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], name, first) != 0)
			continue;
		if (!space) {
			found = commands[i];
			*ret_used = 1;
		} else if (argc > 1 && strcmp(argv[1], space + 1) == 0) {
			*ret_used = 2;
			return commands[i];
		}
	}
	return found;
}

/* How many letters must change to make one word of the other; words are short. */
static size_t distance(const char *a, const char *b)
{
	size_t row[33], n = strlen(b);
	if (n > 32 || strlen(a) > 32)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			row[j] = change < shift ? change : shift;
		}
	}
	return row[n];
}

const char *command_suggest(const char *word)
{
	const char *best = NULL;
	size_t least = 3;
	for (size_t i = 0; commands[i]; i++) {
		size_t d = distance(word, commands[i]->name);
		if (d < least) {
			least = d;
			best = commands[i]->name;
		}
	}
	return best;
}

/* A command line being taken apart. */
struct parse {
	const struct command *command;
	struct command_call *call;
	void *args;
	char **argv;
	int argc, at;
	char why[256];
};

/* An option of the command or of all commands, and the structure it writes to. */
static const struct option *find(
	struct parse *p, const char *name, size_t len, bool is_long, void **ret_args)
{
	const struct option *own = p->command->options, *o = NULL;
	*ret_args = p->args;
	if (is_long || len == 1)
		o = is_long ? option_find(own, name, len) : option_by_letter(own, name[0]);
	if (o)
		return o;
	*ret_args = p->call;
	if (is_long || len == 1)
		o = is_long ? option_find(common, name, len) : option_by_letter(common, name[0]);
	return o && command_has_common(p->command, o) ? o : NULL;
}

/* "--name=value", "--name value" or "-n value"; p->at stands on it and is moved past it. */
static int take_option(struct parse *p)
{
	char *word = p->argv[p->at++];
	bool is_long = word[1] == '-';
	char *name = word + (is_long ? 2 : 1);
	size_t len = strcspn(name, "=");
	char *value = is_long && name[len] == '=' ? name + len + 1 : NULL;
	void *args;
	const struct option *o = find(p, name, len, is_long, &args);
	if (!o) {
		snprintf(p->why, sizeof(p->why), "%.60s is not an option of this command", word);
		return -EINVAL;
	}
	if (o->kind == OPTION_FLAG && value) {
		snprintf(p->why, sizeof(p->why), "--%s takes no value", o->name);
		return -EINVAL;
	}
	if (o->kind != OPTION_FLAG && !value && p->at == p->argc) {
		snprintf(p->why, sizeof(p->why), "--%s needs a value: %s", o->name, o->value);
		return -EINVAL;
	}
	if (o->kind != OPTION_FLAG && !value)
		value = p->argv[p->at++];
	return option_set(o, args, value, p->call->now, p->why, sizeof(p->why));
}

static int parse(struct parse *p)
{
	bool only_words = false;
	while (p->at < p->argc) {
		char *word = p->argv[p->at];
		if (!only_words && strcmp(word, "--") == 0) {
			only_words = true;
			p->at++;
		} else if (!only_words && word[0] == '-' && word[1]) {
			int error = take_option(p);
			if (error)
				return error;
		} else {
			p->call->words[p->call->word_count++] = word;
			p->at++;
		}
	}
	if (p->call->help)
		return 0;
	if (p->call->word_count < p->command->least_words) {
		snprintf(p->why, sizeof(p->why), "it needs: %s", p->command->words);
		return -EINVAL;
	}
	if (p->call->word_count > p->command->most_words) {
		snprintf(p->why, sizeof(p->why), "\"%.60s\" is one word too many",
			p->call->words[p->command->most_words]);
		return -EINVAL;
	}
	return 0;
}

static struct wall wall_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct wall){t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000};
}

enum exit_code command_run(const struct command *c, int argc, char **argv)
{
	static const struct option none[] = {{.name = NULL}};
	struct command copy = *c;
	copy.options = c->options ? c->options : none;
	struct command_call call = {.command = c, .now = wall_now()};
	struct parse p = {.command = &copy, .call = &call, .argc = argc, .argv = argv};
	enum exit_code code = ENDED_FAILURE;
	call.words = calloc((size_t)argc + 1, sizeof(char *));
	p.args = calloc(1, c->args_size + 1);
	if (!call.words || !p.args) {
		complain(&call, "memory is short", NULL);
		goto done;
	}
	options_defaults(copy.options, p.args, call.now);
	if (parse(&p)) {
		char advice[96];
		snprintf(advice, sizeof(advice), "steppe %s --help", c->name);
		complain(&call, p.why, advice);
		code = ENDED_USAGE;
	} else if (call.help) {
		help_command(stdout, c);
		code = ENDED_OK;
	} else {
		log_set_level(call.verbose ? LOG_DEBUG : LOG_ERROR);
		code = c->run(&call, p.args);
	}
done:
	free(call.words);
	free(p.args);
	return code;
}
