/* SPDX-License-Identifier: Apache-2.0 */
/* A store and short ways to ask it things, for the unit tests of this room: `wait` runs the loop
 * until an answer came. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/store/store.h"

/* A request that notes its answer. */
struct asked {
	struct store_write write;
	struct store_read read;
	int answers;
	int order; /* among all answers */
};

static int answers_so_far;

static inline void on_written(struct store_write *req)
{
	struct asked *a = container_of(req, struct asked, write);
	a->answers++;
	a->order = ++answers_so_far;
}

static inline void on_read(struct store_read *req)
{
	struct asked *a = container_of(req, struct asked, read);
	a->answers++;
	a->order = ++answers_so_far;
}

/* A body of one slice. */
static inline struct slice text_slice(const char *text)
{
	struct buf *b = buf_copy(text, strlen(text));
	assert_non_null(b);
	return (struct slice){.buf = b, .data = b->data, .len = b->len};
}

static inline void ask_write(struct store *s, struct asked *a, int pool, const char *name,
	const struct store_edits *edits)
{
	*a = (struct asked){.write = {.done = on_written, .status = 12345}};
	store_write(s, &a->write, pool, name, edits);
	assert_int_equal(a->answers, 0);
}

/* Attributes, size and the first megabyte. */
static inline void ask_read(struct store *s, struct asked *a, int pool, const char *name)
{
	*a = (struct asked){
		.read = {.done = on_read, .want_attrs = true, .want_body = true, .len = 1 << 20}};
	store_read(s, &a->read, pool, name);
	assert_int_equal(a->answers, 0);
}
