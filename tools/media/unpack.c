/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

#define SAMPLES_MAX 65536u /* of one fragment */

void unpack_fini(struct unpack *u)
{
	buf_unref(&u->init_copy);
	free(u->samples);
	free(u->parsed);
	*u = (struct unpack){.count = 0};
}

static int take_init(struct unpack *u, const struct steppe_fragment *f)
{
	u->init_changed = !u->init_copy || u->init_copy->len != f->init_len ||
			  memcmp(u->init_copy->data, f->init, f->init_len) != 0;
	if (!u->init_changed)
		return 0;
	struct buf *copy = buf_copy(f->init, f->init_len);
	if (!copy)
		return -ENOMEM;
	int error = bmff_init_parse(copy->data, copy->len, &u->init);
	if (error) {
		buf_unref(&copy);
		return error;
	}
	buf_unref(&u->init_copy);
	u->init_copy = copy;
	return 0;
}

static int reserve(struct unpack *u, size_t room)
{
	struct bmff_sample *parsed = realloc(u->parsed, room * sizeof(*parsed));
	if (parsed)
		u->parsed = parsed;
	struct unpacked *samples = realloc(u->samples, room * sizeof(*samples));
	if (samples)
		u->samples = samples;
	if (!parsed || !samples)
		return -ENOMEM;
	u->room = room;
	return 0;
}

/* The length of the whole body, of which a sync prefix is the beginning: told by the headers of its
 * boxes up to mdat. */
static uint32_t body_len_of(const struct steppe_fragment *f)
{
	struct bytes b = bytes_reader(f->body, f->len);
	uint64_t total = 0;
	while (f->prefix_only && bytes_left(&b) > 0) {
		struct bmff_box box;
		if (bmff_box_read(&b, &box) || box.size > FRAGMENT_BODY_MAX - total)
			break;
		total += box.size;
		if (box.type == BMFF_FOURCC('m', 'd', 'a', 't'))
			return (uint32_t)total;
		bytes_skip(&b, box.size - box.header);
	}
	return (uint32_t)f->len;
}

/* Parses, with more room as long as there is too little. */
static int parse(
	struct unpack *u, const struct steppe_fragment *f, struct bmff_fragment *ret_fragment)
{
	int error = u->room ? 0 : reserve(u, 256);
	while (!error) {
		*ret_fragment = (struct bmff_fragment){
			.init = &u->init, .samples = u->parsed, .sample_room = u->room};
		error = bmff_fragment_read(ret_fragment, f->body, f->len, body_len_of(f));
		if (error != ERR_LIMIT || u->room >= SAMPLES_MAX)
			return error;
		error = reserve(u, u->room * 4);
	}
	return error;
}

static const struct bmff_track *track_of(const struct unpack *u, const struct bmff_run *run)
{
	for (unsigned i = 0; i < u->init.track_count; i++)
		if (u->init.tracks[i].id == run->track_id)
			return &u->init.tracks[i];
	return NULL;
}

static int64_t ticks_us(int64_t ticks, uint32_t timescale)
{
	return (int64_t)((__int128)ticks * 1000000 / timescale);
}

/* The tick whose civil time the header tells: of the first picture shown, or of what there is
 * without pictures. */
static int64_t first_shown_us(const struct unpack *u, const struct bmff_fragment *b)
{
	const struct bmff_run *run = &b->runs[0];
	const struct bmff_track *t = track_of(u, run);
	int64_t dts = (int64_t)run->decode_time, first = INT64_MAX;
	for (uint32_t i = 0; i < run->sample_count; i++) {
		int64_t pts = dts + run->samples[i].cts_offset;
		first = pts < first ? pts : first;
		dts += run->samples[i].duration;
	}
	return ticks_us(first, t->timescale);
}

static void take_run(struct unpack *u, const struct steppe_fragment *f, const struct bmff_run *run,
	int64_t base_us)
{
	const struct bmff_track *t = track_of(u, run);
	int64_t dts = (int64_t)run->decode_time;
	size_t offset = run->data_offset;
	for (uint32_t i = 0; i < run->sample_count; i++) {
		const struct bmff_sample *s = &run->samples[i];
		if (offset + s->size > f->len)
			return; /* a prefix ends here */
		u->samples[u->count++] = (struct unpacked){
			.track = (unsigned)(t - u->init.tracks),
			.data = (const uint8_t *)f->body + offset,
			.len = s->size,
			.dts_us = base_us + ticks_us(dts, t->timescale),
			.pts_us = base_us + ticks_us(dts + s->cts_offset, t->timescale),
			.duration_us = ticks_us(s->duration, t->timescale),
			.sync = s->sync,
		};
		dts += s->duration;
		offset += s->size;
		if (f->prefix_only)
			return;
	}
}

int unpack_take(struct unpack *u, const struct steppe_fragment *f)
{
	struct bmff_fragment b;
	u->count = 0;
	u->init_changed = false;
	if (f->damaged || f->len == 0)
		return 0;
	int error = take_init(u, f);
	if (!error)
		error = parse(u, f, &b);
	if (error)
		return error;
	for (size_t i = 0; i < b.run_count; i++)
		if (!track_of(u, &b.runs[i]) || b.runs[i].sample_count == 0)
			return ERR_FORMAT;
	if (b.run_count == 0)
		return 0;
	int64_t base_us = f->capture_us - first_shown_us(u, &b);
	for (size_t i = 0; i < (f->prefix_only ? 1 : b.run_count); i++)
		take_run(u, f, &b.runs[i], base_us);
	return 0;
}
