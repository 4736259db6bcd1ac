/* SPDX-License-Identifier: Apache-2.0 */
/* steppe verify: exported files against their manifest, and their footage against the digests the
 * recorder made. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "proto/bmff.h"
#include "proto/fragment.h"
#include "storaged/archive/chunk.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/human.h"
#include "tools/steppe/json.h"
#include "tools/steppe/manifest.h"
#include "tools/steppe/outfile.h"
#include "tools/steppe/progress.h"
#include "tools/steppe/term.h"

#define MANIFEST_MAX (INT64_C(1) << 31)

struct verify {
	const struct command_call *call;
	struct manifest manifest;
	char *directory; /* of the manifest, with its slash; "" here */
	struct json json;
	struct progress progress;
	uint64_t done_before, findings;
	bool *found; /* a fragment whose bytes lie in a file and match its digest */
	uint64_t proved;
};

static void finding(struct verify *v, const char *file, const char *what)
{
	v->findings++;
	if (v->call->json) {
		json_open(&v->json, '{');
		json_member_string(&v->json, "file", file);
		json_member_string(&v->json, "what", what);
		json_close(&v->json, '}');
		return;
	}
	bool colour = term_has_colour(stdout);
	progress_end(&v->progress);
	printf("%s%s: %s%s\n", term_code(TERM_RED, colour), file, what,
		term_code(TERM_PLAIN, colour));
}

/* --- reading --- */

/* "film.mp4" of "film.2.mp4", whose manifest is that of all numbered files; or false. */
static bool without_number(const char *word, int *ret_stem, const char **ret_end)
{
	const char *end = strrchr(word, '.');
	const char *at = end;
	while (at && at > word && at[-1] >= '0' && at[-1] <= '9')
		at--;
	if (!at || at == end || at - word < 2 || at[-1] != '.')
		return false;
	*ret_stem = (int)(at - word - 1);
	*ret_end = end;
	return true;
}

/* The manifest itself, or the one beside a media file. Gives a path to be freed. */
static char *manifest_path(const char *word)
{
	char *path = NULL;
	const char *end;
	int stem;
	size_t len = strlen(word);
	if (len > 5 && strcmp(word + len - 5, ".json") == 0)
		return strdup(word);
	if (asprintf(&path, "%s.manifest.json", word) < 0)
		return NULL;
	if (access(path, F_OK) == 0 || !without_number(word, &stem, &end))
		return path;
	free(path);
	return asprintf(&path, "%.*s%s.manifest.json", stem, word, end) < 0 ? NULL : path;
}

