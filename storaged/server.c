/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/errors.h"
#include "storaged/http.h"
#include "storaged/metrics.h"
#include "storaged/server_impl.h"
#include "storaged/version.h"

/* --- signals
 * -----------------------------------------------------------------------------------------------------------------
 */

static void on_stop_task(struct loop_task *task)
{
	server_loop_stop(container_of(task, struct server_loop, stop));
}

void server_stop_loops(struct server *s)
{
	for (unsigned i = 0; i < s->loop_count; i++) {
		s->loops[i].stop.run = on_stop_task;
		loop_post(&s->loops[i].uv.loop, &s->loops[i].stop);
	}
}

static void begin_stop(struct server *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	(void)sd_notify(0, "STOPPING=1"); /* nobody may be listening */
	health_stop(&s->health);
	server_cluster_stop(s);
}

void server_fail(struct server *s, int status, const char *words)
{
	if (s->stopping)
		return;
	s->status = status;
	snprintf(s->why, s->why_size, "%s", words);
	begin_stop(s);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
	struct server *s = handle->data;
	if (s->stopping) {
		log_warn("signal %d again: leaving at once; the next start recovers what is open",
			number);
		_exit(1);
	}
	log_info("stopping signal=%d", number);
	begin_stop(s);
}

static void on_renew(struct loop_task *task)
{
	struct server_loop *l = container_of(task, struct server_loop, renew);
	struct server *s = l->server;
	atomic_store(&l->renewing, false); /* what is set from here on is posted again */
	pthread_mutex_lock(&s->identity_lock);
	struct tls_identity *id = tls_identity_ref(s->identity);
	pthread_mutex_unlock(&s->identity_lock);
	if (l->listener)
		link_listener_set_identity(l->listener, id);
	tls_identity_unref(&id);
}

static int load_identity(
	const struct config *c, struct tls_identity **ret_identity, char *why, size_t why_size)
{
	struct tls_files files = {.ca = c->tls_ca,
		.cert = c->tls_cert,
		.key = c->tls_key,
		.crl = c->tls_crl[0] ? c->tls_crl : NULL};
	return tls_identity_load(&files, ret_identity, why, why_size);
}

/* The log level of the file as it is now; other settings need a restart. */
static void reread_log_level(struct server *s)
{
	struct config fresh;
	char why[512];
	if (!s->config_path || config_init(&fresh))
		return;
	if (config_read(&fresh, s->config_path, why, sizeof(why)))
		log_error("settings not read again why=\"%s\"", why);
	else
		log_set_level(config_log_level(&fresh));
	config_fini(&fresh);
}

static void on_hangup(uv_signal_t *handle, int number)
{
	(void)number;
	struct server *s = handle->data;
	struct tls_identity *identity;
	char why[512];
	reread_log_level(s);
	if (load_identity(s->config, &identity, why, sizeof(why))) {
		log_error("certificates not read again, the old ones stay why=\"%s\"", why);
		return;
	}
	pthread_mutex_lock(&s->identity_lock);
	tls_identity_unref(&s->identity);
	s->identity = identity;
	pthread_mutex_unlock(&s->identity_lock);
	for (unsigned i = 0; i < s->loop_count; i++) {
		if (atomic_exchange(&s->loops[i].renewing, true))
			continue; /* it will take this one */
		s->loops[i].renew.run = on_renew;
		loop_post(&s->loops[i].uv.loop, &s->loops[i].renew);
	}
	log_info("certificates read again cert=%s", s->config->tls_cert);
}

static void watch_signals(struct server *s)
{
	uv_loop_t *loop = &s->loops[0].uv.uv;
	uv_signal_init(loop, &s->term);
	uv_signal_init(loop, &s->interrupt);
	uv_signal_init(loop, &s->hangup);
	s->term.data = s->interrupt.data = s->hangup.data = s;
	uv_signal_start(&s->term, on_stop_signal, SIGTERM);
	uv_signal_start(&s->interrupt, on_stop_signal, SIGINT);
	uv_signal_start(&s->hangup, on_hangup, SIGHUP);
}

/* The handles end with the loop. */
static void unwatch_signals(struct server *s)
{
	uv_close((uv_handle_t *)&s->term, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->hangup, NULL);
}

/* --- life
 * --------------------------------------------------------------------------------------------------------------------
 */

static void on_cluster(struct cluster_open *req)
{
	loop_uv_stop(&container_of(req, struct server, cluster)->loops[0].uv);
}

