/* SPDX-License-Identifier: Apache-2.0 */
/* What there is of a stream, drawn: a bar of a window, and a calendar of days. Pure but for writing
 * to a stream. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/steppe.h"

struct drawing {
	FILE *to;
	unsigned columns;
	bool colour, unicode, utc;
	struct wall now;
};

struct bar {
	const char *stream;
	struct wall from, to;
	const struct steppe_timeline *timeline;
	unsigned gap_lines; /* most gaps to list */
};
/* A bar of the window with the hours under it, how much was kept, and the gaps with their causes. */
void bar_draw(const struct drawing *d, const struct bar *b);

struct calendar {
	const char *stream;
	const struct steppe_day *days; /* of UTC, ascending */
	size_t day_count;
	unsigned day_lines; /* most days to show one by one, the newest; earlier ones are summed up
			       by month */
};
/* A line a day in the drawing's zone, a cell half an hour. Nothing is drawn when there are no days.
 * -ENOMEM. */
int calendar_draw(const struct drawing *d, const struct calendar *c);

/* The letter of a gap's cause in bars ('n' for network), and its colour (enum term_colour). */
char drawing_gap_letter(int cause);
int drawing_gap_colour(int cause);
