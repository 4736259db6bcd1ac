/* SPDX-License-Identifier: Apache-2.0 */
/* The local store and power cuts: a random workload is recorded write by write and sync by sync;
 * then the directory is built as a cut at many points may leave it (lost, kept, torn, reordered:
 * tests/lib/crash_disk), opened, and held to this: what was acknowledged is there, what was not is
 * there wholly or not at all, and the store goes on working.
 *
 * STEPPE_CRASH_ALL=1 tries every point in every mode, STEPPE_CRASH_SEED another workload. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/store/store_local_path.h"
#include "tests/lib/crash_disk.h"
#include "tests/unit/store/probe.h"

#define OBJECTS     10
#define ROUNDS      60
#define VERSIONS    (OBJECTS * ROUNDS)
#define SAMPLES     160
#define ALL_REORDER 3 /* reorderings a point, when all are tried */

/* What one object is from one acknowledgement to the next. */
struct version {
	size_t submitted, acked; /* positions in the recording */
	int object;
	bool exists;
	char ver[17];
	uint8_t *body;
	size_t len;
};

static struct version versions[VERSIONS];
static size_t version_count;
static uint64_t random_state;
static char root[64], built[64];

static const struct {
	int pool;
	const char *name;
} objects[OBJECTS] = {{STORE_META, "head/gate-1/main"}, {STORE_META, "head/gate-2/main"},
	{STORE_META, "idx/gate-1/main/20780"}, {STORE_DATA, "chk/gate-1/main/1.1.0"},
	{STORE_DATA, "chk/gate-1/main/1.2.0"}, {STORE_DATA, "chk/gate-2/main/1.1.0"},
	{STORE_DATA, "chk/gate-2/sub/1.1.0"}, {STORE_DATA, "a.mp4/b"}, {STORE_DATA, "a"},
	{STORE_DATA, "a.mp4"}};

