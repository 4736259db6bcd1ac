/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/timetext.h"
#include "proto/digest.h"
#include "tools/steppe/json.h"

static const char *const clock_words[] = {"receipt", "rtcp", "declared", "camera", "ntp"};
#define CLOCKS (sizeof(clock_words) / sizeof(clock_words[0]))

const char *manifest_clock_word(int clock)
{
	return clock >= 0 && (size_t)clock < CLOCKS ? clock_words[clock] : "unknown";
}

void manifest_fini(struct manifest *m)
{
	free(m->files);
	free(m->gaps);
	free(m->fragments);
	*m = (struct manifest){.file_count = 0};
}

/* Makes room for one more of `size` bytes; counts double, so that a day's fragments cost no
 * quadratic time. */
static int grow(void *array, size_t count, size_t size)
{
	void *old, *grown;
	if (count & (count - 1))
		return 0; /* there is room up to the next power of two */
	memcpy(&old, array, sizeof(old));
	grown = reallocarray(old, count ? count * 2 : 1, size);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	return 0;
}

int manifest_add_file(struct manifest *m, const struct manifest_file *file)
{
	int error = grow(&m->files, m->file_count, sizeof(*file));
	if (!error)
		m->files[m->file_count++] = *file;
	return error;
}

int manifest_add_gap(struct manifest *m, const struct steppe_gap_span *gap)
{
	int error = grow(&m->gaps, m->gap_count, sizeof(*gap));
	if (!error)
		m->gaps[m->gap_count++] = *gap;
	return error;
}

int manifest_add_fragment(struct manifest *m, const struct manifest_fragment *fragment)
{
	int error = grow(&m->fragments, m->fragment_count, sizeof(*fragment));
	if (!error)
		m->fragments[m->fragment_count++] = *fragment;
	return error;
}

int manifest_seal(struct manifest *m)
{
	struct digest d;
	digest_start(&d);
	for (size_t i = 0; i < m->fragment_count; i++)
		digest_add(&d, m->fragments[i].digest, sizeof(m->fragments[i].digest));
	return digest_finish(&d, m->chain);
}

static void write_time(struct json *j, const char *key, const char *key_us, int64_t us)
{
	char text[TIMETEXT_MAX];
	timetext_format((struct wall){us}, true, text);
	json_member_string(j, key, text);
	json_member_int(j, key_us, us);
}

static void write_files(struct json *j, const struct manifest *m)
{
	json_key(j, "files");
	json_open(j, '[');
	for (size_t i = 0; i < m->file_count; i++) {
		json_open(j, '{');
		json_member_string(j, "name", m->files[i].name);
		json_member_uint(j, "bytes", m->files[i].bytes);
		json_key(j, "sha256");
		json_hex(j, m->files[i].sha256, 32);
		if (m->files[i].pictures)
			json_member_uint(j, "pictures", m->files[i].pictures);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* What each clock vouches for, so that nobody need read all the fragments. */
static void write_clocks(struct json *j, const struct manifest *m)
{
	json_key(j, "clocks");
	json_open(j, '[');
	for (size_t c = 0; c < CLOCKS; c++) {
		uint64_t count = 0;
		uint32_t most = 0;
		for (size_t i = 0; i < m->fragment_count; i++) {
			if (m->fragments[i].clock != (int)c)
				continue;
			count++;
			most = m->fragments[i].clock_error_us > most
				       ? m->fragments[i].clock_error_us
				       : most;
		}
		if (count == 0)
			continue;
		json_open(j, '{');
		json_member_string(j, "source", clock_words[c]);
		json_member_uint(j, "fragments", count);
		json_member_uint(j, "greatest_error_us", most);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void write_gaps(struct json *j, const struct manifest *m)
{
	json_key(j, "gaps");
	json_open(j, '[');
	for (size_t i = 0; i < m->gap_count; i++) {
		json_open(j, '{');
		json_member_int(j, "start_us", m->gaps[i].start_us);
		json_member_int(j, "end_us", m->gaps[i].end_us);
		json_member_string(j, "cause", steppe_gap_text(m->gaps[i].cause));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void write_fragments(struct json *j, const struct manifest *m)
{
	json_key(j, "fragments");
	json_open(j, '[');
	for (size_t i = 0; i < m->fragment_count; i++) {
		const struct manifest_fragment *f = &m->fragments[i];
		json_open(j, '{');
		/* one line each: there are thousands */
		j->pretty = false;
		uint8_t session[8];
		for (int b = 0; b < 8; b++)
			session[b] = (uint8_t)(f->session >> (56 - 8 * b));
		json_key(j, "session");
		json_hex(j, session, 8);
		json_member_uint(j, "seq", f->seq);
		json_member_int(j, "capture_us", f->capture_us);
		json_member_uint(j, "duration_us", f->duration_us);
		json_member_string(j, "clock", manifest_clock_word(f->clock));
		json_member_uint(j, "clock_error_us", f->clock_error_us);
		json_member_string(j, "chunk", f->chunk);
		json_key(j, "digest");
		json_hex(j, f->digest, 32);
		json_close(j, '}');
		j->pretty = true;
	}
	json_close(j, ']');
}

void manifest_write(const struct manifest *m, FILE *to)
{
	struct json j = {.to = to, .pretty = true};
	json_open(&j, '{');
	json_member_string(&j, "format", MANIFEST_FORMAT);
	json_member_string(&j, "software", m->software);
	json_member_string(&j, "stream", m->stream);
	json_member_string(&j, "kind", m->kind);
	write_time(&j, "made", "made_us", m->made_us);
	write_time(&j, "from", "from_us", m->from_us);
	write_time(&j, "to", "to_us", m->to_us);
	write_time(&j, "start", "start_us", m->start_us);
	write_time(&j, "end", "end_us", m->end_us);
	json_member_string(&j, "gaps_are", m->close_gaps ? "closed" : "kept");
	json_member_string(&j, "purpose", m->purpose);
	json_member_string(&j, "case", m->case_id);
	write_files(&j, m);
	write_clocks(&j, m);
	write_gaps(&j, m);
	write_fragments(&j, m);
	json_key(&j, "chain_sha256");
	json_hex(&j, m->chain, 32);
	json_close(&j, '}');
	json_end(&j);
}
