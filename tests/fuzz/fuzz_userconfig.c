/* SPDX-License-Identifier: Apache-2.0 */
/* The user's configuration, and the file of cameras. */
#include "tests/fuzz/fuzz.h"
#include "tools/steppe/camerasfile.h"
#include "tools/steppe/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	struct camerasfile cameras;
	char why[512];
	if (config_parse(&config, data, size, why, sizeof(why)) == 0)
		config_fini(&config);
	if (camerasfile_parse(&cameras, data, size, why, sizeof(why)) == 0)
		camerasfile_fini(&cameras);
	return 0;
}
