/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees while recording: a line or a table that is drawn over itself on a terminal;
 * elsewhere a line a change. */
#pragma once

#include <stdio.h>

#include "tools/steppe/command.h"
#include "tools/steppe/recording.h"

struct recordview_row {
	const char *stream;
	struct recording_view view;
	/* private */
	const char *told_state;
	char told_note[200];
};

struct recordview {
	const struct command_call *call;
	FILE *to;
	bool live;  /* draws over itself */
	bool table; /* many streams */
	struct wall now;
	/* private */
	unsigned lines; /* drawn last time */
	int64_t next_summary_us;
};

void recordview_init(struct recordview *v, const struct command_call *call, bool table);
/* Shows the rows as they are. */
void recordview_show(struct recordview *v, struct recordview_row *rows, size_t count);
/* Takes away what was drawn over itself. */
void recordview_end(struct recordview *v);
/* One row in words: "kept until 21:40:03, 0.9 s behind, 4.1 Mb/s". */
void recordview_words(
	const struct recordview *v, const struct recording_view *view, char *to, size_t size);
/* One row as JSON, a line. */
void recordview_json(const struct recordview *v, const struct recordview_row *row);
