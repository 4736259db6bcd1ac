/* SPDX-License-Identifier: Apache-2.0 */
/* The model store's objects: what a guarded write does to them, at one instant. Knows nothing of
 * time and faults. */
#pragma once

#include "storaged/store/store.h"
#include "tests/lib/store_model.h"

struct model_attr {
	char name[STORE_ATTR_NAME_MAX + 1];
	uint8_t *value;
	size_t len;
};

struct model_object {
	struct list node;
	int pool;
	char name[STORE_NAME_MAX + 1];
	uint8_t *data;
	size_t size, room;
	struct model_attr attrs[STORE_ATTRS_MAX];
	size_t attr_count;
};

#define MODEL_BUCKETS 4096

struct model_objects {
	struct list buckets[MODEL_BUCKETS];
	uint64_t count, used_bytes[STORE_POOLS_MAX];
};

void model_objects_init(struct model_objects *objects);
void model_objects_fini(struct model_objects *objects);
struct model_object *model_objects_find(struct model_objects *objects, int pool, const char *name);
/* An empty object of that name, which must not be there yet; NULL when memory is short. */
struct model_object *model_objects_add(struct model_objects *objects, int pool, const char *name);
void model_objects_remove(struct model_objects *objects, struct model_object *o);

/* NULL when there is no such attribute. */
struct model_attr *model_object_attr(struct model_object *o, const char *name);
/* -EINVAL past STORE_ATTRS_MAX, -ENOMEM. */
int model_object_set_attr(struct model_object *o, const char *name, const void *value, size_t len);
/* Writes and grows; -ENOMEM. The range begins inside the object or at its end. */
int model_object_write(struct model_objects *objects, struct model_object *o, uint64_t offset,
	const struct slice *part);

/* Applies the edits if the guards hold and the pool takes them; status as in store.h. */
int model_objects_apply(struct model_objects *objects, const struct store_model_pool *pool,
	int pool_number, const char *name, const struct store_edits *edits);
