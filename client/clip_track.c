/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clip_track.h"

#include <errno.h>
#include <stdlib.h>

#include "base/errors.h"

void clip_track_fini(struct clip_track *t)
{
	free(t->samples);
	free(t->pieces);
	free(t->edits);
	*t = (struct clip_track){0};
}

static int grow(void **array, uint32_t count, uint32_t *room, size_t item)
{
	if (count < *room)
		return 0;
	if (count >= BMFF_PROGRESSIVE_SAMPLES_MAX)
		return ERR_LIMIT;
	uint32_t more = *room ? 2 * *room : 256;
	void *grown = realloc(*array, (size_t)more * item);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

int clip_track_add(struct clip_track *t, int64_t dts, const struct bmff_sample *sample)
{
	int rc = grow((void **)&t->samples, t->sample_count, &t->sample_room, sizeof(*t->samples));
	if (rc < 0)
		return rc;
	if (t->sample_count == 0) {
		t->first_dts = dts;
	} else {
		if (dts < t->last_dts)
			dts = t->last_dts;
		int64_t delta = dts - t->last_dts;
		if (delta > INT32_MAX) /* what readers take without a doubt */
			return ERR_LIMIT;
		t->samples[t->sample_count - 1].duration = (uint32_t)delta;
	}
	t->samples[t->sample_count++] = *sample;
	t->last_dts = dts;
	return 0;
}

int clip_track_piece(struct clip_track *t, uint64_t offset, uint32_t count)
{
	int rc = grow((void **)&t->pieces, t->piece_count, &t->piece_room, sizeof(*t->pieces));
	if (rc < 0)
		return rc;
	t->pieces[t->piece_count++] = (struct bmff_piece){.offset = offset, .sample_count = count};
	return 0;
}

int clip_track_edit(struct clip_track *t, uint64_t duration, int64_t media_time)
{
	int rc = grow((void **)&t->edits, t->edit_count, &t->edit_room, sizeof(*t->edits));
	if (rc < 0)
		return rc;
	t->edits[t->edit_count++] =
		(struct bmff_edit){.duration = duration, .media_time = media_time};
	return 0;
}

int64_t clip_track_end(const struct clip_track *t)
{
	return t->sample_count ? t->last_dts + t->samples[t->sample_count - 1].duration : 0;
}

int64_t clip_rescale(int64_t ticks, uint32_t from, uint32_t to)
{
	__int128 product = (__int128)ticks * to;
	__int128 half = from / 2;
	return (int64_t)(product >= 0 ? (product + half) / from : -((-product + half) / from));
}

int clip_track_follow(struct clip_track *t, uint32_t scale, const struct clip_track *master,
	uint32_t master_scale)
{
	int64_t end = clip_track_end(t) - t->first_dts;
	for (uint32_t i = 0; i < master->edit_count; i++) {
		const struct bmff_edit *e = &master->edits[i];
		/* media begins at its first sample, wherever that lies */
		int64_t at = clip_rescale(e->media_time, master_scale, scale) - t->first_dts;
		uint64_t duration = e->duration;
		if (at < 0) {
			uint64_t late = (uint64_t)clip_rescale(-at, scale, master_scale);
			if (late > duration)
				late = duration;
			int rc = late ? clip_track_edit(t, late, -1) : 0;
			if (rc < 0)
				return rc;
			duration -= late;
			at = 0;
		}
		if (duration == 0)
			continue;
		int rc = clip_track_edit(t, duration, at < end ? at : -1);
		if (rc < 0)
			return rc;
	}
	return 0;
}
