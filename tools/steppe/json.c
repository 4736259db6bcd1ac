/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/json.h"

#include <inttypes.h>

static void new_line(struct json *j)
{
	if (!j->pretty)
		return;
	fputc('\n', j->to);
	for (unsigned i = 0; i < j->depth; i++)
		fputs("  ", j->to);
}

/* What goes in front of an item: a comma, a line, or nothing after a key. */
static void before_item(struct json *j)
{
	if (!j->after_key) {
		if (j->has_item)
			fputc(',', j->to);
		if (j->depth > 0)
			new_line(j);
	}
	j->after_key = false;
	j->has_item = true;
}

void json_open(struct json *j, char bracket)
{
	before_item(j);
	fputc(bracket, j->to);
	j->depth++;
	j->has_item = false;
}

void json_close(struct json *j, char bracket)
{
	j->depth--;
	if (j->has_item)
		new_line(j);
	fputc(bracket, j->to);
	j->has_item = true;
}

/* Bytes of a well-formed UTF-8 sequence at `s`, 0 when it is none. */
static unsigned sequence(const unsigned char *s)
{
	unsigned n = s[0] < 0x80                   ? 1
		     : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		     : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		     : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						   : 0;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
	bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
	return overlong || surrogate || beyond ? 0 : n;
}

static void quoted(struct json *j, const char *text)
{
	fputc('"', j->to);
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		unsigned n = sequence(s);
		if (n == 0) {
			fputs("\xef\xbf\xbd", j->to);
			s++;
		} else if (*s == '"' || *s == '\\') {
			fputc('\\', j->to);
			fputc(*s++, j->to);
		} else if (*s == '\n') {
			fputs("\\n", j->to);
			s++;
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(j->to, "\\u%04x", *s++);
		} else {
			fwrite(s, 1, n, j->to);
			s += n;
		}
	}
	fputc('"', j->to);
}

void json_key(struct json *j, const char *key)
{
	before_item(j);
	quoted(j, key);
	fputs(j->pretty ? ": " : ":", j->to);
	j->after_key = true;
}

void json_string(struct json *j, const char *text)
{
	before_item(j);
	if (text)
		quoted(j, text);
	else
		fputs("null", j->to);
}

void json_int(struct json *j, int64_t v)
{
	before_item(j);
	fprintf(j->to, "%" PRId64, v);
}

void json_uint(struct json *j, uint64_t v)
{
	before_item(j);
	fprintf(j->to, "%" PRIu64, v);
}

void json_double(struct json *j, double v)
{
	before_item(j);
	fprintf(j->to, "%.3f", v);
}

void json_bool(struct json *j, bool v)
{
	before_item(j);
	fputs(v ? "true" : "false", j->to);
}

void json_hex(struct json *j, const uint8_t *bytes, unsigned len)
{
	before_item(j);
	fputc('"', j->to);
	for (unsigned i = 0; i < len; i++)
		fprintf(j->to, "%02x", bytes[i]);
	fputc('"', j->to);
}

void json_end(struct json *j)
{
	fputc('\n', j->to);
	j->has_item = false;
}

void json_member_string(struct json *j, const char *key, const char *text)
{
	json_key(j, key);
	json_string(j, text);
}

void json_member_int(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_int(j, v);
}

void json_member_uint(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_uint(j, v);
}

void json_member_double(struct json *j, const char *key, double v)
{
	json_key(j, key);
	json_double(j, v);
}

void json_member_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}
