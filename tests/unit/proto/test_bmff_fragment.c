/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bmff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"

#define ROOM 16

/* --- building --- */

static const struct bmff_sample video[3] = {
	{.size = 5, .duration = 3600, .cts_offset = 7200, .sync = true},
	{.size = 3, .duration = 3600, .cts_offset = -3600}, {.size = 2, .duration = 3600}};
static const struct bmff_sample audio[2] = {
	{.size = 4, .duration = 160, .sync = true}, {.size = 4, .duration = 160, .sync = true}};
/* samples in fewer pieces than there are samples */
static const struct slice video_data[2] = {
	{.data = (const uint8_t *)"IIIIIPPP", .len = 8}, {.data = (const uint8_t *)"pp", .len = 2}};
static const struct slice audio_data[1] = {{.data = (const uint8_t *)"aaaabbbb", .len = 8}};

static const struct bmff_run both[2] = {{.track_id = 1,
						.decode_time = UINT64_C(1) << 40,
						.sample_count = 3,
						.samples = video,
						.payload = video_data,
						.payload_count = 2},
	{.track_id = 2,
		.decode_time = 77,
		.sample_count = 2,
		.samples = audio,
		.payload = audio_data,
		.payload_count = 1}};

static struct buf *build(const struct bmff_run *runs, size_t count, struct fragment_header *h)
{
	struct buf *body = NULL;
	assert_int_equal(bmff_fragment_build(runs, count, h, &body), 0);
	assert_int_equal(h->body_len, body->len);
	return body;
}

static void what_is_built_is_read(void **state)
{
	(void)state;
	struct fragment_header h = {.flags = FRAGMENT_SYNC, .seq = 9};
	struct buf *body = build(both, 2, &h);
	struct bmff_sample samples[ROOM];
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count;
	assert_int_equal(
		bmff_fragment_parse(body->data, body->len, h.body_len, runs, &count, samples, ROOM),
		0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(runs[i].track_id, both[i].track_id);
		assert_true(runs[i].decode_time == both[i].decode_time);
		assert_int_equal(runs[i].sample_count, both[i].sample_count);
		assert_int_equal(runs[i].tfdt_offset, h.tfdt_offset[i]);
		for (uint32_t k = 0; k < both[i].sample_count; k++) {
			assert_int_equal(runs[i].samples[k].size, both[i].samples[k].size);
			assert_int_equal(runs[i].samples[k].duration, both[i].samples[k].duration);
			assert_int_equal(
				runs[i].samples[k].cts_offset, both[i].samples[k].cts_offset);
			assert_int_equal(runs[i].samples[k].sync, both[i].samples[k].sync);
		}
	}
	assert_memory_equal(body->data + runs[0].data_offset, "IIIIIPPPpp", 10);
	assert_memory_equal(body->data + runs[1].data_offset, "aaaabbbb", 8);
	assert_int_equal(runs[1].data_offset + 8, body->len);
	/* the sync picture ends the prefix */
	assert_int_equal(h.prefix_len, runs[0].data_offset + 5);
	assert_int_equal(h.track_count, 2);
	assert_int_equal(h.tfdt_offset[2], 0);
	assert_int_equal(bmff_fragment_agrees(&h, runs, count), 0);
	buf_unref(&body);
}

static void the_prefix_without_a_sync_ends_with_mdat_s_header(void **state)
{
	(void)state;
	struct fragment_header h = {.flags = 0, .tfdt_offset = {1, 2, 3, 4}};
	struct buf *body = build(both, 1, &h);
	assert_memory_equal(body->data + h.prefix_len - 4, "mdat", 4);
	assert_int_equal(h.track_count, 1);
	assert_int_equal(h.tfdt_offset[1], 0);
	buf_unref(&body);
}

static void as_ever(void **state)
{
	(void)state;
	struct fragment_header h = {.flags = FRAGMENT_SYNC, .seq = 9};
	struct buf *body = build(both, 2, &h);
	golden_check("fragment-body-1", body->data, body->len);
	buf_unref(&body);
}

static void building_refuses(void **state)
{
	(void)state;
	struct fragment_header h = {.flags = FRAGMENT_SYNC}, before = h;
	struct buf *body = NULL;
#define REFUSED(change, expected)                                                                  \
	do {                                                                                       \
		struct bmff_run r[5] = {both[0], both[1]};                                         \
		size_t n = 2;                                                                      \
		change;                                                                            \
		assert_int_equal(bmff_fragment_build(r, n, &h, &body), expected);                  \
		assert_null(body);                                                                 \
		assert_memory_equal(&h, &before, sizeof(h));                                       \
	} while (0)
	REFUSED(n = 0, -EINVAL);
	REFUSED(n = 5, -EINVAL);
	REFUSED(r[1].track_id = 1, -EINVAL);
	REFUSED(r[1].track_id = 0, -EINVAL);
	REFUSED(r[1].track_id = 5, -EINVAL);
	REFUSED(r[1].sample_count = 0, -EINVAL);
	REFUSED(r[0].payload_count = 1, -EINVAL);
	REFUSED(r[0].sample_count = 2, -EINVAL);
	struct bmff_sample huge = {.size = FRAGMENT_BODY_MAX};
	struct slice data = {.data = NULL, .len = FRAGMENT_BODY_MAX};
	REFUSED((r[0].samples = &huge, r[0].sample_count = 1, r[0].payload = &data,
			r[0].payload_count = 1),
		ERR_LIMIT);
}

