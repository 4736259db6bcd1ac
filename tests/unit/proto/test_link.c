/* SPDX-License-Identifier: Apache-2.0 */
/* Links over loopback sockets with real TLS: greeting, frames, back-pressure, endings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/unit/proto/link_fixture.h"

static void greeting(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	assert_string_equal(f->a.ch->identity.name, "node1");
	assert_int_equal(f->a.ch->identity.roles, ROLE_NODE);
	assert_string_equal(f->a.ch->identity.address, link_listener_address(f->listener));
	assert_true(f->a.last_peer_is_node);
	assert_string_equal(f->b.ch->identity.name, "rec-7");
	assert_int_equal(f->b.ch->identity.roles, ROLE_RECORDER);
	assert_memory_equal(f->b.ch->identity.address, "127.0.0.1:", 10);
	assert_false(f->b.last_peer_is_node);
	struct link_listener_counts counts = link_listener_counts(f->listener);
	assert_int_equal(counts.accepted, 1);
	assert_int_equal(counts.handshakes, 0);
	assert_int_equal(counts.channels, 1);
	close_both(f);
	assert_int_equal(f->a.status, 0);
	assert_int_equal(f->b.status, 0);
	assert_int_equal(link_listener_counts(f->listener).channels, 0);
	assert_int_equal(f->failed, 0);
}

static void frames_both_ways(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->b.echo = true;
	static const size_t sizes[] = {0, 1, 24, 4095, 4096, 4097, 16383, 16384, 16385, 100000,
		1u << 20, 4u << 20, FRAME_BODY_MAX};
	size_t bytes = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(send_pattern(&f->a, FRAME_APPEND, sizes[i]), 0);
		bytes += sizes[i];
		WAIT_FOR(f, f->a.frames == i + 1 || f->a.closed);
		assert_int_equal(f->a.bytes, bytes);
		assert_int_equal(f->b.last_type, FRAME_APPEND);
		assert_int_equal(f->b.last_stream, 7);
	}
	assert_int_equal(f->a.ch->queued_bytes, 0);
}

static void bodies_of_several_slices(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	struct slice whole = pattern(300000), parts[4];
	static const size_t cuts[] = {0, 10, 10, 200000, 300000};
	for (int i = 0; i < 4; i++)
		parts[i] = slice_of(whole.buf, cuts[i], cuts[i + 1] - cuts[i]);
	assert_int_equal(channel_send(f->a.ch, FRAME_APPEND, 1, NULL, parts, 4), 0);
	for (int i = 0; i < 4; i++)
		slice_drop(&parts[i]);
	slice_drop(&whole);
	WAIT_FOR(f, f->b.frames == 1 || f->b.closed);
	assert_int_equal(f->b.bytes, 300000);
}

static void many_small_frames(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->b.echo = true;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(send_pattern(&f->a, FRAME_ACK, (size_t)i % 50), 0);
	WAIT_FOR(f, f->a.frames == 10000 || f->a.closed);
	assert_int_equal(f->a.bytes, f->b.bytes);
}

static void more_than_a_frame_carries(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	assert_int_equal(send_pattern(&f->a, FRAME_APPEND, FRAME_BODY_MAX + 1), ERR_LIMIT);
	assert_int_equal(f->a.ch->queued_bytes, 0);
}

static void a_full_queue_drains(void **state)
{
	struct fixture *f = *state;
	f->options.queue_limit = 4u << 20;
	connect_both(f);
	channel_pause(f->b.ch, true);
	int sent = 0;
	/* the kernel's buffers take some */
	while (!channel_is_full(f->a.ch)) {
		assert_int_equal(send_pattern(&f->a, FRAME_APPEND, 1u << 20), 0);
		sent++;
		turn_for(f, 1);
	}
	assert_int_equal(f->a.drained, 0);
	assert_int_equal(f->b.frames, 0);
	f->b.inside = true;
	channel_pause(f->b.ch, false);
	f->b.inside = false;
	WAIT_FOR(f, f->a.drained == 1);
	WAIT_FOR(f, f->b.frames == (unsigned)sent);
	assert_int_equal(f->a.drained, 1);
}