static uint64_t draw(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

/* The last version of an object that was acknowledged before `position`, and one that was under way
 * then. */
static void versions_at(size_t position, int object, const struct version **ret_base,
	const struct version **ret_next)
{
	*ret_base = *ret_next = NULL;
	for (size_t i = 0; i < version_count; i++) {
		const struct version *v = &versions[i];
		if (v->object != object)
			continue;
		if (v->acked <= position)
			*ret_base = v;
		else if (v->submitted < position)
			*ret_next = v;
	}
}

/* The workload. */

struct pending {
	struct store_write req;
	struct version *version; /* what it makes of the object; NULL: it is refused */
	struct slice body;
	int *left;
};

static void on_written(struct store_write *req)
{
	struct pending *p = container_of(req, struct pending, req);
	if (p->version) {
		assert_int_equal(req->status, 0);
		p->version->acked = crash_disk_position();
	} else {
		assert_int_equal(req->status, ERR_GUARD);
	}
	--*p->left;
}

/* Draws a body's place and bytes, and the object's bytes after it. */
static void draw_body(struct version *v, const struct version *base, int pool,
	struct store_edits *e, struct slice *body)
{
	size_t old = base && base->exists ? base->len : 0, kind = draw(6);
	size_t len = draw(5) ? 1 + draw(9000) : 1 + draw(40000);
	if (kind == 0 && old) {
		e->body_kind = STORE_BODY_NONE;
		len = 0;
	} else if (kind == 1 && pool == STORE_META) {
		e->body_kind = STORE_BODY_WHOLE;
		old = 0;
	} else {
		e->body_kind = STORE_BODY_WRITE_AT;
		e->offset = kind == 2 ? draw(old + 1) : old;
	}
	v->len = e->offset + len > old ? e->offset + len : old;
	v->body = malloc(v->len + 1);
	if (old)
		memcpy(v->body, base->body, old);
	if (!len)
		return;
	*body = probe_bytes(draw(UINT32_MAX), len);
	memcpy(v->body + e->offset, body->data, len);
	e->body = body;
	e->body_count = 1;
}

static void submit(struct probe *probe, struct pending *p, int object)
{
	const struct version *base, *next;
	versions_at(SIZE_MAX - 1, object, &base, &next);
	bool exists = base && base->exists;
	struct store_guard guard = {.kind = STORE_ABSENT};
	struct store_attr ver = {.name = "ver", .len = 16};
	struct store_edits e = {.guards = &guard, .guard_count = 1};
	p->req.done = on_written;
	p->version = NULL;
	p->body = (struct slice){0};
	if (exists)
		guard = (struct store_guard){STORE_ATTR_EQUAL, "ver", base->ver, 16};
	if (exists && draw(12) == 0) {
		guard.value = "0000000000000000";
		e.body_kind = STORE_BODY_REMOVE;
	} else {
		struct version *v = &versions[version_count];
		*v = (struct version){.object = object, .acked = SIZE_MAX};
		(void)snprintf(v->ver, sizeof(v->ver), "%016zx", ++version_count);
		p->version = v;
		v->exists = !exists || draw(8);
		if (v->exists) {
			draw_body(v, base, objects[object].pool, &e, &p->body);
			ver.value = v->ver;
			e.attrs = &ver;
			e.attr_count = 1;
		} else {
			e.body_kind = STORE_BODY_REMOVE;
		}
		v->submitted = crash_disk_position();
	}
	store_write(probe->store, &p->req, objects[object].pool, objects[object].name, &e);
}

static void run_workload(void)
{
	static const char *const ignored[] = {"lock", "kv.mdb-lock", "reserve", NULL};
	struct probe probe;
	char url[128];
	crash_disk_watch(root, ignored);
	(void)snprintf(url, sizeof(url), "file://%s", root);
	probe_open_url(&probe, url);
	for (int round = 0; round < ROUNDS; round++) {
		struct pending pending[OBJECTS];
		int left = 0, submitted = 0;
		for (int i = 0; i < OBJECTS; i++) {
			if (draw(3) == 0)
				continue;
			pending[submitted].left = &left;
			left++;
			submit(&probe, &pending[submitted++], i);
		}
		while (left)
			uv_run(&probe.uv.uv, UV_RUN_ONCE);
		for (int i = 0; i < submitted; i++)
			slice_drop(&pending[i].body);
	}
	probe_close(&probe);
	crash_disk_stop();
}

/* What is left after a cut. */

static char where[200];

static bool is_version(const struct probe_object *o, const struct version *v)
{
	size_t len;
	if (!v || !v->exists)
		return o->status == -ENOENT;
	if (o->status || o->size != v->len || o->read.body->len != v->len)
		return false;
	const void *ver = store_read_attr(&o->read, "ver", &len);
	return len == 16 && memcmp(ver, v->ver, 16) == 0 &&
	       memcmp(o->read.body->data, v->body, v->len) == 0;
}

static size_t position_now;
static bool found_exists[OBJECTS];

static void check_objects(struct probe *probe)
{
	uint64_t bytes[2] = {0, 0};
	for (int i = 0; i < OBJECTS; i++) {
		const struct version *base, *next;
		struct probe_object o;
		versions_at(position_now, i, &base, &next);
		probe_get(probe, objects[i].pool, objects[i].name, &o);
		if (!is_version(&o, base) && !(next && is_version(&o, next)))
			fail_msg("%s: %s is neither what was acknowledged (%s) nor what was under "
				 "way (%s): status %d, "
				 "size %llu",
				where, objects[i].name,
				base && base->exists ? base->ver : "nothing",
				next ? next->ver : "nothing", o.status, (unsigned long long)o.size);
		found_exists[i] = o.status == 0;
		bytes[objects[i].pool] += o.size;
		probe_drop(&o);
	}
	for (int pool = 0; pool < 2; pool++) {
		uint64_t total, used;
		assert_int_equal(probe_space(probe, pool, &total, &used), 0);
		if (used != bytes[pool])
			fail_msg("%s: pool %d counts %llu bytes of %llu", where, pool,
				(unsigned long long)used, (unsigned long long)bytes[pool]);
	}
}

/* The store goes on: each object takes another write. */
static void write_on(struct probe *probe)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct probe_object before, after;
		struct slice body = probe_bytes((uint64_t)i, 5000);
		struct store_guard guard = {.kind = found_exists[i] ? STORE_EXISTS : STORE_ABSENT};
		probe_get(probe, objects[i].pool, objects[i].name, &before);
		int rc = probe_write(probe, objects[i].pool, objects[i].name,
			&(struct store_edits){.guards = &guard,
				.guard_count = 1,
				.body_kind = STORE_BODY_WRITE_AT,
				.offset = before.size,
				.body = &body,
				.body_count = 1});
		if (rc)
			fail_msg("%s: a write to %s fails: %s", where, objects[i].name,
				err_text(rc));
		probe_get(probe, objects[i].pool, objects[i].name, &after);
		assert_int_equal(after.size, before.size + 5000);
		if (before.size)
			assert_memory_equal(
				after.read.body->data, before.read.body->data, before.size);
		assert_memory_equal(after.read.body->data + before.size, body.data, 5000);
		probe_drop(&before);
		probe_drop(&after);
		slice_drop(&body);
		found_exists[i] = true;
	}
}

