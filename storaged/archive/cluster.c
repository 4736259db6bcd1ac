/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/cluster.h"

#include <errno.h>
#include <string.h>

#include "base/errors.h"
#include "proto/steppe.pb-c.h"

#define NAME     "cat/cluster"
#define BODY_MAX 4096

static void look(struct cluster_open *req);

static void finish(struct cluster_open *req, int status)
{
	req->status = status;
	req->done(req);
}

static int take(struct cluster_open *req, const struct buf *body)
{
	Steppe__Wire__Cluster *cluster = steppe__wire__cluster__unpack(NULL, body->len, body->data);
	if (!cluster)
		return ERR_FORMAT;
	int rc = cluster->id.len != CLUSTER_ID_SIZE             ? ERR_FORMAT
		 : cluster->format_level > CLUSTER_FORMAT_LEVEL ? ERR_VERSION
								: 0;
	if (!rc) {
		memcpy(req->id, cluster->id.data, CLUSTER_ID_SIZE);
		req->format_level = cluster->format_level;
	}
	steppe__wire__cluster__free_unpacked(cluster, NULL);
	return rc;
}

/* Made by us or by another, or perhaps made: the object says. */
static void on_written(struct store_write *write)
{
	struct cluster_open *req = container_of(write, struct cluster_open, write);
	if (!write->status || write->status == -EEXIST || write->status == ERR_UNKNOWN)
		look(req);
	else
		finish(req, write->status);
}

static void make(struct cluster_open *req)
{
	uint64_t id[2] = {loop_random(req->loop), loop_random(req->loop)};
	Steppe__Wire__Cluster cluster = STEPPE__WIRE__CLUSTER__INIT;
	cluster.id = (ProtobufCBinaryData){.len = sizeof(id), .data = (uint8_t *)id};
	cluster.format_level = CLUSTER_FORMAT_LEVEL;
	cluster.created_us = loop_wall(req->loop).us;
	struct buf *body = buf_new(steppe__wire__cluster__get_packed_size(&cluster));
	if (!body) {
		finish(req, -ENOMEM);
		return;
	}
	steppe__wire__cluster__pack(&cluster, body->data);
	struct slice slice = slice_of(body, 0, body->len);
	const struct store_guard absent = {.kind = STORE_ABSENT};
	const struct store_edits edits = {.guards = &absent,
		.guard_count = 1,
		.body_kind = STORE_BODY_WHOLE,
		.body = &slice,
		.body_count = 1};
	req->write = (struct store_write){.done = on_written};
	store_write(req->store, &req->write, STORE_META, NAME, &edits);
	slice_drop(&slice);
	buf_unref(&body);
}

static void on_read(struct store_read *read)
{
	struct cluster_open *req = container_of(read, struct cluster_open, read);
	int status = read->status ? read->status : take(req, read->body);
	store_read_release(read);
	if (status == -ENOENT)
		make(req);
	else
		finish(req, status);
}

static void look(struct cluster_open *req)
{
	req->read = (struct store_read){.done = on_read, .want_body = true, .len = BODY_MAX};
	store_read(req->store, &req->read, STORE_META, NAME);
}

void cluster_open(struct loop *loop, struct store *store, struct cluster_open *req)
{
	req->loop = loop;
	req->store = store;
	look(req);
}
