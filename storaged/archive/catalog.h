/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of cameras. A camera is a Steppe__Wire__Camera message; messages lie in 16,384
 * shards `cat/cameras/<4 hex>` of the META pool, by hash of the id, each a protobuf body written
 * whole under its `ver`. The bitmap `cat/cameras/map` says which shards exist, so that walking all
 * cameras reads what is there and lists nothing. Loop thread only; docs/format/catalogue.md. */
#pragma once

#include "base/loop.h"
#include "proto/names.h"
#include "proto/steppe.pb-c.h"
#include "storaged/store/store.h"

#define CATALOG_SHARDS      16384
#define CAMERA_PROFILES_MAX 16
#define CAMERA_GROUPS_MAX   8

struct catalog;

int catalog_new(struct loop *loop, struct store *store, struct catalog **ret_catalog);
/* Requests under way complete first; then closed() runs and *slot, already NULL, is no more. */
void catalog_free(struct catalog **slot, struct loop_task *closed);

struct catalog_get {
	void (*done)(struct catalog_get *req); /* once, later */
	int status; /* 0, -ENOENT (never added, or removed and not `removed_too`), -EIO ... */
	bool removed_too;
	int64_t max_age_ns;           /* an answer from memory may be this old; 0: read the store */
	Steppe__Wire__Camera *camera; /* given: steppe__wire__camera__free_unpacked(.., NULL) */
	/* private */
	struct loop_task task;
	void *impl;
};
void catalog_get(struct catalog *c, struct catalog_get *req, const char *id);

struct catalog_put {
	void (*done)(struct catalog_put *req);
	int status; /* 0; ERR_GUARD: `version` is not the stored one; -ENOENT: update of an unknown
		       one */
	Steppe__Wire__Camera *camera; /* as stored, given when status is 0 */
	/* private */
	struct loop_task task;
	void *impl;
};
/* Adds or replaces a camera. camera->version 0: whatever is stored is replaced (added_us kept),
 * else it must be the stored version. Copies the camera. Sets added_us (when 0) and the next
 * version; profiles that are stored stay. Removing is a put with `removed` set: footage is never touched. */
void catalog_put(struct catalog *c, struct catalog_put *req, const Steppe__Wire__Camera *camera);

struct catalog_walk {
	void (*done)(struct catalog_walk *req);
	int status;
	bool removed_too;
	Steppe__Wire__Camera **cameras; /* given, each and the array: catalog_walk_release */
	size_t count;
	bool more;
	/* private */
	struct loop_task task;
	void *impl;
};
/* Up to `limit` cameras after the one called `after` ("" to begin), in the order of (shard, id),
 * removed ones left out unless `removed_too`. */
void catalog_walk(struct catalog *c, struct catalog_walk *req, const char *after, uint32_t limit);
void catalog_walk_release(struct catalog_walk *req);
