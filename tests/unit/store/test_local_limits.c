/* SPDX-License-Identifier: Apache-2.0 */
/* The local store on full disks, in a hurry, and short of memory. */
#include <errno.h>
#include <fcntl.h>
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
#include "storaged/store/store_local_files.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/crash_disk.h"
#include "tests/unit/store/local_fixture.h"

static void a_full_pool_takes_what_does_not_grow(void **state)
{
	struct local_fixture *f = *state;
	struct slice one = probe_bytes(5, 1);
	local_shut(f);
	local_open(f, "?quota=20000");
	for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
		uint64_t total, used;
		assert_int_equal(local_create(f, pool, "big", 1, 20001), -ENOSPC);
		assert_int_equal(local_create(f, pool, "a", 1, 20000), 0);
		assert_int_equal(local_write_at(f, pool, "a", 20000, &one), -ENOSPC);
		assert_int_equal(local_create(f, pool, "b", 1, 0), -ENOSPC);
		assert_int_equal(local_write_at(f, pool, "a", 5, &one), 0);
		assert_int_equal(
			probe_write(&f->probe, pool, "a",
				&(struct store_edits){.attrs = &(struct store_attr){"x", "y", 1},
					.attr_count = 1}),
			0);
		assert_int_equal(probe_space(&f->probe, pool, &total, &used), 0);
		assert_int_equal(total, 20000);
		assert_int_equal(used, 20000);
		assert_int_equal(probe_remove(&f->probe, pool, "a"), 0);
		assert_int_equal(local_create(f, pool, "b", 1, 20000), 0);
	}
	slice_drop(&one);
}

/* A file system that fills up. */
static void a_full_disk_refuses_and_still_removes(void **state)
{
	struct local_fixture *f = *state;
	char url[200], place[100];
	static struct local_fixture small;
	(void)snprintf(place, sizeof(place), "%s/small", f->top);
	assert_int_equal(mkdir(place, 0700), 0);
	crash_disk_stop();
	crash_disk_forget();
	crash_disk_watch(place, NULL);
	crash_disk_size(24 << 20);
	(void)snprintf(url, sizeof(url), "file://%s", place);
	probe_open_url(&small.probe, url);
	char name[32];
	int made = 0, rc = 0;
	for (; !rc && made < 100; made++) {
		(void)snprintf(name, sizeof(name), "chk/%d", made);
		rc = local_create(&small, STORE_DATA, name, (uint64_t)made, 1 << 20);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_in_range(made, 10, 24);
	/* what is left takes small objects, for a while; one that is there can be written again
	 * even then */
	rc = 0;
	for (int i = 0; !rc && i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "head/%d", i);
		rc = local_create(&small, STORE_META, name, 1, 4096);
	}
	assert_int_equal(rc, -ENOSPC);
	struct slice head = probe_bytes(2, 4096);
	for (int i = 0; i < 200; i++)
		assert_int_equal(local_write_at(&small, STORE_META, "head/0", 0, &head), 0);
	slice_drop(&head);
	for (int i = 0; i < made - 1; i++) {
		(void)snprintf(name, sizeof(name), "chk/%d", i);
		local_assert_body(&small, STORE_DATA, name, (uint64_t)i, 1 << 20);
		assert_int_equal(probe_remove(&small.probe, STORE_DATA, name), 0);
	}
	assert_int_equal(local_create(&small, STORE_META, "head/x", 1, 4096), 0);
	assert_int_equal(local_create(&small, STORE_DATA, "chk/x", 1, 1 << 20), 0);
	probe_close(&small.probe);
}

static void the_map_grows_with_what_is_in_it(void **state)
{
	struct local_fixture *f = *state;
	char name[32];
	crash_disk_stop();
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "cat/%d", i);
		assert_int_equal(local_create(f, STORE_META, name, (uint64_t)i, 5 << 20), 0);
	}
	local_shut(f);
	local_open(f, "");
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "cat/%d", i);
		local_assert_body(f, STORE_META, name, (uint64_t)i, 5 << 20);
	}
}

/* A reader sees one version or the other, whatever the writer does to the object. */
struct racing {
	struct store_read read;
	struct local_fixture *f;
	unsigned seen; /* reads that found the object; enough of them and it is done */
	bool done;
};

#define RACES 60

static void on_raced(struct store_read *req)
{
	struct racing *r = container_of(req, struct racing, read);
	assert_true(req->status == 0 || req->status == -ENOENT);
	if (req->status == 0) {
		assert_int_equal(req->body->len, req->size);
		for (size_t i = 1; i < req->body->len; i++)
			assert_int_equal(req->body->data[i], req->body->data[0]);
		r->seen++;
	}
	store_read_release(req);
	r->done = r->seen == RACES;
	if (!r->done)
		store_read(r->f->probe.store, &r->read, STORE_DATA, "chk/raced");
}

