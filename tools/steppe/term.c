/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool unicode;

void term_init(void)
{
	setlocale(LC_CTYPE, "");
	unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool term_is_tty(FILE *f)
{
	return isatty(fileno(f));
}

bool term_has_colour(FILE *f)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
	return term_is_tty(f) && term && strcmp(term, "dumb") != 0 && !(no && no[0]);
}

bool term_has_unicode(void)
{
	return unicode;
}

static struct winsize size_of(FILE *f)
{
	struct winsize w = {.ws_col = 80, .ws_row = 24};
	if (!term_is_tty(f) || ioctl(fileno(f), TIOCGWINSZ, &w) || w.ws_col == 0 || w.ws_row == 0)
		w = (struct winsize){.ws_col = 80, .ws_row = 24};
	return w;
}

unsigned term_columns(FILE *f)
{
	return size_of(f).ws_col;
}

unsigned term_rows(FILE *f)
{
	return size_of(f).ws_row;
}

void term_clear_line(FILE *f)
{
	if (term_is_tty(f))
		fputs("\r\x1b[K", f);
}

const char *term_code(enum term_colour colour, bool wanted)
{
	static const char *const codes[] = {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m",
		"\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m"};
	return wanted ? codes[colour] : "";
}
