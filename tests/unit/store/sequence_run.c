/* SPDX-License-Identifier: Apache-2.0 */
/* Running, comparing and shortening. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storaged/store/store_impl.h"
#include "tests/unit/store/sequence.h"
#include "tests/unit/store/sequence_values.h"

#define ROUND     12  /* writes under way at once, on different objects */
#define RUNS_MOST 400 /* that shortening may take */

void sequence_name(const struct sequence_pair *pair, unsigned object, char *to, size_t size)
{
	(void)snprintf(to, size, "%s/s%u/%u", pair->prefix, pair->attempt, object);
}

/* A write as the stores want it. */
struct drawn {
	char name[128];
	struct store_guard guards[SEQUENCE_SIDE];
	struct store_attr attrs[SEQUENCE_SIDE];
	struct slice body[SEQUENCE_PARTS];
};

static uint64_t offset_of(
	const struct sequence_pair *pair, const struct sequence_op *o, const char *name)
{
	size_t size = 0;
	if (!store_model_bytes(pair->model->backend, o->pool, name, &size))
		size = 0;
	switch (o->where) {
	case SEQUENCE_AT_END:
		return size;
	case SEQUENCE_AT_START:
		return 0;
	case SEQUENCE_INSIDE:
		return (uint64_t)size * o->shift / 65536;
	default:
		return size + 1 + o->shift;
	}
}

static void make_write(const struct sequence_pair *pair, const struct sequence_op *o,
	struct drawn *d, struct probe_write *to)
{
	sequence_name(pair, o->object, d->name, sizeof(d->name));
	*to = (struct probe_write){.pool = o->pool, .name = d->name};
	to->edits = (struct store_edits){.guards = d->guards,
		.guard_count = o->guard_count,
		.attrs = d->attrs,
		.attr_count = o->attr_count,
		.body_kind = o->body_kind,
		.body = d->body,
		.body_count = o->part_count};
	for (unsigned i = 0; i < o->guard_count; i++) {
		const struct sequence_value *v = &sequence_values[o->guards[i].value];
		d->guards[i] = (struct store_guard){.kind = o->guards[i].kind,
			.attr = sequence_attrs[o->guards[i].attr],
			.value = v->bytes,
			.value_len = v->len};
	}
	for (unsigned i = 0; i < o->attr_count; i++) {
		const struct sequence_value *v = &sequence_values[o->attrs[i].value];
		d->attrs[i] =
			(struct store_attr){sequence_attrs[o->attrs[i].attr], v->bytes, v->len};
	}
	for (unsigned i = 0; i < o->part_count; i++)
		d->body[i] = probe_bytes(o->bytes + i, o->parts[i]);
	if (o->body_kind == STORE_BODY_WRITE_AT)
		to->edits.offset = offset_of(pair, o, d->name);
}

/* --- comparing --- */

static bool differ(char *why, size_t size, const char *what, int64_t model, int64_t real)
{
	if (model == real)
		return false;
	(void)snprintf(why, size, "%s: the model's %" PRId64 ", the real store's %" PRId64, what,
		model, real);
	return true;
}

static bool bodies_differ(char *why, size_t size, const struct buf *model, const struct buf *real)
{
	if (differ(why, size, "length read", (int64_t)model->len, (int64_t)real->len))
		return true;
	for (size_t i = 0; i < model->len; i++) {
		if (model->data[i] != real->data[i]) {
			(void)snprintf(why, size, "bytes differ from %zu on", i);
			return true;
		}
	}
	return false;
}

static bool attrs_differ(
	char *why, size_t size, const struct probe_object *model, const struct probe_object *real)
{
	for (size_t i = 0; i < SEQUENCE_ATTRS; i++) {
		size_t a_len, b_len;
		const void *a = store_read_attr(&model->read, sequence_attrs[i], &a_len);
		const void *b = store_read_attr(&real->read, sequence_attrs[i], &b_len);
		if (a_len != b_len || memcmp(a, b, a_len) != 0) {
			(void)snprintf(why, size, "attribute %s differs (%zu and %zu bytes)",
				sequence_attrs[i], a_len, b_len);
			return true;
		}
	}
	return false;
}

static bool objects_differ(
	const struct sequence_pair *pair, int pool, const char *name, char *why, size_t size)
{
	struct probe_object model, real;
	probe_get(pair->model, pool, name, &model);
	probe_get(pair->real, pool, name, &real);
	bool differs = differ(why, size, "status of a read", model.status, real.status);
	if (!differs && !model.status)
		differs = differ(why, size, "size", (int64_t)model.size, (int64_t)real.size) ||
			  bodies_differ(why, size, model.read.body, real.read.body) ||
			  attrs_differ(why, size, &model, &real);
	probe_drop(&model);
	probe_drop(&real);
	return differs;
}

static bool ranges_differ(
	const struct sequence_pair *pair, const struct sequence_op *o, char *why, size_t size)
{
	char name[128];
	struct buf *model, *real;
	sequence_name(pair, o->object, name, sizeof(name));
	uint64_t offset = offset_of(pair, o, name);
	int model_rc = probe_range(pair->model, o->pool, name, offset, o->len, &model);
	int real_rc = probe_range(pair->real, o->pool, name, offset, o->len, &real);
	bool differs = differ(why, size, "status of a range", model_rc, real_rc) ||
		       (!model_rc && bodies_differ(why, size, model, real));
	buf_unref(&model);
	buf_unref(&real);
	return differs;
}

