/* SPDX-License-Identifier: Apache-2.0 */
/* Days objects, as they come and with magic, count and checksum mended; what is accepted is written
 * again byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storaged/archive/index.h"
#include "tests/fuzz/fuzz.h"

#define HEADER   12
#define DAY_SIZE 240

static void try_days(const uint8_t *data, size_t size)
{
	struct index_days d;
	struct buf *buf = NULL;
	if (index_days_decode(data, size, &d) < 0)
		return;
	CHECK(index_days_encode(&d, &buf) == 0);
	CHECK(buf->len == size && memcmp(buf->data, data, size) == 0);
	if (d.count && d.days[0].day > 0)
		CHECK(index_days_put(&d, d.days[0].day - 1) == d.days);
	buf_unref(&buf);
	index_days_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_days(data, size);
	if (size < HEADER + 4)
		return 0;
	size_t count = (size - HEADER - 4) / DAY_SIZE, len = HEADER + count * DAY_SIZE + 4;
	uint8_t *copy = malloc(len);
	if (!copy)
		return 0;
	memcpy(copy, data, len);
	struct bytes b = bytes_writer(copy, HEADER);
	bytes_put(&b, "STPD\1\0\0\0", 8);
	bytes_put_u32(&b, (uint32_t)count);
	struct bytes crc = bytes_writer(copy + len - 4, 4);
	bytes_put_u32(&crc, crc32c(0, copy, len - 4));
	try_days(copy, len);
	free(copy);
	return 0;
}
