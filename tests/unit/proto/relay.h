/* SPDX-License-Identifier: Apache-2.0 */
/* A bad network between two links: a thread that passes the bytes of one connection on as it is
 * told. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct relay {
	char address[64];    /* where to dial */
	atomic_size_t piece; /* bytes passed on at once */
	atomic_bool silent;  /* nothing is passed on, nothing is closed */
	atomic_bool reset;   /* both connections are torn down with a reset */
	/* private */
	pthread_t thread;
	atomic_bool stop;
	int listener;
	char to[64];
};

/* Listens on 127.0.0.1; the first connection is passed on to `to` ("127.0.0.1:port"). */
void relay_start(struct relay *r, const char *to, size_t piece);
void relay_stop(struct relay *r);
