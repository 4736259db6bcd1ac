/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor says of a pool's space. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/store/ceph_df.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t total = 1, used = 2;
	int rc = ceph_df_parse((const char *)data, size, "steppe.data", &total, &used);
	CHECK(rc == 0 || rc == ERR_FORMAT);
	/* a refusal leaves the outputs alone */
	CHECK(rc == 0 || (total == 1 && used == 2));
	CHECK(ceph_pool_parse((const char *)data, size, "min_size", &total) == 0 || rc == 0 ||
		total == 1);
	return 0;
}
