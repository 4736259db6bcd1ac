/* SPDX-License-Identifier: Apache-2.0 */
/* An export as Matroska files: fetches the window's fragments and puts their samples into files,
 * from the sync picture at or before its begin. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/timetext.h"
#include "proto/fragment.h"
#include "tools/media/mkvfile.h"
#include "tools/steppe/complain.h"
#include "tools/steppe/exporting.h"
#include "tools/steppe/fetching.h"
#include "tools/steppe/human.h"
#include "tools/steppe/outfile.h"
#include "tools/steppe/progress.h"
#include "tools/steppe/stop.h"

struct mkv {
	struct fetching fetching;
	struct exporting *e;
	struct unpack unpack;
	struct mkvfile *file;
	char *part;   /* of the file being written */
	char **parts; /* of all files, to be renamed at the end */
	unsigned part_count;
	int64_t last_end_us, first_us;
	int error;
	struct progress progress;
};

static void note_gap(struct mkv *m, const struct steppe_fragment *f)
{
	bool hole = m->last_end_us > 0 && f->gap_cause && f->capture_us > m->last_end_us;
	struct steppe_gap_span gap = {m->last_end_us, f->capture_us, f->gap_cause};
	if (hole)
		m->error = manifest_add_gap(&m->e->manifest, &gap);
	m->last_end_us = f->capture_us + f->duration_us;
	gap = (struct steppe_gap_span){f->capture_us, m->last_end_us, STEPPE_GAP_DAMAGED};
	if (f->damaged && !m->error)
		m->error = manifest_add_gap(&m->e->manifest, &gap);
}

static int note_fragment(struct mkv *m, const struct steppe_fragment *f)
{
	struct manifest_fragment n = {.session = f->session,
		.seq = f->seq,
		.capture_us = f->capture_us,
		.duration_us = f->duration_us,
		.clock_error_us = f->clock_error_us,
		.clock = f->clock};
	memcpy(n.digest, f->digest, sizeof(n.digest));
	return manifest_add_fragment(&m->e->manifest, &n);
}

/* Another configuration, another file. Their names are settled when it is known how many there are. */
static int next_file(struct mkv *m, int64_t start_us)
{
	int error = mkvfile_close(&m->file);
	char *part = NULL, **grown;
	if (!error && asprintf(&part, "%s.%u.part", m->e->path, m->part_count + 1) < 0)
		return -ENOMEM;
	grown = error ? NULL : realloc(m->parts, (m->part_count + 1) * sizeof(*grown));
	if (!grown) {
		free(part);
		return error ? error : -ENOMEM;
	}
	m->parts = grown;
	m->parts[m->part_count++] = part;
	return mkvfile_open(part, &m->unpack.init, start_us, &m->file);
}

static bool on_fragment(struct fetching *fetching, const struct steppe_fragment *f)
{
	struct mkv *m = container_of(fetching, struct mkv, fetching);
	struct manifest *manifest = &m->e->manifest;
	note_gap(m, f);
	if (!m->error)
		m->error = unpack_take(&m->unpack, f);
	if (!m->error && m->unpack.init_changed)
		m->error = next_file(m, f->capture_us);
	for (size_t i = 0; i < m->unpack.count && !m->error; i++) {
		const struct unpacked *s = &m->unpack.samples[i];
		if (s->pts_us >= m->e->to.us)
			continue;
		bool video = m->unpack.init.tracks[s->track].media == BMFF_VIDEO;
		m->e->frames += video;
		if (manifest->start_us == 0 || s->pts_us < manifest->start_us)
			manifest->start_us = s->pts_us;
		if (s->pts_us + s->duration_us > manifest->end_us)
			manifest->end_us = s->pts_us + s->duration_us;
		m->error = mkvfile_write(m->file, s);
	}
	if (!m->error && !f->damaged)
		m->error = note_fragment(m, f);
	progress_update(&m->progress, fetching->bytes);
	return !m->error;
}

static enum exit_code name_one(struct mkv *m, unsigned index)
{
	struct manifest_file f = {.bytes = 0};
	char *path = outfile_numbered(m->e->path, m->part_count > 1 ? index + 1 : 0);
	if (!path)
		return complain_of(m->e->call, -ENOMEM, "exporting");
	int error = !m->e->force && access(path, F_OK) == 0 ? -EEXIST
		    : rename(m->parts[index], path)         ? -errno
							    : 0;
	if (!error)
		error = outfile_hash(path, f.sha256, &f.bytes, NULL, NULL);
	snprintf(f.name, sizeof(f.name), "%s", export_plain_name(path));
	if (!error)
		error = manifest_add_file(&m->e->manifest, &f);
	enum exit_code code = error ? export_file_failed(m->e, path, error) : ENDED_OK;
	free(path);
	return code;
}

static void say_where_it_begins(const struct exporting *e)
{
	char at[TIMETEXT_MAX], span[HUMAN_MAX];
	if (e->manifest.start_us >= e->from.us || e->call->quiet || e->call->json)
		return;
	timetext_format((struct wall){e->manifest.start_us}, e->call->utc, at);
	human_span(e->from.us - e->manifest.start_us, span);
	fprintf(stderr,
		"it begins with the sync picture at %s, %s before --from; an MP4 would begin "
		"exactly\n",
		at, span);
}

static enum exit_code fetch_all(struct mkv *m)
{
	struct exporting *e = m->e;
	const char *streams[] = {e->stream, NULL};
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	o.streams = streams;
	o.from_us = e->from.us;
	o.to_us = e->to.us;
	o.purpose = e->purpose;
	o.case_id = e->case_id;
	m->fetching.fragment = on_fragment;
	progress_start(&m->progress, "exporting", 0, e->call->quiet);
	int error = fetching_run(&m->fetching, e->cluster.steppe, &o);
	progress_end(&m->progress);
	int closed = mkvfile_close(&m->file);
	if (stop_asked())
		return ENDED_INTERRUPTED;
	if (error)
		return fetching_complain(&m->fetching, e->call, error, e->stream);
	if (m->error || closed)
		return export_file_failed(e, e->path, m->error ? m->error : closed);
	if (m->part_count == 0 || e->frames == 0) {
		complainf(e->call, "steppe timeline CAMERA tells what there is",
			"there is no footage of %s in this window", e->stream);
		return ENDED_NOTHING;
	}
	return ENDED_OK;
}

enum exit_code export_mkv(struct exporting *e)
{
	struct mkv m = {.e = e};
	strcpy(e->manifest.kind, "mkv");
	enum exit_code code = !e->force && access(e->path, F_OK) == 0
				      ? export_file_failed(e, e->path, -EEXIST)
				      : fetch_all(&m);
	for (unsigned i = 0; i < m.part_count; i++) {
		if (!code)
			code = name_one(&m, i);
		else
			unlink(m.parts[i]);
		free(m.parts[i]);
	}
	free(m.parts);
	unpack_fini(&m.unpack);
	if (!code)
		say_where_it_begins(e);
	return code;
}
