/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/tiny_daemon.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "client/clip_layout.h"
#include "proto/link.h"
#include "proto/pki.h"
#include "proto/refusal.h"
#include "tests/unit/client/made.h"

/* The chunk and its table, in one of two versions. */
struct chunk {
	struct buf *init, *bytes, *table;
};

struct tiny_daemon {
	char folder[64];
	struct loop_uv loop;
	pthread_t thread;
	struct tls_identity *identity;
	struct link_listener *listener;
	struct loop_task stop, listener_closed;
	struct list conns;
	struct tiny_script script;
	struct chunk chunks[2];
};

struct conn {
	struct list node;
	struct tiny_daemon *d;
	struct channel *ch;
	struct channel_user user;
};

/* --- the chunk --- */

static void make_chunk(struct chunk *c, unsigned first)
{
	struct chunk_table table = {0};
	struct item *item = made_item(first, 20000);
	struct bmff_init init;
	assert_int_equal(bmff_init_parse(item->init->data, item->init->len, &init), 0);
	chunk_table_init(&table, &init);
	c->init = buf_ref(item->init);
	c->bytes = buf_new(TINY_FRAGMENTS * 24000);
	memset(c->bytes->data, 0, c->bytes->len);
	item_free(&item);
	size_t at = 0;
	for (unsigned n = 0; n < TINY_FRAGMENTS; n++) {
		item = made_item(n, 20000 + first); /* other bytes when `first` is another */
		struct fragment_header *h = &item->header;
		h->session = 7;
		h->seq = n + 1;
		assert_int_equal(fragment_seal(h, item->body->data, true), 0);
		fragment_header_encode(h, c->bytes->data + at + CLIP_FRAG_HEADER);
		at += CLIP_FRAG_BOX;
		memcpy(c->bytes->data + at, item->body->data, item->body->len);
		struct bmff_run runs[FRAGMENT_TRACKS_MAX];
		struct bmff_sample samples[4];
		size_t count;
		assert_int_equal(bmff_fragment_parse(item->body->data, item->body->len, h->body_len,
					 runs, &count, samples, 4),
			0);
		assert_int_equal(chunk_table_add(&table, h, (uint32_t)at, runs, count), 0);
		at += item->body->len;
		item_free(&item);
	}
	c->bytes->len = at;
	assert_int_equal(chunk_table_encode(&table, &c->table), 0);
	chunk_table_fini(&table);
}

/* --- answers --- */

static void send_plain(struct conn *c, uint8_t type, uint32_t stream, const ProtobufCMessage *m)
{
	(void)channel_send(c->ch, type, stream, m, NULL, 0);
}

static void on_open(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__Open *open =
		steppe__wire__open__unpack(NULL, frame->header.meta_len, frame->meta);
	Steppe__Wire__Opened opened = STEPPE__WIRE__OPENED__INIT;
	Steppe__Wire__LaneOpened lanes[LANES], *pointers[LANES];
	for (size_t i = 0; i < open->n_lanes; i++) {
		steppe__wire__lane_opened__init(pointers[i] = &lanes[i]);
		lanes[i].lane = open->lanes[i]->lane;
		lanes[i].next_seq = 1;
		lanes[i].credit = 1 << 30;
	}
	opened.n_lanes = open->n_lanes;
	opened.lanes = pointers;
	send_plain(c, FRAME_OPENED, frame->header.stream, &opened.base);
	steppe__wire__open__free_unpacked(open, NULL);
}

static void on_append(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__Append *append =
		steppe__wire__append__unpack(NULL, frame->header.meta_len, frame->meta);
	struct fragment_header h;
	assert_int_equal(fragment_header_decode(append->header.data, append->header.len, &h), 0);
	steppe__wire__append__free_unpacked(append, NULL);
	atomic_fetch_add(&c->d->script.appended, 1);
	Steppe__Wire__Ack ack = STEPPE__WIRE__ACK__INIT;
	ack.lane = h.lane;
	ack.received = ack.durable = h.seq;
	ack.credit = 1 << 30;
	ack.durable_until_us = fragment_end(&h).us;
	send_plain(c, FRAME_ACK, frame->header.stream, &ack.base);
}

