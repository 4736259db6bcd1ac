/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errors.h"
#include "proto/address.h"
#include "proto/link_state.h"

#define HANDSHAKES_MAX 256
#define CHANNELS_MAX   10000
#define BACKLOG        1024
#define ACCEPTS_A_TURN 64
#define RETRY_MS       100 /* after an accept that failed for want of descriptors or memory */

struct link_listener {
	struct loop_uv *loop;
	struct link_listener_config config;
	char address[ADDRESS_TEXT_MAX];
	int fd;
	uv_poll_t poll;
	bool watching, freed;
	struct loop_timer retry;
	struct list links; /* accepted ones, until they end */
	struct link_listener_counts counts;
	struct loop_task *closed;
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* Accepts while there is room for another handshake; the kernel's backlog holds the rest. */
static void watch(struct link_listener *l)
{
	bool room = !l->freed && l->counts.handshakes < l->config.handshakes_max &&
		    !loop_timer_armed(&l->retry);
	if (room == l->watching)
		return;
	l->watching = room;
	/* neither fails on a socket that was watched before */
	if (room)
		(void)uv_poll_start(&l->poll, UV_READABLE, on_poll);
	else
		(void)uv_poll_stop(&l->poll);
}

static void failed(struct link_listener *l, const char *peer, const char *words)
{
	l->counts.failed++;
	if (l->config.failed)
		l->config.failed(l, l->config.owner, peer, words);
}

/* --- what links tell */

bool link_listener_accept(struct link *link)
{
	struct link_listener *l = link->listener;
	l->counts.accepted++;
	if (tls_resumed(link->tls))
		l->counts.resumed++;
	link->ch.user = l->config.accepted(l, l->config.owner, &link->ch);
	return link->ch.user != NULL;
}

void link_listener_failed(struct link *link, const char *words)
{
	failed(link->listener, link->ch.identity.address, words);
}

void link_listener_shaken(struct link *link)
{
	if (!link->shaking)
		return;
	link->shaking = false;
	link->listener->counts.handshakes--;
	watch(link->listener);
}

void link_listener_gone(struct link *link)
{
	if (!link->listener)
		return;
	link_listener_shaken(link);
	link->listener->counts.channels--;
	list_remove(&link->listener_node);
	link->listener = NULL;
}

/* --- accepting */

static void adopt(struct link_listener *l, int fd, const char *peer)
{
	int one = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct link *link = link_new(l->loop, l->config.id, &l->config.hello, &l->config.options);
	if (!link) {
		close(fd);
		failed(l, peer, "memory is short");
		return;
	}
	link->socket = link_socket_new(link, fd);
	if (!link->socket) {
		link_discard(link);
		failed(l, peer, "memory is short");
		return;
	}
	snprintf(link->ch.identity.address, sizeof(link->ch.identity.address), "%s", peer);
	link->listener = l;
	link->shaking = true;
	list_append(&l->links, &link->listener_node);
	l->counts.handshakes++;
	l->counts.channels++;
	link_begin(link);
}

/* One connection from the backlog: 0, or a negative code when there is none or none can be taken. */
static int accept_one(struct link_listener *l)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	int fd = accept4(l->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
	char peer[ADDRESS_TEXT_MAX];
	address_text((struct sockaddr *)&from, peer);
	if (l->counts.channels < l->config.channels_max) {
		adopt(l, fd, peer);
	} else {
		close(fd);
		failed(l, peer, "there are as many channels as there may be");
	}
	return 0;
}

static void on_retry(struct loop_timer *timer)
{
	watch(container_of(timer, struct link_listener, retry));
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct link_listener *l = container_of(poll, struct link_listener, poll);
	(void)status; /* accepting says what is wrong */
	(void)events;
	int rc = 0;
	for (int i = 0; i < ACCEPTS_A_TURN && rc == 0 && l->watching; i++) {
		rc = accept_one(l);
		watch(l);
	}
	if (rc == 0 || rc == -EAGAIN || rc == -EWOULDBLOCK)
		return;
	/* the connection stays in the backlog and the socket readable: without a pause this would
	 * be a busy loop */
	char words[128];
	snprintf(words, sizeof(words), "cannot accept: %s", strerror(-rc));
	failed(l, "-", words);
	if (loop_timer_start(&l->loop->loop, &l->retry, RETRY_MS * NS_PER_MS) == 0)
		watch(l);
}

/* --- life */

static int fail(char *why, size_t why_size, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int fail(char *why, size_t why_size, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
	return code;
}

/* A bound socket or a negative code. */
static int bind_to(const struct addrinfo *to, bool shared)
{
	int one = 1, zero = 0;
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (to->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if ((!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
		bind(fd, to->ai_addr, to->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

/* With SO_REUSEPORT a second daemon of the same user would silently share the port: who does not
 * join tries without first. */
static int bind_alone_or_join(const struct addrinfo *to, bool join)
{
	if (!join) {
		int probe = bind_to(to, false);
		if (probe < 0)
			return probe;
		close(probe);
	}
	return bind_to(to, true);
}

static int open_socket(struct link_listener *l, const char *address, char *why, size_t why_size)
{
	char host[ADDRESS_HOST_MAX], port[ADDRESS_PORT_MAX];
	if (address_split(address, host, port) < 0)
		return fail(why, why_size, -EINVAL, "\"%s\" is not HOST:PORT", address);
	struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM,
					       .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	/* every address: one IPv6 socket hears IPv4 too, where there is IPv6 */
	hints.ai_family = host[0] ? AF_UNSPEC : AF_INET6;
	int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
	if (rc)
		return fail(why, why_size, -EINVAL, "cannot resolve \"%s\": %s", host,
			gai_strerror(rc));
	for (const struct addrinfo *to = found; to && l->fd < 0; to = to->ai_next)
		l->fd = rc = bind_alone_or_join(to, l->config.join);
	freeaddrinfo(found);
	if (l->fd < 0 && !host[0] && rc == -EAFNOSUPPORT) {
		char any[ADDRESS_PORT_MAX + 8];
		snprintf(any, sizeof(any), "0.0.0.0:%s", port);
		return open_socket(l, any, why, why_size);
	}
	if (l->fd < 0)
		return fail(why, why_size, rc, "cannot listen on %s: %s", address, strerror(-rc));
	struct sockaddr_storage bound;
	socklen_t size = sizeof(bound);
	if (getsockname(l->fd, (struct sockaddr *)&bound, &size) < 0)
		return fail(
			why, why_size, -errno, "cannot listen on %s: %s", address, strerror(errno));
	address_text((struct sockaddr *)&bound, l->address);
	return 0;
}

int link_listen(struct loop_uv *loop, const char *address,
	const struct link_listener_config *config, struct link_listener **ret_listener, char *why,
	size_t why_size)
{
	struct link_listener *l = calloc(1, sizeof(*l));
	if (!l)
		return fail(why, why_size, -ENOMEM, "memory is short");
	l->loop = loop;
	l->config = *config;
	l->fd = -1;
	l->retry.fire = on_retry;
	list_init(&l->links);
	if (!l->config.handshakes_max)
		l->config.handshakes_max = HANDSHAKES_MAX;
	if (!l->config.channels_max)
		l->config.channels_max = CHANNELS_MAX;
	int rc = open_socket(l, address, why, why_size);
	if (rc == 0 && (rc = uv_poll_init(&loop->uv, &l->poll, l->fd)) < 0)
		fail(why, why_size, rc, "cannot listen on %s: %s", address, uv_strerror(rc));
	if (rc < 0) {
		if (l->fd >= 0)
			close(l->fd);
		free(l);
		return rc;
	}
	tls_identity_ref(l->config.id);
	watch(l);
	*ret_listener = l;
	return 0;
}

const char *link_listener_address(const struct link_listener *l)
{
	return l->address;
}

void link_listener_set_identity(struct link_listener *l, struct tls_identity *id)
{
	struct tls_identity *before = l->config.id;
	l->config.id = tls_identity_ref(id);
	tls_identity_unref(&before);
}

struct link_listener_counts link_listener_counts(const struct link_listener *l)
{
	return l->counts;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct link_listener *l = container_of((uv_poll_t *)handle, struct link_listener, poll);
	if (l->closed)
		loop_defer(&l->loop->loop, l->closed);
	free(l);
}

void link_listener_free(struct link_listener **slot, struct loop_task *closed)
{
	struct link_listener *l = *slot;
	*slot = NULL;
	if (!l)
		return;
	l->freed = true;
	l->closed = closed;
	loop_timer_stop(&l->retry);
	while (!list_empty(&l->links)) {
		struct link *link = list_entry(l->links.next, struct link, listener_node);
		bool greeted = !link->shaking;
		link_listener_gone(link);
		if (!greeted)
			link_end(link, ERR_CLOSED, "the listener stopped");
	}
	watch(l);
	tls_identity_unref(&l->config.id);
	uv_close((uv_handle_t *)&l->poll, on_poll_closed);
	close(l->fd);
}
