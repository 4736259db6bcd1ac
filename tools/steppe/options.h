/* SPDX-License-Identifier: Apache-2.0 */
/* One table a command: its options are parsed from it, and --help, the man pages,
 * docs/reference/steppe.md and the completion are written from it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_STRING,   /* const char * */
	OPTION_FILE,     /* const char *, completed as a path */
	OPTION_LIST,     /* struct option_list: may be given several times, or once with commas */
	OPTION_TIME,     /* struct wall; us -1 when not given */
	OPTION_DURATION, /* int64_t microseconds */
	OPTION_SIZE,     /* uint64_t bytes: "256K", "4M", "1G" (powers of 1024) */
	OPTION_RATE,     /* uint64_t bits a second: "500k", "4M" (powers of 1000) */
	OPTION_VOLUME,   /* uint64_t bytes: "18T" (powers of 1000, as disks are sold) */
	OPTION_DECIMAL,  /* double, not negative: "1.4" */
	OPTION_COUNT,    /* uint32_t */
	OPTION_CHOICE,   /* int: index in `choices` */
};

#define OPTION_LIST_MAX 16
struct option_list {
	const char *items[OPTION_LIST_MAX + 1]; /* ends with NULL */
	unsigned count;
	bool is_initial; /* what is in it goes when something is given */
};

struct option {
	const char *name; /* without dashes; NULL ends a table */
	char letter;      /* 0: none */
	enum option_kind kind;
	const char *value; /* how help calls the value: "FILE" */
	const char
		*initial; /* what holds when it is not given, as one would type it; NULL: nothing */
	const char *const *choices; /* OPTION_CHOICE: words, ended by NULL */
	size_t offset;              /* of its field in the command's arguments */
	const char *help;           /* one sentence without a full stop */
};

/* Fills in what holds when nothing is given. */
void options_defaults(const struct option *table, void *args, struct wall now);
/* Sets one option from its text; -EINVAL with words for a person. Texts are borrowed; lists are cut
 * up in place. */
int option_set(const struct option *o, void *args, char *text, struct wall now, char *why,
	size_t why_size);
const struct option *option_find(const struct option *table, const char *name, size_t len);
const struct option *option_by_letter(const struct option *table, char letter);

/* "4096", "256K", "4M", "1G"; -EINVAL. */
int option_parse_size(const char *text, uint64_t *ret_bytes);
/* "64000", "500k", "4M" bits a second; -EINVAL. */
int option_parse_rate(const char *text, uint64_t *ret_bits);
