/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes. The first byte: 0, an init segment; 1, a fragment body; 2, an init segment of the length
 * in the next two bytes and the body of a fragment that goes by its defaults. What is read must lie
 * inside and be written again to mean the same. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "proto/bmff.h"
#include "tests/fuzz/fuzz.h"

#define ROOM 512

static bool inside(const uint8_t *p, size_t len, const uint8_t *data, size_t size)
{
	return len == 0 || (p >= data && len <= size && (size_t)(p - data) <= size - len);
}

/* Gives whether an init segment was read. */
static bool try_init(const uint8_t *data, size_t size, struct bmff_init *ret_init)
{
	if (bmff_init_parse(data, size, ret_init) < 0)
		return false;
	for (size_t i = 0; i < ret_init->track_count; i++) {
		const struct bmff_track *t = &ret_init->tracks[i];
		CHECK(t->id == i + 1 && t->timescale && t->entry);
		CHECK(inside(t->entry, t->entry_len, data, size) &&
			inside(t->config, t->config_len, data, size));
	}
	struct buf *buf;
	if (bmff_init_build(ret_init, &buf) < 0)
		return true; /* such as a width of zero: it may be read, but we do not write it */
	struct bmff_init again;
	CHECK(bmff_init_parse(buf->data, buf->len, &again) == 0);
	CHECK(again.track_count == ret_init->track_count);
	for (size_t i = 0; i < again.track_count; i++) {
		const struct bmff_track *a = &again.tracks[i], *b = &ret_init->tracks[i];
		CHECK(a->codec == b->codec && a->media == b->media && a->timescale == b->timescale);
		CHECK(a->entry_len == b->entry_len && !memcmp(a->entry, b->entry, a->entry_len));
	}
	buf_unref(&buf);
	return true;
}

static void rebuild(const struct bmff_fragment *f, const uint8_t *body)
{
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	struct slice payload[FRAGMENT_TRACKS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < f->run_count; i++) {
		if (f->runs[i].sample_count == 0)
			continue;
		size_t len = 0;
		for (uint32_t k = 0; k < f->runs[i].sample_count; k++)
			len += f->runs[i].samples[k].size;
		payload[count] = (struct slice){.data = body + f->runs[i].data_offset, .len = len};
		runs[count] = f->runs[i];
		runs[count].payload = &payload[count];
		runs[count].payload_count = 1;
		count++;
	}
	if (count == 0)
		return;
	struct fragment_header h = {.flags = FRAGMENT_SYNC | FRAGMENT_NO_VIDEO};
	struct buf *built;
	if (bmff_fragment_build(runs, count, &h, &built) < 0)
		return;
	static struct bmff_sample samples[ROOM];
	struct bmff_fragment again = {.samples = samples, .sample_room = ROOM};
	CHECK(bmff_fragment_read(&again, built->data, built->len, h.body_len) == 0);
	CHECK(bmff_fragment_agrees(&h, again.runs, again.run_count) == 0);
	CHECK(again.run_count == count);
	for (size_t i = 0; i < count; i++) {
		CHECK(again.runs[i].decode_time == runs[i].decode_time);
		CHECK(again.runs[i].sample_count == runs[i].sample_count);
		for (uint32_t k = 0; k < runs[i].sample_count; k++) {
			const struct bmff_sample *a = &again.runs[i].samples[k],
						 *b = &runs[i].samples[k];
			CHECK(a->size == b->size && a->duration == b->duration &&
				a->cts_offset == b->cts_offset && a->sync == b->sync);
		}
		CHECK(!memcmp(
			built->data + again.runs[i].data_offset, payload[i].data, payload[i].len));
	}
	buf_unref(&built);
}

static void try_body(const struct bmff_init *init, const uint8_t *data, size_t size)
{
	static struct bmff_sample samples[ROOM];
	struct bmff_fragment f = {.init = init, .samples = samples, .sample_room = ROOM};
	/* as it is, and as the start of a body of which not all is at hand */
	(void)bmff_fragment_read(&f, data, size, (uint32_t)size + 1000);
	if (bmff_fragment_read(&f, data, size, (uint32_t)size) < 0)
		return;
	CHECK(f.run_count >= 1 && f.run_count <= FRAGMENT_TRACKS_MAX);
	for (size_t i = 0; i < f.run_count; i++) {
		uint64_t end = f.runs[i].data_offset;
		for (uint32_t k = 0; k < f.runs[i].sample_count; k++)
			end += f.runs[i].samples[k].size;
		CHECK(end <= size && f.runs[i].tfdt_offset <= size - 8);
	}
	rebuild(&f, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = bytes_reader(data, size);
	struct bmff_init init;
	if (size > FRAGMENT_BODY_MAX)
		return 0;
	switch (bytes_get_u8(&b) % 3) {
	case 0:
		(void)try_init(data + b.at, bytes_left(&b), &init);
		break;
	case 1:
		try_body(NULL, data + b.at, bytes_left(&b));
		break;
	default: {
		size_t len = bytes_get_u16(&b);
		const uint8_t *segment = bytes_get_view(&b, len);
		if (segment && try_init(segment, len, &init))
			try_body(&init, data + b.at, bytes_left(&b));
	}
	}
	return 0;
}
