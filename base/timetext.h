/* SPDX-License-Identifier: Apache-2.0 */
/* Instants as text: RFC 3339 and a few short forms in, RFC 3339 out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

#define TIMETEXT_MAX 40 /* enough for any formatted instant and its NUL */

/* Reads `text` into an instant: "2026-11-23T21:40:00.5+08:00", the same with a space for T, "now",
 * "-15m" (s, m, h, d before `now`), "@1795470000000000" (microseconds). A time without zone is in
 * the local zone. -EINVAL for other text. */
int timetext_parse(const char *text, struct wall now, struct wall *ret_wall);

/* Writes "2026-11-23T21:40:00.500000+08:00" (the fraction only when there is one; milliseconds when
 * they suffice). */
void timetext_format(struct wall t, bool utc, char text[TIMETEXT_MAX]);

/* Reads a duration such as "90s", "15m", "30d", "500ms"; microseconds. -EINVAL for other text or a
 * negative one. */
int timetext_parse_duration(const char *text, int64_t *ret_us);
