/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation alone, over a pair of sockets: what a link cannot be made to show. */
#include "proto/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/unit/proto/link_fixture.h"

struct pair {
	int fd[2];
	struct tls *near, *far;
};

static void shake_hands(struct pair *p, uint64_t rekey_records)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
	struct tls_identity *near = identity_of(RECORDER, false), *far = identity_of(NODE, true);
	struct tls_start dials = {.id = near,
		.fd = p->fd[0],
		.expect_roles = ROLE_NODE,
		.address = "a:1",
		.rekey_records = rekey_records};
	struct tls_start accepts = {
		.id = far, .fd = p->fd[1], .accepts = true, .rekey_records = rekey_records};
	p->near = tls_new(&dials);
	p->far = tls_new(&accepts);
	tls_identity_unref(&near);
	tls_identity_unref(&far);
	int a = -EAGAIN, b = -EAGAIN;
	for (int i = 0; i < 10 && (a || b); i++) {
		if (a) {
			tls_readable(p->near);
			a = tls_handshake(p->near);
			assert_int_equal(tls_flush(p->near), 0);
		}
		if (b) {
			tls_readable(p->far);
			b = tls_handshake(p->far);
			assert_int_equal(tls_flush(p->far), 0);
		}
	}
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
}

static void part(struct pair *p)
{
	tls_free(&p->near);
	tls_free(&p->far);
	close(p->fd[0]);
	close(p->fd[1]);
}

/* Sends `len` bytes from one to the other and checks them. */
static void carry(struct tls *from, struct tls *to, size_t len)
{
	static uint8_t out[100000], in[100000];
	size_t sent = 0, got = 0;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 31 + len);
	while (got < len) {
		ssize_t n = tls_write(from, out + sent, len - sent);
		assert_true(n >= 0);
		sent += (size_t)n;
		int rc = tls_flush(from);
		assert_true(rc == 0 || rc == -EAGAIN);
		tls_readable(to);
		while ((n = tls_read(to, in + got, len - got)) > 0)
			got += (size_t)n;
		assert_true(n == -EAGAIN || got == len);
	}
	assert_memory_equal(in, out, len);
}

static void bytes_both_ways(void **state)
{
	(void)state;
	struct pair p;
	shake_hands(&p, 0);
	static const size_t sizes[] = {1, 100, 16384, 16385, 100000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		carry(p.near, p.far, sizes[i]);
		carry(p.far, p.near, sizes[i]);
	}
	struct channel_identity who = {0};
	tls_identify(p.far, &who);
	assert_string_equal(who.name, "rec-7");
	assert_int_equal(who.roles, ROLE_RECORDER);
	assert_int_equal(strncmp(tls_cipher(p.near), "TLS_", 4), 0);
	/* an end in good order, once */
	tls_say_end(p.near);
	tls_say_end(p.near);
	assert_int_equal(tls_flush(p.near), 0);
	uint8_t byte;
	tls_readable(p.far);
	assert_int_equal(tls_read(p.far, &byte, 1), 0);
	part(&p);
}

static void keys_change(void **state)
{
	(void)state;
	struct pair p;
	shake_hands(&p, 3);
	for (int i = 0; i < 30; i++) {
		carry(p.near, p.far, 40000);
		carry(p.far, p.near, 40000);
	}
	part(&p);
}

static void a_full_socket(void **state)
{
	(void)state;
	struct pair p;
	static uint8_t data[1u << 20];
	shake_hands(&p, 0);
	ssize_t n, total = 0;
	int rc = 0;
	while (rc == 0) {
		n = tls_write(p.near, data, sizeof(data));
		assert_true(n > 0);
		/* as much as one write takes, and no more */
		assert_in_range(n, TLS_WRITE_BYTES - 32768, TLS_WRITE_BYTES + 16384);
		total += n;
		rc = tls_flush(p.near);
	}
	assert_int_equal(rc, -EAGAIN);
	while (tls_unsent(p.near) < TLS_WRITE_BYTES) {
		n = tls_write(p.near, data, 5000);
		assert_int_equal(n, 5000);
		total += n;
	}
	assert_int_equal(tls_write(p.near, data, 1), 0);
	ssize_t got = 0;
	while (got < total) {
		tls_readable(p.far);
		while ((n = tls_read(p.far, data, sizeof(data))) > 0)
			got += n;
		assert_int_equal(n, -EAGAIN);
		rc = tls_flush(p.near);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(got, total);
	part(&p);
}

static void a_peer_that_is_gone(void **state)
{
	(void)state;
	struct pair p;
	uint8_t byte = 1;
	shake_hands(&p, 0);
	tls_free(&p.far);
	close(p.fd[1]);
	ssize_t n;
	do { /* the ticket comes before the end */
		tls_readable(p.near);
		n = tls_read(p.near, &byte, 1);
	} while (n == -EAGAIN);
	assert_int_equal(n, -ECONNRESET);
	assert_non_null(strstr(tls_words(p.near), "the connection was cut"));
	assert_int_equal(tls_read(p.near, &byte, 1), ERR_TLS);
	assert_int_equal(tls_write(p.near, &byte, 1), ERR_TLS);
	close(p.fd[0]);
	tls_free(&p.near);
	shake_hands(&p, 0);
	tls_free(&p.far);
	close(p.fd[1]);
	assert_int_equal(tls_write(p.near, &byte, 1), 1);
	assert_int_equal(tls_flush(p.near), -EPIPE);
	close(p.fd[0]);
	tls_free(&p.near);
	tls_free(&p.near);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_both_ways),
		cmocka_unit_test(keys_change), cmocka_unit_test(a_full_socket),
		cmocka_unit_test(a_peer_that_is_gone)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
