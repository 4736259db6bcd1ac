/* SPDX-License-Identifier: Apache-2.0 */
/* Every guard against every state of the object and of the attribute, for every kind of body. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store/conformance.h"

static const struct {
	const char *words;
	struct store_guard guard;
} guard_cases[] = {
	{"no guard", {0}}, /* not used */
	{"absent", {.kind = STORE_ABSENT}},
	{"exists", {.kind = STORE_EXISTS}},
	{"ep == \"\"", {.kind = STORE_ATTR_EQUAL, .attr = "ep", .value = "", .value_len = 0}},
	{"ep == bb", {.kind = STORE_ATTR_EQUAL, .attr = "ep", .value = "bb", .value_len = 2}},
	{"ep < \"\"", {.kind = STORE_ATTR_BELOW, .attr = "ep", .value = "", .value_len = 0}},
	{"ep < bb", {.kind = STORE_ATTR_BELOW, .attr = "ep", .value = "bb", .value_len = 2}},
	{"ep < b\\0", {.kind = STORE_ATTR_BELOW, .attr = "ep", .value = "b", .value_len = 2}},
};

static const struct {
	const char *words;
	bool there;
	struct store_attr attr; /* no name: none is set */
} state_cases[] = {
	{"no object", false, {0}},
	{"no attribute", true, {0}},
	{"ep is empty", true, {"ep", "", 0}},
	{"ep is ba", true, {"ep", "ba", 2}},
	{"ep is b", true, {"ep", "b", 1}},
	{"ep is b\\0", true, {"ep", "b", 2}},
	{"ep is bb", true, {"ep", "bb", 2}},
	{"ep is bba", true, {"ep", "bba", 3}},
	{"ep is c", true, {"ep", "c", 1}},
	{"ep is \\xff", true, {"ep", "\xff", 1}},
};

enum { AT_START, AT_END, INSIDE, ACROSS, BEYOND, NOTHING_AT_END, NOTHING_BEYOND };
static const struct {
	const char *words;
	enum store_body_kind kind;
	int where;
	bool meta_only;
} body_cases[] = {
	{"attributes alone", STORE_BODY_NONE, 0, false},
	{"write at the start", STORE_BODY_WRITE_AT, AT_START, false},
	{"write at the end", STORE_BODY_WRITE_AT, AT_END, false},
	{"write inside", STORE_BODY_WRITE_AT, INSIDE, false},
	{"write across the end", STORE_BODY_WRITE_AT, ACROSS, false},
	{"write beyond the end", STORE_BODY_WRITE_AT, BEYOND, false},
	{"write nothing at the end", STORE_BODY_WRITE_AT, NOTHING_AT_END, false},
	{"write nothing beyond the end", STORE_BODY_WRITE_AT, NOTHING_BEYOND, false},
	{"write whole", STORE_BODY_WHOLE, 0, true},
	{"remove", STORE_BODY_REMOVE, 0, false},
};

static void set_range(struct store_edits *edits, struct slice *body, int where, uint64_t size)
{
	uint64_t unit = size / 4;
	size_t len = unit;
	switch (where) {
	case AT_END:
		edits->offset = size;
		break;
	case INSIDE:
		edits->offset = unit;
		break;
	case ACROSS:
		edits->offset = 3 * unit;
		len = 2 * unit;
		break;
	case BEYOND:
		edits->offset = size + unit;
		break;
	case NOTHING_AT_END:
		edits->offset = size;
		len = 0;
		break;
	case NOTHING_BEYOND:
		edits->offset = size + unit;
		len = 0;
		break;
	}
	*body = probe_bytes(edits->offset + 11, len);
	edits->body = body;
	edits->body_count = 1;
}

static void try_case(int pool, size_t g, size_t s, size_t b)
{
	char name[128];
	name_object(name, sizeof(name), "case");
	uint64_t size = 4 * (uint64_t)store_alignment(pair.real.store, pool);
	say("pool %d, %s, %s, %s: preparing", pool, guard_cases[g].words, state_cases[s].words,
		body_cases[b].words);
	const struct store_attr *attr = state_cases[s].attr.name ? &state_cases[s].attr : NULL;
	prepare(pool, name, state_cases[s].there ? (int64_t)size : -1, attr);
	say("pool %d, %s, %s, %s", pool, guard_cases[g].words, state_cases[s].words,
		body_cases[b].words);
	const struct store_attr sets[] = {{"len", "12345678", 8}, {"ep", "bbb", 3}};
	struct slice body = {0};
	struct store_edits edits = {.guards = &guard_cases[g].guard,
		.guard_count = g > 0,
		.attrs = sets,
		.attr_count = 2,
		.body_kind = body_cases[b].kind};
	if (edits.body_kind == STORE_BODY_REMOVE)
		edits.attr_count = 0;
	if (edits.body_kind == STORE_BODY_WRITE_AT)
		set_range(&edits, &body, body_cases[b].where, state_cases[s].there ? size : 0);
	if (edits.body_kind == STORE_BODY_WHOLE) {
		body = probe_bytes(3, 100);
		edits.body = &body;
		edits.body_count = 1;
	}
	(void)write_both(pool, name, &edits); /* compared inside; what it was shows in the object */
	compare_object(pool, name);
	slice_drop(&body);
}

void conformance_guards(int pool)
{
	for (size_t g = 0; g < ARRAY_LEN(guard_cases); g++)
		for (size_t s = 0; s < ARRAY_LEN(state_cases); s++)
			for (size_t b = 0; b < ARRAY_LEN(body_cases); b++)
				if (pool == STORE_META || !body_cases[b].meta_only)
					try_case(pool, g, s, b);
}
