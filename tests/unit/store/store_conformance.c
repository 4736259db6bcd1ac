/* SPDX-License-Identifier: Apache-2.0 */
/* The same operations on the model and on a real store: every answer, size, attribute and byte
 * must be the same.
 *
 *	store_conformance local      a directory inside $TMPDIR or /dev/shm
 *	store_conformance rados      a replicated data pool of a test cluster
 *	store_conformance ec         an erasure-coded one
 *	store_conformance KIND SEED  one random sequence again
 *	store_conformance KIND A-B   random sequences of these seeds, and nothing else
 *	store_conformance KIND full  without room: in a small file system, with quotas
 *
 * tests/lib/ceph starts a test cluster; STEPPE_TEST_CEPH names its configuration. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/store/store_impl.h"
#include "tests/unit/store/conformance.h"

struct conformance pair;
static struct {
	const char *kind, *conf, *data_pool;
	uint64_t first_seed, last_seed; /* of the random sequences */
	char directory[256];            /* of the local store */
} options;

#define SEQUENCE_LENGTH 200

const char *const conformance_attrs[] = {"ep", "len", "last", "state", "a-15-byte-name."};
const struct store_guard guard_absent = {.kind = STORE_ABSENT};
const struct store_guard guard_exists = {.kind = STORE_EXISTS};

void name_object(char *to, size_t size, const char *name)
{
	(void)snprintf(to, size, "%s/%s", pair.prefix, name);
}

void say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(pair.where, sizeof(pair.where), format, args);
	va_end(args);
}

void expect_same(const char *what, int64_t model, int64_t real)
{
	if (model != real)
		fail_msg("%s of the model %lld, of the real store %lld: %s", what, (long long)model,
			(long long)real, pair.where);
}

static void compare_attrs(struct probe_object *model, struct probe_object *real)
{
	for (size_t i = 0; i < ARRAY_LEN(conformance_attrs); i++) {
		size_t model_len, real_len;
		const void *a = store_read_attr(&model->read, conformance_attrs[i], &model_len);
		const void *b = store_read_attr(&real->read, conformance_attrs[i], &real_len);
		assert_non_null(b);
		if (store_attr_compare(a, model_len, b, real_len) != 0)
			fail_msg("attribute %s differs (%zu and %zu bytes): %s",
				conformance_attrs[i], model_len, real_len, pair.where);
	}
}

void compare_object(int pool, const char *name)
{
	struct probe_object model, real;
	probe_get(&pair.model, pool, name, &model);
	probe_get(&pair.real, pool, name, &real);
	expect_same("status of a read", model.status, real.status);
	if (!model.status) {
		expect_same("size", (int64_t)model.size, (int64_t)real.size);
		expect_same(
			"length read", (int64_t)model.read.body->len, (int64_t)real.read.body->len);
		if (memcmp(model.read.body->data, real.read.body->data, model.read.body->len) != 0)
			fail_msg("bytes differ: %s", pair.where);
		compare_attrs(&model, &real);
	}
	probe_drop(&model);
	probe_drop(&real);
}

void compare_range(int pool, const char *name, uint64_t offset, size_t len)
{
	struct buf *model, *real;
	int model_rc = probe_range(&pair.model, pool, name, offset, len, &model);
	int real_rc = probe_range(&pair.real, pool, name, offset, len, &real);
	expect_same("status of a range", model_rc, real_rc);
	if (!real_rc) {
		expect_same("length of a range", (int64_t)model->len, (int64_t)real->len);
		assert_memory_equal(model->data, real->data, real->len);
	}
	buf_unref(&model);
	buf_unref(&real);
}

int write_both(int pool, const char *name, const struct store_edits *edits)
{
	int model = probe_write(&pair.model, pool, name, edits);
	int real = probe_write(&pair.real, pool, name, edits);
	expect_same("status of a write", model, real);
	return real;
}

void prepare(int pool, const char *name, int64_t size, const struct store_attr *attr)
{
	int rc = write_both(pool, name, &(struct store_edits){.body_kind = STORE_BODY_REMOVE});
	assert_true(rc == 0 || rc == -ENOENT);
	if (size < 0)
		return;
	struct slice body = probe_bytes(7, (size_t)size);
	assert_int_equal(write_both(pool, name,
				 &(struct store_edits){.guards = &guard_absent,
					 .guard_count = 1,
					 .attrs = attr,
					 .attr_count = attr ? 1 : 0,
					 .body_kind = STORE_BODY_WRITE_AT,
					 .body = &body,
					 .body_count = 1}),
		0);
	slice_drop(&body);
}

