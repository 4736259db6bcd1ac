/* SPDX-License-Identifier: Apache-2.0 */
/* The authority's files are judged by the openssl command, not by our own reading of them. */
#include "proto/pki.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/channel.h"

static char dir[64], why[256];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/steppe-pki-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Runs a command inside the directory, its output in `out`; the exit status. */
static int run(const char *command, char *out, size_t size)
{
	char line[512];
	snprintf(line, sizeof(line), "cd %s && (%s) 2>&1", dir, command);
	FILE *pipe = popen(line, "r");
	assert_non_null(pipe);
	size_t len = fread(out, 1, size - 1, pipe);
	out[len] = '\0';
	return pclose(pipe);
}

static char out[8192];
#define RUN(command) run(command, out, sizeof(out))

static int issue(const char *name, unsigned roles)
{
	const struct pki_issue what = {.name = name, .roles = roles};
	return pki_issue(dir, &what, why, sizeof(why));
}

static mode_t mode_of(const char *name)
{
	char path[160];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void an_authority(void **state)
{
	(void)state;
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	assert_int_equal(mode_of("ca.key"), 0600);
	assert_int_equal(RUN("openssl verify -x509_strict -CAfile ca.crt ca.crt"), 0);
	assert_int_equal(RUN("openssl x509 -in ca.crt -noout -text"), 0);
	assert_non_null(strstr(out, "Subject: CN = Steppe CA east"));
	assert_non_null(strstr(out, "CA:TRUE, pathlen:0"));
	assert_non_null(strstr(out, "NIST CURVE: P-256"));
	assert_int_equal(RUN("openssl crl -in crl.pem -CAfile ca.crt -noout -text"), 0);
	assert_non_null(strstr(out, "No Revoked Certificates"));
	/* never twice */
	assert_int_equal(RUN("sha256sum ca.key ca.crt > before"), 0);
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), -EEXIST);
	assert_non_null(strstr(why, "already"));
	assert_int_equal(RUN("sha256sum -c before"), 0);
}

static void leaves(void **state)
{
	(void)state;
	assert_int_equal(issue("node1", ROLE_NODE), -ENOENT);
	assert_non_null(strstr(why, "steppe pki init"));
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	assert_int_equal(issue("node1", ROLE_NODE | ROLE_ADMIN), 0);
	assert_int_equal(mode_of("node1.key"), 0600);
	assert_int_equal(
		RUN("openssl verify -x509_strict -purpose sslserver -CAfile ca.crt node1.crt"), 0);
	assert_int_equal(RUN("openssl verify -x509_strict -purpose sslclient -crl_check -CRLfile "
			     "crl.pem -CAfile ca.crt node1.crt"),
		0);
	assert_int_equal(RUN("openssl x509 -in node1.crt -noout -text"), 0);
	assert_non_null(strstr(out, "URI:steppe:role:node, URI:steppe:role:admin, DNS:localhost, "
				    "IP Address:127.0.0.1"));
	/* key and certificate belong together */
	assert_int_equal(RUN("test \"$(openssl pkey -in node1.key -pubout)\" = \"$(openssl x509 "
			     "-in node1.crt -noout -pubkey)\""),
		0);
	assert_int_equal(RUN("grep -c ' node1 node,admin .* valid$' serials.txt"), 0);
	/* 397 days, to the second */
	assert_int_equal(RUN("openssl x509 -in node1.crt -noout -checkend $((396 * 86400))"), 0);
	assert_int_not_equal(
		RUN("openssl x509 -in node1.crt -noout -checkend $((398 * 86400))"), 0);
	const char *const hosts[] = {"cam-store-1.example", "10.1.2.3", "fd00::7", NULL};
	const struct pki_issue what = {
		.name = "node2", .roles = ROLE_NODE, .days = 30, .hosts = hosts};
	assert_int_equal(pki_issue(dir, &what, why, sizeof(why)), 0);
	assert_int_equal(RUN("openssl x509 -in node2.crt -noout -ext subjectAltName"), 0);
	assert_non_null(strstr(out,
		"DNS:cam-store-1.example, IP Address:10.1.2.3, IP Address:FD00:0:0:0:0:0:0:7"));
	assert_int_equal(issue("rec-7", ROLE_RECORDER), 0);
	assert_int_equal(RUN("openssl x509 -in rec-7.crt -noout -ext subjectAltName"), 0);
	assert_null(strstr(out, "localhost"));
}

