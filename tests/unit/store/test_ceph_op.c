/* SPDX-License-Identifier: Apache-2.0 */
/* What an operation asks of a cluster, step by step, and what the answers come to; without a
 * cluster. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "storaged/store/ceph_df.h"
#include "storaged/store/ceph_op.h"
#include "tests/lib/alloc_fail.h"

static const struct store_guard absent = {.kind = STORE_ABSENT};
static const struct store_guard mine = {
	.kind = STORE_ATTR_EQUAL, .attr = "ep", .value = "5", .value_len = 1};

/* A write of four bytes at `offset`. */
static struct ceph_op *write_op(
	const struct store_guard *guard, enum store_body_kind kind, uint64_t offset)
{
	static struct store_write req;
	struct slice body = text_slice("four");
	struct ceph_op *op = ceph_op_write(&req, STORE_META, "head/a",
		&(struct store_edits){.guards = guard,
			.guard_count = guard ? 1 : 0,
			.body_kind = kind,
			.offset = offset,
			.body = &body,
			.body_count = 1});
	assert_non_null(op);
	slice_drop(&body);
	return op;
}

/* What a read of the object shows to a judgement. */
static void show(struct ceph_op *op, uint64_t size, const char *ep)
{
	op->attrs = store_read_attrs_new(100);
	assert_non_null(op->attrs);
	store_read_attrs_add(op->attrs, "ep", ep, strlen(ep));
	op->size = size;
	op->size_is_kept = true;
}

static void expect_settled(struct ceph_op *op, int rc, int status)
{
	int got = 12345;
	assert_true(ceph_op_answered(op, rc, &got));
	assert_int_equal(got, status);
	ceph_op_free(op);
}

static void expect_next(struct ceph_op *op, int rc, enum ceph_step step)
{
	int untouched = 12345;
	assert_false(ceph_op_answered(op, rc, &untouched));
	assert_int_equal(untouched, 12345);
	assert_int_equal(op->step, step);
}

static void test_copies(void **state)
{
	(void)state;
	char name[] = "chk/a", value[] = "value", attr[] = "len";
	struct slice parts[2] = {text_slice("one"), text_slice("three")};
	struct store_guard guards[] = {{.kind = STORE_EXISTS},
		{.kind = STORE_ATTR_BELOW, .attr = attr, .value = value, .value_len = 5}};
	struct store_attr attrs[] = {{attr, value, 5}, {"empty", NULL, 0}};
	struct store_write req;
	struct ceph_op *op = ceph_op_write(&req, STORE_DATA, name,
		&(struct store_edits){guards, 2, attrs, 2, STORE_BODY_WRITE_AT, 7, parts, 2});
	assert_non_null(op);
	memset(name, 'x', 5), memset(value, 'x', 5), memset(attr, 'x', 3);
	memset(guards, 0, sizeof(guards)), memset(attrs, 0, sizeof(attrs));
	assert_string_equal(op->name, "chk/a");
	assert_int_equal(op->edits.guards[0].kind, STORE_EXISTS);
	assert_int_equal(op->edits.guards[1].kind, STORE_ATTR_BELOW);
	assert_string_equal(op->edits.guards[1].attr, "len");
	assert_memory_equal(op->edits.guards[1].value, "value", 5);
	assert_string_equal(op->edits.attrs[0].name, "len");
	assert_memory_equal(op->edits.attrs[0].value, "value", 5);
	assert_non_null(op->edits.attrs[1].value);
	assert_int_equal(op->cost_bytes, 8);
	assert_int_equal(atomic_load(&parts[0].buf->refs), 2);
	ceph_op_free(op);
	assert_int_equal(atomic_load(&parts[0].buf->refs), 1);
	slice_drop(&parts[0]);
	slice_drop(&parts[1]);
}

static void test_first_steps(void **state)
{
	(void)state;
	static const struct {
		const struct store_guard *guard;
		enum store_body_kind kind;
		uint64_t offset;
		enum ceph_step step;
	} cases[] = {
		{&absent, STORE_BODY_WRITE_AT, 0, CEPH_PLAIN},
		{&absent, STORE_BODY_WRITE_AT, 4, CEPH_JUDGE},
		{&absent, STORE_BODY_WHOLE, 0, CEPH_PLAIN},
		{&mine, STORE_BODY_WHOLE, 0, CEPH_PLAIN},
		{&mine, STORE_BODY_WRITE_AT, 0, CEPH_EXTEND},
		{NULL, STORE_BODY_WRITE_AT, 9, CEPH_EXTEND},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ceph_op *op = write_op(cases[i].guard, cases[i].kind, cases[i].offset);
		assert_int_equal(op->step, cases[i].step);
		ceph_op_free(op);
	}
}

