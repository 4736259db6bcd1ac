/* SPDX-License-Identifier: Apache-2.0 */
/* Reading fragments. */
#include <string.h>

#include "base/errors.h"
#include "proto/bmff.h"

enum tfhd_flags {
	TFHD_BASE_DATA_OFFSET = 0x000001,
	TFHD_DESCRIPTION = 0x000002,
	TFHD_DURATION = 0x000008,
	TFHD_SIZE = 0x000010,
	TFHD_FLAGS = 0x000020,
	TFHD_BASE_IS_MOOF = 0x020000,
};

enum trun_flags {
	TRUN_DATA_OFFSET = 0x000001,
	TRUN_FIRST_FLAGS = 0x000004,
	TRUN_DURATION = 0x000100,
	TRUN_SIZE = 0x000200,
	TRUN_FLAGS = 0x000400,
	TRUN_CTS_OFFSET = 0x000800,
};

#define SAMPLE_IS_NOT_SYNC UINT32_C(0x00010000)
/* Far beyond any clock; lets everyone add the samples' durations without a second thought. */
#define DECODE_TIME_MAX (UINT64_C(1) << 62)

/* What a sample is that does not say so itself. */
struct defaults {
	uint32_t duration, size, flags;
};

struct reading {
	struct bmff_fragment *f;
	const uint8_t *body;
	uint32_t body_len;
	uint32_t moof_start;
	uint32_t data_start; /* the first byte that samples may have */
	size_t samples_used;
};

static int read_tfhd(struct reading *r, struct bytes b, struct bmff_run *run, struct defaults *d)
{
	uint32_t flags = bytes_get_u32(&b) & 0xffffff;
	run->track_id = bytes_get_u32(&b);
	/* a fragment is moved about: its data must lie where its own moof says */
	if (b.error || flags & TFHD_BASE_DATA_OFFSET || !(flags & TFHD_BASE_IS_MOOF))
		return ERR_FORMAT;
	if (run->track_id == 0 || run->track_id > FRAGMENT_TRACKS_MAX)
		return ERR_FORMAT;
	const struct bmff_init *init = r->f->init;
	*d = (struct defaults){0};
	if (init) {
		if (run->track_id > init->track_count)
			return ERR_FORMAT;
		const struct bmff_track *t = &init->tracks[run->track_id - 1];
		*d = (struct defaults){t->default_duration, t->default_size, t->default_flags};
	}
	if (flags & TFHD_DESCRIPTION && bytes_get_u32(&b) != 1)
		return ERR_FORMAT;
	if (flags & TFHD_DURATION)
		d->duration = bytes_get_u32(&b);
	if (flags & TFHD_SIZE)
		d->size = bytes_get_u32(&b);
	if (flags & TFHD_FLAGS)
		d->flags = bytes_get_u32(&b);
	return b.error ? ERR_FORMAT : 0;
}

static int read_tfdt(struct reading *r, struct bytes b, struct bmff_run *run)
{
	uint8_t version = bytes_get_u8(&b);
	bytes_skip(&b, 3);
	if (version == 1) {
		run->tfdt_offset = (uint32_t)(b.in + b.at - r->body);
		run->decode_time = bytes_get_u64(&b);
	} else {
		run->tfdt_offset = 0;
		run->decode_time = bytes_get_u32(&b);
	}
	return b.error || version > 1 || run->decode_time > DECODE_TIME_MAX ? ERR_FORMAT : 0;
}

static int read_sample(
	struct bytes *b, uint32_t flags, const struct defaults *d, struct bmff_sample *ret_sample)
{
	uint8_t version = (uint8_t)(flags >> 24);
	uint32_t duration = flags & TRUN_DURATION ? bytes_get_u32(b) : d->duration;
	uint32_t size = flags & TRUN_SIZE ? bytes_get_u32(b) : d->size;
	uint32_t sample_flags = flags & TRUN_FLAGS ? bytes_get_u32(b) : d->flags;
	uint32_t cts_offset = flags & TRUN_CTS_OFFSET ? bytes_get_u32(b) : 0;
	/* unsigned in version 0, where more than 31 bits would turn negative */
	if (b->error || (version == 0 && cts_offset > INT32_MAX))
		return ERR_FORMAT;
	*ret_sample = (struct bmff_sample){.size = size,
		.duration = duration,
		.cts_offset = (int32_t)cts_offset,
		.sync = !(sample_flags & SAMPLE_IS_NOT_SYNC)};
	return 0;
}

