/* SPDX-License-Identifier: Apache-2.0 */
/* Bad networks and the limits of time and number. Durations are set short; none is asserted. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/unit/proto/link_fixture.h"
#include "tests/unit/proto/relay.h"

static void through(struct fixture *f, struct relay *r, size_t piece)
{
	relay_start(r, link_listener_address(f->listener), piece);
	seen_init(&f->b, f);
	dial_to(f, RECORDER, r->address);
	WAIT_FOR(f, (f->a.ready && f->b.ready) || f->a.closed);
	if (f->a.closed)
		fail_msg("%s", f->a.words);
}

static void byte_by_byte(void **state)
{
	struct fixture *f = *state;
	static const size_t pieces[] = {1, 2, 3, 5, 23, 1000};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct relay r;
		through(f, &r, pieces[i]);
		f->b.echo = true;
		for (size_t n = 0; n < 20; n++)
			assert_int_equal(send_pattern(&f->a, FRAME_APPEND, n * 97), 0);
		WAIT_FOR(f, f->a.frames == 20 || f->a.closed);
		assert_int_equal(f->a.bytes, 190 * 97);
		close_both(f);
		assert_int_equal(f->a.status, 0);
		assert_int_equal(f->b.status, 0);
		relay_stop(&r);
	}
}

static void a_connection_that_is_reset(void **state)
{
	struct fixture *f = *state;
	struct relay r;
	through(f, &r, 65536);
	r.reset = true;
	WAIT_FOR(f, f->a.closed && f->b.closed);
	assert_int_equal(f->a.status, -ECONNRESET);
	assert_int_equal(f->b.status, -ECONNRESET);
	relay_stop(&r);
	/* also while nobody reads: by the next ping */
	f->options.ping_ms = f->config.options.ping_ms = 20;
	link_listener_free(&f->listener, NULL);
	listen_again(f);
	through(f, &r, 65536);
	channel_pause(f->a.ch, true);
	channel_pause(f->b.ch, true);
	r.reset = true;
	WAIT_FOR(f, f->a.closed && f->b.closed);
	assert_int_not_equal(f->a.status, 0);
	relay_stop(&r);
}

static void a_network_that_falls_silent(void **state)
{
	struct fixture *f = *state;
	struct relay r;
	f->options.ping_ms = f->config.options.ping_ms = 20;
	link_listener_free(&f->listener, NULL);
	listen_again(f);
	through(f, &r, 65536);
	/* pings keep an idle channel */
	turn_for(f, 200);
	assert_int_equal(f->a.closed + f->b.closed, 0);
	r.silent = true;
	WAIT_FOR(f, f->a.closed && f->b.closed);
	assert_int_equal(f->a.status, -ETIMEDOUT);
	assert_int_equal(f->b.status, -ETIMEDOUT);
	relay_stop(&r);
}

static void who_does_not_read_is_not_taken_for_dead(void **state)
{
	struct fixture *f = *state;
	f->options.ping_ms = f->config.options.ping_ms = 20;
	link_listener_free(&f->listener, NULL);
	listen_again(f);
	connect_both(f);
	channel_pause(f->b.ch, true);
	send_pattern(&f->a, FRAME_APPEND, 100000);
	turn_for(f, 300);
	assert_int_equal(f->a.closed + f->b.closed, 0);
	channel_pause(f->b.ch, false);
	WAIT_FOR(f, f->b.frames == 1);
	turn_for(f, 200);
	assert_int_equal(f->a.closed + f->b.closed, 0);
}

static void silence_before_the_greeting(void **state)
{
	struct fixture *f = *state;
	struct relay r;
	f->options.connect_ms = f->config.options.connect_ms = 50;
	link_listener_free(&f->listener, NULL);
	listen_again(f);
	relay_start(&r, link_listener_address(f->listener), 65536);
	r.silent = true;
	dial_to(f, RECORDER, r.address);
	WAIT_FOR(f, f->a.closed && f->failed);
	assert_int_equal(f->a.status, -ETIMEDOUT);
	assert_string_equal(f->a.words, "no TLS handshake in time");
	assert_string_equal(f->failure, "no TLS handshake in time");
	assert_int_equal(link_listener_counts(f->listener).handshakes, 0);
	relay_stop(&r);
}

