/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/channel_model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/lib/sim_loop.h"

/* What one user saw. */
struct seen {
	struct channel_user user;
	struct channel *ch;
	unsigned ready, frames, drained, closed;
	int status;
	size_t bytes;
	uint8_t last_type;
	uint32_t last_stream;
	char peer_node[64];
	bool inside; /* a call on the channel is running: no event may come */
	bool pause_on_frame, close_on_frame;
};

static struct seen *seen_of(struct channel_user *user)
{
	return container_of(user, struct seen, user);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_ptr_equal(ch, s->ch);
	s->ready++;
	snprintf(s->peer_node, sizeof(s->peer_node), "%s", peer->node);
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_int_equal(s->ready, 1);
	assert_int_equal(s->closed, 0);
	s->frames++;
	s->bytes += frame->body.len;
	s->last_type = frame->header.type;
	s->last_stream = frame->header.stream;
	for (size_t i = 0; i < frame->body.len; i++)
		assert_int_equal(frame->body.data[i], (uint8_t)i);
	if (s->pause_on_frame)
		channel_pause(ch, true);
	if (s->close_on_frame)
		channel_close(ch);
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_false(channel_is_full(ch));
	s->drained++;
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_non_null(words);
	s->closed++;
	s->status = status;
	s->ch = NULL;
}

static const struct channel_user events = {
	.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed};

struct fixture {
	struct sim_world world;
	struct sim_loop near, far;
	struct model_net *net;
	struct model_listener *listener;
	struct seen a, b; /* who dials, who accepts */
	struct model_party recorder, node;
	bool refuse;
};

static struct channel_user *on_accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	struct fixture *f = owner;
	if (f->refuse)
		return NULL;
	f->b.ch = ch;
	return &f->b.user;
}

static int set_up(void **state)
{
	static struct fixture f;
	f = (struct fixture){.a.user = events,
		.b.user = events,
		.recorder = {.name = "rec-7", .roles = ROLE_RECORDER},
		.node = {.name = "node1", .roles = ROLE_NODE, .node = "node1"}};
	sim_world_init(&f.world, 7);
	sim_loop_init(&f.near, &f.world);
	sim_loop_init(&f.far, &f.world);
	f.net = model_net_new();
	f.listener = model_listen(f.net, &f.far.loop, "node1:1", &f.node, on_accepted);
	model_listener_set_owner(f.listener, &f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	model_listener_free(&f->listener);
	model_net_free(&f->net);
	sim_loop_fini(&f->near);
	sim_loop_fini(&f->far);
	sim_world_fini(&f->world);
	return 0;
}

static void dial(struct fixture *f)
{
	f->a.ch = model_dial(f->net, &f->near.loop, "node1:1", &f->recorder, &f->a.user);
	assert_non_null(f->a.ch);
}

static void connect_both(struct fixture *f)
{
	dial(f);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.ready, 1);
	assert_int_equal(f->b.ready, 1);
}

static struct slice pattern(size_t len)
{
	struct buf *b = buf_new(len);
	for (size_t i = 0; i < len; i++)
		b->data[i] = (uint8_t)i;
	return (struct slice){.buf = b, .data = b->data, .len = len};
}

static int send_body(struct seen *s, size_t len)
{
	Steppe__Wire__Ping meta = STEPPE__WIRE__PING__INIT;
	struct slice body = pattern(len);
	s->inside = true;
	int rc = channel_send(s->ch, FRAME_APPEND, 5, &meta.base, &body, 1);
	s->inside = false;
	slice_drop(&body);
	return rc;
}

static void test_greeting(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	assert_string_equal(f->a.peer_node, "node1");
	assert_string_equal(f->b.peer_node, "");
	assert_string_equal(f->a.ch->identity.name, "node1");
	assert_int_equal(f->a.ch->identity.roles, ROLE_NODE);
	assert_string_equal(f->a.ch->identity.address, "node1:1");
	assert_string_equal(f->b.ch->identity.name, "rec-7");
	assert_int_equal(model_net_counts(f->net).channels, 2);
}

static void test_frames(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_body(&f->a, 1000), 0);
	assert_int_equal(f->b.frames, 0);
	sim_run_for(&f->world, 2 * NS_PER_MS);
	assert_int_equal(f->b.frames, 100);
	assert_int_equal(f->b.bytes, 100000);
	assert_int_equal(f->b.last_type, FRAME_APPEND);
	assert_int_equal(f->b.last_stream, 5);
	assert_int_equal(f->a.ch->queued_bytes, 0);
	/* several slices arrive as one */
	struct slice whole = pattern(300), parts[2];
	parts[0] = slice_of(whole.buf, 0, 100);
	parts[1] = slice_of(whole.buf, 100, 200);
	assert_int_equal(channel_send(f->b.ch, FRAME_FRAGMENT, 1, NULL, parts, 2), 0);
	sim_run_for(&f->world, 2 * NS_PER_MS);
	assert_int_equal(f->a.bytes, 300);
	slice_drop(&parts[0]);
	slice_drop(&parts[1]);
	slice_drop(&whole);
	/* a refusal is a frame like others */
	assert_int_equal(channel_refuse(f->b.ch, 9, REFUSAL_BUSY, NULL, 1000), 0);
	sim_run_for(&f->world, 2 * NS_PER_MS);
	assert_int_equal(f->a.last_type, FRAME_REFUSED);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->a.ch->queue_limit = 10000;
	channel_pause(f->b.ch, true);
	for (int i = 0; i < 12; i++)
		assert_int_equal(send_body(&f->a, 1000), 0);
	assert_true(channel_is_full(f->a.ch));
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 0);
	channel_pause(f->b.ch, false);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 12);
	assert_int_equal(f->a.drained, 1);
	/* too much for a frame is the sender's to see */
	struct slice much = {.buf = buf_new(FRAME_BODY_MAX + 1)};
	much.data = much.buf->data;
	much.len = much.buf->len;
	assert_int_equal(channel_send(f->a.ch, FRAME_APPEND, 1, NULL, &much, 1), ERR_LIMIT);
	slice_drop(&much);
	/* four times the limit ends the channel */
	channel_pause(f->b.ch, true);
	int rc = 0;
	for (int i = 0; i < 50 && !rc; i++)
		rc = send_body(&f->a, 1000);
	assert_int_equal(rc, ERR_CLOSED);
	assert_int_equal(f->a.closed, 0);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(f->a.status, ERR_LIMIT);
	channel_pause(f->b.ch, false);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.closed, 1);
	assert_int_equal(f->b.status, -ECONNRESET);
	assert_int_equal(model_net_counts(f->net).channels, 0);
}