/* Appends a trun's samples to its track's run. `end` is where the run's data ends so far, and where
 * it ends afterwards. */
static int read_trun(struct reading *r, struct bytes b, struct bmff_run *run,
	const struct defaults *d, uint64_t *end)
{
	uint32_t flags = bytes_get_u32(&b);
	uint32_t count = bytes_get_u32(&b);
	int64_t start = (int64_t)*end;
	if (flags & TRUN_DATA_OFFSET)
		start = (int64_t)r->moof_start + (int32_t)bytes_get_u32(&b);
	uint32_t first_flags = flags & TRUN_FIRST_FLAGS ? bytes_get_u32(&b) : d->flags;
	if (b.error || flags >> 24 > 1)
		return ERR_FORMAT;
	if (count == 0)
		return 0;
	if (run->sample_count == 0) {
		/* without an offset the data would begin at moof itself */
		if (!(flags & TRUN_DATA_OFFSET) || start < r->data_start || start > r->body_len)
			return ERR_FORMAT;
		run->data_offset = (uint32_t)start;
		*end = (uint64_t)start;
	} else if (start != (int64_t)*end) {
		return ERR_FORMAT;
	}
	if (count > r->f->sample_room - r->samples_used)
		return ERR_LIMIT;
	for (uint32_t i = 0; i < count; i++) {
		struct defaults sample_defaults = *d;
		if (i == 0)
			sample_defaults.flags = first_flags;
		struct bmff_sample *sample = &r->f->samples[r->samples_used];
		int rc = read_sample(&b, flags, &sample_defaults, sample);
		if (rc < 0)
			return rc;
		*end += sample->size;
		if (*end > r->body_len)
			return ERR_FORMAT;
		r->samples_used++;
		run->sample_count++;
	}
	return bytes_left(&b) == 0 ? 0 : ERR_FORMAT;
}

/* Where a run's data ends. */
static uint64_t run_end(const struct bmff_run *run)
{
	uint64_t end = run->data_offset;
	for (uint32_t i = 0; i < run->sample_count; i++)
		end += run->samples[i].size;
	return end;
}

static int check_apart(const struct bmff_fragment *f, const struct bmff_run *run, uint64_t end)
{
	for (size_t i = 0; i < f->run_count; i++) {
		const struct bmff_run *other = &f->runs[i];
		if (other->track_id == run->track_id)
			return ERR_FORMAT;
		if (run->data_offset < run_end(other) && other->data_offset < end)
			return ERR_FORMAT;
	}
	return 0;
}

static int read_traf(struct reading *r, struct bytes traf)
{
	struct bmff_fragment *f = r->f;
	if (f->run_count == FRAGMENT_TRACKS_MAX)
		return ERR_FORMAT;
	struct bmff_run run = {.samples = f->samples + r->samples_used};
	struct defaults defaults = {0};
	bool has_tfhd = false, has_tfdt = false;
	uint64_t end = 0;
	struct bmff_box box;
	struct bytes b;
	int rc;
	while ((rc = bmff_box_next(&traf, &box, &b)) == 1) {
		switch (box.type) {
		case BMFF_FOURCC('t', 'f', 'h', 'd'):
			rc = has_tfhd ? ERR_FORMAT : read_tfhd(r, b, &run, &defaults);
			has_tfhd = true;
			break;
		case BMFF_FOURCC('t', 'f', 'd', 't'):
			rc = has_tfdt ? ERR_FORMAT : read_tfdt(r, b, &run);
			has_tfdt = true;
			break;
		case BMFF_FOURCC('t', 'r', 'u', 'n'):
			rc = has_tfhd ? read_trun(r, b, &run, &defaults, &end) : ERR_FORMAT;
			break;
		default:
			rc = 0;
			break;
		}
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && !(has_tfhd && has_tfdt))
		rc = ERR_FORMAT;
	if (rc == 0)
		rc = check_apart(f, &run, end);
	if (rc == 0)
		f->runs[f->run_count++] = run;
	return rc;
}