static void closing_to_one_who_does_not_take_it(void **state)
{
	struct fixture *f = *state;
	struct relay r;
	through(f, &r, 65536);
	r.silent = true;
	for (int i = 0; i < 7; i++)
		send_pattern(&f->a, FRAME_APPEND, 1u << 20);
	turn_for(f, 10);
	channel_close(f->a.ch);
	WAIT_FOR(f, f->a.closed);
	assert_int_equal(f->a.status, -ETIMEDOUT);
	assert_string_equal(f->a.words, "the peer did not take what was queued");
	r.silent = false;
	WAIT_FOR(f, f->b.closed);
	assert_int_not_equal(f->b.status, 0);
	relay_stop(&r);
}

/* --- many at once */

/* A connection that says nothing. */
static int mute(struct fixture *f)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	at.sin_port = htons((uint16_t)atoi(strchr(link_listener_address(f->listener), ':') + 1));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void handshakes_are_limited(void **state)
{
	struct fixture *f = *state;
	f->config.handshakes_max = 2;
	link_listener_free(&f->listener, NULL);
	listen_again(f);
	int fd[4];
	for (int i = 0; i < 4; i++)
		fd[i] = mute(f);
	WAIT_FOR(f, link_listener_counts(f->listener).handshakes == 2);
	turn_for(f, 20);
	assert_int_equal(link_listener_counts(f->listener).handshakes, 2);
	/* the others wait in the backlog, in order */
	dial_as(f, RECORDER);
	turn_for(f, 20);
	assert_int_equal(f->a.ready, 0);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	WAIT_FOR(f, f->a.ready && f->b.ready);
	assert_int_equal(f->failed, 4);
}

static void channels_are_limited(void **state)
{
	struct fixture *f = *state;
	f->config.channels_max = 1;
	link_listener_free(&f->listener, NULL);
	listen_again(f);
	connect_both(f);
	struct seen first = f->a;
	struct link_listener_counts counts = link_listener_counts(f->listener);
	assert_int_equal(counts.channels, 1);
	/* a second one */
	f->a.ch->user = &first.user;
	dial_to(f, RECORDER, link_listener_address(f->listener));
	WAIT_FOR(f, f->a.closed);
	assert_true(f->a.status < 0);
	assert_int_equal(f->failed, 1);
	assert_non_null(strstr(f->failure, "as many channels"));
	/* the first is not disturbed, and makes room when it goes */
	channel_close(first.ch);
	WAIT_FOR(f, first.closed && f->b.closed);
	connect_both(f);
}

static void descriptors_run_out(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, few;
	int waiting = mute(f), top = dup(waiting);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)top;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	WAIT_FOR(f, f->failed);
	assert_non_null(strstr(f->failure, "cannot accept: Too many open files"));
	unsigned told = f->failed;
	turn_for(f, 50);
	/* not again at every turn of the loop */
	assert_in_range(f->failed, told, told + 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(top);
	WAIT_FOR(f, link_listener_counts(f->listener).handshakes == 1);
	close(waiting);
	WAIT_FOR(f, link_listener_counts(f->listener).handshakes == 0);
}

static void addresses_in_use(void **state)
{
	struct fixture *f = *state;
	struct link_listener *second = NULL;
	char why[256] = "";
	const char *address = link_listener_address(f->listener);
	assert_int_equal(
		link_listen(&f->loop, address, &f->config, &second, why, sizeof(why)), -EADDRINUSE);
	assert_non_null(strstr(why, address));
	f->config.join = true;
	assert_int_equal(link_listen(&f->loop, address, &f->config, &second, why, sizeof(why)), 0);
	link_listener_free(&second, NULL);
	f->config.join = false;
	assert_int_equal(
		link_listen(&f->loop, "nowhere", &f->config, &second, why, sizeof(why)), -EINVAL);
	assert_int_equal(link_listen(&f->loop, "no-such-host.invalid:1", &f->config, &second, why,
				 sizeof(why)),
		-EINVAL);
	assert_null(second);
	assert_int_equal(link_listen(&f->loop, ":0", &f->config, &second, why, sizeof(why)), 0);
	link_listener_free(&second, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(byte_by_byte), TEST(a_connection_that_is_reset),
		TEST(a_network_that_falls_silent), TEST(who_does_not_read_is_not_taken_for_dead),
		TEST(silence_before_the_greeting), TEST(closing_to_one_who_does_not_take_it),
		TEST(handshakes_are_limited), TEST(channels_are_limited), TEST(descriptors_run_out),
		TEST(addresses_in_use)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
