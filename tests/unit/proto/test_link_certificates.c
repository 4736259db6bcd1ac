/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, who is told why not, and what a change of identity does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/pki.h"
#include "tests/unit/proto/link_fixture.h"

/* Dials as `who` and expects both sides to say why nothing comes of it. */
static void expect_refused(struct fixture *f, enum party who, const char *here, const char *there)
{
	unsigned failed = f->failed;
	dial_as(f, who);
	WAIT_FOR(f, f->a.closed && f->failed > failed);
	assert_int_equal(f->a.status, ERR_TLS);
	assert_int_equal(f->a.ready + f->b.ready, 0);
	if (!strstr(f->failure, here))
		fail_msg("the daemon says: %s", f->failure);
	if (!strstr(f->a.words, there))
		fail_msg("the dialing side says: %s", f->a.words);
	WAIT_FOR(f, link_listener_counts(f->listener).channels == 0);
	assert_int_equal(link_listener_counts(f->listener).handshakes, 0);
	assert_int_equal(f->accepted, 0);
}

static void bad_certificates(void **state)
{
	struct fixture *f = *state;
	expect_refused(
		f, EXPIRED, "the certificate of \"expired\" has expired on 20", "it has expired");
	expect_refused(f, REVOKED, "the certificate of \"revoked\" is revoked", "it is revoked");
	expect_refused(f, FOREIGN,
		"the certificate of \"foreign\" is from a CA that is not trusted here",
		"its CA is not trusted there");
	expect_refused(f, NO_ROLE, "the certificate of \"no-role\" has no role",
		"its role may not do this");
	assert_int_equal(f->failed, 4);
}

static void bad_daemons(void **state)
{
	struct fixture *f = *state;
	/* a recorder's certificate does not make a daemon */
	listen_as(f, RECORDER);
	dial_as(f, RECORDER);
	WAIT_FOR(f, f->a.closed && f->failed);
	assert_int_equal(f->a.status, ERR_TLS);
	assert_non_null(strstr(f->a.words, "\"rec-7\" has the role recorder where node is needed"));
	assert_non_null(strstr(f->failure, "refused our certificate"));
	f->failed = 0;
	listen_as(f, FOREIGN);
	dial_as(f, RECORDER);
	WAIT_FOR(f, f->a.closed && f->failed);
	assert_non_null(strstr(f->a.words, "\"foreign\" is from a CA that is not trusted here"));
}

static void a_missing_list_revokes_nobody(void **state)
{
	struct fixture *f = *state;
	link_listener_free(&f->listener, NULL);
	tls_identity_unref(&f->config.id);
	f->config.id = identity_of(NODE, false);
	listen_again(f);
	dial_as(f, REVOKED);
	WAIT_FOR(f, (f->a.ready && f->b.ready) || f->a.closed);
	assert_int_equal(f->a.closed, 0);
}

static void resumption(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	/* the ticket comes with the daemon's first bytes */
	send_pattern(&f->b, FRAME_ACK, 1);
	WAIT_FOR(f, f->a.frames);
	close_both(f);
	assert_int_equal(link_listener_counts(f->listener).resumed, 0);
	connect_both(f);
	assert_int_equal(link_listener_counts(f->listener).resumed, 1);
	/* who it is comes with the session */
	assert_string_equal(f->b.ch->identity.name, "rec-7");
	assert_int_equal(f->b.ch->identity.roles, ROLE_RECORDER);
	assert_string_equal(f->a.ch->identity.name, "node1");
	send_pattern(&f->b, FRAME_ACK, 1);
	WAIT_FOR(f, f->a.frames);
	close_both(f);
	/* a new identity has new keys for tickets, so everyone is judged anew */
	struct tls_identity *id = identity_of(NODE, true);
	link_listener_set_identity(f->listener, id);
	tls_identity_unref(&f->config.id);
	f->config.id = id;
	connect_both(f);
	assert_int_equal(link_listener_counts(f->listener).accepted, 3);
	assert_int_equal(link_listener_counts(f->listener).resumed, 1);
}

static void another_identity_while_running(void **state)
{
	struct fixture *f = *state;
	connect_both(f);
	struct tls_identity *id = identity_of(NODE2, true);
	link_listener_set_identity(f->listener, id);
	tls_identity_unref(&f->config.id);
	f->config.id = id;
	/* channels that are there go on */
	send_pattern(&f->a, FRAME_APPEND, 100000);
	WAIT_FOR(f, f->b.frames == 1);
	close_both(f);
	connect_both(f);
	assert_string_equal(f->a.ch->identity.name, "node2");
}

/* What docs/operate/certificates.md says to do with an authority that is there already, with an
 * intermediate. */