/* Steps over a prft box, if there is one, and takes moof. Where mdat's header is at hand, mdat must
 * end with the body. */
static int find_moof(struct reading *r, struct bytes *b, struct bytes *ret_moof)
{
	struct bmff_box box;
	int rc = bmff_box_read(b, &box);
	if (rc == 0 && box.type == BMFF_FOURCC('p', 'r', 'f', 't')) {
		if (box.size > r->body_len)
			return ERR_FORMAT;
		bytes_skip(b, (size_t)(box.size - box.header));
		r->moof_start = (uint32_t)b->at;
		rc = bmff_box_read(b, &box);
	}
	if (rc < 0)
		return rc;
	if (box.type != BMFF_FOURCC('m', 'o', 'o', 'f') || box.size > r->body_len - r->moof_start)
		return ERR_FORMAT;
	size_t moof_len = (size_t)(box.size - box.header);
	*ret_moof = bytes_reader(bytes_get_view(b, moof_len), moof_len);
	if (b->error)
		return b->error;

	size_t mdat_start = b->at;
	r->data_start = (uint32_t)mdat_start + 8;
	rc = bmff_box_read(b, &box);
	if (rc == ERR_TRUNCATED)
		return 0;
	if (rc < 0 || box.type != BMFF_FOURCC('m', 'd', 'a', 't') ||
		box.size != r->body_len - mdat_start)
		return ERR_FORMAT;
	r->data_start = (uint32_t)b->at;
	return 0;
}

int bmff_fragment_read(struct bmff_fragment *f, const void *body, size_t len, uint32_t body_len)
{
	struct reading r = {.f = f, .body = body, .body_len = body_len};
	struct bytes b = bytes_reader(body, len < body_len ? len : body_len), moof, traf;
	struct bmff_box box;
	f->run_count = 0;
	if (body_len > FRAGMENT_BODY_MAX)
		return ERR_LIMIT;
	int rc = find_moof(&r, &b, &moof);
	if (rc < 0)
		return rc;
	while ((rc = bmff_box_next(&moof, &box, &traf)) == 1) {
		if (box.type != BMFF_FOURCC('t', 'r', 'a', 'f'))
			continue;
		rc = read_traf(&r, traf);
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && f->run_count == 0)
		rc = ERR_FORMAT;
	return rc;
}

int bmff_fragment_parse(const void *body, size_t len, uint32_t body_len,
	struct bmff_run runs[FRAGMENT_TRACKS_MAX], size_t *ret_run_count,
	struct bmff_sample *samples, size_t sample_room)
{
	struct bmff_fragment f = {.samples = samples, .sample_room = sample_room};
	int rc = bmff_fragment_read(&f, body, len, body_len);
	if (rc < 0)
		return rc;
	memcpy(runs, f.runs, f.run_count * sizeof(f.runs[0]));
	*ret_run_count = f.run_count;
	return 0;
}

int bmff_fragment_agrees(
	const struct fragment_header *h, const struct bmff_run *runs, size_t run_count)
{
	if (run_count != h->track_count)
		return ERR_FORMAT;
	const struct bmff_run *first = NULL; /* the run whose data comes first */
	for (size_t i = 0; i < run_count; i++) {
		if (runs[i].tfdt_offset == 0 || runs[i].tfdt_offset != h->tfdt_offset[i])
			return ERR_FORMAT;
		if (runs[i].sample_count && (!first || runs[i].data_offset < first->data_offset))
			first = &runs[i];
	}
	if (!first)
		return ERR_FORMAT;
	uint32_t prefix_len = first->data_offset;
	if (h->flags & FRAGMENT_SYNC) {
		/* the promise of a picture that needs no other; streams without video may start
		 * anywhere */
		if (first->samples[0].sync)
			prefix_len += first->samples[0].size;
		else if (!(h->flags & FRAGMENT_NO_VIDEO))
			return ERR_FORMAT;
	}
	return h->prefix_len == prefix_len ? 0 : ERR_FORMAT;
}
