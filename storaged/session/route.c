/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/route.h"

#include <string.h>

#include "base/hash.h"
#include "proto/names.h"

#define ROUTE_SEED                                                                                 \
	7 /* unlike placement's, so that a daemon's share of the cameras spreads over its loops */

unsigned route_of_camera(const char *camera, unsigned loops)
{
	return loops > 1 ? (unsigned)(hash64(ROUTE_SEED, camera, strlen(camera)) % loops) : 0;
}

static unsigned loop_of_stream(const struct service *s, const char *stream)
{
	char camera[CAMERA_ID_MAX + 1];
	if (stream_name_split(stream, camera, NULL))
		return s->config.loop_index;
	return route_of_camera(camera, s->config.peer_count);
}

static unsigned loop_of_snapshot(const struct service *s, const Steppe__Wire__Read *ask)
{
	unsigned loop = ask->snapshot.len ? ask->snapshot.data[0] : s->config.loop_index;
	return loop < s->config.peer_count ? loop : s->config.loop_index;
}

/* What the types that name a stream unpack to, and where the name is. */
static const struct {
	uint8_t type;
	const ProtobufCMessageDescriptor *meta;
	size_t stream;
} named[] = {
	{FRAME_OPEN, &steppe__wire__open__descriptor, offsetof(Steppe__Wire__Open, stream)},
	{FRAME_TIMELINE, &steppe__wire__timeline__descriptor,
		offsetof(Steppe__Wire__Timeline, stream)},
	{FRAME_DAYS, &steppe__wire__days__descriptor, offsetof(Steppe__Wire__Days, stream)},
	{FRAME_FETCH, &steppe__wire__fetch__descriptor, offsetof(Steppe__Wire__Fetch, stream)},
	{FRAME_SNAPSHOT, &steppe__wire__snapshot__descriptor,
		offsetof(Steppe__Wire__Snapshot, stream)},
	{FRAME_FSCK, &steppe__wire__fsck__descriptor, offsetof(Steppe__Wire__Fsck, stream)},
};

unsigned route(const struct service *s, const struct frame *frame)
{
	unsigned loop = s->config.loop_index;
	if (s->config.peer_count <= 1)
		return loop;
	if (frame->header.type == FRAME_READ) {
		Steppe__Wire__Read *ask =
			steppe__wire__read__unpack(NULL, frame->header.meta_len, frame->meta);
		if (ask)
			loop = loop_of_snapshot(s, ask);
		steppe__wire__read__free_unpacked(ask, NULL);
		return loop;
	}
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		if (named[i].type != frame->header.type)
			continue;
		ProtobufCMessage *meta = protobuf_c_message_unpack(
			named[i].meta, NULL, frame->header.meta_len, frame->meta);
		if (meta)
			loop = loop_of_stream(s, *(char *const *)(const void *)((const char *)meta +
										named[i].stream));
		protobuf_c_message_free_unpacked(meta, NULL);
	}
	return loop;
}
