/* SPDX-License-Identifier: Apache-2.0 */
/* Building fragments. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/bmff.h"

#define MFHD_SIZE   16u
#define TFHD_SIZE   16u
#define TFDT_SIZE   20u
#define TRUN_HEADER 20u
#define TRUN_SAMPLE 16u
#define TRAF_SIZE   (8u + TFHD_SIZE + TFDT_SIZE + TRUN_HEADER) /* without samples */
#define MDAT_HEADER 8u
static_assert(BMFF_FRAGMENT_HEAD_SIZE(2u, 3u) ==
		      8 + MFHD_SIZE + 2 * TRAF_SIZE + 3 * TRUN_SAMPLE + MDAT_HEADER,
	"callers make as much room");

#define TFHD_BASE_IS_MOOF UINT32_C(0x020000)
#define TRUN_FLAGS                                                                                 \
	UINT32_C(0x000f01) /* data offset; duration, size, flags, composition offset a sample */
#define SAMPLE_SYNC     UINT32_C(0x02000000) /* depends on no other */
#define SAMPLE_NOT_SYNC UINT32_C(0x01010000) /* depends on others; not a sync sample */

/* What lies where in a fragment's body. */
struct measures {
	uint64_t moof_len, body_len;
	uint64_t run_len[FRAGMENT_TRACKS_MAX]; /* bytes of a run's samples */
};

static int measure(const struct bmff_run *runs, size_t run_count, struct measures *ret_measures)
{
	struct measures m = {.moof_len = 8 + MFHD_SIZE};
	uint64_t media_len = 0;
	if (run_count == 0 || run_count > FRAGMENT_TRACKS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < run_count; i++) {
		if (runs[i].track_id == 0 || runs[i].track_id > FRAGMENT_TRACKS_MAX ||
			runs[i].sample_count == 0)
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (runs[j].track_id == runs[i].track_id)
				return -EINVAL;
		for (uint32_t j = 0; j < runs[i].sample_count; j++)
			m.run_len[i] += runs[i].samples[j].size;
		m.moof_len += TRAF_SIZE + (uint64_t)TRUN_SAMPLE * runs[i].sample_count;
		media_len += m.run_len[i];
	}
	m.body_len = m.moof_len + MDAT_HEADER + media_len;
	if (m.body_len > FRAGMENT_BODY_MAX)
		return ERR_LIMIT;
	*ret_measures = m;
	return 0;
}

/* Whether the runs' payload is what their samples say. */
static bool payload_agrees(const struct bmff_run *runs, size_t run_count, const struct measures *m)
{
	for (size_t i = 0; i < run_count; i++) {
		uint64_t len = 0;
		for (uint32_t j = 0; j < runs[i].payload_count; j++)
			len += runs[i].payload[j].len;
		if (len != m->run_len[i])
			return false;
	}
	return true;
}

/* Gives the place of tfdt's value. */
static uint32_t put_traf(struct bytes *b, const struct bmff_run *run, uint32_t data_offset)
{
	size_t traf = bmff_box_begin(b, BMFF_FOURCC('t', 'r', 'a', 'f'));
	size_t tfhd = bmff_full_box_begin(b, BMFF_FOURCC('t', 'f', 'h', 'd'), 0, TFHD_BASE_IS_MOOF);
	bytes_put_u32(b, run->track_id);
	bmff_box_end(b, tfhd);
	size_t tfdt = bmff_full_box_begin(b, BMFF_FOURCC('t', 'f', 'd', 't'), 1, 0);
	uint32_t tfdt_offset = (uint32_t)b->at;
	bytes_put_u64(b, run->decode_time);
	bmff_box_end(b, tfdt);
	size_t trun = bmff_full_box_begin(b, BMFF_FOURCC('t', 'r', 'u', 'n'), 1, TRUN_FLAGS);
	bytes_put_u32(b, run->sample_count);
	bytes_put_u32(b, data_offset);
	for (uint32_t i = 0; i < run->sample_count; i++) {
		const struct bmff_sample *s = &run->samples[i];
		bytes_put_u32(b, s->duration);
		bytes_put_u32(b, s->size);
		bytes_put_u32(b, s->sync ? SAMPLE_SYNC : SAMPLE_NOT_SYNC);
		bytes_put_u32(b, (uint32_t)s->cts_offset);
	}
	bmff_box_end(b, trun);
	bmff_box_end(b, traf);
	return tfdt_offset;
}

/* Writes all that comes before the media, and what the header says of it. */
static void put_head(const struct bmff_run *runs, size_t run_count, const struct measures *m,
	struct fragment_header *h, uint8_t *to)
{
	struct bytes b = bytes_writer(to, (size_t)m->moof_len + MDAT_HEADER);
	size_t moof = bmff_box_begin(&b, BMFF_FOURCC('m', 'o', 'o', 'f'));
	size_t mfhd = bmff_full_box_begin(&b, BMFF_FOURCC('m', 'f', 'h', 'd'), 0, 0);
	bytes_put_u32(&b, (uint32_t)h->seq);
	bmff_box_end(&b, mfhd);
	uint64_t data_offset = m->moof_len + MDAT_HEADER;
	memset(h->tfdt_offset, 0, sizeof(h->tfdt_offset));
	for (size_t i = 0; i < run_count; i++) {
		h->tfdt_offset[i] = put_traf(&b, &runs[i], (uint32_t)data_offset);
		data_offset += m->run_len[i];
	}
	bmff_box_end(&b, moof);
	CHECK(b.at == m->moof_len);
	bytes_put_u32(&b, (uint32_t)(m->body_len - m->moof_len));
	bytes_put_u32(&b, BMFF_FOURCC('m', 'd', 'a', 't'));
	CHECK(!b.error && bytes_left(&b) == 0);

	h->track_count = (uint8_t)run_count;
	h->body_len = (uint32_t)m->body_len;
	h->prefix_len = (uint32_t)m->moof_len + MDAT_HEADER;
	if (h->flags & FRAGMENT_SYNC && runs[0].samples[0].sync)
		h->prefix_len += runs[0].samples[0].size;
}

int bmff_fragment_head(
	const struct bmff_run *runs, size_t run_count, struct fragment_header *h, uint8_t *to)
{
	struct measures m;
	int rc = measure(runs, run_count, &m);
	if (rc == 0)
		put_head(runs, run_count, &m, h, to);
	return rc;
}

int bmff_fragment_build(const struct bmff_run *runs, size_t run_count, struct fragment_header *h,
	struct buf **ret_body)
{
	struct measures m;
	int rc = measure(runs, run_count, &m);
	if (rc < 0)
		return rc;
	if (!payload_agrees(runs, run_count, &m))
		return -EINVAL;
	struct buf *body = buf_new((size_t)m.body_len);
	if (!body)
		return -ENOMEM;
	put_head(runs, run_count, &m, h, body->data);
	uint8_t *to = body->data + m.moof_len + MDAT_HEADER;
	for (size_t i = 0; i < run_count; i++) {
		for (uint32_t j = 0; j < runs[i].payload_count; j++) {
			const struct slice *piece = &runs[i].payload[j];
			if (piece->len)
				memcpy(to, piece->data, piece->len);
			to += piece->len;
		}
	}
	*ret_body = body;
	return 0;
}
