/* SPDX-License-Identifier: Apache-2.0 */
#include "client/item.h"

#include <stdlib.h>

struct item *item_new(const struct fragment_header *header, struct buf *init, struct buf *body)
{
	struct item *item = calloc(1, sizeof(*item));
	if (!item)
		return NULL;
	list_init(&item->node);
	item->header = *header;
	item->init = buf_ref(init);
	item->body = buf_ref(body);
	return item;
}

void item_free(struct item **slot)
{
	struct item *item = *slot;
	*slot = NULL;
	if (!item)
		return;
	list_remove(&item->node);
	if (item->busy) {
		item->orphan = true;
		return;
	}
	buf_unref(&item->init);
	buf_unref(&item->body);
	free(item);
}

bool item_idle(struct item *item)
{
	item->busy = false;
	if (!item->orphan)
		return true;
	item_free(&item);
	return false;
}

void item_free_all(struct list *items)
{
	while (!list_empty(items)) {
		struct item *item = item_first(items);
		item_free(&item);
	}
}
