/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests of exports, which anybody may have written. */
#include "tests/fuzz/fuzz.h"
#include "tools/steppe/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest m;
	char why[256];
	if (manifest_read(&m, (const char *)data, size, why, sizeof(why)) == 0) {
		(void)manifest_seal(&m);
		manifest_fini(&m);
	}
	return 0;
}
