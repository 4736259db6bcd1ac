/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/routing_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "proto/refusal.h"
#include "tests/lib/alloc_fail.h"

#define LIMIT_NS (1000 * NS_PER_SECOND)

struct sim_world world;
struct sim_loop loop;
struct model_net *net;
struct router router;
struct desk desks[DESKS];
struct dialled dials[DIALS_MAX];
size_t dial_count;
bool dial_fails;

static struct sim_loop far;
static bool stopped;
static const char *const addresses[] = {
	"d0:1", "d1:1", "d2:1", "d3:1", "d4:1", "d5:1", "d6:1", "d7:1"};
static const char *const names[] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"};

/* --- the desks' side --- */

struct conn {
	struct list node;
	struct desk *desk;
	struct channel *ch;
	struct channel_user user;
};

static struct conn *of_user(struct channel_user *user)
{
	return container_of(user, struct conn, user);
}

static void on_ready(struct channel *ch, struct channel_user *user, const Steppe__Wire__Hello *peer)
{
	(void)ch;
	(void)user;
	(void)peer;
}

static void redirect(struct conn *c, uint32_t stream)
{
	Steppe__Wire__Redirect m = STEPPE__WIRE__REDIRECT__INIT;
	char *to[DESKS + 1];
	for (; c->desk->redirect[m.n_addresses]; m.n_addresses++)
		to[m.n_addresses] = (char *)(uintptr_t)c->desk->redirect[m.n_addresses];
	m.addresses = to;
	CHECK(channel_send(c->ch, FRAME_REDIRECT, stream, &m.base, NULL, 0) == 0);
}

static void answer(struct conn *c, uint32_t stream)
{
	struct desk *d = c->desk;
	if (d->mute)
		return;
	if (d->hang_up) {
		d->hang_up--;
		channel_close(c->ch);
	} else if (d->redirect) {
		redirect(c, stream);
	} else if (d->refusals) {
		d->refusals -= d->refusals != UINT_MAX;
		CHECK(channel_refuse(c->ch, stream, d->refuse, "as told", d->retry_after_ms) == 0);
	} else {
		for (unsigned i = 0; i < (d->answers ? d->answers : 1); i++)
			CHECK(channel_send(c->ch, FRAME_DAYS_REPLY, stream, NULL, NULL, 0) == 0);
	}
}

static void on_frame(struct channel *ch, struct channel_user *user, const struct frame *frame)
{
	struct conn *c = of_user(user);
	(void)ch;
	alloc_fail_suspend(true);
	if (frame->header.type == FRAME_STOP) {
		c->desk->stops++;
	} else if (frame->header.type == FRAME_MAP) {
		/* desks are no cluster: cameras are found by redirects alone */
		CHECK(channel_refuse(ch, frame->header.stream, REFUSAL_PROTOCOL, NULL, 0) == 0);
	} else {
		CHECK(c->desk->heard < DIALS_MAX);
		c->desk->numbers[c->desk->heard++] = frame->header.stream;
		answer(c, frame->header.stream);
	}
	alloc_fail_suspend(false);
}

static void on_far_closed(
	struct channel *ch, struct channel_user *user, int status, const char *words)
{
	struct conn *c = of_user(user);
	(void)ch;
	(void)status;
	(void)words;
	list_remove(&c->node);
	free(c);
}

static struct channel_user *on_accepted(struct model_listener *l, void *owner, struct channel *ch)
{
	struct desk *d = owner;
	(void)l;
	alloc_fail_suspend(true);
	struct conn *c = calloc(1, sizeof(*c));
	alloc_fail_suspend(false);
	CHECK(c);
	*c = (struct conn){.desk = d, .ch = ch};
	c->user = (struct channel_user){
		.ready = on_ready, .frame = on_frame, .closed = on_far_closed};
	list_append(&d->conns, &c->node);
	d->connections++;
	return &c->user;
}

void desk_listen(struct desk *d)
{
	d->listener = model_listen(net, &far.loop, addresses[d - desks], &d->party, on_accepted);
	CHECK(d->listener);
	model_listener_set_owner(d->listener, d);
}

void desk_unlisten(struct desk *d)
{
	model_listener_free(&d->listener);
}

void desk_reset(struct desk *d)
{
	model_net_reset(net, d->party.name);
}

void desk_hang_up(struct desk *d)
{
	list_each (node, &d->conns)
		channel_close(list_entry(node, struct conn, node)->ch);
}

