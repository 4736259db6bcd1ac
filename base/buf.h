/* SPDX-License-Identifier: Apache-2.0 */
/* Reference-counted byte buffers: how payloads travel from socket to store without a copy. A buffer
 * is filled by whoever made it and is immutable once a second reference exists. References may be
 * taken and dropped on any thread. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	size_t len;    /* bytes in use; the maker may shrink it before sharing */
	uint8_t *data; /* the bytes; writable only while there is a single reference */
	/* private */
	atomic_uint refs;
	void (*release)(struct buf *); /* NULL: data was allocated together with the structure */
};

/* Gives a buffer of `len` uninitialised bytes with one reference, or NULL when memory is short. */
struct buf *buf_new(size_t len);
/* The same, holding a copy of `len` bytes at `data`. */
struct buf *buf_copy(const void *data, size_t len);
struct buf *buf_ref(struct buf *b);
/* Drops the reference in *b (which may hold NULL) and sets it to NULL. */
void buf_unref(struct buf **b);

/* A range of a buffer's bytes that holds a reference of its own to the buffer. A zeroed slice is an
 * empty one. */
struct slice {
	struct buf *buf;
	const uint8_t *data;
	size_t len;
};

/* `len` bytes of `b` from `offset`, which must lie inside. Takes a new reference. */
struct slice slice_of(struct buf *b, size_t offset, size_t len);
/* Drops the reference and leaves an empty slice. */
void slice_drop(struct slice *s);
