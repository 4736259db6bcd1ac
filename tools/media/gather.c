/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

#define UNIT_MAX (4u << 20)

void gather_fini(struct gather *g)
{
	free(g->data);
	g->data = NULL;
	g->len = g->room = 0;
}

bool gather_ends(const struct gather *g, int64_t pts, bool continues)
{
	int64_t apart = pts - g->pts;
	return g->len > 0 && !continues && (apart > g->tolerance || apart < -g->tolerance);
}

int gather_add(struct gather *g, const void *data, size_t len)
{
	if (len > UNIT_MAX - g->len)
		return ERR_LIMIT;
	if (g->len + len > g->room) {
		size_t room = (g->len + len) * 2;
		uint8_t *grown = realloc(g->data, room);
		if (!grown)
			return -ENOMEM;
		g->data = grown;
		g->room = room;
	}
	memcpy(g->data + g->len, data, len);
	g->len += len;
	return 0;
}