static void test_guards_of_meta(void **state)
{
	(void)state;
	conformance_guards(STORE_META);
}

static void test_guards_of_data(void **state)
{
	(void)state;
	conformance_guards(STORE_DATA);
}

/* A few answers said outright, so that model and store cannot be wrong together. */
static void test_fence(void **state)
{
	(void)state;
	char name[128];
	name_object(name, sizeof(name), "head");
	say("fence");
	struct store_guard below = {
		.kind = STORE_ATTR_BELOW, .attr = "ep", .value = "00000005", .value_len = 8};
	struct store_attr ep = {"ep", "00000005", 8};
	struct store_edits take = {
		.guards = &below, .guard_count = 1, .attrs = &ep, .attr_count = 1};
	prepare(STORE_META, name, -1, NULL);
	assert_int_equal(write_both(STORE_META, name, &take), -ENOENT);
	prepare(STORE_META, name, 4096, &(struct store_attr){"ep", "00000004", 8});
	assert_int_equal(write_both(STORE_META, name, &take), 0);
	assert_int_equal(write_both(STORE_META, name, &take), ERR_GUARD);
	struct store_guard guards[] = {guard_exists,
		{.kind = STORE_ATTR_EQUAL, .attr = "ep", .value = "00000004", .value_len = 8}};
	struct store_edits late = {.guards = guards,
		.guard_count = 2,
		.body_kind = STORE_BODY_WRITE_AT,
		.offset = 4096};
	struct slice body = probe_bytes(1, 4096);
	late.body = &body;
	late.body_count = 1;
	assert_int_equal(write_both(STORE_META, name, &late), ERR_GUARD);
	guards[1].value = "00000005";
	assert_int_equal(write_both(STORE_META, name, &late), 0);
	compare_object(STORE_META, name);
	late.offset = 3 * 4096;
	assert_int_equal(write_both(STORE_META, name, &late), -EINVAL);
	late.guards = &guard_absent;
	late.guard_count = 1;
	assert_int_equal(write_both(STORE_META, name, &late), -EEXIST);
	slice_drop(&body);
	/* of two guards both must hold, and the second is not forgotten */
	struct store_guard two[] = {
		guards[1], {.kind = STORE_ATTR_EQUAL, .attr = "len", .value = "x", .value_len = 1}};
	assert_int_equal(write_both(STORE_META, name,
				 &(struct store_edits){.guards = two, .guard_count = 2}),
		ERR_GUARD);
}

/* Bodies of the limits' sizes, and reads around their ends. */
static void test_sizes(void **state)
{
	(void)state;
	static const size_t sizes[] = {
		0, 1, 4095, 4096, 4097, 65536, (1 << 20) + 1, STORE_OBJECT_MAX};
	char name[128];
	name_object(name, sizeof(name), "sized");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		say("a body of %zu bytes", sizes[i]);
		prepare(STORE_DATA, name, (int64_t)sizes[i], NULL);
		compare_object(STORE_DATA, name);
		const struct {
			uint64_t offset;
			size_t len;
		} ranges[] = {{0, 0}, {0, 1}, {sizes[i], 1}, {sizes[i] / 2, sizes[i]},
			{sizes[i] + 5, 10}, {sizes[i] ? sizes[i] - 1 : 0, 4096}};
		for (size_t r = 0; r < ARRAY_LEN(ranges); r++) {
			say("a body of %zu bytes, %zu from %llu", sizes[i], ranges[r].len,
				(unsigned long long)ranges[r].offset);
			compare_range(STORE_DATA, name, ranges[r].offset, ranges[r].len);
		}
	}
	assert_int_equal(probe_remove(&pair.real, STORE_DATA, name), 0);
	assert_int_equal(probe_remove(&pair.model, STORE_DATA, name), 0);
}