static void a_peer_that_does_not_read_is_given_up(void **state)
{
	struct fixture *f = *state;
	f->options.queue_limit = 1u << 20;
	connect_both(f);
	channel_pause(f->b.ch, true);
	int rc = 0;
	for (int i = 1; i < 200 && (rc = send_pattern(&f->a, FRAME_APPEND, 100000)) == 0; i++)
		if (i % 8 == 0)
			turn_for(f, 1);
	assert_int_equal(rc, ERR_CLOSED);
	assert_int_equal(f->a.closed, 0);
	assert_int_equal(send_pattern(&f->a, FRAME_APPEND, 1), ERR_CLOSED);
	WAIT_FOR(f, f->a.closed);
	assert_int_equal(f->a.status, ERR_LIMIT);
	channel_pause(f->b.ch, false);
	WAIT_FOR(f, f->b.closed);
	assert_int_not_equal(f->b.status, 0);
}

static void pausing_in_a_frame(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->b.pause_on_frame = true;
	for (int i = 0; i < 5; i++)
		send_pattern(&f->a, FRAME_APPEND, 10);
	/* all five came in one record, so the socket will not tell of the rest */
	for (unsigned i = 1; i <= 5; i++) {
		WAIT_FOR(f, f->b.frames == i);
		turn_for(f, 5);
		assert_int_equal(f->b.frames, i);
		channel_pause(f->b.ch, false);
	}
}

static void pausing_before_the_greeting(void **state)
{
	struct fixture *f = *state;
	dial_as(f, RECORDER);
	channel_pause(f->a.ch, true);
	WAIT_FOR(f, f->a.ready && f->b.ready);
	send_pattern(&f->b, FRAME_ACK, 10);
	turn_for(f, 5);
	assert_int_equal(f->a.frames, 0);
	channel_pause(f->a.ch, false);
	WAIT_FOR(f, f->a.frames == 1);
}

static void closing_sends_what_is_queued(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	for (int i = 0; i < 5; i++)
		send_pattern(&f->a, FRAME_APPEND, 1u << 20);
	assert_int_equal(channel_refuse(f->a.ch, 3, REFUSAL_STOPPING, NULL, 0), 0);
	f->a.inside = true;
	channel_close(f->a.ch);
	channel_close(f->a.ch);
	f->a.inside = false;
	assert_int_equal(send_pattern(&f->a, FRAME_APPEND, 1), ERR_CLOSED);
	/* what the peer sends meanwhile does not disturb that */
	send_pattern(&f->b, FRAME_ACK, 2u << 20);
	WAIT_FOR(f, f->a.closed && f->b.closed);
	assert_int_equal(f->b.frames, 6);
	assert_int_equal(f->b.last_refusal, REFUSAL_STOPPING);
	assert_int_equal(f->a.frames, 0);
	assert_int_equal(f->a.status, 0);
	assert_int_equal(f->b.status, 0);
}

static void closing_inside_events(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	f->b.close_on_frame = true;
	send_pattern(&f->a, FRAME_APPEND, 10);
	send_pattern(&f->a, FRAME_APPEND, 10);
	WAIT_FOR(f, f->a.closed && f->b.closed);
	assert_int_equal(f->b.frames, 1);
	assert_int_equal(f->b.status, 0);
	assert_int_equal(f->a.status, 0);
	dial_as(f, RECORDER);
	f->a.close_on_ready = true;
	WAIT_FOR(f, f->a.closed && (!f->b.ready || f->b.closed));
	assert_int_equal(f->a.status, 0);
}

