/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/session/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE (60 * NS_PER_SECOND)

/* --- the daemon
 * ---------------------------------------------------------------------------------------------------------------
 */

static struct channel_user *on_accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	struct desk *d = owner;
	return d->services[0] ? service_accept(d->services[0], ch) : NULL;
}

static struct channel_user *on_accepted_second(
	struct model_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	struct desk *d = owner;
	return d->services[1] ? service_accept(d->services[1], ch) : NULL;
}

static void on_heard(void *owner, uint64_t epoch)
{
	((struct desk *)owner)->heard = epoch;
}

static void start_loop(struct desk *d, unsigned index)
{
	struct desk_loop *l = &d->loops[index];
	snprintf(l->node, sizeof(l->node), "node%u", d->cluster ? index + 1 : 1);
	struct keeper_config keeper = {.loop = &l->loop.loop,
		.store = l->store,
		.node = l->node,
		.boot_nonce = 77 + (d->cluster ? index : 0),
		.limits = cutter_defaults};
	struct reader_config reader = {.loop = &l->loop.loop, .store = l->store};
	assert_int_equal(keeper_new(&keeper, &l->keeper), 0);
	assert_int_equal(reader_new(&reader, &l->reader), 0);
	assert_int_equal(catalog_new(&l->loop.loop, l->store, &l->catalog), 0);
	struct moves_config moves = {.loop = &l->loop.loop, .keeper = l->keeper, .node = l->node};
	if (d->cluster)
		assert_int_equal(moves_new(&moves, &l->moves), 0);
	struct service_config service = {
		.loop = &l->loop.loop,
		.store = l->store,
		.keeper = l->keeper,
		.reader = l->reader,
		.catalog = l->catalog,
		.admit = &d->admit,
		.node = l->node,
		.moves = l->moves,
		.cluster = {.heard = on_heard},
		.owner = d,
		.loop_index = (uint8_t)(d->cluster ? 0 : index),
		.peer_count = d->cluster ? 0 : d->loop_count,
		.peers = d->cluster ? NULL : d->services,
		.peer_loops = d->cluster ? NULL : d->loop_of,
	};
	assert_int_equal(service_new(&service, &d->services[index]), 0);
}

static void start(struct desk *d, const struct store_model_options *options)
{
	static const struct model_party party = {
		.name = "node1", .roles = ROLE_NODE, .node = "node1", .boot_nonce = 77};
	unsigned loops = d->loop_count;
	sim_world_init(&d->world, 42);
	d->world.wall.us = INT64_C(1790000000) * US_PER_SECOND;
	d->model = store_model_new(&d->world, options ? options : &(struct store_model_options){0});
	d->net = model_net_new();
	assert_non_null(d->net);
	admit_init(&d->admit, &admit_defaults);
	for (unsigned i = 0; i < loops; i++) {
		sim_loop_init(&d->loops[i].loop, &d->world);
		d->loop_of[i] = &d->loops[i].loop.loop;
		d->loops[i].store = store_new(d->model, d->loop_of[i]);
		assert_non_null(d->loops[i].store);
	}
	for (unsigned i = 0; i < loops; i++)
		start_loop(d, i);
	sim_loop_init(&d->people, &d->world);
	d->listener = model_listen(d->net, d->loop_of[0], "node1:1", &party, on_accepted);
	assert_non_null(d->listener);
	model_listener_set_owner(d->listener, d);
}

void desk_start(struct desk *d, unsigned loops, const struct store_model_options *options)
{
	*d = (struct desk){.loop_count = loops};
	start(d, options);
}

void desk_start_cluster(struct desk *d, const struct store_model_options *options)
{
	static const struct model_party second = {
		.name = "node2", .roles = ROLE_NODE, .node = "node2", .boot_nonce = 78};
	*d = (struct desk){.loop_count = 2, .cluster = true};
	start(d, options);
	d->loops[1].listener =
		model_listen(d->net, d->loop_of[1], "node2:1", &second, on_accepted_second);
	assert_non_null(d->loops[1].listener);
	model_listener_set_owner(d->loops[1].listener, d);
}

void desk_map(struct desk *d, uint64_t epoch, unsigned alive, unsigned told)
{
	Steppe__Wire__ClusterMap message = STEPPE__WIRE__CLUSTER_MAP__INIT;
	Steppe__Wire__MapNode nodes[2], *list[2];
	char addresses[2][16], *pointers[2];
	for (unsigned i = 0; i < 2; i++) {
		steppe__wire__map_node__init(list[i] = &nodes[i]);
		snprintf(addresses[i], sizeof(addresses[i]), "%s:1", d->loops[i].node);
		pointers[i] = addresses[i];
		nodes[i].id = d->loops[i].node;
		nodes[i].addresses = &pointers[i];
		nodes[i].n_addresses = 1;
		nodes[i].weight = PLACEMENT_WEIGHT_ONE;
		nodes[i].state = PLACEMENT_IN;
		nodes[i].alive = alive >> i & 1;
	}
	message.epoch = epoch;
	message.nodes = list;
	message.n_nodes = 2;
	const struct cluster_map *map;
	assert_int_equal(cluster_map_new(&message, &map), 0);
	for (unsigned i = 0; i < 2; i++)
		if (told >> i & 1)
			moves_set_map(d->loops[i].moves, map);
	cluster_map_unref(&map);
}

