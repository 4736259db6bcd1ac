/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments as a cluster sends them, whole or as a sync prefix: an init segment, then a body,
 * parted by a 16-bit length. */
#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "tools/media/fmp4.h"

static int swallow(void *user, const void *data, size_t len)
{
	*(size_t *)user += len;
	return data ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = bytes_reader(data, size);
	uint8_t flags = bytes_get_u8(&b);
	size_t init_len = bytes_get_u16(&b);
	const uint8_t *init = bytes_get_view(&b, init_len);
	if (b.error)
		return 0;
	size_t len = bytes_left(&b), written = 0;
	struct steppe_fragment f = {.init = init,
		.init_len = init_len,
		.body = bytes_get_view(&b, len),
		.len = len,
		.prefix_only = flags & 1,
		.capture_us = 1000000};
	struct unpack u = {.count = 0};
	if (unpack_take(&u, &f) == 0)
		for (size_t i = 0; i < u.count; i++)
			written += u.samples[i].len ? u.samples[i].data[u.samples[i].len - 1] : 0;
	unpack_fini(&u);
	struct fmp4 m = {.write = swallow, .user = &written};
	for (int i = 0; i < 2; i++)
		(void)fmp4_take(&m, &f);
	fmp4_fini(&m);
	return 0;
}