static void on_timeline(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__TimelineReply m = STEPPE__WIRE__TIMELINE_REPLY__INIT;
	Steppe__Wire__Span span = STEPPE__WIRE__SPAN__INIT, *spans[] = {&span};
	Steppe__Wire__GapSpan gap = STEPPE__WIRE__GAP_SPAN__INIT, *gaps[] = {&gap};
	span.start_us = MADE_START_US;
	span.end_us = MADE_START_US + TINY_FRAGMENTS * US_PER_SECOND;
	span.fragments = TINY_FRAGMENTS;
	gap.cause = 3;
	m.spans = spans;
	m.gaps = gaps;
	m.n_spans = m.n_gaps = 1;
	send_plain(c, FRAME_TIMELINE_REPLY, frame->header.stream, &m.base);
}

static void on_days(struct conn *c, const struct frame *frame)
{
	Steppe__Wire__DaysReply m = STEPPE__WIRE__DAYS_REPLY__INIT;
	Steppe__Wire__Day day = STEPPE__WIRE__DAY__INIT, *days[] = {&day};
	uint8_t quarters[192] = {3, 132};
	day.day = 20780;
	day.quarters = (ProtobufCBinaryData){.len = sizeof(quarters), .data = quarters};
	m.days = days;
	m.n_days = 1;
	send_plain(c, FRAME_DAYS_REPLY, frame->header.stream, &m.base);
}

static void on_snapshot(struct conn *c, const struct frame *frame)
{
	struct tiny_daemon *d = c->d;
	const struct chunk *chunk = &d->chunks[atomic_load(&d->script.other_footage)];
	Steppe__Wire__SnapshotChunk m = STEPPE__WIRE__SNAPSHOT_CHUNK__INIT;
	m.name = (char *)"chk/gate-7/main/0000000000000001.00000001.0000";
	m.epoch = 1;
	m.init_len = (uint32_t)chunk->init->len;
	struct slice body[] = {slice_of(chunk->init, 0, chunk->init->len),
		slice_of(chunk->table, 0, chunk->table->len)};
	(void)channel_send(c->ch, FRAME_SNAPSHOT_CHUNK, frame->header.stream, &m.base, body, 2);
	slice_drop(&body[0]);
	slice_drop(&body[1]);
	Steppe__Wire__SnapshotEnd end = STEPPE__WIRE__SNAPSHOT_END__INIT;
	uint8_t id[16] = {(uint8_t)(atomic_fetch_add(&d->script.snapshots, 1) + 1)};
	end.id = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
	end.chunks = 1;
	end.expires_us = MADE_START_US;
	send_plain(c, FRAME_SNAPSHOT_END, frame->header.stream, &end.base);
}

static void on_read(struct conn *c, const struct frame *frame)
{
	struct tiny_daemon *d = c->d;
	Steppe__Wire__Read *read =
		steppe__wire__read__unpack(NULL, frame->header.meta_len, frame->meta);
	const struct buf *bytes = d->chunks[0].bytes;
	bool unknown = read->snapshot.len == 0 ||
		       read->snapshot.data[0] > atomic_load(&d->script.snapshots);
	if (atomic_fetch_sub(&d->script.lost_snapshots, 1) > 0 || unknown) {
		(void)channel_refuse(c->ch, frame->header.stream, REFUSAL_SNAPSHOT, NULL, 0);
	} else {
		atomic_store(&d->script.lost_snapshots, 0);
		assert_true(read->offset + read->length <= bytes->len);
		struct buf *copy = buf_copy(bytes->data + read->offset, read->length);
		if (atomic_load(&d->script.damage))
			copy->data[copy->len / 2] ^= 1;
		struct slice body = slice_of(copy, 0, copy->len);
		buf_unref(&copy);
		Steppe__Wire__ReadReply m = STEPPE__WIRE__READ_REPLY__INIT;
		(void)channel_send(
			c->ch, FRAME_READ_REPLY, frame->header.stream, &m.base, &body, 1);
		slice_drop(&body);
	}
	steppe__wire__read__free_unpacked(read, NULL);
}

static void on_camera_list(struct conn *c, const struct frame *frame)
{
	/* pages of two of five cameras, in the order of their shards */
	static const char *const ids[] = {"d", "b", "e", "a", "c"};
	Steppe__Wire__CameraList *ask =
		steppe__wire__camera_list__unpack(NULL, frame->header.meta_len, frame->meta);
	Steppe__Wire__CameraListReply m = STEPPE__WIRE__CAMERA_LIST_REPLY__INIT;
	Steppe__Wire__Camera cameras[2], *pointers[2];
	size_t first = 0;
	while (ask->after[0] && first < 5 && strcmp(ids[first++], ask->after) != 0)
		;
	for (size_t i = first; i < 5 && m.n_cameras < 2; i++) {
		steppe__wire__camera__init(pointers[m.n_cameras] = &cameras[m.n_cameras]);
		cameras[m.n_cameras++].id = (char *)ids[i];
	}
	m.cameras = pointers;
	m.more = first + 2 < 5;
	send_plain(c, FRAME_CAMERA_LIST_REPLY, frame->header.stream, &m.base);
	steppe__wire__camera_list__free_unpacked(ask, NULL);
}

