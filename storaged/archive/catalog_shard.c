/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/catalog_shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/hash.h"

#define SHARD_SEED 0x63617400u

uint16_t catalog_shard_of(const char *id)
{
	return (uint16_t)(hash64(SHARD_SEED, id, strlen(id)) % CATALOG_SHARDS);
}

void catalog_shard_name(char to[STORE_NAME_MAX + 1], uint16_t shard)
{
	snprintf(to, STORE_NAME_MAX + 1, "cat/cameras/%04x", shard);
}

static bool is_shard(const Steppe__Wire__CameraListReply *list)
{
	for (size_t i = 0; i < list->n_cameras; i++) {
		if (!camera_id_is_valid(list->cameras[i]->id))
			return false;
		if (i > 0 && strcmp(list->cameras[i - 1]->id, list->cameras[i]->id) >= 0)
			return false;
	}
	return true;
}

int catalog_shard_read(struct catalog_shard *s, const struct buf *body)
{
	*s = (struct catalog_shard){0};
	if (!body)
		return 0;
	s->list = steppe__wire__camera_list_reply__unpack(NULL, body->len, body->data);
	/* protobuf-c does not say whether bytes or memory were bad; bytes of ours are the likelier */
	if (!s->list || !is_shard(s->list)) {
		catalog_shard_fini(s);
		return ERR_DAMAGED;
	}
	return 0;
}

void catalog_shard_fini(struct catalog_shard *s)
{
	if (s->list)
		steppe__wire__camera_list_reply__free_unpacked(s->list, NULL);
	s->list = NULL;
}

const Steppe__Wire__Camera *catalog_shard_find(const struct catalog_shard *s, const char *id)
{
	for (size_t i = 0; s->list && i < s->list->n_cameras; i++)
		if (strcmp(s->list->cameras[i]->id, id) == 0)
			return s->list->cameras[i];
	return NULL;
}

int catalog_shard_with(
	const struct catalog_shard *s, const Steppe__Wire__Camera *camera, struct buf **ret_body)
{
	size_t known = s->list ? s->list->n_cameras : 0, count = 0;
	const Steppe__Wire__Camera **all = malloc((known + 1) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	bool placed = false;
	for (size_t i = 0; i < known; i++) {
		int order = strcmp(s->list->cameras[i]->id, camera->id);
		if (order >= 0 && !placed) {
			all[count++] = camera;
			placed = true;
		}
		if (order != 0)
			all[count++] = s->list->cameras[i];
	}
	if (!placed)
		all[count++] = camera;
	Steppe__Wire__CameraListReply list = STEPPE__WIRE__CAMERA_LIST_REPLY__INIT;
	list.n_cameras = count;
	list.cameras = (Steppe__Wire__Camera **)all;
	size_t len = steppe__wire__camera_list_reply__get_packed_size(&list);
	struct buf *body = len <= CATALOG_SHARD_MAX ? buf_new(len) : NULL;
	if (body) {
		(void)steppe__wire__camera_list_reply__pack(
			&list, body->data); /* writes `len` bytes */
		*ret_body = body;
	}
	free(all);
	return body ? 0 : len > CATALOG_SHARD_MAX ? ERR_LIMIT : -ENOMEM;
}

Steppe__Wire__Camera *camera_copy(const Steppe__Wire__Camera *camera)
{
	size_t len = steppe__wire__camera__get_packed_size(camera);
	uint8_t *packed = malloc(len ? len : 1);
	if (!packed)
		return NULL;
	(void)steppe__wire__camera__pack(camera, packed); /* writes `len` bytes */
	Steppe__Wire__Camera *copy = steppe__wire__camera__unpack(NULL, len, packed);
	free(packed);
	return copy;
}
