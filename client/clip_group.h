/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of steps that a clip places on its timeline together, and where in time they lie. Pure;
 * private to the layout. */
#pragma once

#include "client/clip_steps.h"

#define CLIP_ZERO_UNKNOWN INT64_MIN

/* Steps in order, with what is needed to place them. */
struct clip_plan {
	const struct clip_source *sources; /* borrowed */
	unsigned *masters;                 /* the master track of each source */
	struct clip_window window;
	struct clip_step *steps;
	int64_t *zeros; /* of each step: axis time = zero + the chunk's decoding time */
	size_t step_count;
};

/* Consecutive steps that are placed together: those whose ticks follow from one another, with what
 * before them is decoded but not shown. Times are ticks of the master track from the group's first
 * sample ("the axis"). */
struct clip_group {
	size_t first, end;      /* steps */
	bool shown;             /* anything at all */
	int64_t lowest;         /* earliest presentation of any sample */
	int64_t shown_first;    /* earliest presentation of what is shown ... */
	int64_t shown_last;     /* ... latest ... */
	int64_t shown_end;      /* ... and the end of that */
	uint32_t last_duration; /* of the picture shown last */
	int64_t shown_wall_us;  /* the instant of shown_first */
	int64_t end_wall_us;    /* that of shown_end */
	bool hidden_after;      /* samples presented after shown_end are decoded */
	uint64_t frames;
};

/* Samples of a step's master track, on the axis. */
struct clip_walk {
	const struct bmff_sample *samples;
	struct clip_clock clock;
	uint32_t count, index;
	int64_t dts;  /* of the sample at index */
	int64_t base; /* of the step's first */
};
/* The step's zero must be known. */
struct clip_walk clip_walk_start(const struct clip_plan *p, size_t step);

static inline int64_t clip_walk_pts(const struct clip_walk *w)
{
	return w->dts + w->samples[w->index].cts_offset;
}

static inline void clip_walk_next(struct clip_walk *w)
{
	w->dts += w->samples[w->index++].duration;
}

static inline const struct table_fragment *clip_plan_fragment(
	const struct clip_plan *p, size_t step)
{
	return &p->sources[p->steps[step].source].table->fragments[p->steps[step].fragment];
}

/* Measures the group that begins at step g->first, the rest of *g being zero; sets the steps'
 * zeros. */
void clip_group_measure(struct clip_plan *p, struct clip_group *g);
