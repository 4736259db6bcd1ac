/* SPDX-License-Identifier: Apache-2.0 */
/* A fragment on its way from the fragmenter to the cluster: numbered once its lane is known, held
 * until it is durable. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "proto/fragment.h"

struct item {
	struct list node;
	uint64_t number;               /* in its lane, from 1; 0: in none yet */
	struct fragment_header header; /* sealed when `sealed` */
	struct buf *init;              /* codec configuration in force */
	struct buf *body;    /* NULL: gone out, and in the spool should it be needed again */
	int64_t gap_from_us; /* start of the hole before it, when gap_cause is not 0 */
	uint8_t gap_cause;   /* enum steppe_gap */
	bool sealed, in_spool, sent;
	bool busy;   /* the worker reads it: it must not change, and freeing it waits */
	bool orphan; /* to be freed when the worker is done */
};

/* Gives an item that holds references of its own to `init` and `body`; NULL when memory is short. */
struct item *item_new(const struct fragment_header *header, struct buf *init, struct buf *body);
/* Takes it out of its list and frees it; a busy one once item_idle is called. */
void item_free(struct item **item);
/* The worker is done with it. False: it was to be freed, and is. */
bool item_idle(struct item *item);
/* Frees all items of a list. */
void item_free_all(struct list *items);

static inline struct item *item_of(struct list *node)
{
	return list_entry(node, struct item, node);
}

/* The first of a list; NULL when it is empty. */
static inline struct item *item_first(struct list *items)
{
	return list_empty(items) ? NULL : item_of(items->next);
}

/* Memory that its body takes. */
static inline size_t item_bytes(const struct item *item)
{
	return item->body ? item->body->len : 0;
}
