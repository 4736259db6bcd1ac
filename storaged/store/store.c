/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/store/store_impl.h"

/* What a request may ask for is judged here, once for all implementations; what the object allows,
 * by them. */

static bool pool_is_valid(const struct store *s, int pool)
{
	return pool >= 0 && pool < s->pool_count;
}

/* Names become paths in one implementation: no component may be empty, "." or "..". */
static bool name_is_valid(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
	size_t len = strnlen(name, STORE_NAME_MAX + 1);
	if (len == 0 || len > STORE_NAME_MAX || strspn(name, allowed) != len)
		return false;
	for (const char *part = name;; part++) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') ||
			(n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part += n;
		if (!*part)
			return true;
	}
}

static bool attr_is_valid(const char *name, const void *value, size_t len)
{
	size_t name_len = name ? strnlen(name, STORE_ATTR_NAME_MAX + 1) : 0;
	return name_len > 0 && name_len <= STORE_ATTR_NAME_MAX && len <= STORE_ATTR_VALUE_MAX &&
	       (value || !len);
}

static bool guards_are_valid(const struct store_edits *edits)
{
	bool absent = false;
	for (size_t i = 0; i < edits->guard_count; i++) {
		const struct store_guard *g = &edits->guards[i];
		absent |= g->kind == STORE_ABSENT;
		if (g->kind > STORE_ATTR_BELOW)
			return false;
		if ((g->kind == STORE_ATTR_EQUAL || g->kind == STORE_ATTR_BELOW) &&
			!attr_is_valid(g->attr, g->value, g->value_len))
			return false;
	}
	/* an object cannot be absent and have what the other guards ask for */
	return !absent || (edits->guard_count == 1 && edits->body_kind != STORE_BODY_REMOVE);
}

/* Bytes of the body; SIZE_MAX when there are too many. */
static size_t body_size(const struct store_edits *edits)
{
	size_t size = 0;
	for (size_t i = 0; i < edits->body_count; i++) {
		if (edits->body[i].len > STORE_OBJECT_MAX - size)
			return SIZE_MAX;
		size += edits->body[i].len;
	}
	return size;
}

static bool body_is_valid(int pool, const struct store_edits *edits, size_t size)
{
	if (edits->body_count > STORE_BODY_PARTS_MAX || size > STORE_OBJECT_MAX)
		return false;
	switch (edits->body_kind) {
	case STORE_BODY_NONE:
		return edits->body_count == 0;
	case STORE_BODY_WRITE_AT:
		return edits->offset <= STORE_OBJECT_MAX - size;
	case STORE_BODY_WHOLE:
		return pool == STORE_META && edits->offset == 0;
	case STORE_BODY_REMOVE:
		return edits->body_count == 0 && edits->attr_count == 0;
	}
	return false;
}

static bool edits_are_valid(int pool, const struct store_edits *edits, size_t size)
{
	if (edits->guard_count > STORE_GUARDS_MAX || edits->attr_count > STORE_ATTRS_MAX)
		return false;
	for (size_t i = 0; i < edits->attr_count; i++)
		if (!attr_is_valid(
			    edits->attrs[i].name, edits->attrs[i].value, edits->attrs[i].len))
			return false;
	return guards_are_valid(edits) && body_is_valid(pool, edits, size);
}

void store_write(struct store *s, struct store_write *req, int pool, const char *name,
	const struct store_edits *edits)
{
	size_t size = body_size(edits);
	req->store = s;
	req->pool = pool_is_valid(s, pool) ? (uint8_t)pool : STORE_META;
	if (!pool_is_valid(s, pool) || !name_is_valid(name) ||
		!edits_are_valid(pool, edits, size)) {
		store_write_post(s, req, -EINVAL);
		return;
	}
	struct store_counters *c = &s->counters[pool];
	if (edits->body_kind == STORE_BODY_REMOVE)
		c->removes++;
	else
		c->writes++;
	c->bytes_written += size;
	s->ops->write(s, req, pool, name, edits);
}

void store_read(struct store *s, struct store_read *req, int pool, const char *name)
{
	req->body = NULL;
	req->attrs = NULL;
	req->size = 0;
	req->store = s;
	req->pool = 0;
	if (!pool_is_valid(s, pool) || !name_is_valid(name)) {
		store_read_post(s, req, -EINVAL);
		return;
	}
	req->pool = (uint8_t)pool;
	s->counters[pool].reads++;
	s->ops->read(s, req, pool, name);
}

void store_list(struct store *s, struct store_list *req, int pool, const char *prefix)
{
	if (!pool_is_valid(s, pool) || strnlen(prefix, STORE_NAME_MAX + 1) > STORE_NAME_MAX) {
		store_list_post(s, req, -EINVAL);
		return;
	}
	s->counters[pool].lists++;
	s->ops->list(s, req, pool, prefix);
}

void store_space(struct store *s, struct store_space *req, int pool)
{
	if (!pool_is_valid(s, pool)) {
		store_space_post(s, req, -EINVAL);
		return;
	}
	s->ops->space(s, req, pool);
}

/* How an answer reaches its loop. */

static void count_outcome(struct store_counters *c, int status)
{
	switch (status) {
	case 0:
		c->done++;
		break;
	case -ENOSPC:
		c->no_space++;
		break;
	case ERR_GUARD:
	case -EEXIST:
	case -ENOENT:
	case -ECANCELED:
	case -EINVAL:
	case -ENOMEM:
		break;
	default:
		c->failed++;
	}
}

