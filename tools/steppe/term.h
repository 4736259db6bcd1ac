/* SPDX-License-Identifier: Apache-2.0 */
/* What the terminal can do. Programs that read our output get neither colours nor redrawn lines. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* To be called once, first. Also asks the locale whether it can show more than ASCII. */
void term_init(void);
bool term_is_tty(FILE *f);
/* A terminal, with TERM not "dumb" and NO_COLOR not set. */
bool term_has_colour(FILE *f);
/* Whether block characters and such may be written to standard output and error. */
bool term_has_unicode(void);
/* Columns and rows; 80 and 24 when it is no terminal. */
unsigned term_columns(FILE *f);
unsigned term_rows(FILE *f);
/* Removes a line drawn with carriage return, if the terminal shows one. */
void term_clear_line(FILE *f);

/* Colours as escape sequences, "" for those who want none. */
enum term_colour {
	TERM_PLAIN,
	TERM_BOLD,
	TERM_DIM,
	TERM_RED,
	TERM_GREEN,
	TERM_YELLOW,
	TERM_BLUE,
	TERM_MAGENTA,
	TERM_CYAN
};
const char *term_code(enum term_colour colour, bool wanted);
