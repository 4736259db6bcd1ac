/* SPDX-License-Identifier: Apache-2.0 */
/* Timelines and days on a core; what steppe_timeline and steppe_days do with a handle. */
#pragma once

#include "base/bytes.h"
#include "client/cluster.h"
#include "client/request.h"

int timeline_ask(struct core *core, const char *stream, int64_t from_us, int64_t to_us,
	void (*done)(void *user, int status, const struct steppe_timeline *timeline), void *user);
int days_ask(struct core *core, const char *stream,
	void (*done)(void *user, int status, const struct steppe_day *days, size_t count),
	void *user);
