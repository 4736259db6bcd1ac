/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/largebuf.h"

struct buf *buf_new(size_t len)
{
	if (len > SIZE_MAX - sizeof(struct buf))
		return NULL;
	if (len >= LARGEBUF_LEAST && len <= LARGEBUF_MOST)
		return largebuf_new(len);
	struct buf *b = malloc(sizeof(*b) + len);
	if (!b)
		return NULL;
	b->len = len;
	b->data = (uint8_t *)(b + 1);
	b->release = NULL;
	atomic_init(&b->refs, 1);
	return b;
}

struct buf *buf_copy(const void *data, size_t len)
{
	struct buf *b = buf_new(len);
	if (b && len)
		memcpy(b->data, data, len);
	return b;
}

struct buf *buf_ref(struct buf *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void buf_unref(struct buf **slot)
{
	struct buf *b = *slot;
	*slot = NULL;
	/* acquire-release: the last holder must see what the others wrote before it frees */
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (b->release)
		b->release(b);
	else
		free(b);
}

struct slice slice_of(struct buf *b, size_t offset, size_t len)
{
	CHECK(offset <= b->len && len <= b->len - offset);
	return (struct slice){.buf = buf_ref(b), .data = b->data + offset, .len = len};
}

void slice_drop(struct slice *s)
{
	buf_unref(&s->buf);
	*s = (struct slice){0};
}
