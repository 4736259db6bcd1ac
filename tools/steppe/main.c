/* SPDX-License-Identifier: Apache-2.0 */
/* The command `steppe`. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* How many words the options before the command take up: `steppe --config FILE timeline gate-1`. */
static int leading_options(int argc, char **argv)
{
	int n = 0;
	while (n < argc && argv[n][0] == '-' && argv[n][1]) {
		bool has_value =
			strcmp(argv[n], "--config") == 0 || strcmp(argv[n], "--cluster") == 0;
		n += has_value && n + 1 < argc ? 2 : 1;
	}
	return n;
}

/* The command's own words: those options first, then what follows its name. */
static enum exit_code run(
	const struct command *c, char **leading, int leading_count, char **rest, int rest_count)
{
	char **words = malloc(((size_t)leading_count + (size_t)rest_count + 1) * sizeof(*words));
	if (!words) {
		complain(NULL, "not enough memory", NULL);
		return ENDED_FAILURE;
	}
	memcpy(words, leading, (size_t)leading_count * sizeof(*words));
	memcpy(words + leading_count, rest, (size_t)rest_count * sizeof(*words));
	words[leading_count + rest_count] = NULL;
	enum exit_code code = command_run(c, leading_count + rest_count, words);
	free(words);
	return code;
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
	int leading = leading_options(argc - 1, argv + 1);
	char **words = argv + 1 + leading;
	int count = argc - 1 - leading;
	if (count < 1)
		return (int)unknown(argv[1]);
	const struct command *c = command_find(count, words, &used);
	if (c)
		return (int)run(c, argv + 1, leading, words + used, count - used);
	/* a group without, or with an unknown second word */
	bool wants_help =
		count > 1 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0);
	if (help_group(wants_help ? stdout : stderr, words[0]))
		return wants_help ? ENDED_OK : ENDED_USAGE;
	return (int)unknown(words[0]);
}