/* Every file is an object's, or that of a write that was under way. */
static int check_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)ftw;
	const char *below = path + strlen(built) + strlen("/data/");
	if (kind != FTW_F)
		return 0;
	for (int i = 0; i < OBJECTS; i++) {
		char mine[LOCAL_PATH_MAX], other[LOCAL_PATH_MAX];
		const struct version *base, *next;
		local_path(mine, objects[i].name, 0);
		local_path(other, objects[i].name, 1);
		if (objects[i].pool == STORE_META ||
			(strcmp(mine, below) != 0 && strcmp(other, below) != 0))
			continue;
		versions_at(position_now, i, &base, &next);
		if (found_exists[i] || next)
			return 0;
	}
	fail_msg("%s: %s is nobody's", where, below);
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void try_cut(size_t position, enum crash_mode mode, uint64_t seed)
{
	static const char *const words[] = {"lost", "kept", "reordered"};
	char url[128], data[128];
	struct probe probe;
	position_now = position;
	(void)snprintf(where, sizeof(where), "cut before %zu of %zu, the rest %s (%llu)", position,
		crash_disk_position(), words[mode], (unsigned long long)seed);
	assert_int_equal(mkdir(built, 0700), 0);
	crash_disk_build(position, mode, seed, built);
	(void)snprintf(url, sizeof(url), "file://%s", built);
	probe_open_url(&probe, url);
	check_objects(&probe);
	if (seed % 4 == 0)
		write_on(&probe);
	probe_close(&probe);
	(void)snprintf(data, sizeof(data), "%s/data", built);
	assert_int_equal(nftw(data, check_file, 16, FTW_PHYS), 0);
	if (seed % 4 == 1) {
		/* opening twice changes nothing */
		probe_open_url(&probe, url);
		check_objects(&probe);
		probe_close(&probe);
	}
	remove_tree(built);
}

static void test_every_acknowledged_write_survives(void **state)
{
	(void)state;
	run_workload();
	size_t length = crash_disk_position();
	assert_true(length > 500);
	if (getenv("STEPPE_CRASH_ALL")) {
		for (size_t position = 0; position <= length; position++) {
			try_cut(position, CRASH_LOSE, position);
			try_cut(position, CRASH_KEEP, position + 1);
			for (uint64_t i = 0; i < ALL_REORDER; i++)
				try_cut(position, CRASH_REORDER, ALL_REORDER * position + i);
		}
		return;
	}
	try_cut(0, CRASH_LOSE, 0);
	try_cut(length, CRASH_LOSE, 0);
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t kind = draw(4);
		/* a third near the beginning, where the store is being made */
		size_t position = draw(3) ? draw(length) : draw(40);
		try_cut(position,
			kind == 0   ? CRASH_LOSE
			: kind == 1 ? CRASH_KEEP
				    : CRASH_REORDER,
			draw(1000));
	}
}

static int setup(void **state)
{
	(void)state;
	const char *seed = getenv("STEPPE_CRASH_SEED");
	random_state = seed ? strtoull(seed, NULL, 10) : 1;
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(root, sizeof(root), "%s/steppe-crash-XXXXXX", base);
	if (!mkdtemp(root))
		return -1;
	(void)snprintf(built, sizeof(built), "%.50s.cut", root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	remove_tree(root);
	remove_tree(built);
	crash_disk_forget();
	for (size_t i = 0; i < version_count; i++)
		free(versions[i].body);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_acknowledged_write_survives)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
