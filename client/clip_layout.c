/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clip_layout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/errors.h"
#include "client/clip_group.h"
#include "client/clip_track.h"

#define SOURCES_MAX 65536u
#define FILES_MAX   64u
#define FILLER_MAX  (UINT32_C(64) << 10) /* more than this between two fragments is left out */
#define GAP_US      (US_PER_SECOND / 2)  /* less is jitter (or less than two pictures) */

struct builder {
	struct clip_plan plan;
	struct bmff_init *inits;

	/* the file being made */
	const struct bmff_init *init; /* NULL: none */
	unsigned master;
	uint32_t timescale;
	struct clip_track tracks[FRAGMENT_TRACKS_MAX];
	struct clip_part *parts;
	size_t part_count, part_room;
	uint64_t media_bytes;
	/* its timeline; presentation counts from 0, media = presentation + offset inside the open
	 * edit */
	int64_t origin_us; /* the instant that is presentation 0 */
	int64_t offset;
	int64_t edit_start; /* presentation at which the open edit begins */
	int64_t shown_end;
	uint32_t frame_duration;
	bool hidden_after;

	struct clip_layout *layout;
};

/* --- files --- */

static void file_begin(struct builder *b, const struct clip_group *g)
{
	uint32_t source = b->plan.steps[g->first].source;
	b->init = &b->inits[source];
	b->master = b->plan.masters[source];
	b->timescale = b->init->tracks[b->master].timescale;
	b->origin_us = g->shown_wall_us;
	b->offset = g->shown_first;
	b->edit_start = 0;
	b->shown_end = 0;
	b->hidden_after = false;
	b->media_bytes = 0;
}

static void file_drop(struct builder *b)
{
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		clip_track_fini(&b->tracks[i]);
	free(b->parts);
	b->parts = NULL;
	b->part_count = b->part_room = 0;
	b->init = NULL;
}

static int close_edit(struct builder *b, int64_t end)
{
	return clip_track_edit(
		&b->tracks[b->master], (uint64_t)(end - b->edit_start), b->edit_start + b->offset);
}

static int file_head(struct builder *b, struct buf **ret_head)
{
	struct bmff_progressive p = {.timescale = b->timescale, .media_bytes = b->media_bytes};
	const struct clip_track *master = &b->tracks[b->master];
	for (unsigned i = 0; i < b->init->track_count; i++) {
		struct clip_track *t = &b->tracks[i];
		if (t->sample_count == 0)
			continue;
		const struct bmff_track *track = &b->init->tracks[i];
		int rc = i == b->master
				 ? 0
				 : clip_track_follow(t, track->timescale, master, b->timescale);
		if (rc < 0)
			return rc;
		p.tracks[p.track_count++] = (struct bmff_progressive_track){
			.track = track,
			.samples = t->samples,
			.sample_count = t->sample_count,
			.pieces = t->pieces,
			.piece_count = t->piece_count,
			.edits = t->edits,
			.edit_count = t->edit_count,
		};
	}
	return bmff_progressive_build(&p, ret_head);
}

static int file_finish(struct builder *b)
{
	struct clip_layout *l = b->layout;
	if (l->file_count == FILES_MAX)
		return ERR_LIMIT;
	struct clip_file *files = realloc(l->files, (l->file_count + 1) * sizeof(*files));
	if (!files)
		return -ENOMEM;
	l->files = files;
	struct buf *head;
	int rc = close_edit(b, b->shown_end);
	if (rc == 0)
		rc = file_head(b, &head);
	if (rc < 0)
		return rc;
	files[l->file_count++] = (struct clip_file){
		.head = head,
		.parts = b->parts,
		.part_count = b->part_count,
		.media_bytes = b->media_bytes,
	};
	b->parts = NULL;
	file_drop(b);
	return 0;
}

/* --- placing a group --- */

static bool too_long(const struct builder *b, int64_t ticks)
{
	for (unsigned i = 0; i < b->init->track_count; i++)
		if (clip_rescale(ticks, b->timescale, b->init->tracks[i].timescale) > INT32_MAX)
			return true;
	return false;
}

/* Where the group is shown: at its true distance from the file's first picture, but never before
 * the end of what is shown already (the camera's clock went back). */
static int64_t presentation_of(struct builder *b, const struct clip_group *g)
{
	int64_t at = clip_rescale(g->shown_wall_us - b->origin_us, US_PER_SECOND, b->timescale);
	if (at <= b->shown_end || b->hidden_after)
		return b->shown_end;
	int64_t gap_us = clip_rescale(at - b->shown_end, b->timescale, US_PER_SECOND);
	int64_t pictures = at - b->shown_end - 2 * (int64_t)b->frame_duration;
	if (!b->plan.window.close_gaps || gap_us <= GAP_US || pictures <= 0)
		return at;
	b->origin_us += gap_us;
	return b->shown_end;
}

