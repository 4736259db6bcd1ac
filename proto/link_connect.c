/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to a connected socket: names are resolved by libuv's threads, and each address
 * found gets its share of the time that is left, so that a dead one does not use up what a living
 * one needs. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/address.h"
#include "proto/link_state.h"

struct link_dial {
	uv_getaddrinfo_t request;
	struct link *link; /* NULL: nobody waits for the answer any more */
	bool resolving;
	struct addrinfo *found, *next; /* next: not tried yet */
	int error;                     /* of the last attempt */
	char host[ADDRESS_HOST_MAX];
};

static void dial_free(struct link_dial *d)
{
	if (d->found)
		freeaddrinfo(d->found);
	free(d);
}

void link_dial_free(struct link_dial **slot)
{
	struct link_dial *d = *slot;
	*slot = NULL;
	if (!d)
		return;
	d->link = NULL;
	/* a request that runs cannot be taken back; its answer frees the rest */
	if (d->resolving)
		(void)uv_cancel((uv_req_t *)&d->request);
	else
		dial_free(d);
}

/* A socket that is connecting to `to`, or a negative code. */
static int begin_connect(const struct addrinfo *to)
{
	int one = 1, fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* small frames must not wait for the peer's TCP; writes are coalesced here */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS)
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

static void give_up(struct link *l)
{
	char words[sizeof(l->words)];
	snprintf(words, sizeof(words), "cannot connect to %s: %s", l->ch.identity.address,
		strerror(-l->dial->error));
	link_end(l, l->dial->error, words);
}

/* Tries the next address that can be tried at all. */
static void connect_next(struct link *l)
{
	struct link_dial *d = l->dial;
	while (d->next) {
		const struct addrinfo *to = d->next;
		int64_t left_ns = l->deadline.ns - loop_now(&l->loop->loop).ns, shares = 0;
		for (const struct addrinfo *a = to; a; a = a->ai_next)
			shares++;
		d->next = to->ai_next;
		int fd = begin_connect(to);
		if (fd < 0) {
			d->error = fd;
			continue;
		}
		l->socket = link_socket_new(l, fd);
		if (!l->socket || link_timer(l, left_ns / shares) < 0)
			link_end(l, -ENOMEM, "memory is short");
		else
			link_watch(l);
		return;
	}
	give_up(l);
}

void link_dial_writable(struct link *l)
{
	int error = 0;
	socklen_t size = sizeof(error);
	if (getsockopt(l->socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (!error) {
		link_dial_free(&l->dial);
		link_begin(l);
		return;
	}
	l->dial->error = -error;
	link_socket_free(&l->socket);
	connect_next(l);
}

void link_dial_late(struct link *l)
{
	if (l->dial->resolving) {
		link_end(l, -ETIMEDOUT, "the name did not resolve in time");
		return;
	}
	l->dial->error = -ETIMEDOUT;
	link_socket_free(&l->socket);
	connect_next(l);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct link_dial *d = container_of(request, struct link_dial, request);
	struct link *l = d->link;
	d->resolving = false;
	d->found = d->next = found;
	if (!l) {
		dial_free(d);
	} else if (status < 0) {
		char words[sizeof(l->words)];
		snprintf(words, sizeof(words), "cannot resolve %.100s: %s", d->host,
			uv_strerror(status));
		link_end(l, status == UV_ENOMEM ? -ENOMEM : -EHOSTUNREACH, words);
	} else {
		connect_next(l);
	}
}

/* Numeric addresses need no name server and no thread. */
static int resolve(struct link *l, const char *port)
{
	struct link_dial *d = l->dial;
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	if (getaddrinfo(d->host, port, &hints, &d->found) == 0) {
		d->next = d->found;
		connect_next(l);
		return 0;
	}
	d->found = NULL;
	hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
	int rc = link_timer(l, l->deadline.ns - loop_now(&l->loop->loop).ns);
	if (!rc)
		rc = uv_getaddrinfo(&l->loop->uv, &d->request, on_resolved, d->host, port, &hints);
	d->resolving = rc == 0;
	return rc;
}

struct channel *link_connect(struct loop_uv *loop, const char *address, struct tls_identity *id,
	const struct link_hello *hello, const struct link_options *options,
	struct channel_user *user)
{
	char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX];
	if (address_split(address, host, port) < 0 || !host[0])
		return NULL;
	struct link *l = link_new(loop, id, hello, options);
	if (!l)
		return NULL;
	l->ch.user = user;
	snprintf(l->ch.identity.address, sizeof(l->ch.identity.address), "%s", address);
	l->dial = calloc(1, sizeof(*l->dial));
	if (l->dial) {
		l->dial->link = l;
		memcpy(l->dial->host, host, sizeof(host));
	}
	if (!l->dial || resolve(l, port) < 0) {
		link_discard(l);
		return NULL;
	}
	return &l->ch;
}
