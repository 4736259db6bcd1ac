/* SPDX-License-Identifier: Apache-2.0 */
/* The local store on bad disks, on full ones, in a hurry, and short of memory. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/store/store_local_files.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/crash_disk.h"
#include "tests/unit/store/local_fixture.h"

static int setup(void **state)
{
	struct local_fixture *f = malloc(sizeof(*f));
	local_begin(f);
	assert_int_equal(mkdir(f->root, 0700), 0);
	crash_disk_watch(f->root, NULL);
	local_open(f, "");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	crash_disk_fault(NULL);
	int rc = local_teardown(state);
	crash_disk_stop();
	crash_disk_forget();
	return rc;
}

/* Two writes at once, of which one meets the fault. */
static void write_two(struct local_fixture *f, struct probe_write w[2], struct slice bodies[2])
{
	static const struct store_guard absent = {.kind = STORE_ABSENT};
	static const char *const names[] = {"chk/good", "chk/bad"};
	for (int i = 0; i < 2; i++) {
		bodies[i] = probe_bytes((uint64_t)i, 70000);
		w[i] = (struct probe_write){.pool = STORE_DATA,
			.name = names[i],
			.edits = {.guards = &absent,
				.guard_count = 1,
				.body_kind = STORE_BODY_WRITE_AT,
				.body = &bodies[i],
				.body_count = 1}};
	}
	probe_write_all(&f->probe, w, 2);
	slice_drop(&bodies[0]);
	slice_drop(&bodies[1]);
}