/* Gives the master media time of the group's axis zero. */
static int place(struct builder *b, const struct clip_group *g, int64_t *ret_base)
{
	const struct clip_track *master = &b->tracks[b->master];
	int64_t base = 0;
	if (master->sample_count) {
		int64_t at = presentation_of(b, g);
		base = at + b->offset - g->shown_first;
		if (base <= master->last_dts || g->lowest < g->shown_first || b->hidden_after) {
			/* what is not shown of the group must not be seen in the stretch before it */
			base = clip_track_end(master);
			if (base < at + b->offset - g->lowest)
				base = at + b->offset - g->lowest;
			int rc = close_edit(b, at);
			if (rc < 0)
				return rc;
			b->edit_start = at;
			b->offset = base + g->shown_first - at;
		}
		b->shown_end = at;
	}
	b->shown_end += g->shown_end - g->shown_first;
	b->hidden_after = g->hidden_after;
	b->frame_duration = g->last_duration;
	*ret_base = base;
	return 0;
}

/* --- emitting its samples --- */

/* Gives the place of the fragment's body in the file's media. */
static int add_part(struct builder *b, size_t step, uint64_t *ret_body)
{
	const struct clip_step *s = &b->plan.steps[step];
	const struct table_fragment *f = clip_plan_fragment(&b->plan, step);
	if (f->offset < CLIP_FRAG_BOX)
		return ERR_FORMAT;
	if (b->part_count == b->part_room) {
		size_t room = b->part_room ? 2 * b->part_room : 64;
		struct clip_part *parts = realloc(b->parts, room * sizeof(*parts));
		if (!parts)
			return -ENOMEM;
		b->parts = parts;
		b->part_room = room;
	}
	struct clip_part part = {
		.source = s->source,
		.fragment = s->fragment,
		.offset = f->offset - CLIP_FRAG_BOX,
		.len = CLIP_FRAG_BOX + f->body_len,
	};
	if (b->part_count) {
		struct clip_part *before = &b->parts[b->part_count - 1];
		uint64_t end = before->offset + before->len;
		if (before->source == part.source && part.offset >= end &&
			part.offset - end <= FILLER_MAX) {
			before->len += (uint32_t)(part.offset - end);
			b->media_bytes += part.offset - end;
		}
	}
	part.at = b->media_bytes;
	b->parts[b->part_count++] = part;
	b->media_bytes += part.len;
	*ret_body = part.at + CLIP_FRAG_BOX;
	return 0;
}

static int emit_master(struct builder *b, size_t step, int64_t base, uint64_t body)
{
	if (b->plan.steps[step].master_count == 0)
		return 0;
	struct clip_track *t = &b->tracks[b->master];
	for (struct clip_walk w = clip_walk_start(&b->plan, step); w.index < w.count;
		clip_walk_next(&w)) {
		int rc = clip_track_add(t, base + w.dts, &w.samples[w.index]);
		if (rc < 0)
			return rc;
	}
	return clip_track_piece(t,
		body + clip_plan_fragment(&b->plan, step)->run[b->master].data_offset,
		b->plan.steps[step].master_count);
}

/* Another track's samples go where the master's time says; a tick or two of rounding between chunks
 * is evened out. What lies outside of what is shown is left out, but for two samples before it,
 * which decoders want to warm up. */
static int emit_other(struct builder *b, size_t step, int64_t base, uint64_t body, unsigned track)
{
	const struct clip_step *s = &b->plan.steps[step];
	const struct table_fragment *f = clip_plan_fragment(&b->plan, step);
	uint32_t scale = b->init->tracks[track].timescale, count;
	const struct bmff_sample *samples =
		clip_samples(&b->plan.sources[s->source], s->fragment, track, &count);
	struct clip_track *t = &b->tracks[track];
	int64_t dts = clip_rescale(base + b->plan.zeros[step], b->timescale, scale) +
		      (int64_t)f->run[track].decode_time;
	int64_t tolerance = scale / 1000 > 2 ? scale / 1000 : 2;
	if (t->sample_count && llabs(dts - clip_track_end(t)) <= tolerance)
		dts = clip_track_end(t);
	int64_t from = clip_rescale(b->edit_start + b->offset, b->timescale, scale);
	int64_t to = clip_rescale(b->shown_end + b->offset, b->timescale, scale);

	uint64_t place = body + f->run[track].data_offset;
	uint32_t taken = 0;
	for (uint32_t i = 0; i < count; i++) {
		int64_t duration = samples[i].duration;
		bool wanted = dts + 3 * duration > from && dts < to &&
			      (t->sample_count == 0 || dts + duration > clip_track_end(t));
		if (!wanted && taken)
			break;
		if (!wanted) {
			place += samples[i].size;
		} else {
			int rc = clip_track_add(t, dts, &samples[i]);
			if (rc < 0)
				return rc;
			taken++;
		}
		dts += duration;
	}
	return taken ? clip_track_piece(t, place, taken) : 0;
}