/* --- the client's side --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	static const struct model_party party = {
		.name = "client", .roles = ROLE_INVESTIGATOR, .boot_nonce = 5};
	(void)owner;
	CHECK(dial_count < DIALS_MAX);
	unsigned desk = 0;
	while (desk < DESKS && strcmp(address, addresses[desk]) != 0)
		desk++;
	dials[dial_count++] = (struct dialled){.desk = desk, .ns = world.now.ns};
	return dial_fails ? NULL : model_dial(net, &loop.loop, address, &party, user);
}

void routing_begin(uint64_t seed, unsigned known)
{
	const char *configured[DESKS + 1] = {NULL};
	sim_world_init(&world, seed);
	sim_loop_init(&loop, &world);
	sim_loop_init(&far, &world);
	net = model_net_new();
	assert_non_null(net);
	dial_count = 0;
	dial_fails = stopped = false;
	for (unsigned i = 0; i < DESKS; i++) {
		desks[i] = (struct desk){.party = {.name = names[i],
						 .roles = ROLE_NODE,
						 .node = names[i],
						 .boot_nonce = 1}};
		list_init(&desks[i].conns);
		desk_listen(&desks[i]);
		configured[i] = i < known ? addresses[i] : NULL;
	}
	const struct router_ops ops = {.dial = dial};
	assert_int_equal(router_init(&router, &loop.loop, &ops, configured), 0);
}

static void on_stopped(struct loop_task *task)
{
	(void)task;
	stopped = true;
}

static bool is_stopped(void *user)
{
	(void)user;
	return stopped;
}

void routing_finish(void)
{
	struct loop_task task = {.run = on_stopped};
	router_stop(&router, &task);
	assert_true(sim_run_until(&world, is_stopped, NULL, 60 * NS_PER_SECOND));
	router_fini(&router);
	sim_run_for(&world, 60 * NS_PER_SECOND);
	for (unsigned i = 0; i < DESKS; i++)
		assert_true(list_empty(&desks[i].conns));
	model_net_free(&net);
	sim_loop_fini(&far);
	sim_loop_fini(&loop);
	sim_world_fini(&world);
}

/* --- callers --- */

static struct caller *of_exchange(struct exchange *x)
{
	return container_of(x, struct caller, x);
}

static void caller_ready(struct exchange *x)
{
	struct caller *c = of_exchange(x);
	c->ready++;
	int rc = exchange_send(x, FRAME_DAYS, NULL, NULL);
	if (rc == 0)
		return;
	assert_int_equal(rc, -ENOMEM); /* of a test that takes it away */
	exchange_stop(x, true);
	c->lost++;
	c->status = rc;
}

static void caller_frame(struct exchange *x, const struct frame *frame)
{
	struct caller *c = of_exchange(x);
	c->frames++;
	c->refused += frame->header.type == FRAME_REFUSED;
	if (frame->header.type == FRAME_REFUSED)
		assert_true(exchange_is_idle(x));
}

static void caller_lost(struct exchange *x, int status)
{
	struct caller *c = of_exchange(x);
	assert_true(exchange_is_idle(x));
	c->lost++;
	c->status = status;
	if (c->again && !router.stopping)
		exchange_start(&router, x);
}

void caller_pushes(struct caller *c)
{
	struct buf *body = buf_new(CALLER_BULK);
	assert_non_null(body);
	memset(body->data, 0, body->len);
	struct slice slice = slice_of(body, 0, body->len);
	buf_unref(&body);
	while (c->bulk && !exchange_must_wait(&c->x)) {
		assert_int_equal(exchange_send(&c->x, FRAME_DAYS, NULL, &slice), 0);
		c->bulk--;
		c->pushed++;
	}
	slice_drop(&slice);
}

static void caller_drained(struct exchange *x)
{
	of_exchange(x)->drained++;
	caller_pushes(of_exchange(x));
}

static const struct exchange_ops caller_ops = {.ready = caller_ready,
	.frame = caller_frame,
	.lost = caller_lost,
	.drained = caller_drained};

void caller_start(struct caller *c, const char *camera)
{
	c->x.ops = &caller_ops;
	c->x.camera = camera;
	exchange_start(&router, &c->x);
}

struct goal {
	const unsigned *count;
	unsigned at;
};

static bool is_reached(void *user)
{
	struct goal *g = user;
	return *g->count >= g->at;
}

static void wait_for(const unsigned *count, unsigned more)
{
	struct goal g = {.count = count, .at = *count + more};
	if (!sim_run_until(&world, is_reached, &g, LIMIT_NS))
		fail_msg("seed %llu: nothing comes", (unsigned long long)world.seed);
}

void caller_waits_frames(struct caller *c, unsigned more)
{
	wait_for(&c->frames, more);
}

void caller_waits_lost(struct caller *c, unsigned more)
{
	wait_for(&c->lost, more);
}

void desks_clear(void)
{
	for (unsigned i = 0; i < DESKS; i++)
		desks[i].heard = desks[i].stops = 0;
}

unsigned the_desk_that_heard(void)
{
	unsigned which = DESKS;
	for (unsigned i = 0; i < DESKS; i++) {
		if (!desks[i].heard)
			continue;
		assert_int_equal(which, DESKS);
		which = i;
	}
	assert_int_not_equal(which, DESKS);
	return which;
}
