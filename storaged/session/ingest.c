/* SPDX-License-Identifier: Apache-2.0 */
/* One stream being recorded over one connection.
 *
 *	LOOKUP --camera known--> TAKING --ready--> SETTLING --all durable--> RECORDING
 *	RECORDING --close--> CLOSING --all durable--> ended
 *	SETTLING, RECORDING, CLOSING --not ours any more--> MOVING --the writer has ended--> ended
 *	any state: refused, superseded, stopped, the channel gone --> ended
 *
 * A fragment is judged (header, checksum, credit), handed to the stream's writer, and acknowledged
 * when the writer says it is durable. */
#include "storaged/session/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"

#include "base/log.h"
#include "storaged/metrics.h"

#define CAMERA_MAX_AGE_NS (5 * NS_PER_SECOND)  /* how old an answer about a camera may be */
#define SILENCE_NS        (10 * NS_PER_SECOND) /* after which another recorder may take over */

static struct ingest *of_request(struct request *req)
{
	return container_of(req, struct ingest, request);
}

/* Frees the machine once nothing of it is under way. */
static void release(struct ingest *in)
{
	if (in->state != INGEST_ENDED || in->operating)
		return;
	list_remove(&in->node);
	buf_unref(&in->init);
	free(in);
}

/* Lets go of everything; what the lanes took still becomes durable. */
void ingest_end(struct ingest *in)
{
	if (in->state == INGEST_ENDED)
		return;
	in->state = INGEST_ENDED;
	loop_timer_stop(&in->ack_timer);
	request_detach(&in->request);
	for (size_t i = 0; i < LANES; i++) {
		struct ingest_lane *lane = &in->lanes[i];
		ingest_account(lane, 0);
		if (lane->open)
			writer_session_close(&lane->session, in->seal);
		lane->open = false;
	}
	if (in->taken) {
		metrics_gauge_add(METRIC_RECORDING, -1);
		log_info("recording ended stream=%s recorder=%s", in->stream, in->recorder);
		keeper_release(&in->take);
	}
	in->taken = false;
	if (in->admitted)
		admit_stream_end(in->service->config.admit);
	in->admitted = false;
	release(in);
}

void ingest_refuse(struct ingest *in, int refusal, uint32_t lane)
{
	request_refuse_lane(&in->request, refusal, lane);
	ingest_end(in);
}

static void on_taken(struct keeper_take *take)
{
	struct ingest *in = container_of(take, struct ingest, take);
	in->operating = false;
	if (!take->status) {
		in->taken = true;
		metrics_gauge_add(METRIC_RECORDING, 1);
	}
	if (in->state == INGEST_ENDED) {
		if (in->taken) {
			metrics_gauge_add(METRIC_RECORDING, -1);
			keeper_release(take);
		}
		in->taken = false;
		release(in);
		return;
	}
	uint32_t lane = 0;
	int refusal = take->status ? -take->status : ingest_open_lanes(in, &lane);
	if (refusal) {
		ingest_refuse(in, refusal, lane);
		return;
	}
	in->state = INGEST_SETTLING;
	if (in->service->config.moves)
		moves_check(in->service->config.moves, in->stream);
	ingest_settle(in);
}

static void on_over(struct keeper_take *take, int status)
{
	ingest_over(container_of(take, struct ingest, take), status);
}

static void take(struct ingest *in)
{
	in->state = INGEST_TAKING;
	in->operating = true;
	in->take.done = on_taken;
	in->take.over = on_over;
	in->take.create = true;
	in->take.confirm = true; /* what OPENED says comes from memory, and is final */
	keeper_take(in->service->config.keeper, &in->take, in->stream);
}

static void look_up(struct ingest *in, int64_t max_age_ns);

/* --- the catalogue knows which streams a camera ever had: retention finds them there --- */

static const char *profile_of(const struct ingest *in)
{
	return in->stream + strlen(in->camera) + 1;
}

static bool is_noted(const struct ingest *in, const Steppe__Wire__Camera *camera)
{
	for (size_t i = 0; i < camera->n_profiles; i++)
		if (strcmp(camera->profiles[i], profile_of(in)) == 0)
			return true;
	return false;
}