static void on_closed_part(struct loop_task *task)
{
	container_of(task, struct desk_loop, closed)->ended = true;
}

static bool has_ended(void *user)
{
	return ((struct desk_loop *)user)->ended;
}

static void wait_end(struct desk *d, struct desk_loop *l)
{
	assert_true(sim_run_until(&d->world, has_ended, l, 10 * MINUTE));
	l->ended = false;
}

static bool no_connections(void *user)
{
	struct desk *d = user;
	unsigned count = 0;
	for (unsigned i = 0; i < d->loop_count; i++)
		count += service_connections(d->services[i]);
	return count == 0;
}

void desk_stop(struct desk *d)
{
	model_listener_free(&d->listener);
	model_listener_free(&d->loops[1].listener);
	for (unsigned i = 0; i < d->loop_count; i++) {
		service_stop_recording(d->services[i]);
		service_close_channels(d->services[i]);
	}
	assert_true(sim_run_until(&d->world, no_connections, d, MINUTE));
	for (unsigned i = 0; i < d->loop_count; i++) {
		struct desk_loop *l = &d->loops[i];
		l->closed.run = on_closed_part;
		keeper_free(&l->keeper, MINUTE, &l->closed);
		wait_end(d, l);
		moves_free(&l->moves);
		reader_free(&l->reader, &l->closed);
		wait_end(d, l);
		catalog_free(&l->catalog, &l->closed);
		wait_end(d, l);
		service_free(&d->services[i]);
		store_free(&l->store, &l->closed);
		if (d->stuck)
			store_model_release(d->model);
		wait_end(d, l);
	}
	sim_run_for(&d->world, MINUTE);
	for (unsigned i = 0; i < d->loop_count; i++)
		sim_loop_fini(&d->loops[i].loop);
	model_net_free(&d->net);
	sim_loop_fini(&d->people);
	store_backend_close(&d->model);
	sim_world_fini(&d->world);
}

/* --- people
 * -------------------------------------------------------------------------------------------------------------------
 */

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)peer;
	container_of(user, struct person, user)->ready = true;
}

static void *copy_of(const void *from, size_t len)
{
	void *copy = malloc(len + 1);
	assert_non_null(copy);
	if (len)
		memcpy(copy, from, len);
	return copy;
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)ch;
	struct person *p = container_of(user, struct person, user);
	struct note *n = malloc(sizeof(*n));
	assert_non_null(n);
	*n = (struct note){.header = frame->header,
		.meta = copy_of(frame->meta, frame->header.meta_len),
		.body = copy_of(frame->body.data, frame->body.len)};
	list_append(&p->notes, &n->node);
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	(void)ch;
	(void)user;
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)status;
	(void)words;
	struct person *p = container_of(user, struct person, user);
	p->closed = true;
	p->ch = NULL;
}

static bool is_ready(void *user)
{
	struct person *p = user;
	return p->ready || p->closed;
}

static bool is_closed(void *user)
{
	return ((struct person *)user)->closed;
}

void person_dial(struct person *p, struct desk *d, const char *name, unsigned roles)
{
	person_dial_node(p, d, name, roles, 0);
}

void person_dial_node(
	struct person *p, struct desk *d, const char *name, unsigned roles, unsigned node)
{
	struct model_party party = {.name = name, .roles = roles, .boot_nonce = 5};
	*p = (struct person){.user = {on_ready, on_frame, on_drained, on_closed}, .desk = d};
	list_init(&p->notes);
	p->ch = model_dial(d->net, &d->people.loop, node ? "node2:1" : "node1:1", &party, &p->user);
	assert_non_null(p->ch);
	assert_true(sim_run_until(&d->world, is_ready, p, MINUTE));
	assert_true(p->ready);
}

void note_free(struct note *n)
{
	free(n->meta);
	free(n->body);
	free(n);
}

void person_leave(struct person *p)
{
	if (p->ch)
		channel_close(p->ch);
	assert_true(sim_run_until(&p->desk->world, is_closed, p, MINUTE));
	for (struct list *node; (node = list_pop(&p->notes));)
		note_free(list_entry(node, struct note, node));
}

uint32_t person_send(struct person *p, uint8_t type, uint32_t stream, const ProtobufCMessage *meta,
	struct buf *body)
{
	struct slice slice = {0};
	if (!stream)
		stream = ++p->stream;
	if (body)
		slice = slice_of(body, 0, body->len);
	assert_int_equal(channel_send(p->ch, type, stream, meta, &slice, body ? 1 : 0), 0);
	slice_drop(&slice);
	return stream;
}

struct waiting {
	struct person *p;
	uint32_t stream;
	struct note *found;
};

