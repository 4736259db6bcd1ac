/* SPDX-License-Identifier: Apache-2.0 */
/* Frame headers alone, and conversations that arrive in pieces. Checksums are mended, so that what
 * lies behind them is reached. The first byte is the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "proto/frame.h"
#include "proto/frame_reader.h"
#include "tests/fuzz/fuzz.h"

/* Mends the checksum of each frame as far as the frames follow each other. */
static void mend(uint8_t *data, size_t size)
{
	struct frame_header h;
	for (size_t at = 0; size - at >= FRAME_HEADER_SIZE;
		at += FRAME_HEADER_SIZE + h.meta_len + h.body_len) {
		uint8_t *header = data + at;
		size_t left = size - at - FRAME_HEADER_SIZE;
		if (frame_header_decode(header, &h) < 0 || h.meta_len > left)
			return;
		uint8_t before[FRAME_HEADER_SIZE];
		memcpy(before, header, sizeof(before));
		frame_header_encode(&h, header + FRAME_HEADER_SIZE, header);
		CHECK(frame_check(header, header + FRAME_HEADER_SIZE) == 0);
		/* all but the checksum is written as it was read */
		CHECK(!memcmp(before, header, FRAME_HEADER_SIZE - 4));
		if (h.body_len > left - h.meta_len)
			return;
	}
}

static void converse(const uint8_t *data, size_t size, size_t piece)
{
	struct frame_reader r;
	frame_reader_init(&r, FRAME_META_MAX, FRAME_BODY_MAX);
	while (size) {
		uint8_t *space;
		size_t len;
		frame_reader_space(&r, &space, &len);
		CHECK(len);
		len = len < piece ? len : piece;
		len = len < size ? len : size;
		memcpy(space, data, len);
		data += len;
		size -= len;
		int rc = frame_reader_add(&r, len);
		if (rc < 0)
			break;
		if (rc == 1) {
			struct frame frame = frame_reader_frame(&r);
			CHECK(frame.body.len == frame.header.body_len);
			frame_reader_next(&r);
			CHECK(!frame_reader_inside(&r));
		}
	}
	frame_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	converse(copy + 1, size - 1, (size_t)copy[0] + 1);
	mend(copy + 1, size - 1);
	converse(copy + 1, size - 1, (size_t)copy[0] + 1);
	free(copy);
	return 0;
}