/* The head alone is what a fragment begins with. */
static void a_head_alone(void **state)
{
	(void)state;
	struct fragment_header h = {.flags = FRAGMENT_SYNC}, whole = h;
	struct buf *body = build(both, 2, &whole);
	struct bmff_run bare[2] = {both[0], both[1]};
	bare[0].payload_count = bare[1].payload_count = 0;
	uint8_t head[BMFF_FRAGMENT_HEAD_SIZE(2, 64)];
	uint32_t samples = bare[0].sample_count + bare[1].sample_count;
	assert_true(samples <= 64);
	assert_int_equal(bmff_fragment_head(bare, 2, &h, head), 0);
	assert_memory_equal(head, body->data, BMFF_FRAGMENT_HEAD_SIZE(2, samples));
	assert_memory_equal(&h, &whole, sizeof(h));
	buf_unref(&body);
	bare[0].sample_count = 0;
	assert_int_equal(bmff_fragment_head(bare, 2, &h, head), -EINVAL);
}

static void build_or_enomem(void *user)
{
	(void)user;
	struct fragment_header h = {0};
	struct buf *body = NULL;
	int rc = bmff_fragment_build(both, 2, &h, &body);
	assert_true((rc == 0 && body) || (rc == -ENOMEM && !body && h.body_len == 0));
	buf_unref(&body);
}

static void memory_may_run_out(void **state)
{
	(void)state;
	alloc_fail_sweep(build_or_enomem, NULL);
}

static void agreement(void **state)
{
	(void)state;
	struct fragment_header h = {.flags = FRAGMENT_SYNC};
	struct buf *body = build(both, 2, &h);
	struct bmff_sample samples[ROOM];
	struct bmff_run runs[FRAGMENT_TRACKS_MAX];
	size_t count;
	assert_int_equal(
		bmff_fragment_parse(body->data, body->len, h.body_len, runs, &count, samples, ROOM),
		0);
	struct fragment_header other = h;
	other.track_count = 1;
	assert_int_equal(bmff_fragment_agrees(&other, runs, count), ERR_FORMAT);
	other = h, other.tfdt_offset[1]++;
	assert_int_equal(bmff_fragment_agrees(&other, runs, count), ERR_FORMAT);
	other = h, other.prefix_len--;
	assert_int_equal(bmff_fragment_agrees(&other, runs, count), ERR_FORMAT);
	other = h, other.flags = 0;
	assert_int_equal(bmff_fragment_agrees(&other, runs, count), ERR_FORMAT);
	other.prefix_len -= 5;
	assert_int_equal(bmff_fragment_agrees(&other, runs, count), 0);
	other = h, samples[0].sync = false;
	assert_int_equal(bmff_fragment_agrees(&other, runs, count), ERR_FORMAT);
	runs[0].tfdt_offset = 0; /* version 0: it has no room for the value a chunk needs */
	assert_int_equal(bmff_fragment_agrees(&h, runs, count), ERR_FORMAT);
	runs[0].sample_count = runs[1].sample_count = 0;
	assert_int_equal(bmff_fragment_agrees(&h, runs, count), ERR_FORMAT);
	buf_unref(&body);
}

static void mdat_must_end_the_body(void **state)
{
	(void)state;
	struct fragment_header h = {0};
	struct buf *body = build(both, 2, &h);
	struct bmff_sample samples[ROOM];
	struct bmff_fragment f = {.samples = samples, .sample_room = ROOM};
	assert_int_equal(bmff_fragment_read(&f, body->data, body->len, h.body_len), 0);
	assert_int_equal(bmff_fragment_read(&f, body->data, body->len, h.body_len + 1), ERR_FORMAT);
	assert_int_equal(bmff_fragment_read(&f, body->data, body->len, h.body_len - 1), ERR_FORMAT);
	assert_int_equal(
		bmff_fragment_read(&f, body->data, body->len, FRAGMENT_BODY_MAX + 1), ERR_LIMIT);
	memcpy(body->data + h.prefix_len - 4, "free", 4);
	assert_int_equal(bmff_fragment_read(&f, body->data, body->len, h.body_len), ERR_FORMAT);
	memcpy(body->data + 4, "free", 4);
	assert_int_equal(bmff_fragment_read(&f, body->data, body->len, h.body_len), ERR_FORMAT);
	buf_unref(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_built_is_read),
		cmocka_unit_test(as_ever),
		cmocka_unit_test(the_prefix_without_a_sync_ends_with_mdat_s_header),
		cmocka_unit_test(building_refuses),
		cmocka_unit_test(a_head_alone),
		cmocka_unit_test(memory_may_run_out),
		cmocka_unit_test(agreement),
		cmocka_unit_test(mdat_must_end_the_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
