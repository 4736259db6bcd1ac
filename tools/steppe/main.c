/* SPDX-License-Identifier: Apache-2.0 */
/* The command `steppe`. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/steppe/complain.h"
#include "tools/steppe/help.h"
#include "tools/steppe/term.h"

static enum exit_code unknown(const char *word)
{
	const char *near = command_suggest(word);
	char what[128], advice[64];
	snprintf(what, sizeof(what), "there is no command \"%.60s\"", word);
	snprintf(advice, sizeof(advice), near ? "steppe %s" : "steppe help", near);
	complain(NULL, what, advice);
	return ENDED_USAGE;
}

int main(int argc, char **argv)
{
	int used = 0;
	term_init();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		help_overview(stderr);
		return ENDED_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		argv[1] = "help";
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = "version";
	const struct command *c = command_find(argc - 1, argv + 1, &used);
	if (c)
		return (int)command_run(c, argc - 1 - used, argv + 1 + used);
	/* a group without, or with an unknown second word */
	bool wants_help =
		argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
	if (help_group(wants_help ? stdout : stderr, argv[1]))
		return wants_help ? ENDED_OK : ENDED_USAGE;
	return (int)unknown(argv[1]);
}
