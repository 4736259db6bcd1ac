/* SPDX-License-Identifier: Apache-2.0 */
/* An archive made by hand, to be damaged and rebuilt: for the tests of rebuilds. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storaged/archive/rebuild.h"
#include "tests/lib/footage_store.h"

#define STREAM "gate-7/main"
#define CHUNKS 5

struct rebuilding_desk {
	struct footage_store s;
	struct footage f;
	struct footage_chunk chunks[CHUNKS];
	struct rebuild rebuild;
	struct fsck fsck;
	bool done;
	char findings[2000]; /* "seq: what; ..." with a ! where nothing was repaired */
};

/* An object's bytes now, to be compared later. */
struct rebuilding_copy {
	uint8_t *data;
	size_t len;
};

/* Begins a rebuild; x->done says when it is over. */
void rebuilding_start(struct rebuilding_desk *x);
/* A rebuild from begin to end: its findings in words. */
const char *rebuilding_run(struct rebuilding_desk *x);
/* What fsck finds, level 3 and listing, in words. */
const char *rebuilding_check(struct rebuilding_desk *x);
/* cmocka's. Chunks of two epochs over midnight, one after a hole, one with a hole inside, one
 * overlapping, chained. */
int rebuilding_setup(void **state);
int rebuilding_teardown(void **state);
/* Names of objects; static storage each. */
const char *rebuilding_partition(int day);
const char *rebuilding_head_of(void);
const char *rebuilding_days_of(void);
void rebuilding_lose(struct rebuilding_desk *x, const char *name);
struct rebuilding_copy rebuilding_copy_of(struct rebuilding_desk *x, const char *name);
/* Compares and frees. */
void rebuilding_assert_as_before(
	struct rebuilding_desk *x, const char *name, struct rebuilding_copy *before);
void rebuilding_assert_attr(
	struct rebuilding_desk *x, const char *name, const char *attr, const char *want);
