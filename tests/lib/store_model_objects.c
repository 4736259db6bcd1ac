/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_model_objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/hash.h"

void model_objects_init(struct model_objects *objects)
{
	*objects = (struct model_objects){0};
	for (size_t i = 0; i < MODEL_BUCKETS; i++)
		list_init(&objects->buckets[i]);
}

void model_objects_fini(struct model_objects *objects)
{
	for (size_t i = 0; i < MODEL_BUCKETS; i++)
		list_each_safe (node, &objects->buckets[i])
			model_objects_remove(objects, list_entry(node, struct model_object, node));
}

static struct list *bucket_of(struct model_objects *objects, int pool, const char *name)
{
	return &objects->buckets[hash64((uint64_t)pool, name, strlen(name)) % MODEL_BUCKETS];
}

struct model_object *model_objects_find(struct model_objects *objects, int pool, const char *name)
{
	list_each (node, bucket_of(objects, pool, name)) {
		struct model_object *o = list_entry(node, struct model_object, node);
		if (o->pool == pool && strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

struct model_object *model_objects_add(struct model_objects *objects, int pool, const char *name)
{
	struct model_object *o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->pool = pool;
	(void)snprintf(o->name, sizeof(o->name), "%s", name); /* store.c limits names */
	list_append(bucket_of(objects, pool, name), &o->node);
	objects->count++;
	return o;
}

void model_objects_remove(struct model_objects *objects, struct model_object *o)
{
	objects->count--;
	objects->used_bytes[o->pool] -= o->size;
	list_remove(&o->node);
	for (size_t i = 0; i < o->attr_count; i++)
		free(o->attrs[i].value);
	free(o->data);
	free(o);
}

struct model_attr *model_object_attr(struct model_object *o, const char *name)
{
	for (size_t i = 0; i < o->attr_count; i++)
		if (strcmp(o->attrs[i].name, name) == 0)
			return &o->attrs[i];
	return NULL;
}

int model_object_set_attr(struct model_object *o, const char *name, const void *value, size_t len)
{
	struct model_attr *attr = model_object_attr(o, name);
	if (!len) {
		/* the empty value and no attribute are the same thing */
		if (attr) {
			free(attr->value);
			*attr = o->attrs[--o->attr_count];
		}
		return 0;
	}
	if (!attr && o->attr_count == STORE_ATTRS_MAX)
		return -EINVAL;
	uint8_t *copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, len);
	if (!attr) {
		attr = &o->attrs[o->attr_count++];
		(void)snprintf(attr->name, sizeof(attr->name), "%s", name);
		attr->value = NULL;
	}
	free(attr->value);
	attr->value = copy;
	attr->len = len;
	return 0;
}

int model_object_write(struct model_objects *objects, struct model_object *o, uint64_t offset,
	const struct slice *part)
{
	uint64_t end = offset + part->len;
	CHECK(offset <= o->size);
	if (end > o->room) {
		uint64_t room = end + end / 2;
		uint8_t *data = realloc(o->data, room);
		if (!data)
			return -ENOMEM;
		o->data = data;
		o->room = room;
	}
	if (part->len)
		memcpy(o->data + offset, part->data, part->len);
	if (end > o->size) {
		objects->used_bytes[o->pool] += end - o->size;
		o->size = end;
	}
	return 0;
}

static int judge(struct model_object *o, const struct store_edits *edits)
{
	bool creates = edits->guard_count && edits->guards[0].kind == STORE_ABSENT;
	if (creates)
		return o ? -EEXIST : 0;
	if (!o)
		return -ENOENT;
	for (size_t i = 0; i < edits->guard_count; i++) {
		const struct store_guard *g = &edits->guards[i];
		if (g->kind == STORE_EXISTS)
			continue;
		const struct model_attr *attr = model_object_attr(o, g->attr);
		size_t len = attr ? attr->len : 0, common = len < g->value_len ? len : g->value_len;
		int order = common ? memcmp(attr->value, g->value, common) : 0;
		if (!order)
			order = len < g->value_len ? -1 : len > g->value_len;
		if (g->kind == STORE_ATTR_EQUAL ? order != 0 : order >= 0)
			return ERR_GUARD;
	}
	return 0;
}

static size_t body_len(const struct store_edits *edits)
{
	size_t len = 0;
	for (size_t i = 0; i < edits->body_count; i++)
		len += edits->body[i].len;
	return len;
}

/* What the pool itself has against a write whose guards hold. */
static int admit(const struct store_model_pool *pool, uint64_t used, const struct model_object *o,
	const struct store_edits *edits)
{
	uint64_t size = o ? o->size : 0, end = size;
	if (edits->body_kind == STORE_BODY_REMOVE)
		return 0;
	if (edits->body_kind == STORE_BODY_WRITE_AT) {
		if (edits->offset > size)
			return -EINVAL;
		if (pool->erasure_coded &&
			(edits->offset != size || edits->offset % pool->alignment))
			return -EOPNOTSUPP;
		if (edits->offset + body_len(edits) > size)
			end = edits->offset + body_len(edits);
	} else if (edits->body_kind == STORE_BODY_WHOLE) {
		end = body_len(edits);
	}
	if (!pool->capacity_bytes)
		return 0;
	bool grows = end > size &&
		     (used >= pool->capacity_bytes || end - size > pool->capacity_bytes - used);
	return grows || (!o && used >= pool->capacity_bytes) ? -ENOSPC : 0;
}

/* Attributes that the object would have: the limit must be known before anything is changed. */
static bool attrs_fit(struct model_object *o, const struct store_edits *edits)
{
	size_t count = o ? o->attr_count : 0;
	for (size_t i = 0; i < edits->attr_count; i++) {
		bool there = o && model_object_attr(o, edits->attrs[i].name);
		for (size_t k = 0; k < i; k++)
			there |= strcmp(edits->attrs[k].name, edits->attrs[i].name) == 0;
		count += !there && edits->attrs[i].len;
	}
	return count <= STORE_ATTRS_MAX;
}

static int change(
	struct model_objects *objects, struct model_object *o, const struct store_edits *edits)
{
	uint64_t at = edits->offset;
	int rc = 0;
	if (edits->body_kind == STORE_BODY_WHOLE) {
		objects->used_bytes[o->pool] -= o->size;
		o->size = 0;
	}
	for (size_t i = 0; !rc && i < edits->body_count; i++) {
		rc = model_object_write(objects, o, at, &edits->body[i]);
		at += edits->body[i].len;
	}
	for (size_t i = 0; !rc && i < edits->attr_count; i++)
		rc = model_object_set_attr(
			o, edits->attrs[i].name, edits->attrs[i].value, edits->attrs[i].len);
	return rc;
}

/* Makes a copy to change, so that a change that runs out of memory half way has changed nothing. */
static struct model_object *copy_of(
	struct model_objects *objects, struct model_object *o, int pool, const char *name)
{
	struct model_object *copy = model_objects_add(objects, pool, name);
	int rc = copy ? 0 : -ENOMEM;
	if (copy && o) {
		rc = model_object_write(
			objects, copy, 0, &(struct slice){.data = o->data, .len = o->size});
		for (size_t i = 0; !rc && i < o->attr_count; i++)
			rc = model_object_set_attr(
				copy, o->attrs[i].name, o->attrs[i].value, o->attrs[i].len);
	}
	if (rc && copy)
		model_objects_remove(objects, copy);
	return rc ? NULL : copy;
}

int model_objects_apply(struct model_objects *objects, const struct store_model_pool *pool,
	int pool_number, const char *name, const struct store_edits *edits)
{
	struct model_object *o = model_objects_find(objects, pool_number, name);
	int rc = judge(o, edits);
	if (!rc)
		rc = admit(pool, objects->used_bytes[pool_number], o, edits);
	if (!rc && !attrs_fit(o, edits))
		rc = -EINVAL;
	if (rc)
		return rc;
	if (edits->body_kind == STORE_BODY_REMOVE) {
		model_objects_remove(objects, o);
		return 0;
	}
	struct model_object *changed = copy_of(objects, o, pool_number, name);
	if (!changed)
		return -ENOMEM;
	rc = change(objects, changed, edits);
	if (rc || o)
		model_objects_remove(objects, rc ? changed : o);
	return rc;
}
