/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/drawing.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "tools/steppe/human.h"
#include "tools/steppe/term.h"

#define CELLS_MAX   240u
#define CAUSES      (STEPPE_GAP_DAMAGED + 1)
#define LABEL_CELLS 7 /* "21:40" or "11-23" and air */

static const struct {
	char letter;
	enum term_colour colour;
} causes[CAUSES] = {
	[STEPPE_GAP_NONE] = {'.', TERM_DIM},
	[STEPPE_GAP_UNKNOWN] = {'?', TERM_MAGENTA},
	[STEPPE_GAP_CAMERA_OFF] = {'c', TERM_YELLOW},
	[STEPPE_GAP_NETWORK] = {'n', TERM_RED},
	[STEPPE_GAP_RECORDER_STOPPED] = {'r', TERM_BLUE},
	[STEPPE_GAP_REFUSED] = {'!', TERM_RED},
	[STEPPE_GAP_THINNED] = {'t', TERM_CYAN},
	[STEPPE_GAP_EXPIRED] = {'x', TERM_DIM},
	[STEPPE_GAP_DAMAGED] = {'D', TERM_RED},
};

static int known_cause(int cause)
{
	return cause > STEPPE_GAP_NONE && cause < CAUSES ? cause : STEPPE_GAP_UNKNOWN;
}

char drawing_gap_letter(int cause)
{
	return causes[known_cause(cause)].letter;
}

int drawing_gap_colour(int cause)
{
	return causes[known_cause(cause)].colour;
}

static int64_t overlap(int64_t a_from, int64_t a_to, int64_t b_from, int64_t b_to)
{
	int64_t from = a_from > b_from ? a_from : b_from, to = a_to < b_to ? a_to : b_to;
	return to > from ? to - from : 0;
}

static struct tm broken_down(const struct drawing *d, int64_t us)
{
	time_t s = us / US_PER_SECOND;
	struct tm tm;
	if (d->utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	return tm;
}

/* --- the cells --- */

/* How much of a cell is footage, and what is wrong with most of the rest. */
struct cell {
	int64_t kept_us, missing_us;
	int cause;
};

static struct cell cell_of(const struct bar *b, int64_t from, int64_t to)
{
	struct cell c = {.cause = STEPPE_GAP_NONE};
	int64_t worst = 0;
	for (size_t i = 0; i < b->timeline->span_count; i++)
		c.kept_us += overlap(
			from, to, b->timeline->spans[i].start_us, b->timeline->spans[i].end_us);
	for (size_t i = 0; i < b->timeline->gap_count; i++) {
		const struct steppe_gap_span *g = &b->timeline->gaps[i];
		int64_t us = overlap(from, to, g->start_us, g->end_us);
		c.missing_us += us;
		if (us > worst) {
			worst = us;
			c.cause = known_cause(g->cause);
		}
	}
	return c;
}

static void draw_cell(const struct drawing *d, const struct cell *c, int64_t width_us)
{
	enum term_colour colour = c->cause ? causes[c->cause].colour : TERM_GREEN;
	char letter[2] = {causes[c->cause].letter, 0};
	const char *sign = letter;
	if (c->kept_us == 0) {
		if (c->cause == STEPPE_GAP_NONE) {
			sign = d->unicode ? "·" : ".";
			colour = TERM_DIM;
		}
	} else if (c->missing_us * 1000 < width_us && c->kept_us * 100 >= width_us * 98) {
		sign = d->unicode ? "█" : "#";
		colour = TERM_GREEN;
	} else if (c->kept_us * 2 >= width_us) {
		sign = d->unicode ? "▓" : "+";
	} else {
		sign = d->unicode ? "░" : "-";
	}
	fprintf(d->to, "%s%s", term_code(colour, d->colour), sign);
}

/* --- the scale --- */

/* Distances of marks that clocks have, in seconds. */
static const int64_t steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
	10800, 21600, 43200, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400, 91 * 86400,
	365 * 86400};

static int64_t step_of(int64_t window_us, unsigned cells)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (steps[i] * US_PER_SECOND * cells >=
			window_us * (steps[i] < 60 ? LABEL_CELLS + 3 : LABEL_CELLS))
			return steps[i] * US_PER_SECOND;
	return steps[ARRAY_LEN(steps) - 1] * US_PER_SECOND;
}

/* The first instant at or after `from` where a mark belongs, by the clock of the zone. */
static int64_t first_mark(const struct drawing *d, int64_t from, int64_t step)
{
	int64_t offset = broken_down(d, from).tm_gmtoff * US_PER_SECOND;
	int64_t shown = from + offset;
	return (shown + step - 1) / step * step - offset;
}

static void draw_scale(const struct drawing *d, const struct bar *b, unsigned cells)
{
	char line[CELLS_MAX + 16];
	int64_t window = b->to.us - b->from.us, step = step_of(window, cells);
	memset(line, ' ', sizeof(line));
	unsigned end = 0;
	for (int64_t at = first_mark(d, b->from.us, step); at <= b->to.us; at += step) {
		struct tm tm = broken_down(d, at);
		char label[16];
		size_t len = strftime(label, sizeof(label),
			step >= US_PER_DAY          ? "%m-%d"
			: step < 60 * US_PER_SECOND ? "%H:%M:%S"
						    : "%H:%M",
			&tm);
		unsigned column = (unsigned)((at - b->from.us) * cells / window);
		/* the last mark ends where the bar does */
		column = column + len > cells && len <= cells ? cells - (unsigned)len : column;
		if (column + len > sizeof(line) - 1 || (end > 0 && column < end + 1))
			continue;
		memcpy(line + column, label, len);
		end = column + (unsigned)len;
	}
	fprintf(d->to, "  %s%.*s%s\n", term_code(TERM_DIM, d->colour), (int)end, line,
		term_code(TERM_PLAIN, d->colour));
}

