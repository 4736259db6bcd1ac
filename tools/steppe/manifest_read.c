/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest back from its JSON. Members that are not known are passed over, so that later levels
 * may add some. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/steppe/jsonread.h"
#include "tools/steppe/manifest.h"

struct reader {
	struct jsonread json;
	struct manifest *m;
	int error;
	const char *wrong; /* what a person is told */
};

static void fail(struct reader *r, int error, const char *wrong)
{
	if (!r->error) {
		r->error = error;
		r->wrong = wrong;
	}
}

static void get_string(struct reader *r, char *to, size_t size)
{
	if (jsonread_next(&r->json) != JSONREAD_STRING || strlen(r->json.text) >= size)
		fail(r, STEPPE_E_FORMAT, "a short string is wanted here");
	else
		strcpy(to, r->json.text);
}

static int64_t get_int(struct reader *r)
{
	if (jsonread_next(&r->json) == JSONREAD_NUMBER && r->json.is_integer)
		return r->json.number;
	fail(r, STEPPE_E_FORMAT, "an integer is wanted here");
	return 0;
}

static uint64_t get_uint(struct reader *r)
{
	int64_t v = get_int(r);
	if (v < 0)
		fail(r, STEPPE_E_FORMAT, "a number that is not negative is wanted here");
	return v < 0 ? 0 : (uint64_t)v;
}

