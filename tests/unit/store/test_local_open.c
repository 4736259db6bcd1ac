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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)
	const struct CMUnitTest tests[] = {TEST(what_was_written_is_there_again),
		TEST(a_second_daemon_is_told_who_has_it), TEST(the_url_is_judged),
		TEST(anothers_directory_is_left_alone),
		TEST(an_index_that_is_missing_or_broken_is_said),
		TEST(a_cold_pool_lives_elsewhere)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
