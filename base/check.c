/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *function, const char *condition)
{
	fprintf(stderr, "CHECK failed: %s (%s, %s:%d)\n", condition, function, file, line);
	abort();
}
