/* SPDX-License-Identifier: Apache-2.0 */
/* A sub-command of `steppe`: what it is called, takes and does. The table of all is in commands.c. */
#pragma once

#include "base/clock.h"
#include "tools/steppe/exitcode.h"
#include "tools/steppe/options.h"

/* What a command makes use of; the options for it come by themselves. */
enum command_uses {
	USES_CLUSTER = 1, /* --config, --cluster */
	USES_JSON = 2,    /* --json */
	USES_TIMES = 4,   /* --utc */
};

/* What all commands are handed. */
struct command_call {
	const struct command *command;
	struct wall now; /* when the command line was read */
	char **words;    /* what stood between the options; NULL-terminated */
	unsigned word_count;
	/* the options all have */
	bool help, json, utc, quiet, verbose;
	const char *config;
	struct option_list cluster;
};

struct command {
	const char *name;  /* "record", "camera add" */
	const char *words; /* "CAMERA SOURCE"; words in [] may be left out */
	unsigned least_words, most_words;
	const char *brief; /* one line */
	const char *about; /* paragraphs, parted by empty lines; lines that begin with a space stay
			      as they are */
	const char *examples; /* lines: a command, or "# what the next does" */
	const struct option *options;
	size_t args_size;
	unsigned uses; /* enum command_uses */
	enum exit_code (*run)(struct command_call *call, const void *args);
};

extern const struct command *const commands[]; /* ended by NULL, in the order of help */

/* The options every command has, as far as it uses them. */
const struct option *command_common_options(void);
bool command_has_common(const struct command *c, const struct option *o);

/* Finds the command that `argv` begins with; *ret_used: how many words its name took. NULL when
 * there is none. */
const struct command *command_find(int argc, char **argv, int *ret_used);
/* The known word nearest to a mistyped one, or NULL when none is near. */
const char *command_suggest(const char *word);

/* Parses what follows the name and runs the command. */
enum exit_code command_run(const struct command *c, int argc, char **argv);
