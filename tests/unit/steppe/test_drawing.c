/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "printed.h"
#include "tools/steppe/columns.h"
#include "tools/steppe/drawing.h"
#include "tools/steppe/human.h"

/* 2026-11-23T00:00:00Z, a Monday */
#define MIDNIGHT INT64_C(1795392000000000)
#define HOUR     (3600 * US_PER_SECOND)

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static void draw_bar(struct printed *p, const struct bar *b, bool utc)
{
	printed_open(p);
	struct drawing d = {.to = p->to, .columns = 52, .utc = utc, .now = {MIDNIGHT + 100 * HOUR}};
	bar_draw(&d, b);
	(void)printed_text(p);
}

static void test_bar(void **state)
{
	(void)state;
	struct printed p;
	const struct steppe_span spans[] = {{MIDNIGHT + 2 * HOUR, MIDNIGHT + 10 * HOUR, 1000000, 9},
		{MIDNIGHT + 12 * HOUR, MIDNIGHT + 24 * HOUR, 500000, 9}};
	const struct steppe_gap_span gaps[] = {
		{MIDNIGHT + 10 * HOUR, MIDNIGHT + 12 * HOUR, STEPPE_GAP_NETWORK}};
	const struct steppe_timeline t = {spans, 2, gaps, 1};
	const struct bar b = {"gate-7/main", {MIDNIGHT}, {MIDNIGHT + 24 * HOUR}, &t, 12};
	draw_bar(&p, &b, true);
	assert_string_equal(p.text,
		"gate-7/main  Mon 2026-11-23 00:00:00 - Tue 2026-11-24 00:00:00 (+0000)\n"
		"  ....################nnnn########################\n"
		"  00:00       06:00       12:00       18:00  00:00\n"
		"kept 20:00:00 of 24:00:00 (83.3 %), 1.5 MB, 1 gap\n"
		"  n network           2 h 0 min\n"
		"\n"
		"  2026-11-23 10:00:00 - 12:00:00  2 h 0 min    network\n");
	printed_free(&p);
}

static void test_bar_in_a_zone(void **state)
{
	(void)state;
	struct printed p;
	const struct steppe_span spans[] = {{MIDNIGHT, MIDNIGHT + HOUR, 5, 1}};
	const struct steppe_timeline t = {spans, 1, NULL, 0};
	const struct bar b = {"a/main", {MIDNIGHT}, {MIDNIGHT + HOUR}, &t, 12};
	set_zone("ZON-5:30");
	draw_bar(&p, &b, false);
	assert_non_null(strstr(p.text, "05:30:00 - 06:30:00 (+0530)"));
	assert_non_null(strstr(p.text, "  05:30   05:40"));
	assert_non_null(strstr(p.text, "(100.0 %), 5 B, no gaps"));
	printed_free(&p);
	set_zone("UTC");
}

/* A hole of two seconds in a day shows: in its cell, in the sum, in the list. */
static void test_small_gap_shows(void **state)
{
	(void)state;
	struct printed p;
	const int64_t at = MIDNIGHT + 6 * HOUR;
	const struct steppe_span spans[] = {
		{MIDNIGHT, at, 5, 1}, {at + 2 * US_PER_SECOND, MIDNIGHT + 24 * HOUR, 5, 1}};
	const struct steppe_gap_span gaps[] = {{at, at + 2 * US_PER_SECOND, STEPPE_GAP_CAMERA_OFF}};
	const struct steppe_timeline t = {spans, 2, gaps, 1};
	const struct bar b = {"a/main", {MIDNIGHT}, {MIDNIGHT + 24 * HOUR}, &t, 12};
	draw_bar(&p, &b, true);
	assert_non_null(strstr(p.text, "############+###"));
	assert_non_null(strstr(p.text, "(99.9 %)"));
	assert_non_null(strstr(p.text, "camera off"));
	printed_free(&p);
}

static void test_gap_lines(void **state)
{
	(void)state;
	struct printed p;
	struct steppe_gap_span gaps[30];
	struct steppe_span spans[30];
	for (int i = 0; i < 30; i++) {
		spans[i] = (struct steppe_span){
			MIDNIGHT + i * HOUR, MIDNIGHT + i * HOUR + HOUR / 2, 1, 1};
		gaps[i] = (struct steppe_gap_span){MIDNIGHT + i * HOUR + HOUR / 2,
			MIDNIGHT + (i + 1) * HOUR, i % 9 == 0 ? 77 : STEPPE_GAP_EXPIRED};
	}
	const struct steppe_timeline t = {spans, 30, gaps, 30};
	const struct bar b = {"a/main", {MIDNIGHT}, {MIDNIGHT + 30 * HOUR}, &t, 2};
	draw_bar(&p, &b, true);
	assert_non_null(strstr(p.text, "and 28 before; --gap-lines 30 shows all"));
	assert_non_null(strstr(p.text, "? "));
	printed_free(&p);
}

static void draw_calendar(struct printed *p, const struct calendar *c, bool utc)
{
	printed_open(p);
	struct drawing d = {.to = p->to, .columns = 80, .utc = utc, .now = {MIDNIGHT + 100 * HOUR}};
	assert_int_equal(calendar_draw(&d, c), 0);
	(void)printed_text(p);
}

static struct steppe_day day_of(int32_t day, unsigned from, unsigned to)
{
	struct steppe_day d = {.day = day};
	for (unsigned q = from; q < to; q++)
		d.quarter_seconds[q] = 900;
	d.seconds = (to - from) * 900;
	d.bytes = d.seconds * 1000ull;
	return d;
}