static void test_limits(void **state)
{
	(void)state;
	static char value[STORE_ATTR_VALUE_MAX + 1];
	char name[STORE_NAME_MAX + 2];
	memset(value, 'v', sizeof(value));
	/* the longest name, the largest attributes */
	name_object(name, sizeof(name), "long-");
	size_t len = strlen(name);
	memset(name + len, 'n', STORE_NAME_MAX - len);
	name[STORE_NAME_MAX] = 0;
	struct store_attr attrs[STORE_ATTRS_MAX];
	char names[STORE_ATTRS_MAX][STORE_ATTR_NAME_MAX + 1];
	for (size_t i = 0; i < STORE_ATTRS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "attribute-name%zu", i % 10);
		attrs[i] = (struct store_attr){names[i], value, STORE_ATTR_VALUE_MAX};
	}
	struct store_edits edits = {.guards = &guard_absent,
		.guard_count = 1,
		.attrs = attrs,
		.attr_count = STORE_ATTRS_MAX};
	say("the longest name and the largest attributes");
	prepare(STORE_META, name, -1, NULL);
	assert_int_equal(write_both(STORE_META, name, &edits), 0);
	struct probe_object object;
	probe_get(&pair.real, STORE_META, name, &object);
	assert_int_equal(object.status, 0);
	for (size_t i = 0; i < STORE_ATTRS_MAX; i++) {
		size_t got;
		const void *at = store_read_attr(&object.read, names[i], &got);
		assert_int_equal(got, STORE_ATTR_VALUE_MAX);
		assert_memory_equal(at, value, got);
	}
	probe_drop(&object);
	assert_int_equal(probe_remove(&pair.real, STORE_META, name), 0);
	/* one more of anything is refused, and a body whose end would lie behind the limit */
	attrs[0].len = STORE_ATTR_VALUE_MAX + 1;
	assert_int_equal(write_both(STORE_META, name, &edits), -EINVAL);
	attrs[0].len = 1;
	name[STORE_NAME_MAX] = 'n';
	name[STORE_NAME_MAX + 1] = 0;
	assert_int_equal(write_both(STORE_META, name, &edits), -EINVAL);
	assert_int_equal(write_both(STORE_META, "../escape", &edits), -EINVAL);
	assert_int_equal(write_both(STORE_POOLS_MAX, "pool", &edits), -EINVAL);
	struct slice body = probe_bytes(1, 2);
	edits = (struct store_edits){.body_kind = STORE_BODY_WRITE_AT,
		.offset = STORE_OBJECT_MAX - 1,
		.body = &body,
		.body_count = 1};
	assert_int_equal(write_both(STORE_META, "x", &edits), -EINVAL);
	slice_drop(&body);
}

/* A body of as many parts as may be, of sizes that fit nothing. */
static void test_parts(void **state)
{
	(void)state;
	static struct slice parts[STORE_BODY_PARTS_MAX];
	char name[128];
	name_object(name, sizeof(name), "parts");
	say("many parts");
	for (size_t i = 0; i < STORE_BODY_PARTS_MAX; i++)
		parts[i] = probe_bytes(i, i % 5 ? i % 777 : 0);
	for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
		prepare(pool, name, -1, NULL);
		struct store_edits edits = {.guards = &guard_absent,
			.guard_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = parts,
			.body_count = STORE_BODY_PARTS_MAX};
		assert_int_equal(write_both(pool, name, &edits), 0);
		compare_object(pool, name);
	}
	for (size_t i = 0; i < STORE_BODY_PARTS_MAX; i++) {
		/* the store's references are gone with the answers */
		assert_int_equal(atomic_load(&parts[i].buf->refs), 1);
		slice_drop(&parts[i]);
	}
}

static void test_list(void **state)
{
	(void)state;
	struct probe_listing *model = malloc(sizeof(*model)), *real = malloc(sizeof(*real));
	assert_non_null(model);
	assert_non_null(real);
	char name[128];
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "%s/list/%d", pair.prefix, i);
		say("making %s", name);
		prepare(STORE_META, name, i, NULL);
	}
	static const char *const prefixes[] = {"/list/", "/list/1", "/list/199", "/list/none"};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", pair.prefix, prefixes[i]);
		say("listing %s", name);
		probe_list(&pair.model, STORE_META, name, model);
		probe_list(&pair.real, STORE_META, name, real);
		expect_same("status", model->status, real->status);
		expect_same("count", model->count, real->count);
		for (unsigned k = 0; k < real->count; k++) {
			assert_string_equal(model->entries[k].name, real->entries[k].name);
			expect_same("size", (int64_t)model->entries[k].size,
				(int64_t)real->entries[k].size);
		}
	}
	free(model);
	free(real);
	(void)snprintf(name, sizeof(name), "%s/list/", pair.prefix);
	probe_remove_all(&pair.model, STORE_META, name);
	probe_remove_all(&pair.real, STORE_META, name);
}

static void test_space(void **state)
{
	(void)state;
	for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
		uint64_t total = 0, used = 0;
		assert_int_equal(probe_space(&pair.real, pool, &total, &used), 0);
		assert_in_range(total, 1 << 20, INT64_MAX);
		assert_in_range(used, 0, total);
	}
}

struct sequence_pair conformance_sequences(void)
{
	return (struct sequence_pair){
		.model = &pair.model, .real = &pair.real, .prefix = pair.prefix};
}