static void on_noted(struct catalog_put *note)
{
	struct ingest *in = container_of(note, struct ingest, note);
	in->operating = false;
	if (note->camera)
		steppe__wire__camera__free_unpacked(note->camera, NULL);
	note->camera = NULL;
	if (in->state == INGEST_ENDED)
		release(in);
	else if (!note->status)
		take(in);
	else if (note->status == ERR_GUARD)
		look_up(in, 0); /* somebody else wrote the camera meanwhile */
	else
		ingest_refuse(in, refusal_of_error(note->status), 0);
}

static void note(struct ingest *in, const Steppe__Wire__Camera *camera)
{
	char *profiles[CAMERA_PROFILES_MAX];
	Steppe__Wire__Camera with = *camera;
	with.n_profiles = 0;
	if (camera->n_profiles >= CAMERA_PROFILES_MAX) {
		ingest_refuse(in, REFUSAL_UNKNOWN_STREAM, 0);
		return;
	}
	for (; with.n_profiles < camera->n_profiles; with.n_profiles++)
		profiles[with.n_profiles] = camera->profiles[with.n_profiles];
	profiles[with.n_profiles++] = (char *)profile_of(in); /* packing does not write */
	with.profiles = profiles;
	in->operating = true;
	in->note = (struct catalog_put){.done = on_noted};
	catalog_put(in->service->config.catalog, &in->note, &with);
}

static void on_camera(struct catalog_get *lookup)
{
	struct ingest *in = container_of(lookup, struct ingest, lookup);
	Steppe__Wire__Camera *camera = lookup->camera;
	lookup->camera = NULL;
	in->operating = false;
	if (in->state == INGEST_ENDED)
		release(in);
	else if (!lookup->status && is_noted(in, camera))
		take(in);
	else if (!lookup->status && lookup->max_age_ns)
		look_up(in, 0); /* what is old is not written back */
	else if (!lookup->status)
		note(in, camera);
	else if (lookup->status == -ENOENT && lookup->max_age_ns)
		look_up(in, 0); /* it may have been registered a moment ago, through another loop or
				   daemon */
	else if (lookup->status == -ENOENT)
		ingest_refuse(in, REFUSAL_UNKNOWN_CAMERA, 0);
	else
		ingest_refuse(in, refusal_of_error(lookup->status), 0);
	if (camera)
		steppe__wire__camera__free_unpacked(camera, NULL);
}

static void look_up(struct ingest *in, int64_t max_age_ns)
{
	in->operating = true;
	in->lookup = (struct catalog_get){.done = on_camera, .max_age_ns = max_age_ns};
	catalog_get(in->service->config.catalog, &in->lookup, in->camera);
}

static void on_frame(struct request *req, const struct frame *frame)
{
	struct ingest *in = of_request(req);
	in->heard_at = loop_now(in->service->config.loop);
	uint32_t lane = 0;
	if (in->state == INGEST_MOVING) {
		/* what is on its way is sent again, elsewhere */
		in->closing |= frame->header.type == FRAME_CLOSE;
		return;
	}
	int refusal =
		in->state == INGEST_RECORDING ? ingest_frame(in, frame, &lane) : REFUSAL_PROTOCOL;
	if (refusal)
		ingest_refuse(in, refusal, lane);
}

static void on_gone(struct request *req)
{
	ingest_end(of_request(req));
}

static const struct request_ops ingest_ops = {.frame = on_frame, .gone = on_gone};

/* --- beginning
 * ---------------------------------------------------------------------------------------------------------------
 */

static struct ingest *find(struct service *s, const char *stream)
{
	list_each (node, &s->ingests) {
		struct ingest *in = list_entry(node, struct ingest, node);
		if (in->state != INGEST_ENDED && strcmp(in->stream, stream) == 0)
			return in;
	}
	return NULL;
}

/* Makes room for a new recording of the stream: the same recorder supersedes itself, another waits
 * for 10 s of silence. */
static bool displace(struct conn *conn, const struct frame *frame, const char *stream)
{
	struct service *s = conn->service;
	struct ingest *other = find(s, stream);
	if (!other)
		return true;
	int64_t silent_ns = loop_now(s->config.loop).ns - other->heard_at.ns;
	if (strcmp(other->recorder, conn->ch->identity.name) != 0 && silent_ns < SILENCE_NS) {
		conn_refuse(conn, frame->header.stream, REFUSAL_BUSY, "recorder %s is writing %s",
			other->recorder, stream);
		return false;
	}
	ingest_refuse(other, REFUSAL_SUPERSEDED, 0);
	return true;
}