static void test_answers_to_writes(void **state)
{
	(void)state;
	static const struct {
		int rc, status;
	} cases[] = {{0, 0}, {-ECANCELED, ERR_GUARD}, {-EEXIST, -EEXIST}, {-ENOENT, -ENOENT},
		{-ENOSPC, -ENOSPC}, {-EDQUOT, -ENOSPC}, {-ETIMEDOUT, ERR_UNKNOWN},
		{-ESHUTDOWN, ERR_UNKNOWN}, {-EOPNOTSUPP, -EOPNOTSUPP}, {-EPERM, -EPERM},
		{-EIO, -EIO}, {-EAGAIN, ERR_UNKNOWN}, {-ENOTCONN, ERR_UNKNOWN}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		expect_settled(write_op(&mine, STORE_BODY_WHOLE, 0), cases[i].rc, cases[i].status);
		if (cases[i].rc != -ECANCELED)
			expect_settled(write_op(&mine, STORE_BODY_WRITE_AT, 0), cases[i].rc,
				cases[i].status);
	}
	/* a new object's name cannot be missing: the pool is */
	expect_settled(write_op(&absent, STORE_BODY_WHOLE, 0), -ENOENT, -EIO);
}

static void test_judgements(void **state)
{
	(void)state;
	static const struct {
		uint64_t size;
		const char *ep;
		int status; /* 0: goes on with `next` */
		enum ceph_step next;
	} cases[] = {
		{7, "5", -EINVAL, 0},      /* a hole */
		{8, "6", ERR_GUARD, 0},    /* another epoch */
		{7, "6", ERR_GUARD, 0},    /* both: the caller's guards come first */
		{13, "5", 0, CEPH_INSIDE}, /* ends inside */
		{12, "5", 0,
			CEPH_EXTEND}, /* it would have passed: the object has changed meanwhile */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ceph_op *op = write_op(&mine, STORE_BODY_WRITE_AT, 8);
		expect_next(op, -ECANCELED, CEPH_JUDGE);
		show(op, cases[i].size, cases[i].ep);
		if (cases[i].status) {
			expect_settled(op, 0, cases[i].status);
			continue;
		}
		expect_next(op, 0, cases[i].next);
		assert_null(op->attrs);
		expect_settled(op, 0, 0);
	}
}

static void test_judgement_fails(void **state)
{
	(void)state;
	static const struct {
		int rc, status;
	} cases[] = {{-ENOENT, -ENOENT}, {-ETIMEDOUT, -ETIMEDOUT}, {-ENODATA, -EIO}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ceph_op *op = write_op(&mine, STORE_BODY_WRITE_AT, 8);
		expect_next(op, -ECANCELED, CEPH_JUDGE);
		/* shut out: asked again on the next connection */
		expect_next(op, -ESHUTDOWN, CEPH_JUDGE);
		expect_settled(op, cases[i].rc, cases[i].status);
	}
	/* creating behind a start that is not there */
	expect_settled(write_op(&absent, STORE_BODY_WRITE_AT, 8), -ENOENT, -EINVAL);
	struct ceph_op *op = write_op(&absent, STORE_BODY_WRITE_AT, 8);
	show(op, 8, "5");
	expect_settled(op, 0, -EEXIST);
	/* an object that another program wrote has no size that a guard could compare */
	op = write_op(&mine, STORE_BODY_WRITE_AT, 8);
	expect_next(op, -ECANCELED, CEPH_JUDGE);
	show(op, 8, "5");
	op->size_is_kept = false;
	expect_settled(op, 0, -EIO);
}

/* An object that changes under every attempt is given up, not tried for ever. */
static void test_judgements_end(void **state)
{
	(void)state;
	struct ceph_op *op = write_op(&mine, STORE_BODY_WRITE_AT, 8);
	int status = 0, rounds = 0;
	for (;; rounds++) {
		expect_next(op, -ECANCELED, CEPH_JUDGE);
		show(op, 20, "5");
		if (ceph_op_answered(op, 0, &status))
			break;
	}
	assert_int_equal(status, -EIO);
	assert_in_range(rounds, 1, 10);
	ceph_op_free(op);
}

