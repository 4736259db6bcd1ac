/* SPDX-License-Identifier: Apache-2.0 */
/* The local store on bad disks, and on one that cannot take a removal. */
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, local_watched_setup, local_watched_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_cannot_be_written_fails_alone),
		TEST(an_append_that_fails_leaves_what_was),
		TEST(of_many_files_the_lost_one_fails),
		TEST(a_directory_that_cannot_be_synced_acknowledges_no_new_file),
		TEST(an_index_that_cannot_be_written_changes_nothing),
		TEST(a_commit_in_doubt_is_unknown),
		TEST(a_removal_comes_through_on_a_full_disk),
		TEST(a_removed_file_goes_when_it_can),
		TEST(what_is_left_of_a_cut_file_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
