/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's small HTTP side (libwebsockets, a thread of its own): GET /metrics for Prometheus,
 * GET /health for load balancers and people. It reads counters alone, so it answers while the loops
 * are busy. */
#pragma once

#include <stddef.h>

struct http;

/* Serves on "HOST:PORT". On failure words in `why`. */
int http_start(const char *address, struct http **ret_http, char *why, size_t why_size);
/* Stops, blocking. */
void http_stop(struct http **http);