static void test_random(void **state)
{
	(void)state;
	struct sequence_pair p = conformance_sequences();
	for (uint64_t seed = options.first_seed; seed <= options.last_seed; seed++) {
		sequence_check(&p, seed, SEQUENCE_LENGTH, SEQUENCE_ANY);
		/* objects of the model's pools count for nothing later, those of real ones do */
		probe_remove_all(&pair.real, STORE_META, pair.prefix);
		probe_remove_all(&pair.real, STORE_DATA, pair.prefix);
	}
}

static void set_quota(const char *pool, unsigned bytes)
{
	char command[512];
	if (!options.conf)
		return;
	(void)snprintf(command, sizeof(command),
		"ceph --conf %s osd pool set-quota %s max_bytes %u >/dev/null 2>&1", options.conf,
		pool, bytes);
	assert_int_equal(system(command), 0);
}

static void full(int pool, const char *pool_name)
{
	set_quota(pool_name, 4 << 20);
	conformance_full(pool);
	set_quota(pool_name, 0);
}

static void test_full_meta(void **state)
{
	(void)state;
	full(STORE_META, "steppe.meta");
}

static void test_full_data(void **state)
{
	(void)state;
	full(STORE_DATA, options.data_pool);
}

/* The store's url. A local one lives in memory unless told otherwise: what disks do to it is
 * test_local_crash's matter. */
static int make_url(char *url, size_t size)
{
	if (options.conf) {
		(void)snprintf(url, size, "rados://?conf=%s&id=steppe&meta=steppe.meta&data=%s",
			options.conf, options.data_pool);
		return 0;
	}
	const char *parent = getenv("TMPDIR");
	if (!parent)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(options.directory, sizeof(options.directory), "%s/steppe-conformance-XXXXXX",
		parent);
	if (!mkdtemp(options.directory))
		return -1;
	(void)snprintf(url, size, "file://%s/store", options.directory);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	char url[512];
	if (make_url(url, sizeof(url)))
		return -1;
	memset(&pair, 0, sizeof(pair));
	probe_open_url(&pair.real, url);
	(void)snprintf(
		pair.prefix, sizeof(pair.prefix), "conformance-%s-%d", options.kind, getpid());
	pair.erasure_coded = strcmp(options.kind, "ec") == 0;
	struct store_model_options model = {.pool_count = 2};
	for (int i = 0; i < 2; i++)
		model.pools[i].alignment = store_alignment(pair.real.store, i);
	model.pools[STORE_DATA].erasure_coded = pair.erasure_coded;
	probe_open_model(&pair.model, &model);
	assert_int_equal(store_alignment(pair.real.store, STORE_META), 4096);
	/* two data stripes of 4 KiB */
	assert_int_equal(
		store_alignment(pair.real.store, STORE_DATA), pair.erasure_coded ? 8192 : 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	probe_remove_all(&pair.real, STORE_META, pair.prefix);
	probe_remove_all(&pair.real, STORE_DATA, pair.prefix);
	probe_close(&pair.real);
	probe_close(&pair.model);
	char command[300];
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", options.directory);
	return options.conf ? 0 : system(command);
}

/* True when the arguments name a kind of store that can be had here. */
static bool take_kind(const char *kind)
{
	options.kind = kind;
	if (strcmp(kind, "local") == 0)
		return true;
	options.data_pool = strcmp(kind, "ec") == 0 ? "steppe.ec" : "steppe.data";
	options.conf = getenv("STEPPE_TEST_CEPH");
	if (!options.conf)
		fprintf(stderr,
			"STEPPE_TEST_CEPH must name the configuration of a running test cluster: "
			"tests/lib/ceph start DIR; eval \"$(tests/lib/ceph env DIR)\"; export "
			"STEPPE_TEST_CEPH\n");
	return options.conf;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_guards_of_meta),
		cmocka_unit_test(test_guards_of_data),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_space),
		cmocka_unit_test(test_random),
	};
	/* each in a store of its own: room that one has taken for its index may not come back */
	const struct CMUnitTest without_room[] = {
		cmocka_unit_test_setup_teardown(test_full_meta, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_data, setup, teardown),
	};
	options.first_seed = 1;
	options.last_seed = 10;
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: store_conformance local|rados|ec [SEED|FIRST-LAST|full]\n");
		return 2;
	}
	if (!take_kind(argv[1]))
		return 1;
	if (argc == 3 && strcmp(argv[2], "full") == 0)
		return cmocka_run_group_tests(without_room, NULL, NULL);
	if (argc == 3) {
		char *end;
		options.first_seed = options.last_seed = strtoull(argv[2], &end, 10);
		if (*end == '-')
			options.last_seed = strtoull(end + 1, NULL, 10);
		cmocka_set_test_filter("test_random");
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
