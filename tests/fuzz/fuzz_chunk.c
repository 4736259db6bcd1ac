/* SPDX-License-Identifier: Apache-2.0 */
/* Whole chunks, as they come and with the checksums of their own boxes mended: head, scan, survey. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/chunk_boxes.h"
#include "storaged/archive/chunk_survey.h"
#include "storaged/archive/index.h"
#include "tests/fuzz/fuzz.h"

static void put_crc(uint8_t *to, const void *data, size_t len)
{
	struct bytes b = bytes_writer(to, 4);
	bytes_put_u32(&b, crc32c(0, data, len));
}

/* The recorder's header and its body are made to agree, where the header's lengths allow that. */
static void mend_frag(uint8_t *box, size_t left)
{
	uint8_t *header = box + CHUNK_BOX_HEADER;
	struct fragment_header h;
	put_crc(header + FRAGMENT_HEADER_SIZE - 4, header, FRAGMENT_HEADER_SIZE - 4);
	if (fragment_header_decode(header, FRAGMENT_HEADER_SIZE, &h) == 0 &&
		h.body_len <= left - CHUNK_FRAG_BOX &&
		fragment_seal(&h, box + CHUNK_FRAG_BOX, false) == 0)
		fragment_header_encode(&h, header);
	put_crc(box + CHUNK_FRAG_BOX - 4, box, CHUNK_FRAG_BOX - 4);
}

static void mend(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + CHUNK_BOX_HEADER <= size; at++) {
		uint8_t *box = data + at;
		size_t left = size - at;
		if (memcmp(box + 4, "uuid", 4) != 0)
			continue;
		if (memcmp(box + 8, chunk_uuid_own, CHUNK_UUID_SIZE) == 0 &&
			left >= CHUNK_OWN_BOX) {
			struct bytes b = bytes_writer(box + 92, 8);
			bytes_put_u32(&b, (uint32_t)at);
			bytes_put_u32(&b, crc32c(0, data, at));
			put_crc(box + CHUNK_OWN_BOX - 4, box, CHUNK_OWN_BOX - 4);
		} else if (memcmp(box + 8, chunk_uuid_frag, CHUNK_UUID_SIZE) == 0 &&
			   left >= CHUNK_FRAG_BOX) {
			mend_frag(box, left);
		} else if (memcmp(box + 8, chunk_uuid_seal, CHUNK_UUID_SIZE) == 0 && left >= 160) {
			/* the table's own checksum is fuzz_seal's to mend */
			put_crc(box + 140, box, 140);
		}
	}
}

static void check_items(const uint8_t *data, size_t size, bool check_bodies)
{
	uint64_t at = 0, last = 0;
	for (struct chunk_item item;; last = at) {
		chunk_scan(data, size, &at, check_bodies, &item);
		CHECK(at <= size);
		if (item.kind == CHUNK_ITEM_END)
			return;
		CHECK(at > last);
		CHECK(item.offset + item.len <= size);
		if (item.kind == CHUNK_ITEM_FRAGMENT)
			CHECK(item.len == item.header.body_len && item.header.seq != 0);
	}
}

static void try_chunk(const uint8_t *data, size_t size)
{
	check_items(data, size, false);
	check_items(data, size, true);
	struct chunk_survey s = {0};
	if (chunk_survey(&s, data, size) == 0) {
		const struct index_source source = {.header = &s.header,
			.seal = &s.seal,
			.table = &s.table,
			.bytes = size,
			.head_len = (uint32_t)s.head_len,
			.init_crc = s.init_crc};
		struct index_record r;
		uint8_t record[INDEX_RECORD_SIZE];
		index_record_make(&source, &r);
		index_record_encode(&r, record);
		CHECK(s.end <= size && s.seal.fragments == s.table.fragment_count);
		/* what was found without a seal lies inside of the chunk */
		for (uint32_t i = 0; !s.sealed && i < s.table.fragment_count; i++)
			CHECK(s.table.fragments[i].offset +
					(uint64_t)s.table.fragments[i].body_len <=
				size);
	}
	chunk_survey_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_chunk(data, size);
	uint8_t *copy = malloc(size + 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	mend(copy, size);
	try_chunk(copy, size);
	free(copy);
	return 0;
}
