/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "storaged/archive/head.h"
#include "tests/lib/golden.h"

static struct head sample(void)
{
	struct head h = {.session_count = 2, .intent_count = 2, .sweep_count = 1, .hold_count = 2};
	h.sessions[0] = (struct head_session){0x1122334455667788, 4711, {1795470000000000}, false};
	h.sessions[1] = (struct head_session){0x99, 12, {1795470001000000}, true};
	h.intents[0] = (struct head_intent){{7, 41, 0}, 20780, 0x1122334455667788, LANE_LIVE};
	h.intents[1] = (struct head_intent){{7, 42, 0}, 20781, 0x99, LANE_BACKFILL};
	h.sweeps[0] = (struct head_sweep){HEAD_MOVE, 20700, {6, 9, 1}, STORE_DATA, STORE_COLD};
	memset(h.holds[0].id, 0xab, 16);
	h.holds[0].state = HOLD_PLACING;
	h.holds[0].from.us = 1795470000000000;
	h.holds[0].to.us = 1795473600000000;
	memset(h.holds[1].id, 0xcd, 16);
	h.holds[1].state = HOLD_RELEASING;
	h.holds[1].to.us = WALL_MAX_US;
	h.open_gap = (struct gap){{1795470002000000}, {0}, GAP_NETWORK};
	h.last_chunk = (struct chunk_id){7, 40, 0};
	memset(h.last_digest, 0x5a, DIGEST_SIZE);
	h.last_end.us = 1795470002000000;
	return h;
}

static void encoded_again_is_the_same(void **state)
{
	(void)state;
	struct head h = sample(), back;
	struct buf *buf = NULL, *again = NULL;
	assert_int_equal(head_encode(&h, &buf), 0);
	assert_int_equal(buf->len, HEAD_SIZE);
	golden_check("head-1", buf->data, buf->len);
	assert_int_equal(head_decode(buf->data, buf->len, &back), 0);
	assert_int_equal(head_encode(&back, &again), 0);
	assert_memory_equal(buf->data, again->data, HEAD_SIZE);
	assert_int_equal(back.holds[1].to.us, WALL_MAX_US);
	assert_int_equal(back.intents[1].lane, LANE_BACKFILL);
	assert_int_equal(back.sweeps[0].chunk.gen, 1);
	assert_true(back.sessions[1].closed);
	buf_unref(&buf);
	buf_unref(&again);
}

static void a_full_head_fits(void **state)
{
	(void)state;
	struct head h = sample(), back;
	for (int i = 0; i < HEAD_SESSIONS_MAX; i++)
		h.sessions[i] = h.sessions[0];
	for (int i = 0; i < HEAD_INTENTS_MAX; i++)
		h.intents[i] = h.intents[0];
	for (int i = 0; i < HEAD_SWEEPS_MAX; i++)
		h.sweeps[i] = h.sweeps[0];
	for (int i = 0; i < HEAD_HOLDS_MAX; i++)
		h.holds[i] = h.holds[0];
	h.session_count = HEAD_SESSIONS_MAX;
	h.intent_count = HEAD_INTENTS_MAX;
	h.sweep_count = HEAD_SWEEPS_MAX;
	h.hold_count = HEAD_HOLDS_MAX;
	struct buf *buf = NULL;
	assert_int_equal(head_encode(&h, &buf), 0);
	assert_int_equal(buf->len, HEAD_SIZE);
	assert_int_equal(head_decode(buf->data, buf->len, &back), 0);
	assert_int_equal(back.hold_count, HEAD_HOLDS_MAX);
	buf_unref(&buf);
}

static void mend(uint8_t *data)
{
	struct bytes b = bytes_writer(data + HEAD_SIZE - 4, 4);
	bytes_put_u32(&b, crc32c(0, data, HEAD_SIZE - 4));
}

static void refuses_damage(void **state)
{
	(void)state;
	struct head h = sample(), back;
	struct buf *buf = NULL;
	assert_int_equal(head_encode(&h, &buf), 0);
	for (size_t i = 4; i < HEAD_SIZE; i++) {
		buf->data[i] ^= 0x10;
		assert_int_equal(head_decode(buf->data, buf->len, &back), ERR_CHECKSUM);
		buf->data[i] ^= 0x10;
	}
	assert_int_equal(head_decode(buf->data, HEAD_SIZE - 1, &back), ERR_TRUNCATED);
	buf->data[0] ^= 1;
	assert_int_equal(head_decode(buf->data, buf->len, &back), ERR_FORMAT);
	buf->data[0] ^= 1;
	buf->data[4] = 2;
	mend(buf->data);
	assert_int_equal(head_decode(buf->data, buf->len, &back), ERR_VERSION);
	buf->data[4] = 1;
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
		{5, HEAD_SESSIONS_MAX + 1},
		{6, HEAD_INTENTS_MAX + 1},
		{7, HEAD_SWEEPS_MAX + 1},
		{8, HEAD_HOLDS_MAX + 1},
		{9, 1},
		{16, GAP_CAUSES},
		{24, 0x80},
		{96 + 24, 2},
		{352 + 28, LANES},
		{608 + 20, 9},
		{992 + 32, 0},
		{2000, 1},
		{96 + 2 * 32, 1},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t was = buf->data[wrong[i].at];
		buf->data[wrong[i].at] = wrong[i].value;
		mend(buf->data);
		assert_int_equal(head_decode(buf->data, buf->len, &back), ERR_FORMAT);
		buf->data[wrong[i].at] = was;
	}
	mend(buf->data);
	assert_int_equal(head_decode(buf->data, buf->len, &back), 0);
	buf_unref(&buf);
}

static void names(void **state)
{
	(void)state;
	char name[STORE_NAME_MAX + 1];
	head_name(name, "gate-7/main.b");
	assert_string_equal(name, "head/gate-7/main.b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoded_again_is_the_same),
		cmocka_unit_test(a_full_head_fits),
		cmocka_unit_test(refuses_damage),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
