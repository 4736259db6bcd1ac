/* SPDX-License-Identifier: Apache-2.0 */
/* A store without room: what does not grow still passes, what makes room too, the rest is refused
 * and changes nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/unit/store/conformance.h"
#include "tests/unit/store/sequence_values.h"

#define BODY  SEQUENCE_FULL_SIZE
#define SEEDS 5 /* of random sequences on the full pool */

/* The model is as full as the real store: nothing fits any more. */
static void fill_model(void)
{
	struct store_model_options *options = store_model_options(pair.model.backend);
	for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
		uint64_t total, used;
		assert_int_equal(probe_space(&pair.model, pool, &total, &used), 0);
		options->pools[pool].capacity_bytes = used;
	}
}

/* New objects, smaller and smaller, until the real store refuses even those; a real one notices
 * late. */
static void fill_real(int pool)
{
	unsigned made = 0;
	for (size_t len = BODY; len >= BODY / 8; len /= 2) {
		struct slice body = probe_bytes(len, len);
		for (int rc = 0; !rc; made++) {
			char name[128], base[32];
			(void)snprintf(base, sizeof(base), "fill/%u", made);
			name_object(name, sizeof(name), base);
			rc = probe_write(&pair.real, pool, name,
				&(struct store_edits){.guards = &guard_absent,
					.guard_count = 1,
					.body_kind = STORE_BODY_WRITE_AT,
					.body = &body,
					.body_count = 1});
			if (rc && rc != -ENOSPC)
				fail_msg("filling the store: status %d", rc);
			assert_in_range(made, 0, 20000);
		}
		slice_drop(&body);
	}
}

static int write_len(
	int pool, const char *name, enum store_body_kind kind, uint64_t offset, size_t len)
{
	struct slice body = probe_bytes(len + offset, len);
	int rc = write_both(pool, name,
		&(struct store_edits){
			.body_kind = kind, .offset = offset, .body = &body, .body_count = 1});
	slice_drop(&body);
	compare_object(pool, name);
	return rc;
}

static int create(int pool, const char *name)
{
	struct slice body = probe_bytes(1, BODY);
	int rc = write_both(pool, name,
		&(struct store_edits){.guards = &guard_absent,
			.guard_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &body,
			.body_count = 1});
	slice_drop(&body);
	compare_object(pool, name);
	return rc;
}

static void set_attr(int pool, const char *name)
{
	const struct store_attr attr = {"ep", "00000002", 8};
	const struct store_guard stale = {
		.kind = STORE_ATTR_EQUAL, .attr = "ep", .value = "00000001", .value_len = 8};
	struct store_edits edits = {
		.guards = &stale, .guard_count = 1, .attrs = &attr, .attr_count = 1};
	assert_int_equal(write_both(pool, name, &edits), 0);
	/* and a guard that does not hold is still told as such */
	assert_int_equal(write_both(pool, name, &edits), ERR_GUARD);
	compare_object(pool, name);
}

/* Half of the objects that sequences are about are there; all attributes have a value. */
static struct sequence_pair prepare_sequences(int pool)
{
	struct sequence_pair p = conformance_sequences();
	p.stays = true;
	p.full_pool = pool;
	for (unsigned i = 0; i < SEQUENCE_OBJECTS / 2; i++) {
		struct store_attr attrs[SEQUENCE_ATTRS];
		char name[128];
		sequence_name(&p, i, name, sizeof(name));
		for (unsigned k = 0; k < SEQUENCE_ATTRS; k++)
			attrs[k] = (struct store_attr){sequence_attrs[k], "0000000000000000", 16};
		prepare(pool, name, BODY, NULL);
		assert_int_equal(write_both(pool, name,
					 &(struct store_edits){
						 .attrs = attrs, .attr_count = SEQUENCE_ATTRS}),
			0);
	}
	return p;
}

void conformance_full(int pool)
{
	char kept[128], other[128];
	const struct store_attr ep = {"ep", "00000001", 8};
	name_object(kept, sizeof(kept), "kept");
	name_object(other, sizeof(other), "other");
	say("pool %d before it is full", pool);
	prepare(pool, kept, BODY, &ep);
	prepare(pool, other, -1, NULL);
	struct sequence_pair sequences = prepare_sequences(pool);
	fill_real(pool);
	fill_model();
	say("pool %d is full", pool);
	set_attr(pool, kept);
	if (pool == STORE_META)
		assert_int_equal(write_len(pool, kept, STORE_BODY_WHOLE, 0, BODY), 0);
	if (!pair.erasure_coded || pool == STORE_META) {
		assert_int_equal(write_len(pool, kept, STORE_BODY_WRITE_AT, 0, BODY), 0);
		assert_int_equal(write_len(pool, kept, STORE_BODY_WRITE_AT, 100, 10), 0);
		assert_int_equal(
			write_len(pool, kept, STORE_BODY_WRITE_AT, BODY / 2, BODY), -ENOSPC);
	}
	assert_int_equal(write_len(pool, kept, STORE_BODY_WRITE_AT, BODY, BODY), -ENOSPC);
	assert_int_equal(create(pool, other), -ENOSPC);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		sequence_check(&sequences, seed, SEQUENCE_MOST / 2, SEQUENCE_FULL);
	if (pool == STORE_META) {
		assert_int_equal(write_len(pool, kept, STORE_BODY_WHOLE, 0, 2 * BODY), -ENOSPC);
		assert_int_equal(write_len(pool, kept, STORE_BODY_WHOLE, 0, BODY / 2), 0);
	}
	assert_int_equal(
		write_both(pool, kept, &(struct store_edits){.body_kind = STORE_BODY_REMOVE}), 0);
	compare_object(pool, kept);
}
