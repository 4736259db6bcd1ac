/* SPDX-License-Identifier: Apache-2.0 */
#include "base/largebuf.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS 0 /* a use after the last reference is to be found */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS 0
#endif
#endif
#ifndef KEEPS
#define KEEPS 1
#endif

struct largebuf {
	struct buf buf; /* its bytes follow the structure */
	size_t room;
	struct list node; /* while kept */
};

/* Newest first: what was just used is in the processor's caches. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list kept = {&kept, &kept};
static size_t kept_bytes;

/* To an eighth of its power of two, so that lengths that differ a little find one another. */
static size_t rounded(size_t len)
{
	size_t unit = LARGEBUF_LEAST / 8;
	while (len / unit >= 16)
		unit *= 2;
	return (len + unit - 1) / unit * unit;
}

static struct largebuf *forget(struct list *node)
{
	struct largebuf *b = list_entry(node, struct largebuf, node);
	list_remove(node);
	kept_bytes -= b->room;
	return b;
}

static struct largebuf *take(size_t room)
{
	struct largebuf *found = NULL;
	pthread_mutex_lock(&lock);
	list_each (node, &kept) {
		size_t has = list_entry(node, struct largebuf, node)->room;
		if (has < room || has > room + room / 4)
			continue;
		found = forget(node);
		break;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void release(struct buf *buf)
{
	struct largebuf *b = container_of(buf, struct largebuf, buf);
	struct list out;
	list_init(&out);
	pthread_mutex_lock(&lock);
	list_prepend(&kept, &b->node);
	kept_bytes += b->room;
	while (kept_bytes > (KEEPS ? LARGEBUF_KEPT : 0))
		list_append(&out, &forget(kept.prev)->node);
	pthread_mutex_unlock(&lock);
	for (struct list *node; (node = list_pop(&out));)
		free(list_entry(node, struct largebuf, node));
}

struct buf *largebuf_new(size_t len)
{
	size_t room = KEEPS ? rounded(len) : len;
	struct largebuf *b = take(room);
	if (!b) {
		b = malloc(sizeof(*b) + room);
		if (!b)
			return NULL;
		b->room = room;
	}
	list_init(&b->node);
	b->buf.len = len;
	b->buf.data = (uint8_t *)(b + 1);
	b->buf.release = release;
	atomic_init(&b->buf.refs, 1);
	return &b->buf;
}
