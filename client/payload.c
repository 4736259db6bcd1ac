/* SPDX-License-Identifier: Apache-2.0 */
#include "client/payload.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/check.h"

/* Kept before the bytes: enough for moof of two hundred samples. More is made when it is needed. */
#define ROOM_BEFORE 4096u

static uint8_t *first(const struct payload *p)
{
	return p->buf ? p->buf->data + ROOM_BEFORE : NULL;
}

/* Moves the first `len` bytes into a buffer of `room` bytes in all, to `start`. */
static int move_to(struct payload *p, size_t room, size_t start, size_t len)
{
	struct buf *b = buf_new(room);
	if (!b)
		return -ENOMEM;
	if (len)
		memcpy(b->data + start, first(p), len);
	buf_unref(&p->buf);
	p->buf = b;
	return 0;
}

static int reserve(struct payload *p, size_t len)
{
	size_t need = ROOM_BEFORE + p->len + len;
	if (p->buf && p->buf->len >= need)
		return 0;
	size_t room =
		p->buf ? p->buf->len + p->buf->len / 2 : ROOM_BEFORE + p->typical + p->typical / 16;
	return move_to(p, room < need ? need : room, ROOM_BEFORE, p->len);
}

int payload_add(struct payload *p, const void *data, size_t len)
{
	int rc = reserve(p, len);
	if (rc < 0)
		return rc;
	memcpy(first(p) + p->len, data, len);
	p->len += len;
	return 0;
}

/* A buffer for what is behind the first `len` bytes; NULL when memory is short. */
static struct buf *split(const struct payload *p, size_t len)
{
	struct buf *rest = buf_new(ROOM_BEFORE + p->len - len);
	if (rest)
		memcpy(rest->data + ROOM_BEFORE, first(p) + len, p->len - len);
	return rest;
}

int payload_take(struct payload *p, size_t len, size_t before, size_t behind, struct buf **ret_buf)
{
	CHECK(len && len <= p->len);
	struct buf *rest = NULL;
	if (len < p->len && !(rest = split(p, len)))
		return -ENOMEM;
	size_t start = ROOM_BEFORE, whole = start + len + behind;
	bool fits = before <= ROOM_BEFORE && p->buf->len >= whole;
	/* a buffer that turned out much too large is good enough when memory is short */
	if (!fits || p->buf->len - whole > whole / 4) {
		int rc = move_to(p, before + len + behind, before, len);
		if (rc < 0 && !fits) {
			buf_unref(&rest);
			return rc;
		}
		start = rc < 0 ? start : before;
	}
	struct buf *taken = p->buf;
	taken->data += start - before;
	taken->len = before + len + behind;
	p->buf = rest;
	p->len -= len;
	p->typical = len + behind;
	*ret_buf = taken;
	return 0;
}

void payload_move(struct payload *p, size_t len, void *to)
{
	CHECK(len <= p->len);
	if (!len)
		return;
	memcpy(to, first(p), len);
	p->len -= len;
	memmove(first(p), first(p) + len, p->len);
}

void payload_drop(struct payload *p)
{
	buf_unref(&p->buf);
	p->len = 0;
}
