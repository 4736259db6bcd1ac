/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON (RFC 8259) to a stream. Commas come by themselves; errors of the stream show at its
 * ferror. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;
	bool pretty; /* a member a line, for files that people open */
	/* private */
	unsigned depth;
	bool has_item, after_key;
};

void json_open(struct json *j, char bracket);  /* '{' or '[' */
void json_close(struct json *j, char bracket); /* '}' or ']' */
void json_key(struct json *j, const char *key);
void json_string(
	struct json *j, const char *text); /* NULL: null; bytes that are no UTF-8 become U+FFFD */
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
void json_double(struct json *j, double v); /* three decimals */
void json_bool(struct json *j, bool v);
void json_hex(struct json *j, const uint8_t *bytes, unsigned len);
/* Ends a document with a newline. */
void json_end(struct json *j);

/* Members in one line. */
void json_member_string(struct json *j, const char *key, const char *text);
void json_member_int(struct json *j, const char *key, int64_t v);
void json_member_uint(struct json *j, const char *key, uint64_t v);
void json_member_double(struct json *j, const char *key, double v);
void json_member_bool(struct json *j, const char *key, bool v);
