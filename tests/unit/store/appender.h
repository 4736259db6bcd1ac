/* SPDX-License-Identifier: Apache-2.0 */
/* A writer as the rooms above are: appends to one object of its own under a length guard, one
 * write at a time, and settles what is unknown by sending it again (PROTOCOL rule S). */
#pragma once

#include "tests/unit/store/probe.h"

struct appender {
	unsigned acknowledged;     /* appends that are durable */
	unsigned target;           /* stops there */
	unsigned unknown, settled; /* answers of unknown outcome; of those, found to be applied */
	unsigned refused;          /* answers -ETIMEDOUT: never sent, and sent again */
	bool busy;
	int failure; /* an answer that must not be; the appender stops */
	/* private */
	struct probe *probe;
	int pool;
	uint64_t seed;
	size_t len;
	bool in_doubt;
	char name[128], at[17], next[17];
	struct slice body;
	struct store_write write;
	struct store_read read;
	int *running;
};

/* Makes an object `name` of `target` appends of `len` bytes. *running counts appenders that are
 * not through. */
void appender_start(struct appender *a, struct probe *p, int pool, const char *name, size_t len);
/* Goes on after the target was raised. */
void appender_go_on(struct appender *a, int *running);
/* Whether the object has exactly the bytes that were acknowledged; fails the test if not. */
void appender_verify(struct appender *a, struct probe *p);
