/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void scaled(uint64_t v, const char *const units[], char to[HUMAN_MAX])
{
	double d = (double)v;
	unsigned i = 0;
	for (; d >= 999.5 && units[i + 1]; i++)
		d /= 1000;
	snprintf(to, HUMAN_MAX, i == 0 || d >= 99.95 ? "%.0f %s" : "%.1f %s", d, units[i]);
}

void human_bytes(uint64_t bytes, char to[HUMAN_MAX])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", NULL};
	scaled(bytes, units, to);
}

void human_rate(uint64_t bits, char to[HUMAN_MAX])
{
	static const char *const units[] = {"b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s", NULL};
	scaled(bits, units, to);
}

void human_span(int64_t us, char to[HUMAN_MAX])
{
	int64_t s = us / US_PER_SECOND;
	const char *sign = us < 0 ? "-" : "";
	s = s < 0 ? -s : s;
	if (s < 10)
		snprintf(to, HUMAN_MAX, "%s%.1f s", sign, (double)(us < 0 ? -us : us) / 1e6);
	else if (s < 60)
		snprintf(to, HUMAN_MAX, "%s%" PRId64 " s", sign, s);
	else if (s < 3600)
		snprintf(to, HUMAN_MAX, "%s%" PRId64 " min %" PRId64 " s", sign, s / 60, s % 60);
	else if (s < 86400)
		snprintf(to, HUMAN_MAX, "%s%" PRId64 " h %" PRId64 " min", sign, s / 3600,
			s / 60 % 60);
	else
		snprintf(to, HUMAN_MAX, "%s%" PRId64 " d %" PRId64 " h", sign, s / 86400,
			s / 3600 % 24);
}

void human_clock(int64_t us, char to[HUMAN_MAX])
{
	int64_t s = us / US_PER_SECOND;
	snprintf(to, HUMAN_MAX, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60,
		s % 60);
}

static void broken_down(struct wall t, bool utc, struct tm *tm)
{
	time_t s = t.us / US_PER_SECOND;
	if (utc)
		gmtime_r(&s, tm);
	else
		localtime_r(&s, tm);
}

void human_time(struct wall t, struct wall now, bool utc, char to[HUMAN_MAX])
{
	struct tm tm, today;
	if (!wall_is_valid(t)) {
		strcpy(to, "-");
		return;
	}
	broken_down(t, utc, &tm);
	broken_down(now, utc, &today);
	bool same_day = tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year;
	strftime(to, HUMAN_MAX, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
}

void human_count(uint64_t n, char to[HUMAN_MAX])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			to[at++] = ',';
		to[at++] = digits[i];
	}
	to[at] = 0;
}
