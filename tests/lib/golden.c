/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void golden_check(const char *name, const void *data, size_t len)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	FILE *f = fopen(path, "rb");
	if (!f && getenv("STEPPE_GOLDEN_WRITE")) {
		f = fopen(path, "wb");
		assert_non_null(f);
		assert_int_equal(fwrite(data, 1, len, f), len);
		assert_int_equal(fclose(f), 0);
		return;
	}
	if (!f)
		fail_msg("no golden file %s", path);
	uint8_t *want = malloc(len + 1);
	assert_non_null(want);
	size_t got = fread(want, 1, len + 1, f);
	fclose(f);
	assert_int_equal(got, len);
	assert_memory_equal(want, data, len);
	free(want);
}

size_t golden_read(const char *name, void *to, size_t room)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("no golden file %s", path);
	size_t len = fread(to, 1, room, f);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	return len;
}
