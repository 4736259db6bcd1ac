/* SPDX-License-Identifier: Apache-2.0 */
/* Cameras, status, checking: blocking, each a question and its answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "client/ask.h"

#define LIST_PAGE      500
#define LIST_PAGES_MAX 20000 /* a daemon that goes round in a circle is left */
#define FSCK_PATIENCE_NS                                                                           \
	(7 * 24 * 3600 * NS_PER_SECOND) /* it reads all of a stream; progress is its findings */

/* Unpacks a frame that must be of `type`; NULL otherwise. */
static void *unpack(
	const struct frame *frame, uint8_t type, const ProtobufCMessageDescriptor *descriptor)
{
	if (frame->header.type != type)
		return NULL;
	return protobuf_c_message_unpack(descriptor, NULL, frame->header.meta_len, frame->meta);
}

/* --- cameras --- */

static int on_acknowledged(struct ask *a, const struct frame *frame)
{
	uint8_t expected =
		a->type == FRAME_CAMERA_PUT ? FRAME_CAMERA_PUT_REPLY : FRAME_CAMERA_REMOVED;
	return frame->header.type == expected ? 1 : ERR_FORMAT;
}

int steppe_camera_put(struct steppe *s, const struct steppe_camera *camera)
{
	if (camera->size < offsetof(struct steppe_camera, added_us) || !camera->id ||
		!camera_id_is_valid(camera->id))
		return -EINVAL;
	Steppe__Wire__Camera c = STEPPE__WIRE__CAMERA__INIT;
	/* the generated structure has no const, packing does not write */
	c.id = (char *)camera->id;
	c.name = (char *)(camera->name ? camera->name : "");
	c.division = (char *)(camera->division ? camera->division : "");
	c.site = (char *)(camera->site ? camera->site : "");
	c.source = (char *)(camera->source ? camera->source : "");
	if (camera->size > offsetof(struct steppe_camera, group_count)) {
		c.policy = (char *)(camera->policy ? camera->policy : "");
		c.groups = (char **)(uintptr_t)camera->groups;
		c.n_groups = camera->group_count;
	}
	Steppe__Wire__CameraPut put = STEPPE__WIRE__CAMERA_PUT__INIT;
	put.camera = &c;
	struct ask a = {.type = FRAME_CAMERA_PUT, .meta = &put.base, .answer = on_acknowledged};
	return ask_wait(cluster_core(s), &a);
}

int steppe_camera_remove(struct steppe *s, const char *id)
{
	if (!id || !camera_id_is_valid(id))
		return -EINVAL;
	Steppe__Wire__CameraRemove m = STEPPE__WIRE__CAMERA_REMOVE__INIT;
	m.id = (char *)id;
	struct ask a = {.type = FRAME_CAMERA_REMOVE, .meta = &m.base, .answer = on_acknowledged};
	return ask_wait(cluster_core(s), &a);
}

static bool show_camera(const Steppe__Wire__Camera *c,
	bool (*each)(void *user, const struct steppe_camera *camera), void *user)
{
	const struct steppe_camera camera = {
		.size = sizeof(camera),
		.id = c->id,
		.name = c->name,
		.division = c->division,
		.site = c->site,
		.source = c->source,
		.added_us = c->added_us,
		.removed = c->removed,
		.policy = c->policy,
		.groups = (const char *const *)c->groups,
		.group_count = c->n_groups,
	};
	return each(user, &camera);
}

struct camera_get {
	struct ask ask;
	Steppe__Wire__CameraReply *reply;
};

static int on_camera(struct ask *a, const struct frame *frame)
{
	struct camera_get *g = container_of(a, struct camera_get, ask);
	g->reply = unpack(frame, FRAME_CAMERA_REPLY, &steppe__wire__camera_reply__descriptor);
	return g->reply ? 1 : ERR_FORMAT;
}

