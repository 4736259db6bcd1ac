/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/service.h"

#include <errno.h>
#include <stdlib.h>

#include "storaged/metrics.h"
#include "storaged/session/direct.h"
#include "storaged/session/dispatch.h"
#include "storaged/session/machines.h"
#include "storaged/session/relay.h"
#include "storaged/session/route.h"

#define ANY_ROLE  (ROLE_NODE | ROLE_RECORDER | ROLE_INVESTIGATOR | ROLE_ADMIN)
#define MAY_LOOK  (ROLE_INVESTIGATOR | ROLE_ADMIN)
#define MAY_WATCH ROLE_INVESTIGATOR /* an admin manages footage without seeing it */

static const struct {
	uint8_t type;
	unsigned roles;
	void (*begin)(struct conn *conn, const struct frame *frame);
} beginnings[] = {
	{FRAME_OPEN, ROLE_RECORDER, ingest_begin},
	{FRAME_TIMELINE, MAY_LOOK, looking_timeline},
	{FRAME_DAYS, MAY_LOOK, looking_days},
	{FRAME_FETCH, MAY_WATCH, retrieve_begin},
	{FRAME_SNAPSHOT, MAY_WATCH, snapshot_begin},
	{FRAME_READ, MAY_WATCH, snapshot_read},
	{FRAME_CAMERA_PUT, ROLE_ADMIN, admin_camera_put},
	{FRAME_CAMERA_GET, MAY_LOOK, admin_camera_get},
	{FRAME_CAMERA_LIST, MAY_LOOK, admin_camera_list},
	{FRAME_CAMERA_REMOVE, ROLE_ADMIN, admin_camera_remove},
	{FRAME_STATUS, ANY_ROLE, admin_status_begin},
	{FRAME_FSCK, ROLE_ADMIN, verify_begin},
	{FRAME_MAP, ANY_ROLE, cluster_map_begin},
	{FRAME_NODE_SET, ROLE_ADMIN, cluster_node_set},
	{FRAME_POLICIES_GET, MAY_LOOK, policy_get},
	{FRAME_POLICIES_EDIT, ROLE_ADMIN, policy_edit},
};

/* Frames that go on with something: when it has just ended here they are still under way, and mean
 * nothing. */
static bool is_late(uint8_t type)
{
	switch (type) {
	case FRAME_INIT:
	case FRAME_APPEND:
	case FRAME_GAP:
	case FRAME_CLOSE:
	case FRAME_FETCH_CREDIT:
		return true;
	default:
		return false;
	}
}

/* On the loop that the stream is pinned to. */
static void begin(struct conn *conn, const struct frame *frame,
	void (*machine)(struct conn *conn, const struct frame *frame))
{
	struct service *s = conn->service;
	if (s->closing) {
		conn_refuse(conn, frame->header.stream, REFUSAL_STOPPING, NULL);
		return;
	}
	unsigned target = route(s, frame);
	if (target != s->config.loop_index)
		relay_begin(conn, frame, target);
	else if (!direct(conn, frame))
		machine(conn, frame);
}

void dispatch(struct conn *conn, const struct frame *frame)
{
	uint8_t type = frame->header.type;
	uint32_t stream = frame->header.stream;
	for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
		if (beginnings[i].type != type)
			continue;
		if (!stream)
			conn_refuse(conn, stream, REFUSAL_PROTOCOL,
				"a request needs a number other than 0");
		else if (!(beginnings[i].roles & conn->ch->identity.roles))
			conn_refuse(conn, stream, REFUSAL_ROLE, NULL);
		else
			begin(conn, frame, beginnings[i].begin);
		return;
	}
	if (!is_late(type))
		conn_refuse(conn, stream, REFUSAL_PROTOCOL, "frame type %u begins nothing", type);
}

int service_new(const struct service_config *config, struct service **ret_service)
{
	struct service *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->config = *config;
	list_init(&s->conns);
	list_init(&s->ingests);
	list_init(&s->snapshots);
	*ret_service = s;
	return 0;
}

void service_free(struct service **service)
{
	struct service *s = *service;
	*service = NULL;
	if (!s)
		return;
	CHECK(list_empty(&s->conns) && list_empty(&s->ingests));
	snapshot_drop_all(s);
	loop_timer_stop(&s->snapshot_timer);
	free(s);
}

struct channel_user *service_accept(struct service *s, struct channel *ch)
{
	struct conn *conn;
	if (conn_new(s, ch, &conn))
		return NULL;
	conn->counted = true;
	metrics_gauge_add(METRIC_CONNECTIONS, 1);
	return &conn->user;
}

void service_stop_recording(struct service *s)
{
	s->stopping = true;
	ingest_stop_all(s);
}

void service_close_channels(struct service *s)
{
	list_each (node, &s->conns)
		channel_close(list_entry(node, struct conn, node)->ch);
}

unsigned service_connections(const struct service *s)
{
	return s->conn_count;
}
