/* SPDX-License-Identifier: Apache-2.0 */
/* Peers with a good certificate and bad manners: bytes of the test's choosing, after TLS and before
 * it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/frame_reader.h"
#include "proto/refusal.h"
#include "proto/tls.h"
#include "tests/unit/proto/link_fixture.h"

/* The hostile side: a socket, perhaps TLS on it, and what came back. */
struct raw {
	struct fixture *f;
	int fd;
	struct tls *tls;
	struct frame_reader reader;
	unsigned frames;
	uint8_t last_type;
	uint32_t refusal;
	uint64_t token;
	ssize_t end; /* what reading gave last */
};

static void raw_dial(struct raw *r, struct fixture *f)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	at.sin_port = htons((uint16_t)atoi(strchr(link_listener_address(f->listener), ':') + 1));
	*r = (struct raw){
		.f = f, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .end = -EAGAIN};
	frame_reader_init(&r->reader, FRAME_META_MAX, FRAME_BODY_MAX);
	seen_init(&f->b, f);
	f->failed = 0;
	assert_int_equal(connect(r->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(fcntl(r->fd, F_SETFL, O_NONBLOCK), 0);
}

/* Lets the daemon work, without waiting for it. */
static void raw_turn(struct raw *r)
{
	uv_run(&r->f->loop.uv, UV_RUN_NOWAIT);
	usleep(100);
}

static void raw_secure(struct raw *r, struct fixture *f)
{
	raw_dial(r, f);
	struct tls_identity *id = identity_of(RECORDER, false);
	struct tls_start start = {.id = id, .fd = r->fd, .expect_roles = ROLE_NODE};
	r->tls = tls_new(&start);
	tls_identity_unref(&id);
	int rc;
	while ((rc = tls_handshake(r->tls)) == -EAGAIN) {
		assert_int_equal(tls_flush(r->tls), 0);
		raw_turn(r);
		tls_readable(r->tls);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(tls_flush(r->tls), 0);
}

static void raw_note(struct raw *r)
{
	struct frame frame = frame_reader_frame(&r->reader);
	r->frames++;
	r->last_type = frame.header.type;
	if (frame.header.type == FRAME_REFUSED) {
		Steppe__Wire__Refused *m =
			steppe__wire__refused__unpack(NULL, frame.header.meta_len, frame.meta);
		r->refusal = m->code;
		steppe__wire__refused__free_unpacked(m, NULL);
	} else if (frame.header.type == FRAME_PONG) {
		Steppe__Wire__Pong *m =
			steppe__wire__pong__unpack(NULL, frame.header.meta_len, frame.meta);
		r->token = m->token;
		steppe__wire__pong__free_unpacked(m, NULL);
	}
	frame_reader_next(&r->reader);
}

/* Reads what has come. */
static void raw_receive(struct raw *r)
{
	tls_readable(r->tls);
	while (r->end > 0 || r->end == -EAGAIN) {
		uint8_t *space;
		size_t len;
		frame_reader_space(&r->reader, &space, &len);
		r->end = tls_read(r->tls, space, len);
		if (r->end == -EAGAIN)
			return;
		if (r->end > 0 && frame_reader_add(&r->reader, (size_t)r->end) == 1)
			raw_note(r);
	}
}

static void raw_send(struct raw *r, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = tls_write(r->tls, (const uint8_t *)data + at, len - at);
		assert_true(n >= 0);
		at += (size_t)n;
		for (int rc; (rc = tls_flush(r->tls)) != 0;) {
			assert_int_equal(rc, -EAGAIN);
			raw_turn(r);
		}
	}
}

static size_t pack(uint8_t *to, uint8_t type, const ProtobufCMessage *meta, uint32_t body_len)
{
	struct frame_header h = {.type = type, .meta_len = 0, .body_len = body_len};
	if (meta)
		h.meta_len = (uint32_t)protobuf_c_message_pack(meta, to + FRAME_HEADER_SIZE);
	frame_header_encode(&h, to + FRAME_HEADER_SIZE, to);
	return FRAME_HEADER_SIZE + h.meta_len;
}

static void raw_frame(struct raw *r, uint8_t type, const ProtobufCMessage *meta)
{
	static uint8_t frame[FRAME_HEADER_SIZE + 65536];
	raw_send(r, frame, pack(frame, type, meta, 0));
}

static void raw_hello(struct raw *r, uint32_t version)
{
	Steppe__Wire__Hello hello = STEPPE__WIRE__HELLO__INIT;
	hello.version = version;
	raw_frame(r, FRAME_HELLO, &hello.base);
}

static void raw_greet(struct raw *r, struct fixture *f)
{
	raw_secure(r, f);
	raw_hello(r, FRAME_VERSION);
	while (!f->b.ready)
		raw_turn(r);
}

static void raw_close(struct raw *r)
{
	frame_reader_fini(&r->reader);
	tls_free(&r->tls);
	close(r->fd);
	WAIT_FOR(r->f, link_listener_counts(r->f->listener).channels == 0);
}

/* The daemon answers with the refusal and ends with the status. */
static void expect_refusal(struct raw *r, uint32_t refusal, int status, const char *words)
{
	struct fixture *f = r->f;
	while (r->end > 0 || r->end == -EAGAIN) {
		raw_turn(r);
		raw_receive(r);
	}
	assert_int_equal(r->end, 0);
	assert_int_equal(r->last_type, FRAME_REFUSED);
	assert_int_equal(r->refusal, refusal);
	bool greeted = f->b.ready > 0;
	raw_close(r);
	if (greeted) {
		WAIT_FOR(f, f->b.closed);
		assert_int_equal(f->b.status, status);
		assert_non_null(strstr(f->b.words, words));
	} else {
		assert_int_equal(f->failed, 1);
		assert_non_null(strstr(f->failure, words));
	}
}

static void not_tls(void **state)
{
	struct fixture *f = *state;
	struct raw r;
	raw_dial(&r, f);
	static const char request[] = "GET /status HTTP/1.1\r\nHost: node1\r\n\r\n";
	assert_int_equal(send(r.fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	WAIT_FOR(f, f->failed);
	assert_string_equal(f->failure, "the peer does not speak TLS");
	raw_close(&r);
	raw_dial(&r, f);
	shutdown(r.fd, SHUT_WR);
	WAIT_FOR(f, f->failed);
	assert_non_null(strstr(f->failure, "the connection was cut"));
	raw_close(&r);
}

/* The openssl command as a client of other manners. */
static void openssl_client(struct fixture *f, const char *options, const char *words)
{
	char command[256];
	f->failed = 0;
	snprintf(command, sizeof(command),
		"openssl s_client -connect %s %s </dev/null >/dev/null 2>&1",
		link_listener_address(f->listener), options);
	FILE *client = popen(command, "r");
	assert_non_null(client);
	WAIT_FOR(f, f->failed);
	if (!strstr(f->failure, words))
		fail_msg("%s", f->failure);
	WAIT_FOR(f, link_listener_counts(f->listener).channels == 0);
	pclose(client);
}

static void other_tls(void **state)
{
	struct fixture *f = *state;
	openssl_client(f, "-tls1_3", "the peer has no certificate");
	openssl_client(f, "-tls1_2", "the peer does not speak TLS 1.3");
}

static void no_greeting(void **state)
{
	struct fixture *f = *state;
	struct raw r;
	raw_secure(&r, f);
	raw_send(&r, "something else than frames, more than a header", 46);
	expect_refusal(&r, REFUSAL_PROTOCOL, ERR_FORMAT, "not frames");
	raw_secure(&r, f);
	raw_frame(&r, FRAME_TIMELINE, NULL);
	expect_refusal(&r, REFUSAL_PROTOCOL, ERR_FORMAT, "the greeting comes first and once");
	raw_secure(&r, f);
	raw_hello(&r, 0);
	expect_refusal(&r, REFUSAL_VERSION, ERR_VERSION, "version");
	/* before the greeting little is believed */
	Steppe__Wire__Hello hello = STEPPE__WIRE__HELLO__INIT;
	char *software = calloc(1, 5000);
	memset(software, 'x', 4999);
	hello.version = FRAME_VERSION;
	hello.software = software;
	raw_secure(&r, f);
	raw_frame(&r, FRAME_HELLO, &hello.base);
	free(software);
	expect_refusal(&r, REFUSAL_TOO_LARGE, ERR_LIMIT, "larger than the limit");
	raw_secure(&r, f);
	uint8_t wire[FRAME_HEADER_SIZE + 4];
	struct frame_header h = {.type = FRAME_HELLO, .meta_len = 4};
	memset(wire, 0xff, sizeof(wire));
	frame_header_encode(&h, wire + FRAME_HEADER_SIZE, wire);
	raw_send(&r, wire, sizeof(wire));
	expect_refusal(&r, REFUSAL_PROTOCOL, ERR_FORMAT, "the greeting cannot be read");
	assert_int_equal(f->accepted, 0);
	/* leaving before it */
	raw_secure(&r, f);
	tls_say_end(r.tls);
	assert_int_equal(tls_flush(r.tls), 0);
	raw_close(&r);
	assert_string_equal(f->failure, "the peer ended before the greeting");
}

static void bad_frames(void **state)
{
	struct fixture *f = *state;
	struct raw r;
	uint8_t wire[256];
	raw_greet(&r, f);
	raw_hello(&r, FRAME_VERSION);
	expect_refusal(&r, REFUSAL_PROTOCOL, ERR_FORMAT, "the greeting comes first and once");
	Steppe__Wire__Ping ping = STEPPE__WIRE__PING__INIT;
	ping.token = 77;
	raw_greet(&r, f);
	size_t len = pack(wire, FRAME_STOP, &ping.base, 0);
	wire[len - 1] ^= 1;
	raw_send(&r, wire, len);
	expect_refusal(&r, REFUSAL_PROTOCOL, ERR_CHECKSUM, "checksum");
	raw_greet(&r, f);
	raw_send(&r, wire, pack(wire, FRAME_APPEND, NULL, FRAME_BODY_MAX + 1));
	expect_refusal(&r, REFUSAL_TOO_LARGE, ERR_LIMIT, "larger than the limit");
	raw_greet(&r, f);
	struct frame_header h = {.type = FRAME_PING, .meta_len = 3};
	memset(wire + FRAME_HEADER_SIZE, 0xff, 3);
	frame_header_encode(&h, wire + FRAME_HEADER_SIZE, wire);
	raw_send(&r, wire, FRAME_HEADER_SIZE + 3);
	expect_refusal(&r, REFUSAL_PROTOCOL, ERR_FORMAT, "a ping that cannot be read");
}

static void good_frames(void **state)
{
	struct fixture *f = *state;
	struct raw r;
	Steppe__Wire__Ping ping = STEPPE__WIRE__PING__INIT;
	ping.token = 77;
	raw_greet(&r, f);
	raw_frame(&r, FRAME_PING, &ping.base);
	while (r.last_type != FRAME_PONG) {
		raw_turn(&r);
		raw_receive(&r);
	}
	assert_int_equal(r.token, 77);
	assert_int_equal(f->b.frames, 0);
	/* what is not known is passed up: refusing it is the user's */
	raw_frame(&r, 200, NULL);
	WAIT_FOR(f, f->b.frames == 1);
	assert_int_equal(f->b.last_type, 200);
	raw_close(&r);
	WAIT_FOR(f, f->b.closed);
}

static void endings(void **state)
{
	struct fixture *f = *state;
	struct raw r;
	uint8_t wire[64];
	/* in good order, but inside a frame */
	raw_greet(&r, f);
	raw_send(&r, wire, pack(wire, FRAME_APPEND, NULL, 100));
	tls_say_end(r.tls);
	assert_int_equal(tls_flush(r.tls), 0);
	WAIT_FOR(f, f->b.closed);
	assert_int_equal(f->b.status, ERR_TRUNCATED);
	raw_close(&r);
	/* without a word, between frames: whoever cut the connection may have cut off frames */
	raw_greet(&r, f);
	raw_frame(&r, FRAME_STOP, NULL);
	shutdown(r.fd, SHUT_WR);
	WAIT_FOR(f, f->b.closed);
	assert_int_equal(f->b.frames, 1);
	assert_int_equal(f->b.status, -ECONNRESET);
	raw_close(&r);
	/* bytes that are not TLS any more */
	raw_greet(&r, f);
	assert_int_equal(
		send(r.fd, "\x17\x03\x03\x00\x20garbage garbage garbage garbage.", 37, 0), 37);
	WAIT_FOR(f, f->b.closed);
	assert_int_equal(f->b.status, ERR_TLS);
	raw_close(&r);
}

static void a_flood_of_small_frames_leaves_turns_to_others(void **state)
{
	struct fixture *f = *state;
	struct raw r;
	enum { COUNT = 3000 };
	uint8_t *flood = malloc(COUNT * FRAME_HEADER_SIZE);
	assert_non_null(flood);
	for (size_t i = 0; i < COUNT; i++)
		pack(flood + i * FRAME_HEADER_SIZE, FRAME_STOP, NULL, 0);
	raw_greet(&r, f);
	raw_send(&r, flood, COUNT * FRAME_HEADER_SIZE);
	free(flood);
	while (f->b.frames < COUNT) {
		unsigned before = f->b.frames;
		uv_run(&f->loop.uv, UV_RUN_NOWAIT);
		/* a turn has tasks and the socket: one batch each */
		assert_in_range(f->b.frames - before, 0, 512);
	}
	raw_close(&r);
	WAIT_FOR(f, f->b.closed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(not_tls), TEST(other_tls), TEST(no_greeting),
		TEST(bad_frames), TEST(good_frames), TEST(endings),
		TEST(a_flood_of_small_frames_leaves_turns_to_others)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
