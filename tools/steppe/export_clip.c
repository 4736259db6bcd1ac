/* SPDX-License-Identifier: Apache-2.0 */
/* An export as progressive MP4 files: copies the bytes of a clip. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/steppe/complain.h"
#include "tools/steppe/exporting.h"
#include "tools/steppe/outfile.h"
#include "tools/steppe/progress.h"
#include "tools/steppe/stop.h"

#define READ_BYTES (1u << 20)

static int copy_bytes(struct outfile *out, struct steppe_clip *clip, unsigned file,
	struct progress *p, uint64_t before, bool *ret_read_failed)
{
	int error = 0;
	char *data = malloc(READ_BYTES);
	if (!data)
		return -ENOMEM;
	while (!error) {
		int64_t n = stop_asked()
				    ? -ECANCELED
				    : steppe_clip_read(clip, file, out->bytes, data, READ_BYTES);
		if (n == 0)
			break;
		*ret_read_failed = n < 0;
		error = n < 0 ? (int)n : outfile_write(out, data, (size_t)n);
		progress_update(p, before + out->bytes);
	}
	free(data);
	return error;
}

static enum exit_code copy_file(struct exporting *e, struct steppe_clip *clip, unsigned file,
	unsigned files, struct progress *p)
{
	struct outfile out;
	bool read_failed = false;
	char *path = outfile_numbered(e->path, files > 1 ? file + 1 : 0);
	if (!path)
		return complain_of(e->call, -ENOMEM, "exporting");
	int error = outfile_open(&out, path, e->force);
	if (!error)
		error = copy_bytes(&out, clip, file, p, e->bytes, &read_failed);
	if (!error)
		error = outfile_commit(&out);
	enum exit_code code = ENDED_OK;
	if (error) {
		progress_end(p);
		outfile_drop(&out);
		if (error == -ECANCELED)
			code = ENDED_INTERRUPTED;
		else
			code = read_failed ? complain_of(e->call, error, e->stream)
					   : export_file_failed(e, path, error);
	} else {
		struct manifest_file f = {.bytes = out.bytes};
		snprintf(f.name, sizeof(f.name), "%s", export_plain_name(path));
		memcpy(f.sha256, out.sha256, sizeof(f.sha256));
		e->bytes += out.bytes;
		if (manifest_add_file(&e->manifest, &f))
			code = complain_of(e->call, -ENOMEM, "exporting");
	}
	free(path);
	return code;
}

static enum exit_code fill_manifest(
	struct exporting *e, struct steppe_clip *clip, const struct steppe_clip_info *info)
{
	struct manifest *m = &e->manifest;
	int error = 0;
	const struct steppe_clip_fragment *c;
	strcpy(m->kind, "mp4");
	m->start_us = info->start_us;
	m->end_us = info->end_us;
	for (size_t i = 0; i < info->gap_count && !error; i++)
		error = manifest_add_gap(m, &info->gaps[i]);
	for (size_t i = 0; !error && (c = steppe_clip_fragment(clip, i)); i++) {
		struct manifest_fragment f = {.session = c->session,
			.seq = c->seq,
			.capture_us = c->capture_us,
			.duration_us = c->duration_us,
			.clock_error_us = c->clock_error_us,
			.clock = c->clock};
		snprintf(f.chunk, sizeof(f.chunk), "%s", c->chunk);
		memcpy(f.digest, c->digest, sizeof(f.digest));
		error = manifest_add_fragment(m, &f);
	}
	return error ? complain_of(e->call, error, "the manifest") : ENDED_OK;
}

static enum exit_code no_footage(const struct exporting *e)
{
	char advice[200];
	snprintf(advice, sizeof(advice), "steppe timeline %s", e->call->words[0]);
	complainf(e->call, advice, "there is no footage of %s in this window", e->stream);
	return ENDED_NOTHING;
}

enum exit_code export_clip(struct exporting *e)
{
	struct steppe_clip_options o = STEPPE_INIT(steppe_clip_options);
	struct steppe_clip_info info = STEPPE_INIT(steppe_clip_info);
	struct steppe_clip *clip;
	o.stream = e->stream;
	o.from_us = e->from.us;
	o.to_us = e->to.us;
	o.close_gaps = e->close_gaps;
	o.purpose = e->purpose;
	o.case_id = e->case_id;
	int error = steppe_clip_open(e->cluster.steppe, &o, &clip);
	if (error == -ENODATA)
		return no_footage(e);
	if (error)
		return complain_of(e->call, error, e->stream);
	steppe_clip_info(clip, &info);
	e->frames = info.frames;
	enum exit_code code = ENDED_OK;
	if (strcmp(e->path, "-") == 0 && info.files > 1) {
		complainf(e->call, "-o FILE.mp4, or a smaller window",
			"the camera's codec configuration changes in this window: it takes %u "
			"files, and standard output is one",
			info.files);
		code = ENDED_FAILURE;
	}
	uint64_t total = 0;
	for (unsigned i = 0; i < info.files; i++)
		total += steppe_clip_length(clip, i);
	struct progress p;
	progress_start(&p, "exporting", total, e->call->quiet);
	for (unsigned i = 0; i < info.files && !code; i++)
		code = copy_file(e, clip, i, info.files, &p);
	progress_end(&p);
	if (!code)
		code = fill_manifest(e, clip, &info);
	steppe_clip_close(&clip);
	return code;
}
