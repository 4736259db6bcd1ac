/* SPDX-License-Identifier: Apache-2.0 */
/* Cameras and the daemon's state, for people who manage them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/names.h"
#include "storaged/session/machines.h"

#define LIST_MAX   1000 /* cameras an answer */
#define TEXT_MAX   256  /* bytes of a camera's name, division, site */
#define SOURCE_MAX 1024

struct admin {
	struct request request;
	struct service *service;
	union {
		struct catalog_get get;
		struct catalog_put put;
		struct catalog_walk walk;
		struct admin_status status;
	} ask;
	bool gone;
};

static void on_frame(struct request *req, const struct frame *frame)
{
	(void)req;
	(void)frame; /* each of these is one question and one answer */
}

static void on_gone(struct request *req)
{
	container_of(req, struct admin, request)->gone = true;
}

static const struct request_ops admin_ops = {.frame = on_frame, .gone = on_gone};

static struct admin *begin(struct conn *conn, uint32_t stream)
{
	struct admin *a = calloc(1, sizeof(*a));
	if (!a || request_attach(&a->request, &admin_ops, conn, stream)) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		free(a);
		return NULL;
	}
	a->service = conn->service;
	return a;
}

/* The answer, or why there is none. */
static void answer(struct admin *a, int status, uint8_t type, const ProtobufCMessage *reply)
{
	if (status == -ENOENT)
		request_refuse(&a->request, REFUSAL_UNKNOWN_CAMERA, 0, NULL);
	else if (status == ERR_GUARD)
		request_refuse(&a->request, REFUSAL_CONFLICT, 0, NULL);
	else if (status)
		request_refuse(&a->request, refusal_of_error(status), 0, NULL);
	else
		request_send(&a->request, type, reply, NULL, 0);
	request_detach(&a->request);
	free(a);
}

/* --- one camera
 * --------------------------------------------------------------------------------------------------------------
 */

static void free_camera(Steppe__Wire__Camera *camera)
{
	if (camera)
		steppe__wire__camera__free_unpacked(camera, NULL);
}

static void on_put(struct catalog_put *put)
{
	struct admin *a = container_of(put, struct admin, ask.put);
	Steppe__Wire__Camera *camera = put->camera;
	Steppe__Wire__CameraPutReply reply = STEPPE__WIRE__CAMERA_PUT_REPLY__INIT;
	reply.camera = camera;
	answer(a, put->status, FRAME_CAMERA_PUT_REPLY, &reply.base);
	free_camera(camera);
}

static bool judge_camera(struct conn *conn, uint32_t stream, const Steppe__Wire__Camera *camera)
{
	if (!camera || !camera_id_is_valid(camera->id)) {
		conn_refuse(conn, stream, REFUSAL_NAME, NULL);
		return false;
	}
	bool named = !camera->policy[0] || camera_id_is_valid(camera->policy);
	for (size_t i = 0; i < camera->n_groups; i++)
		named = named && camera_id_is_valid(camera->groups[i]);
	for (size_t i = 0; i < camera->n_profiles; i++)
		named = named && profile_is_valid(camera->profiles[i]);
	if (!named) {
		conn_refuse(conn, stream, REFUSAL_NAME,
			"groups, policies and profiles are named like cameras");
		return false;
	}
	if (strlen(camera->name) > TEXT_MAX || strlen(camera->division) > TEXT_MAX ||
		strlen(camera->site) > TEXT_MAX || strlen(camera->source) > SOURCE_MAX ||
		camera->n_profiles > CAMERA_PROFILES_MAX || camera->n_groups > CAMERA_GROUPS_MAX) {
		conn_refuse(conn, stream, REFUSAL_TOO_LARGE,
			"a camera's name, division and site have at most %d bytes, its source %d",
			TEXT_MAX, SOURCE_MAX);
		return false;
	}
	return true;
}

void admin_camera_put(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__CameraPut *ask =
		conn_unpack(conn, frame, &steppe__wire__camera_put__descriptor);
	if (!ask)
		return;
	struct admin *a = NULL;
	if (judge_camera(conn, frame->header.stream, ask->camera))
		a = begin(conn, frame->header.stream);
	if (a) {
		audit(conn, "camera-put", "camera=%s", ask->camera->id);
		ask->camera->removed = false;
		a->ask.put.done = on_put;
		catalog_put(a->service->config.catalog, &a->ask.put, ask->camera);
	}
	steppe__wire__camera_put__free_unpacked(ask, NULL);
}

/* Asks for what is registered of one camera; done() goes on with it. `act`: for the audit log, or
 * NULL. */
static void ask_for(struct conn *conn, uint32_t stream, const char *id, const char *act,
	void (*done)(struct catalog_get *get))
{
	if (!camera_id_is_valid(id)) {
		conn_refuse(conn, stream, REFUSAL_NAME, NULL);
		return;
	}
	struct admin *a = begin(conn, stream);
	if (!a)
		return;
	if (act)
		audit(conn, act, "camera=%s", id);
	a->ask.get.done = done;
	catalog_get(a->service->config.catalog, &a->ask.get, id);
}