static void test_pause_in_frame(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->b.pause_on_frame = true;
	for (int i = 0; i < 3; i++)
		send_body(&f->a, 10);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 1);
	f->b.inside = true;
	channel_pause(f->b.ch, false);
	f->b.inside = false;
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 2);
}

static void test_close(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	send_body(&f->a, 10);
	f->a.inside = true;
	channel_close(f->a.ch);
	channel_close(f->a.ch);
	f->a.inside = false;
	assert_int_equal(send_body(&f->a, 10), ERR_CLOSED);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 1);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(f->a.status, 0);
	assert_int_equal(f->b.closed, 1);
	assert_int_equal(f->b.status, 0);
}

static void test_close_inside_an_event(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->b.close_on_frame = true;
	send_body(&f->a, 10);
	send_body(&f->a, 10);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 1);
	assert_int_equal(f->a.closed + f->b.closed, 2);
	assert_int_equal(f->a.status, 0);
}

static void test_close_to_a_peer_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	channel_pause(f->b.ch, true);
	send_body(&f->a, 10);
	channel_close(f->a.ch);
	sim_run_for(&f->world, (MODEL_CLOSE_MS + 10) * NS_PER_MS);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(f->a.status, -ETIMEDOUT);
	channel_pause(f->b.ch, false);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.frames, 1);
	assert_int_equal(f->b.closed, 1);
	assert_int_equal(f->b.status, 0);
}

static void test_close_while_dialing(void **state)
{
	struct fixture *f = *state;
	dial(f);
	channel_close(f->a.ch);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(f->a.ready, 0);
	assert_int_equal(f->b.ready, f->b.closed); /* its greeting may have been under way */
	assert_int_equal(model_net_counts(f->net).channels, 0);
}

static void test_dials_that_fail(void **state)
{
	struct fixture *f = *state;
	f->a.ch = model_dial(f->net, &f->near.loop, "nobody:1", &f->recorder, &f->a.user);
	assert_int_equal(f->a.closed, 0);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.status, -ECONNREFUSED);
	f->refuse = true;
	dial(f);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.closed, 2);
	assert_int_equal(f->a.status, 0);
	f->refuse = false;
	model_net_cut(f->net, "rec-7", "node1", true);
	dial(f);
	sim_run_for(&f->world, (MODEL_CONNECT_MS + 10) * NS_PER_MS);
	assert_int_equal(f->a.closed, 3);
	assert_int_equal(f->a.status, -ETIMEDOUT);
	model_net_cut(f->net, "rec-7", "node1", false);
	model_listener_free(&f->listener);
	dial(f);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.closed, 4);
	assert_int_equal(f->a.status, -ECONNREFUSED);
	/* who listens without the role node is not believed */
	f->node.roles = ROLE_RECORDER;
	f->listener = model_listen(f->net, &f->far.loop, "node1:1", &f->node, on_accepted);
	model_listener_set_owner(f->listener, f);
	dial(f);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.status, ERR_TLS);
}

static void test_cuts(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	/* one way alone: the other direction goes on, until the silence is noticed */
	model_net_cut_way(f->net, "rec-7", "node1", true);
	send_body(&f->a, 10);
	send_body(&f->b, 10);
	sim_run_for(&f->world, 1000 * NS_PER_MS);
	assert_int_equal(f->b.frames, 0);
	assert_int_equal(f->a.frames, 1);
	/* healed in time: nothing is lost */
	model_net_cut_way(f->net, "rec-7", "node1", false);
	sim_run_for(&f->world, MODEL_SILENCE_MS * NS_PER_MS);
	assert_int_equal(f->b.frames, 1);
	assert_int_equal(f->a.closed + f->b.closed, 0);
	model_net_hang(f->net, "node1", true);
	sim_run_for(&f->world, (MODEL_SILENCE_MS + 10) * NS_PER_MS);
	assert_int_equal(f->a.closed + f->b.closed, 2);
	assert_int_equal(f->a.status, -ETIMEDOUT);
}

static void test_death(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	model_net_kill(f->net, "node1");
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->b.closed, 0);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(f->a.status, -ECONNRESET);
	dial(f);
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.status, -ECONNREFUSED);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	model_net_reset(f->net, "rec-7");
	sim_run_for(&f->world, 10 * NS_PER_MS);
	assert_int_equal(f->a.status, -ECONNRESET);
	assert_int_equal(f->b.status, -ECONNRESET);
	assert_int_equal(f->a.closed + f->b.closed, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(greeting), TEST(frames), TEST(limits),
		TEST(pause_in_frame), TEST(close), TEST(close_inside_an_event),
		TEST(close_to_a_peer_that_does_not_read), TEST(close_while_dialing),
		TEST(dials_that_fail), TEST(cuts), TEST(death), TEST(reset)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
