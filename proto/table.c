/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

void chunk_table_init(struct chunk_table *t, const struct bmff_init *init)
{
	*t = (struct chunk_table){.track_count = init->track_count};
	for (size_t i = 0; i < init->track_count; i++)
		t->tracks[i].timescale = init->tracks[i].timescale;
}

/* Whether a fragment may be the next one: what chunk_table_decode will ask of it again. */
static int judge_next(const struct chunk_table *t, const struct fragment_header *h, uint32_t offset,
	const struct bmff_run *runs, size_t run_count)
{
	if (h->body_len > UINT32_MAX - offset)
		return ERR_LIMIT;
	if (t->fragment_count) {
		const struct table_fragment *last = &t->fragments[t->fragment_count - 1];
		if (h->session != t->session || h->seq <= last->seq ||
			offset < last->offset + last->body_len)
			return -EINVAL;
	}
	uint64_t samples = 0;
	for (size_t i = 0; i < t->track_count; i++)
		samples += t->tracks[i].sample_count;
	for (size_t i = 0; i < run_count; i++) {
		if (runs[i].track_id == 0 || runs[i].track_id > t->track_count)
			return -EINVAL;
		samples += runs[i].sample_count;
	}
	return samples > TABLE_SAMPLES_MAX || t->fragment_count == TABLE_FRAGMENTS_MAX ? ERR_LIMIT
										       : 0;
}

static int fragment_room(struct chunk_table *t)
{
	if (t->fragment_count < t->fragment_room)
		return 0;
	uint32_t room = t->fragment_room ? 2 * t->fragment_room : 16;
	struct table_fragment *grown = realloc(t->fragments, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	t->fragments = grown;
	t->fragment_room = room;
	return 0;
}

static int sample_room(struct table_track *track, uint32_t more)
{
	if (more <= track->sample_room - track->sample_count)
		return 0;
	uint32_t room = track->sample_room ? track->sample_room : 64;
	while (room - track->sample_count < more)
		room *= 2;
	struct bmff_sample *grown = realloc(track->samples, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	track->samples = grown;
	track->sample_room = room;
	return 0;
}

int chunk_table_add(struct chunk_table *t, const struct fragment_header *h, uint32_t offset,
	const struct bmff_run *runs, size_t run_count)
{
	int rc = judge_next(t, h, offset, runs, run_count);
	if (rc == 0)
		rc = fragment_room(t);
	for (size_t i = 0; rc == 0 && i < run_count; i++)
		rc = sample_room(&t->tracks[runs[i].track_id - 1], runs[i].sample_count);
	struct table_fragment f = {.offset = offset,
		.body_len = h->body_len,
		.prefix_len = h->prefix_len,
		.flags = h->flags,
		.clock_source = h->clock_source,
		.clock_error_us = h->clock_error_us,
		.seq = h->seq,
		.capture = h->capture,
		.duration_us = h->duration_us};
	if (rc == 0)
		rc = fragment_digest(h, f.digest);
	if (rc < 0)
		return rc;

	for (size_t i = 0; i < t->track_count; i++)
		f.run[i].first_sample = t->tracks[i].sample_count;
	for (size_t i = 0; i < run_count; i++) {
		const struct bmff_run *run = &runs[i];
		struct table_track *track = &t->tracks[run->track_id - 1];
		if (run->sample_count == 0)
			continue;
		memcpy(track->samples + track->sample_count, run->samples,
			run->sample_count * sizeof(run->samples[0]));
		track->sample_count += run->sample_count;
		f.run[run->track_id - 1].decode_time = run->decode_time;
		f.run[run->track_id - 1].sample_count = run->sample_count;
		f.run[run->track_id - 1].data_offset = run->data_offset;
	}
	t->session = h->session;
	t->fragments[t->fragment_count++] = f;
	return 0;
}

void chunk_table_fini(struct chunk_table *t)
{
	free(t->fragments);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		free(t->tracks[i].samples);
	*t = (struct chunk_table){0};
}

size_t chunk_table_memory(const struct chunk_table *t)
{
	size_t bytes = t->fragment_room * sizeof(t->fragments[0]);
	for (size_t i = 0; i < FRAGMENT_TRACKS_MAX; i++)
		bytes += t->tracks[i].sample_room * sizeof(t->tracks[i].samples[0]);
	return bytes;
}
