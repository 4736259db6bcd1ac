/* SPDX-License-Identifier: Apache-2.0 */
/* Encoded tables with mended lengths and checksums, and bare columns, by the first byte. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "proto/table.h"
#include "tests/fuzz/fuzz.h"

#define HEADER 16
#define CRC_AT 12

static void try_table(const uint8_t *data, size_t size)
{
	struct chunk_table t = {0}, again = {0};
	if (chunk_table_decode(&t, data, size) < 0) {
		CHECK(!t.fragments && chunk_table_memory(&t) == 0);
		return;
	}
	struct buf *buf, *second;
	CHECK(chunk_table_encode(&t, &buf) == 0);
	CHECK(chunk_table_decode(&again, buf->data, buf->len) == 0);
	CHECK(again.fragment_count == t.fragment_count && again.track_count == t.track_count);
	for (uint32_t i = 0; i < t.fragment_count; i++)
		for (size_t k = 0; k < t.track_count; k++) {
			uint64_t end = t.fragments[i].run[k].data_offset;
			for (uint32_t s = 0; s < t.fragments[i].run[k].sample_count; s++)
				end += t.tracks[k]
					       .samples[t.fragments[i].run[k].first_sample + s]
					       .size;
			CHECK(end <= t.fragments[i].body_len);
		}
	CHECK(chunk_table_encode(&again, &second) == 0);
	CHECK(second->len == buf->len && !memcmp(second->data, buf->data, buf->len));
	buf_unref(&buf);
	buf_unref(&second);
	chunk_table_fini(&t);
	chunk_table_fini(&again);
}

/* Mends packed length and checksum; a stored table's raw length too. */
static void mend(uint8_t *data, size_t size, bool stored)
{
	struct bytes lengths = bytes_writer(data + (stored ? 4 : 8), stored ? 8 : 4);
	if (stored)
		bytes_put_u32(&lengths, (uint32_t)(size - HEADER));
	bytes_put_u32(&lengths, (uint32_t)(size - HEADER));
	struct bytes crc = bytes_writer(data + CRC_AT, 4);
	bytes_put_u32(&crc, crc32c(crc32c(0, data, CRC_AT), data + HEADER, size - HEADER));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	bool bare = data[0] & 1;
	size_t len = size - 1 + (bare ? HEADER : 0);
	uint8_t *table = calloc(1, len + 1);
	if (!table)
		return 0;
	if (bare)
		table[0] = 1; /* level; method: stored */
	if (size > 1)
		memcpy(table + (bare ? HEADER : 0), data + 1, size - 1);
	try_table(table, len);
	if (len >= HEADER) {
		mend(table, len, bare);
		try_table(table, len);
	}
	free(table);
	return 0;
}
