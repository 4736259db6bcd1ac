/* SPDX-License-Identifier: Apache-2.0 */
/* A value of the local store's index: what is taken is written back as the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "storaged/store/store_local_record.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[LOCAL_RECORD_MAX];
	struct local_record r;
	if (local_record_decode(data, size, &r) == 0) {
		CHECK(local_record_encode(&r, again) == size);
		CHECK(memcmp(again, data, size) == 0);
	}
	return 0;
}
