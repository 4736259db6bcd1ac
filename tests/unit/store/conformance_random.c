/* SPDX-License-Identifier: Apache-2.0 */
/* Random sequences: rounds of requests to different objects at once, everything compared after
 * each. The seed is said when something differs; `store_conformance KIND SEED` runs it again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store/conformance.h"

#define OBJECTS 6

static uint64_t random_state;

static uint64_t draw(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

/* Values that guards meet often: few, and of different lengths. */
static struct store_attr draw_attr(void)
{
	static const struct {
		const char *value;
		size_t len;
	} values[] = {{"", 0}, {"1", 1}, {"10", 2}, {"2", 1}, {"\0", 1}, {"\xfe\xff", 2}};
	size_t v = draw(ARRAY_LEN(values));
	return (struct store_attr){conformance_attrs[draw(ARRAY_LEN(conformance_attrs))],
		values[v].value, values[v].len};
}

struct random_write {
	struct store_guard guards[3];
	struct store_attr attrs[3];
	struct slice body[4];
};

static uint64_t size_of(int pool, const char *name)
{
	size_t len = 0;
	return store_model_bytes(pair.model.backend, pool, name, &len) ? len : 0;
}

static void draw_body(struct random_write *w, struct probe_write *to, bool aligned)
{
	uint32_t unit = store_alignment(pair.real.store, to->pool);
	struct store_edits *e = &to->edits;
	e->body = w->body;
	e->body_count = 1 + draw(4);
	for (size_t i = 0; i < e->body_count; i++) {
		size_t len = draw(3) == 0 ? draw(100) : draw(20000);
		if (aligned)
			len = len / unit * unit;
		w->body[i] = probe_bytes(draw(1000), len);
	}
	if (e->body_kind != STORE_BODY_WRITE_AT)
		return;
	uint64_t size = size_of(to->pool, to->name);
	uint64_t kind = draw(8);
	e->offset = kind < 5    ? size
		    : kind == 5 ? draw(size + 1)
		    : kind == 6 ? 0
				: size + 1 + draw(5000);
}

static void draw_write(struct random_write *w, struct probe_write *to)
{
	struct store_edits *e = &to->edits;
	static const enum store_body_kind kinds[] = {STORE_BODY_NONE, STORE_BODY_WRITE_AT,
		STORE_BODY_WRITE_AT, STORE_BODY_WRITE_AT, STORE_BODY_WHOLE, STORE_BODY_WRITE_AT,
		STORE_BODY_REMOVE};
	e->body_kind = kinds[draw(ARRAY_LEN(kinds))];
	if (to->pool != STORE_META && e->body_kind == STORE_BODY_WHOLE)
		e->body_kind = STORE_BODY_WRITE_AT;
	e->guards = w->guards;
	if (e->body_kind != STORE_BODY_REMOVE && draw(3) == 0) {
		w->guards[0] = guard_absent;
		e->guard_count = 1;
	} else {
		e->guard_count = draw(3);
		for (size_t i = 0; i < e->guard_count; i++) {
			struct store_attr a = draw_attr();
			w->guards[i] = (struct store_guard){
				.kind = draw(3) ? STORE_ATTR_EQUAL : STORE_ATTR_BELOW,
				.attr = a.name,
				.value = a.value,
				.value_len = a.len};
			if (draw(4) == 0)
				w->guards[i] = guard_exists;
		}
	}
	if (e->body_kind != STORE_BODY_REMOVE) {
		e->attrs = w->attrs;
		e->attr_count = draw(4);
		for (size_t i = 0; i < e->attr_count; i++)
			w->attrs[i] = draw_attr();
	}
	if (e->body_kind == STORE_BODY_WRITE_AT || e->body_kind == STORE_BODY_WHOLE)
		draw_body(w, to, pair.erasure_coded && to->pool == STORE_DATA && draw(8));
}

static void run_round(uint64_t seed, int round)
{
	char names[2 * OBJECTS][128];
	struct random_write drawn[2 * OBJECTS] = {0};
	struct probe_write model[2 * OBJECTS] = {0}, real[2 * OBJECTS];
	unsigned count = 0;
	for (int i = 0; i < 2 * OBJECTS; i++) {
		if (draw(2))
			continue;
		(void)snprintf(names[count], sizeof(names[0]), "%s/random/%d", pair.prefix, i / 2);
		model[count].pool = i % 2 ? STORE_DATA : STORE_META;
		model[count].name = names[count];
		draw_write(&drawn[count], &model[count]);
		count++;
	}
	memcpy(real, model, sizeof(real));
	probe_write_all(&pair.real, real, count);
	probe_write_all(&pair.model, model, count);
	for (unsigned i = 0; i < count; i++) {
		const struct store_edits *e = &model[i].edits;
		say("seed %llu, round %d, pool %d %s: body kind %d at %llu in %zu parts, %zu "
		    "guards, %zu "
		    "attributes",
			(unsigned long long)seed, round, model[i].pool, names[i], (int)e->body_kind,
			(unsigned long long)e->offset, e->body_count, e->guard_count,
			e->attr_count);
		expect_same("status of a write", model[i].status, real[i].status);
		compare_object(model[i].pool, names[i]);
		compare_range(model[i].pool, names[i], draw(30000), draw(30000));
		for (size_t k = 0; k < e->body_count; k++)
			slice_drop(&drawn[i].body[k]);
	}
}

void conformance_random(uint64_t seed)
{
	random_state = seed;
	for (int round = 0; round < 60; round++)
		run_round(seed, round);
}