static void a_file_that_cannot_be_written_fails_alone(void **state)
{
	struct local_fixture *f = *state;
	static const struct {
		enum disk_call call;
		int error, status;
		size_t short_bytes;
	} cases[] = {{DISK_WRITE, EIO, -EIO, 0}, {DISK_WRITE, ENOSPC, -ENOSPC, 0},
		{DISK_WRITE, ENOSPC, -ENOSPC, 5000}, {DISK_WRITE, EDQUOT, -ENOSPC, 0},
		{DISK_SYNC, EIO, -EIO, 0}, {DISK_SYNC, ENOSPC, -ENOSPC, 0},
		{DISK_MAKE, EACCES, -EACCES, 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct probe_write w[2];
		struct slice bodies[2];
		struct disk_fault fault = {.call = cases[i].call,
			.part = "bad",
			.times = 1,
			.error = cases[i].error,
			.short_bytes = cases[i].short_bytes};
		crash_disk_fault(&fault);
		write_two(f, w, bodies);
		assert_int_equal(w[0].status, 0);
		assert_int_equal(w[1].status, cases[i].status);
		assert_true(fault.met >= 1);
		crash_disk_fault(NULL);
		local_assert_body(f, STORE_DATA, "chk/good", 0, 70000);
		assert_int_equal(local_status(f, STORE_DATA, "chk/bad"), -ENOENT);
		assert_false(local_file_exists(f, "chk/bad"));
		/* and it can be made afterwards, in the place of what was left */
		assert_int_equal(local_create(f, STORE_DATA, "chk/bad", 9, 10), 0);
		local_assert_body(f, STORE_DATA, "chk/bad", 9, 10);
		assert_int_equal(probe_remove(&f->probe, STORE_DATA, "chk/bad"), 0);
		assert_int_equal(probe_remove(&f->probe, STORE_DATA, "chk/good"), 0);
	}
}

static void an_append_that_fails_leaves_what_was(void **state)
{
	struct local_fixture *f = *state;
	struct slice more = probe_bytes(2, 9000), other = probe_bytes(3, 100);
	assert_int_equal(local_create(f, STORE_DATA, "chk/bad", 1, 5000), 0);
	struct disk_fault fault = {.call = DISK_WRITE,
		.part = "bad",
		.times = 1,
		.error = ENOSPC,
		.short_bytes = 4000};
	crash_disk_fault(&fault);
	assert_int_equal(local_write_at(f, STORE_DATA, "chk/bad", 5000, &more), -ENOSPC);
	local_assert_body(f, STORE_DATA, "chk/bad", 1, 5000);
	fault = (struct disk_fault){.call = DISK_SYNC, .part = "bad", .times = 1, .error = EIO};
	assert_int_equal(local_write_at(f, STORE_DATA, "chk/bad", 5000, &more), -EIO);
	local_assert_body(f, STORE_DATA, "chk/bad", 1, 5000);
	crash_disk_fault(NULL);
	/* a shorter one then shows nothing of the longer one that failed */
	assert_int_equal(local_write_at(f, STORE_DATA, "chk/bad", 5000, &other), 0);
	char path[300];
	struct stat st;
	local_file_path(f, "chk/bad", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5100);
	slice_drop(&more);
	slice_drop(&other);
}

/* Many files are synced by one sync of their file system; when that fails, it is found one by one
 * whose bytes are lost. */
static void of_many_files_the_lost_one_fails(void **state)
{
	struct local_fixture *f = *state;
	static struct local_files files;
	char path[200];
	local_shut(f);
	(void)snprintf(path, sizeof(path), "%s/data", f->root);
	local_files_init(&files, 32);
	files.dirs[STORE_DATA] = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(files.dirs[STORE_DATA] >= 0);
	for (unsigned lost = 0; lost < 2; lost++) {
		struct local_file *file[8];
		struct slice body = probe_bytes(lost, 20000);
		for (int i = 0; i < 8; i++) {
			char name[32];
			(void)snprintf(
				name, sizeof(name), "chk/%s%u.%d", i == 5 ? "data" : "x", lost, i);
			assert_int_equal(local_files_append(&files,
						 &(struct local_place){STORE_DATA, name, 0}, 0,
						 &body, 1, &file[i]),
				0);
		}
		slice_drop(&body);
		/* by the directory "data" the file system is synced; it is in the name of one file,
		 * too */
		struct disk_fault fault = {
			.call = DISK_SYNC, .part = "data", .times = 1 + lost, .error = EIO};
		crash_disk_fault(&fault);
		assert_int_equal(local_files_sync(&files), lost ? -EIO : 0);
		crash_disk_fault(NULL);
		assert_int_equal(fault.met, 1 + lost);
		for (int i = 0; i < 8; i++)
			assert_int_equal(file[i]->error, lost && i == 5 ? -EIO : 0);
		local_files_synced(&files);
		assert_int_equal(files.open_count, lost ? 15 : 8);
	}
	close(files.dirs[STORE_DATA]);
	local_files_fini(&files);
}

static void a_directory_that_cannot_be_synced_acknowledges_no_new_file(void **state)
{
	struct local_fixture *f = *state;
	assert_int_equal(local_create(f, STORE_DATA, "chk/cam/old", 1, 100), 0);
	struct disk_fault fault = {.call = DISK_SYNC, .part = "cam", .times = 1, .error = EIO};
	crash_disk_fault(&fault);
	assert_int_equal(local_create(f, STORE_DATA, "chk/cam/new", 1, 100), -EIO);
	assert_int_equal(local_status(f, STORE_DATA, "chk/cam/new"), -ENOENT);
	assert_int_equal(local_create(f, STORE_DATA, "chk/cam/new", 1, 100), 0);
}

static void an_index_that_cannot_be_written_changes_nothing(void **state)
{
	struct local_fixture *f = *state;
	assert_int_equal(local_create(f, STORE_META, "head/a", 1, 4096), 0);
	/* the pages; the page that switches to them is another call */
	struct disk_fault fault = {.call = DISK_WRITE, .part = "kv.mdb", .times = 1, .error = EIO};
	crash_disk_fault(&fault);
	assert_int_equal(local_create(f, STORE_META, "head/b", 1, 4096), -EIO);
	fault = (struct disk_fault){.call = DISK_SYNC, .part = "kv.mdb", .times = 1, .error = EIO};
	assert_int_equal(local_create(f, STORE_META, "head/b", 1, 4096), -EIO);
	crash_disk_fault(NULL);
	assert_int_equal(local_status(f, STORE_META, "head/b"), -ENOENT);
	local_assert_body(f, STORE_META, "head/a", 1, 4096);
	assert_int_equal(local_create(f, STORE_META, "head/b", 1, 4096), 0);
	local_shut(f);
	local_open(f, "");
	local_assert_body(f, STORE_META, "head/b", 1, 4096);
}

/* After the last page of a commit nobody knows: the answer says so, and the store takes no more. */
static void a_commit_in_doubt_is_unknown(void **state)
{
	struct local_fixture *f = *state;
	assert_int_equal(local_create(f, STORE_META, "head/a", 1, 4096), 0);
	bool seen = false;
	for (unsigned skip = 0; skip < 40 && !seen; skip++) {
		struct disk_fault fault = {.call = DISK_WRITE,
			.part = "kv.mdb",
			.skip = skip,
			.times = 1000,
			.error = EIO};
		char name[32];
		crash_disk_fault(&fault);
		(void)snprintf(name, sizeof(name), "head/b%u", skip);
		int rc = local_create(f, STORE_META, name, 1, 4096);
		crash_disk_fault(NULL);
		if (!rc)
			break; /* fewer writes than that in a commit */
		assert_true(rc == -EIO || rc == ERR_UNKNOWN);
		seen = rc == ERR_UNKNOWN;
		if (!seen)
			assert_int_equal(local_status(f, STORE_META, name), -ENOENT);
	}
	assert_true(seen);
	assert_int_equal(local_create(f, STORE_META, "head/c", 1, 4096), -EIO);
	local_shut(f);
	local_open(f, "");
	local_assert_body(f, STORE_META, "head/a", 1, 4096);
	assert_int_equal(local_create(f, STORE_META, "head/c", 1, 4096), 0);
}

/* On a disk without room for the index even a removal would fail, but for the reserve. */
static void a_removal_comes_through_on_a_full_disk(void **state)
{
	struct local_fixture *f = *state;
	assert_int_equal(local_create(f, STORE_DATA, "chk/a", 1, 100000), 0);
	struct probe_write w[2];
	struct slice body = probe_bytes(1, 50000);
	const struct store_guard absent = {.kind = STORE_ABSENT};
	for (int i = 0; i < 2; i++)
		w[i] = (struct probe_write){.pool = i ? STORE_DATA : STORE_META,
			.name = i ? "chk/a" : "idx/b",
			.edits = {.body_kind = STORE_BODY_REMOVE}};
	w[0].edits = (struct store_edits){.guards = &absent,
		.guard_count = 1,
		.body_kind = STORE_BODY_WRITE_AT,
		.body = &body,
		.body_count = 1};
	/* the first attempt and the one after giving the reserve away fail; the removal alone comes
	 * through */
	struct disk_fault fault = {
		.call = DISK_WRITE, .part = "kv.mdb", .times = 2, .error = ENOSPC};
	char reserve[200];
	(void)snprintf(reserve, sizeof(reserve), "%s/reserve", f->root);
	assert_int_equal(access(reserve, F_OK), 0);
	crash_disk_fault(&fault);
	probe_write_all(&f->probe, w, 2);
	crash_disk_fault(NULL);
	assert_int_equal(fault.met, 2);
	assert_int_equal(w[0].status, -ENOSPC);
	assert_int_equal(w[1].status, 0);
	slice_drop(&body);
	assert_int_equal(local_status(f, STORE_META, "idx/b"), -ENOENT);
	assert_int_equal(local_status(f, STORE_DATA, "chk/a"), -ENOENT);
	assert_int_equal(local_create(f, STORE_META, "idx/b", 1, 10), 0);
	assert_int_equal(access(reserve, F_OK), 0);
}

static void a_removed_file_goes_when_it_can(void **state)
{
	struct local_fixture *f = *state;
	assert_int_equal(local_create(f, STORE_DATA, "chk/bad", 1, 1000), 0);
	struct disk_fault fault = {.call = DISK_UNLINK, .part = "bad", .times = 1, .error = EIO};
	crash_disk_fault(&fault);
	assert_int_equal(probe_remove(&f->probe, STORE_DATA, "chk/bad"), 0);
	assert_int_equal(local_status(f, STORE_DATA, "chk/bad"), -ENOENT);
	local_shut(f);
	crash_disk_fault(NULL);
	assert_int_equal(fault.met, 1);
	assert_true(local_file_exists(f, "chk/bad"));
	local_open(f, "");
	local_shut(f);
	assert_false(local_file_exists(f, "chk/bad"));
}

/* As another store: a body that was cut has what is left of it, and its own size. */
static void what_is_left_of_a_cut_file_is_read(void **state)
{
	struct local_fixture *f = *state;
	struct slice body = probe_bytes(2, 100);
	struct probe_object o;
	char path[300];
	assert_int_equal(local_create(f, STORE_DATA, "chk/a", 1, 10000), 0);
	local_file_path(f, "chk/a", path, sizeof(path));
	for (int left = 5000; left >= 0; left -= 5000) {
		assert_int_equal(left ? truncate(path, left) : unlink(path), 0);
		probe_get(&f->probe, STORE_DATA, "chk/a", &o);
		assert_int_equal(o.status, 0);
		assert_int_equal(o.size, left);
		assert_int_equal(o.read.body->len, left);
		struct slice whole = probe_bytes(1, 10000);
		assert_memory_equal(o.read.body->data, whole.data, left);
		slice_drop(&whole);
		probe_drop(&o);
		local_shut(f);
		local_open(f, "");
		assert_int_equal(local_write_at(f, STORE_DATA, "chk/a", 10000, &body), -EIO);
	}
	assert_int_equal(probe_remove(&f->probe, STORE_DATA, "chk/a"), 0);
	slice_drop(&body);
}

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

/* A real file system that fills up. */
static void a_full_disk_refuses_and_still_removes(void **state)
{
	struct local_fixture *f = *state;
	char url[200], place[100];
	static struct local_fixture small;
	(void)snprintf(place, sizeof(place), "%s/small", f->top);
	assert_int_equal(mkdir(place, 0700), 0);
	if (mount("none", place, "tmpfs", 0, "size=24m"))
		skip(); /* only root may */
	(void)snprintf(url, sizeof(url), "file://%s/video", place);
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
	assert_int_equal(umount(place), 0);
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
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(a_file_that_cannot_be_written_fails_alone),
		TEST(an_append_that_fails_leaves_what_was), TEST(of_many_files_the_lost_one_fails),
		TEST(a_directory_that_cannot_be_synced_acknowledges_no_new_file),
		TEST(an_index_that_cannot_be_written_changes_nothing),
		TEST(a_commit_in_doubt_is_unknown), TEST(a_removal_comes_through_on_a_full_disk),
		TEST(a_removed_file_goes_when_it_can), TEST(what_is_left_of_a_cut_file_is_read),
		TEST(a_full_pool_takes_what_does_not_grow),
		TEST(a_full_disk_refuses_and_still_removes), TEST(the_map_grows_with_what_is_in_it),
		TEST(a_reader_sees_one_version), TEST(a_closing_store_answers_first),
		TEST(memory_runs_out_at_each_point)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
