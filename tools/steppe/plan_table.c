/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as a table, a line a figure and a column a number of cameras; and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "tools/steppe/columns.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/plan_report.h"
#include "tools/steppe/term.h"

#define LINE 98 /* of notes */

static void add_section(
	struct columns *columns, const struct plan_report *r, const char *name, bool colour)
{
	char title[96], heads[PLAN_COLUMNS_MAX][96];
	const char *blank[PLAN_COLUMNS_MAX + 1] = {"", "", "", "", ""};
	const char *row[PLAN_COLUMNS_MAX + 1] = {title};
	bool is_first = columns->rows == 0;
	if (!is_first)
		columns_add(columns, blank);
	snprintf(title, sizeof(title), "%s%s%s", term_code(TERM_BOLD, colour), name,
		term_code(TERM_PLAIN, colour));
	for (unsigned i = 0; i < r->count; i++) {
		char n[HUMAN_MAX];
		human_count(r->columns[i].demand.cameras, n);
		snprintf(heads[i], sizeof(heads[i]), "%s%s cameras%s", term_code(TERM_BOLD, colour),
			n, term_code(TERM_PLAIN, colour));
		row[i + 1] = is_first ? heads[i] : "";
	}
	columns_add(columns, row);
}

static void add_figure(
	struct columns *columns, const struct plan_report *r, const struct plan_figure *f)
{
	char label[PLAN_TEXT_MAX + 2] = "  ", cells[PLAN_COLUMNS_MAX][PLAN_TEXT_MAX];
	const char *row[PLAN_COLUMNS_MAX + 1] = {label};
	plan_label(r, f, label + 2);
	for (unsigned i = 0; i < r->count; i++) {
		plan_text(f, &r->columns[i], cells[i]);
		row[i + 1] = cells[i];
	}
	columns_add(columns, row);
}

/* A paragraph in lines of at most LINE columns. */
static void print_note(const char *text, FILE *to)
{
	fputc('\n', to);
	for (size_t at = 0; *text;) {
		size_t len = strcspn(text, " ");
		bool breaks = at && at + 1 + len > LINE;
		if (at)
			fputc(breaks ? '\n' : ' ', to);
		fwrite(text, 1, len, to);
		at = breaks ? len : at + len + (at > 0);
		text += len;
		text += *text == ' ';
	}
	fputc('\n', to);
}

static void print_times(const struct plan_report *r, FILE *to, bool colour)
{
	fprintf(to, "\n%sPlaced ", term_code(TERM_DIM, colour));
	for (unsigned i = 0; i < r->count; i++) {
		char n[HUMAN_MAX];
		human_count(r->columns[i].demand.cameras, n);
		fprintf(to, "%s%s in %.2f s", i ? ", " : "", n, r->columns[i].place_s);
	}
	fputs("; what moves took ", to);
	for (unsigned i = 0; i < r->count; i++)
		fprintf(to, "%s%.2f s", i ? ", " : "", r->columns[i].events_s);
	fprintf(to, ".%s\n", term_code(TERM_PLAIN, colour));
}

int plan_print_table(const struct plan_report *r, FILE *to, bool colour)
{
	struct columns columns = {.count = r->count + 1, .right = ~1u};
	char notes[PLAN_NOTES_MAX][PLAN_NOTE_MAX];
	for (const struct plan_figure *f = plan_figures; f->label; f++) {
		if (f->section)
			add_section(&columns, r, f->section, colour);
		add_figure(&columns, r, f);
	}
	int rc = columns_print(&columns, to, "\n");
	unsigned n = plan_notes(r, notes);
	for (unsigned i = 0; i < n; i++)
		print_note(notes[i], to);
	print_times(r, to, colour);
	return rc;
}

static void print_column(struct json *j, const struct plan_column *c)
{
	json_open(j, '{');
	json_member_uint(j, "cameras", c->demand.cameras);
	for (const struct plan_figure *f = plan_figures; f->label; f++) {
		double v = plan_value(f, c);
		char text[PLAN_TEXT_MAX];
		switch (f->unit) {
		case PLAN_LIMIT:
			plan_text(f, c, text);
			json_member_string(j, f->key, text);
			break;
		case PLAN_COUNT:
		case PLAN_CAMERAS:
		case PLAN_BYTES:
		case PLAN_BITS:
			json_member_uint(j, f->key, (uint64_t)(v + 0.999999));
			break;
		default:
			json_member_double(j, f->key, v);
		}
	}
	json_member_double(j, "place_seconds", c->place_s);
	json_member_double(j, "events_seconds", c->events_s);
	json_close(j, '}');
}

void plan_print_json(const struct plan_report *r, FILE *to)
{
	struct json j = {.to = to};
	char notes[PLAN_NOTES_MAX][PLAN_NOTE_MAX];
	unsigned n = plan_notes(r, notes);
	json_open(&j, '{');
	json_member_string(&j, "bitrate", r->bitrate);
	json_member_string(&j, "pool", r->pool);
	json_member_double(&j, "retention_seconds", r->site.retention_s);
	json_key(&j, "plans");
	json_open(&j, '[');
	for (unsigned i = 0; i < r->count; i++)
		print_column(&j, &r->columns[i]);
	json_close(&j, ']');
	json_key(&j, "notes");
	json_open(&j, '[');
	for (unsigned i = 0; i < n; i++)
		json_string(&j, notes[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}
