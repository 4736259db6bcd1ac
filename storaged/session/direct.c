/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/direct.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "proto/names.h"
#include "storaged/metrics.h"
#include "storaged/session/machines.h"

#define NONE        ((size_t)-1)
#define READ_MAP_MS 100  /* that long reading a newer map takes */
#define NOBODY_MS   2000 /* and that long until some node may be there again */

/* The questions about streams, and where in them is what matters here. */
static const struct question {
	uint8_t type;
	const ProtobufCMessageDescriptor *meta;
	size_t stream, any, map_epoch, follow;
} questions[] = {
	{FRAME_OPEN, &steppe__wire__open__descriptor, offsetof(Steppe__Wire__Open, stream), NONE,
		offsetof(Steppe__Wire__Open, map_epoch), NONE},
	{FRAME_TIMELINE, &steppe__wire__timeline__descriptor,
		offsetof(Steppe__Wire__Timeline, stream), offsetof(Steppe__Wire__Timeline, any),
		NONE, NONE},
	{FRAME_DAYS, &steppe__wire__days__descriptor, offsetof(Steppe__Wire__Days, stream),
		offsetof(Steppe__Wire__Days, any), NONE, NONE},
	{FRAME_FETCH, &steppe__wire__fetch__descriptor, offsetof(Steppe__Wire__Fetch, stream),
		offsetof(Steppe__Wire__Fetch, any), NONE, offsetof(Steppe__Wire__Fetch, follow)},
	{FRAME_SNAPSHOT, &steppe__wire__snapshot__descriptor,
		offsetof(Steppe__Wire__Snapshot, stream), offsetof(Steppe__Wire__Snapshot, any),
		NONE, NONE},
	{FRAME_FSCK, &steppe__wire__fsck__descriptor, offsetof(Steppe__Wire__Fsck, stream), NONE,
		NONE, NONE},
};

struct asked {
	char camera[CAMERA_ID_MAX + 1];
	char stream[STREAM_NAME_MAX + 1];
	bool reads; /* only what lies in the store: it may be answered by any daemon */
	bool any;
	uint64_t map_epoch;
};

static bool flag_at(const ProtobufCMessage *m, size_t offset)
{
	return offset != NONE &&
	       *(const protobuf_c_boolean *)(const void *)((const char *)m + offset);
}

static void take(const struct question *q, const ProtobufCMessage *m, struct asked *ret_asked)
{
	const char *stream = *(char *const *)(const void *)((const char *)m + q->stream);
	if (stream_name_split(stream, ret_asked->camera, NULL))
		return; /* its machine refuses it */
	strcpy(ret_asked->stream, stream);
	/* who follows waits for the owner's next fragments: nobody else has them */
	ret_asked->reads = q->any != NONE && !flag_at(m, q->follow);
	ret_asked->any = flag_at(m, q->any);
	if (q->map_epoch != NONE)
		memcpy(&ret_asked->map_epoch, (const char *)m + q->map_epoch,
			sizeof(ret_asked->map_epoch));
}

/* What a frame asks about a stream; an empty name when it does not. */
static void read_question(const struct frame *frame, struct asked *ret_asked)
{
	*ret_asked = (struct asked){0};
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		if (questions[i].type != frame->header.type)
			continue;
		ProtobufCMessage *meta = protobuf_c_message_unpack(
			questions[i].meta, NULL, frame->header.meta_len, frame->meta);
		if (meta)
			take(&questions[i], meta, ret_asked);
		protobuf_c_message_free_unpacked(meta, NULL);
	}
}

static void redirect(struct conn *conn, uint32_t stream, const struct cluster_map *map,
	const struct cluster_node *to)
{
	Steppe__Wire__Redirect message = STEPPE__WIRE__REDIRECT__INIT;
	/* the library's structures have no const; packing does not write */
	message.addresses = (char **)(uintptr_t)to->addresses;
	message.n_addresses = to->address_count;
	message.node = (char *)(uintptr_t)to->id;
	message.map_epoch = map->epoch;
	metrics_add(METRIC_REDIRECTS, 1);
	if (channel_send(conn->ch, FRAME_REDIRECT, stream, &message.base, NULL, 0) == -ENOMEM)
		channel_close(conn->ch);
}

static void refuse_for_now(struct conn *conn, uint32_t stream, uint32_t retry_ms, const char *why)
{
	Steppe__Wire__Refused message = STEPPE__WIRE__REFUSED__INIT;
	message.code = REFUSAL_TAKING_OVER;
	message.retry_after_ms = retry_ms;
	message.reason = (char *)(uintptr_t)why;
	metrics_refusal(REFUSAL_TAKING_OVER);
	if (channel_send(conn->ch, FRAME_REFUSED, stream, &message.base, NULL, 0) == -ENOMEM)
		channel_close(conn->ch);
}

bool direct(struct conn *conn, const struct frame *frame)
{
	struct service *s = conn->service;
	uint32_t number = frame->header.stream;
	struct asked asked;
	if (!s->config.moves)
		return false;
	read_question(frame, &asked);
	if (!asked.stream[0])
		return false;
	const struct cluster_map *map = moves_map(s->config.moves);
	if (!map) {
		refuse_for_now(conn, number, NOBODY_MS, "the daemon is joining the cluster");
		return true;
	}
	if (asked.map_epoch > map->epoch) {
		s->config.cluster.heard(s->config.owner, asked.map_epoch);
		refuse_for_now(conn, number, READ_MAP_MS, "a newer map is being read");
		return true;
	}
	int owner = cluster_map_owner(map, asked.camera);
	bool ours = owner >= 0 && owner == cluster_map_find(map, s->config.node);
	if (ours || keeper_holds(s->config.keeper, asked.stream))
		return false;
	if (asked.reads && (asked.any || owner < 0))
		return false; /* the store has it */
	if (owner < 0)
		refuse_for_now(conn, number, NOBODY_MS, "no node of the cluster takes cameras now");
	else
		redirect(conn, number, map, &map->nodes[owner]);
	return true;
}

bool direct_request(struct request *req, const char *stream)
{
	char camera[CAMERA_ID_MAX + 1];
	struct conn *conn = req->conn;
	if (!conn)
		return true; /* nobody is left to be told */
	const struct service_config *c = &conn->service->config;
	const struct cluster_map *map = c->moves ? moves_map(c->moves) : NULL;
	if (!map || stream_name_split(stream, camera, NULL))
		return false;
	int owner = cluster_map_owner(map, camera);
	if (owner < 0 || owner == cluster_map_find(map, c->node))
		return false;
	request_detach(req);
	redirect(conn, req->stream, map, &map->nodes[owner]);
	return true;
}