static void stopping_in_each_state(void **state)
{
	struct fixture *f = *state;
	/* after n turns of the loop: while dialing, in the handshake, in the greeting, open */
	for (int turns = 0; turns < 14; turns++) {
		dial_as(f, RECORDER);
		for (int i = 0; i < turns && !(f->a.ready && f->b.ready); i++)
			turn(f);
		if (f->a.ch)
			channel_close(f->a.ch);
		WAIT_FOR(f, f->a.closed && !link_listener_counts(f->listener).channels);
		assert_int_equal(f->b.ready, f->b.closed);
		assert_int_equal(f->a.status, 0);
	}
	/* the same for the listener, with what it has accepted so far */
	for (int turns = 0; turns < 14; turns++) {
		dial_as(f, RECORDER);
		for (int i = 0; i < turns && !(f->a.ready && f->b.ready); i++)
			turn(f);
		link_listener_free(&f->listener, NULL);
		if (f->b.ch)
			channel_close(f->b.ch);
		WAIT_FOR(f, f->a.closed && (!f->b.ready || f->b.closed));
		listen_again(f);
	}
}

struct told {
	struct loop_task task;
	bool told;
};

static void tell(struct loop_task *task)
{
	container_of(task, struct told, task)->told = true;
}

static void freed_listeners_tell(void **state)
{
	struct fixture *f = *state;
	struct told closed = {.task = {.run = tell}};
	char address[64];
	connect_both(f);
	strcpy(address, link_listener_address(f->listener));
	link_listener_free(&f->listener, &closed.task);
	assert_false(closed.told);
	WAIT_FOR(f, closed.told);
	/* channels go on */
	send_pattern(&f->a, FRAME_APPEND, 10);
	WAIT_FOR(f, f->b.frames == 1);
	close_both(f);
	dial_to(f, RECORDER, address);
	WAIT_FOR(f, f->a.closed);
	assert_int_equal(f->a.status, -ECONNREFUSED);
	assert_non_null(strstr(f->a.words, "cannot connect"));
}

static void dials_that_fail(void **state)
{
	struct fixture *f = *state;
	static const char *const no_addresses[] = {
		"", "host", "host:", ":80", "host:99999", "fd00::1:80", "host:port"};
	struct tls_identity *id = identity_of(RECORDER, false);
	const struct link_hello hello = {0};
	for (size_t i = 0; i < sizeof(no_addresses) / sizeof(no_addresses[0]); i++)
		assert_null(link_connect(
			&f->loop, no_addresses[i], id, &hello, &f->options, &f->a.user));
	tls_identity_unref(&id);
	dial_to(f, RECORDER, "no-such-host.invalid:7400");
	WAIT_FOR(f, f->a.closed);
	assert_int_equal(f->a.status, -EHOSTUNREACH);
	assert_non_null(strstr(f->a.words, "no-such-host.invalid"));
	/* closed while the name is being resolved */
	dial_to(f, RECORDER, "no-such-host.invalid:7400");
	channel_close(f->a.ch);
	WAIT_FOR(f, f->a.closed);
	assert_int_equal(f->a.status, 0);
	f->refuse = true;
	dial_as(f, RECORDER);
	WAIT_FOR(f, f->a.closed);
	assert_int_equal(f->a.status, 0);
	assert_int_equal(f->accepted, 1);
	assert_int_equal(f->failed, 0);
}

static void names_are_resolved(void **state)
{
	struct fixture *f = *state;
	char address[80];
	seen_init(&f->b, f);
	strcpy(address, "localhost");
	strcat(address, strchr(link_listener_address(f->listener), ':'));
	dial_to(f, RECORDER, address);
	/* ::1 may be tried first, and refuses */
	WAIT_FOR(f, f->a.ready && f->b.ready);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(greeting), TEST(frames_both_ways),
		TEST(bodies_of_several_slices), TEST(many_small_frames),
		TEST(more_than_a_frame_carries), TEST(a_full_queue_drains),
		TEST(a_peer_that_does_not_read_is_given_up), TEST(pausing_in_a_frame),
		TEST(pausing_before_the_greeting), TEST(closing_sends_what_is_queued),
		TEST(closing_inside_events), TEST(stopping_in_each_state),
		TEST(freed_listeners_tell), TEST(dials_that_fail), TEST(names_are_resolved)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
