/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of text in aligned columns, as wide as their widest cell. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#define COLUMNS_MAX 12

struct columns {
	unsigned count;           /* columns */
	const char *const *heads; /* count headings; NULL: none */
	unsigned right;           /* bits: columns aligned to the right */
	unsigned limit;           /* of a line; 0: none. The last column is cut to it */
	bool bold_heads;
	/* private */
	char **cells;
	size_t rows, room;
	int error;
};

/* Adds a row of `count` texts, which are copied; memory running short shows at columns_print. */
void columns_add(struct columns *c, const char *const *texts);
/* Puts the rows in the order of their first cells' bytes. */
void columns_sort(struct columns *c);
/* Prints all and frees them; 0 or -ENOMEM. `end` ends each line ("\n", or with an escape that
 * clears what was there). */
int columns_print(struct columns *c, FILE *to, const char *end);