static void on_simple(struct conn *c, const struct frame *frame)
{
	uint32_t stream = frame->header.stream;
	Steppe__Wire__Closed closed = STEPPE__WIRE__CLOSED__INIT;
	Steppe__Wire__CameraPutReply put = STEPPE__WIRE__CAMERA_PUT_REPLY__INIT;
	Steppe__Wire__CameraRemoved removed = STEPPE__WIRE__CAMERA_REMOVED__INIT;
	Steppe__Wire__Camera camera = STEPPE__WIRE__CAMERA__INIT;
	Steppe__Wire__CameraReply got = STEPPE__WIRE__CAMERA_REPLY__INIT;
	Steppe__Wire__StatusReply status = STEPPE__WIRE__STATUS_REPLY__INIT;
	Steppe__Wire__FsckFinding finding = STEPPE__WIRE__FSCK_FINDING__INIT;
	Steppe__Wire__FsckEnd end = STEPPE__WIRE__FSCK_END__INIT;
	switch (frame->header.type) {
	case FRAME_CLOSE:
		send_plain(c, FRAME_CLOSED, stream, &closed.base);
		break;
	case FRAME_CAMERA_PUT:
		send_plain(c, FRAME_CAMERA_PUT_REPLY, stream, &put.base);
		break;
	case FRAME_CAMERA_REMOVE:
		send_plain(c, FRAME_CAMERA_REMOVED, stream, &removed.base);
		break;
	case FRAME_CAMERA_GET:
		camera.id = (char *)"gate-7";
		got.camera = &camera;
		send_plain(c, FRAME_CAMERA_REPLY, stream, &got.base);
		break;
	case FRAME_STATUS:
		status.node = (char *)"node1";
		send_plain(c, FRAME_STATUS_REPLY, stream, &status.base);
		break;
	case FRAME_FSCK:
		finding.what = (char *)"odd";
		send_plain(c, FRAME_FSCK_FINDING, stream, &finding.base);
		end.findings = 1;
		send_plain(c, FRAME_FSCK_END, stream, &end.base);
		break;
	case FRAME_MAP:
		(void)channel_refuse(c->ch, stream, REFUSAL_PROTOCOL, NULL, 0);
		break;
	default:
		break;
	}
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct conn *c = container_of(user, struct conn, user);
	struct tiny_script *s = &c->d->script;
	int refuse = atomic_load(&s->refuse);
	uint8_t type = frame->header.type;
	if (atomic_load(&s->mute))
		return;
	if (refuse && type != FRAME_STOP) {
		(void)channel_refuse(ch, frame->header.stream, refuse, "because", 0);
		return;
	}
	switch (type) {
	case FRAME_OPEN:
		on_open(c, frame);
		break;
	case FRAME_APPEND:
		on_append(c, frame);
		break;
	case FRAME_TIMELINE:
		on_timeline(c, frame);
		break;
	case FRAME_DAYS:
		on_days(c, frame);
		break;
	case FRAME_SNAPSHOT:
		on_snapshot(c, frame);
		break;
	case FRAME_READ:
		on_read(c, frame);
		break;
	case FRAME_CAMERA_LIST:
		on_camera_list(c, frame);
		break;
	default:
		on_simple(c, frame);
	}
}

/* --- life --- */

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)user;
	(void)peer;
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	(void)ch;
	(void)user;
}

static void stop_if_idle(struct tiny_daemon *d)
{
	if (!d->listener && list_empty(&d->conns))
		loop_uv_stop(&d->loop);
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	struct conn *c = container_of(user, struct conn, user);
	struct tiny_daemon *d = c->d;
	(void)ch;
	(void)status;
	(void)words;
	list_remove(&c->node);
	free(c);
	stop_if_idle(d);
}

static struct channel_user *on_accepted(struct link_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	struct conn *c = calloc(1, sizeof(*c));
	CHECK(c);
	c->d = owner;
	c->ch = ch;
	c->user = (struct channel_user){
		.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed};
	list_append(&c->d->conns, &c->node);
	return &c->user;
}

