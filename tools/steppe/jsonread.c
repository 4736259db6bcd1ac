/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/jsonread.h"

#include <string.h>

#define DEPTH_MAX 32u

void jsonread_init(struct jsonread *j, const char *in, size_t len)
{
	*j = (struct jsonread){.in = in, .len = len, .line = 1};
}

static enum jsonread_token fail(struct jsonread *j)
{
	j->failed = true;
	return JSONREAD_ERROR;
}

static int peek(const struct jsonread *j)
{
	return j->at < j->len ? (unsigned char)j->in[j->at] : -1;
}

static void skip_space(struct jsonread *j)
{
	for (int c; (c = peek(j)) == ' ' || c == '\n' || c == '\t' || c == '\r'; j->at++)
		j->line += c == '\n';
}

static bool in_object(const struct jsonread *j)
{
	return j->depth > 0 && (j->objects >> (j->depth - 1) & 1);
}

static int hex_digit(int c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static bool unicode_escape(struct jsonread *j, uint32_t *ret_code)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++, j->at++) {
		int d = hex_digit(peek(j));
		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	*ret_code = v;
	return true;
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* What follows a backslash. */
static bool escape(struct jsonread *j, char *to, size_t *n)
{
	static const char from[] = "\"\\/bfnrt", as[] = "\"\\/\b\f\n\r\t";
	int c = peek(j);
	const char *at = c > 0 ? strchr(from, c) : NULL;
	j->at++;
	if (at) {
		to[(*n)++] = as[at - from];
		return true;
	}
	uint32_t code, low;
	if (c != 'u' || !unicode_escape(j, &code) || code == 0)
		return false;
	if (code >= 0xd800 && code < 0xdc00) {
		if (j->len - j->at < 6 || j->in[j->at] != '\\' || j->in[j->at + 1] != 'u')
			return false;
		j->at += 2;
		if (!unicode_escape(j, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code >= 0xdc00 && code < 0xe000) {
		return false;
	}
	*n += put_utf8(to + *n, code);
	return true;
}

static bool string(struct jsonread *j)
{
	size_t n = 0;
	for (j->at++;;) {
		int c = peek(j);
		if (c < 0x20 || n + 5 > sizeof(j->text))
			return false;
		j->at++;
		if (c == '"')
			break;
		if (c == '\\') {
			if (!escape(j, j->text, &n))
				return false;
		} else {
			j->text[n++] = (char)c;
		}
	}
	j->text[n] = 0;
	return true;
}

static bool digits(struct jsonread *j)
{
	size_t from = j->at;
	while (peek(j) >= '0' && peek(j) <= '9')
		j->at++;
	return j->at > from;
}

static enum jsonread_token number(struct jsonread *j)
{
	bool negative = peek(j) == '-';
	j->at += negative;
	size_t from = j->at;
	if (!digits(j) || (j->in[from] == '0' && j->at - from > 1))
		return fail(j);
	j->number = 0;
	j->is_integer = true;
	for (size_t i = from; i < j->at; i++) {
		int64_t digit = j->in[i] - '0';
		bool over =
			__builtin_mul_overflow(j->number, 10, &j->number) ||
			__builtin_add_overflow(j->number, negative ? -digit : digit, &j->number);
		if (over)
			j->is_integer = false;
	}
	if (peek(j) == '.') {
		j->is_integer = false;
		j->at++;
		if (!digits(j))
			return fail(j);
	}
	if (peek(j) == 'e' || peek(j) == 'E') {
		j->is_integer = false;
		j->at++;
		if (peek(j) == '+' || peek(j) == '-')
			j->at++;
		if (!digits(j))
			return fail(j);
	}
	j->after_value = true;
	return JSONREAD_NUMBER;
}

static enum jsonread_token word(struct jsonread *j)
{
	static const char *const words[] = {"true", "false", "null"};
	for (int i = 0; i < 3; i++) {
		size_t len = strlen(words[i]);
		if (j->len - j->at >= len && memcmp(j->in + j->at, words[i], len) == 0) {
			memcpy(j->text, words[i], len + 1);
			j->at += len;
			j->after_value = true;
			return JSONREAD_WORD;
		}
	}
	return fail(j);
}

static enum jsonread_token open(struct jsonread *j, bool object)
{
	if (j->depth == DEPTH_MAX)
		return fail(j);
	j->at++;
	j->objects = object ? j->objects | UINT32_C(1) << j->depth
			    : j->objects & ~(UINT32_C(1) << j->depth);
	j->depth++;
	j->after_value = j->after_key = false;
	return object ? JSONREAD_OBJECT : JSONREAD_ARRAY;
}

static enum jsonread_token value(struct jsonread *j, int c)
{
	j->after_key = false;
	if (c == '{' || c == '[')
		return open(j, c == '{');
	if (c == '-' || (c >= '0' && c <= '9'))
		return number(j);
	if (c != '"')
		return word(j);
	j->after_value = true;
	return string(j) ? JSONREAD_STRING : fail(j);
}

static enum jsonread_token key(struct jsonread *j)
{
	if (peek(j) != '"' || !string(j))
		return fail(j);
	skip_space(j);
	if (peek(j) != ':')
		return fail(j);
	j->at++;
	j->after_key = true;
	return JSONREAD_KEY;
}

enum jsonread_token jsonread_next(struct jsonread *j)
{
	if (j->failed)
		return JSONREAD_ERROR;
	skip_space(j);
	int c = peek(j);
	if (j->depth == 0 && j->after_value)
		return c < 0 ? JSONREAD_END : fail(j);
	bool comma = false;
	if (j->after_value && c == ',') {
		comma = true;
		j->at++;
		skip_space(j);
		c = peek(j);
	}
	if ((c == '}' || c == ']') && j->depth > 0 && !comma && !j->after_key) {
		if (in_object(j) != (c == '}'))
			return fail(j);
		j->at++;
		j->depth--;
		j->after_value = true;
		return JSONREAD_CLOSE;
	}
	if (j->after_value && !comma)
		return fail(j);
	j->after_value = false;
	if (in_object(j) && !j->after_key)
		return key(j);
	return value(j, c);
}

bool jsonread_skip(struct jsonread *j, enum jsonread_token token)
{
	if (token != JSONREAD_OBJECT && token != JSONREAD_ARRAY)
		return token != JSONREAD_ERROR;
	unsigned depth = j->depth;
	while (j->depth >= depth) {
		token = jsonread_next(j);
		if (token == JSONREAD_ERROR || token == JSONREAD_END)
			return false;
	}
	return true;
}
