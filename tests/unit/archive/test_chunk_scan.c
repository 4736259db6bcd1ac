/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storaged/archive/chunk.h"
#include "tests/lib/footage.h"

#define FRAGMENTS 8

struct seen {
	uint32_t fragments, damages, seals, lost; /* lost: damage that names its fragment */
	uint64_t seqs;                            /* bit n: fragment n was seen */
	uint64_t damaged_from, damaged_len;
};

static struct seen scan(const uint8_t *data, size_t len, size_t from, bool check_bodies)
{
	struct seen s = {0};
	uint64_t at = from, last = from;
	for (struct chunk_item item;;) {
		chunk_scan(data, len, &at, check_bodies, &item);
		assert_true(at > last || item.kind == CHUNK_ITEM_END);
		assert_true(at <= len);
		last = at;
		switch (item.kind) {
		case CHUNK_ITEM_END:
			assert_int_equal(item.offset, len);
			return s;
		case CHUNK_ITEM_FRAGMENT:
			assert_true(item.offset + item.len <= len);
			s.fragments++;
			s.seqs |= 1u << item.header.seq;
			break;
		case CHUNK_ITEM_DAMAGE:
			s.damages++;
			s.lost += item.header.seq != 0;
			s.damaged_from = item.offset;
			s.damaged_len = item.len;
			break;
		case CHUNK_ITEM_SEAL:
			s.seals++;
			break;
		}
	}
}

static void make(struct footage_chunk *c)
{
	struct footage f;
	footage_start(&f, "gate-7/main", true);
	footage_chunk_begin(c, &f, 3, 1);
	c->alignment = 4096;
	for (int i = 0; i < FRAGMENTS; i++)
		footage_chunk_add(c, &f, i == 4 ? GAP_NETWORK : GAP_NONE);
	footage_chunk_seal(c, CHUNK_END_FULL, NULL);
}

static void a_whole_chunk(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c);
	struct seen s = scan(c.bytes, c.len, c.head_len, true);
	assert_int_equal(s.fragments, FRAGMENTS);
	assert_int_equal(s.damages, 0);
	assert_int_equal(s.seals, 1);
	uint64_t at = c.head_len;
	struct chunk_item item;
	for (int i = 0; i < FRAGMENTS; i++) {
		chunk_scan(c.bytes, c.len, &at, true, &item);
		assert_int_equal(item.offset, c.table.fragments[i].offset);
		assert_int_equal(item.len, c.table.fragments[i].body_len);
		assert_int_equal(item.gap_cause, i == 4 ? GAP_NETWORK : GAP_NONE);
		assert_int_equal(item.receipt.us, c.table.fragments[i].capture.us + 1200000);
	}
	/* without a head, too: from the beginning, whatever is there */
	s = scan(c.bytes, c.len, 0, true);
	assert_int_equal(s.fragments, FRAGMENTS);
	assert_int_equal(s.damaged_len, c.head_len);
	footage_chunk_fini(&c);
}

static void cut_anywhere(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c);
	for (size_t len = c.head_len; len < c.len; len += 61) {
		uint32_t whole = 0;
		while (whole < FRAGMENTS &&
			c.table.fragments[whole].offset + c.table.fragments[whole].body_len <= len)
			whole++;
		/* exactly as many bytes as may be read, for the sanitizer */
		uint8_t *part = malloc(len);
		assert_non_null(part);
		memcpy(part, c.bytes, len);
		struct seen s = scan(part, len, c.head_len, true);
		assert_int_equal(s.fragments, whole);
		free(part);
	}
	footage_chunk_fini(&c);
}

/* Whatever byte of a fragment is damaged, that fragment alone is lost. */
static void a_damaged_fragment_is_lost_alone(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c);
	const struct table_fragment *f = &c.table.fragments[3];
	for (size_t at = f->offset - CHUNK_FRAG_BOX; at < f->offset + f->body_len; at += 7) {
		bool is_tfdt =
			at >= f->offset && at < f->offset + 400; /* tfdt is nobody's to vouch for */
		c.bytes[at] ^= 0x40;
		struct seen s = scan(c.bytes, c.len, c.head_len, true);
		if (!is_tfdt || s.damages) {
			assert_int_equal(s.fragments, FRAGMENTS - 1);
			assert_int_equal(s.seqs, 0x1fe & ~(1u << 4));
			assert_int_equal(s.damages, 1);
			assert_int_equal(s.lost, at >= f->offset);
			assert_int_equal(s.damaged_from, f->offset - CHUNK_FRAG_BOX);
		}
		assert_int_equal(s.seals, 1);
		c.bytes[at] ^= 0x40;
	}
	/* a sector of zeroes over the boxes of two */
	memset(c.bytes + f->offset - CHUNK_FRAG_BOX - 200, 0, 512);
	struct seen s = scan(c.bytes, c.len, c.head_len, true);
	assert_true(s.fragments >= FRAGMENTS - 2);
	assert_int_equal(s.seals, 1);
	footage_chunk_fini(&c);
}

static void bodies_are_judged_only_when_asked(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c);
	c.bytes[c.table.fragments[3].offset + c.table.fragments[3].body_len - 1] ^= 1;
	assert_int_equal(scan(c.bytes, c.len, c.head_len, false).fragments, FRAGMENTS);
	assert_int_equal(scan(c.bytes, c.len, c.head_len, true).fragments, FRAGMENTS - 1);
	footage_chunk_fini(&c);
}

static void a_damaged_seal_leaves_the_fragments(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c);
	c.bytes[c.seal.seal_offset + 60] ^= 1;
	struct seen s = scan(c.bytes, c.len, c.head_len, true);
	assert_int_equal(s.fragments, FRAGMENTS);
	assert_int_equal(s.seals, 0);
	assert_int_equal(s.damages, 1);
	assert_int_equal(s.damaged_from, c.seal.seal_offset);
	footage_chunk_fini(&c);
}

/* A `free` box of which the size is damaged must not hop over what is good. */
static void damaged_padding_is_not_believed(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c);
	size_t end = c.table.fragments[2].offset + c.table.fragments[2].body_len;
	assert_memory_equal(c.bytes + end + 4, "free", 4);
	c.bytes[end + 1] ^= 1; /* 64 KiB more */
	struct seen s = scan(c.bytes, c.len, c.head_len, true);
	assert_int_equal(s.fragments, FRAGMENTS);
	assert_int_equal(s.damages, 1);
	assert_int_equal(s.damaged_from, end);
	footage_chunk_fini(&c);
}

static void nothing_at_all(void **state)
{
	(void)state;
	uint8_t zeroes[100] = {0};
	assert_int_equal(scan(zeroes, 0, 0, true).damages, 0);
	struct seen s = scan(zeroes, sizeof(zeroes), 0, true);
	assert_int_equal(s.damages, 1);
	assert_int_equal(s.damaged_len, sizeof(zeroes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_chunk),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(a_damaged_fragment_is_lost_alone),
		cmocka_unit_test(bodies_are_judged_only_when_asked),
		cmocka_unit_test(a_damaged_seal_leaves_the_fragments),
		cmocka_unit_test(damaged_padding_is_not_believed),
		cmocka_unit_test(nothing_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
