/* SPDX-License-Identifier: Apache-2.0 */
/* steppe-seal boxes, as they come and with lengths and checksums mended: the box's and its table's. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/chunk.h"
#include "storaged/archive/chunk_boxes.h"
#include "tests/fuzz/fuzz.h"

#define TABLE_AT     144
#define TABLE_HEADER 16
#define TABLE_CRC_AT 12

static void try_seal(const uint8_t *data, size_t size)
{
	struct chunk_seal seal, again;
	struct chunk_table table = {0}, twice = {0};
	struct buf *buf = NULL;
	if (chunk_seal_parse(data, size, &seal, &table) < 0) {
		CHECK(!table.fragments);
		return;
	}
	CHECK(chunk_seal_parse(data, size, &again, NULL) == 0);
	CHECK(seal.fragments == table.fragment_count);
	/* what was read can be written, and says the same */
	CHECK(chunk_seal_build(&again, &table, &buf) == 0);
	CHECK(chunk_seal_parse(buf->data, buf->len, &again, &twice) == 0);
	CHECK(twice.fragment_count == table.fragment_count);
	buf_unref(&buf);
	chunk_table_fini(&table);
	chunk_table_fini(&twice);
}

static void mend(uint8_t *data, size_t size)
{
	uint8_t *table = data + TABLE_AT;
	uint32_t table_len = (uint32_t)(size - TABLE_AT);
	struct bytes packed = bytes_writer(table + 8, 4);
	bytes_put_u32(&packed, table_len - TABLE_HEADER);
	struct bytes crc = bytes_writer(table + TABLE_CRC_AT, 4);
	bytes_put_u32(&crc, crc32c(crc32c(0, table, TABLE_CRC_AT), table + TABLE_HEADER,
				    table_len - TABLE_HEADER));
	struct bytes box = bytes_writer(data, CHUNK_BOX_HEADER);
	chunk_box_put(&box, chunk_uuid_seal, (uint32_t)size);
	struct bytes tail = bytes_writer(data + 136, 8);
	bytes_put_u32(&tail, table_len);
	bytes_put_u32(&tail, crc32c(0, data, 140));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_seal(data, size);
	if (size < TABLE_AT + TABLE_HEADER)
		return 0;
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	mend(copy, size);
	try_seal(copy, size);
	free(copy);
	return 0;
}