static void another_authority(void **state)
{
	struct fixture *f = *state;
	char command[2048], why[256] = "";
	snprintf(command, sizeof(command),
		"mkdir %s && cd %s && exec >/dev/null 2>&1 && "
		"K='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
		"printf 'basicConstraints=critical,CA:TRUE\n' > inner.ext && "
		"openssl req -x509 $K -days 30 -subj '/CN=Our root' -keyout root.key -out root.crt "
		"&& "
		"openssl req -new $K -subj '/CN=Our video CA' -keyout inner.key -out inner.csr && "
		"openssl x509 -req -in inner.csr -CA root.crt -CAkey root.key -CAcreateserial "
		"-days 30 "
		"-extfile inner.ext -out inner.crt && for ROLE in node recorder; do "
		"openssl req -new $K -subj /CN=$ROLE -keyout $ROLE.key -out $ROLE.csr && "
		"printf "
		"'subjectAltName=URI:steppe:role:%%s\nextendedKeyUsage=serverAuth,clientAuth\n' "
		"$ROLE > role.ext && "
		"openssl x509 -req -in $ROLE.csr -CA inner.crt -CAkey inner.key -CAcreateserial "
		"-days 30 "
		"-extfile role.ext -out leaf.crt && cat leaf.crt inner.crt > $ROLE.crt || exit 1; "
		"done",
		file_of("own"), file_of("own"));
	assert_int_equal(system(command), 0);
	struct tls_files node = {
		file_of("own/root.crt"), file_of("own/node.crt"), file_of("own/node.key"), NULL};
	struct tls_files recorder = {
		node.ca, file_of("own/recorder.crt"), file_of("own/recorder.key"), NULL};
	struct tls_identity *id = NULL, *dialing = NULL;
	assert_int_equal(tls_identity_load(&node, &id, why, sizeof(why)), 0);
	assert_int_equal(tls_identity_load(&recorder, &dialing, why, sizeof(why)), 0);
	link_listener_set_identity(f->listener, id);
	tls_identity_unref(&id);
	const struct link_hello hello = {.software = "test"};
	f->a.ch = link_connect(&f->loop, link_listener_address(f->listener), dialing, &hello,
		&f->options, &f->a.user);
	WAIT_FOR(f, (f->a.ready && f->b.ready) || f->a.closed);
	assert_int_equal(f->a.closed, 0);
	assert_string_equal(f->b.ch->identity.name, "recorder");
	assert_int_equal(f->b.ch->identity.roles, ROLE_RECORDER);
	tls_identity_unref(&dialing);
}

static void files_that_cannot_be_used(void **state)
{
	(void)state;
	char why[256] = "";
	struct tls_identity *id = NULL;
	const struct {
		struct tls_files files;
		const char *words;
	} bad[] = {
		{{file_of("none.crt"), file_of("node1.crt"), file_of("node1.key"), NULL},
			"cannot use the CA certificate"},
		{{"/dev/null", "/dev/null", "/dev/null", NULL}, "cannot use the CA certificate"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(tls_identity_load(&bad[i].files, &id, why, sizeof(why)) < 0);
		assert_non_null(strstr(why, bad[i].words));
	}
	struct tls_files files = {
		file_of("ca.crt"), file_of("node2.crt"), file_of("node1.key"), NULL};
	assert_int_equal(tls_identity_load(&files, &id, why, sizeof(why)), ERR_TLS);
	assert_non_null(strstr(why, "node1.key"));
	files = (struct tls_files){
		file_of("ca.crt"), file_of("none.crt"), file_of("node1.key"), NULL};
	assert_int_equal(tls_identity_load(&files, &id, why, sizeof(why)), ERR_TLS);
	assert_non_null(strstr(why, "No such file"));
	files = (struct tls_files){file_of("ca.crt"), file_of("node1.crt"), file_of("node1.key"),
		file_of("node1.key")};
	assert_int_equal(tls_identity_load(&files, &id, why, sizeof(why)), ERR_TLS);
	assert_non_null(strstr(why, "revocation list"));
	assert_null(id);
	files.crl = file_of("none.pem");
	assert_int_equal(tls_identity_load(&files, &id, why, sizeof(why)), 0);
	struct tls_own own;
	tls_identity_own(id, &own);
	assert_string_equal(own.name, "node1");
	assert_int_equal(own.roles, ROLE_NODE);
	int64_t days = own.ends.us / US_PER_DAY - time(NULL) / 86400;
	assert_in_range(days, 396, 397);
	tls_identity_unref(&id);
	tls_identity_unref(&id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(bad_certificates), TEST(bad_daemons),
		TEST(a_missing_list_revokes_nobody), TEST(resumption),
		TEST(another_identity_while_running), TEST(another_authority),
		TEST(files_that_cannot_be_used)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
