/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the local store: whose directory it is, and words for a person when it cannot be. */
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
#include "tests/unit/store/local_fixture.h"

static char why[300];

static int open_status(const char *url)
{
	struct store_backend *backend = NULL;
	why[0] = 0;
	int rc = store_backend_open(url, &backend, why, sizeof(why));
	if (!rc)
		store_backend_close(&backend);
	else
		assert_int_not_equal(why[0], 0);
	assert_null(backend);
	return rc;
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void what_was_written_is_there_again(void **state)
{
	struct local_fixture *f = *state;
	local_open(f, "");
	assert_int_equal(local_create(f, STORE_META, "head/x", 1, 4096), 0);
	assert_int_equal(local_create(f, STORE_META, "idx/x", 2, 100000), 0);
	assert_int_equal(local_create(f, STORE_DATA, "chk/x/main/1.1.0", 3, 300000), 0);
	assert_int_equal(local_create(f, STORE_DATA, "chk/x/main/1.2.0", 4, 0), 0);
	local_shut(f);
	local_open(f, "");
	local_assert_body(f, STORE_META, "head/x", 1, 4096);
	local_assert_body(f, STORE_META, "idx/x", 2, 100000);
	local_assert_body(f, STORE_DATA, "chk/x/main/1.1.0", 3, 300000);
	local_assert_body(f, STORE_DATA, "chk/x/main/1.2.0", 4, 0);
	assert_true(local_file_exists(f, "chk/x/main/1.1.0"));
	assert_false(local_file_exists(f, "chk/x/main/1.2.0"));
}

static void a_second_daemon_is_told_who_has_it(void **state)
{
	struct local_fixture *f = *state;
	char pid[32];
	local_open(f, "");
	assert_int_equal(open_status(f->url), -EBUSY);
	(void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(why, pid));
	local_shut(f);
	assert_int_equal(open_status(f->url), 0);
}

static void the_url_is_judged(void **state)
{
	struct local_fixture *f = *state;
	char url[600];
	assert_int_equal(open_status("file://relative/path"), ERR_CONFIG);
	assert_int_equal(open_status("file://"), ERR_CONFIG);
	(void)snprintf(url, sizeof(url), "file://%s/none/video", f->top);
	assert_int_equal(open_status(url), -ENOENT);
	assert_non_null(strstr(why, "above"));
	(void)snprintf(url, sizeof(url), "file://%s?quota=12x", f->root);
	assert_int_equal(open_status(url), ERR_CONFIG);
	(void)snprintf(url, sizeof(url), "file://%s?quota=-1", f->root);
	assert_int_equal(open_status(url), ERR_CONFIG);
	(void)snprintf(url, sizeof(url), "file://%s?speed=fast", f->root);
	assert_int_equal(open_status(url), ERR_CONFIG);
	assert_non_null(strstr(why, "speed"));
}

static void anothers_directory_is_left_alone(void **state)
{
	struct local_fixture *f = *state;
	char path[200], url[200];
	(void)snprintf(url, sizeof(url), "file://%s", f->root);
	assert_int_equal(mkdir(f->root, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/holiday.jpg", f->root);
	put_file(path, "x");
	assert_int_equal(open_status(url), ERR_CONFIG);
	assert_non_null(strstr(why, "holiday.jpg"));
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/lost+found", f->root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(open_status(url), 0);
	(void)snprintf(path, sizeof(path), "%s/steppe-store", f->root);
	put_file(path, "steppe local store\nlevel 2\n");
	assert_int_equal(open_status(url), ERR_VERSION);
	(void)snprintf(url, sizeof(url), "file://%s/steppe-store", f->root);
	assert_int_equal(open_status(url), -ENOTDIR);
}

static void an_index_that_is_missing_or_broken_is_said(void **state)
{
	struct local_fixture *f = *state;
	char path[200], kept[200];
	local_open(f, "");
	assert_int_equal(local_create(f, STORE_META, "head/x", 1, 4096), 0);
	local_shut(f);
	(void)snprintf(path, sizeof(path), "%s/kv.mdb", f->root);
	(void)snprintf(kept, sizeof(kept), "%s/kept", f->top);
	assert_int_equal(rename(path, kept), 0);
	assert_int_equal(open_status(f->url), -ENOENT);
	assert_non_null(strstr(why, "kv.mdb"));
	put_file(path,
		"this is no index at all, but it is there and long enough to have been one once");
	assert_int_not_equal(open_status(f->url), 0);
	assert_int_equal(rename(kept, path), 0);
	local_open(f, "");
	local_assert_body(f, STORE_META, "head/x", 1, 4096);
}

static void a_cold_pool_lives_elsewhere(void **state)
{
	struct local_fixture *f = *state;
	char query[200], cold[100], moved[100];
	(void)snprintf(cold, sizeof(cold), "%s/cold", f->top);
	(void)snprintf(moved, sizeof(moved), "%s/moved", f->top);
	(void)snprintf(query, sizeof(query), "?cold=%s", cold);
	local_open(f, query);
	assert_int_equal(store_pool_count(f->probe.store), 3);
	assert_int_equal(local_create(f, STORE_COLD, "chk/x/main/1.1.0", 3, 5000), 0);
	assert_int_equal(local_create(f, STORE_DATA, "chk/x/main/1.1.0", 4, 6000), 0);
	local_assert_body(f, STORE_COLD, "chk/x/main/1.1.0", 3, 5000);
	local_assert_body(f, STORE_DATA, "chk/x/main/1.1.0", 4, 6000);
	assert_int_equal(probe_remove(&f->probe, STORE_DATA, "chk/x/main/1.1.0"), 0);
	local_assert_body(f, STORE_COLD, "chk/x/main/1.1.0", 3, 5000);
	local_shut(f);
	/* forgotten, not mounted, another's */
	char url[200];
	(void)snprintf(url, sizeof(url), "file://%s", f->root);
	assert_int_equal(open_status(url), ERR_CONFIG);
	assert_non_null(strstr(why, "cold"));
	assert_int_equal(rename(cold, moved), 0);
	assert_int_equal(open_status(f->url), ERR_CONFIG);
	assert_non_null(strstr(why, "mounted"));
	(void)snprintf(url, sizeof(url), "file://%s/other?cold=%s", f->top, moved);
	assert_int_equal(open_status(url), ERR_CONFIG);
	assert_non_null(strstr(why, "another"));
	(void)snprintf(url, sizeof(url), "file://%s?cold=%s", f->root, moved);
	assert_int_equal(open_status(url), 0);
}

/* A store that level 1 wrote (docs/format/local-store.md), as every later program must read it.
 * STEPPE_GOLDEN_WRITE=1 writes it anew. */
static const struct {
	int pool;
	const char *name;
	size_t len;
} golden[] = {{STORE_META, "head/gate-7/main", 4096}, {STORE_META, "idx/gate-7/main/20780", 20000},
	{STORE_META, "cat/empty", 0},
	{STORE_DATA, "chk/gate-7/main/0000000000000001.00000001.0000", 3000}};

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	static uint8_t bytes[1 << 20];
	char from[600], to[600];
	(void)snprintf(from, sizeof(from), "%s/%s", from_dir, name);
	(void)snprintf(to, sizeof(to), "%s/%s", to_dir, name);
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(in >= 0 && out >= 0);
	ssize_t n = read(in, bytes, sizeof(bytes));
	assert_true(n > 0 && write(out, bytes, (size_t)n) == n);
	close(in);
	close(out);
}

static void copy_store(const char *from, const char *to)
{
	static const char *const dirs[] = {
		"", "/data", "/data/chk", "/data/chk/gate-7", "/data/chk/gate-7/main"};
	char path[600];
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", to, dirs[i]);
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	}
	copy_file(from, to, "steppe-store");
	copy_file(from, to, "kv.mdb");
	copy_file(from, to, "data/chk/gate-7/main/0000000000000001.00000001.0000.mp4");
}

static void the_golden_store_is_read(void **state)
{
	struct local_fixture *f = *state;
	const char *dir = GOLDEN "/local-store-1";
	const struct store_guard absent = {.kind = STORE_ABSENT};
	if (getenv("STEPPE_GOLDEN_WRITE")) {
		local_open(f, "");
		for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
			struct slice body = probe_bytes(i, golden[i].len);
			struct store_edits make = {.guards = &absent,
				.guard_count = 1,
				.attrs = &(struct store_attr){"ver", golden[i].name, 8},
				.attr_count = 1,
				.body_kind = STORE_BODY_WRITE_AT,
				.body = &body,
				.body_count = 1};
			assert_int_equal(
				probe_write(&f->probe, golden[i].pool, golden[i].name, &make), 0);
			slice_drop(&body);
		}
		local_shut(f);
		copy_store(f->root, dir);
	} else {
		copy_store(dir, f->root);
	}
	local_open(f, "");
	for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
		struct probe_object o;
		size_t len;
		local_assert_body(f, golden[i].pool, golden[i].name, i, golden[i].len);
		probe_get(&f->probe, golden[i].pool, golden[i].name, &o);
		assert_memory_equal(store_read_attr(&o.read, "ver", &len), golden[i].name, 8);
		assert_int_equal(len, 8);
		probe_drop(&o);
		assert_int_equal(probe_remove(&f->probe, golden[i].pool, golden[i].name), 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)
	const struct CMUnitTest tests[] = {TEST(what_was_written_is_there_again),
		TEST(a_second_daemon_is_told_who_has_it), TEST(the_url_is_judged),
		TEST(anothers_directory_is_left_alone),
		TEST(an_index_that_is_missing_or_broken_is_said), TEST(a_cold_pool_lives_elsewhere),
		TEST(the_golden_store_is_read)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
