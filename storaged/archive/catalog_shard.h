/* SPDX-License-Identifier: Apache-2.0 */
/* A shard of the catalogue: its cameras, ordered by id, removed ones included. Pure. */
#pragma once

#include "base/buf.h"
#include "proto/steppe.pb-c.h"
#include "storaged/archive/catalog.h"

#define CATALOG_MAP_NAME "cat/cameras/map"
#define CATALOG_MAP_SIZE (CATALOG_SHARDS / 8)
#define CATALOG_SHARD_MAX                                                                          \
	(4u << 20) /* bytes of a shard; ERR_LIMIT beyond: some 20,000 cameras of one hash */

uint16_t catalog_shard_of(const char *id);
void catalog_shard_name(char to[STORE_NAME_MAX + 1], uint16_t shard);

/* A shard being read: protobuf's CameraListReply. */
struct catalog_shard {
	Steppe__Wire__CameraListReply *list; /* NULL: no cameras */
};
/* An absent object is a shard without cameras (body NULL). ERR_DAMAGED for what is no shard. */
int catalog_shard_read(struct catalog_shard *s, const struct buf *body);
void catalog_shard_fini(struct catalog_shard *s);
/* The camera of that id, or NULL. */
const Steppe__Wire__Camera *catalog_shard_find(const struct catalog_shard *s, const char *id);
/* The bytes of the shard with `camera` added or put in place of the one of its id. */
int catalog_shard_with(
	const struct catalog_shard *s, const Steppe__Wire__Camera *camera, struct buf **ret_body);

/* A copy, to be freed with steppe__wire__camera__free_unpacked; NULL when memory is short. */
Steppe__Wire__Camera *camera_copy(const Steppe__Wire__Camera *camera);