int steppe_camera_get(struct steppe *s, const char *id,
	bool (*each)(void *user, const struct steppe_camera *camera), void *user)
{
	if (!id || !camera_id_is_valid(id))
		return -EINVAL;
	Steppe__Wire__CameraGet m = STEPPE__WIRE__CAMERA_GET__INIT;
	m.id = (char *)id;
	struct camera_get g = {
		.ask = {.type = FRAME_CAMERA_GET, .meta = &m.base, .answer = on_camera}};
	int rc = ask_wait(cluster_core(s), &g.ask);
	if (rc == 0 && !g.reply->camera)
		rc = ERR_FORMAT;
	if (rc == 0)
		(void)show_camera(g.reply->camera, each,
			user); /* there is but one: whether to go on does not matter */
	if (g.reply)
		steppe__wire__camera_reply__free_unpacked(g.reply, NULL);
	return rc;
}

struct camera_list {
	struct ask ask;
	Steppe__Wire__CameraListReply *reply;
};

static int on_list(struct ask *a, const struct frame *frame)
{
	struct camera_list *l = container_of(a, struct camera_list, ask);
	l->reply = unpack(
		frame, FRAME_CAMERA_LIST_REPLY, &steppe__wire__camera_list_reply__descriptor);
	return l->reply ? 1 : ERR_FORMAT;
}

/* One page after `after`; which becomes the last id of it, or empty at the end. The order is the
 * catalogue's own; a daemon that answers the same again would never come to an end. */
static int list_page(struct steppe *s, char after[CAMERA_ID_MAX + 1],
	bool (*each)(void *user, const struct steppe_camera *camera), void *user)
{
	Steppe__Wire__CameraList m = STEPPE__WIRE__CAMERA_LIST__INIT;
	m.after = after;
	m.limit = LIST_PAGE;
	struct camera_list l = {
		.ask = {.type = FRAME_CAMERA_LIST, .meta = &m.base, .answer = on_list}};
	int rc = ask_wait(cluster_core(s), &l.ask);
	bool more = rc == 0 && l.reply->more && l.reply->n_cameras;
	for (size_t i = 0; rc == 0 && i < l.reply->n_cameras; i++) {
		const Steppe__Wire__Camera *c = l.reply->cameras[i];
		if (strlen(c->id) > CAMERA_ID_MAX || !c->id[0] || strcmp(c->id, after) == 0)
			rc = ERR_FORMAT;
		else if (!show_camera(c, each, user)) {
			more = false;
			break;
		} else
			memcpy(after, c->id, strlen(c->id) + 1);
	}
	if (!more)
		after[0] = '\0';
	if (l.reply)
		steppe__wire__camera_list_reply__free_unpacked(l.reply, NULL);
	return rc;
}

int steppe_camera_list(
	struct steppe *s, bool (*each)(void *user, const struct steppe_camera *camera), void *user)
{
	char after[CAMERA_ID_MAX + 1] = "";
	int rc;
	unsigned pages = 0;
	do {
		rc = pages++ < LIST_PAGES_MAX ? list_page(s, after, each, user) : ERR_FORMAT;
	} while (rc == 0 && after[0]);
	return rc;
}

/* --- status --- */

struct status_get {
	struct ask ask;
	Steppe__Wire__StatusReply *reply;
};

static int on_status(struct ask *a, const struct frame *frame)
{
	struct status_get *g = container_of(a, struct status_get, ask);
	g->reply = unpack(frame, FRAME_STATUS_REPLY, &steppe__wire__status_reply__descriptor);
	return g->reply ? 1 : ERR_FORMAT;
}

