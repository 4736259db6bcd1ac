/* SPDX-License-Identifier: Apache-2.0 */
/* Fragment headers with mended checksums, then a body as long as the header says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/fragment.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX (256u << 10) /* more costs time and shows nothing new */
#define CRC_AT   (FRAGMENT_HEADER_SIZE - 4)

static void try_body(struct fragment_header h, const uint8_t *rest, size_t len)
{
	uint8_t *body = calloc(1, h.body_len + 1);
	if (!body)
		return;
	if (len)
		memcpy(body, rest, len < h.body_len ? len : h.body_len);
	(void)fragment_check_crc(&h, body);
	(void)fragment_check_digest(&h, body);
	CHECK(fragment_seal(&h, body, true) == 0);
	CHECK(fragment_check_crc(&h, body) == 0 && fragment_check_digest(&h, body) == 0);
	/* a chunk rewrites these, and nothing is to be seen of it */
	for (size_t i = 0; i < h.track_count; i++)
		memset(body + h.tfdt_offset[i], 0xa5, 8);
	CHECK(fragment_check_crc(&h, body) == 0 && fragment_check_digest(&h, body) == 0);
	CHECK(fragment_check_prefix_crc(&h, body) == 0);
	body[h.prefix_len - 1] ^= 1;
	bool tfdt = false;
	for (size_t i = 0; i < h.track_count; i++)
		tfdt |= h.prefix_len - 1 - h.tfdt_offset[i] < 8;
	CHECK(fragment_check_crc(&h, body) == (tfdt ? 0 : ERR_CHECKSUM));
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fragment_header h;
	(void)fragment_header_decode(data, size, &h);
	if (size < FRAGMENT_HEADER_SIZE)
		return 0;
	uint8_t wire[FRAGMENT_HEADER_SIZE], again[FRAGMENT_HEADER_SIZE];
	memcpy(wire, data, sizeof(wire));
	struct bytes crc = bytes_writer(wire + CRC_AT, 4);
	bytes_put_u32(&crc, crc32c(0, wire, CRC_AT));
	int rc = fragment_header_decode(wire, sizeof(wire), &h);
	CHECK(rc != ERR_CHECKSUM && rc != ERR_TRUNCATED);
	if (rc < 0)
		return 0;
	fragment_header_encode(&h, again);
	CHECK(!memcmp(wire, again, sizeof(wire)));
	if (h.body_len <= BODY_MAX)
		try_body(h, data + FRAGMENT_HEADER_SIZE, size - FRAGMENT_HEADER_SIZE);
	return 0;
}
