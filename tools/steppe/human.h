/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, rates and spans of time as people read them. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define HUMAN_MAX 32

/* "7.2 MB"; powers of 1000, as disks are sold. */
void human_bytes(uint64_t bytes, char to[HUMAN_MAX]);
/* "4.1 Mb/s" of bits a second. */
void human_rate(uint64_t bits, char to[HUMAN_MAX]);
/* "0.4 s", "12 s", "1 min 20 s", "2 h 13 min", "3 d 4 h". */
void human_span(int64_t us, char to[HUMAN_MAX]);
/* "23:12:40", hours as many as there are. */
void human_clock(int64_t us, char to[HUMAN_MAX]);
/* "21:40:03", with the date in front when it is another day than `now`'s. */
void human_time(struct wall t, struct wall now, bool utc, char to[HUMAN_MAX]);
/* A comma between thousands: "12,345". */
void human_count(uint64_t n, char to[HUMAN_MAX]);