/* A whole file, mapped for reading; an empty one gives NULL and length 0. */
static int map(const char *path, void **ret_data, size_t *ret_len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	if (fd < 0 || fstat(fd, &st))
		error = -errno;
	*ret_data = NULL;
	*ret_len = error ? 0 : (size_t)st.st_size;
	if (!error && *ret_len > 0) {
		*ret_data = mmap(NULL, *ret_len, PROT_READ, MAP_PRIVATE, fd, 0);
		if (*ret_data == MAP_FAILED)
			error = -errno;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

static enum exit_code load(struct verify *v, const char *path)
{
	void *text;
	size_t len;
	char why[256];
	int error = map(path, &text, &len);
	if (error) {
		complainf(v->call, "the manifest that steppe export wrote beside the file",
			"%s: %s", path, strerror(-error));
		return error == -ENOENT ? ENDED_NOTHING : ENDED_FAILURE;
	}
	error = len > MANIFEST_MAX
			? -EFBIG
			: manifest_read(&v->manifest, text ? text : "", len, why, sizeof(why));
	if (text)
		munmap(text, len);
	if (error) {
		complainf(v->call, NULL, "%s: %s", path,
			error == -EFBIG ? "too large for a manifest" : why);
		return ENDED_DAMAGED;
	}
	const char *slash = strrchr(path, '/');
	v->directory = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup("");
	v->found = calloc(v->manifest.fragment_count + 1, sizeof(bool));
	return v->directory && v->found ? ENDED_OK : complain_of(v->call, -ENOMEM, path);
}

/* --- proving --- */

static void on_hashed(void *user, uint64_t done)
{
	struct verify *v = user;
	progress_update(&v->progress, v->done_before + done);
}

static void check_hash(struct verify *v, const struct manifest_file *f, const char *path)
{
	uint8_t sha256[32];
	uint64_t bytes = 0;
	char what[160];
	int error = outfile_hash(path, sha256, &bytes, on_hashed, v);
	v->done_before += bytes;
	if (error) {
		finding(v, f->name, strerror(-error));
	} else if (bytes != f->bytes) {
		snprintf(what, sizeof(what), "it has %" PRIu64 " bytes, the manifest says %" PRIu64,
			bytes, f->bytes);
		finding(v, f->name, what);
	} else if (memcmp(sha256, f->sha256, sizeof(sha256)) != 0) {
		finding(v, f->name,
			"its bytes are not those that were exported: the SHA-256 differs");
	}
}

static const struct manifest_fragment *find_fragment(
	const struct verify *v, const struct fragment_header *h, size_t *ret_index)
{
	for (size_t n = 0; n < v->manifest.fragment_count; n++) {
		/* they lie in the files in the manifest's order: the next one is most often it */
		size_t i = (*ret_index + n) % v->manifest.fragment_count;
		const struct manifest_fragment *f = &v->manifest.fragments[i];
		if (f->session == h->session && f->seq == h->seq &&
			f->capture_us == h->capture.us) {
			*ret_index = i;
			return f;
		}
	}
	return NULL;
}

/* One fragment as it was recorded lies in the file: are these the bytes the recorder made, and
 * those the manifest lists? */
static void check_fragment(struct verify *v, const struct manifest_file *file,
	const struct fragment_header *h, const void *body, size_t *at)
{
	uint8_t digest[DIGEST_SIZE];
	char what[160];
	const struct manifest_fragment *f = find_fragment(v, h, at);
	if (!f)
		return; /* outside of the window: only what is listed is vouched for */
	fragment_digest(h, digest);
	if (memcmp(digest, f->digest, sizeof(digest)) != 0 || fragment_check_digest(h, body)) {
		snprintf(what, sizeof(what), "fragment %" PRIu64 " is not what the recorder made",
			h->seq);
		finding(v, file->name, what);
	} else if (!v->found[*at]) {
		v->found[*at] = true;
		v->proved++;
	}
}

/* The media of a progressive MP4: what its outermost mdat box holds. */
static struct bytes media_of(const uint8_t *data, size_t len)
{
	struct bytes file = bytes_reader(data, len), payload;
	struct bmff_box box;
	while (bmff_box_next(&file, &box, &payload) == 1)
		if (box.type == BMFF_FOURCC('m', 'd', 'a', 't'))
			return payload;
	return bytes_reader(data, 0);
}

/* Walks the footage in an MP4: the chunks' own boxes lie in its mdat unchanged, each before its
 * fragment. */
static void check_footage(
	struct verify *v, const struct manifest_file *file, const uint8_t *data, size_t len)
{
	struct bytes media = media_of(data, len);
	size_t next = 0;
	while (bytes_left(&media) >= 8) {
		struct fragment_header h;
		struct wall receipt;
		uint8_t cause;
		const uint8_t *at = media.in + media.at;
		size_t left = bytes_left(&media);
		if (chunk_frag_parse(at, left, &h, &receipt, &cause) == 0) {
			if (h.body_len <= left - CHUNK_FRAG_BOX)
				check_fragment(v, file, &h, at + CHUNK_FRAG_BOX, &next);
			bytes_skip(&media, CHUNK_FRAG_BOX + (size_t)h.body_len);
			continue;
		}
		struct bmff_box box;
		struct bytes header = bytes_reader(at, left);
		if (bmff_box_read(&header, &box) || box.size > left)
			return; /* nothing that follows can be told apart: fragments will be missing
				 */
		bytes_skip(&media, box.size);
	}
}

static void check_file(struct verify *v, const struct manifest_file *f)
{
	char *path;
	void *data;
	size_t len;
	if (asprintf(&path, "%s%s", v->directory, f->name) < 0) {
		finding(v, f->name, "memory is short");
		return;
	}
	uint64_t before = v->findings;
	check_hash(v, f, path);
	bool readable = v->findings == before || access(path, R_OK) == 0;
	if (readable && strcmp(v->manifest.kind, "mp4") == 0 && map(path, &data, &len) == 0 &&
		data) {
		check_footage(v, f, data, len);
		munmap(data, len);
	}
	free(path);
}

static void check_manifest(struct verify *v, const char *path)
{
	uint8_t written[32];
	memcpy(written, v->manifest.chain, sizeof(written));
	if (manifest_seal(&v->manifest) || memcmp(written, v->manifest.chain, sizeof(written)) != 0)
		finding(v, path,
			"the list of fragments is not the one that was exported: the chain "
			"differs");
	if (v->manifest.file_count == 0)
		finding(v, path, "it lists no files");
}

static void check_all_found(struct verify *v)
{
	uint64_t missing = v->manifest.fragment_count - v->proved;
	char what[160];
	if (strcmp(v->manifest.kind, "mp4") != 0 || missing == 0 || v->findings > 0)
		return;
	snprintf(what, sizeof(what),
		"%" PRIu64 " of %zu fragments in the manifest are not in the files", missing,
		v->manifest.fragment_count);
	finding(v, v->manifest.files[0].name, what);
}

static void print_result(struct verify *v)
{
	const struct manifest *m = &v->manifest;
	char fragments[HUMAN_MAX];
	bool colour = term_has_colour(stdout);
	human_count(v->proved, fragments);
	if (v->findings > 0) {
		printf("%sNOT VERIFIED%s: %" PRIu64 " finding%s\n", term_code(TERM_RED, colour),
			term_code(TERM_PLAIN, colour), v->findings, v->findings == 1 ? "" : "s");
		return;
	}
	printf("%sverified%s: %s, %zu file%s unchanged since the export",
		term_code(TERM_GREEN, colour), term_code(TERM_PLAIN, colour), m->stream,
		m->file_count, m->file_count == 1 ? "" : "s");
	if (strcmp(m->kind, "mp4") == 0)
		printf("; all %s fragments are the recorder's, bit for bit", fragments);
	putchar('\n');
	if (m->gap_count > 0)
		printf("%zu gap%s known; steppe timeline tells more\n", m->gap_count,
			m->gap_count == 1 ? " is" : "s are");
}

static uint64_t total_bytes(const struct manifest *m)
{
	uint64_t total = 0;
	for (size_t i = 0; i < m->file_count; i++)
		total += m->files[i].bytes;
	return total;
}

static enum exit_code verify_run(struct command_call *call, const void *args)
{
	(void)args;
	struct verify v = {.call = call, .json.to = stdout};
	char *path = manifest_path(call->words[0]);
	enum exit_code code = path ? load(&v, path) : complain_of(call, -ENOMEM, call->words[0]);
	if (!code) {
		if (call->json) {
			json_open(&v.json, '{');
			json_member_string(&v.json, "stream", v.manifest.stream);
			json_key(&v.json, "findings");
			json_open(&v.json, '[');
		}
		progress_start(&v.progress, "verifying", total_bytes(&v.manifest), call->quiet);
		check_manifest(&v, path);
		for (size_t i = 0; i < v.manifest.file_count; i++)
			check_file(&v, &v.manifest.files[i]);
		check_all_found(&v);
		progress_end(&v.progress);
		if (call->json) {
			json_close(&v.json, ']');
			json_member_uint(&v.json, "fragments", v.manifest.fragment_count);
			json_member_uint(&v.json, "proved_fragments", v.proved);
			json_member_bool(&v.json, "verified", v.findings == 0);
			json_close(&v.json, '}');
			json_end(&v.json);
		} else if (!call->quiet || v.findings > 0) {
			print_result(&v);
		}
		code = v.findings > 0 ? ENDED_DAMAGED : ENDED_OK;
	}
	free(path);
	free(v.directory);
	free(v.found);
	manifest_fini(&v.manifest);
	return code;
}

const struct command command_verify = {
	.name = "verify",
	.words = "FILE",
	.least_words = 1,
	.most_words = 1,
	.brief = "prove exported files by their manifest",
	.about = "FILE is the exported file or its manifest. Checks that every file has the bytes "
		 "that were exported, and, in MP4 files, that "
		 "every fragment in them is bit for bit what the recorder made when the picture "
		 "was taken. Needs no cluster.",
	.examples = "steppe verify gate-7.mp4",
	.uses = USES_JSON,
	.run = verify_run,
};
