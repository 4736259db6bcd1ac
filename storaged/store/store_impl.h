/* SPDX-License-Identifier: Apache-2.0 */
/* What the implementations of the store share; nothing here is for the rooms above. */
#pragma once

#include "storaged/store/store.h"
#include "storaged/store/store_url.h"

/* A backend's part; first in each implementation's own structure. */
struct store_backend_ops {
	/* A store on `loop` with ops, pool_count and alignment set (store_init); NULL when memory
	 * is short. */
	struct store *(*store_new)(struct store_backend *backend, struct loop *loop);
	void (*close)(struct store_backend *backend); /* frees it, blocking */
	/* As store_backend_health; NULL for a store that is always there. */
	int (*health)(struct store_backend *backend, char *why, size_t why_size);
};
struct store_backend {
	const struct store_backend_ops *ops;
};

/* Openers by scheme, as store_backend_open has them. */
int store_local_open(const struct store_url *url, struct store_backend **ret_backend, char *why,
	size_t why_size);
int store_rados_open(const struct store_url *url, struct store_backend **ret_backend, char *why,
	size_t why_size);

/* Attributes as a finished read carries them: the entries, then their bytes in one block. */
struct store_read_attr {
	char name[STORE_ATTR_NAME_MAX + 1];
	const uint8_t *value;
	size_t len;
};
struct store_read_attrs {
	size_t count, used, room; /* entries; bytes of values; most bytes */
	struct store_read_attr entries[STORE_ATTRS_MAX];
	uint8_t values[];
};
/* Gives an empty set with room for `value_bytes` bytes of values, or NULL when memory is short. */
struct store_read_attrs *store_read_attrs_new(size_t value_bytes);
/* Adds a copy; the bounds are CHECKed. */
void store_read_attrs_add(
	struct store_read_attrs *attrs, const char *name, const void *value, size_t len);

/* Compares an attribute's bytes as guards order them: memcmp, the shorter first on a tie; <0, 0,
 * >0. */
int store_attr_compare(const void *a, size_t a_len, const void *b, size_t b_len);

/* Has done() run on the store's loop with `status`. From any thread; the request must not be
 * touched afterwards. */
void store_write_post(struct store *s, struct store_write *req, int status);
/* The same at once: on the loop, in a turn of its own. */
void store_write_finish(struct store_write *req, int status);
void store_read_post(struct store *s, struct store_read *req, int status);
void store_list_post(struct store *s, struct store_list *req, int status);
void store_space_post(struct store *s, struct store_space *req, int status);