static void test_reads(void **state)
{
	(void)state;
	static const struct {
		int rc, status;
	} cases[] = {{0, 0}, {-ENOENT, -ENOENT}, {-ETIMEDOUT, -ETIMEDOUT}, {-EIO, -EIO},
		{-ENOTCONN, -EIO}, {-EPERM, -EPERM}};
	struct store_read req = {.want_body = true, .len = 100};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ceph_op *op = ceph_op_read(&req, STORE_META, "head/a");
		assert_int_equal(op->cost_bytes, 100);
		op->body = buf_new(100);
		expect_next(op, -ESHUTDOWN, CEPH_READ);
		assert_null(op->body);
		expect_settled(op, cases[i].rc, cases[i].status);
	}
}

static void make_one(void *user)
{
	struct slice *body = user;
	struct store_write write;
	struct store_read read = {.want_attrs = true};
	struct ceph_op *op = ceph_op_write(&write, STORE_META, "a",
		&(struct store_edits){
			.guards = &mine, .guard_count = 1, .body = body, .body_count = 1});
	ceph_op_free(op);
	assert_int_equal(atomic_load(&body->buf->refs), 1);
	ceph_op_free(ceph_op_read(&read, STORE_META, "a"));
}

static void test_short_of_memory(void **state)
{
	(void)state;
	struct slice body = text_slice("four");
	alloc_fail_sweep(make_one, &body);
	slice_drop(&body);
}

static void test_space(void **state)
{
	(void)state;
	static const char df[] =
		"{\"stats\":{\"stored\":1},\"pools\":[{\"name\":\"steppe.meta\",\"id\":1,\"stats\":"
		"{"
		"\"stored\":100,\"stored_data\":90,\"objects\":3,\"max_avail\":900,\"quota_bytes\":"
		"0}},"
		"{\"name\": \"steppe.data\", \"id\": 2, \"stats\": {\"stored\": 7, \"max_avail\": "
		"1000, "
		"\"quota_bytes\": 500}},{\"name\":\"short\",\"stats\":{\"stored\":1}},"
		"{\"name\":\"huge\",\"stats\":{\"stored\":99999999999999999999999,\"max_avail\":1}}"
		"]}";
	static const struct {
		const char *pool;
		int rc;
		uint64_t total, used;
	} cases[] = {{"steppe.meta", 0, 1000, 100}, {"steppe.data", 0, 500, 7},
		{"short", ERR_FORMAT, 0, 0}, {"huge", ERR_FORMAT, 0, 0}, {"none", ERR_FORMAT, 0, 0},
		{"steppe", ERR_FORMAT, 0, 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t total = 0, used = 0;
		assert_int_equal(ceph_df_parse(df, sizeof(df) - 1, cases[i].pool, &total, &used),
			cases[i].rc);
		assert_int_equal(total, cases[i].total);
		assert_int_equal(used, cases[i].used);
	}
	static const char get[] = "{\"pool\":\"steppe.data\",\"pool_id\":2,\"min_size\":2}";
	uint64_t min_size = 0;
	assert_int_equal(ceph_pool_parse(get, sizeof(get) - 1, "min_size", &min_size), 0);
	assert_int_equal(min_size, 2);
	assert_int_equal(ceph_pool_parse(get, sizeof(get) - 1, "size", &min_size), ERR_FORMAT);
	assert_int_equal(ceph_pool_parse("", 0, "min_size", &min_size), ERR_FORMAT);
	/* cut off anywhere it is refused or says the same, and reads nothing behind its end */
	for (size_t len = 0; len < sizeof(df); len++) {
		char *cut = malloc(len ? len : 1);
		uint64_t total = 1000, used = 100;
		assert_non_null(cut);
		memcpy(cut, df, len);
		(void)ceph_df_parse(cut, len, "steppe.meta", &total, &used);
		assert_true(used <= 100);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_first_steps),
		cmocka_unit_test(test_answers_to_writes),
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_judgement_fails),
		cmocka_unit_test(test_judgements_end),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_short_of_memory),
		cmocka_unit_test(test_space),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
