/* SPDX-License-Identifier: Apache-2.0 */
/* A reader before an archive made by hand, for the tests of the reader. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storaged/archive/reader.h"
#include "tests/lib/footage_store.h"

#define S      US_PER_SECOND
#define STREAM "gate-7/main"

struct reading {
	struct footage_store s;
	struct footage f;
	struct reader *reader;
	struct loop_task closed;
	bool is_closed;
};
/* cmocka's: *state is a struct reading. */
int reading_setup(void **state);
int reading_teardown(void **state);
void reading_open(struct reading *x);
void reading_close(struct reading *x);

/* Three chunks of ten fragments, 20 s apart before the third, for a reason the third gives. */
void reading_record(struct reading *x);

struct reading_question {
	struct reader_view req; /* done: reading_on_view */
	bool told;
};
void reading_on_view(struct reader_view *req);
struct reading_days_question {
	struct reader_days req; /* done: reading_on_days */
	bool told;
};
void reading_on_days(struct reader_days *req);

/* Asks for a window in seconds after the footage's start, and waits for the answer. */
struct view *reading_ask(
	struct reading *x, int64_t from_s, int64_t to_s, struct writer *writer, int *ret_status);
/* A view in words: spans "0-60" and gaps "60-80c", seconds after the start. Static storage. */
const char *reading_words(const struct view *v);
/* Asks, as of a stream that is not ours, and compares. */
void reading_expect(struct reading *x, int64_t from_s, int64_t to_s, const char *want);