static void refused_input(void **state)
{
	(void)state;
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	static const char *const names[] = {"", ".x", "../x", "a/b", "a b", "ca",
		"x,URI:steppe:role:admin",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(issue(names[i], ROLE_NODE), -EINVAL);
	assert_int_equal(issue("x", 0), -EINVAL);
	/* a host must not smuggle a role in */
	const char *const hosts[] = {"a,URI:steppe:role:admin", NULL};
	const struct pki_issue smuggled = {.name = "x", .roles = ROLE_RECORDER, .hosts = hosts};
	assert_int_equal(pki_issue(dir, &smuggled, why, sizeof(why)), -EINVAL);
	const struct pki_issue for_ever = {.name = "x", .roles = ROLE_RECORDER, .days = 7306};
	assert_int_equal(pki_issue(dir, &for_ever, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "the CA itself ends on"));
	assert_int_equal(pki_renew(dir, "x", 0, why, sizeof(why)), -ENOENT);
	assert_int_equal(pki_revoke(dir, "x", why, sizeof(why)), -ENOENT);
	assert_int_equal(pki_init("/nonexistent/dir", "x", why, sizeof(why)), -ENOENT);
	assert_int_not_equal(RUN("test -e x.crt"), 0);
}

static void renewal(void **state)
{
	(void)state;
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	const char *const hosts[] = {"cam-store-1.example", "fd00::7", NULL};
	const struct pki_issue what = {
		.name = "node2", .roles = ROLE_NODE, .days = 30, .hosts = hosts};
	assert_int_equal(pki_issue(dir, &what, why, sizeof(why)), 0);
	assert_int_equal(RUN("cp node2.crt old.crt && sha256sum node2.key > before"), 0);
	assert_int_equal(pki_renew(dir, "node2", 60, why, sizeof(why)), 0);
	assert_int_equal(RUN("sha256sum -c before"), 0);
	assert_int_equal(RUN("openssl verify -CAfile ca.crt node2.crt old.crt"), 0);
	assert_int_equal(RUN("test $(openssl x509 -in old.crt -noout -serial) != $(openssl x509 "
			     "-in node2.crt -noout -serial)"),
		0);
	assert_int_equal(RUN("test \"$(openssl x509 -in old.crt -noout -ext subjectAltName)\" = "
			     "\"$(openssl x509 -in node2.crt -noout -ext subjectAltName)\""),
		0);
	assert_int_equal(RUN("openssl x509 -in node2.crt -noout -checkend $((59 * 86400))"), 0);
	assert_int_equal(RUN("test $(grep -c ' node2 node .* valid$' serials.txt) = 2"), 0);
}

static void revocation(void **state)
{
	(void)state;
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	assert_int_equal(issue("rec-7", ROLE_RECORDER), 0);
	assert_int_equal(issue("rec-8", ROLE_RECORDER), 0);
	assert_int_equal(RUN("cp rec-7.crt old.crt"), 0);
	assert_int_equal(pki_renew(dir, "rec-7", 0, why, sizeof(why)), 0);
	assert_int_equal(pki_revoke(dir, "rec-7", why, sizeof(why)), 0);
	static const char verify[] = "openssl verify -crl_check -CRLfile crl.pem -CAfile ca.crt %s";
	char command[128];
	snprintf(command, sizeof(command), verify, "rec-7.crt");
	assert_int_not_equal(RUN(command), 0);
	assert_non_null(strstr(out, "certificate revoked"));
	snprintf(command, sizeof(command), verify, "old.crt");
	assert_int_not_equal(RUN(command), 0);
	snprintf(command, sizeof(command), verify, "rec-8.crt");
	assert_int_equal(RUN(command), 0);
	/* a crash between the list of serials and the published one: revoking again publishes it */
	assert_int_equal(RUN("rm crl.pem"), 0);
	assert_int_equal(pki_revoke(dir, "rec-7", why, sizeof(why)), 0);
	snprintf(command, sizeof(command), verify, "rec-7.crt");
	assert_int_not_equal(RUN(command), 0);
	assert_non_null(strstr(out, "certificate revoked"));
	/* the name may be used again; what was revoked stays so */
	assert_int_equal(issue("rec-7", ROLE_RECORDER), 0);
	assert_int_equal(RUN(command), 0);
}

static void damage(void **state)
{
	(void)state;
	/* what a crashed init leaves is completed */
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	assert_int_equal(
		RUN("sha256sum ca.key > before; rm ca.crt crl.pem; echo half > .ca.crt.part"), 0);
	assert_int_equal(pki_init(dir, "east", why, sizeof(why)), 0);
	assert_int_equal(RUN("sha256sum -c before && openssl verify -CAfile ca.crt ca.crt"), 0);
	assert_int_not_equal(RUN("test -e .ca.crt.part"), 0);
	/* a list that is not ours is not written over */
	assert_int_equal(RUN("cp serials.txt keep; echo 'something else' >> serials.txt"), 0);
	assert_int_equal(issue("x", ROLE_ADMIN), ERR_FORMAT);
	assert_non_null(strstr(why, "serials.txt line 2"));
	assert_int_equal(RUN("cp keep serials.txt; openssl ecparam -name prime256v1 -genkey -noout "
			     "-out ca.key"),
		0);
	assert_int_equal(issue("x", ROLE_ADMIN), ERR_FORMAT);
	assert_non_null(strstr(why, "do not belong together"));
	/* one process at a time */
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(issue("x", ROLE_ADMIN), -EWOULDBLOCK);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(an_authority), TEST(leaves), TEST(refused_input),
		TEST(renewal), TEST(revocation), TEST(damage)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
