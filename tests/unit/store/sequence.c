/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing and printing. */
#include "tests/unit/store/sequence.h"

#include <inttypes.h>
#include <string.h>

#include "tests/unit/store/sequence_values.h"

/* Few names and values, so that guards often meet them; of different lengths and orders. */
const char *const sequence_attrs[SEQUENCE_ATTRS] = {"ep", "len", "state"};
const struct sequence_value sequence_values[SEQUENCE_VALUES] = {
	{"", 0, "\"\""},
	{"1", 1, "\"1\""},
	{"10", 2, "\"10\""},
	{"2", 1, "\"2\""},
	{"\0", 1, "\"\\0\""},
	{"\xfe\xff", 2, "\"\\xfe\\xff\""},
	{"0000000000000007", 16, "\"0000000000000007\""},
};

/* Of erasure-coded pools, as test clusters have them. Most appends to DATA keep to it whatever the
 * pool, so that all stores are asked the same. */
#define ALIGNMENT 8192u

struct draw {
	uint64_t state;
};

static uint32_t draw(struct draw *d, uint32_t bound)
{
	d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((d->state >> 33) % bound);
}

/* The first ones most of the time: guards shall hold often enough. */
static uint8_t draw_value(struct draw *d)
{
	return (uint8_t)(draw(d, 3) ? draw(d, 2) : draw(d, SEQUENCE_VALUES));
}

static void draw_guards(struct draw *d, struct sequence_op *o)
{
	static const uint8_t counts[] = {0, 0, 0, 1, 1, 1, 2, 3};
	bool creates = o->body_kind != STORE_BODY_REMOVE && draw(d, 4) == 0;
	o->guard_count =
		(uint8_t)(creates ? 1 + (draw(d, 8) == 0) : counts[draw(d, sizeof(counts))]);
	for (unsigned i = 0; i < o->guard_count; i++) {
		static const uint8_t kinds[] = {STORE_EXISTS, STORE_ATTR_EQUAL, STORE_ATTR_EQUAL,
			STORE_ATTR_BELOW, STORE_ATTR_BELOW};
		o->guards[i].kind = creates && i == 0 ? STORE_ABSENT : kinds[draw(d, 5)];
		o->guards[i].attr = (uint8_t)draw(d, SEQUENCE_ATTRS);
		o->guards[i].value = draw_value(d);
	}
}

static void draw_body(struct draw *d, struct sequence_op *o)
{
	static const uint8_t wheres[] = {SEQUENCE_AT_END, SEQUENCE_AT_END, SEQUENCE_AT_END,
		SEQUENCE_AT_END, SEQUENCE_INSIDE, SEQUENCE_INSIDE, SEQUENCE_AT_START,
		SEQUENCE_BEYOND};
	bool aligned = o->pool == STORE_DATA && draw(d, 8);
	o->where = wheres[draw(d, sizeof(wheres))];
	o->part_count = (uint8_t)(1 + draw(d, SEQUENCE_PARTS));
	o->bytes = draw(d, 1000);
	for (unsigned i = 0; i < o->part_count; i++) {
		o->parts[i] = draw(d, 3) == 0 ? draw(d, 100) : draw(d, 20000);
		if (aligned)
			o->parts[i] = o->parts[i] / ALIGNMENT * ALIGNMENT;
	}
}

static void draw_write(struct draw *d, struct sequence_op *o)
{
	static const uint8_t kinds[] = {STORE_BODY_NONE, STORE_BODY_WRITE_AT, STORE_BODY_WRITE_AT,
		STORE_BODY_WRITE_AT, STORE_BODY_WRITE_AT, STORE_BODY_WRITE_AT, STORE_BODY_WRITE_AT,
		STORE_BODY_WHOLE, STORE_BODY_WHOLE, STORE_BODY_REMOVE};
	o->body_kind = kinds[draw(d, sizeof(kinds))];
	if (o->pool != STORE_META && o->body_kind == STORE_BODY_WHOLE)
		o->body_kind = STORE_BODY_WRITE_AT;
	draw_guards(d, o);
	if (o->body_kind == STORE_BODY_REMOVE)
		return;
	o->attr_count = (uint8_t)draw(d, SEQUENCE_SIDE + 1);
	for (unsigned i = 0; i < o->attr_count; i++) {
		o->attrs[i].attr = (uint8_t)draw(d, SEQUENCE_ATTRS);
		o->attrs[i].value = draw_value(d);
	}
	if (o->body_kind != STORE_BODY_NONE)
		draw_body(d, o);
}

