/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/chunk.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage.h"
#include "tests/lib/golden.h"

static void names(void **state)
{
	(void)state;
	char name[STORE_NAME_MAX + 1], stream[STREAM_NAME_MAX + 1];
	struct chunk_id id = {0x1a, 7, 2}, back;
	chunk_name(name, "gate-7/main.b", &id);
	assert_string_equal(name, "chk/gate-7/main.b/000000000000001a.00000007.0002");
	assert_int_equal(chunk_name_parse(name, stream, &back), 0);
	assert_string_equal(stream, "gate-7/main.b");
	assert_int_equal(back.epoch, 0x1a);
	assert_int_equal(back.seq, 7);
	assert_int_equal(back.gen, 2);
	static const char *const bad[] = {"", "chk/", "chk/gate-7/main",
		"chk/gate-7/000000000000001a.00000007.0002",
		"chk/gate-7/main/000000000000001A.00000007.0002",
		"chk/gate-7/main/000000000000001a.00000007.002",
		"chk/gate-7/main/000000000000001a.00000007.00022",
		"idx/gate-7/main/000000000000001a.00000007.0002",
		"chk/gate-7/main/0000000000000000.00000007.0002",
		"chk/gate-7/main/000000000000001a.00000000.0002",
		"chk/000000000000001a.00000007.0002", "chk/../main/000000000000001a.00000007.0002",
		"chk/gate-7/main/000000000000001a-00000007.0002"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(chunk_name_parse(bad[i], stream, &back), -EINVAL);
}

static struct chunk_header header(void)
{
	struct chunk_header h = {
		.stream = "gate-7/main",
		.id = {0x1a, 7, 0},
		.lane = LANE_BACKFILL,
		.has_previous = true,
		.previous = {0x19, 900, 1},
		.gap_before = {{FOOTAGE_START_US - 5}, {FOOTAGE_START_US}, GAP_NETWORK},
	};
	memset(h.cluster, 0xc1, sizeof(h.cluster));
	return h;
}

static void the_head_comes_back(void **state)
{
	(void)state;
	struct footage f;
	footage_start(&f, "gate-7/main", true);
	struct buf *init = footage_init(&f), *head = NULL;
	const struct chunk_header h = header();
	struct chunk_header back;
	size_t init_len, len;
	assert_int_equal(chunk_head_build(&h, init->data, init->len, &head), 0);
	golden_check("chunk-head-1", head->data, head->len);
	assert_int_equal(head->len, init->len + CHUNK_OWN_BOX);
	assert_int_equal(chunk_head_parse(head->data, head->len, &back, &init_len, &len), 0);
	assert_int_equal(init_len, init->len);
	assert_int_equal(len, head->len);
	assert_string_equal(back.stream, h.stream);
	assert_int_equal(back.id.epoch, 0x1a);
	assert_int_equal(back.lane, LANE_BACKFILL);
	assert_true(back.has_previous);
	assert_int_equal(back.previous.seq, 900);
	assert_int_equal(back.gap_before.cause, GAP_NETWORK);
	assert_int_equal(back.gap_before.from.us, FOOTAGE_START_US - 5);
	for (size_t i = 0; i < head->len; i++)
		assert_int_equal(
			chunk_head_parse(head->data, i, &back, &init_len, &len), ERR_TRUNCATED);
	for (size_t i = 0; i < head->len; i++) {
		head->data[i] ^= 0x20;
		assert_true(chunk_head_parse(head->data, head->len, &back, &init_len, &len) < 0);
		head->data[i] ^= 0x20;
	}
	uint8_t *own = head->data + init->len;
	static const struct {
		size_t at;
		uint8_t value;
		int code;
	} wrong[] = {{24, 9, ERR_VERSION}, {25, LANES, ERR_FORMAT}, {26, 2, ERR_FORMAT},
		{27, GAP_CAUSES, ERR_FORMAT}, {58, 1, ERR_FORMAT}, {76, 0x80, ERR_FORMAT},
		{95, 0, ERR_FORMAT}, {100, 0, ERR_FORMAT}, {100, 81, ERR_FORMAT},
		{101, '/', ERR_FORMAT}, {183, 1, ERR_FORMAT}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t was = own[wrong[i].at];
		own[wrong[i].at] = wrong[i].value;
		struct bytes b = bytes_writer(own + CHUNK_OWN_BOX - 4, 4);
		bytes_put_u32(&b, crc32c(0, own, CHUNK_OWN_BOX - 4));
		assert_int_equal(chunk_head_parse(head->data, head->len, &back, &init_len, &len),
			wrong[i].code);
		own[wrong[i].at] = was;
	}
	assert_int_equal(chunk_head_build(&h, init->data, FRAGMENT_INIT_MAX + 1, &head), ERR_LIMIT);
	buf_unref(&init);
	buf_unref(&head);
}

static void a_fragment_box_comes_back(void **state)
{
	(void)state;
	struct footage f;
	struct fragment_header h, back;
	struct wall receipt;
	uint8_t box[CHUNK_FRAG_BOX], cause;
	footage_start(&f, "gate-7/main", true);
	struct buf *body = footage_fragment(&f, &h);
	chunk_frag_build(&h, (struct wall){FOOTAGE_START_US + 7}, GAP_REFUSED, box);
	golden_check("chunk-frag-1", box, sizeof(box));
	assert_int_equal(chunk_frag_parse(box, sizeof(box), &back, &receipt, &cause), 0);
	assert_memory_equal(&back, &h, sizeof(h));
	assert_int_equal(receipt.us, FOOTAGE_START_US + 7);
	assert_int_equal(cause, GAP_REFUSED);
	for (size_t i = 0; i < sizeof(box); i++) {
		assert_int_equal(chunk_frag_parse(box, i, &back, &receipt, &cause), ERR_TRUNCATED);
		box[i] ^= 8;
		assert_true(chunk_frag_parse(box, sizeof(box), &back, &receipt, &cause) < 0);
		box[i] ^= 8;
	}
	buf_unref(&body);
}

static void padding(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < 3 * 4096; at++) {
		uint32_t p = chunk_padding(at, 4096);
		assert_int_equal((at + p) % 4096, 0);
		assert_true(p == 0 ? at % 4096 == 0 : p >= 8 && p < 4096 + 8);
	}
	assert_int_equal(chunk_padding(3, 4), 9); /* alignments smaller than a box's header */
	assert_int_equal(chunk_padding(5, 1), 0);
	uint8_t box[8];
	chunk_padding_build(box, 4096);
	assert_memory_equal(box, "\0\0\x10\0free", 8);
}

static void build_without_memory(void *user)
{
	struct buf *init = user, *head = NULL;
	const struct chunk_header h = header();
	int rc = chunk_head_build(&h, init->data, init->len, &head);
	assert_true(rc == 0 || (rc == -ENOMEM && !head));
	buf_unref(&head);
}

static void memory_may_fail(void **state)
{
	(void)state;
	struct footage f;
	footage_start(&f, "gate-7/main", false);
	struct buf *init = footage_init(&f);
	alloc_fail_sweep(build_without_memory, init);
	buf_unref(&init);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(the_head_comes_back),
		cmocka_unit_test(a_fragment_box_comes_back),
		cmocka_unit_test(padding),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