static uint32_t get_u32(struct reader *r)
{
	uint64_t v = get_uint(r);
	if (v > UINT32_MAX)
		fail(r, STEPPE_E_FORMAT, "a smaller number is wanted here");
	return (uint32_t)v;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void get_hex(struct reader *r, uint8_t *to, size_t len)
{
	if (jsonread_next(&r->json) != JSONREAD_STRING || strlen(r->json.text) != len * 2) {
		fail(r, STEPPE_E_FORMAT, "hexadecimal digits are wanted here");
		return;
	}
	for (size_t i = 0; i < len; i++) {
		int high = nibble(r->json.text[2 * i]), low = nibble(r->json.text[2 * i + 1]);
		if (high < 0 || low < 0)
			fail(r, STEPPE_E_FORMAT, "hexadecimal digits are wanted here");
		else
			to[i] = (uint8_t)(high << 4 | low);
	}
}

/* The next key of an object in the reader's text; false at its end or on error. */
static bool next_key(struct reader *r)
{
	if (r->error)
		return false;
	enum jsonread_token token = jsonread_next(&r->json);
	if (token != JSONREAD_KEY && token != JSONREAD_CLOSE)
		fail(r, STEPPE_E_FORMAT, "this is not JSON");
	return token == JSONREAD_KEY;
}

static bool is_key(const struct reader *r, const char *name)
{
	return strcmp(r->json.text, name) == 0;
}

static void skip(struct reader *r)
{
	if (!jsonread_skip(&r->json, jsonread_next(&r->json)))
		fail(r, STEPPE_E_FORMAT, "this is not JSON");
}

/* Runs `item` for each object of an array. */
static void each_object(struct reader *r, void (*item)(struct reader *r))
{
	if (jsonread_next(&r->json) != JSONREAD_ARRAY) {
		fail(r, STEPPE_E_FORMAT, "a list is wanted here");
		return;
	}
	for (enum jsonread_token token;
		!r->error && (token = jsonread_next(&r->json)) != JSONREAD_CLOSE;) {
		if (token != JSONREAD_OBJECT)
			fail(r, STEPPE_E_FORMAT, "an object is wanted here");
		else
			item(r);
	}
}

static void read_file(struct reader *r)
{
	struct manifest_file f = {.bytes = 0};
	while (next_key(r)) {
		if (is_key(r, "name"))
			get_string(r, f.name, sizeof(f.name));
		else if (is_key(r, "bytes"))
			f.bytes = get_uint(r);
		else if (is_key(r, "sha256"))
			get_hex(r, f.sha256, 32);
		else if (is_key(r, "pictures"))
			f.pictures = get_uint(r);
		else
			skip(r);
	}
	/* files lie beside the manifest, nowhere else */
	if (!r->error && (!f.name[0] || strchr(f.name, '/') || strcmp(f.name, "..") == 0))
		fail(r, STEPPE_E_FORMAT, "a file's name must be a plain one");
	if (!r->error && r->m->file_count == MANIFEST_FILES_MAX)
		fail(r, STEPPE_E_FORMAT, "too many files");
	if (!r->error && manifest_add_file(r->m, &f))
		fail(r, -ENOMEM, "memory is short");
}

static int cause_of(const char *text)
{
	for (int cause = STEPPE_GAP_UNKNOWN; cause <= STEPPE_GAP_DAMAGED; cause++)
		if (strcmp(steppe_gap_text(cause), text) == 0)
			return cause;
	return STEPPE_GAP_UNKNOWN;
}

static void read_gap(struct reader *r)
{
	struct steppe_gap_span g = {.cause = STEPPE_GAP_UNKNOWN};
	char cause[64] = "";
	while (next_key(r)) {
		if (is_key(r, "start_us"))
			g.start_us = get_int(r);
		else if (is_key(r, "end_us"))
			g.end_us = get_int(r);
		else if (is_key(r, "cause"))
			get_string(r, cause, sizeof(cause));
		else
			skip(r);
	}
	g.cause = cause_of(cause);
	if (!r->error && manifest_add_gap(r->m, &g))
		fail(r, -ENOMEM, "memory is short");
}

static int clock_of(const char *word)
{
	for (int clock = STEPPE_CLOCK_RECEIPT; clock <= STEPPE_CLOCK_NTP; clock++)
		if (strcmp(manifest_clock_word(clock), word) == 0)
			return clock;
	return -1;
}

static uint64_t get_session(struct reader *r)
{
	uint8_t bytes[8] = {0};
	uint64_t v = 0;
	get_hex(r, bytes, 8);
	for (int i = 0; i < 8; i++)
		v = v << 8 | bytes[i];
	return v;
}

static void read_fragment(struct reader *r)
{
	struct manifest_fragment f = {.clock = -1};
	char clock[16] = "";
	while (next_key(r)) {
		if (is_key(r, "chunk"))
			get_string(r, f.chunk, sizeof(f.chunk));
		else if (is_key(r, "session"))
			f.session = get_session(r);
		else if (is_key(r, "seq"))
			f.seq = get_uint(r);
		else if (is_key(r, "capture_us"))
			f.capture_us = get_int(r);
		else if (is_key(r, "duration_us"))
			f.duration_us = get_u32(r);
		else if (is_key(r, "clock_error_us"))
			f.clock_error_us = get_u32(r);
		else if (is_key(r, "clock"))
			get_string(r, clock, sizeof(clock));
		else if (is_key(r, "digest"))
			get_hex(r, f.digest, 32);
		else
			skip(r);
	}
	f.clock = clock_of(clock);
	if (!r->error && manifest_add_fragment(r->m, &f))
		fail(r, -ENOMEM, "memory is short");
}

static void read_member(struct reader *r)
{
	struct manifest *m = r->m;
	char word[32] = "";
	if (is_key(r, "format")) {
		get_string(r, word, sizeof(word));
		if (!r->error && strcmp(word, MANIFEST_FORMAT) != 0)
			fail(r, STEPPE_E_FORMAT,
				"it is not a manifest of the format " MANIFEST_FORMAT);
	} else if (is_key(r, "stream")) {
		get_string(r, m->stream, sizeof(m->stream));
	} else if (is_key(r, "kind")) {
		get_string(r, m->kind, sizeof(m->kind));
	} else if (is_key(r, "software")) {
		get_string(r, m->software, sizeof(m->software));
	} else if (is_key(r, "purpose")) {
		get_string(r, m->purpose, sizeof(m->purpose));
	} else if (is_key(r, "case")) {
		get_string(r, m->case_id, sizeof(m->case_id));
	} else if (is_key(r, "gaps_are")) {
		get_string(r, word, sizeof(word));
		m->close_gaps = strcmp(word, "closed") == 0;
	} else if (is_key(r, "made_us")) {
		m->made_us = get_int(r);
	} else if (is_key(r, "from_us")) {
		m->from_us = get_int(r);
	} else if (is_key(r, "to_us")) {
		m->to_us = get_int(r);
	} else if (is_key(r, "start_us")) {
		m->start_us = get_int(r);
	} else if (is_key(r, "end_us")) {
		m->end_us = get_int(r);
	} else if (is_key(r, "files")) {
		each_object(r, read_file);
	} else if (is_key(r, "gaps")) {
		each_object(r, read_gap);
	} else if (is_key(r, "fragments")) {
		each_object(r, read_fragment);
	} else if (is_key(r, "chain_sha256")) {
		get_hex(r, m->chain, 32);
	} else {
		skip(r);
	}
}

int manifest_read(struct manifest *m, const char *text, size_t len, char *why, size_t why_size)
{
	struct reader *r = calloc(1, sizeof(*r));
	*m = (struct manifest){.file_count = 0};
	if (!r) {
		snprintf(why, why_size, "memory is short");
		return -ENOMEM;
	}
	r->m = m;
	jsonread_init(&r->json, text, len);
	bool has_format = false;
	if (jsonread_next(&r->json) != JSONREAD_OBJECT)
		fail(r, STEPPE_E_FORMAT, "this is not a JSON object");
	while (next_key(r)) {
		has_format = has_format || is_key(r, "format");
		read_member(r);
	}
	if (!r->error && jsonread_next(&r->json) != JSONREAD_END)
		fail(r, STEPPE_E_FORMAT, "something follows the manifest");
	if (!r->error && !has_format)
		fail(r, STEPPE_E_FORMAT, "it is not a manifest: it has no \"format\"");
	int error = r->error;
	if (error) {
		snprintf(why, why_size, "line %u: %s", r->json.line, r->wrong);
		manifest_fini(m);
	}
	free(r);
	return error;
}