static int judge_open(const Steppe__Wire__Open *open, const struct slice *init)
{
	bool seen[LANES] = {false};
	if (!open->n_lanes || open->n_lanes > LANES)
		return REFUSAL_PROTOCOL;
	for (size_t i = 0; i < open->n_lanes; i++) {
		const Steppe__Wire__LaneOpen *lane = open->lanes[i];
		if (lane->lane >= LANES || seen[lane->lane] || !lane->session || !lane->from_seq)
			return REFUSAL_PROTOCOL;
		seen[lane->lane] = true;
	}
	if (init->len > FRAGMENT_INIT_MAX)
		return REFUSAL_TOO_LARGE;
	return init->len ? 0 : REFUSAL_MALFORMED_MEDIA;
}

/* A machine for what `open` asks; NULL when memory is short. */
static struct ingest *ingest_new(
	struct conn *conn, const Steppe__Wire__Open *open, const struct slice *init)
{
	struct ingest *in = calloc(1, sizeof(*in));
	if (!in)
		return NULL;
	in->service = conn->service;
	list_init(&in->node);
	in->boot_nonce = open->boot_nonce;
	in->ack_timer.fire = ingest_on_ack_timer;
	in->heard_at = in->rate_since = loop_now(conn->service->config.loop);
	memcpy(in->stream, open->stream, strlen(open->stream) + 1);
	memcpy(in->recorder, conn->ch->identity.name, sizeof(in->recorder));
	(void)stream_name_split(in->stream, in->camera, NULL); /* judged before */
	for (size_t i = 0; i < LANES; i++)
		in->lanes[i] = (struct ingest_lane){.ingest = in, .lane = (uint8_t)i};
	for (size_t i = 0; i < open->n_lanes; i++) {
		struct ingest_lane *lane = &in->lanes[open->lanes[i]->lane];
		lane->wanted = true;
		lane->session.lane = lane->lane;
		lane->session.session = open->lanes[i]->session;
		lane->session.from_seq = open->lanes[i]->from_seq;
	}
	in->init = buf_copy(init->data, init->len);
	if (!in->init) {
		free(in);
		return NULL;
	}
	return in;
}

static void begin(struct conn *conn, const struct frame *frame, const Steppe__Wire__Open *open)
{
	struct service *s = conn->service;
	uint32_t stream = frame->header.stream;
	int refusal = judge_open(open, &frame->body);
	if (stream_name_split(open->stream, NULL, NULL))
		refusal = REFUSAL_NAME;
	else if (s->stopping)
		refusal = REFUSAL_STOPPING;
	if (refusal) {
		conn_refuse(conn, stream, refusal, NULL);
		return;
	}
	if (!displace(conn, frame, open->stream))
		return;
	if (!admit_stream(s->config.admit)) {
		conn_refuse(conn, stream, REFUSAL_STREAMS, NULL);
		return;
	}
	struct ingest *in = ingest_new(conn, open, &frame->body);
	if (!in || request_attach(&in->request, &ingest_ops, conn, stream)) {
		admit_stream_end(s->config.admit);
		conn_refuse(conn, stream, REFUSAL_OVERLOAD, NULL);
		if (in)
			buf_unref(&in->init);
		free(in);
		return;
	}
	in->admitted = true;
	list_append(&s->ingests, &in->node);
	if (s->config.any_camera) {
		take(in);
		return;
	}
	look_up(in, CAMERA_MAX_AGE_NS);
}

void ingest_begin(struct conn *conn, const struct frame *frame)
{
	Steppe__Wire__Open *open = conn_unpack(conn, frame, &steppe__wire__open__descriptor);
	if (!open)
		return;
	begin(conn, frame, open);
	steppe__wire__open__free_unpacked(open, NULL);
}

void ingest_stop_all(struct service *s)
{
	list_each_safe (node, &s->ingests) {
		struct ingest *in = list_entry(node, struct ingest, node);
		if (in->state != INGEST_ENDED)
			ingest_refuse(in, REFUSAL_STOPPING, 0);
	}
}

void service_each_recorder(struct service *s,
	void (*each)(
		void *user, const char *stream, const char *recorder, uint64_t bytes_per_second),
	void *user)
{
	list_each (node, &s->ingests) {
		struct ingest *in = list_entry(node, struct ingest, node);
		if (in->state == INGEST_RECORDING || in->state == INGEST_CLOSING)
			each(user, in->stream, in->recorder, in->bytes_per_second);
	}
}