static int emit(struct builder *b, const struct clip_group *g, int64_t base)
{
	for (size_t i = g->first; i < g->end; i++) {
		uint64_t body;
		int rc = add_part(b, i, &body);
		if (rc == 0)
			rc = emit_master(b, i, base, body);
		for (unsigned t = 0; rc == 0 && t < b->init->track_count; t++)
			if (t != b->master && b->plan.zeros[i] != CLIP_ZERO_UNKNOWN)
				rc = emit_other(b, i, base, body, t);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_group(struct builder *b, const struct clip_group *g)
{
	int rc = 0;
	if (b->init) {
		int64_t wait_us = g->shown_wall_us - b->origin_us -
				  clip_rescale(b->shown_end, b->timescale, US_PER_SECOND);
		bool endless = !b->plan.window.close_gaps && wait_us > 0 &&
			       too_long(b, clip_rescale(wait_us + 2 * US_PER_SECOND, US_PER_SECOND,
						   b->timescale));
		if (b->plan.steps[g->first].new_file || endless)
			rc = file_finish(b);
	}
	if (rc == 0 && !b->init)
		file_begin(b, g);
	int64_t base = 0;
	if (rc == 0)
		rc = place(b, g, &base);
	if (rc == 0)
		rc = emit(b, g, base);
	if (rc < 0)
		return rc;
	struct clip_layout *l = b->layout;
	if (l->frames == 0 || g->shown_wall_us < l->start_us)
		l->start_us = g->shown_wall_us;
	if (l->frames == 0 || g->end_wall_us > l->end_us)
		l->end_us = g->end_wall_us;
	l->frames += g->frames;
	return 0;
}

/* Sees that a table goes with its init segment and that no sum of its times can run over: a chunk
 * has far less than 2^44 ticks. */
static int judge_source(const struct clip_source *s, const struct bmff_init *init)
{
	const uint64_t ticks_max = UINT64_C(1) << 44;
	if (init->track_count != s->table->track_count)
		return ERR_FORMAT;
	for (unsigned t = 0; t < init->track_count; t++) {
		const struct table_track *track = &s->table->tracks[t];
		if (init->tracks[t].timescale != track->timescale)
			return ERR_FORMAT;
		uint64_t ticks = 0;
		for (uint32_t i = 0; i < track->sample_count; i++)
			ticks += track->samples[i].duration;
		for (uint32_t i = 0; i < s->table->fragment_count; i++)
			if (s->table->fragments[i].run[t].decode_time > ticks_max)
				return ERR_FORMAT;
		if (ticks > ticks_max)
			return ERR_FORMAT;
	}
	for (uint32_t i = 0; i < s->table->fragment_count; i++)
		if (!wall_is_valid(s->table->fragments[i].capture))
			return ERR_FORMAT;
	return 0;
}

/* Parses the init segments. */
static int prepare(struct builder *b, size_t count)
{
	b->inits = calloc(count, sizeof(*b->inits));
	b->plan.masters = calloc(count, sizeof(*b->plan.masters));
	if (!b->inits || !b->plan.masters)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct clip_source *s = &b->plan.sources[i];
		int rc = bmff_init_parse(s->init, s->init_len, &b->inits[i]);
		if (rc < 0)
			return rc;
		rc = judge_source(s, &b->inits[i]);
		if (rc < 0)
			return rc;
		b->plan.masters[i] = clip_master_track(&b->inits[i]);
	}
	return clip_steps_choose(b->plan.sources, b->plan.masters, count, &b->plan.window,
		&b->plan.steps, &b->plan.step_count);
}

int clip_layout_build(const struct clip_source *sources, size_t count,
	const struct clip_window *window, struct clip_layout *ret_layout)
{
	struct clip_layout layout = {0};
	struct builder b = {.plan = {.sources = sources, .window = *window}, .layout = &layout};
	int rc = count == 0 ? -ENODATA : count > SOURCES_MAX ? ERR_LIMIT : prepare(&b, count);
	if (rc == 0 && b.plan.step_count == 0)
		rc = -ENODATA;
	if (rc < 0)
		goto fail;
	b.plan.zeros = calloc(b.plan.step_count, sizeof(*b.plan.zeros));
	if (!b.plan.zeros) {
		rc = -ENOMEM;
		goto fail;
	}
	for (struct clip_group g = {0}; rc == 0 && g.first < b.plan.step_count;
		g = (struct clip_group){.first = g.end}) {
		clip_group_measure(&b.plan, &g);
		if (g.shown)
			rc = add_group(&b, &g);
	}
	if (rc == 0)
		rc = b.init ? file_finish(&b) : -ENODATA;
	if (rc == 0) {
		*ret_layout = layout;
		layout = (struct clip_layout){0};
	}
fail:
	file_drop(&b);
	clip_layout_fini(&layout);
	free(b.inits);
	free(b.plan.masters);
	free(b.plan.steps);
	free(b.plan.zeros);
	return rc;
}

void clip_layout_fini(struct clip_layout *layout)
{
	for (size_t i = 0; i < layout->file_count; i++) {
		buf_unref(&layout->files[i].head);
		free(layout->files[i].parts);
	}
	free(layout->files);
	*layout = (struct clip_layout){0};
}
