/* SPDX-License-Identifier: Apache-2.0 */
#include "printed.h"

#include <stdlib.h>

#include "base/check.h"

void printed_open(struct printed *p)
{
	*p = (struct printed){.len = 0};
	p->to = open_memstream(&p->text, &p->len);
	CHECK(p->to);
}

const char *printed_text(struct printed *p)
{
	if (p->to)
		fclose(p->to);
	p->to = NULL;
	return p->text;
}

void printed_free(struct printed *p)
{
	(void)printed_text(p); /* only to close it */
	free(p->text);
	p->text = NULL;
}