/* Without room: attributes, what stays as long as it is, and growth that is refused anywhere. */
static void draw_write_full(struct draw *d, struct sequence_op *o)
{
	unsigned kind = draw(d, 6);
	draw_guards(d, o);
	o->attr_count = 1;
	o->attrs[0].attr = (uint8_t)draw(d, SEQUENCE_ATTRS);
	o->attrs[0].value = draw_value(d);
	o->bytes = draw(d, 1000);
	o->part_count = 1;
	if (kind <= 1) {
		o->body_kind = STORE_BODY_NONE;
		o->part_count = 0;
	} else if (kind <= 3) {
		o->body_kind = STORE_BODY_WRITE_AT;
		o->where = draw(d, 2) ? SEQUENCE_AT_START : SEQUENCE_INSIDE;
		o->shift = draw(d, 32768);
		o->parts[0] = draw(d, SEQUENCE_FULL_SIZE / 2);
	} else {
		bool whole = kind == 4 && o->pool == STORE_META;
		o->body_kind = whole ? STORE_BODY_WHOLE : STORE_BODY_WRITE_AT;
		o->where = SEQUENCE_AT_END;
		o->parts[0] = SEQUENCE_FULL_SIZE;
		return;
	}
	/* a small new object might fit */
	if (o->guard_count && o->guards[0].kind == STORE_ABSENT)
		o->guards[0].kind = STORE_EXISTS;
}

void sequence_draw(
	struct sequence *s, uint64_t seed, unsigned count, enum sequence_mix mix, int full_pool)
{
	struct draw d = {seed * 2 + 1};
	*s = (struct sequence){.seed = seed, .count = count};
	for (unsigned i = 0; i < count; i++) {
		struct sequence_op *o = &s->ops[i];
		unsigned what = draw(&d, 32);
		o->pool = (uint8_t)(draw(&d, 2) ? STORE_DATA : STORE_META);
		if (mix == SEQUENCE_FULL)
			o->pool = (uint8_t)full_pool;
		o->object = (uint8_t)draw(&d, SEQUENCE_OBJECTS);
		o->shift = draw(&d, 65536);
		o->len = draw(&d, 30000);
		o->what = what == 0 ? SEQUENCE_LIST : what < 7 ? SEQUENCE_READ : SEQUENCE_WRITE;
		if (o->what == SEQUENCE_READ)
			o->where = (uint8_t)(draw(&d, 5) ? SEQUENCE_INSIDE : SEQUENCE_BEYOND);
		else if (o->what == SEQUENCE_WRITE && mix == SEQUENCE_FULL)
			draw_write_full(&d, o);
		else if (o->what == SEQUENCE_WRITE)
			draw_write(&d, o);
	}
}

/* --- printing --- */

static void print_range(FILE *to, const struct sequence_op *o)
{
	switch (o->where) {
	case SEQUENCE_AT_END:
		fputs(" at the end", to);
		break;
	case SEQUENCE_AT_START:
		fputs(" at the start", to);
		break;
	case SEQUENCE_INSIDE:
		fprintf(to, " at %" PRIu32 "/65536 of the size", o->shift);
		break;
	default:
		fprintf(to, " %" PRIu32 " past the end", o->shift + 1);
	}
}

static void print_write(FILE *to, const struct sequence_op *o)
{
	static const char *const kinds[] = {[STORE_BODY_NONE] = "attributes",
		[STORE_BODY_WRITE_AT] = "write",
		[STORE_BODY_WHOLE] = "whole",
		[STORE_BODY_REMOVE] = "remove"};
	fputs(kinds[o->body_kind], to);
	if (o->body_kind == STORE_BODY_WRITE_AT || o->body_kind == STORE_BODY_WHOLE) {
		for (unsigned i = 0; i < o->part_count; i++)
			fprintf(to, "%s%" PRIu32, i ? "+" : " ", o->parts[i]);
		fprintf(to, " bytes #%" PRIu32, o->bytes);
	}
	if (o->body_kind == STORE_BODY_WRITE_AT)
		print_range(to, o);
	for (unsigned i = 0; i < o->attr_count; i++)
		fprintf(to, "%s %s=%s", i ? "," : ", set", sequence_attrs[o->attrs[i].attr],
			sequence_values[o->attrs[i].value].words);
	for (unsigned i = 0; i < o->guard_count; i++) {
		const char *attr = sequence_attrs[o->guards[i].attr],
			   *value = sequence_values[o->guards[i].value].words;
		fputs(i ? " and " : ", if ", to);
		if (o->guards[i].kind == STORE_ABSENT)
			fputs("absent", to);
		else if (o->guards[i].kind == STORE_EXISTS)
			fputs("there", to);
		else
			fprintf(to, "%s %s %s", attr,
				o->guards[i].kind == STORE_ATTR_EQUAL ? "==" : "<", value);
	}
}

void sequence_print(FILE *to, const struct sequence *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct sequence_op *o = &s->ops[i];
		const char *pool = o->pool == STORE_META ? "meta" : "data";
		fprintf(to, "  %s/%u: ", pool, o->object);
		if (o->what == SEQUENCE_LIST) {
			fputs("list what begins so", to);
		} else if (o->what == SEQUENCE_READ) {
			fprintf(to, "read %" PRIu32 " bytes", o->len);
			print_range(to, o);
		} else {
			print_write(to, o);
		}
		fputc('\n', to);
	}
}
