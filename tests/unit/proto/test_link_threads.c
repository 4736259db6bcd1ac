/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads meet: two loops share an address and an identity, two others dial with one identity
 * (and its sessions), bodies are handed from thread to thread, and the identity is replaced
 * meanwhile. For the thread sanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/unit/proto/link_fixture.h"

#define DIALS 20 /* of each dialing thread, one after the other */

/* A thread with a loop; it listens or dials. */
struct worker {
	struct loop_uv loop;
	pthread_t thread;
	struct tls_identity *id;
	struct loop_task stop, swap;
	/* who listens */
	struct link_listener *listener;
	struct channel_user echo; /* shared by all channels of the loop */
	unsigned channels;
	bool stopping;
	/* who dials */
	const char *address;
	struct channel_user user;
	unsigned dialed, answered;
};

static struct slice body;

static void nothing(struct channel *ch, struct channel_user *user)
{
	(void)ch;
	(void)user;
}

/* --- listening */

static void echo_ready(
	struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)peer;
	container_of(user, struct worker, echo)->channels++;
}

static void echo_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	(void)user;
	CHECK(channel_send(ch, FRAME_FRAGMENT, frame->header.stream, NULL, &frame->body, 1) == 0);
}

static void stop_if_idle(struct worker *w)
{
	if (w->stopping && !w->channels)
		loop_uv_stop(&w->loop);
}

static void echo_closed(
	struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	(void)status;
	(void)words;
	struct worker *w = container_of(user, struct worker, echo);
	w->channels--;
	stop_if_idle(w);
}

static struct channel_user *accepted(struct link_listener *l, void *owner, struct channel *ch)
{
	(void)l;
	(void)ch;
	return &((struct worker *)owner)->echo;
}

static void on_stop(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, stop);
	link_listener_free(&w->listener, NULL);
	w->stopping = true;
	stop_if_idle(w);
}

/* SIGHUP, as a daemon passes it on to its loops. */
static void on_swap(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, swap);
	struct tls_identity *id = identity_of(NODE2, true);
	link_listener_set_identity(w->listener, id);
	tls_identity_unref(&id);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	loop_uv_run(&w->loop);
	return NULL;
}

/* --- dialing */

static void dial(struct worker *w)
{
	static const struct link_hello hello = {.software = "test"};
	static const struct link_options options = {.expect_roles = ROLE_NODE};
	w->dialed++;
	CHECK(link_connect(&w->loop, w->address, w->id, &hello, &options, &w->user) != NULL);
}

static void dial_ready(
	struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)user;
	(void)peer;
	CHECK(channel_send(ch, FRAME_APPEND, 1, NULL, &body, 1) == 0);
}

static void dial_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	CHECK(frame->body.len == body.len && memcmp(frame->body.data, body.data, body.len) == 0);
	container_of(user, struct worker, user)->answered++;
	channel_close(ch);
}

static void dial_closed(
	struct channel *ch, struct channel_user *user, int status, const char *words)
{
	(void)ch;
	struct worker *w = container_of(user, struct worker, user);
	if (status < 0)
		fprintf(stderr, "dial %u: %s\n", w->dialed, words);
	if (w->dialed < DIALS)
		dial(w);
	else
		loop_uv_stop(&w->loop);
}

static void *run_dials(void *arg)
{
	dial(arg);
	return run(arg);
}

/* --- together */

static void worker_init(struct worker *w, struct tls_identity *id)
{
	*w = (struct worker){.stop = {.run = on_stop},
		.swap = {.run = on_swap},
		.echo = {.ready = echo_ready,
			.frame = echo_frame,
			.drained = nothing,
			.closed = echo_closed},
		.user = {.ready = dial_ready,
			.frame = dial_frame,
			.drained = nothing,
			.closed = dial_closed}};
	w->id = tls_identity_ref(id);
	assert_int_equal(loop_uv_init(&w->loop), 0);
}

static void worker_fini(struct worker *w)
{
	loop_uv_fini(&w->loop);
	tls_identity_unref(&w->id);
}

static void loops_share_what_they_may(void **state)
{
	(void)state;
	static struct worker listening[2], dialing[2];
	struct tls_identity *node = identity_of(NODE, true),
			    *recorder = identity_of(RECORDER, true);
	char address[64] = "127.0.0.1:0", why[256] = "";
	body = pattern(200000);
	for (int i = 0; i < 2; i++) {
		struct worker *w = &listening[i];
		worker_init(w, node);
		struct link_listener_config config = {.id = node,
			.hello = {.software = "test", .node = "node1"},
			.accepted = accepted,
			.owner = w,
			.join = i > 0};
		if (link_listen(&w->loop, address, &config, &w->listener, why, sizeof(why)) < 0)
			fail_msg("%s", why);
		snprintf(address, sizeof(address), "%s", link_listener_address(w->listener));
		assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
	}
	for (int i = 0; i < 2; i++) {
		worker_init(&dialing[i], recorder);
		dialing[i].address = address;
		assert_int_equal(
			pthread_create(&dialing[i].thread, NULL, run_dials, &dialing[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		loop_post(&listening[i].loop.loop, &listening[i].swap);
	for (int i = 0; i < 2; i++) {
		pthread_join(dialing[i].thread, NULL);
		assert_int_equal(dialing[i].answered, DIALS);
		worker_fini(&dialing[i]);
	}
	for (int i = 0; i < 2; i++) {
		loop_post(&listening[i].loop.loop, &listening[i].stop);
		pthread_join(listening[i].thread, NULL);
		worker_fini(&listening[i]);
	}
	slice_drop(&body);
	tls_identity_unref(&node);
	tls_identity_unref(&recorder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(loops_share_what_they_may)};
	return cmocka_run_group_tests(tests, link_group_setup, link_group_teardown);
}