static bool has_come(void *user)
{
	struct waiting *w = user;
	list_each (node, &w->p->notes) {
		struct note *n = list_entry(node, struct note, node);
		if (n->header.stream == w->stream) {
			w->found = n;
			return true;
		}
	}
	return false;
}

struct note *person_hear(struct person *p, uint32_t stream)
{
	struct waiting w = {.p = p, .stream = stream};
	if (!has_come(&w))
		sim_run_until(&p->desk->world, has_come, &w, MINUTE);
	if (w.found)
		list_remove(&w.found->node);
	return w.found;
}

void *person_expect(struct person *p, uint32_t stream, uint8_t type,
	const ProtobufCMessageDescriptor *descriptor)
{
	struct note *n = person_hear(p, stream);
	assert_non_null(n);
	if (n->header.type == FRAME_REFUSED && type != FRAME_REFUSED) {
		Steppe__Wire__Refused *r =
			steppe__wire__refused__unpack(NULL, n->header.meta_len, n->meta);
		fail_msg("refused: %u %s", r->code, r->reason);
	}
	assert_int_equal(n->header.type, type);
	void *meta = protobuf_c_message_unpack(descriptor, NULL, n->header.meta_len, n->meta);
	assert_non_null(meta);
	note_free(n);
	return meta;
}

void person_expect_refusal(struct person *p, uint32_t stream, int refusal)
{
	Steppe__Wire__Refused *r =
		person_expect(p, stream, FRAME_REFUSED, &steppe__wire__refused__descriptor);
	assert_int_equal(r->code, refusal);
	assert_true(strlen(r->reason) > 0);
	assert_true(!refusal_retry(refusal) || r->retry_after_ms > 0);
	steppe__wire__refused__free_unpacked(r, NULL);
}

/* --- the usual
 * ----------------------------------------------------------------------------------------------------------------
 */

void desk_camera(struct desk *d, const char *id)
{
	struct person admin;
	Steppe__Wire__Camera camera = STEPPE__WIRE__CAMERA__INIT;
	Steppe__Wire__CameraPut put = STEPPE__WIRE__CAMERA_PUT__INIT;
	camera.id = (char *)(uintptr_t)id;
	put.camera = &camera;
	person_dial(&admin, d, "root", ROLE_ADMIN);
	uint32_t stream = person_send(&admin, FRAME_CAMERA_PUT, 0, &put.base, NULL);
	Steppe__Wire__CameraPutReply *reply = person_expect(&admin, stream, FRAME_CAMERA_PUT_REPLY,
		&steppe__wire__camera_put_reply__descriptor);
	assert_string_equal(reply->camera->id, id);
	steppe__wire__camera_put_reply__free_unpacked(reply, NULL);
	person_leave(&admin);
}

uint32_t person_open(struct person *p, const struct footage *f)
{
	Steppe__Wire__LaneOpen lane = STEPPE__WIRE__LANE_OPEN__INIT, *lanes[] = {&lane};
	Steppe__Wire__Open open = STEPPE__WIRE__OPEN__INIT;
	lane.lane = f->lane;
	lane.session = f->session;
	lane.from_seq = 1;
	open.stream = (char *)(uintptr_t)f->stream;
	open.boot_nonce = 5;
	open.n_lanes = 1;
	open.lanes = lanes;
	struct buf *init = footage_init(f);
	uint32_t stream = person_send(p, FRAME_OPEN, 0, &open.base, init);
	buf_unref(&init);
	return stream;
}

void person_append(struct person *p, uint32_t stream, struct footage *f)
{
	struct fragment_header h;
	uint8_t header[FRAGMENT_HEADER_SIZE];
	struct buf *body = footage_fragment(f, &h);
	fragment_header_encode(&h, header);
	Steppe__Wire__Append append = STEPPE__WIRE__APPEND__INIT;
	append.header = (ProtobufCBinaryData){.data = header, .len = sizeof(header)};
	person_send(p, FRAME_APPEND, stream, &append.base, body);
	buf_unref(&body);
}

uint32_t person_record(struct person *p, struct footage *f, unsigned count)
{
	uint32_t stream = person_open(p, f);
	Steppe__Wire__Opened *opened =
		person_expect(p, stream, FRAME_OPENED, &steppe__wire__opened__descriptor);
	uint64_t durable = opened->lanes[0]->next_seq - 1;
	assert_int_equal(durable, f->seq);
	assert_true(opened->lanes[0]->credit >= FRAGMENT_BODY_MAX);
	steppe__wire__opened__free_unpacked(opened, NULL);
	for (unsigned i = 0; i < count; i++)
		person_append(p, stream, f);
	while (durable < f->seq) {
		Steppe__Wire__Ack *ack =
			person_expect(p, stream, FRAME_ACK, &steppe__wire__ack__descriptor);
		assert_true(ack->durable >= durable && ack->durable <= ack->received &&
			    ack->received <= f->seq);
		durable = ack->durable;
		steppe__wire__ack__free_unpacked(ack, NULL);
	}
	return stream;
}
