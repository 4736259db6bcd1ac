/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's settings: whatever the file holds is taken or refused with words, and what was taken
 * is written so that it reads the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storaged/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c, again;
	char why[256] = "", *text = NULL, *text_again = NULL;
	size_t len = 0, len_again = 0;
	CHECK(config_init(&c) == 0 && config_init(&again) == 0);
	int rc = config_read_text(&c, "fuzz", (const char *)data, size, why, sizeof(why));
	CHECK(rc == 0 || why[0]);
	(void)config_finish(&c, why, sizeof(why));
	FILE *to = open_memstream(&text, &len);
	CHECK(to);
	config_write(&c, to);
	fclose(to);
	CHECK(config_read_text(&again, "again", text, len, why, sizeof(why)) == 0);
	to = open_memstream(&text_again, &len_again);
	CHECK(to);
	config_write(&again, to);
	fclose(to);
	CHECK(len == len_again && memcmp(text, text_again, len) == 0);
	free(text);
	free(text_again);
	config_fini(&c);
	config_fini(&again);
	return 0;
}
