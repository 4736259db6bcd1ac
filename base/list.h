/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists: the node lives in the element, so nothing here allocates or fails. */
#pragma once

#include <stdbool.h>

#include "base/check.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *l, struct list *node)
{
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

static inline void list_prepend(struct list *l, struct list *node)
{
	list_append(l->next, node);
}

/* Takes `node` out of its list and leaves it a list of its own, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Takes the first node out; NULL when the list is empty. */
static inline struct list *list_pop(struct list *l)
{
	if (list_empty(l))
		return NULL;
	struct list *node = l->next;
	list_remove(node);
	return node;
}

/* Moves all nodes of `from` to the end of `to`, in order. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_each(node, l)             for (struct list *node = (l)->next; node != (l); node = node->next)
/* The current node may be removed inside the loop, others may not. */
#define list_each_safe(node, l)                                                                    \
	for (struct list *node = (l)->next, *node##_next = node->next; node != (l);                \
		node = node##_next, node##_next = node->next)
