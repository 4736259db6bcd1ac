/* SPDX-License-Identifier: Apache-2.0 */
/* Reads JSON (RFC 8259) token by token from memory. Errors stick. Bounded: 32 levels, strings of 4
 * KiB. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSONREAD_TEXT_MAX 4096

enum jsonread_token {
	JSONREAD_END,    /* of the document */
	JSONREAD_OBJECT, /* '{' */
	JSONREAD_ARRAY,  /* '[' */
	JSONREAD_CLOSE,  /* '}' or ']' */
	JSONREAD_KEY,    /* in `text` */
	JSONREAD_STRING, /* in `text` */
	JSONREAD_NUMBER, /* in `number`, when `is_integer` */
	JSONREAD_WORD,   /* true, false, null, in `text` */
	JSONREAD_ERROR,
};

struct jsonread {
	const char *in;
	size_t len, at;
	unsigned line; /* of the last token, from 1 */
	char text[JSONREAD_TEXT_MAX];
	int64_t number;
	bool is_integer;
	/* private */
	unsigned depth;
	uint32_t objects; /* bit of each level: an object */
	bool after_value, after_key, failed, ended;
};

void jsonread_init(struct jsonread *j, const char *in, size_t len);
enum jsonread_token jsonread_next(struct jsonread *j);
/* Passes over the value whose first token was `token`. False on error. */
bool jsonread_skip(struct jsonread *j, enum jsonread_token token);