static int show_status(const Steppe__Wire__StatusReply *m,
	void (*done)(void *user, const struct steppe_status *status), void *user)
{
	struct steppe_status status = {
		.node = m->node,
		.software = m->software,
		.store = m->store,
		.health = m->health,
		.now_us = m->now_us,
		.started_us = m->started_us,
		.connections = m->connections,
		.streams_open = m->streams_open,
		.bytes_in = m->bytes_in,
		.bytes_out = m->bytes_out,
		.stream_count = m->n_streams,
	};
	for (size_t i = 0; i < m->n_pools && i < ARRAY_LEN(status.pool_total); i++) {
		status.pool_total[i] = m->pools[i]->total_bytes;
		status.pool_used[i] = m->pools[i]->used_bytes;
		status.pools = (unsigned)i + 1;
	}
	struct steppe_stream_status *streams = calloc(m->n_streams + 1, sizeof(*streams));
	if (!streams)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_streams; i++) {
		const Steppe__Wire__StreamStatus *from = m->streams[i];
		streams[i] = (struct steppe_stream_status){
			.stream = from->stream,
			.recorder = from->recorder,
			.epoch = from->epoch,
			.bytes_per_second = from->bytes_per_second,
			.open_chunk_bytes = from->open_chunk_bytes,
			.recording = from->recording,
			.durable_until_us = from->durable_until_us,
		};
	}
	status.streams = streams;
	done(user, &status);
	free(streams);
	return 0;
}

int steppe_status(struct steppe *s, bool streams,
	void (*done)(void *user, const struct steppe_status *status), void *user)
{
	Steppe__Wire__Status m = STEPPE__WIRE__STATUS__INIT;
	m.streams = streams;
	struct status_get g = {.ask = {.type = FRAME_STATUS, .meta = &m.base, .answer = on_status}};
	int rc = ask_wait(cluster_core(s), &g.ask);
	if (rc == 0)
		rc = show_status(g.reply, done, user);
	if (g.reply)
		steppe__wire__status_reply__free_unpacked(g.reply, NULL);
	return rc;
}

/* --- checking --- */

struct fsck {
	struct ask ask;
	void (*finding)(void *user, const struct steppe_fsck_finding *finding);
	void *user;
	struct steppe_fsck_result result;
};

static int on_fsck_end(struct fsck *f, const struct frame *frame)
{
	Steppe__Wire__FsckEnd *m =
		unpack(frame, FRAME_FSCK_END, &steppe__wire__fsck_end__descriptor);
	if (!m)
		return ERR_FORMAT;
	f->result = (struct steppe_fsck_result){
		.chunks = m->chunks, .bytes = m->bytes, .findings = m->findings};
	steppe__wire__fsck_end__free_unpacked(m, NULL);
	return 1;
}

static int on_fsck(struct ask *a, const struct frame *frame)
{
	struct fsck *f = container_of(a, struct fsck, ask);
	if (frame->header.type == FRAME_FSCK_END)
		return on_fsck_end(f, frame);
	Steppe__Wire__FsckFinding *m =
		unpack(frame, FRAME_FSCK_FINDING, &steppe__wire__fsck_finding__descriptor);
	if (!m)
		return ERR_FORMAT;
	const struct steppe_fsck_finding finding = {.object = m->object,
		.what = m->what,
		.from_us = m->from_us,
		.to_us = m->to_us,
		.repaired = m->repaired};
	if (f->finding)
		f->finding(f->user, &finding);
	steppe__wire__fsck_finding__free_unpacked(m, NULL);
	return 0;
}

int steppe_fsck(struct steppe *s, const char *stream, int level, bool rebuild_index,
	void (*finding)(void *user, const struct steppe_fsck_finding *finding), void *user,
	struct steppe_fsck_result *ret_result)
{
	char camera[CAMERA_ID_MAX + 1];
	if (!stream || level < 0 || stream_name_split(stream, camera, NULL) < 0)
		return -EINVAL;
	Steppe__Wire__Fsck m = STEPPE__WIRE__FSCK__INIT;
	m.stream = (char *)stream;
	m.level = (uint32_t)level;
	m.rebuild_index = rebuild_index;
	struct fsck f = {.finding = finding, .user = user};
	f.ask = (struct ask){
		.type = FRAME_FSCK,
		.meta = &m.base,
		.camera = camera,
		.once = true,
		.patience_ns = FSCK_PATIENCE_NS,
		.answer = on_fsck,
	};
	int rc = ask_wait(cluster_core(s), &f.ask);
	if (rc == 0 && ret_result)
		*ret_result = f.result;
	return rc;
}
