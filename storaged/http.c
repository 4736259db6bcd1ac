/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/http.h"

#include <errno.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/health.h"
#include "storaged/metrics.h"

#define PAGE_MAX (64u << 10)

struct http {
	struct lws_context *context;
	pthread_t thread;
	atomic_bool stopping;
	char host[256];
};

/* One answer under way. */
struct answer {
	size_t len, sent;
	unsigned char page[LWS_PRE + PAGE_MAX];
};

/* Each request's own: freed when its connection closes. */
struct request {
	struct answer *answer;
};

static int begin(struct lws *wsi, struct request *req, unsigned status, const char *type,
	const char *page, size_t len)
{
	unsigned char headers[LWS_PRE + 512], *start = headers + LWS_PRE, *at = start;
	struct answer *answer = malloc(sizeof(*answer));
	if (!answer)
		return -1;
	answer->len = len < PAGE_MAX ? len : PAGE_MAX;
	answer->sent = 0;
	memcpy(answer->page + LWS_PRE, page, answer->len);
	free(req->answer);
	req->answer = answer;
	if (lws_add_http_common_headers(
		    wsi, status, type, answer->len, &at, headers + sizeof(headers) - 1) ||
		lws_finalize_write_http_header(wsi, start, &at, headers + sizeof(headers) - 1))
		return -1;
	lws_callback_on_writable(wsi);
	return 0;
}

static int answer_metrics(struct lws *wsi, struct request *req)
{
	char *page = malloc(PAGE_MAX);
	if (!page)
		return -1;
	size_t len = metrics_format(page, PAGE_MAX);
	int rc = begin(wsi, req, HTTP_STATUS_OK, "text/plain; version=0.0.4", page,
		len < PAGE_MAX ? len : PAGE_MAX - 1);
	free(page);
	return rc;
}

static int answer_path(struct lws *wsi, struct request *req, const char *path)
{
	static const char nothing[] = "there are /metrics and /health\n";
	if (strcmp(path, "/metrics") == 0)
		return answer_metrics(wsi, req);
	if (strcmp(path, "/health") != 0)
		return begin(wsi, req, HTTP_STATUS_NOT_FOUND, "text/plain", nothing,
			sizeof(nothing) - 1);
	char words[256];
	enum health_state state = health_now();
	int len = snprintf(words, sizeof(words), "%s\n", health_text(state));
	return begin(wsi, req,
		state == HEALTH_OK ? HTTP_STATUS_OK : HTTP_STATUS_SERVICE_UNAVAILABLE, "text/plain",
		words, (size_t)len);
}

static int go_on(struct lws *wsi, struct request *req)
{
	struct answer *answer = req->answer;
	if (!answer)
		return 0;
	size_t len = answer->len - answer->sent;
	int n = lws_write(wsi, answer->page + LWS_PRE + answer->sent, len, LWS_WRITE_HTTP_FINAL);
	if (n < 0)
		return -1;
	answer->sent += (size_t)n;
	if (answer->sent < answer->len) {
		lws_callback_on_writable(wsi);
		return 0;
	}
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct request *req = user;
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return answer_path(wsi, req, in);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return go_on(wsi, req);
	case LWS_CALLBACK_CLOSED_HTTP:
		if (req) {
			free(req->answer);
			req->answer = NULL;
		}
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "http", .callback = callback, .per_session_data_size = sizeof(struct request)},
	{0},
};

static void *run(void *arg)
{
	struct http *h = arg;
	while (!atomic_load(&h->stopping) && lws_service(h->context, 0) >= 0)
		;
	return NULL;
}

int http_start(const char *address, struct http **ret_http, char *why, size_t why_size)
{
	const char *colon = strrchr(address, ':');
	char *end;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || *end || !port || port > 65535 ||
		(size_t)(colon - address) >= sizeof(((struct http *)0)->host)) {
		snprintf(why, why_size, "http: %s is not HOST:PORT", address);
		return ERR_CONFIG;
	}
	struct http *h = calloc(1, sizeof(*h));
	if (!h) {
		snprintf(why, why_size, "not enough memory");
		return -ENOMEM;
	}
	memcpy(h->host, address, (size_t)(colon - address));
	lws_set_log_level(LLL_ERR, NULL);
	struct lws_context_creation_info info = {
		.port = (int)port,
		.iface = h->host[0] ? h->host : NULL,
		.protocols = protocols,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
	};
	h->context = lws_create_context(&info);
	if (!h->context || pthread_create(&h->thread, NULL, run, h)) {
		snprintf(why, why_size, "http: cannot serve on %s: is the port free?", address);
		if (h->context)
			lws_context_destroy(h->context);
		free(h);
		return -EADDRINUSE;
	}
	*ret_http = h;
	return 0;
}

void http_stop(struct http **http)
{
	struct http *h = *http;
	*http = NULL;
	if (!h)
		return;
	atomic_store(&h->stopping, true);
	lws_cancel_service(h->context);
	pthread_join(h->thread, NULL);
	lws_context_destroy(h->context);
	free(h);
}
