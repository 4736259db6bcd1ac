/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/fmp4.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/errors.h"

#define JUMP_US                                                                                    \
	1000000 /* decoding times that jump further are another chunk's, or stand behind a gap */

void fmp4_fini(struct fmp4 *f)
{
	unpack_fini(&f->unpack);
	buf_unref(&f->body);
}

static int64_t rescale(int64_t v, int64_t to, int64_t from)
{
	return (int64_t)((__int128)v * to / from);
}

/* Finds by how much the times of this fragment must be moved to follow the last. */
static void follow(struct fmp4 *f, const struct bmff_fragment *b)
{
	const struct bmff_run *run = &b->runs[0];
	uint32_t timescale = f->unpack.init.tracks[run->track_id - 1].timescale;
	int64_t at_us = rescale((int64_t)run->decode_time, 1000000, timescale);
	int64_t jump_us = at_us - f->last_us;
	if (!f->begun || f->unpack.init_changed || jump_us > JUMP_US || jump_us < -JUMP_US / 10)
		f->offset_us = f->end_us - at_us;
	int64_t ticks = 0;
	for (uint32_t i = 0; i < run->sample_count; i++)
		ticks += run->samples[i].duration;
	f->last_us = at_us + rescale(ticks, 1000000, timescale);
	f->end_us = f->last_us + f->offset_us;
	f->begun = true;
}

/* Writes the moved times into the copy of the body. */
static int move_times(const struct fmp4 *f, const struct bmff_fragment *b)
{
	for (size_t i = 0; i < b->run_count; i++) {
		const struct bmff_run *run = &b->runs[i];
		if (run->tfdt_offset == 0 || run->track_id > f->unpack.init.track_count)
			return ERR_FORMAT;
		uint32_t timescale = f->unpack.init.tracks[run->track_id - 1].timescale;
		int64_t at = (int64_t)run->decode_time + rescale(f->offset_us, timescale, 1000000);
		struct bytes out = bytes_writer(f->body->data + run->tfdt_offset, 8);
		bytes_put_u64(&out, at < 0 ? 0 : (uint64_t)at);
	}
	return 0;
}

int fmp4_take(struct fmp4 *f, const struct steppe_fragment *fragment)
{
	struct bmff_fragment b;
	int error = unpack_take(&f->unpack, fragment);
	if (error || fragment->damaged || fragment->prefix_only || fragment->len == 0)
		return error;
	b = (struct bmff_fragment){.init = &f->unpack.init,
		.samples = f->unpack.parsed,
		.sample_room = f->unpack.room};
	error = bmff_fragment_read(&b, fragment->body, fragment->len, (uint32_t)fragment->len);
	if (error || b.run_count == 0)
		return error;
	buf_unref(&f->body);
	f->body = buf_copy(fragment->body, fragment->len);
	if (!f->body)
		return -ENOMEM;
	follow(f, &b);
	error = move_times(f, &b);
	if (!error && f->unpack.init_changed)
		error = f->write(f->user, fragment->init, fragment->init_len);
	return error ? error : f->write(f->user, f->body->data, f->body->len);
}
