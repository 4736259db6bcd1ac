/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/proto/link_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/pki.h"
#include "proto/pki_x509.h"

static char dir[64];
static struct tls_identity *identities[PARTIES];

static const char *const names[PARTIES] = {
	"node1", "node2", "rec-7", "expired", "revoked", "no-role", "foreign/foreign"};

const char *file_of(const char *name)
{
	static _Thread_local char paths[8][160];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* --- certificates */

static char *read_file(const char *name)
{
	char *text = NULL;
	size_t len = 0;
	FILE *in = fopen(file_of(name), "r");
	assert_non_null(in);
	assert_true(getdelim(&text, &len, 0, in) > 0);
	fclose(in);
	return text;
}

static void write_file(const char *name, const char *text)
{
	FILE *out = fopen(file_of(name), "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

/* What pki.h would not issue. */
static void issue_odd(const char *name, unsigned roles, int64_t from_s, int64_t to_s)
{
	static const char *const hosts[] = {"localhost", NULL};
	struct x509_leaf leaf = {
		.name = name, .roles = roles, .hosts = hosts, .from_s = from_s, .to_s = to_s};
	char *ca = read_file("ca.crt"), *ca_key = read_file("ca.key"), *key = NULL, *cert = NULL,
	     file[64];
	char serial[X509_SERIAL_MAX];
	struct x509_signer *signer = NULL;
	assert_int_equal(x509_signer_load(ca, ca_key, &signer), 0);
	assert_int_equal(x509_key_new(&key), 0);
	assert_int_equal(x509_sign_leaf(signer, &leaf, key, serial, &cert), 0);
	snprintf(file, sizeof(file), "%s.crt", name);
	write_file(file, cert);
	snprintf(file, sizeof(file), "%s.key", name);
	write_file(file, key);
	x509_signer_free(&signer);
	free(ca);
	free(ca_key);
	free(key);
	free(cert);
}

static void issue(const char *where, const char *name, unsigned roles)
{
	char why[256] = "";
	const struct pki_issue what = {.name = name, .roles = roles};
	if (pki_issue(where, &what, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

int link_group_setup(void **state)
{
	(void)state;
	char why[256] = "";
	int64_t now_s = (int64_t)time(NULL);
	snprintf(dir, sizeof(dir), "/tmp/steppe-link-XXXXXX");
	if (!mkdtemp(dir) || pki_init(dir, "test", why, sizeof(why)) < 0)
		return -1;
	issue(dir, "node1", ROLE_NODE);
	issue(dir, "node2", ROLE_NODE);
	issue(dir, "rec-7", ROLE_RECORDER);
	issue(dir, "revoked", ROLE_RECORDER);
	issue_odd("expired", ROLE_RECORDER, now_s - 7200, now_s - 3600);
	issue_odd("no-role", 0, now_s - 3600, now_s + 3600);
	if (pki_revoke(dir, "revoked", why, sizeof(why)) < 0 ||
		pki_init(file_of("foreign"), "other", why, sizeof(why)) < 0)
		return -1;
	issue(file_of("foreign"), "foreign", ROLE_RECORDER | ROLE_NODE);
	return 0;
}

int link_group_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < PARTIES; i++)
		tls_identity_unref(&identities[i]);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

struct tls_identity *identity_of(enum party who, bool crl)
{
	char cert[160], key[160], why[256] = "";
	snprintf(cert, sizeof(cert), "%s/%s.crt", dir, names[who]);
	snprintf(key, sizeof(key), "%s/%s.key", dir, names[who]);
	struct tls_files files = {.ca = file_of("ca.crt"),
		.cert = cert,
		.key = key,
		.crl = crl ? file_of("crl.pem") : NULL};
	struct tls_identity *id = NULL;
	if (tls_identity_load(&files, &id, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	return id;
}

/* --- users */

static struct seen *seen_of(struct channel_user *user)
{
	return container_of(user, struct seen, user);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_ptr_equal(ch, s->ch);
	assert_int_equal(s->ready + s->closed, 0);
	s->ready++;
	s->last_peer_is_node = peer->node[0] != '\0';
	if (s->close_on_ready)
		channel_close(ch);
}

static void note_refusal(struct seen *s, const struct frame *frame)
{
	Steppe__Wire__Refused *refused =
		steppe__wire__refused__unpack(NULL, frame->header.meta_len, frame->meta);
	assert_non_null(refused);
	s->last_refusal = refused->code;
	steppe__wire__refused__free_unpacked(refused, NULL);
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
	for (size_t i = 0; !s->any_body && i < frame->body.len; i++)
		if (frame->body.data[i] != (uint8_t)i)
			fail_msg("byte %zu of a body of %zu is wrong", i, frame->body.len);
	if (frame->header.type == FRAME_REFUSED)
		note_refusal(s, frame);
	if (s->echo)
		assert_int_equal(channel_send(ch, frame->header.type, frame->header.stream, NULL,
					 &frame->body, frame->body.len ? 1 : 0),
			0);
	if (s->pause_on_frame)
		channel_pause(ch, true);
	if (s->close_on_frame)
		channel_close(ch);
}

static void on_drained(struct channel *ch, struct channel_user *user)
{
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_int_equal(s->closed, 0);
	assert_true(ch->queued_bytes < ch->queue_limit / 2);
	s->drained++;
}

static void on_closed(struct channel *ch, struct channel_user *user, int status, const char *words)
{
	struct seen *s = seen_of(user);
	assert_false(s->inside);
	assert_int_equal(s->closed, 0);
	assert_ptr_equal(ch, s->ch);
	s->closed++;
	s->status = status;
	snprintf(s->words, sizeof(s->words), "%s", words);
	s->ch = NULL;
}

void seen_init(struct seen *s, struct fixture *f)
{
	*s = (struct seen){.user = {.ready = on_ready,
				   .frame = on_frame,
				   .drained = on_drained,
				   .closed = on_closed},
		.f = f};
}

static struct channel_user *on_accepted(struct link_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	struct fixture *f = owner;
	f->accepted++;
	if (f->refuse)
		return NULL;
	f->b.ch = ch;
	return &f->b.user;
}

static void on_failed(struct link_listener *l, void *owner, const char *peer, const char *words)
{
	(void)l;
	struct fixture *f = owner;
	assert_non_null(peer);
	f->failed++;
	snprintf(f->failure, sizeof(f->failure), "%s", words);
}

/* --- the loop */

static void on_guard(struct loop_timer *timer)
{
	container_of(timer, struct fixture, guard)->late = true;
}

void turn(struct fixture *f)
{
	if (!loop_timer_armed(&f->guard) && !f->late)
		loop_timer_start(&f->loop.loop, &f->guard, 10 * NS_PER_SECOND);
	uv_run(&f->loop.uv, UV_RUN_ONCE);
	if (f->late)
		fail_msg("ten seconds passed (a: ready %u closed %u status %d %s; b: ready %u "
			 "closed %u)",
			f->a.ready, f->a.closed, f->a.status, f->a.words, f->b.ready, f->b.closed);
}

static void on_pause_over(struct loop_timer *timer)
{
	timer->fire = NULL;
}

void turn_for(struct fixture *f, int64_t ms)
{
	struct loop_timer pause = {.fire = on_pause_over};
	loop_timer_start(&f->loop.loop, &pause, ms * NS_PER_MS);
	WAIT_FOR(f, !pause.fire);
}

/* --- the fixture */

void listen_again(struct fixture *f)
{
	char why[256] = "";
	if (link_listen(&f->loop, "127.0.0.1:0", &f->config, &f->listener, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

void listen_as(struct fixture *f, enum party who)
{
	link_listener_free(&f->listener, NULL);
	tls_identity_unref(&f->config.id);
	f->config.id = identity_of(who, true);
	listen_again(f);
}

int link_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_int_equal(loop_uv_init(&f->loop), 0);
	f->guard.fire = on_guard;
	seen_init(&f->a, f);
	seen_init(&f->b, f);
	f->config = (struct link_listener_config){
		.hello = {.software = "test", .node = "node1", .format_level = 1},
		.accepted = on_accepted,
		.failed = on_failed,
		.owner = f};
	f->options.expect_roles = ROLE_NODE;
	listen_as(f, NODE);
	*state = f;
	return 0;
}

int link_teardown(void **state)
{
	struct fixture *f = *state;
	close_both(f);
	link_listener_free(&f->listener, NULL);
	tls_identity_unref(&f->config.id);
	loop_timer_stop(&f->guard);
	loop_uv_fini(&f->loop);
	free(f);
	return 0;
}

void dial_to(struct fixture *f, enum party who, const char *address)
{
	static const struct link_hello hello = {.software = "test client"};
	if (!identities[who])
		identities[who] = identity_of(who, true);
	seen_init(&f->a, f);
	f->a.ch = link_connect(&f->loop, address, identities[who], &hello, &f->options, &f->a.user);
	assert_non_null(f->a.ch);
}

void dial_as(struct fixture *f, enum party who)
{
	seen_init(&f->b, f);
	dial_to(f, who, link_listener_address(f->listener));
}

void connect_both(struct fixture *f)
{
	dial_as(f, RECORDER);
	WAIT_FOR(f, (f->a.ready && f->b.ready) || f->a.closed);
	if (f->a.closed)
		fail_msg("%s", f->a.words);
}

void close_both(struct fixture *f)
{
	if (f->a.ch)
		channel_close(f->a.ch);
	if (f->b.ch)
		channel_close(f->b.ch);
	WAIT_FOR(f, !f->a.ch && !f->b.ch);
	loop_timer_stop(&f->guard);
}

struct slice pattern(size_t len)
{
	struct buf *b = buf_new(len);
	assert_non_null(b);
	for (size_t i = 0; i < len; i++)
		b->data[i] = (uint8_t)i;
	return (struct slice){.buf = b, .data = b->data, .len = len};
}

int send_pattern(struct seen *s, uint8_t type, size_t len)
{
	Steppe__Wire__Append meta = STEPPE__WIRE__APPEND__INIT;
	struct slice body = pattern(len);
	s->inside = true;
	int rc = channel_send(s->ch, type, 7, &meta.base, &body, 1);
	s->inside = false;
	slice_drop(&body);
	return rc;
}