static void a_reader_sees_one_version(void **state)
{
	struct local_fixture *f = *state;
	struct racing readers[4] = {0};
	struct buf *b = buf_new(30000);
	crash_disk_stop();
	for (int i = 0; i < 4; i++) {
		readers[i].f = f;
		readers[i].read = (struct store_read){.done = on_raced,
			.want_attrs = true,
			.want_body = true,
			.len = STORE_OBJECT_MAX};
		store_read(f->probe.store, &readers[i].read, STORE_DATA, "chk/raced");
	}
	const struct store_guard absent = {.kind = STORE_ABSENT};
	for (int round = 0;
		!readers[0].done || !readers[1].done || !readers[2].done || !readers[3].done;
		round++) {
		memset(b->data, round, 30000);
		struct slice body = {
			.buf = b, .data = b->data, .len = 30000 - (size_t)(round % 100)};
		struct store_edits make = {.guards = &absent,
			.guard_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &body,
			.body_count = 1};
		assert_int_equal(probe_write(&f->probe, STORE_DATA, "chk/raced", &make), 0);
		/* the whole of it, in place: it moves to its other file */
		memset(b->data, round + 1, 30000);
		struct store_edits over = {
			.body_kind = STORE_BODY_WRITE_AT, .body = &body, .body_count = 1};
		assert_int_equal(probe_write(&f->probe, STORE_DATA, "chk/raced", &over), 0);
		assert_int_equal(probe_remove(&f->probe, STORE_DATA, "chk/raced"), 0);
	}
	buf_unref(&b);
}

/* A store that closes answers everything once, then says closed. */
struct closing {
	struct store_write write;
	struct store_read read;
	int *left;
};

static void closing_written(struct store_write *req)
{
	assert_true(req->status == 0 || req->status == -ECANCELED);
	--*container_of(req, struct closing, write)->left;
}

static void closing_read(struct store_read *req)
{
	assert_true(req->status == 0 || req->status == -ENOENT || req->status == -ECANCELED);
	store_read_release(req);
	--*container_of(req, struct closing, read)->left;
}

static void a_closing_store_answers_first(void **state)
{
	struct local_fixture *f = *state;
	struct closing all[200];
	struct slice body = probe_bytes(1, 20000);
	int left = 400;
	const struct store_guard absent = {.kind = STORE_ABSENT};
	char names[200][16];
	for (int i = 0; i < 200; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "chk/%d", i);
		all[i] = (struct closing){.write = {.done = closing_written},
			.read = {.done = closing_read, .want_body = true, .len = 100},
			.left = &left};
		store_write(f->probe.store, &all[i].write, STORE_DATA, names[i],
			&(struct store_edits){.guards = &absent,
				.guard_count = 1,
				.body_kind = STORE_BODY_WRITE_AT,
				.body = &body,
				.body_count = 1});
		store_read(f->probe.store, &all[i].read, STORE_DATA, names[i]);
	}
	slice_drop(&body);
	local_shut(f);
	assert_int_equal(left, 0);
	crash_disk_stop();
	crash_disk_forget();
	local_open(f, "");
	for (int i = 0; i < 200; i++) {
		if (all[i].write.status == 0)
			local_assert_body(f, STORE_DATA, names[i], 1, 20000);
		else
			assert_int_equal(local_status(f, STORE_DATA, names[i]), -ENOENT);
	}
}

static void short_of_memory(void *user)
{
	struct local_fixture *f = user;
	char why[200];
	struct probe p = {0};
	if (loop_uv_init(&p.uv))
		return;
	int rc = store_backend_open(f->url, &p.backend, why, sizeof(why));
	if (!rc) {
		p.store = store_new(p.backend, &p.uv.loop);
		if (!p.store)
			store_backend_close(&p.backend);
	}
	if (p.store) {
		const struct store_guard absent = {.kind = STORE_ABSENT};
		static uint8_t bytes[3000];
		struct slice body = {.data = bytes, .len = sizeof(bytes)};
		struct store_edits make = {.guards = &absent,
			.guard_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &body,
			.body_count = 1};
		for (int pool = STORE_META; pool <= STORE_DATA; pool++) {
			int made = probe_write(&p, pool, "x/y", &make);
			assert_true(made == 0 || made == -ENOMEM);
			struct buf *back = NULL;
			int read = probe_range(&p, pool, "x/y", 0, 5000, &back);
			assert_true(read == 0 || read == -ENOMEM || (made && read == -ENOENT));
			buf_unref(&back);
			int removed = probe_remove(&p, pool, "x/y");
			assert_true(
				removed == 0 || removed == -ENOMEM || (made && removed == -ENOENT));
			if (removed == -ENOMEM)
				assert_true(probe_remove(&p, pool, "x/y") !=
					    1); /* for the next round */
		}
		p.closed.run = NULL;
		probe_close(&p);
	} else {
		assert_int_equal(rc ? rc : -ENOMEM, -ENOMEM);
		loop_uv_fini(&p.uv);
	}
	assert_null(p.backend);
}

static void memory_runs_out_at_each_point(void **state)
{
	struct local_fixture *f = *state;
	local_shut(f);
	crash_disk_stop();
	/* once each: with all allocations failing nothing more than opening could be tried */
	for (unsigned k = 0;; k++) {
		alloc_fail_after(k, ALLOC_FAIL_ONCE);
		short_of_memory(f);
		if (!alloc_fail_stop())
			break;
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, local_watched_setup, local_watched_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_full_pool_takes_what_does_not_grow),
		TEST(a_full_disk_refuses_and_still_removes),
		TEST(the_map_grows_with_what_is_in_it),
		TEST(a_reader_sees_one_version),
		TEST(a_closing_store_answers_first),
		TEST(memory_runs_out_at_each_point),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
