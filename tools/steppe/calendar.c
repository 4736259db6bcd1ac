/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/drawing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/steppe/human.h"
#include "tools/steppe/term.h"

#define QUARTER_S   900
#define QUARTERS    96
#define FULL_S      890 /* of a quarter: less than that shows */
#define EMPTY_LINES 3   /* days without anything that are shown one by one */

/* A day of the drawing's zone. Quarters come from UTC days, so a day here is made of two of those. */
struct row {
	int32_t date; /* days since 1970 of the civil date */
	uint16_t quarter[QUARTERS];
	uint32_t seconds;
	double bytes;
};

struct rows {
	struct row *row;
	size_t count;
};

static struct tm broken_down(const struct drawing *d, time_t s)
{
	struct tm tm;
	if (d->utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	return tm;
}

static int32_t civil_date(const struct tm *tm)
{
	struct tm midnight = {.tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday};
	return (int32_t)(timegm(&midnight) / 86400);
}

static struct row *row_for(struct rows *r, int32_t date)
{
	if (r->count > 0 && r->row[r->count - 1].date == date)
		return &r->row[r->count - 1];
	/* the hour that summer time repeats may reach back by a day's edge */
	if (r->count > 1 && r->row[r->count - 2].date == date)
		return &r->row[r->count - 2];
	struct row *grown = realloc(r->row, (r->count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	r->row = grown;
	r->row[r->count] = (struct row){.date = date};
	return &r->row[r->count++];
}

static int add_day(const struct drawing *d, struct rows *r, const struct steppe_day *day)
{
	for (unsigned q = 0; q < QUARTERS; q++) {
		uint16_t seconds = day->quarter_seconds[q];
		if (seconds == 0)
			continue;
		struct tm tm = broken_down(d, (time_t)day->day * 86400 + q * QUARTER_S);
		struct row *row = row_for(r, civil_date(&tm));
		if (!row)
			return -ENOMEM;
		unsigned at = (unsigned)(tm.tm_hour * 4 + tm.tm_min / 15);
		unsigned sum = row->quarter[at] + seconds;
		row->quarter[at] = (uint16_t)(sum > QUARTER_S ? QUARTER_S : sum);
		row->seconds += seconds;
		/* bytes are known by the UTC day only: shared out by time */
		row->bytes += day->seconds > 0 ? (double)day->bytes * seconds / day->seconds : 0;
	}
	return 0;
}

static struct tm date_tm(int32_t date)
{
	time_t s = (time_t)date * 86400;
	struct tm tm;
	gmtime_r(&s, &tm);
	return tm;
}

static void draw_cell(const struct drawing *d, uint16_t left, uint16_t right)
{
	bool any = left || right, full = left >= FULL_S && right >= FULL_S;
	const char *sign = d->unicode ? "·" : ".";
	enum term_colour colour = !any ? TERM_DIM : TERM_GREEN;
	if (full) {
		sign = d->unicode ? "█" : "#";
	} else if (left >= FULL_S && right == 0) {
		sign = d->unicode ? "▌" : "+";
	} else if (right >= FULL_S && left == 0) {
		sign = d->unicode ? "▐" : "+";
	} else if (any) {
		sign = d->unicode ? "▒" : "+";
		colour = TERM_YELLOW;
	}
	fprintf(d->to, "%s%s", term_code(colour, d->colour), sign);
}

static void draw_row(const struct drawing *d, const struct row *r)
{
	char date[32], clock[HUMAN_MAX], bytes[HUMAN_MAX];
	struct tm tm = date_tm(r->date);
	strftime(date, sizeof(date), "%a %d", &tm);
	fprintf(d->to, "  %s  ", date);
	for (unsigned q = 0; q < QUARTERS; q += 2)
		draw_cell(d, r->quarter[q], r->quarter[q + 1]);
	human_clock((int64_t)r->seconds * US_PER_SECOND, clock);
	human_bytes((uint64_t)r->bytes, bytes);
	fprintf(d->to, "%s  %8s  %8s\n", term_code(TERM_PLAIN, d->colour), clock, bytes);
}

static void draw_month(const struct drawing *d, const struct tm *tm)
{
	char month[48];
	strftime(month, sizeof(month), "%B %Y", tm);
	/* the marks stand over their cells: ten columns of date, then a cell each half hour */
	fprintf(d->to, "%s%-22s%s%s06          12          18          24%s\n",
		term_code(TERM_BOLD, d->colour), month, term_code(TERM_PLAIN, d->colour),
		term_code(TERM_DIM, d->colour), term_code(TERM_PLAIN, d->colour));
}

/* Days between two that have footage. */
static void draw_hole(const struct drawing *d, int32_t after, int32_t before)
{
	int32_t days = before - after - 1;
	if (days <= 0)
		return;
	if (days > EMPTY_LINES) {
		fprintf(d->to, "  %s%" PRId32 " days without footage%s\n",
			term_code(TERM_YELLOW, d->colour), days, term_code(TERM_PLAIN, d->colour));
		return;
	}
	for (int32_t date = after + 1; date < before; date++) {
		struct row empty = {.date = date};
		draw_row(d, &empty);
	}
}

static bool same_month(int32_t a, int32_t b)
{
	struct tm x = date_tm(a), y = date_tm(b);
	return x.tm_mon == y.tm_mon && x.tm_year == y.tm_year;
}

/* The months before the days that are shown one by one: a line each. */
static void draw_early(const struct drawing *d, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t from = i;
		uint64_t seconds = 0;
		double bytes = 0;
		for (; i < count && same_month(rows[i].date, rows[from].date); i++) {
			seconds += rows[i].seconds;
			bytes += rows[i].bytes;
		}
		char month[48], span[HUMAN_MAX], bytes_text[HUMAN_MAX];
		struct tm tm = date_tm(rows[from].date);
		strftime(month, sizeof(month), "%B %Y", &tm);
		human_span((int64_t)seconds * US_PER_SECOND, span);
		human_bytes((uint64_t)bytes, bytes_text);
		fprintf(d->to, "%-16s %2zu day%s  %s, %s\n", month, i - from,
			i - from == 1 ? " " : "s", span, bytes_text);
	}
	if (count > 0)
		fputc('\n', d->to);
}

static void draw_sum(const struct drawing *d, const struct calendar *c, const struct rows *r)
{
	uint64_t seconds = 0, bytes = 0;
	char span[HUMAN_MAX], bytes_text[HUMAN_MAX];
	for (size_t i = 0; i < c->day_count; i++) {
		seconds += c->days[i].seconds;
		bytes += c->days[i].bytes;
	}
	human_span((int64_t)seconds * US_PER_SECOND, span);
	human_bytes(bytes, bytes_text);
	fprintf(d->to, "\n%s%s%s: %zu day%s with footage, %s, %s\n",
		term_code(TERM_BOLD, d->colour), c->stream, term_code(TERM_PLAIN, d->colour),
		r->count, r->count == 1 ? "" : "s", span, bytes_text);
}

int calendar_draw(const struct drawing *d, const struct calendar *c)
{
	struct rows rows = {NULL, 0};
	int error = 0;
	for (size_t i = 0; i < c->day_count && !error; i++)
		error = add_day(d, &rows, &c->days[i]);
	if (!error && rows.count > 0) {
		size_t early = rows.count > c->day_lines ? rows.count - c->day_lines : 0;
		draw_early(d, rows.row, early);
		for (size_t i = early; i < rows.count; i++) {
			struct tm tm = date_tm(rows.row[i].date);
			if (i > early)
				draw_hole(d, rows.row[i - 1].date, rows.row[i].date);
			if (i == early || !same_month(rows.row[i].date, rows.row[i - 1].date))
				draw_month(d, &tm);
			draw_row(d, &rows.row[i]);
		}
		draw_sum(d, c, &rows);
	}
	free(rows.row);
	return error;
}