/* Reads the cluster's id on loop 0, which runs for as long as that takes. */
static int open_cluster(struct server *s, char *why, size_t why_size)
{
	s->cluster.done = on_cluster;
	cluster_open(&s->loops[0].uv.loop, s->loops[0].store, &s->cluster);
	loop_uv_run(&s->loops[0].uv);
	int rc = s->cluster.status;
	if (rc == ERR_VERSION)
		snprintf(why, why_size, "the store was written by a newer Steppe; start that one");
	else if (rc)
		snprintf(why, why_size, "cannot read the cluster's id from the store: %s",
			err_text(rc));
	return rc;
}

static void *run_loop(void *arg)
{
	struct server_loop *l = arg;
	loop_uv_run(&l->uv);
	return NULL;
}

static int start(struct server *s, char *why, size_t why_size)
{
	const struct config *c = s->config;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned loops = c->loops            ? (unsigned)c->loops
			 : cores < 1         ? 1
			 : cores > LOOPS_MAX ? LOOPS_MAX
					     : (unsigned)cores;
	int rc = load_identity(c, &s->identity, why, why_size);
	if (!rc)
		rc = store_backend_open(c->store, &s->backend, why, why_size);
	for (unsigned i = 0; i < loops && !rc; i++)
		rc = server_loop_init(s, i, why, why_size);
	if (!rc)
		rc = open_cluster(s, why, why_size);
	if (rc)
		return rc;
	s->boot_nonce = loop_random(&s->loops[0].uv.loop);
	s->started_us = loop_wall(&s->loops[0].uv.loop).us;
	s->hello = (struct link_hello){.software = STEPPE_SOFTWARE,
		.node = c->node,
		.boot_nonce = s->boot_nonce,
		.format_level = s->cluster.format_level};
	memcpy(s->hello.cluster, s->cluster.id, sizeof(s->hello.cluster));
	for (unsigned i = 0; i < loops && !rc; i++)
		rc = server_loop_start(&s->loops[i], why, why_size);
	for (unsigned i = 1; i < loops && !rc; i++) {
		rc = -pthread_create(&s->loops[i].thread, NULL, run_loop, &s->loops[i]);
		s->loops[i].threaded = !rc;
		if (rc)
			snprintf(why, why_size, "cannot start a thread: %s", err_text(rc));
	}
	return rc;
}

void server_joined(struct server *s)
{
	log_info("started node=%s version=%s store=%s listen=%s http=%s loops=%u", s->config->node,
		STEPPE_VERSION, s->config->store, link_listener_address(s->loops[0].listener),
		s->config->http, s->loop_count);
	(void)sd_notify(0, "READY=1");
}

static int run(struct server *s)
{
	watch_signals(s);
	s->health.loop = &s->loops[0].uv.loop;
	s->health.store = s->loops[0].store;
	s->health.backend = s->backend;
	health_start(&s->health);
	int rc = server_cluster_start(s, s->why, s->why_size);
	if (rc)
		server_fail(s, rc, err_text(rc));
	loop_uv_run(&s->loops[0].uv);
	unwatch_signals(s);
	for (unsigned i = 1; i < s->loop_count; i++)
		pthread_join(s->loops[i].thread, NULL);
	log_info("stopped node=%s", s->config->node);
	return s->status;
}

int server_run(struct config *config, const char *config_path, char *why, size_t why_size)
{
	struct server *s = calloc(1, sizeof(*s));
	struct http *http = NULL;
	if (!s) {
		snprintf(why, why_size, "not enough memory");
		return -ENOMEM;
	}
	s->config = config;
	s->config_path = config_path;
	s->why = why;
	s->why_size = why_size;
	pthread_mutex_init(&s->identity_lock, NULL);
	admit_init(&s->admit, &(struct admit_limits){
				      .streams = (uint32_t)config->streams,
				      .ingest_bytes = config->ingest_memory,
				      .lane_window = config->lane_window,
				      .fetches = (uint32_t)config->fetches,
			      });
	signal(SIGPIPE, SIG_IGN);
	int rc = start(s, why, why_size);
	if (!rc && config->http[0])
		rc = http_start(config->http, &http, why, why_size);
	if (!rc)
		rc = run(s);
	http_stop(&http);
	for (unsigned i = s->loop_count; i-- > 0;)
		server_loop_fini(&s->loops[i]);
	server_cluster_fini(s);
	if (s->backend)
		store_backend_close(&s->backend);
	tls_identity_unref(&s->identity);
	pthread_mutex_destroy(&s->identity_lock);
	free(s);
	return rc;
}
