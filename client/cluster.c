/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cluster.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "base/loop_uv.h"
#include "proto/link.h"

struct steppe {
	struct core core;
	struct loop_uv loop;
	struct worker *worker;
	struct tls_identity *identity;
	struct link_hello hello;
	char software[128];
	bool own_loop, loop_made, core_made, stopped;
	pthread_t thread;
	struct loop_task stop, core_stopped;
};

struct core *cluster_core(struct steppe *s)
{
	return &s->core;
}

void cluster_post(struct steppe *s, struct loop_task *task)
{
	loop_post(&s->loop.loop, task);
}

/* --- life --- */

static struct channel *dial(void *owner, const char *address, struct channel_user *user)
{
	struct steppe *s = owner;
	const struct link_options options = {.expect_roles = ROLE_NODE};
	return link_connect(&s->loop, address, s->identity, &s->hello, &options, user);
}

static void *run(void *arg)
{
	struct steppe *s = arg;
	loop_uv_run(&s->loop);
	return NULL;
}

static void free_all(struct steppe **slot)
{
	struct steppe *s = *slot;
	*slot = NULL;
	worker_free(&s->worker);
	if (s->core_made)
		core_fini(&s->core);
	if (s->loop_made)
		loop_uv_fini(&s->loop);
	tls_identity_unref(&s->identity);
	free(s);
}

static int load_identity(
	struct steppe *s, const struct steppe_options *o, char *why, size_t why_size)
{
	if (!o->ca || !o->cert || !o->key) {
		snprintf(why, why_size, "a CA, a certificate and a key are needed");
		return ERR_CONFIG;
	}
	const struct tls_files files = {.ca = o->ca, .cert = o->cert, .key = o->key};
	return tls_identity_load(&files, &s->identity, why, why_size);
}

static int set_up(struct steppe *s, const struct steppe_options *o, char *why, size_t why_size)
{
	int rc = load_identity(s, o, why, why_size);
	if (rc < 0)
		return rc;
	rc = loop_uv_init(&s->loop);
	if (rc < 0)
		return rc;
	s->loop_made = true;
	rc = worker_new(&s->loop.loop, true, &s->worker);
	if (rc < 0)
		return rc;
	snprintf(s->software, sizeof(s->software), "%s libsteppe %s", o->name ? o->name : "program",
		steppe_version());
	const struct router_ops ops = {.dial = dial, .owner = s};
	rc = core_init(&s->core, &s->loop.loop, &ops, o->addresses, s->worker);
	if (rc == -EINVAL)
		snprintf(why, why_size, "addresses must be given as host:port");
	if (rc < 0)
		return rc == -EINVAL ? ERR_CONFIG : rc;
	s->core_made = true;
	s->core.log = o->log;
	s->core.log_user = o->log_user;
	s->hello = (struct link_hello){.software = s->software, .boot_nonce = s->core.boot_nonce};
	return 0;
}

/* The program's signals are not for threads of a library. */
static int start_thread(struct steppe *s)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = -pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int steppe_open(const struct steppe_options *options, struct steppe **ret_steppe, char *why,
	size_t why_size)
{
	char nowhere[1];
	if (!why || why_size == 0) {
		why = nowhere;
		why_size = sizeof(nowhere);
	}
	why[0] = '\0';
	struct steppe_options o = STEPPE_INIT(steppe_options);
	if (options->size < offsetof(struct steppe_options, own_loop)) {
		snprintf(why, why_size, "the options' size is not set");
		return -EINVAL;
	}
	memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	struct steppe *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->own_loop = o.own_loop;
	int rc = set_up(s, &o, why, why_size);
	if (rc == 0 && !s->own_loop)
		rc = start_thread(s);
	if (rc < 0) {
		if (!why[0])
			snprintf(why, why_size, "%s", err_text(rc));
		free_all(&s);
		return rc;
	}
	*ret_steppe = s;
	return 0;
}

static void on_core_stopped(struct loop_task *task)
{
	struct steppe *s = container_of(task, struct steppe, core_stopped);
	s->stopped = true;
	loop_uv_stop(&s->loop);
}

static void on_stop(struct loop_task *task)
{
	struct steppe *s = container_of(task, struct steppe, stop);
	s->core_stopped.run = on_core_stopped;
	core_stop(&s->core, &s->core_stopped);
}

void steppe_close(struct steppe **slot)
{
	struct steppe *s = *slot;
	if (!s)
		return;
	s->stop.run = on_stop;
	cluster_post(s, &s->stop);
	if (s->own_loop)
		while (!s->stopped)
			uv_run(&s->loop.uv, UV_RUN_ONCE);
	else
		pthread_join(s->thread, NULL);
	free_all(slot);
}

/* --- driven by the caller --- */

int steppe_fd(struct steppe *s)
{
	return uv_backend_fd(&s->loop.uv);
}

int steppe_timeout_ms(struct steppe *s)
{
	return uv_backend_timeout(&s->loop.uv);
}

void steppe_step(struct steppe *s)
{
	if (s->own_loop)
		uv_run(&s->loop.uv, UV_RUN_NOWAIT);
}

/* --- blocking --- */

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool answered;
	int status;
	struct refused refused;
};

bool cluster_may_block(struct core *core)
{
	struct steppe *s = container_of(core, struct steppe, core);
	return !s->own_loop && !pthread_equal(pthread_self(), s->thread);
}

struct waiter *waiter_new(struct core *core, int *ret_why)
{
	refused_remember(NULL);
	if (!cluster_may_block(core)) {
		*ret_why = -EDEADLK;
		return NULL;
	}
	struct waiter *w = calloc(1, sizeof(*w));
	if (!w) {
		*ret_why = -ENOMEM;
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	return w;
}

void waiter_wake(struct waiter *w, int status, const struct refused *refused)
{
	pthread_mutex_lock(&w->lock);
	w->answered = true;
	w->status = status;
	if (refused)
		w->refused = *refused;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

int waiter_wait(struct waiter **slot)
{
	struct waiter *w = *slot;
	pthread_mutex_lock(&w->lock);
	while (!w->answered)
		pthread_cond_wait(&w->wake, &w->lock);
	pthread_mutex_unlock(&w->lock);
	*slot = NULL;
	int status = w->status;
	if (status == ERR_REFUSED)
		refused_remember(&w->refused);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return status;
}
