/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_path.h"

#include <string.h>

#include "base/check.h"

#define LEAF_MAX 200

static char *put(char *to, const char *text, size_t len)
{
	memcpy(to, text, len);
	return to + len;
}

void local_path(char to[LOCAL_PATH_MAX], const char *name, uint8_t file)
{
	char *p = to;
	for (const char *slash; (slash = strchr(name, '/')); name = slash + 1) {
		size_t len = (size_t)(slash - name);
		p = put(p, name, len);
		if (len >= 4 && memcmp(slash - 4, ".mp4", 4) == 0)
			*p++ = '+';
		*p++ = '/';
	}
	size_t len = strlen(name);
	if (len > LEAF_MAX) {
		p = put(p, name, LEAF_MAX);
		p = put(p, "=/", 2);
		name += LEAF_MAX;
		len -= LEAF_MAX;
	}
	p = put(p, name, len);
	if (file)
		*p++ = '~';
	p = put(p, ".mp4", 5);
	CHECK(p <= to + LOCAL_PATH_MAX);
}
