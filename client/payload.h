/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a track's pending samples, one behind the other, in the very buffer that their
 * fragment goes out in: they are copied once, from the caller's memory. Room is kept before them
 * for the boxes that come first. Pure but for memory. A zeroed one is empty. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct payload {
	size_t len; /* bytes held */
	/* private */
	struct buf *buf; /* NULL: none yet */
	size_t typical;  /* bytes that were taken last: room for as many is made at once */
};

/* Copies `len` bytes behind those that are held. -ENOMEM: nothing is changed. */
int payload_add(struct payload *p, const void *data, size_t len);
/* Gives the first `len` bytes held, at least one, in a buffer with `before` bytes of room before
 * them and `behind` bytes behind. The others stay. -ENOMEM: nothing is changed. */
int payload_take(struct payload *p, size_t len, size_t before, size_t behind, struct buf **ret_buf);
/* Copies the first `len` bytes held to `to`; the others stay. */
void payload_move(struct payload *p, size_t len, void *to);
/* Forgets what is held. */
void payload_drop(struct payload *p);