/* Listings of the names that begin as the object's does, without its last letter. */
static bool lists_differ(
	const struct sequence_pair *pair, const struct sequence_op *o, char *why, size_t size)
{
	char prefix[128];
	struct probe_listing *model = malloc(sizeof(*model)), *real = malloc(sizeof(*real));
	assert_non_null(model);
	assert_non_null(real);
	sequence_name(pair, o->object, prefix, sizeof(prefix));
	if (o->object < SEQUENCE_OBJECTS / 2)
		prefix[strlen(prefix) - 1] = '\0';
	probe_list(pair->model, o->pool, prefix, model);
	probe_list(pair->real, o->pool, prefix, real);
	bool differs = differ(why, size, "status of a listing", model->status, real->status) ||
		       differ(why, size, "names listed", model->count, real->count);
	for (unsigned i = 0; i < model->count && !differs; i++) {
		const struct probe_listed *a = &model->entries[i], *b = &real->entries[i];
		differs =
			differ(why, size, "order of a name listed", 0, strcmp(a->name, b->name)) ||
			differ(why, size, "size listed", (int64_t)a->size, (int64_t)b->size);
	}
	free(model);
	free(real);
	return differs;
}

/* --- running --- */

/* How many writes from `at` on concern different objects: these go out at once. */
static unsigned round_of(const struct sequence *s, unsigned at)
{
	bool taken[2][SEQUENCE_OBJECTS] = {{false}};
	unsigned n = 0;
	for (; at + n < s->count && n < ROUND; n++) {
		const struct sequence_op *o = &s->ops[at + n];
		if (o->what != SEQUENCE_WRITE || taken[o->pool == STORE_DATA][o->object])
			break;
		taken[o->pool == STORE_DATA][o->object] = true;
	}
	return n;
}

static unsigned run_round(const struct sequence_pair *pair, const struct sequence *s, unsigned at,
	unsigned count, char *why, size_t size)
{
	struct drawn drawn[ROUND] = {0};
	struct probe_write model[ROUND] = {0}, real[ROUND];
	unsigned bad = count;
	for (unsigned i = 0; i < count; i++)
		make_write(pair, &s->ops[at + i], &drawn[i], &model[i]);
	memcpy(real, model, sizeof(real));
	probe_write_all(pair->real, real, count);
	probe_write_all(pair->model, model, count);
	for (unsigned i = 0; i < count; i++) {
		if (bad == count &&
			(differ(why, size, "status of a write", model[i].status, real[i].status) ||
				objects_differ(pair, model[i].pool, drawn[i].name, why, size)))
			bad = i;
		for (unsigned k = 0; k < s->ops[at + i].part_count; k++)
			slice_drop(&drawn[i].body[k]);
	}
	return at + bad;
}

unsigned sequence_run(
	struct sequence_pair *pair, const struct sequence *s, char *why, size_t why_size)
{
	pair->attempt += !pair->stays;
	for (unsigned at = 0; at < s->count;) {
		const struct sequence_op *o = &s->ops[at];
		unsigned n = round_of(s, at);
		bool differs = false;
		if (n) {
			unsigned bad = run_round(pair, s, at, n, why, why_size);
			if (bad < at + n)
				return bad;
		} else {
			differs = o->what == SEQUENCE_READ ? ranges_differ(pair, o, why, why_size)
							   : lists_differ(pair, o, why, why_size);
		}
		if (differs)
			return at;
		at += n ? n : 1;
	}
	return s->count;
}

/* --- shortening --- */

static struct sequence without(const struct sequence *s, unsigned from, unsigned count)
{
	struct sequence shorter = *s;
	memmove(&shorter.ops[from], &s->ops[from + count],
		(s->count - from - count) * sizeof(*s->ops));
	shorter.count = s->count - count;
	return shorter;
}

/* Whether it still differs; what comes after the difference goes at once. */
static bool still_differs(struct sequence_pair *pair, struct sequence *s)
{
	char why[200];
	unsigned bad = sequence_run(pair, s, why, sizeof(why));
	if (bad == s->count)
		return false;
	s->count = bad + 1;
	return true;
}

/* A store that was filled cannot be emptied and filled alike: there, what concerns other objects
 * goes. */
static void keep_object(struct sequence *s, const struct sequence_op *bad)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < s->count; i++)
		if (s->ops[i].pool == bad->pool && s->ops[i].object == bad->object)
			s->ops[kept++] = s->ops[i];
	s->count = kept;
}

void sequence_shorten(struct sequence_pair *pair, struct sequence *s)
{
	if (pair->stays) {
		struct sequence_op bad = s->ops[s->count - 1];
		keep_object(s, &bad);
		return;
	}
	unsigned runs = 0;
	for (unsigned len = s->count / 2; len > 0; len /= 2) {
		for (unsigned from = 0; from < s->count && runs < RUNS_MOST;) {
			unsigned n = from + len < s->count ? len : s->count - from;
			struct sequence shorter = without(s, from, n);
			runs++;
			if (shorter.count && still_differs(pair, &shorter))
				*s = shorter;
			else
				from += n;
		}
	}
}

void sequence_check(
	struct sequence_pair *pair, uint64_t seed, unsigned count, enum sequence_mix mix)
{
	static struct sequence s;
	char why[200] = "";
	sequence_draw(&s, seed, count, mix, pair->full_pool);
	unsigned bad = sequence_run(pair, &s, why, sizeof(why));
	if (bad == s.count)
		return;
	s.count = bad + 1;
	print_error("seed %" PRIu64 ", operation %u: %s\n", seed, bad, why);
	sequence_shorten(pair, &s);
	print_error("the same difference, shortened:\n");
	sequence_print(stderr, &s);
	fail_msg("seed %" PRIu64 ": the stores answer differently", seed);
}
