/* SPDX-License-Identifier: Apache-2.0 */
/* steppe version, steppe help. */
#include <stdio.h>
#include <string.h>

#include "client/steppe.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/help.h"
#include "tools/steppe/json.h"

struct help_args {
	const char *man;
	bool markdown, exit_codes, bash;
};

static const struct option help_options[] = {
	{"man", 0, OPTION_STRING, "PAGE", NULL, NULL, offsetof(struct help_args, man),
		"print a man page, of steppe or of one of its commands"},
	{"markdown", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct help_args, markdown),
		"print docs/reference/steppe.md"},
	{"exit-codes", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct help_args, exit_codes),
		"print docs/reference/exit-codes.md"},
	{"bash-completion", 0, OPTION_FLAG, NULL, NULL, NULL, offsetof(struct help_args, bash),
		"print the completion for bash"},
	{.name = NULL},
};

static enum exit_code version_run(struct command_call *call, const void *args)
{
	(void)args;
	if (call->json) {
		struct json j = {.to = stdout};
		json_open(&j, '{');
		json_member_string(&j, "version", steppe_version());
		json_close(&j, '}');
		json_end(&j);
	} else {
		printf("steppe %s\n", steppe_version());
	}
	return ENDED_OK;
}

static enum exit_code no_such(const struct command_call *call, const char *word)
{
	complainf(call, "steppe help", "there is no command \"%.60s\"", word);
	return ENDED_USAGE;
}

static enum exit_code help_run(struct command_call *call, const void *args)
{
	const struct help_args *a = args;
	int used;
	if (a->man)
		return help_man(stdout, a->man) ? ENDED_OK : no_such(call, a->man);
	if (a->markdown)
		help_markdown(stdout);
	else if (a->exit_codes)
		help_exit_codes(stdout);
	else if (a->bash)
		help_bash_completion(stdout);
	else if (call->word_count == 0)
		help_overview(stdout);
	else {
		const struct command *c = command_find((int)call->word_count, call->words, &used);
		if (c)
			help_command(stdout, c);
		else if (!help_group(stdout, call->words[0]))
			return no_such(call, call->words[0]);
	}
	return ENDED_OK;
}

const struct command command_version = {
	.name = "version",
	.words = "",
	.brief = "which version this is",
	.about = "",
	.uses = USES_JSON,
	.run = version_run,
};

const struct command command_help = {
	.name = "help",
	.words = "[COMMAND]",
	.most_words = 2,
	.brief = "all commands, or all about one",
	.about = "Also prints what is written from the same tables: man pages, the reference, the "
		 "completion.",
	.examples = "steppe help record\nsteppe help --man record | man -l -",
	.options = help_options,
	.args_size = sizeof(struct help_args),
	.run = help_run,
};