/* --- words --- */

static void draw_title(const struct drawing *d, const struct bar *b)
{
	char from[48], to[48];
	struct tm a = broken_down(d, b->from.us), z = broken_down(d, b->to.us);
	bool same_day = a.tm_yday == z.tm_yday && a.tm_year == z.tm_year;
	strftime(from, sizeof(from), "%a %Y-%m-%d %H:%M:%S", &a);
	strftime(to, sizeof(to), same_day ? "%H:%M:%S (%z)" : "%a %Y-%m-%d %H:%M:%S (%z)", &z);
	fprintf(d->to, "%s%s%s  %s %s %s\n", term_code(TERM_BOLD, d->colour), b->stream,
		term_code(TERM_PLAIN, d->colour), from, d->unicode ? "–" : "-", to);
}

/* Windows that reach into the future are judged up to now. */
static int64_t past_us(const struct drawing *d, const struct bar *b)
{
	int64_t end = b->to.us < d->now.us ? b->to.us : d->now.us;
	return end > b->from.us ? end - b->from.us : 0;
}

static void draw_sum(const struct drawing *d, const struct bar *b)
{
	int64_t kept = 0;
	uint64_t bytes = 0;
	char kept_text[HUMAN_MAX], window_text[HUMAN_MAX], bytes_text[HUMAN_MAX];
	for (size_t i = 0; i < b->timeline->span_count; i++) {
		kept += overlap(b->from.us, b->to.us, b->timeline->spans[i].start_us,
			b->timeline->spans[i].end_us);
		bytes += b->timeline->spans[i].bytes;
	}
	human_clock(kept, kept_text);
	human_clock(past_us(d, b), window_text);
	human_bytes(bytes, bytes_text);
	/* never "100 %" when a moment is missing */
	int64_t tenths = past_us(d, b) > 0 ? kept * 1000 / past_us(d, b) : 0;
	tenths = tenths > 999 && b->timeline->gap_count > 0 ? 999 : tenths > 1000 ? 1000 : tenths;
	fprintf(d->to, "kept %s%s%s of %s (%" PRId64 ".%" PRId64 " %%), %s",
		term_code(TERM_BOLD, d->colour), kept_text, term_code(TERM_PLAIN, d->colour),
		window_text, tenths / 10, tenths % 10, bytes_text);
	if (b->timeline->gap_count == 0)
		fputs(", no gaps\n", d->to);
	else
		fprintf(d->to, ", %zu gap%s\n", b->timeline->gap_count,
			b->timeline->gap_count == 1 ? "" : "s");
}

static void draw_legend(const struct drawing *d, const struct bar *b)
{
	int64_t us[CAUSES] = {0};
	unsigned count[CAUSES] = {0};
	for (size_t i = 0; i < b->timeline->gap_count; i++) {
		int cause = known_cause(b->timeline->gaps[i].cause);
		us[cause] += b->timeline->gaps[i].end_us - b->timeline->gaps[i].start_us;
		count[cause]++;
	}
	for (int cause = 1; cause < CAUSES; cause++) {
		char span[HUMAN_MAX];
		if (count[cause] == 0)
			continue;
		human_span(us[cause], span);
		fprintf(d->to, "  %s%c%s %-17s %s%s\n", term_code(causes[cause].colour, d->colour),
			causes[cause].letter, term_code(TERM_PLAIN, d->colour),
			steppe_gap_text(cause), span, count[cause] > 1 ? " together" : "");
	}
}

static void draw_gaps(const struct drawing *d, const struct bar *b)
{
	size_t count = b->timeline->gap_count, shown = count < b->gap_lines ? count : b->gap_lines;
	if (shown == 0)
		return;
	fputc('\n', d->to);
	for (size_t i = count - shown; i < count; i++) {
		const struct steppe_gap_span *g = &b->timeline->gaps[i];
		char from[40], to[40], span[HUMAN_MAX];
		struct tm a = broken_down(d, g->start_us), z = broken_down(d, g->end_us);
		strftime(from, sizeof(from), "%Y-%m-%d %H:%M:%S", &a);
		strftime(to, sizeof(to), a.tm_yday == z.tm_yday ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S",
			&z);
		human_span(g->end_us - g->start_us, span);
		fprintf(d->to, "  %s %s %-8s  %-12s %s%s%s\n", from, d->unicode ? "–" : "-", to,
			span, term_code(causes[known_cause(g->cause)].colour, d->colour),
			steppe_gap_text(known_cause(g->cause)), term_code(TERM_PLAIN, d->colour));
	}
	if (shown < count)
		fprintf(d->to, "  and %zu before; --gap-lines %zu shows all\n", count - shown,
			count);
}

void bar_draw(const struct drawing *d, const struct bar *b)
{
	unsigned cells = d->columns > 12 ? d->columns - 4 : 8;
	cells = cells > CELLS_MAX ? CELLS_MAX : cells;
	int64_t window = b->to.us - b->from.us;
	draw_title(d, b);
	fputs("  ", d->to);
	for (unsigned i = 0; i < cells; i++) {
		int64_t from = b->from.us + window * i / cells,
			to = b->from.us + window * (i + 1) / cells;
		struct cell c = cell_of(b, from, to);
		draw_cell(d, &c, to - from);
	}
	fprintf(d->to, "%s\n", term_code(TERM_PLAIN, d->colour));
	draw_scale(d, b, cells);
	draw_sum(d, b);
	draw_legend(d, b);
	draw_gaps(d, b);
}
