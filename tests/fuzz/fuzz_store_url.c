/* SPDX-License-Identifier: Apache-2.0 */
/* A store's url, as a configuration or a command line has it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/errors.h"
#include "storaged/store/store_url.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store_url url;
	static char text[2 * STORE_URL_MAX];
	char why[64];
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	int rc = store_url_parse(text, &url, why, sizeof(why));
	CHECK(rc == 0 || rc == ERR_CONFIG);
	if (rc)
		return 0;
	CHECK(strlen(url.scheme) > 0 && strlen(url.path) <= size &&
		url.param_count <= STORE_URL_PARAMS_MAX);
	for (size_t i = 0; i < url.param_count; i++)
		CHECK(store_url_param(&url, url.params[i].key) == url.params[i].value);
	return 0;
}
