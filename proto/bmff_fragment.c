/* SPDX-License-Identifier: Apache-2.0 */
/* Building fragments. */
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

#define TFHD_BASE_IS_MOOF UINT32_C(0x020000)
#define TRUN_FLAGS                                                                                 \
	UINT32_C(0x000f01) /* data offset; duration, size, flags, composition offset a sample */
#define SAMPLE_SYNC     UINT32_C(0x02000000) /* depends on no other */
#define SAMPLE_NOT_SYNC UINT32_C(0x01010000) /* depends on others; not a sync sample */

/* Bytes of a run's samples; -EINVAL when its pieces of payload are not as many. */
static int run_bytes(const struct bmff_run *run, uint64_t *ret_bytes)
{
	uint64_t samples = 0, payload = 0;
	for (uint32_t i = 0; i < run->sample_count; i++)
		samples += run->samples[i].size;
	for (uint32_t i = 0; i < run->payload_count; i++)
		payload += run->payload[i].len;
	if (samples != payload)
		return -EINVAL;
	*ret_bytes = samples;
	return 0;
}

static int measure(const struct bmff_run *runs, size_t run_count,
	uint64_t run_len[FRAGMENT_TRACKS_MAX], uint64_t *ret_moof_len, uint64_t *ret_body_len)
{
	if (run_count == 0 || run_count > FRAGMENT_TRACKS_MAX)
		return -EINVAL;
	uint64_t moof_len = 8 + MFHD_SIZE, media_len = 0;
	for (size_t i = 0; i < run_count; i++) {
		if (runs[i].track_id == 0 || runs[i].track_id > FRAGMENT_TRACKS_MAX ||
			runs[i].sample_count == 0)
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (runs[j].track_id == runs[i].track_id)
				return -EINVAL;
		int rc = run_bytes(&runs[i], &run_len[i]);
		if (rc < 0)
			return rc;
		moof_len += TRAF_SIZE + (uint64_t)TRUN_SAMPLE * runs[i].sample_count;
		media_len += run_len[i];
	}
	if (moof_len + 8 + media_len > FRAGMENT_BODY_MAX)
		return ERR_LIMIT;
	*ret_moof_len = moof_len;
	*ret_body_len = moof_len + 8 + media_len;
	return 0;
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

int bmff_fragment_build(const struct bmff_run *runs, size_t run_count, struct fragment_header *h,
	struct buf **ret_body)
{
	uint64_t run_len[FRAGMENT_TRACKS_MAX], moof_len, body_len;
	int rc = measure(runs, run_count, run_len, &moof_len, &body_len);
	if (rc < 0)
		return rc;
	struct buf *body = buf_new((size_t)body_len);
	if (!body)
		return -ENOMEM;

	struct bytes b = bytes_writer(body->data, body->len);
	size_t moof = bmff_box_begin(&b, BMFF_FOURCC('m', 'o', 'o', 'f'));
	size_t mfhd = bmff_full_box_begin(&b, BMFF_FOURCC('m', 'f', 'h', 'd'), 0, 0);
	bytes_put_u32(&b, (uint32_t)h->seq);
	bmff_box_end(&b, mfhd);
	uint64_t data_offset = moof_len + 8;
	memset(h->tfdt_offset, 0, sizeof(h->tfdt_offset));
	for (size_t i = 0; i < run_count; i++) {
		h->tfdt_offset[i] = put_traf(&b, &runs[i], (uint32_t)data_offset);
		data_offset += run_len[i];
	}
	bmff_box_end(&b, moof);
	CHECK(b.at == moof_len);

	bytes_put_u32(&b, (uint32_t)(body_len - moof_len));
	bytes_put_u32(&b, BMFF_FOURCC('m', 'd', 'a', 't'));
	for (size_t i = 0; i < run_count; i++)
		for (uint32_t j = 0; j < runs[i].payload_count; j++)
			bytes_put(&b, runs[i].payload[j].data, runs[i].payload[j].len);
	CHECK(!b.error && b.at == body_len);

	h->track_count = (uint8_t)run_count;
	h->body_len = (uint32_t)body_len;
	h->prefix_len = (uint32_t)moof_len + 8;
	if (h->flags & FRAGMENT_SYNC && runs[0].samples[0].sync)
		h->prefix_len += runs[0].samples[0].size;
	*ret_body = body;
	return 0;
}
