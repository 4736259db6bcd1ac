/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/steppe/term.h"

/* Characters of UTF-8 text that take a column each; escape sequences take none. */
static unsigned width_of(const char *text)
{
	unsigned n = 0;
	for (; *text; text++) {
		if (*text == '\x1b') {
			text += strcspn(text, "m");
			if (!*text)
				break;
			continue;
		}
		n += (*text & 0xc0) != 0x80;
	}
	return n;
}

void columns_add(struct columns *c, const char *const *texts)
{
	if (c->rows == c->room) {
		size_t room = c->room ? c->room * 2 : 64;
		char **grown = realloc(c->cells, room * c->count * sizeof(*grown));
		if (!grown) {
			c->error = -ENOMEM;
			return;
		}
		c->cells = grown;
		c->room = room;
	}
	for (unsigned i = 0; i < c->count; i++) {
		char *copy = strdup(texts[i]);
		c->cells[c->rows * c->count + i] = copy;
		c->error = copy ? c->error : -ENOMEM;
	}
	c->rows++;
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void columns_sort(struct columns *c)
{
	if (!c->error && c->rows)
		qsort(c->cells, c->rows, c->count * sizeof(*c->cells), compare_rows);
}

static void pad(FILE *to, const char *text, unsigned width)
{
	unsigned own = width_of(text);
	fprintf(to, "%*s", (int)(width > own ? width - own : 0), "");
}

/* The last cell, cut so that the line keeps to the limit; colours in it are lost then. */
static void print_last(const struct columns *c, FILE *to, const char *text, unsigned used)
{
	if (c->limit == 0 || used + width_of(text) <= c->limit) {
		fputs(text, to);
		return;
	}
	for (unsigned n = used; *text && n < c->limit; text++) {
		n += (text[1] & 0xc0) != 0x80;
		fputc(*text, to);
	}
}

static void print_row(const struct columns *c, FILE *to, const char *const *texts,
	const unsigned width[], const char *end)
{
	unsigned used = 0, filled = c->count;
	while (filled > 0 && !texts[filled - 1][0])
		filled--; /* no blanks at a line's end */
	for (unsigned i = 0; i < filled; i++) {
		bool last = i + 1 == filled, right = c->right >> i & 1;
		if (right)
			pad(to, texts[i], width[i]);
		if (last && !right && i + 1 == c->count)
			print_last(c, to, texts[i], used);
		else
			fputs(texts[i], to);
		if (!last && !right)
			pad(to, texts[i], width[i]);
		if (!last)
			fputs("  ", to);
		used += width[i] + 2;
	}
	fputs(end, to);
}

int columns_print(struct columns *c, FILE *to, const char *end)
{
	unsigned width[COLUMNS_MAX] = {0};
	for (unsigned i = 0; i < c->count && !c->error; i++) {
		width[i] = c->heads ? width_of(c->heads[i]) : 0;
		for (size_t r = 0; r < c->rows; r++) {
			unsigned w = width_of(c->cells[r * c->count + i]);
			width[i] = w > width[i] ? w : width[i];
		}
	}
	if (c->heads && !c->error) {
		fputs(term_code(TERM_BOLD, c->bold_heads), to);
		print_row(c, to, c->heads, width, "");
		fprintf(to, "%s%s", term_code(TERM_PLAIN, c->bold_heads), end);
	}
	for (size_t r = 0; r < c->rows && !c->error; r++)
		print_row(c, to, (const char *const *)c->cells + r * c->count, width, end);
	for (size_t i = 0; i < c->rows * c->count; i++)
		free(c->cells[i]);
	free(c->cells);
	int error = c->error;
	*c = (struct columns){.count = c->count,
		.heads = c->heads,
		.right = c->right,
		.limit = c->limit,
		.bold_heads = c->bold_heads};
	return error;
}