static void on_failed(struct link_listener *l, void *owner, const char *peer, const char *words)
{
	(void)l;
	(void)owner;
	(void)peer;
	(void)words;
}

static void *run(void *arg)
{
	loop_uv_run(&((struct tiny_daemon *)arg)->loop);
	return NULL;
}

static void make_certificates(struct tiny_daemon *d)
{
	char why[200], foreign[100];
	const struct pki_issue node = {.name = "node1", .roles = ROLE_NODE};
	const struct pki_issue good = {
		.name = "good", .roles = ROLE_RECORDER | ROLE_INVESTIGATOR | ROLE_ADMIN};
	assert_int_equal(pki_init(d->folder, "tiny", why, sizeof(why)), 0);
	assert_int_equal(pki_issue(d->folder, &node, why, sizeof(why)), 0);
	assert_int_equal(pki_issue(d->folder, &good, why, sizeof(why)), 0);
	snprintf(foreign, sizeof(foreign), "%s/foreign", d->folder);
	assert_int_equal(pki_init(foreign, "other", why, sizeof(why)), 0);
	assert_int_equal(pki_issue(foreign, &good, why, sizeof(why)), 0);
}

static struct tiny_daemon *start(const char *folder)
{
	struct tiny_daemon *d = calloc(1, sizeof(*d));
	char why[200], ca[100], cert[100], key[100];
	strcpy(d->folder, "/tmp/steppe-tiny-XXXXXX");
	assert_non_null(mkdtemp(d->folder));
	if (!folder) {
		make_certificates(d);
		folder = d->folder;
	}
	make_chunk(&d->chunks[0], 0);
	make_chunk(&d->chunks[1], 2);
	list_init(&d->conns);
	assert_int_equal(loop_uv_init(&d->loop), 0);
	snprintf(ca, sizeof(ca), "%s/ca.crt", folder);
	snprintf(cert, sizeof(cert), "%s/node1.crt", folder);
	snprintf(key, sizeof(key), "%s/node1.key", folder);
	const struct tls_files files = {.ca = ca, .cert = cert, .key = key};
	assert_int_equal(tls_identity_load(&files, &d->identity, why, sizeof(why)), 0);
	const struct link_listener_config config = {
		.id = d->identity,
		.hello = {.software = "tiny", .node = "node1"},
		.accepted = on_accepted,
		.failed = on_failed,
		.owner = d,
	};
	assert_int_equal(
		link_listen(&d->loop, "127.0.0.1:0", &config, &d->listener, why, sizeof(why)), 0);
	assert_int_equal(pthread_create(&d->thread, NULL, run, d), 0);
	return d;
}

struct tiny_daemon *tiny_start(void)
{
	return start(NULL);
}

struct tiny_daemon *tiny_start_second(const struct tiny_daemon *first)
{
	return start(first->folder);
}

static void on_listener_closed(struct loop_task *task)
{
	struct tiny_daemon *d = container_of(task, struct tiny_daemon, listener_closed);
	list_each (node, &d->conns)
		channel_close(list_entry(node, struct conn, node)->ch);
	stop_if_idle(d);
}

static void on_stop(struct loop_task *task)
{
	struct tiny_daemon *d = container_of(task, struct tiny_daemon, stop);
	d->listener_closed.run = on_listener_closed;
	link_listener_free(&d->listener, &d->listener_closed);
}

void tiny_stop(struct tiny_daemon **slot)
{
	struct tiny_daemon *d = *slot;
	char command[128];
	*slot = NULL;
	d->stop.run = on_stop;
	loop_post(&d->loop.loop, &d->stop);
	pthread_join(d->thread, NULL);
	loop_uv_fini(&d->loop);
	tls_identity_unref(&d->identity);
	for (size_t i = 0; i < 2; i++) {
		buf_unref(&d->chunks[i].init);
		buf_unref(&d->chunks[i].bytes);
		buf_unref(&d->chunks[i].table);
	}
	snprintf(command, sizeof(command), "rm -rf %s", d->folder);
	assert_int_equal(system(command), 0);
	free(d);
}

const char *tiny_address(const struct tiny_daemon *d)
{
	return link_listener_address(d->listener);
}

const char *tiny_file(const struct tiny_daemon *d, const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", d->folder, name);
	return path;
}

struct tiny_script *tiny_script(struct tiny_daemon *d)
{
	return &d->script;
}
