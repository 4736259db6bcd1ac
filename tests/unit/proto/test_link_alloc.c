/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's whole life with memory failing at each allocation of ours in turn (OpenSSL and libuv
 * keep theirs): every end hears closed() once, and the listener goes on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/proto/link_fixture.h"

static struct slice body;
static struct tls_identity *recorder;
static unsigned lives, whole;

/* Both ends have said what they have to, or one cannot any more. */
static bool over(struct fixture *f)
{
	return f->a.closed || (f->a.frames && f->b.frames);
}

static void life(void *user)
{
	struct fixture *f = user;
	static const struct link_hello hello = {.software = "test client"};
	seen_init(&f->a, f);
	seen_init(&f->b, f);
	f->b.any_body = f->a.any_body = true;
	lives++;
	f->a.ch = link_connect(&f->loop, link_listener_address(f->listener), recorder, &hello,
		&f->options, &f->a.user);
	if (!f->a.ch)
		return;
	WAIT_FOR(f, (f->a.ready && f->b.ready) || f->a.closed);
	if (f->a.ch && f->b.ch) {
		int to = channel_send(f->a.ch, FRAME_APPEND, 1, NULL, &body, 1);
		int fro = channel_send(f->b.ch, FRAME_FRAGMENT, 1, NULL, &body, 1);
		assert_true(to == 0 || to == -ENOMEM);
		assert_true(fro == 0 || fro == -ENOMEM);
		if (to == 0 && fro == 0)
			WAIT_FOR(f, over(f));
		if (f->a.frames && f->b.frames)
			whole++;
	}
	close_both(f);
	WAIT_FOR(f, link_listener_counts(f->listener).channels == 0);
	assert_int_equal(f->a.closed, 1);
	assert_int_equal(f->b.ready, f->b.closed);
}

static void each_allocation_fails(void **state)
{
	struct fixture *f = *state;
	f->config.join = true;
	recorder = identity_of(RECORDER, false);
	body = pattern(100000);
	life(f); /* what is allocated once is */
	assert_int_equal(whole, 1);
	alloc_fail_sweep(life, f);
	alloc_fail_stop();
	assert_true(lives > 20);
	unsigned before = whole;
	life(f);
	assert_int_equal(whole, before + 1);
	slice_drop(&body);
	tls_identity_unref(&recorder);
}

static void load(void *user)
{
	char why[256];
	struct tls_identity *id = NULL;
	const struct tls_files *files = user;
	int rc = tls_identity_load(files, &id, why, sizeof(why));
	assert_true(rc == 0 || rc == -ENOMEM || rc == ERR_TLS);
	assert_true((id != NULL) == (rc == 0));
	tls_identity_unref(&id);
}

static void loading_an_identity(void **state)
{
	(void)state;
	struct tls_files files = {.ca = file_of("ca.crt"),
		.cert = file_of("node1.crt"),
		.key = file_of("node1.key"),
		.crl = file_of("crl.pem")};
	alloc_fail_sweep(load, &files);
}

static void listen_once(void *user)
{
	struct fixture *f = user;
	struct link_listener *l = NULL;
	char why[256];
	int rc = link_listen(&f->loop, "127.0.0.1:0", &f->config, &l, why, sizeof(why));
	assert_true((l != NULL) == (rc == 0));
	link_listener_free(&l, NULL);
	uv_run(&f->loop.uv, UV_RUN_NOWAIT);
}

static void listening(void **state)
{
	alloc_fail_sweep(listen_once, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_allocation_fails), TEST(loading_an_identity), TEST(listening)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
