/* SPDX-License-Identifier: Apache-2.0 */
/* What the numbers in a sequence_op stand for. Private to the sequence's files. */
#pragma once

#include <stddef.h>

#define SEQUENCE_ATTRS  3
#define SEQUENCE_VALUES 7
/* Objects of a full store: a whole number of every pool's alignment, and more than what is left
 * when a store is called full. */
#define SEQUENCE_FULL_SIZE (64u << 10)

struct sequence_value {
	const char *bytes;
	size_t len;
	const char *words; /* for people */
};
extern const char *const sequence_attrs[SEQUENCE_ATTRS];
extern const struct sequence_value sequence_values[SEQUENCE_VALUES];
