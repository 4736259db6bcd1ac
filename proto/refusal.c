/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/refusal.h"

#include <stddef.h>

#include "base/check.h"

struct refusal_row {
	const char *word, *text; /* NULL: the number is not given out */
	bool retry;
};

static const struct refusal_row rows[] = {
#define REFUSAL_ROW(name, number, word, retry, text) [number] = {word, text, retry},
	REFUSALS(REFUSAL_ROW)
#undef REFUSAL_ROW
};

/* A peer of a later version may send numbers of its own: they are answered as unknown, never looked
 * up. */
static const struct refusal_row *row_of(int refusal)
{
	static const struct refusal_row unknown = {
		"unknown", "refused for a reason this program does not know", false};
	if (refusal < 0 || (size_t)refusal >= ARRAY_LEN(rows) || !rows[refusal].word)
		return &unknown;
	return &rows[refusal];
}

const char *refusal_word(int refusal)
{
	return row_of(refusal)->word;
}

const char *refusal_text(int refusal)
{
	return row_of(refusal)->text;
}

bool refusal_retry(int refusal)
{
	return row_of(refusal)->retry;
}