static void test_calendar(void **state)
{
	(void)state;
	struct printed p;
	const int32_t day = (int32_t)(MIDNIGHT / US_PER_DAY);
	struct steppe_day days[] = {day_of(day, 0, 96), day_of(day + 2, 40, 49)};
	days[1].quarter_seconds[60] = 10;
	const struct calendar c = {"gate-7/main", days, 2, 35};
	draw_calendar(&p, &c, true);
	assert_string_equal(p.text,
		"November 2026         06          12          18          24\n"
		"  Mon 23  ################################################  24:00:00   86.4 MB\n"
		"  Tue 24  ................................................   0:00:00       0 B\n"
		"  Wed 25  ....................####+.....+.................   2:15:10    8.1 MB\n"
		"\n"
		"gate-7/main: 2 days with footage, 1 d 2 h, 94.5 MB\n");
	printed_free(&p);
}

/* Days are those of the viewer's zone, though the archive's are of UTC. */
static void test_calendar_in_a_zone(void **state)
{
	(void)state;
	struct printed p;
	const int32_t day = (int32_t)(MIDNIGHT / US_PER_DAY);
	struct steppe_day days[] = {day_of(day, 60, 96), day_of(day + 1, 0, 4)};
	const struct calendar c = {"a/main", days, 2, 35};
	set_zone("ZON-8");
	draw_calendar(&p, &c, false);
	/* 15:00 UTC is 23:00 there */
	assert_non_null(strstr(
		p.text, "Mon 23  ..............................................##   1:00:00"));
	assert_non_null(strstr(
		p.text, "Tue 24  ##################..............................   9:00:00"));
	printed_free(&p);
	set_zone("UTC");
}

static void test_calendar_months(void **state)
{
	(void)state;
	struct printed p;
	struct steppe_day days[70];
	const int32_t first = (int32_t)(MIDNIGHT / US_PER_DAY) - 80;
	for (int i = 0; i < 70; i++)
		days[i] = day_of(first + i + (i > 60 ? 10 : 0), 0, 96);
	const struct calendar c = {"a/main", days, 70, 10};
	draw_calendar(&p, &c, true);
	assert_non_null(strstr(p.text, "September 2026   27 days  27 d 0 h, 2.3 GB\n"));
	assert_non_null(strstr(p.text, "10 days without footage"));
	assert_non_null(strstr(p.text, "70 days with footage"));
	printed_free(&p);
	const struct calendar none = {"a/main", days, 0, 10};
	draw_calendar(&p, &none, true);
	assert_string_equal(p.text, "");
	printed_free(&p);
}

static void test_human(void **state)
{
	(void)state;
	char t[HUMAN_MAX];
#define SAYS(call, text) (call, assert_string_equal(t, text))
	SAYS(human_bytes(0, t), "0 B");
	SAYS(human_bytes(999, t), "999 B");
	SAYS(human_bytes(1000, t), "1.0 kB");
	SAYS(human_bytes(7239552, t), "7.2 MB");
	SAYS(human_bytes(999999999, t), "1.0 GB");
	SAYS(human_bytes(123456789012, t), "123 GB");
	SAYS(human_bytes(UINT64_MAX, t), "18.4 EB");
	SAYS(human_rate(4100000, t), "4.1 Mb/s");
	SAYS(human_span(400000, t), "0.4 s");
	SAYS(human_span(80 * US_PER_SECOND, t), "1 min 20 s");
	SAYS(human_span(-90 * US_PER_SECOND, t), "-1 min 30 s");
	SAYS(human_span(27 * HOUR, t), "1 d 3 h");
	SAYS(human_clock(90061 * US_PER_SECOND, t), "25:01:01");
	SAYS(human_count(1234567, t), "1,234,567");
	SAYS(human_count(12, t), "12");
	SAYS(human_time((struct wall){MIDNIGHT + 5 * HOUR}, (struct wall){MIDNIGHT}, true, t),
		"05:00:00");
	SAYS(human_time((struct wall){MIDNIGHT - HOUR}, (struct wall){MIDNIGHT}, true, t),
		"2026-11-22 23:00:00");
	SAYS(human_time((struct wall){-1}, (struct wall){MIDNIGHT}, true, t), "-");
}

static void test_columns(void **state)
{
	(void)state;
	static const char *const heads[] = {"A", "BB", "NOTE"};
	struct printed p;
	printed_open(&p);
	struct columns c = {.count = 3, .heads = heads, .right = 1u << 1, .limit = 16};
	columns_add(&c, (const char *const[]){"x", "1", "short"});
	columns_add(
		&c, (const char *const[]){"\xc3\xa4\xc3\xb6\xc3\xbc", "22", "a very long note"});
	assert_int_equal(columns_print(&c, p.to, "\n"), 0);
	assert_string_equal(printed_text(&p),
		"A    BB  NOTE\nx     1  short\n\xc3\xa4\xc3\xb6\xc3\xbc  22  a very \n");
	printed_free(&p);
}

int main(void)
{
	set_zone("UTC");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_bar_in_a_zone),
		cmocka_unit_test(test_small_gap_shows),
		cmocka_unit_test(test_gap_lines),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_calendar_in_a_zone),
		cmocka_unit_test(test_calendar_months),
		cmocka_unit_test(test_human),
		cmocka_unit_test(test_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
