/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/local_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storaged/store/store_local_path.h"
#include "tests/lib/crash_disk.h"

void local_begin(struct local_fixture *f)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	*f = (struct local_fixture){0};
	(void)snprintf(f->top, sizeof(f->top), "%s/steppe-local-XXXXXX", base);
	assert_non_null(mkdtemp(f->top));
	(void)snprintf(f->root, sizeof(f->root), "%s/video", f->top);
}

void local_open(struct local_fixture *f, const char *query)
{
	(void)snprintf(f->url, sizeof(f->url), "file://%s%s", f->root, query);
	probe_open_url(&f->probe, f->url);
	f->is_open = true;
}

void local_shut(struct local_fixture *f)
{
	if (f->is_open)
		probe_close(&f->probe);
	f->is_open = false;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

void local_end(struct local_fixture *f)
{
	local_shut(f);
	(void)nftw(f->top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int local_setup(void **state)
{
	struct local_fixture *f = malloc(sizeof(*f));
	local_begin(f);
	*state = f;
	return 0;
}

int local_teardown(void **state)
{
	local_end(*state);
	free(*state);
	return 0;
}

int local_create(struct local_fixture *f, int pool, const char *name, uint64_t seed, size_t len)
{
	const struct store_guard absent = {.kind = STORE_ABSENT};
	struct slice body = probe_bytes(seed, len);
	int rc = probe_write(&f->probe, pool, name,
		&(struct store_edits){.guards = &absent,
			.guard_count = 1,
			.body_kind = STORE_BODY_WRITE_AT,
			.body = &body,
			.body_count = 1});
	slice_drop(&body);
	return rc;
}

int local_write_at(
	struct local_fixture *f, int pool, const char *name, uint64_t offset, struct slice *body)
{
	return probe_write(&f->probe, pool, name,
		&(struct store_edits){.body_kind = STORE_BODY_WRITE_AT,
			.offset = offset,
			.body = body,
			.body_count = 1});
}

void local_assert_body(
	struct local_fixture *f, int pool, const char *name, uint64_t seed, size_t len)
{
	struct probe_object o;
	struct slice body = probe_bytes(seed, len);
	probe_get(&f->probe, pool, name, &o);
	assert_int_equal(o.status, 0);
	assert_int_equal(o.size, len);
	assert_int_equal(o.read.body->len, len);
	assert_memory_equal(o.read.body->data, body.data, len);
	probe_drop(&o);
	slice_drop(&body);
}

int local_status(struct local_fixture *f, int pool, const char *name)
{
	struct probe_object o;
	probe_get(&f->probe, pool, name, &o);
	probe_drop(&o);
	return o.status;
}

void local_file_path(struct local_fixture *f, const char *name, char *to, size_t size)
{
	char path[LOCAL_PATH_MAX];
	local_path(path, name, 0);
	(void)snprintf(to, size, "%s/data/%s", f->root, path);
}

bool local_file_exists(struct local_fixture *f, const char *name)
{
	char path[512];
	local_file_path(f, name, path, sizeof(path));
	return access(path, F_OK) == 0;
}

int local_watched_setup(void **state)
{
	struct local_fixture *f = malloc(sizeof(*f));
	local_begin(f);
	assert_int_equal(mkdir(f->root, 0700), 0);
	crash_disk_watch(f->root, NULL);
	local_open(f, "");
	*state = f;
	return 0;
}

int local_watched_teardown(void **state)
{
	crash_disk_fault(NULL);
	int rc = local_teardown(state);
	crash_disk_stop();
	crash_disk_forget();
	return rc;
}
