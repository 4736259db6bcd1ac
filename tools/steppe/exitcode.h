/* SPDX-License-Identifier: Apache-2.0 */
/* How the command ends: one table for the code, the man page and docs/reference/exit-codes.md.
 * Numbers are for ever. */
#pragma once

/* X(name, number, what it means, what to do) */
#define EXIT_CODES(X)                                                                              \
	X(OK, 0, "done", "nothing")                                                                \
	X(FAILURE, 1, "it did not work, for the reason given",                                     \
		"read the message: it says what to do next")                                       \
	X(USAGE, 2, "the command line or a configuration file cannot be understood",               \
		"look at the line or option named, or run the command with --help")                \
	X(REFUSED, 3, "the cluster refused, and said why",                                         \
		"look the word up in docs/reference/refusals.md")                                  \
	X(NOTHING, 4, "there is nothing: no footage in the window, no such camera or stream",      \
		"see what there is with steppe timeline and steppe camera list")                   \
	X(DAMAGED, 5, "footage or a file is not what was recorded, or is gone since",              \
		"steppe fsck tells what is damaged; export again from another copy")               \
	X(UNREACHABLE, 6, "no daemon could be reached, or none that the certificates fit",         \
		"look at cluster and tls in the configuration; is storaged running?")              \
	X(NOT_DURABLE, 7, "a recording ended while some footage was not yet kept by the cluster",  \
		"record the same stream again with the same spool: it goes out first")             \
	X(INTERRUPTED, 130, "ended by Ctrl-C or a signal before it was done", "run it again")

enum exit_code {
#define EXIT_ENUM(name, number, meaning, advice) ENDED_##name = number,
	EXIT_CODES(EXIT_ENUM)
#undef EXIT_ENUM
};

/* The exit code for a negative code of ours, of errno or of libsteppe. */
enum exit_code exit_code_of(int error);

/* The table, ended by an entry without meaning. */
struct exit_entry {
	int number;
	const char *name, *meaning, *advice;
};
extern const struct exit_entry exit_entries[];
