/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timetext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *suffix;
	int64_t us;
} units[] = {{"us", 1}, {"ms", 1000}, {"s", US_PER_SECOND}, {"m", 60 * US_PER_SECOND},
	{"h", 3600 * US_PER_SECOND}, {"d", US_PER_DAY}};

int timetext_parse_duration(const char *text, int64_t *ret_us)
{
	char *end;
	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	long long count = strtoll(text, &end, 10);
	if (errno)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		int64_t us;
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (__builtin_mul_overflow((int64_t)count, units[i].us, &us) || us > WALL_MAX_US)
			return -EINVAL;
		*ret_us = us;
		return 0;
	}
	return -EINVAL;
}

/* Reads exactly `n` digits; -1 when they are not there. */
static int digits(const char **p, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static bool take(const char **p, const char *any_of)
{
	if (!**p || !strchr(any_of, **p))
		return false;
	(*p)++;
	return true;
}

/* ".5" as microseconds; digits past the sixth are dropped. */
static int64_t fraction_us(const char **p)
{
	int64_t us = 0, unit = 100000;
	for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		us += unit * (**p - '0');
	return us;
}

static int parse_rfc3339(const char *p, struct wall *ret_wall)
{
	struct tm tm = {.tm_isdst = -1};
	int year = digits(&p, 4);
	bool ok = year >= 1970 && take(&p, "-") && (tm.tm_mon = digits(&p, 2) - 1) >= 0 &&
		  take(&p, "-") && (tm.tm_mday = digits(&p, 2)) > 0;
	if (!ok || tm.tm_mon > 11 || tm.tm_mday > 31)
		return -EINVAL;
	tm.tm_year = year - 1900;
	int64_t fraction = 0;
	if (take(&p, "Tt ")) {
		ok = (tm.tm_hour = digits(&p, 2)) >= 0 && take(&p, ":") &&
		     (tm.tm_min = digits(&p, 2)) >= 0;
		if (ok && take(&p, ":"))
			ok = (tm.tm_sec = digits(&p, 2)) >= 0;
		if (!ok || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
			return -EINVAL;
		if (take(&p, ".,")) {
			if (*p < '0' || *p > '9')
				return -EINVAL;
			fraction = fraction_us(&p);
		}
	}
	int day_asked = tm.tm_mday;
	bool leap_second = tm.tm_sec == 60; /* rightly the first one of the next day */
	time_t seconds;
	if (*p == 0) {
		seconds = mktime(&tm);
	} else {
		int sign = *p == '-' ? -1 : 1, hours = 0, minutes = 0;
		if (!take(&p, "Zz")) {
			if (!take(&p, "+-") || (hours = digits(&p, 2)) < 0)
				return -EINVAL;
			(void)take(&p, ":");
			if ((minutes = digits(&p, 2)) < 0)
				return -EINVAL;
		}
		if (*p || hours > 23 || minutes > 59)
			return -EINVAL;
		seconds = timegm(&tm);
		seconds -= sign * (hours * 3600 + minutes * 60);
	}
	/* the library turns 31 April into 1 May; a person who typed it should hear so */
	if (tm.tm_mday != day_asked && !leap_second)
		return -EINVAL;
	struct wall t = {(int64_t)seconds * US_PER_SECOND + fraction};
	if (!wall_is_valid(t))
		return -EINVAL;
	*ret_wall = t;
	return 0;
}

int timetext_parse(const char *text, struct wall now, struct wall *ret_wall)
{
	if (strcmp(text, "now") == 0) {
		*ret_wall = now;
		return 0;
	}
	struct wall t;
	if (text[0] == '-') {
		int64_t ago_us;
		if (timetext_parse_duration(text + 1, &ago_us))
			return -EINVAL;
		t.us = now.us - ago_us;
	} else if (text[0] == '@') {
		char *end;
		errno = 0;
		t.us = strtoll(text + 1, &end, 10);
		/* the library would take blanks and signs as well */
		if (errno || text[1] < '0' || text[1] > '9' || *end)
			return -EINVAL;
	} else {
		return parse_rfc3339(text, ret_wall);
	}
	if (!wall_is_valid(t))
		return -EINVAL;
	*ret_wall = t;
	return 0;
}

void timetext_format(struct wall t, bool utc, char text[TIMETEXT_MAX])
{
	time_t seconds = t.us / US_PER_SECOND;
	int64_t us = t.us % US_PER_SECOND;
	struct tm tm;
	if (utc)
		gmtime_r(&seconds, &tm);
	else
		localtime_r(&seconds, &tm);
	size_t len = strftime(text, TIMETEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	if (us % 1000)
		len += (size_t)snprintf(text + len, TIMETEXT_MAX - len, ".%06d", (int)us);
	else if (us)
		len += (size_t)snprintf(text + len, TIMETEXT_MAX - len, ".%03d", (int)(us / 1000));
	if (utc) {
		snprintf(text + len, TIMETEXT_MAX - len, "Z");
		return;
	}
	long offset = tm.tm_gmtoff / 60;
	long magnitude = offset < 0 ? -offset : offset;
	snprintf(text + len, TIMETEXT_MAX - len, "%c%02ld:%02ld", offset < 0 ? '-' : '+',
		magnitude / 60 % 100, magnitude % 60);
}
