/* SPDX-License-Identifier: Apache-2.0 */
/* Heads, as they come and with magic and checksum mended; what is accepted is written again byte
 * for byte. */
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/head.h"
#include "tests/fuzz/fuzz.h"

static void try_head(const uint8_t *data, size_t size)
{
	struct head h;
	struct buf *buf = NULL;
	if (head_decode(data, size, &h) < 0)
		return;
	CHECK(head_encode(&h, &buf) == 0);
	CHECK(buf->len == size && memcmp(buf->data, data, size) == 0);
	buf_unref(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t copy[HEAD_SIZE] = {0};
	try_head(data, size);
	memcpy(copy, data, size < HEAD_SIZE ? size : HEAD_SIZE);
	memcpy(copy, "STPH\1", 5);
	struct bytes b = bytes_writer(copy + HEAD_SIZE - 4, 4);
	bytes_put_u32(&b, crc32c(0, copy, HEAD_SIZE - 4));
	try_head(copy, HEAD_SIZE);
	return 0;
}
