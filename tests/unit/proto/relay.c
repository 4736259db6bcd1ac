/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/proto/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

#define LOOK_MS 2 /* how often the wishes are looked at */

static int dial(const char *to)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	char host[64];
	snprintf(host, sizeof(host), "%s", to);
	char *colon = strchr(host, ':');
	CHECK(colon != NULL);
	*colon = '\0';
	at.sin_port = htons((uint16_t)atoi(colon + 1));
	CHECK(inet_pton(AF_INET, host, &at.sin_addr) == 1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

static void tear(int fd)
{
	struct linger now = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Passes a piece on; 0 at the end of `from`. */
static ssize_t pass(struct relay *r, int from, int to)
{
	uint8_t data[65536];
	size_t piece = r->piece < sizeof(data) ? r->piece : sizeof(data);
	ssize_t n = recv(from, data, piece, 0);
	if (n > 0)
		return send(to, data, (size_t)n, MSG_NOSIGNAL);
	shutdown(to, SHUT_WR);
	return n;
}

static void *run(void *arg)
{
	struct relay *r = arg;
	struct pollfd one = {.fd = r->listener, .events = POLLIN};
	while (!r->stop && poll(&one, 1, LOOK_MS) == 0)
		;
	if (r->stop)
		return NULL;
	int side[2] = {accept(r->listener, NULL, NULL), dial(r->to)};
	int yes = 1;
	setsockopt(side[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	bool open[2] = {true, side[1] >= 0};
	while (!r->stop && !r->reset && (open[0] || open[1])) {
		struct pollfd both[2];
		for (int i = 0; i < 2; i++)
			both[i] = (struct pollfd){
				.fd = open[i] && !r->silent ? side[i] : -1, .events = POLLIN};
		poll(both, 2, LOOK_MS);
		for (int i = 0; i < 2; i++)
			if (both[i].fd >= 0 && both[i].revents)
				open[i] = pass(r, side[i], side[1 - i]) > 0;
	}
	for (int i = 0; i < 2; i++) {
		if (r->reset)
			tear(side[i]);
		close(side[i]);
	}
	return NULL;
}

void relay_start(struct relay *r, const char *to, size_t piece)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	memset(r, 0, sizeof(*r));
	atomic_init(&r->piece, piece);
	snprintf(r->to, sizeof(r->to), "%s", to);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(r->listener, (struct sockaddr *)&at, size) == 0 && listen(r->listener, 4) == 0);
	CHECK(getsockname(r->listener, (struct sockaddr *)&at, &size) == 0);
	snprintf(r->address, sizeof(r->address), "127.0.0.1:%u", ntohs(at.sin_port));
	CHECK(pthread_create(&r->thread, NULL, run, r) == 0);
}

void relay_stop(struct relay *r)
{
	r->stop = true;
	pthread_join(r->thread, NULL);
	close(r->listener);
}