void store_write_finish(struct store_write *req, int status)
{
	req->status = status;
	count_outcome(&req->store->counters[req->pool], status);
	req->done(req);
}

static void finish_write(struct loop_task *task)
{
	struct store_write *req = container_of(task, struct store_write, task);
	store_write_finish(req, req->status);
}

void store_write_post(struct store *s, struct store_write *req, int status)
{
	req->status = status;
	req->task.run = finish_write;
	loop_post(s->loop, &req->task);
}

static void finish_read(struct loop_task *task)
{
	struct store_read *req = container_of(task, struct store_read, task);
	if (req->body)
		req->store->counters[req->pool].bytes_read += req->body->len;
	req->done(req);
}

void store_read_post(struct store *s, struct store_read *req, int status)
{
	req->status = status;
	if (status)
		store_read_release(req); /* a failed read hands nothing out */
	req->task.run = finish_read;
	loop_post(s->loop, &req->task);
}

static void finish_list(struct loop_task *task)
{
	struct store_list *req = container_of(task, struct store_list, task);
	req->done(req);
}

void store_list_post(struct store *s, struct store_list *req, int status)
{
	req->status = status;
	req->task.run = finish_list;
	loop_post(s->loop, &req->task);
}

static void finish_space(struct loop_task *task)
{
	struct store_space *req = container_of(task, struct store_space, task);
	req->done(req);
}

void store_space_post(struct store *s, struct store_space *req, int status)
{
	req->status = status;
	req->task.run = finish_space;
	loop_post(s->loop, &req->task);
}

/* What a finished read carries. */

struct store_read_attrs *store_read_attrs_new(size_t value_bytes)
{
	struct store_read_attrs *attrs = malloc(sizeof(*attrs) + value_bytes);
	if (attrs) {
		attrs->count = attrs->used = 0;
		attrs->room = value_bytes;
	}
	return attrs;
}

void store_read_attrs_add(
	struct store_read_attrs *attrs, const char *name, const void *value, size_t len)
{
	CHECK(attrs->count < STORE_ATTRS_MAX && len <= attrs->room - attrs->used);
	struct store_read_attr *entry = &attrs->entries[attrs->count++];
	(void)snprintf(
		entry->name, sizeof(entry->name), "%s", name); /* names were limited when set */
	entry->value = attrs->values + attrs->used;
	entry->len = len;
	if (len)
		memcpy(attrs->values + attrs->used, value, len);
	attrs->used += len;
}

const void *store_read_attr(const struct store_read *req, const char *name, size_t *ret_len)
{
	for (size_t i = 0; req->attrs && i < req->attrs->count; i++) {
		if (strcmp(req->attrs->entries[i].name, name) == 0) {
			*ret_len = req->attrs->entries[i].len;
			return req->attrs->entries[i].value;
		}
	}
	*ret_len = 0;
	return "";
}

void store_read_release(struct store_read *req)
{
	free(req->attrs);
	req->attrs = NULL;
	buf_unref(&req->body);
}

int store_attr_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
	size_t common = a_len < b_len ? a_len : b_len;
	int order = common ? memcmp(a, b, common) : 0;
	return order ? order : (a_len > b_len) - (a_len < b_len);
}

uint32_t store_alignment(const struct store *s, int pool)
{
	CHECK(pool_is_valid(s, pool));
	return s->alignment[pool];
}

int store_pool_count(const struct store *s)
{
	return s->pool_count;
}

const char *store_kind(const struct store *s)
{
	return s->ops->kind;
}

const struct store_counters *store_counters(const struct store *s, int pool)
{
	CHECK(pool_is_valid(s, pool));
	return &s->counters[pool];
}

/* Opening and closing. */

static const struct {
	const char *name;
	int (*open)(const struct store_url *url, struct store_backend **ret_backend, char *why,
		size_t why_size);
} schemes[] = {
#ifdef STORE_HAS_LOCAL
	{"file", store_local_open},
#endif
#ifdef STORE_HAS_RADOS
	{"rados", store_rados_open},
#endif
	{NULL, NULL},
};

int store_backend_open(
	const char *text, struct store_backend **ret_backend, char *why, size_t why_size)
{
	struct store_url url;
	int rc = store_url_parse(text, &url, why, why_size);
	if (rc)
		return rc;
	for (size_t i = 0; schemes[i].name; i++)
		if (strcmp(schemes[i].name, url.scheme) == 0)
			return schemes[i].open(&url, ret_backend, why, why_size);
	(void)snprintf(why, why_size, "this program has no store of the kind %s://", url.scheme);
	return ERR_CONFIG;
}

int store_backend_health(struct store_backend *backend, char *why, size_t why_size)
{
	return backend->ops->health ? backend->ops->health(backend, why, why_size) : 0;
}

struct store *store_new(struct store_backend *backend, struct loop *loop)
{
	return backend->ops->store_new(backend, loop);
}

void store_free(struct store **slot, struct loop_task *closed)
{
	struct store *s = *slot;
	*slot = NULL;
	s->ops->free(s, closed);
}

void store_backend_close(struct store_backend **backend)
{
	struct store_backend *b = *backend;
	*backend = NULL;
	if (b)
		b->ops->close(b);
}
