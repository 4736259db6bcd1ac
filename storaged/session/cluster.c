/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's map for whoever asks, and an admin's words about a node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "proto/cluster_draft.h"
#include "storaged/session/machines.h"

/* Answers from memory, at once: it is also how others see that this daemon lives. */
static void answer_map(struct conn *conn, uint32_t stream, uint64_t have_epoch)
{
	const struct service_config *c = &conn->service->config;
	const struct cluster_map *map = c->moves ? moves_map(c->moves) : NULL;
	struct cluster_draft draft = {0};
	int rc = cluster_draft_init(&draft, map, 0);
	if (rc) {
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		return;
	}
	if (map && map->epoch <= have_epoch) { /* the number alone: there is nothing new */
		draft.message.n_nodes = 0;
		draft.message.n_displaced_cameras = draft.message.n_displaced_nodes = 0;
	}
	Steppe__Wire__MapReply reply = STEPPE__WIRE__MAP_REPLY__INIT;
	reply.map = &draft.message;
	reply.self = (char *)(uintptr_t)c->node; /* packing does not write */
	if (channel_send(conn->ch, FRAME_MAP_REPLY, stream, &reply.base, NULL, 0) == -ENOMEM)
		channel_close(conn->ch);
	cluster_draft_fini(&draft);
	if (map && have_epoch > map->epoch)
		c->cluster.heard(c->owner, have_epoch);
}

/* --- what the loop of the cluster's rooms answers --- */

struct asking {
	struct request request;
	struct admin_cluster ask;
};

static void on_frame(struct request *req, const struct frame *frame)
{
	(void)req;
	(void)frame; /* a question and its answer */
}

static void on_gone(struct request *req)
{
	(void)req; /* the answer comes all the same, and is dropped */
}

static const struct request_ops asking_ops = {.frame = on_frame, .gone = on_gone};

static int refusal_of_set(int status)
{
	return status == -ENOENT || status == -EBUSY ? REFUSAL_NODE : refusal_of_error(status);
}

static const char *words_of_set(int status)
{
	return status == -ENOENT   ? "there is no such node in the cluster"
	       : status == -EBUSY  ? "the node is alive; stop its daemon first"
	       : status == -EINVAL ? "a state is 1 (in), 2 (draining) or 3 (out), a weight at most "
				     "1000000"
				   : err_text(status);
}

static void on_answer(struct admin_cluster *req)
{
	struct asking *a = container_of(req, struct asking, ask);
	struct conn *conn = a->request.conn;
	int status = req->status;
	if (conn && status == -EINVAL)
		request_refuse(&a->request, REFUSAL_PROTOCOL, 0, "%s", words_of_set(status));
	else if (conn && status)
		request_refuse(&a->request, refusal_of_set(status), 0, "%s", words_of_set(status));
	else if (conn && channel_send_packed(conn->ch, FRAME_MAP_REPLY, a->request.stream,
				 req->reply->data, req->reply->len, NULL, 0) == -ENOMEM)
		channel_close(conn->ch);
	buf_unref(&req->reply);
	request_detach(&a->request);
	free(a);
}

static void ask(struct conn *conn, uint32_t stream, const struct admin_cluster *what)
{
	const struct service_config *c = &conn->service->config;
	struct asking *a = calloc(1, sizeof(*a));
	if (!a || request_attach(&a->request, &asking_ops, conn, stream)) {
		free(a);
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		return;
	}
	a->ask = *what;
	a->ask.done = on_answer;
	a->ask.loop = c->loop;
	c->cluster.ask(c->owner, &a->ask);
}

void cluster_map_begin(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Map *m = conn_unpack(conn, frame, &steppe__wire__map__descriptor);
	if (!m)
		return;
	/* what heartbeats tell of is not everybody's business */
	if (m->beats && conn->ch->identity.roles & ROLE_ADMIN && conn->service->config.cluster.ask)
		ask(conn, frame->header.stream, &(struct admin_cluster){.beats = true});
	else
		answer_map(conn, frame->header.stream, m->have_epoch);
	steppe__wire__map__free_unpacked(m, NULL);
}

void cluster_node_set(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__NodeSet *m = conn_unpack(conn, frame, &steppe__wire__node_set__descriptor);
	if (!m)
		return;
	uint32_t stream = frame->header.stream;
	if (!camera_id_is_valid(m->id) || m->state > PLACEMENT_OUT ||
		!conn->service->config.cluster.ask) {
		conn_refuse(conn, stream, REFUSAL_PROTOCOL, "%s",
			camera_id_is_valid(m->id) ? words_of_set(-EINVAL)
						  : "not a valid id of a node");
	} else {
		audit(conn, "node-set", "node=%s state=%u weight=%u remove=%d", m->id, m->state,
			m->weight, m->remove);
		struct admin_cluster what = {.beats = m->beats,
			.set = true,
			.state = (uint8_t)m->state,
			.weight = m->weight,
			.remove = m->remove};
		strcpy(what.id, m->id);
		ask(conn, stream, &what);
	}
	steppe__wire__node_set__free_unpacked(m, NULL);
}