static void on_get(struct catalog_get *get)
{
	struct admin *a = container_of(get, struct admin, ask.get);
	Steppe__Wire__Camera *camera = get->camera;
	Steppe__Wire__CameraReply reply = STEPPE__WIRE__CAMERA_REPLY__INIT;
	reply.camera = camera;
	answer(a, get->status, FRAME_CAMERA_REPLY, &reply.base);
	free_camera(camera);
}

void admin_camera_get(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__CameraGet *ask =
		conn_unpack(conn, frame, &steppe__wire__camera_get__descriptor);
	if (!ask)
		return;
	ask_for(conn, frame->header.stream, ask->id, NULL, on_get);
	steppe__wire__camera_get__free_unpacked(ask, NULL);
}

static void on_removed(struct catalog_put *put)
{
	struct admin *a = container_of(put, struct admin, ask.put);
	Steppe__Wire__Camera *camera = put->camera;
	Steppe__Wire__CameraRemoved removed = STEPPE__WIRE__CAMERA_REMOVED__INIT;
	answer(a, put->status, FRAME_CAMERA_REMOVED, &removed.base);
	free_camera(camera);
}

/* Removing marks what is stored, under its version: footage and the camera's words stay. */
static void on_get_to_remove(struct catalog_get *get)
{
	struct admin *a = container_of(get, struct admin, ask.get);
	Steppe__Wire__Camera *camera = get->camera;
	if (get->status || a->gone) {
		answer(a, get->status ? get->status : -ECANCELED, 0, NULL);
	} else {
		camera->removed = true;
		a->ask.put = (struct catalog_put){.done = on_removed};
		catalog_put(a->service->config.catalog, &a->ask.put, camera);
	}
	free_camera(camera);
}

void admin_camera_remove(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__CameraRemove *ask =
		conn_unpack(conn, frame, &steppe__wire__camera_remove__descriptor);
	if (!ask)
		return;
	ask_for(conn, frame->header.stream, ask->id, "camera-remove", on_get_to_remove);
	steppe__wire__camera_remove__free_unpacked(ask, NULL);
}

/* --- all cameras
 * -------------------------------------------------------------------------------------------------------------
 */

static void on_walk(struct catalog_walk *walk)
{
	struct admin *a = container_of(walk, struct admin, ask.walk);
	struct catalog_walk found = *walk; /* the answer frees what it is part of */
	Steppe__Wire__CameraListReply reply = STEPPE__WIRE__CAMERA_LIST_REPLY__INIT;
	reply.cameras = found.cameras;
	reply.n_cameras = found.count;
	reply.more = found.more;
	answer(a, found.status, FRAME_CAMERA_LIST_REPLY, &reply.base);
	catalog_walk_release(&found);
}

void admin_camera_list(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__CameraList *ask =
		conn_unpack(conn, frame, &steppe__wire__camera_list__descriptor);
	if (!ask)
		return;
	struct admin *a = NULL;
	if (ask->after[0] && !camera_id_is_valid(ask->after))
		conn_refuse(conn, frame->header.stream, REFUSAL_NAME, NULL);
	else
		a = begin(conn, frame->header.stream);
	if (a) {
		uint32_t limit = ask->limit && ask->limit < LIST_MAX ? ask->limit : LIST_MAX;
		a->ask.walk.done = on_walk;
		catalog_walk(a->service->config.catalog, &a->ask.walk, ask->after, limit);
	}
	steppe__wire__camera_list__free_unpacked(ask, NULL);
}

/* --- the daemon
 * --------------------------------------------------------------------------------------------------------------
 */

static void on_status(struct admin_status *status, const Steppe__Wire__StatusReply *reply)
{
	struct admin *a = container_of(status, struct admin, ask.status);
	answer(a, reply ? 0 : -ENOMEM, FRAME_STATUS_REPLY, reply ? &reply->base : NULL);
}

void admin_status_begin(struct conn *conn, const struct frame *frame)
{
	struct service *s = conn->service;
	Steppe__Wire__Status *ask = conn_unpack(conn, frame, &steppe__wire__status__descriptor);
	if (!ask)
		return;
	struct admin *a = NULL;
	if (!s->config.status)
		conn_refuse(
			conn, frame->header.stream, REFUSAL_PROTOCOL, "this daemon tells no state");
	else
		a = begin(conn, frame->header.stream);
	if (a) {
		/* which cameras exist is not everybody's business */
		bool may_see =
			conn->ch->identity.roles & (ROLE_ADMIN | ROLE_INVESTIGATOR | ROLE_NODE);
		a->ask.status = (struct admin_status){.done = on_status,
			.loop = s->config.loop,
			.streams = ask->streams && may_see};
		s->config.status(s->config.owner, &a->ask.status);
	}
	steppe__wire__status__free_unpacked(ask, NULL);
}
