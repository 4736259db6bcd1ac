/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to a stream, as a string. */
#pragma once

#include <stdio.h>

struct printed {
	FILE *to;
	char *text;
	size_t len;
};

void printed_open(struct printed *p);
/* Ends writing; the text is valid until printed_free. */
const char *printed_text(struct printed *p);
void printed_free(struct printed *p);
