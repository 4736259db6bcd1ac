/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clip_group.h"

#include "client/clip_track.h"

struct clip_walk clip_walk_start(const struct clip_plan *p, size_t step)
{
	const struct clip_step *s = &p->steps[step];
	unsigned master = p->masters[s->source];
	struct clip_walk w = {.clock = clip_clock_of(&p->sources[s->source], s->fragment, master)};
	uint32_t all;
	w.samples = clip_samples(&p->sources[s->source], s->fragment, master, &all);
	w.count = s->master_count;
	w.dts = w.base =
		p->zeros[step] + (int64_t)clip_plan_fragment(p, step)->run[master].decode_time;
	return w;
}

static int64_t walk_wall(const struct clip_walk *w)
{
	return clip_clock_wall(&w->clock, clip_walk_pts(w) - w->base);
}

/* Sets the steps' zeros; the group ends with the first stretch of continuing ticks that shows
 * something. */
static void group_extend(struct clip_plan *p, struct clip_group *g)
{
	int64_t axis_end = 0;
	bool shown = false;
	size_t i = g->first;
	for (; i < p->step_count; i++) {
		const struct clip_step *s = &p->steps[i];
		if (i > g->first && (s->new_file || (shown && !s->continues)))
			break;
		bool same_axis = i > g->first && s->continues &&
				 p->steps[i - 1].source == s->source &&
				 p->zeros[i - 1] != CLIP_ZERO_UNKNOWN;
		if (same_axis)
			p->zeros[i] = p->zeros[i - 1];
		else if (s->master_count)
			p->zeros[i] = axis_end - (int64_t)clip_plan_fragment(p, i)
							 ->run[p->masters[s->source]]
							 .decode_time;
		else
			p->zeros[i] = CLIP_ZERO_UNKNOWN;
		if (s->master_count == 0)
			continue;
		struct clip_walk w = clip_walk_start(p, i);
		for (; w.index < w.count; clip_walk_next(&w))
			shown = shown || clip_window_shows(&p->window, walk_wall(&w));
		axis_end = w.dts;
	}
	g->end = i;
	g->shown = shown;
}

static void group_note_shown(struct clip_group *g, const struct clip_walk *w)
{
	int64_t pts = clip_walk_pts(w);
	if (g->frames == 0 || pts < g->shown_first) {
		g->shown_first = pts;
		g->shown_wall_us = walk_wall(w);
	}
	if (g->frames == 0 || pts > g->shown_last) {
		g->shown_last = pts;
		g->last_duration = w->samples[w->index].duration;
		g->end_wall_us = walk_wall(w);
	}
	g->frames++;
}

void clip_group_measure(struct clip_plan *p, struct clip_group *g)
{
	group_extend(p, g);
	g->lowest = INT64_MAX;
	for (size_t i = g->first; i < g->end; i++) {
		if (p->steps[i].master_count == 0)
			continue;
		for (struct clip_walk w = clip_walk_start(p, i); w.index < w.count;
			clip_walk_next(&w)) {
			if (clip_walk_pts(&w) < g->lowest)
				g->lowest = clip_walk_pts(&w);
			if (clip_window_shows(&p->window, walk_wall(&w)))
				group_note_shown(g, &w);
		}
	}
	if (!g->shown)
		return;
	g->shown_end = g->shown_last + (g->last_duration ? g->last_duration : 1);
	for (size_t i = g->first; i < g->end; i++) {
		if (p->steps[i].master_count == 0)
			continue;
		for (struct clip_walk w = clip_walk_start(p, i); w.index < w.count;
			clip_walk_next(&w)) {
			if (clip_walk_pts(&w) <= g->shown_last)
				continue;
			g->hidden_after = true;
			if (clip_walk_pts(&w) < g->shown_end)
				g->shown_end = clip_walk_pts(&w);
		}
	}
	g->end_wall_us += clip_rescale(g->shown_end - g->shown_last,
		p->sources[p->steps[g->first].source]
			.table->tracks[p->masters[p->steps[g->first].source]]
			.timescale,
		(uint32_t)US_PER_SECOND);
}
